/* dtype.c  The table of types and the scalar conversions every kernel is held to. */
#include "tensor/dtype.h"

#include <string.h>

#include "base/size.h"

static const DTypeInfo INFO[DT_COUNT] = {
    /* clang-format off */
    [DT_F32] = { "F32", 1, 4 },          [DT_F16] = { "F16", 1, 2 },
    [DT_BF16] = { "BF16", 1, 2 },        [DT_F8_E4M3] = { "F8_E4M3", 1, 1 },
    [DT_F8_E5M2] = { "F8_E5M2", 1, 1 },  [DT_F64] = { "F64", 1, 8 },
    [DT_I8] = { "I8", 1, 1 },            [DT_U8] = { "U8", 1, 1 },
    [DT_I16] = { "I16", 1, 2 },          [DT_U16] = { "U16", 1, 2 },
    [DT_I32] = { "I32", 1, 4 },          [DT_U32] = { "U32", 1, 4 },
    [DT_I64] = { "I64", 1, 8 },          [DT_U64] = { "U64", 1, 8 },
    [DT_BOOL] = { "BOOL", 1, 1 },        [DT_NF4] = { "NF4", 2, 1 },
    [DT_FP4] = { "FP4", 2, 1 },          [DT_Q4_0] = { "Q4_0", 32, 18 },
    [DT_Q4_1] = { "Q4_1", 32, 20 },      [DT_Q5_0] = { "Q5_0", 32, 22 },
    [DT_Q5_1] = { "Q5_1", 32, 24 },      [DT_Q8_0] = { "Q8_0", 32, 34 },
    [DT_Q2_K] = { "Q2_K", 256, 84 },     [DT_Q3_K] = { "Q3_K", 256, 110 },
    [DT_Q4_K] = { "Q4_K", 256, 144 },    [DT_Q5_K] = { "Q5_K", 256, 176 },
    [DT_Q6_K] = { "Q6_K", 256, 210 },    [DT_IQ4_NL] = { "IQ4_NL", 32, 18 },
    [DT_IQ4_XS] = { "IQ4_XS", 256, 136 },
    /* clang-format on */
};

const DTypeInfo *dtype_info(DType type)
{
    return &INFO[type];
}

const char *dtype_name(DType type)
{
    return INFO[type].name;
}

DType dtype_find(const char *name)
{
    for (int i = 0; i < DT_COUNT; i++)
        if (strcmp(INFO[i].name, name) == 0) return (DType)i;
    return DT_COUNT;
}

bool dtype_bytes(DType type, int64_t n, size_t *out)
{
    const DTypeInfo *info = &INFO[type];
    if (n < 0) return false;
    if (info->block == 1) return size_mul((size_t)n, (size_t)info->bytes, out); /* no division */
    if (n % info->block != 0) return false;
    return size_mul((size_t)(n / info->block), (size_t)info->bytes, out);
}

bool dtype_is_weight(DType type)
{
    switch (type) {
    case DT_F32:
    case DT_F16:
    case DT_BF16:
    case DT_F8_E4M3:
    case DT_F8_E5M2:
    case DT_I8:
        return true;
    default:
        return type < DT_COUNT && INFO[type].block > 1;
    }
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float dtype_f16_to_f32(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 31u, fraction = bits & 1023u;
    if (exponent == 31) return float_of(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24, exact in f32 */
        float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t dtype_f32_to_f16(float x)
{
    const uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return 0x7e00;                     /* NaN */
    if (size >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* >= 65520 rounds to infinity */
    if (size < 0x38800000u) {                                  /* subnormal: units of 2^-24 */
        float scaled = float_of(size) * 0x1p24f;
        uint32_t whole = (uint32_t)scaled;
        float rest = scaled - (float)whole;
        if (rest > 0.5f || (rest == 0.5f && (whole & 1))) whole++;
        return (uint16_t)(sign | whole);
    }
    uint32_t rounded = size + 0xfffu + (size >> 13 & 1);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

float dtype_bf16_to_f32(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t dtype_f32_to_bf16(float x)
{
    const uint32_t bits = bits_of(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

float dtype_e4m3_to_f32(uint8_t bits)
{
    const float sign = bits & 0x80 ? -1.0f : 1.0f;
    const int exponent = bits >> 3 & 15, fraction = bits & 7;
    if (exponent == 15 && fraction == 7) return float_of(0x7fc00000u);
    if (exponent == 0) return sign * (float)fraction * 0x1p-9f;
    return sign * float_of((uint32_t)(exponent + 120) << 23 | (uint32_t)fraction << 20);
}

float dtype_e5m2_to_f32(uint8_t bits)
{
    return dtype_f16_to_f32((uint16_t)(bits << 8)); /* the upper half of a binary16 */
}

static float widen_one(DType type, const unsigned char *at)
{
    switch (type) {
    case DT_F16: {
        uint16_t v;
        memcpy(&v, at, sizeof v);
        return dtype_f16_to_f32(v);
    }
    case DT_BF16: {
        uint16_t v;
        memcpy(&v, at, sizeof v);
        return dtype_bf16_to_f32(v);
    }
    case DT_F64: {
        double v;
        memcpy(&v, at, sizeof v);
        return (float)v;
    }
    case DT_I16: {
        int16_t v;
        memcpy(&v, at, sizeof v);
        return (float)v;
    }
    case DT_U16: {
        uint16_t v;
        memcpy(&v, at, sizeof v);
        return (float)v;
    }
    case DT_I32: {
        int32_t v;
        memcpy(&v, at, sizeof v);
        return (float)v;
    }
    case DT_U32: {
        uint32_t v;
        memcpy(&v, at, sizeof v);
        return (float)v;
    }
    case DT_I64: {
        int64_t v;
        memcpy(&v, at, sizeof v);
        return (float)v;
    }
    case DT_U64: {
        uint64_t v;
        memcpy(&v, at, sizeof v);
        return (float)v;
    }
    case DT_F8_E4M3:
        return dtype_e4m3_to_f32(*at);
    case DT_F8_E5M2:
        return dtype_e5m2_to_f32(*at);
    case DT_I8:
        return (float)(int8_t)*at;
    case DT_U8:
    case DT_BOOL:
    default:
        return (float)*at;
    }
}

/* The commonest type, in a loop that becomes vectors. */
static void widen_bf16(const unsigned char *at, float *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t v;
        memcpy(&v, at + 2 * i, sizeof v);
        to[i] = float_of((uint32_t)v << 16);
    }
}

bool dtype_widen(DType type, const void *from, float *to, int64_t n)
{
    const DTypeInfo *info = &INFO[type];
    if (info->block != 1) return false;
    const unsigned char *at = from;
    if (type == DT_F32) {
        memcpy(to, from, (size_t)n * sizeof *to);
        return true;
    }
    if (type == DT_BF16) {
        widen_bf16(at, to, n);
        return true;
    }
    for (int64_t i = 0; i < n; i++, at += info->bytes)
        to[i] = widen_one(type, at);
    return true;
}
