/* CRC-32C (Castagnoli) by the processor's crc32 instruction (SSE 4.2), for limitd.c and limitio.c.
 *
 * The instruction takes three cycles but one can start every cycle, so three parts of a block are
 * summed side by side and joined: the state after part A and then as many zero bytes is shift(A), a
 * linear function, here four tables of 256 words, and the state after A and then B is shift(A) ^ B. */
#include <nmmintrin.h>
#include <stdint.h>
#include <string.h>

#define SSE42 __attribute__((target("sse4.2")))
enum { PART = 1024 }; /* bytes */
static uint32_t crc_table[4][256];
typedef uint64_t __attribute__((aligned(1), may_alias)) word;

SSE42 static void crc_init(void) { /* shifting is summing zeros from a state with one byte set */
    for (uint32_t i = 0; i < 4 * 256; i++) {
        uint64_t state = (i & 255) << (i >> 8) * 8;
        for (int n = 0; n < PART; n += 8) state = _mm_crc32_u64(state, 0);
        crc_table[i >> 8][i & 255] = state;
    }
}
static inline uint32_t crc_shift(uint32_t s) {
    uint32_t low = crc_table[0][s & 255] ^ crc_table[1][s >> 8 & 255];
    return low ^ crc_table[2][s >> 16 & 255] ^ crc_table[3][s >> 24];
}
SSE42 static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n) { /* crc is of what came before */
    uint64_t a = (uint32_t)~crc, b, c;
    for (; n >= 3 * PART; p += 3 * PART, n -= 3 * PART, a = crc_shift(crc_shift(a) ^ b) ^ c) {
        b = c = 0;
        for (const word *q = (const word *)p, *end = q + PART / 8; q < end; q++) {
            a = _mm_crc32_u64(a, q[0]);
            b = _mm_crc32_u64(b, q[PART / 8]);
            c = _mm_crc32_u64(c, q[PART / 4]);
        }
    }
    for (; n >= 8; p += 8, n -= 8) a = _mm_crc32_u64(a, *(const word *)p);
    for (; n; p++, n--) a = _mm_crc32_u8(a, *p);
    return ~a;
}
