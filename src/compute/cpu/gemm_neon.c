/* gemm_neon.c  Product blocks by tiles of 4 rows x 16 columns: 16 accumulators, 4 vectors of the
 * panel, and x as 4 terms of each of 4 rows, multiplied by lane: 24 of 32 registers (6 rows would
 * need 34). Named variables as in gemm_body.h. */
#include <arm_neon.h>

#include "compute/cpu/kernels.h"

enum { TILE_ROWS = 4, LANES = 4 };

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3)
#define INLINE       static inline __attribute__((always_inline))

/** Add to the old value, add the bias, store up to 4 columns. */
INLINE void finish(const GemmTile *tile, int64_t row, int64_t n0, float32x4_t sum)
{
    const int64_t n = tile->cols - n0;
    float *c = tile->c[row] + n0;
    if (n >= LANES) {
        if (tile->add) sum = vaddq_f32(vld1q_f32(c), sum);
        if (tile->bias) sum = vaddq_f32(sum, vld1q_f32(tile->bias + n0));
        vst1q_f32(c, sum);
        return;
    }
    float sums[LANES];
    vst1q_f32(sums, sum);
    for (int64_t j = 0; j < n; j++) {
        const float total = tile->add ? c[j] + sums[j] : sums[j];
        c[j] = tile->bias ? total + tile->bias[n0 + j] : total;
    }
}

/** `rows` (a constant where this is inlined) rows from `row` on, against one panel. */
INLINE void tile_rows(const GemmTile *tile, int64_t row, int64_t n0, const float *b, int rows)
{
    const int64_t n_taps = tile->tap ? tile->n_taps : 1;
#define ZERO(i)                                                                                    \
    float32x4_t s##i##0 = vdupq_n_f32(0.0f), s##i##1 = s##i##0, s##i##2 = s##i##0,                 \
                s##i##3 = s##i##0;
    EACH_ROW(ZERO)
#define LOAD_PANEL                                                                                 \
    const float32x4_t b0 = vld1q_f32(b), b1 = vld1q_f32(b + 4), b2 = vld1q_f32(b + 8),             \
                      b3 = vld1q_f32(b + 12);                                                      \
    b += PANEL;
#define BY_LANE(i, lane)                                                                           \
    if (i < rows) {                                                                                \
        s##i##0 = vfmaq_laneq_f32(s##i##0, b0, x##i, lane);                                        \
        s##i##1 = vfmaq_laneq_f32(s##i##1, b1, x##i, lane);                                        \
        s##i##2 = vfmaq_laneq_f32(s##i##2, b2, x##i, lane);                                        \
        s##i##3 = vfmaq_laneq_f32(s##i##3, b3, x##i, lane);                                        \
    }
#define TERM(lane)                                                                                 \
    {                                                                                              \
        LOAD_PANEL                                                                                 \
        BY_LANE(0, lane) BY_LANE(1, lane) BY_LANE(2, lane) BY_LANE(3, lane)                        \
    }
#define ONE_TERM(i)                                                                                \
    if (i < rows) {                                                                                \
        s##i##0 = vfmaq_n_f32(s##i##0, b0, a##i[k]);                                               \
        s##i##1 = vfmaq_n_f32(s##i##1, b1, a##i[k]);                                               \
        s##i##2 = vfmaq_n_f32(s##i##2, b2, a##i[k]);                                               \
        s##i##3 = vfmaq_n_f32(s##i##3, b3, a##i[k]);                                               \
    }
    for (int64_t t = 0; t < n_taps; t++) {
        const int64_t offset = tile->tap ? tile->tap[t] : 0;
        int64_t k = 0;
#define POINT(i) const float *a##i = tile->a[row + (i < rows ? i : 0)] + offset;
        EACH_ROW(POINT)
        for (; k + LANES <= tile->kc; k += LANES) {
#define LOAD_X(i) const float32x4_t x##i = vld1q_f32(a##i + k);
            EACH_ROW(LOAD_X)
            TERM(0) TERM(1) TERM(2) TERM(3)
        }
        for (; k < tile->kc; k++) {
            LOAD_PANEL
            EACH_ROW(ONE_TERM)
        }
    }
#define FINISH(i)                                                                                  \
    if (i < rows) {                                                                                \
        finish(tile, row + i, n0, s##i##0);                                                        \
        if (tile->cols > n0 + 4) finish(tile, row + i, n0 + 4, s##i##1);                           \
        if (tile->cols > n0 + 8) finish(tile, row + i, n0 + 8, s##i##2);                           \
        if (tile->cols > n0 + 12) finish(tile, row + i, n0 + 12, s##i##3);                         \
    }
    EACH_ROW(FINISH)
}

static void tile_any(const GemmTile *tile, int64_t row, int64_t n0, const float *b, int64_t rows)
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
    default:
        tile_rows(tile, row, n0, b, TILE_ROWS);
        break;
    }
}

void gemm_block_neon(const GemmTile *tile)
{
    const int64_t depth = tile->kc * (tile->tap ? tile->n_taps : 1);
    int64_t rows;
    for (int64_t row = 0; row < tile->rows; row += rows) {
        const int64_t left = tile->rows - row, tiles = (left + TILE_ROWS - 1) / TILE_ROWS;
        rows = (left + tiles - 1) / tiles; /* 5 rows as 3 + 2, not 4 + 1 */
        for (int64_t n0 = 0; n0 < tile->cols; n0 += PANEL)
            tile_any(tile, row, n0, tile->b + n0 * depth, rows);
    }
}
