/* rows.h  Kernels over rows of f32: norms, rotations, elementwise functions; what each one means.
 *
 * x, y: [rows, cols] or [n], contiguous, any alignment. y may be x itself (in place); any other
 * overlap is forbidden. A row's values do not depend on the other rows or on where the row lies,
 * so rows may be split over threads and chunks at will. Sums over a row are ROW_PARTIALS partial
 * sums by column modulo ROW_PARTIALS, folded 8-4-2-1 (numerics.h). Operations below are
 * written in the order in which they round; fma(a, b, c) rounds once. */
#ifndef CPU_ROWS_H
#define CPU_ROWS_H

#include <stdbool.h>
#include <stdint.h>

/** y[i] = f(x[i]), i < n: exp, exp2, silu, gelu_tanh, gelu_erf, gelu_quick, relu, tanh, sigmoid
 *  (vmath.h). */
typedef void MapRow(float *y, const float *x, int64_t n);

/** y[i] = a + b, a - b, a * b or, for *_mul, f(a) * b, of a[i] and b[i], i < n. y may be a or b. */
typedef void MapPair(float *y, const float *a, const float *b, int64_t n);

/** y[i] = s * x[i] */
typedef void ScaleRow(float *y, const float *x, float s, int64_t n);

/** y[i] = min(high, max(low, x[i])); NaN stays NaN. */
typedef void ClampRow(float *y, const float *x, float low, float high, int64_t n);

/** y[i] = fma(s, b[i] - a[i], a[i]): from a towards (s = 1: to) b and beyond. y may be a or b. */
typedef void LerpRow(float *y, const float *a, const float *b, float s, int64_t n);

/** t = coef[0] * x[0][i], then t = fma(coef[k], x[k][i], t) for k = 1 .. n_x - 1; y[i] = t.
 *  1 <= n_x <= COMBINE_MAX. y may be any of x. */
typedef void CombineRow(float *y, const float *const *x, const float *coef, int n_x, int64_t n);
enum { COMBINE_MAX = 8 };

/** y[r][c] = fma(x[r][c], mul[c], add[c])     mul, add [cols] */
typedef void AffineRows(float *y, const float *x, const float *mul, const float *add, int64_t rows,
                        int64_t cols);

/** y[r][c] = fma(gate[c], z[r][c], x[r][c])     gate [cols], z [rows, cols]; y may be x or z */
typedef void GatedAdd(float *y, const float *x, const float *gate, const float *z, int64_t rows,
                      int64_t cols);

/**
 * Layer norm, then an affine map of which both parts are optional (NULL):
 *   mean = sum(x) / cols;  var = sum((x - mean)^2) / cols, the squares added by fma
 *   n = (x - mean) * (1 / sqrt(var + eps));  y = fma(n, mul_plus + mul[c], add[c])
 * mul_plus: 1 for a modulation ("1 + scale"), 0 for a weight; unused without mul. Without add a
 * plain product, without both y = n.
 */
typedef void LayerNorm(float *y, const float *x, const float *mul, const float *add, float mul_plus,
                       float eps, int64_t rows, int64_t cols);

/** r = 1 / sqrt(sum(x^2) / cols + eps);  y = (x * r) * w[c]; w may be NULL. */
typedef void RmsNorm(float *y, const float *x, const float *w, float eps, int64_t rows,
                     int64_t cols);
/** The two halves of it, for rows that are norm-ed in parts: factor[r] = r of row r of x, and
 *  y[r][c] = (x[r][c] * factor[r]) * w[c]; w may be NULL. */
typedef void RmsFactors(float *factor, const float *x, float eps, int64_t rows, int64_t cols);
typedef void ScaleRows(float *y, const float *x, const float *factor, const float *w, int64_t rows,
                       int64_t cols);

/** r = sqrt(cols) / max(1e-12, sqrt(sum(x^2)));  y = (x * r) * w[c], then SiLU when `silu`;
 *  w may be NULL. The norm of Wan's VAE over the channels of a pixel. */
typedef void L2Norm(float *y, const float *x, const float *w, bool silu, int64_t rows,
                    int64_t cols);

/** y[c] = sum over r of x[r][c], one chain of additions from +0, r ascending. y is not x. */
typedef void ColumnSums(float *y, const float *x, int64_t rows, int64_t cols);
/** y[c] = sum over r of (x[r][c] - centre[c])^2, squares added by fma, r ascending. y is not x. */
typedef void ColumnSquares(float *y, const float *x, const float *centre, int64_t rows,
                           int64_t cols);

/**
 * Rotate neighbours (2i, 2i + 1) of every head by the row's angles, shared by all heads:
 *   y[2i] = fma(x[2i], cos, x[2i + 1] * -sin);  y[2i + 1] = fma(x[2i + 1], cos, x[2i] * sin)
 * x, y [rows, heads, head_dim], head_dim even; table [rows, head_dim / 2, 2]: cos, sin.
 */
typedef void RopePairs(float *y, const float *x, const float *table, int64_t rows, int64_t heads,
                       int64_t head_dim);

#endif
