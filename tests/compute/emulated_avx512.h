/* emulated_avx512.h  The AVX-512 instructions of int8_vnni.c, lane by lane in plain C, for machines that
 * have none: include it before that file. Source: Intel's instruction set reference. */
#ifndef TESTS_COMPUTE_EMULATED_AVX512_H
#define TESTS_COMPUTE_EMULATED_AVX512_H

#define CPU_VEC_H  /* in place of the header that needs the instructions */
#define VEC_INLINE static inline __attribute__((unused))

#include "test.h"

#include <stdint.h>
#include <string.h>

typedef struct Ints {
    int32_t at[16];
} Ints;
typedef struct Floats {
    float at[16];
} Floats;
#define __m512i   Ints
#define __m512    Floats
#define __mmask16 uint16_t

/* clang-format off */
#define LANES(Type, value)                                                                         \
    Type r;                                                                                        \
    for (int i = 0; i < 16; i++) r.at[i] = (value);                                                \
    return r;

VEC_INLINE Ints _mm512_setzero_si512(void) { LANES(Ints, 0) }
VEC_INLINE Ints _mm512_set1_epi32(int32_t a) { LANES(Ints, a) }
VEC_INLINE Ints _mm512_slli_epi32(Ints a, unsigned n) { LANES(Ints, (int32_t)((uint32_t)a.at[i] << n)) }
VEC_INLINE Ints _mm512_sub_epi32(Ints a, Ints b) { LANES(Ints, (int32_t)((uint32_t)a.at[i] - (uint32_t)b.at[i])) }
VEC_INLINE Floats _mm512_cvtepi32_ps(Ints a) { LANES(Floats, (float)a.at[i]) }
VEC_INLINE Floats _mm512_set1_ps(float a) { LANES(Floats, a) }
VEC_INLINE Floats _mm512_mul_ps(Floats a, Floats b) { LANES(Floats, a.at[i] * b.at[i]) }
VEC_INLINE Floats _mm512_add_ps(Floats a, Floats b) { LANES(Floats, a.at[i] + b.at[i]) }
VEC_INLINE Floats _mm512_loadu_ps(const float *p) { LANES(Floats, p[i]) }
VEC_INLINE Floats _mm512_maskz_loadu_ps(uint16_t m, const float *p) { LANES(Floats, m >> i & 1 ? p[i] : 0.0f) }
/* clang-format on */

VEC_INLINE Ints _mm512_loadu_si512(const void *p)
{
    Ints r;
    memcpy(&r, p, sizeof r);
    return r;
}

/* Must be aligned to 64 bytes. */
VEC_INLINE Ints _mm512_load_si512(const void *p)
{
    CHECK_INT((uintptr_t)p % 64, 0);
    return _mm512_loadu_si512(p);
}

VEC_INLINE void _mm512_mask_storeu_ps(float *p, uint16_t m, Floats a)
{
    for (int i = 0; i < 16; i++)
        if (m >> i & 1) p[i] = a.at[i];
}

/* Four products of unsigned by signed bytes and the old value, modulo 2^32. */
VEC_INLINE Ints _mm512_dpbusd_epi32(Ints sum, Ints u, Ints s)
{
    for (int i = 0; i < 16; i++) {
        uint8_t a[4];
        int8_t b[4];
        memcpy(a, &u.at[i], sizeof a);
        memcpy(b, &s.at[i], sizeof b);
        uint32_t t = (uint32_t)sum.at[i];
        for (int k = 0; k < 4; k++)
            t += (uint32_t)(a[k] * b[k]);
        sum.at[i] = (int32_t)t;
    }
    return sum;
}

#endif
