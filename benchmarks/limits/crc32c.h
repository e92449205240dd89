/* CRC-32C (Castagnoli) by the processor's crc32 instruction (SSE 4.2), for limitd.c and limitio.c.
 *
 * The instruction takes three cycles but one can start every cycle, so three parts of a block are
 * summed side by side and joined: the state after part A and then n zero bytes is shift(A), a linear
 * function, here four tables of 256 words, and the state after A and then B is shift(A) ^ B. */
#include <nmmintrin.h>
#include <stdint.h>
#include <string.h>

#define CRC_TARGET __attribute__((target("sse4.2")))
enum { CRC_PART = 1024 }; /* bytes */
static uint32_t crc_table[4][256];

/* Must run once before crc32c. Shifting is summing zero bytes from a state with one byte set. */
CRC_TARGET static void crc_init(void) {
    for (int i = 0; i < 4 * 256; i++) {
        uint64_t state = (uint32_t)(i & 255) << (i >> 8) * 8;
        for (int n = 0; n < CRC_PART; n += 8) state = _mm_crc32_u64(state, 0);
        crc_table[i >> 8][i & 255] = state;
    }
}

static inline uint32_t crc_shift(uint32_t s) {
    return crc_table[0][s & 255] ^ crc_table[1][s >> 8 & 255] ^ crc_table[2][s >> 16 & 255] ^ crc_table[3][s >> 24];
}

#define CRC_WORD(p) (*(const uint64_t __attribute__((aligned(1), may_alias)) *)(p))

/* Continues from the CRC of what came before, which is 0 at the start. */
CRC_TARGET static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n) {
    uint64_t a = (uint32_t)~crc;
    for (; n >= 3 * CRC_PART; p += 3 * CRC_PART, n -= 3 * CRC_PART) {
        uint64_t b = 0, c = 0;
        for (const uint8_t *q = p; q < p + CRC_PART; q += 8) {
            a = _mm_crc32_u64(a, CRC_WORD(q));
            b = _mm_crc32_u64(b, CRC_WORD(q + CRC_PART));
            c = _mm_crc32_u64(c, CRC_WORD(q + 2 * CRC_PART));
        }
        a = crc_shift(crc_shift(a) ^ b) ^ c;
    }
    for (; n >= 8; p += 8, n -= 8) a = _mm_crc32_u64(a, CRC_WORD(p));
    for (; n; p++, n--) a = _mm_crc32_u8(a, *p);
    return ~a;
}
