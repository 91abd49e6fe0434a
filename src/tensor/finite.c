/* finite.c  An exponent of all ones means NaN or infinity; e4m3 has no infinity, and one NaN. */
#include "tensor/finite.h"

#include <string.h>

static bool bad16(const unsigned char *at, uint16_t ones)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return (v & ones) == ones;
}

static bool bad32(const unsigned char *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return (v & 0x7f800000u) == 0x7f800000u;
}

static bool bad64(const unsigned char *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return (v & 0x7ff0000000000000u) == 0x7ff0000000000000u;
}

enum { F16_ONES = 0x7c00, BF16_ONES = 0x7f80 };

/* Where the binary16 scales of a block lie (formats.md 3.3); the second may be absent (-1). */
static void scale_places(DType type, int place[2])
{
    place[0] = 0;
    place[1] = -1;
    switch (type) {
    case DT_Q4_1:
    case DT_Q5_1:
    case DT_Q4_K:
    case DT_Q5_K:
        place[1] = 2;
        break;
    case DT_Q2_K:
        place[0] = 80;
        place[1] = 82;
        break;
    case DT_Q3_K:
        place[0] = 108;
        break;
    case DT_Q6_K:
        place[0] = 208;
        break;
    case DT_NF4: /* their scales are tensors of their own */
    case DT_FP4:
        place[0] = -1;
        break;
    default:
        break;
    }
}

static bool bad_block(const unsigned char *at, const int place[2])
{
    return (place[0] >= 0 && bad16(at + place[0], F16_ONES)) ||
           (place[1] >= 0 && bad16(at + place[1], F16_ONES));
}

static bool bad_element(DType type, const unsigned char *at, const int place[2])
{
    switch (type) {
    case DT_F32:
        return bad32(at);
    case DT_F64:
        return bad64(at);
    case DT_F16:
        return bad16(at, F16_ONES);
    case DT_BF16:
        return bad16(at, BF16_ONES);
    case DT_F8_E4M3:
        return (*at & 0x7f) == 0x7f;
    case DT_F8_E5M2:
        return (*at & 0x7c) == 0x7c;
    default:
        return dtype_info(type)->block > 1 && bad_block(at, place);
    }
}

/* The same loop with the type known: the compiler makes vectors of the common ones. */
static bool none_bad16(const unsigned char *at, size_t n, uint16_t ones)
{
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= bad16(at + 2 * i, ones);
    return bad == 0;
}

static bool none_bad32(const unsigned char *at, size_t n)
{
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= bad32(at + 4 * i);
    return bad == 0;
}

int64_t finite_find(DType type, const void *data, size_t bytes)
{
    const size_t size = (size_t)dtype_info(type)->bytes, n = bytes / size;
    const unsigned char *at = data;
    int place[2];
    if (type == DT_F32 && none_bad32(at, n)) return -1;
    if (type == DT_F16 && none_bad16(at, n, F16_ONES)) return -1;
    if (type == DT_BF16 && none_bad16(at, n, BF16_ONES)) return -1;
    scale_places(type, place);
    if (dtype_info(type)->block > 1 && place[0] < 0) return -1;
    for (size_t i = 0; i < n; i++)
        if (bad_element(type, at + i * size, place)) return (int64_t)i;
    return -1;
}
