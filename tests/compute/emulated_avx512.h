/* emulated_avx512.h  The AVX-512 instructions of int8_vnni.c and bf16_avx512bf16.c, lane by lane in plain
 * C, for machines that have none: include it before that file. Source: Intel's instruction set reference. */
#ifndef TESTS_COMPUTE_EMULATED_AVX512_H
#define TESTS_COMPUTE_EMULATED_AVX512_H

#define CPU_VEC_H /* in place of the header that needs the instructions */
/* Called, not inlined as in the kernels: 28 tiles of 14 rows, unrolled by 4, of 16 fmaf each cost
 * a compiler with sanitizers more than a minute. The same lines run either way. */
#define VEC_INLINE static __attribute__((noinline, unused))

#include "test.h"

#include <stdint.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wpsabi" /* vectors in arguments of functions of this file only */

enum { VLEN = 16 };
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(64)));
typedef Floats vfloat;
#define __m512i   Ints
#define __m512    Floats
#define __m512bh  Halves
#define __mmask16 uint16_t

/* clang-format off */
#define LANES(Type, value)                                                                         \
    Type r;                                                                                        \
    for (int i = 0; i < (int)(sizeof r / sizeof r[0]); i++) r[i] = (value);                        \
    return r;

VEC_INLINE Ints _mm512_setzero_si512(void) { LANES(Ints, 0) }
VEC_INLINE Ints _mm512_set1_epi32(int32_t a) { LANES(Ints, a) }
VEC_INLINE Ints _mm512_slli_epi32(Ints a, unsigned n) { LANES(Ints, (int32_t)((uint32_t)a[i] << n)) }
VEC_INLINE Ints _mm512_rol_epi32(Ints a, int n) { LANES(Ints, (int32_t)((uint32_t)a[i] << n | (uint32_t)a[i] >> (32 - n))) }
VEC_INLINE Ints _mm512_sub_epi32(Ints a, Ints b) { LANES(Ints, (int32_t)((uint32_t)a[i] - (uint32_t)b[i])) }
VEC_INLINE Floats _mm512_cvtepi32_ps(Ints a) { LANES(Floats, (float)a[i]) }
VEC_INLINE Floats _mm512_set1_ps(float a) { LANES(Floats, a) }
VEC_INLINE Floats _mm512_mul_ps(Floats a, Floats b) { LANES(Floats, a[i] * b[i]) }
VEC_INLINE Floats _mm512_add_ps(Floats a, Floats b) { LANES(Floats, a[i] + b[i]) }
VEC_INLINE Floats _mm512_loadu_ps(const float *p) { LANES(Floats, p[i]) }
VEC_INLINE Floats _mm512_maskz_loadu_ps(uint16_t m, const float *p) { LANES(Floats, m >> i & 1 ? p[i] : 0.0f) }
VEC_INLINE Floats vec_set(float a) { LANES(Floats, a) }
VEC_INLINE Floats vec_fma(Floats a, Floats b, Floats c) { LANES(Floats, fmaf(a[i], b[i], c[i])) }
VEC_INLINE Floats vec_load(const float *p) { LANES(Floats, p[i]) } /* clang-format on */

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
        if (m >> i & 1) p[i] = a[i];
}

VEC_INLINE void _mm512_storeu_ps(float *p, Floats a)
{
    _mm512_mask_storeu_ps(p, 0xffff, a);
}

VEC_INLINE void vec_store(float *p, Floats a)
{
    _mm512_mask_storeu_ps(p, 0xffff, a);
}

/* Four products of unsigned by signed bytes and the old value, modulo 2^32. */
VEC_INLINE Ints _mm512_dpbusd_epi32(Ints sum, Ints u, Ints s)
{
    for (int i = 0; i < 16; i++) {
        const uint32_t a = (uint32_t)u[i], b = (uint32_t)s[i];
        uint32_t t = (uint32_t)sum[i];
        for (int k = 0; k < 32; k += 8)
            t += (uint32_t)((int)(a >> k & 255u) * (int8_t)(b >> k & 255u));
        sum[i] = (int32_t)t;
    }
    return sum;
}

VEC_INLINE Ints _mm512_permutexvar_epi16(Ints index, Ints a)
{
    const Halves from = (Halves)a, at = (Halves)index;
    Halves r;
    for (int i = 0; i < 32; i++)
        r[i] = from[at[i] & 31];
    return (Ints)r;
}

VEC_INLINE float without_denormals(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}

VEC_INLINE uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* To the nearest, halves to even; denormals are 0, NaN becomes quiet. */
VEC_INLINE uint16_t half_of(float x)
{
    const uint32_t bits = bits_of(without_denormals(x));
    if (isnan(x)) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Lanes of b first. */
VEC_INLINE Halves _mm512_cvtne2ps_pbh(Floats a, Floats b)
{
    Halves r;
    for (int i = 0; i < 32; i++)
        r[i] = half_of(i < 16 ? b[i] : a[i - 16]);
    return r;
}

VEC_INLINE float float_of(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return without_denormals(x);
}

/* Two fused multiply-additions, that of the upper halves first; denormals are 0, coming and going. */
VEC_INLINE Floats _mm512_dpbf16_ps(Floats sum, Halves a, Halves b)
{
    for (int i = 0; i < 16; i++)
        for (int k = 2 * i + 1; k >= 2 * i; k--)
            sum[i] =
                without_denormals(fmaf(float_of(a[k]), float_of(b[k]), without_denormals(sum[i])));
    return sum;
}

#endif
