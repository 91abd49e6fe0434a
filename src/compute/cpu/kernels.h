/* kernels.h  The table of CPU kernels: what each one means, and the variant this machine runs. */
#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "compute/cpu/isa.h"
#include "compute/cpu/numerics.h"
#include "compute/cpu/rows.h"
#include "compute/cpu/stored.h"
#include "compute/cpu/winograd.h"

/* Kernels are pure: raw rows in, rows out; no allocation, no failure, no threads.
 * To add one: its type and meaning here, a slot in Kernels, rows in kernels.def (reference
 * first), the files in ../meson.build, a test over test_variants. */

/** Columns of a packed weight panel, on every instruction set. */
enum { PANEL = 16 };

/* ---- matrix products ---- */

/** Memory to ask for during products, for use after them: rows of bytes. */
typedef struct GemmFetch {
    const char *from;
    int64_t rows;  /**< 0: nothing */
    int64_t pitch; /**< bytes from one row to the next */
    int64_t bytes; /**< of each row */
} GemmFetch;

/**
 * One block of a product: c[r][j] = sum over taps t and k < kc of
 *   a[r][tap[t] + k] * b[j / PANEL][t * kc + k][j % PANEL]
 * as one fma chain from +0 in the order t, k. Then, in this order: c's old value is the left
 * operand of an addition when `add`, and bias[j] is added when there is one.
 * The same block serves matrices (one tap at offset 0), convolution (rows are output pixels,
 * taps are offsets into a bordered image) and attention. Any number of rows; the kernel
 * splits them into register tiles. For the first-level cache, give up to GEMM_ROWS rows.
 */
typedef struct GemmTile {
    const float *const *a; /**< [rows] pointers, each to kc floats at every tap */
    float *const *c;       /**< [rows] pointers, each to `cols` floats; no overlap with a, b */
    int64_t rows;
    int64_t cols;       /**< outputs; the last panel may be partly used */
    const float *b;     /**< panels [ceil(cols / PANEL)][n_taps * kc][PANEL], 64-byte aligned */
    int64_t kc;         /**< terms per tap, >= 0 */
    const int64_t *tap; /**< [n_taps] offsets in floats; NULL: one tap at 0 */
    int64_t n_taps;     /**< ignored without tap */
    const float *bias;  /**< [cols] or NULL */
    bool add;           /**< add to c instead of overwriting it */
    GemmFetch fetch;    /**< without tap; asked for evenly over the products, or not at all */
} GemmTile;
typedef void GemmBlock(const GemmTile *tile);
/** A multiple of every variant's tile height: the row step for drivers. */
enum { GEMM_ROWS = 84 };

/**
 * Widen, transpose and pack one panel of a weight: to[k][j] = w[n0 + j][k0 + k], k < kc,
 * j < PANEL; 0 where n0 + j >= w->rows. k0 is a multiple of 256. Reads nothing beyond the rows.
 */
typedef void PackPanel(float *restrict to, const Stored *w, int64_t n0, int64_t k0, int64_t kc);

/* ---- products in bf16 (gemm.h) ---- */

/** x to bf16, to the nearest, halves to even, for bf16_block of the same level, to which the form is
 *  private: a float each, or two in the place of one float, the last with a zero. Returns how many
 *  floats that makes. */
typedef int64_t Bf16Row(float *restrict to, const float *restrict x, int64_t n);
/** The same for every column of panel [n][PANEL]; returns the rows of `to`. */
typedef int64_t Bf16Panel(float *restrict to, const float *restrict panel, int64_t n);

/* ---- products in int8 (int8.h) ---- */

/** Scale of values whose largest magnitude has these bits, and what to multiply them by: scale =
 *  largest / 127, factor = 127 / largest; both 0 where all is below 1e-30; NaN and 0 where a value is
 *  NaN or infinite. */
