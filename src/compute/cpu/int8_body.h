/* int8_body.h  Rows and panels to bytes, in plain C that compilers turn into vectors: included once by
 * each instruction set's file. BIAS_X: what is added to the bytes of x (VNNI wants them unsigned). */
#include <math.h>
#include <string.h>

#include "compute/cpu/kernels.h"

static inline uint32_t magnitude_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits &
           0x7fffffffu; /* as integers they have the order of the numbers; NaN is above all */
}

/* To the nearest, halves to even, for |x| < 2^22: the sum has no bits left below one. */
static inline int32_t nearest(float x)
{
    const float sum = x + 12582912.0f; /* 1.5 * 2^23 */
    int32_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return bits - 0x4b400000;
}

static inline float row_body(int8_t *restrict to, const float *restrict x, int64_t n)
{
    uint32_t peak = 0;
    float factor;
    for (int64_t k = 0; k < n; k++) {
        const uint32_t bits = magnitude_bits(x[k]);
        peak = bits > peak ? bits : peak;
    }
    const float scale = int8_scale(peak, &factor);
    if (factor == 0.0f)
        memset(to, BIAS_X, (size_t)n);
    else
        for (int64_t k = 0; k < n; k++)
            to[k] = (int8_t)(uint8_t)(nearest(x[k] * factor) + BIAS_X);
    for (int64_t k = n; k % 4; k++)
        to[k] = (int8_t)(uint8_t)BIAS_X;
    return scale;
}

static inline void peak_body(uint32_t *restrict peak, const float *restrict panel, int64_t n)
{
    uint32_t most[PANEL];
    memcpy(most, peak, sizeof most);
    for (int64_t k = 0; k < n; k++)
        for (int j = 0; j < PANEL; j++) {
            const uint32_t bits = magnitude_bits(panel[k * PANEL + j]);
            most[j] = bits > most[j] ? bits : most[j];
        }
    memcpy(peak, most, sizeof most);
}

static inline void panel_body(int8_t *restrict to, int32_t *restrict sum,
                              const float *restrict panel, const float *restrict factor, int64_t n)
{
    int32_t sums[PANEL];
    memcpy(sums, sum, sizeof sums);
    int64_t k = 0;
    for (; k + 4 <= n; k += 4) {
        const float *p = panel + k * PANEL;
        uint32_t four[PANEL];
        for (int j = 0; j < PANEL; j++) {
            const int32_t a = nearest(p[j] * factor[j]), b = nearest(p[PANEL + j] * factor[j]),
                          c = nearest(p[2 * PANEL + j] * factor[j]),
                          d = nearest(p[3 * PANEL + j] * factor[j]);
            sums[j] += a + b + c + d;
            four[j] = ((uint32_t)a & 255u) | ((uint32_t)b & 255u) << 8 |
                      ((uint32_t)c & 255u) << 16 | (uint32_t)d << 24;
        }
        memcpy(to + k * PANEL, four, sizeof four); /* little-endian: the first term is lowest */
    }
    if (k < n) memset(to + k * PANEL, 0, 4 * PANEL);
    for (int64_t i = k; i < n; i++)
        for (int j = 0; j < PANEL; j++) {
            const int32_t q = nearest(panel[i * PANEL + j] * factor[j]);
            sums[j] += q;
            to[k * PANEL + j * 4 + (i - k)] = (int8_t)q;
        }
    memcpy(sum, sums, sizeof sums);
}
