/* CRC-32C (Castagnoli), for limitd.c and limitio.c: folded with carry-less multiplications of 512 bits
 * where the processor has them (AVX-512F, VPCLMULQDQ), otherwise by one chain of crc32 instructions
 * (SSE 4.2), which is a third of what such a processor can do: the row crc32c/cache then says so.
 *
 * A block of data times x^d is the same block d bits earlier in the message. Four accumulators of 64
 * bytes are moved 2048 bits on and added to the next four blocks, until what is left is shorter; then
 * they are moved onto the last of them, and that block's CRC, from a register of zero, is the message's.
 * The multipliers are x^(d+63) and x^(d-1) modulo the polynomial, for the two halves of a lane. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((aligned(1), may_alias)) word;
#define FOLD __attribute__((target("avx512f,vpclmulqdq,sse4.2")))
static const uint64_t crc_move[4][2] = { /* by 2048, 1536, 1024 and 512 bits */
    {0xe9a5d8be00000000, 0x1426a81500000000}, {0x7ccbbbf200000000, 0x31c9460800000000},
    {0x6577b24500000000, 0x7417153f00000000}, {0x1c19243b00000000, 0x75bba45b00000000}};

FOLD static inline __m512i crc_step(__m512i b, int by, __m512i onto) {
    __m512i k = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)crc_move[by]));
    __m512i low = _mm512_xor_si512(_mm512_clmulepi64_epi128(b, k, 0x00), onto);
    return _mm512_xor_si512(_mm512_clmulepi64_epi128(b, k, 0x11), low);
}
FOLD static uint64_t crc_fold(uint32_t state, const uint8_t *p, size_t n) { /* n: from 256, of 64 */
    uint64_t crc = 0;
    __m512i a = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_zextsi128_si512(_mm_cvtsi32_si128(state)));
    __m512i b = _mm512_loadu_si512(p + 64), c = _mm512_loadu_si512(p + 128), d;
    for (d = _mm512_loadu_si512(p + 192), p += 256, n -= 256; n >= 256; p += 256, n -= 256) {
        a = crc_step(a, 0, _mm512_loadu_si512(p)), b = crc_step(b, 0, _mm512_loadu_si512(p + 64));
        c = crc_step(c, 0, _mm512_loadu_si512(p + 128)), d = crc_step(d, 0, _mm512_loadu_si512(p + 192));
    }
    d = crc_step(a, 1, crc_step(b, 2, crc_step(c, 3, d)));
    for (; n; p += 64, n -= 64) d = crc_step(d, 3, _mm512_loadu_si512(p));
    for (int i = 0; i < 8; i++) crc = _mm_crc32_u64(crc, ((word *)&d)[i]);
    return crc;
}
__attribute__((target("sse4.2"))) static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n) {
    int folds = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
    size_t whole = folds && n >= 256 ? n & ~(size_t)63 : 0;
    uint64_t a = whole ? crc_fold(~crc, p, whole) : (uint32_t)~crc; /* crc is of what came before */
    for (p += whole, n -= whole; n >= 8; p += 8, n -= 8) a = _mm_crc32_u64(a, *(const word *)p);
    for (; n; p++, n--) a = _mm_crc32_u8(a, *p);
    return ~a;
}