static inline float int8_scale(uint32_t peak_bits, float *factor)
{
    float peak;
    memcpy(&peak, &peak_bits, sizeof peak);
    *factor = 0.0f;
    if (peak_bits >= 0x7f800000u) return NAN;
    if (peak < 1e-30f) return 0.0f;
    *factor = 127.0f / peak;
    return peak / 127.0f;
}

/** to[k] = x[k] * factor to the nearest, halves to even, k < n; zeros up to a multiple of 4. Returns the
 *  scale. The bytes are private to the kernels of one level: int8_block of that level reads them. */
typedef float Int8Row(int8_t *restrict to, const float *restrict x, int64_t n);
/** peak[j] = max(peak[j], bits of |panel[k][j]|), k < n, j < PANEL. */
typedef void Int8Peak(uint32_t *restrict peak, const float *restrict panel, int64_t n);
/** to[k / 4][j][k % 4] = panel[k][j] * factor[j] to the nearest, halves to even; zeros up to a multiple
 *  of 4 terms; sum[j] += what was written. */
typedef void Int8Panel(int8_t *restrict to, int32_t *restrict sum, const float *restrict panel,
                       const float *restrict factor, int64_t n);

/** c[r][j] = ((float)(sum over k of x[r][k] * w[j][k]) * x_scale[r]) * w_scale[j], then + bias[j]. */
typedef struct Int8Tile {
    const int8_t *x;      /**< [rows][k4 * 4] by int8_row of the same level */
    const float *x_scale; /**< [rows] */
    float *c;
    int64_t ldc, rows, cols;
    const int8_t *w;      /**< panels [ceil(cols / PANEL)][k4][PANEL][4], 64-byte aligned */
    const float *w_scale; /**< [whole panels] */
    const int32_t *w_sum; /**< [whole panels] sums of the bytes */
    int64_t k4;           /**< terms / 4, rounded up */
    const float *bias;    /**< [cols] or NULL */
} Int8Tile;
typedef void Int8Block(const Int8Tile *tile);

/* ---- attention ---- */

/** One query row's step over a block of n <= ATTENTION_BK keys (attention.c). */
typedef struct SoftmaxRow {
    float *scores; /**< [n] in: q.k; out: weights 2^(t - *max) */
    int64_t n;
    float factor;      /**< scale of the scores, times log2 e */
    const float *bias; /**< [n] or NULL: t = fma(bias, log2 e, scores * factor) */
    const float *mask; /**< [n] or NULL: added the same way after the bias */
    float *max;        /**< in and out: largest t so far; -FLT_MAX at first */
    float *sum;        /**< [ROW_PARTIALS] in and out: sums of weights by key modulo 16 */
    float *y;          /**< [d] result so far, rescaled with the sums to the new maximum */
    int64_t d;
} SoftmaxRow;
typedef void SoftmaxStep(const SoftmaxRow *row);

/* ---- rows ---- */

/** Filled by kernels_fill, read-only afterwards; lives in the engine. */
typedef struct Kernels {
    Isa isa;
    GemmBlock *gemm_block;
    PackPanel *pack[DT_COUNT]; /**< by stored type; NULL where a type is no weight */
    SoftmaxStep *softmax_step;
    Bf16Row *bf16_row;
    Bf16Panel *bf16_panel;
    GemmBlock *bf16_block; /**< of rows and panels that they made; one tap */
    Int8Row *int8_row;
    Int8Peak *int8_peak;
    Int8Panel *int8_panel;
    Int8Block *int8_block;
#define ROW(slot, Type) Type *slot;
#include "compute/cpu/rows.def"
#undef ROW
} Kernels;

/** Best variant of every kernel that `isa` can run. `isa` must be covered by isa_detect(). */
void kernels_fill(Kernels *kernels, Isa isa);

/* Prototypes of all variants, for the table, tests and benchmarks. */
#define KERNEL(slot, Type, need, fn) Type fn;
#include "compute/cpu/kernels.def"
#undef KERNEL

#endif
