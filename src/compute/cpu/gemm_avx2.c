/* gemm_avx2.c  Product blocks by tiles of 6 rows x 16 columns: 12 accumulators, 2 vectors of the
 * panel, 1 broadcast of x = 15 of 16 registers.
 *
 * The accumulators are twelve named variables: gcc 12 keeps an array of them in memory and stores
 * all twelve on every k (66 instead of 186 GFLOP/s on Zen 3). */
#include <immintrin.h>

#include "compute/cpu/kernels.h"

enum { TILE_ROWS = 6 };

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)

/** The last panel may have fewer than 16 columns. Apart, or it is unrolled into every tile. */
static __attribute__((noinline)) void finish_part(const GemmTile *tile, int64_t row, int64_t n0,
                                                  const float *sums)
{
    float *c = tile->c[row] + n0;
    for (int64_t j = 0; j < tile->cols - n0; j++) {
        const float sum = tile->add ? c[j] + sums[j] : sums[j];
        c[j] = tile->bias ? sum + tile->bias[n0 + j] : sum;
    }
}

/** Add to the old value, add the bias, store. */
static inline __attribute__((always_inline)) void finish(const GemmTile *tile, int64_t row,
                                                         int64_t n0, __m256 low, __m256 high)
{
    if (tile->cols - n0 < PANEL) {
        float sums[PANEL];
        _mm256_storeu_ps(sums, low);
        _mm256_storeu_ps(sums + 8, high);
        finish_part(tile, row, n0, sums);
        return;
    }
    float *c = tile->c[row] + n0;
    if (tile->add) {
        low = _mm256_add_ps(_mm256_loadu_ps(c), low);
        high = _mm256_add_ps(_mm256_loadu_ps(c + 8), high);
    }
    if (tile->bias) {
        low = _mm256_add_ps(low, _mm256_loadu_ps(tile->bias + n0));
        high = _mm256_add_ps(high, _mm256_loadu_ps(tile->bias + n0 + 8));
    }
    _mm256_storeu_ps(c, low);
    _mm256_storeu_ps(c + 8, high);
}

/** `rows` (a constant where this is inlined) rows from `row` on, against one panel. */
static inline __attribute__((always_inline)) void tile_rows(const GemmTile *tile, int64_t row,
                                                            int64_t n0, const float *b, int rows)
{
    const int64_t n_taps = tile->tap ? tile->n_taps : 1;
#define ZERO(i) __m256 low##i = _mm256_setzero_ps(), high##i = low##i;
    EACH_ROW(ZERO)
    for (int64_t t = 0; t < n_taps; t++) {
        const int64_t offset = tile->tap ? tile->tap[t] : 0;
#define POINT(i) const float *a##i = tile->a[row + (i < rows ? i : 0)] + offset;
        EACH_ROW(POINT)
#pragma GCC unroll 4
        for (int64_t k = 0; k < tile->kc; k++, b += PANEL) {
            const __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + 8);
#define STEP(i)                                                                                    \
    if (i < rows) {                                                                                \
        const __m256 x = _mm256_broadcast_ss(a##i + k);                                            \
        low##i = _mm256_fmadd_ps(x, b0, low##i);                                                   \
        high##i = _mm256_fmadd_ps(x, b1, high##i);                                                 \
    }
            EACH_ROW(STEP)
        }
    }
#define FINISH(i)                                                                                  \
    if (i < rows) finish(tile, row + i, n0, low##i, high##i);
    EACH_ROW(FINISH)
}

static void tile_6(const GemmTile *tile, int64_t row, int64_t n0, const float *b)
{
    tile_rows(tile, row, n0, b, 6);
}

static void tile_few(const GemmTile *tile, int64_t row, int64_t n0, const float *b, int64_t rows)
{
    switch (rows) {
    case 1:
        tile_rows(tile, row, n0, b, 1);
        break;
    case 2:
        tile_rows(tile, row, n0, b, 2);
        break;
    case 3:
        tile_rows(tile, row, n0, b, 3);
        break;
    case 4:
        tile_rows(tile, row, n0, b, 4);
        break;
    default:
        tile_rows(tile, row, n0, b, 5);
        break;
    }
}

void gemm_block_avx2(const GemmTile *tile)
{
    const int64_t depth = tile->kc * (tile->tap ? tile->n_taps : 1);
    int64_t rows;
    for (int64_t row = 0; row < tile->rows; row += rows) {
        const int64_t left = tile->rows - row, tiles = (left + TILE_ROWS - 1) / TILE_ROWS;
        rows = (left + tiles - 1) / tiles; /* 8 rows as 4 + 4, not 6 + 2 */
        for (int64_t n0 = 0; n0 < tile->cols; n0 += PANEL) {
            if (rows == TILE_ROWS)
                tile_6(tile, row, n0, tile->b + n0 * depth);
            else
                tile_few(tile, row, n0, tile->b + n0 * depth, rows);
        }
    }
}
