/* narrow_four.c  A code is the number of thresholds below the value, thresholds lie halfway. */
#include "tensor/narrow_four.h"

#include <math.h>
#include <string.h>

#include "base/sort.h"

static const float NF4[16] = {
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
static const float FP4[16] = {
    0.0f,  0.005208333333f,  0.66666667f,  1.0f,  0.33333333f,  0.5f,  0.16666667f,  0.25f,
    -0.0f, -0.005208333333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f,
};

const float *narrow_four_values(DType type)
{
    return type == DT_NF4 ? NF4 : FP4;
}

/* ---- codes ---- */

enum { PIECE = 64 /* even */, NF4_ZERO = 7 };

/* Codes of n <= PIECE values: threshold by threshold, so that values become vectors. */
static void nf4_codes(const float *threshold, const float *y, int32_t *code, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        code[i] = 0;
    for (int t = 0; t < 15; t++)
        for (int64_t i = 0; i < n; i++)
            code[i] += y[i] > threshold[t];
}

/* Codes of FP4 by size. */
static uint8_t fp4_code(float y)
{
    static const struct {
        float above;
        uint8_t code;
    } STEPS[] = { { 0.00260417f, 1 }, { 0.0859375f, 6 }, { 0.20833333f, 7 }, { 0.29166667f, 4 },
                  { 0.4166667f, 5 },  { 0.583333f, 2 },  { 0.8333333f, 3 } };
    const float size = fabsf(y);
    uint8_t code = 0;
    for (int i = 0; i < 7 && size > STEPS[i].above; i++)
        code = STEPS[i].code;
    return code | (y < 0.0f ? 8 : 0);
}

/* High nibble first; beside an odd last one lies that of zero. */
static void put_codes(uint8_t *to, const int32_t *code, int64_t n, int32_t zero)
{
    for (int64_t i = 0; i + 1 < n; i += 2)
        to[i / 2] = (uint8_t)(code[i] << 4 | code[i + 1]);
    if (n % 2) to[n / 2] = (uint8_t)(code[n - 1] << 4 | zero);
}

static void narrow_block(DType type, const float *threshold, uint8_t *to, float *absmax,
                         const float *from, int64_t n)
{
    float most = 0.0f;
    for (int64_t i = 0; i < n; i++)
        if (fabsf(from[i]) > most) most = fabsf(from[i]);
    *absmax = most;
    const float by = 1.0f / (most > 1e-38f ? most : 1e-38f); /* all zeros: code of zero */
    for (int64_t k = 0; k < n; k += PIECE) {
        const int64_t m = n - k < PIECE ? n - k : PIECE;
        float y[PIECE];
        int32_t code[PIECE];
        for (int64_t i = 0; i < m; i++)
            y[i] = from[k + i] * by;
        if (type == DT_NF4)
            nf4_codes(threshold, y, code, m);
        else
            for (int64_t i = 0; i < m; i++)
                code[i] = fp4_code(y[i]);
        put_codes(to + k / 2, code, m, type == DT_NF4 ? NF4_ZERO : 0);
    }
}

void narrow_four(DType type, uint8_t *to, float *absmax, const float *from, int64_t n,
                 int64_t block)
{
    float threshold[15];
    for (int i = 0; i < 15; i++)
        threshold[i] = (NF4[i] + NF4[i + 1]) / 2.0f;
    for (int64_t i = 0; i < n; i += block)
        narrow_block(type, threshold, to + i / 2, absmax++, from + i,
                     n - i < block ? n - i : block);
}

/* ---- eight-bit scales ----------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Point i of n from 0.1 to 1 as torch's linspace gives it: from the nearer end, rounded once. */
static float point(int i, int n)
{
    const float begin = 0.1f, end = 1.0f, step = (end - begin) / (float)(n - 1);
    return i < n / 2 ? (float)((double)begin + (double)step * i)
                     : (float)((double)end - (double)step * (n - 1 - i));
}

/* For each of seven powers of ten 2^e middles of that range, both signs; 0 and 1 complete it. */
void narrow_four_map(float map[NARROW_FOUR_MAP])
{
    static const float POWER[] = { 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f };
    float value[NARROW_FOUR_MAP];
    const void *order[NARROW_FOUR_MAP], *scratch[NARROW_FOUR_MAP];
    int n = 0;
    for (int e = 0; e < 7; e++)
        for (int i = 0; i < 1 << e; i++) {
            const int points = (1 << e) + 1;
            const float middle = (point(i, points) + point(i + 1, points)) / 2.0f;
            value[n++] = POWER[e] * middle;
            value[n++] = -POWER[e] * middle;
        }
    value[n++] = 0.0f;
    value[n++] = 1.0f;
    for (int i = 0; i < n; i++)
        order[i] = &value[i];
    sort_pointers(order, scratch, (size_t)n, by_value);
    for (int i = 0; i < n; i++)
        map[i] = *(const float *)order[i];
}

float narrow_four_offset(const float *absmax, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)absmax[i];
    return n ? (float)(sum / (double)n) : 0.0f;
}

/* Number of thresholds below y, by halving. */
static uint8_t nearest(const float *map, float y)
{
    int low = 0, high = NARROW_FOUR_MAP - 1;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (y > (map[middle] + map[middle + 1]) / 2.0f)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)low;
}

void narrow_four_nest(const float map[NARROW_FOUR_MAP], float offset, const float *absmax,
                      int64_t n, uint8_t *codes, float *nested)
{
    for (int64_t b = 0; b < n; b += SCALING_NESTED) {
        const int64_t end = n - b < SCALING_NESTED ? n : b + SCALING_NESTED;
        float most = 0.0f;
        for (int64_t i = b; i < end; i++)
            if (fabsf(absmax[i] - offset) > most) most = fabsf(absmax[i] - offset);
        const float by = 1.0f / (most > 1e-38f ? most : 1e-38f);
        for (int64_t i = b; i < end; i++)
            codes[i] = nearest(map, (absmax[i] - offset) * by);
        nested[b / SCALING_NESTED] = most;
    }
}
