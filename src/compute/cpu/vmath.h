/* vmath.h  exp, exp2, tanh, sigmoid, SiLU, GELUs: one formula each, equal bits on every machine.
 *
 * Written once over vfloat from fma, multiply, add, divide, min, max and bit operations, all of
 * which IEEE 754 fixes to the bit; no estimates, no tables, no fused operation the text does not
 * show. A file for one ISA gets the lanes of vec.h. A reference file defines VMATH_SCALAR before
 * including this header: vfloat is then one float and the same text is the exact oracle.
 *
 * Coefficients are minimax fits of ours, rounded to f32. Errors below were measured against f64
 * over every 61st float; see tests/compute/test_vmath.c.
 * NaN gives NaN in every function. */
#ifndef CPU_VMATH_H
#define CPU_VMATH_H

#include <stdint.h>
#include <string.h>

#ifdef VMATH_SCALAR
#include <math.h>
enum { VLEN = 1 };
typedef float vfloat;
typedef uint32_t vbits;
#define VEC_INLINE static inline __attribute__((always_inline, unused))
VEC_INLINE vfloat vec_set(float x)
{
    return x;
}
VEC_INLINE vfloat vec_load(const float *p)
{
    return *p;
}
VEC_INLINE void vec_store(float *p, vfloat v)
{
    *p = v;
}
/** The first n lanes; all of them when n >= VLEN. */
VEC_INLINE vfloat vec_load_some(const float *p, int64_t n)
{
    (void)n;
    return *p;
}
VEC_INLINE void vec_store_some(float *p, vfloat v, int64_t n)
{
    (void)n;
    *p = v;
}
VEC_INLINE vfloat vec_fma(vfloat a, vfloat b, vfloat c)
{
    return fmaf(a, b, c);
}
VEC_INLINE vfloat vec_max(vfloat a, vfloat b)
{
    return a > b ? a : b;
}
VEC_INLINE vfloat vec_min(vfloat a, vfloat b)
{
    return a < b ? a : b;
}
#else
#include "compute/cpu/vec.h"
typedef uint32_t vbits __attribute__((vector_size(VLEN * 4)));
VEC_INLINE vfloat vec_load_some(const float *p, int64_t n)
{
    return n < VLEN ? vec_load_part(p, n) : vec_load(p);
}
VEC_INLINE void vec_store_some(float *p, vfloat v, int64_t n)
{
    if (n < VLEN)
        vec_store_part(p, v, n);
    else
        vec_store(p, v);
}
#endif

