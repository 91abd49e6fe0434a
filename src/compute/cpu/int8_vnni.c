/* int8_vnni.c  Products in int8 by vpdpbusd, tiles of 12 x 16.
 *
 * It multiplies unsigned by signed bytes and adds four products without saturation. The bytes of x
 * are kept with 128 added, and 128 times the sum of the weights is taken off at the end: exact. */
#define BIAS_X 128
#include "compute/cpu/int8_body.h"

#include "compute/cpu/vec.h"

float int8_row_vnni(int8_t *restrict to, const float *restrict x, int64_t n)
{
    return row_body(to, x, n);
}

void int8_peak_vnni(uint32_t *restrict peak, const float *restrict panel, int64_t n)
{
    peak_body(peak, panel, n);
}

void int8_panel_vnni(int8_t *restrict to, int32_t *restrict sum, const float *restrict panel,
                     const float *restrict factor, int64_t n)
{
    panel_body(to, sum, panel, factor, n);
}

enum { TILE_ROWS = 12 };

VEC_INLINE void finish(const Int8Tile *t, int64_t row, int64_t n0, __m512i sum)
{
    const int64_t n = t->cols - n0;
    const __mmask16 mask = n < 16 ? (__mmask16)((1u << n) - 1u) : (__mmask16)0xffff;
    const __m512i bias = _mm512_slli_epi32(_mm512_loadu_si512(t->w_sum + n0), 7);
    float *c = t->c + row * t->ldc + n0;
    sum = _mm512_sub_epi32(sum, bias);
    __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(t->x_scale[row]));
    y = _mm512_mul_ps(y, _mm512_loadu_ps(t->w_scale + n0));
    if (t->bias) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, t->bias + n0));
    _mm512_mask_storeu_ps(c, mask, y);
}

/* `rows` is a constant where this is inlined. */
VEC_INLINE void tile_rows(const Int8Tile *t, int64_t row, int64_t n0, int rows)
{
    const int8_t *w = t->w + n0 * t->k4 * 4, *x = t->x + row * t->k4 * 4;
    const int64_t pitch = t->k4 * 4;
    __m512i sum[TILE_ROWS];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        sum[i] = _mm512_setzero_si512();
    for (int64_t k = 0; k < t->k4; k++, w += 4 * PANEL, x += 4) {
        const __m512i v = _mm512_load_si512(w);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            int four;
            memcpy(&four, x + i * pitch, sizeof four);
            sum[i] = _mm512_dpbusd_epi32(sum[i], _mm512_set1_epi32(four), v);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        finish(t, row + i, n0, sum[i]);
}

void int8_block_vnni(const Int8Tile *t)
{
    int64_t rows;
    for (int64_t row = 0; row < t->rows; row += rows) {
        const int64_t left = t->rows - row;
        rows = left >= 12 ? 12 : left >= 4 ? 4 : 1;
        for (int64_t n0 = 0; n0 < t->cols; n0 += PANEL)
            if (rows == 12)
                tile_rows(t, row, n0, 12);
            else if (rows == 4)
                tile_rows(t, row, n0, 4);
            else
                tile_rows(t, row, n0, 1);
    }
}
