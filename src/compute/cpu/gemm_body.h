/* gemm_body.h  Product blocks by register tiles of TILE_ROWS rows x 2 vectors of columns.
 *
 * Included by gemm_avx2.c (6 x 16: 12 accumulators, 2 vectors of the panel, 1 broadcast = 15 of 16
 * registers) and gemm_avx512.c (14 x 32: 28 + 2 + 1 of 32; its two vectors come from two panels),
 * after vec.h and a definition of TILE_ROWS (6 or 14). bf16_avx512bf16.c has it with its own
 * TILE_FMA(x, b, sum) and pairs of bf16 in the place of floats, which are only moved here.
 *
 * The accumulators are named variables: gcc 12 keeps an array of them in memory and stores
 * all of it on every k (66 instead of 186 GFLOP/s on Zen 3). A tile of 64 terms takes 384 cycles, so
 * all that is asked once per tile counts: the number of rows is settled once per strip, and a
 * tile of full width asks once, not per row, whether to add. */
#include "compute/cpu/kernels.h"

#ifndef TILE_FMA
#define TILE_FMA vec_fma
#endif

#if TILE_ROWS == 6
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#else
#define EACH_ROW(DO)                                                                               \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13)
#endif

/** Where one tile reads its panel: vectors at low and high, PANEL floats per term. */
typedef struct TilePanel {
    const float *low, *high;
    int64_t n0; /**< first column */
} TilePanel;

/** What a tile asks for of other memory: `rows` pieces, one after the other, `step` bytes a term. */
typedef struct TileFetch {
    const char *from;
    int64_t rows, pitch, step;
} TileFetch;

enum { LINE = 64 / sizeof(float), FETCH_TERMS = 256 };

/** Fewer columns than lanes. Apart, or it is unrolled into every tile. */
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
VEC_INLINE void finish(const GemmTile *tile, int64_t row, int64_t n0, vfloat sum)
{
    if (tile->cols - n0 < VLEN) {
        float sums[VLEN];
        vec_store(sums, sum);
        finish_part(tile, row, n0, sums);
        return;
    }
    float *c = tile->c[row] + n0;
    if (tile->add) sum = vec_load(c) + sum;
    if (tile->bias) sum = sum + vec_load(tile->bias + n0);
    vec_store(c, sum);
}

/** `rows` rows from `row` on against one or two vectors of columns; both counts, and whether there
 *  is something to ask for, are constants where this is inlined. */