VEC_INLINE vbits vmath_bits(vfloat x)
{
    vbits bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
VEC_INLINE vfloat vmath_from_bits(vbits bits)
{
    vfloat x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x + VMATH_ROUND, |x| < 2^22, has round-to-nearest-even(x) in its low bits: the integer as
 * bits(x + VMATH_ROUND) - VMATH_ROUND_BITS, the float as (x + VMATH_ROUND) - VMATH_ROUND. */
#define VMATH_ROUND      0x1.8p23f
#define VMATH_ROUND_BITS 0x4b400000u

/** 2^x for x in [-126, 127]; x below counts as -126, x above as 127. 2^0 = 1 exactly.
 *  1.0 ulp. For softmax: normal results only. */
VEC_INLINE vfloat vmath_exp2(vfloat x)
{
    x = vec_min(vec_set(127.0f), vec_max(vec_set(-126.0f), x));
    const vfloat shifted = x + vec_set(VMATH_ROUND);
    const vfloat r = x - (shifted - vec_set(VMATH_ROUND)); /* [-0.5, 0.5], exact */
    vfloat p = vec_set(1.535336e-4f);
    p = vec_fma(p, r, vec_set(1.3398875e-3f));
    p = vec_fma(p, r, vec_set(9.618437e-3f));
    p = vec_fma(p, r, vec_set(5.5503324e-2f));
    p = vec_fma(p, r, vec_set(0.24022648f));
    p = vec_fma(p, r, vec_set(0.6931472f));
    p = vec_fma(p, r, vec_set(1.0f));
    const vbits exponent = vmath_bits(shifted) - VMATH_ROUND_BITS + 127u;
    return p * vmath_from_bits(exponent << 23);
}

/** e^x for every x: infinity above 88.7, gradual underflow to 0 below -87.3. e^0 = 1 exactly.
 *  1.0 ulp. */
VEC_INLINE vfloat vmath_exp(vfloat x)
{
    x = vec_min(vec_set(89.0f), vec_max(vec_set(-105.0f), x));
    const vfloat shifted = vec_fma(x, vec_set(1.44269504f), vec_set(VMATH_ROUND));
    const vfloat n = shifted - vec_set(VMATH_ROUND);
    vfloat r = vec_fma(n, vec_set(-0.693359375f), x); /* exact: ln 2 in two parts */
    r = vec_fma(n, vec_set(2.12194440e-4f), r);
    vfloat p = vec_set(1.3814599e-3f);
    p = vec_fma(p, r, vec_set(8.3687157e-3f));
    p = vec_fma(p, r, vec_set(4.1668389e-2f));
    p = vec_fma(p, r, vec_set(0.16666521f));
    p = vec_fma(p, r, vec_set(0.49999994f));
    p = vec_fma(p, r * r, r) + vec_set(1.0f);
    /* 2^n in two factors, so that neither leaves the normal range */
    const vbits biased = vmath_bits(shifted) - VMATH_ROUND_BITS + 254u, half = biased >> 1;
    return p * vmath_from_bits(half << 23) * vmath_from_bits((biased - half) << 23);
}

/** 1 / (1 + e^-x).  2.4 ulp down to x = -87. */
VEC_INLINE vfloat vmath_sigmoid(vfloat x)
{
    return vec_set(1.0f) / (vec_set(1.0f) + vmath_exp(-x));
}

/** x / (1 + e^-x).  2.3 ulp down to x = -87, 4e-8 absolute below. */
VEC_INLINE vfloat vmath_silu(vfloat x)
{
    return x / (vec_set(1.0f) + vmath_exp(-x));
}

/** x / (1 + e^-1.702 x).  1.2e-7 of max(1, |x|). */
VEC_INLINE vfloat vmath_gelu_quick(vfloat x)
{
    return x / (vec_set(1.0f) + vmath_exp(x * vec_set(-1.702f)));
}

/** Rational in x^2, clamped where it reaches 1.  4.7 ulp, 3e-7 absolute. */
VEC_INLINE vfloat vmath_tanh(vfloat x)
{
    x = vec_min(vec_set(9.02f), vec_max(vec_set(-9.02f), x));
    const vfloat t = x * x;
    vfloat p = vec_set(1.3319037e-8f);
    p = vec_fma(p, t, vec_set(2.0583453e-5f));
    p = vec_fma(p, t, vec_set(3.4940327e-3f));
    p = vec_fma(p, t, vec_set(0.13379717f));
    p = vec_fma(p, t, vec_set(1.0f));
    vfloat q = vec_set(7.762004e-7f);
    q = vec_fma(q, t, vec_set(3.2830899e-4f));
    q = vec_fma(q, t, vec_set(2.5871066e-2f));
    q = vec_fma(q, t, vec_set(0.4671303f));
    q = vec_fma(q, t, vec_set(1.0f));
    const vfloat y = x * p / q;
    return vec_min(vec_set(1.0f), vec_max(vec_set(-1.0f), y));
}

/** 0.5 x (1 + erf(x / sqrt 2)) = max(x, 0) - a Q(a), a = |x|, Q(a) = erfc(a / sqrt 2) / 2 as
 *  e^(-a^2 / 2) t P(t), t = 1 / (1 + 0.3 a): no cancellation in the negative tail.
 *  9e-8 absolute for x < 0, 1e-7 x above. */
VEC_INLINE vfloat vmath_gelu_erf(vfloat x)
{
    const vfloat a = vec_min(vec_set(15.0f), vec_max(-x, x)); /* Q(15) = 0 in f32 */
    const vfloat t = vec_set(1.0f) / vec_fma(vec_set(0.3f), a, vec_set(1.0f));
    vfloat p = vec_set(3.567512e-2f);
    p = vec_fma(p, t, vec_set(-0.15720445f));
    p = vec_fma(p, t, vec_set(0.20635577f));
    p = vec_fma(p, t, vec_set(-5.3685617e-2f));
    p = vec_fma(p, t, vec_set(0.1285626f));
    p = vec_fma(p, t, vec_set(9.9913217e-2f));
    p = vec_fma(p, t, vec_set(0.120754f));
    p = vec_fma(p, t, vec_set(0.1196293f));
    const vfloat tail = p * t * vmath_exp(vec_set(-0.5f) * a * a);
    return vec_fma(-a, tail, vec_max(vec_set(0.0f), x));
}

/** 0.5 x (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3), as x / (1 + e^-2u), which does not
 *  cancel in the negative tail.  5e-8 absolute for x < 0, 1.2e-7 x above. */
VEC_INLINE vfloat vmath_gelu_tanh(vfloat x)
{
    const vfloat s = vec_fma(x * x, vec_set(-7.1354814e-2f), vec_set(-1.5957691f));
    return x / (vec_set(1.0f) + vmath_exp(x * s)); /* x s = -2u */
}

#endif
