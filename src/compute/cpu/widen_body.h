/* widen_body.h  From stored terms of one row to f32: the text every instruction set compiles.
 *
 * widen_ref.c includes it plainly: that is the meaning. widen_<isa>.c include it under their own
 * flags, where the compiler turns the loops into vector code; every product and sum below is one
 * IEEE rounding (no contraction), so the bits are the same. Everything is static: see vec.h.
 * Layouts and formulas: formats.md 3.3 (ggml blocks), 5.2 (NF4, FP4). Little-endian machines. */
#ifndef CPU_WIDEN_BODY_H
#define CPU_WIDEN_BODY_H

#include <string.h>

#include "compute/cpu/stored.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

#define WIDEN static inline __attribute__((unused))

WIDEN float half_at(const uint8_t *at) /* blocks are 2-aligned at best */
{
#if defined(__F16C__)
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return _cvtsh_ss(bits);
#elif defined(__aarch64__)
    __fp16 value;
    memcpy(&value, at, sizeof value);
    return (float)value;
#else
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return dtype_f16_to_f32(bits);
#endif
}

/* ---- blocks of 32: element i < 16 in the low nibble of qs[i], 16 + i in the high one ---- */

WIDEN void widen_q4_0(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b);
    for (int i = 0; i < 16; i++) {
        to[i] = d * (float)((b[2 + i] & 15) - 8);
        to[16 + i] = d * (float)((b[2 + i] >> 4) - 8);
    }
}

WIDEN void widen_q4_1(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < 16; i++) {
        to[i] = d * (float)(b[4 + i] & 15) + m;
        to[16 + i] = d * (float)(b[4 + i] >> 4) + m;
    }
}

WIDEN uint32_t word_at(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

WIDEN void widen_q5_0(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b);
    const uint32_t high = word_at(b + 2); /* fifth bits */
    for (int i = 0; i < 16; i++) {
        const int low = (b[6 + i] & 15) | (int)(high >> i & 1) << 4;
        const int upper = (b[6 + i] >> 4) | (int)(high >> (i + 16) & 1) << 4;
        to[i] = d * (float)(low - 16);
        to[16 + i] = d * (float)(upper - 16);
    }
}

WIDEN void widen_q5_1(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b), m = half_at(b + 2);
    const uint32_t high = word_at(b + 4);
    for (int i = 0; i < 16; i++) {
        const int low = (b[8 + i] & 15) | (int)(high >> i & 1) << 4;
        const int upper = (b[8 + i] >> 4) | (int)(high >> (i + 16) & 1) << 4;
        to[i] = d * (float)low + m;
        to[16 + i] = d * (float)upper + m;
    }
}

WIDEN void widen_q8_0(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b);
    for (int i = 0; i < 32; i++)
        to[i] = d * (float)(int8_t)b[2 + i];
}

static const float IQ4_VALUES[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113 };

WIDEN void widen_iq4_nl(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b);
    for (int i = 0; i < 16; i++) {
        to[i] = d * IQ4_VALUES[b[2 + i] & 15];
        to[16 + i] = d * IQ4_VALUES[b[2 + i] >> 4];
    }
}

/* ---- blocks of 256; h = half of 128, k = 32 elements of it ---- */

WIDEN void widen_q2_k(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b + 80), dmin = half_at(b + 82);
    for (int run = 0; run < 16; run++) { /* 16 elements with one scale */
        const uint8_t *qs = b + 16 + 32 * (run / 8) + 16 * (run % 2);
        const int shift = run % 8 / 2 * 2;
        const float scale = d * (float)(b[run] & 15), min = dmin * (float)(b[run] >> 4);
        for (int i = 0; i < 16; i++)
            to[16 * run + i] = scale * (float)(qs[i] >> shift & 3) - min;
    }
}

/** 6-bit scale of 16 elements, less 32. */
WIDEN int q3_scale(const uint8_t *scales, int run)
{
    const int low = run < 8 ? scales[run] & 15 : scales[run - 8] >> 4;
    return (low | (scales[8 + run % 4] >> (run / 4 * 2) & 3) << 4) - 32;
}

WIDEN void widen_q3_k(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b + 108);
    for (int run = 0; run < 16; run++) {
        const int h = run / 8, k = run % 8 / 2, first = 16 * (run % 2);
        const uint8_t *high = b + first, *qs = b + 32 + 32 * h + first;
        const float scale = d * (float)q3_scale(b + 96, run);
        for (int i = 0; i < 16; i++) {
            const int q = (qs[i] >> 2 * k & 3) - (high[i] >> (4 * h + k) & 1 ? 0 : 4);
            to[16 * run + i] = scale * (float)q;
        }
    }
}

/** 6-bit scale and minimum of 32 elements, j = 0..7, out of 12 bytes (Q4_K, Q5_K). */
WIDEN void k_scale(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}

WIDEN void widen_q4_k(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    for (int j = 0; j < 8; j++) {
        const uint8_t *qs = b + 16 + 32 * (j / 2);
        const int shift = 4 * (j & 1);
        int scale, min;
        k_scale(b + 4, j, &scale, &min);
        const float by = d * (float)scale, less = dmin * (float)min;
        for (int i = 0; i < 32; i++)
            to[32 * j + i] = by * (float)(qs[i] >> shift & 15) - less;
    }
}

WIDEN void widen_q5_k(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b), dmin = half_at(b + 2);
    const uint8_t *high = b + 16;
    for (int j = 0; j < 8; j++) {
        const uint8_t *qs = b + 48 + 32 * (j / 2);
        const int shift = 4 * (j & 1);
        int scale, min;
        k_scale(b + 4, j, &scale, &min);
        const float by = d * (float)scale, less = dmin * (float)min;
        for (int i = 0; i < 32; i++) {
            const int q = (qs[i] >> shift & 15) | (high[i] >> j & 1) << 4;
            to[32 * j + i] = by * (float)q - less;
        }
    }
}

