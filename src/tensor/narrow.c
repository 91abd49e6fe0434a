/* narrow.c  Plain types, and blocks of 32 with one scale. Sums and products in the order written. */
#include "tensor/narrow.h"

#include <math.h>
#include <string.h>

#include "tensor/narrow_k.h"

/* ---- fp8 ---- */

/* Round the bits of |x| to a float with fewer digits: `drop` lost of 23, exponents from `bias`. */
static uint8_t round_bits(float size, int drop, int bias)
{
    uint32_t bits;
    memcpy(&bits, &size, sizeof bits);
    bits += (1u << (drop - 1)) - 1 + (bits >> drop & 1);
    return (uint8_t)((bits >> drop) - ((uint32_t)(127 - bias) << (23 - drop)));
}

/* least: smallest normal number; unit: subnormals are multiples of it */
static uint8_t to_fp8(float x, int drop, int bias, float largest, float least, float unit)
{
    const uint8_t sign = signbit(x) ? 0x80 : 0;
    float size = fabsf(x);
    if (isnan(x)) return 0x7f;
    if (size > largest) size = largest;
    if (size >= least) return sign | round_bits(size, drop, bias);
    return sign | (uint8_t)lrintf(size / unit); /* half to even; 1 / unit is a power of two */
}

static uint8_t to_e4m3(float x)
{
    return to_fp8(x, 20, 7, 448.0f, 0x1p-6f, 0x1p-9f);
}

static uint8_t to_e5m2(float x)
{
    return to_fp8(x, 21, 15, 57344.0f, 0x1p-14f, 0x1p-16f);
}

/* ---- blocks of 32: element i < 16 in the low nibble of byte i, 16 + i in the high one ---- */

enum { BLOCK = 32, HALF = 16 };

static void put_half(uint8_t *to, float x)
{
    const uint16_t bits = dtype_f32_to_f16(x);
    memcpy(to, &bits, sizeof bits);
}

/* The value of largest size, with its sign; the first of equals. */
static float extreme(const float *x)
{
    float size = 0.0f, value = 0.0f;
    for (int i = 0; i < BLOCK; i++)
        if (fabsf(x[i]) > size) {
            size = fabsf(x[i]);
            value = x[i];
        }
    return value;
}

static float inverse(float d)
{
    return d != 0.0f ? 1.0f / d : 0.0f;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Cut off, not rounded: the summand makes it rounding. */
static int cut(float x, float scale, float summand)
{
    const float product = x * scale;
    return (int)(int8_t)(product + summand);
}

static void q4_0(uint8_t *to, const float *x)
{
    const float d = extreme(x) / -8.0f, by = inverse(d);
    put_half(to, d);
    for (int i = 0; i < HALF; i++)
        to[2 + i] =
            (uint8_t)(least(15, cut(x[i], by, 8.5f)) | least(15, cut(x[HALF + i], by, 8.5f)) << 4);
}

/* The fifth bits of all elements go to a word of their own. */
static void put_fives(uint8_t *high, uint8_t *low, const int *q)
{
    uint32_t fifth = 0;
    for (int i = 0; i < HALF; i++) {
        low[i] = (uint8_t)((q[i] & 15) | (q[HALF + i] & 15) << 4);
        fifth |= (uint32_t)(q[i] >> 4 & 1) << i | (uint32_t)(q[HALF + i] >> 4 & 1) << (HALF + i);
    }
    memcpy(high, &fifth, sizeof fifth);
}

static void q5_0(uint8_t *to, const float *x)
{
    const float d = extreme(x) / -16.0f, by = inverse(d);
    int q[BLOCK];
    put_half(to, d);
    for (int i = 0; i < BLOCK; i++)
        q[i] = least(31, cut(x[i], by, 16.5f));
    put_fives(to + 2, to + 6, q);
}

static void range(const float *x, float *low, float *high)
{
    *low = *high = x[0];
    for (int i = 1; i < BLOCK; i++) {
        if (x[i] < *low) *low = x[i];
        if (x[i] > *high) *high = x[i];
    }
}

static void q4_1(uint8_t *to, const float *x)
{
    float low, high;
    range(x, &low, &high);
    const float d = (high - low) / 15.0f, by = inverse(d);
    put_half(to, d);
    put_half(to + 2, low);
    for (int i = 0; i < HALF; i++)
        to[4 + i] = (uint8_t)(least(15, cut(x[i] - low, by, 0.5f)) |
                              least(15, cut(x[HALF + i] - low, by, 0.5f)) << 4);
}

static void q5_1(uint8_t *to, const float *x)
{
    float low, high;
    int q[BLOCK];
    range(x, &low, &high);
    const float d = (high - low) / 31.0f, by = inverse(d);
    put_half(to, d);
    put_half(to + 2, low);
    for (int i = 0; i < BLOCK; i++)
        q[i] = cut(x[i] - low, by, 0.5f);
    put_fives(to + 4, to + 8, q);
}

static void q8_0(uint8_t *to, const float *x)
{
    const float d = fabsf(extreme(x)) / 127.0f, by = inverse(d);
    put_half(to, d);
    for (int i = 0; i < BLOCK; i++)
        to[2 + i] = (uint8_t)(int8_t)roundf(x[i] * by);
}

/* ---- all types ------------------------------------------------------------------------------ */

static NarrowK *block_of(DType type)
{
    switch (type) {
    case DT_Q4_0:
        return q4_0;
    case DT_Q4_1:
        return q4_1;
    case DT_Q5_0:
        return q5_0;
    case DT_Q5_1:
        return q5_1;
    case DT_Q8_0:
        return q8_0;
    case DT_Q2_K:
        return narrow_k_q2;
    case DT_Q4_K:
        return narrow_k_q4;
    case DT_Q5_K:
        return narrow_k_q5;
    case DT_Q6_K:
        return narrow_k_q6;
    default:
        return NULL;
    }
}

bool narrow_has(DType type)
{
    return type == DT_F32 || type == DT_F16 || type == DT_BF16 || type == DT_F8_E4M3 ||
           type == DT_F8_E5M2 || block_of(type);
}

static void narrow_plain(DType type, uint8_t *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t bits;
        switch (type) {
        case DT_F16:
        case DT_BF16:
            bits = type == DT_F16 ? dtype_f32_to_f16(from[i]) : dtype_f32_to_bf16(from[i]);
            memcpy(to + 2 * i, &bits, sizeof bits);
            break;
        case DT_F8_E4M3:
            to[i] = to_e4m3(from[i]);
            break;
        default:
            to[i] = to_e5m2(from[i]);
            break;
        }
    }
}

void narrow_row(DType type, void *to, const float *from, int64_t n)
{
    NarrowK *block = block_of(type);
    const DTypeInfo *info = dtype_info(type);
    uint8_t *at = to;
    if (type == DT_F32)
        memcpy(to, from, (size_t)n * sizeof *from);
    else if (!block)
        narrow_plain(type, at, from, n);
    else
        for (int64_t i = 0; i < n; i += info->block, at += info->bytes)
            block(at, from + i);
}
