/* vec.h  vfloat: the widest float vector of the file's instruction set, for bodies shared by ISAs.
 *
 * Include it only in files built for one ISA (*_avx2.c, *_avx512.c, *_neon.c). All functions are
 * static on purpose: a copy shared by the linker could carry AVX-512 code to an AVX2 machine. */
#ifndef CPU_VEC_H
#define CPU_VEC_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
enum { VLEN = 16 };
typedef __m512 vfloat;
#elif defined(__AVX2__)
#include <immintrin.h>
enum { VLEN = 8 };
typedef __m256 vfloat;
#elif defined(__aarch64__)
#include <arm_neon.h>
enum { VLEN = 4 };
typedef float32x4_t vfloat;
#else
#error "vec.h needs a vector instruction set"
#endif
typedef int32_t vint __attribute__((vector_size(VLEN * 4)));

#define VEC_INLINE static inline __attribute__((always_inline, unused))

VEC_INLINE vfloat vec_load(const float *p)
{
    vfloat v;
    memcpy(&v, p, sizeof v);
    return v;
}
VEC_INLINE void vec_store(float *p, vfloat v)
{
    memcpy(p, &v, sizeof v);
}
/** The first n < VLEN lanes from memory, the others 0. */
VEC_INLINE vfloat vec_load_part(const float *p, int64_t n)
{
    float lanes[VLEN] = { 0 };
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return vec_load(lanes);
}
VEC_INLINE void vec_store_part(float *p, vfloat v, int64_t n)
{
    float lanes[VLEN];
    vec_store(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}
VEC_INLINE vint vec_bits(vfloat v)
{
    return (vint)v;
}
VEC_INLINE vfloat vec_from_bits(vint v)
{
    return (vfloat)v;
}

#if defined(__AVX512F__)
VEC_INLINE vfloat vec_set(float x)
{
    return _mm512_set1_ps(x);
}
/** a * b + c, rounded once. */
VEC_INLINE vfloat vec_fma(vfloat a, vfloat b, vfloat c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/** a > b ? a : b, also for NaN and signed zeros. */
VEC_INLINE vfloat vec_max(vfloat a, vfloat b)
{
    return _mm512_max_ps(a, b);
}
/** a < b ? a : b */
VEC_INLINE vfloat vec_min(vfloat a, vfloat b)
{
    return _mm512_min_ps(a, b);
}
/** To the nearest integer, ties to even. */
VEC_INLINE vfloat vec_round(vfloat a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VEC_INLINE vfloat vec_sqrt(vfloat a)
{
    return _mm512_sqrt_ps(a);
}
/** To integers, ties to even; lanes must be in range. */
VEC_INLINE vint vec_to_int(vfloat a)
{
    return (vint)_mm512_cvtps_epi32(a);
}
#elif defined(__AVX2__)
VEC_INLINE vfloat vec_set(float x)
{
    return _mm256_set1_ps(x);
}
VEC_INLINE vfloat vec_fma(vfloat a, vfloat b, vfloat c)
{
    return _mm256_fmadd_ps(a, b, c);
}
VEC_INLINE vfloat vec_max(vfloat a, vfloat b)
{
    return _mm256_max_ps(a, b);
}
VEC_INLINE vfloat vec_min(vfloat a, vfloat b)
{
    return _mm256_min_ps(a, b);
}
VEC_INLINE vfloat vec_round(vfloat a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VEC_INLINE vfloat vec_sqrt(vfloat a)
{
    return _mm256_sqrt_ps(a);
}
VEC_INLINE vint vec_to_int(vfloat a)
{
    return (vint)_mm256_cvtps_epi32(a);
}
#else
VEC_INLINE vfloat vec_set(float x)
{
    return vdupq_n_f32(x);
}
VEC_INLINE vfloat vec_fma(vfloat a, vfloat b, vfloat c)
{
    return vfmaq_f32(c, a, b);
}
VEC_INLINE vfloat vec_max(vfloat a, vfloat b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b); /* vmaxq_f32 would spread NaN */
}
VEC_INLINE vfloat vec_min(vfloat a, vfloat b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
VEC_INLINE vfloat vec_round(vfloat a)
{
    return vrndnq_f32(a);
}
VEC_INLINE vfloat vec_sqrt(vfloat a)
{
    return vsqrtq_f32(a);
}
VEC_INLINE vint vec_to_int(vfloat a)
{
    return (vint)vcvtnq_s32_f32(a);
}
#endif

#endif