WIDEN void widen_q6_k(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b + 208);
    for (int run = 0; run < 16; run++) {
        const int h = run / 8, k = run % 8 / 2, first = 16 * (run % 2);
        const uint8_t *low = b + 64 * h + 32 * (k & 1) + first;
        const uint8_t *high = b + 128 + 32 * h + first;
        const int shift = 4 * (k >> 1);
        const float scale = d * (float)(int8_t)b[192 + run];
        for (int i = 0; i < 16; i++) {
            const int q = (low[i] >> shift & 15) | (high[i] >> 2 * k & 3) << 4;
            to[16 * run + i] = scale * (float)(q - 32);
        }
    }
}

WIDEN void widen_iq4_xs(float *restrict to, const uint8_t *restrict b)
{
    const float d = half_at(b);
    const int scales_high = b[2] | b[3] << 8;
    for (int j = 0; j < 8; j++) {
        const int scale = (b[4 + j / 2] >> 4 * (j & 1) & 15) | (scales_high >> 2 * j & 3) << 4;
        const float by = d * (float)(scale - 32);
        for (int i = 0; i < 32; i++)
            to[32 * j + i] = by * IQ4_VALUES[b[8 + 16 * j + i % 16] >> 4 * (i / 16) & 15];
    }
}

WIDEN void widen_block(DType type, float *restrict to, const uint8_t *restrict b)
{
    switch (type) {
    case DT_Q4_0:
        widen_q4_0(to, b);
        break;
    case DT_Q4_1:
        widen_q4_1(to, b);
        break;
    case DT_Q5_0:
        widen_q5_0(to, b);
        break;
    case DT_Q5_1:
        widen_q5_1(to, b);
        break;
    case DT_Q8_0:
        widen_q8_0(to, b);
        break;
    case DT_Q2_K:
        widen_q2_k(to, b);
        break;
    case DT_Q3_K:
        widen_q3_k(to, b);
        break;
    case DT_Q4_K:
        widen_q4_k(to, b);
        break;
    case DT_Q5_K:
        widen_q5_k(to, b);
        break;
    case DT_Q6_K:
        widen_q6_k(to, b);
        break;
    case DT_IQ4_NL:
        widen_iq4_nl(to, b);
        break;
    default:
        widen_iq4_xs(to, b);
        break;
    }
}

enum { WIDEN_MAX_BLOCK = 256 };

/** Terms k0 .. k0 + n - 1 of a row, from inside a block to inside another. Blocks run on across
 *  rows, as in convolutions that were cut into rows of 256 before they were quantised. */
WIDEN void widen_blocks(float *restrict to, const Stored *w, int64_t row, int64_t k0, int64_t n)
{
    const DTypeInfo *info = dtype_info(w->type);
    const int64_t block = info->block;
    const int64_t e = w->first + row * w->cols + k0;
    const uint8_t *from = (const uint8_t *)w->data + e / block * info->bytes;
    for (int64_t skip = e % block; n > 0; skip = 0, from += info->bytes) {
        const int64_t here = n < block - skip ? n : block - skip;
        if (here == block) {
            widen_block(w->type, to, from);
        } else {
            float whole[WIDEN_MAX_BLOCK];
            widen_block(w->type, whole, from);
            memcpy(to, whole + skip, (size_t)here * sizeof *to);
        }
        to += here;
        n -= here;
    }
}

/* ---- NF4 and FP4: high nibble first, scale blocks run on across rows ---- */

static const float NF4_VALUES[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};
static const float FP4_VALUES[16] = {
    0.0f,  0.005208333333f,  0.66666667f,  1.0f,  0.33333333f,  0.5f,  0.16666667f,  0.25f,
    -0.0f, -0.005208333333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f,
};

enum { NESTED_BLOCK = 256 }; /* scales per second-level scale */

WIDEN float absmax_of(const StoredAbsmax *s, int64_t block)
{
    if (s->absmax) return s->absmax[block];
    const float product = s->map[s->codes[block]] * s->nested[block / NESTED_BLOCK];
    return product + s->offset;
}

WIDEN const float *four_bit_values(DType type)
{
    return type == DT_NF4 ? NF4_VALUES : FP4_VALUES;
}

/** Elements e .. e + n - 1 of the flattened weight, all under one scale. */
WIDEN void widen_nibbles(float *restrict to, const uint8_t *restrict data, const float *values,
                         int64_t e, int64_t n, float absmax)
{
    for (int64_t i = 0; i < n; i++, e++) {
        const int code = e & 1 ? data[e / 2] & 15 : data[e / 2] >> 4;
        to[i] = values[code] * absmax;
    }
}

/** A run of nibbles as above; widen_four calls it once per scale. */
typedef void WidenNibbles(float *restrict to, const uint8_t *restrict data, const float *values,
                          int64_t e, int64_t n, float absmax);

static inline __attribute__((always_inline, unused)) void widen_four(float *restrict to,
                                                                     const Stored *w, int64_t row,
                                                                     int64_t k0, int64_t n,
                                                                     WidenNibbles *nibbles)
{
    int64_t e = w->first + row * w->cols + k0;
    while (n > 0) {
        const int64_t block = e / w->four.block, left = (block + 1) * w->four.block - e;
        const int64_t here = n < left ? n : left;
        nibbles(to, w->data, four_bit_values(w->type), e, here, absmax_of(&w->four, block));
        to += here;
        e += here;
        n -= here;
    }
}

#endif
