/* int8_avx2.c  Products in int8 by tiles of 4 x 16.
 *
 * vpmaddubsw wants one operand unsigned and adds pairs in 16 bits, saturating. With the weight's
 * magnitude as that operand and its sign moved to x, pairs are at most 2 * 127 * 127 = 32258: exact. */
#define BIAS_X 0
#include "compute/cpu/int8_body.h"

#include "compute/cpu/vec.h"

float int8_row_avx2(int8_t *restrict to, const float *restrict x, int64_t n)
{
    return row_body(to, x, n);
}

void int8_peak_avx2(uint32_t *restrict peak, const float *restrict panel, int64_t n)
{
    peak_body(peak, panel, n);
}

void int8_panel_avx2(int8_t *restrict to, int32_t *restrict sum, const float *restrict panel,
                     const float *restrict factor, int64_t n)
{
    panel_body(to, sum, panel, factor, n);
}

enum { TILE_ROWS = 4 };

static __attribute__((noinline)) void store_part(float *c, __m256 y, const float *bias, int64_t n)
{
    float lanes[8];
    _mm256_storeu_ps(lanes, y);
    for (int64_t j = 0; j < n; j++)
        c[j] = bias ? lanes[j] + bias[j] : lanes[j];
}

VEC_INLINE void finish(const Int8Tile *t, int64_t row, int64_t n0, __m256i sum)
{
    const int64_t n = t->cols - n0;
    float *c = t->c + row * t->ldc + n0;
    const float *bias = t->bias ? t->bias + n0 : NULL;
    if (n <= 0) return;
    __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(t->x_scale[row]));
    y = _mm256_mul_ps(y, _mm256_loadu_ps(t->w_scale + n0));
    if (n < 8) {
        store_part(c, y, bias, n);
        return;
    }
    if (bias) y = _mm256_add_ps(y, _mm256_loadu_ps(bias));
    _mm256_storeu_ps(c, y);
}

VEC_INLINE __m256i add_products(__m256i sum, __m256i x, __m256i w, __m256i w_magnitude)
{
    const __m256i pairs = _mm256_maddubs_epi16(w_magnitude, _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* `rows` is a constant where this is inlined. */
VEC_INLINE void tile_rows(const Int8Tile *t, int64_t row, int64_t n0, int rows)
{
    const int8_t *w = t->w + n0 * t->k4 * 4, *x[TILE_ROWS];
    __m256i low[TILE_ROWS], high[TILE_ROWS];
    for (int i = 0; i < TILE_ROWS; i++) {
        x[i] = t->x + (row + (i < rows ? i : 0)) * t->k4 * 4;
        low[i] = high[i] = _mm256_setzero_si256();
    }
    for (int64_t k = 0; k < t->k4; k++, w += 4 * PANEL) {
        const __m256i w0 = _mm256_load_si256((const __m256i *)(const void *)w),
                      w1 = _mm256_load_si256((const __m256i *)(const void *)(w + 32)),
                      m0 = _mm256_abs_epi8(w0), m1 = _mm256_abs_epi8(w1);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            int four;
            memcpy(&four, x[i] + 4 * k, sizeof four);
            const __m256i v = _mm256_set1_epi32(four);
            low[i] = add_products(low[i], v, w0, m0);
            high[i] = add_products(high[i], v, w1, m1);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
        finish(t, row + i, n0, low[i]);
        finish(t, row + i, n0 + 8, high[i]);
    }
}

void int8_block_avx2(const Int8Tile *t)
{
    for (int64_t row = 0; row < t->rows; row += TILE_ROWS)
        for (int64_t n0 = 0; n0 < t->cols; n0 += PANEL)
            switch (t->rows - row) {
            case 1:
                tile_rows(t, row, n0, 1);
                break;
            case 2:
                tile_rows(t, row, n0, 2);
                break;
            case 3:
                tile_rows(t, row, n0, 3);
                break;
            default:
                tile_rows(t, row, n0, TILE_ROWS);
            }
}