VEC_INLINE void tile_rows(const GemmTile *tile, int64_t row, TilePanel p, int rows, int vectors,
                          const TileFetch *fetch)
{
    const int64_t n_taps = tile->tap ? tile->n_taps : 1;
#define FETCH(i) /* or the additions at the end wait for it */                                     \
    if (i < rows) __builtin_prefetch(tile->c[row + i] + p.n0, 1);
    EACH_ROW(FETCH)
#define ZERO(i) vfloat low##i = vec_set(0.0f), high##i = low##i;
    EACH_ROW(ZERO)
    for (int64_t t = 0; t < n_taps; t++) {
        const int64_t offset = tile->tap ? tile->tap[t] : 0;
#define POINT(i) const float *a##i = tile->a[row + (i < rows ? i : 0)] + offset;
        EACH_ROW(POINT)
        const int64_t pieces = fetch ? fetch->rows : 1;
        int64_t k = 0;
        for (int64_t piece = 1; piece <= pieces; piece++) {
            const int64_t end = fetch ? tile->kc * piece / pieces : tile->kc;
            const char *line = fetch ? fetch->from + (piece - 1) * fetch->pitch : NULL;
#pragma GCC unroll 2
            for (; k < end; k++, p.low += PANEL, p.high += PANEL) {
                const vfloat b0 = vec_load(p.low), b1 = vectors > 1 ? vec_load(p.high) : b0;
#define STEP(i)                                                                                    \
    if (i < rows) {                                                                                \
        const vfloat x = vec_set(a##i[k]);                                                         \
        low##i = TILE_FMA(x, b0, low##i);                                                          \
        if (vectors > 1) high##i = TILE_FMA(x, b1, high##i);                                       \
    }
                EACH_ROW(STEP)
                if (fetch) {
                    __builtin_prefetch(line, 0, 2);
                    line += fetch->step;
                }
            }
        }
    }
    float *const *c = tile->c + row;
    if (vectors == 1 || tile->cols - p.n0 < 2 * VLEN) {
#define FINISH(i)                                                                                  \
    if (i < rows) {                                                                                \
        finish(tile, row + i, p.n0, low##i);                                                       \
        if (vectors > 1 && tile->cols > p.n0 + VLEN) finish(tile, row + i, p.n0 + VLEN, high##i);  \
    }
        EACH_ROW(FINISH)
        return;
    }
    if (tile->add) {
#define ADD(i)                                                                                     \
    if (i < rows) {                                                                                \
        low##i = vec_load(c[i] + p.n0) + low##i;                                                   \
        high##i = vec_load(c[i] + p.n0 + VLEN) + high##i;                                          \
    }
        EACH_ROW(ADD)
    }
    if (tile->bias) {
        const vfloat b0 = vec_load(tile->bias + p.n0), b1 = vec_load(tile->bias + p.n0 + VLEN);
#define BIAS(i)                                                                                    \
    if (i < rows) {                                                                                \
        low##i = low##i + b0;                                                                      \
        high##i = high##i + b1;                                                                    \
    }
        EACH_ROW(BIAS)
    }
#define STORE(i)                                                                                   \
    if (i < rows) {                                                                                \
        vec_store(c[i] + p.n0, low##i);                                                            \
        vec_store(c[i] + p.n0 + VLEN, high##i);                                                    \
    }
    EACH_ROW(STORE)
}

/** Ask for terms k0 .. k0 + n - 1 of every tap in the rows of the next tile: no hardware foresees rows
 *  this far apart. */
VEC_INLINE void fetch_rows(const GemmTile *tile, int64_t row, int rows, int64_t k0, int64_t n)
{
    const int64_t end = k0 + n < tile->kc ? k0 + n : tile->kc;
    const int64_t n_taps = tile->tap ? tile->n_taps : 1;
    for (int64_t r = row; r < row + rows && r < tile->rows; r++)
        for (int64_t t = 0; t < n_taps; t++) {
            const float *x = tile->a[r] + (tile->tap ? tile->tap[t] : 0);
            for (int64_t k = k0; k < end; k += LINE)
                __builtin_prefetch(x + k);
        }
}

/** Share t of n of what is asked for; a share without a row asks for what is at hand. */
VEC_INLINE TileFetch share_fetch(const GemmTile *tile, int64_t t, int64_t n)
{
    const GemmFetch *all = &tile->fetch;
    const int64_t first = all->rows * t / n, rows = all->rows * (t + 1) / n - first;
    if (rows <= 0) return (TileFetch){ (const char *)tile->b, 1, 0, 0 };
    return (TileFetch){ all->from + first * all->pitch, rows, all->pitch,
                        (all->bytes * rows + tile->kc - 1) / tile->kc };
}

/** `rows` rows from `row` on against all columns: strip `strip` of `strips`. `rows` and `fetching`
 *  are constants where this is inlined. */
VEC_INLINE void strip_rows(const GemmTile *tile, int64_t row, int rows, bool fetching,
                           int64_t strip, int64_t strips)
{
    const int64_t depth = tile->kc * (tile->tap ? tile->n_taps : 1);
    const int64_t steps = (tile->cols + 2 * VLEN - 1) / (2 * VLEN);
    const int64_t share =
        tile->kc < FETCH_TERMS ? 0 : (tile->kc + LINE * steps - 1) / (LINE * steps) * LINE;
    int64_t k0 = 0; /* of the terms to fetch: a share of them with every tile */
    int64_t step = strip * steps;
    for (int64_t n0 = 0; n0 < tile->cols; n0 += 2 * VLEN, k0 += share, step++) {
        TilePanel p = { tile->b + n0 * depth, NULL, n0 };
        const TileFetch fetch =
            fetching ? share_fetch(tile, step, steps * strips) : (TileFetch){ 0 };
        if (share) fetch_rows(tile, row + rows, rows, k0, share);
#if VLEN_IS_PANEL
        p.high = p.low + depth * PANEL;
        if (tile->cols - n0 <= PANEL) {
            p.high = p.low;
            tile_rows(tile, row, p, rows, 1, fetching ? &fetch : NULL);
            continue;
        }
#else
        p.high = p.low + VLEN;
#endif
        tile_rows(tile, row, p, rows, 2, fetching ? &fetch : NULL);
    }
}

VEC_INLINE void block_rows(const GemmTile *tile, bool fetching)
{
    const int64_t strips = (tile->rows + TILE_ROWS - 1) / TILE_ROWS;
    int64_t row = 0;
    for (int64_t strip = 0; strip < strips; strip++) {
        const int64_t left = strips - strip;
        const int64_t rows = (tile->rows - row + left - 1) / left; /* 8 rows as 4 + 4, not 6 + 2 */
        switch (rows) {
#define CASE(i)                                                                                    \
    case i + 1:                                                                                    \
        strip_rows(tile, row, i + 1, fetching, strip, strips);                                     \
        break;
            EACH_ROW(CASE)
        default:
            break;
        }
        row += rows;
    }
}

static void gemm_block_body(const GemmTile *tile)
{
    if (tile->fetch.rows && tile->kc)
        block_rows(tile, true);
    else
        block_rows(tile, false);
}
