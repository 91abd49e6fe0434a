/* ops.h  What models are made of: every operation checks shapes, then records or computes.
 *
 * All activations are f32. The last dimension is the channel; leading dimensions are rows. After a
 * failure operations return NO_TENSOR and do nothing. Source: design.md, "Tensors, operations".
 * Letters: R rows, C channels, F frames, H W height and width. */
#ifndef COMPUTE_OPS_H
#define COMPUTE_OPS_H

#include "compute/run.h"

/** A tensor nobody has written yet, to be filled by op_write_rows. */
Tensor op_blank(Run *r, Shape shape);

/* ---- views: no operation is recorded ------------------------------------------------------ */

/** Same elements, other shape. */
Tensor op_reshape(Run *r, Tensor x, Shape shape);
/** `count` entries of the first dimension, from `first`. */
Tensor op_rows(Run *r, Tensor x, int64_t first, int64_t count);

/* ---- matrices (ops_matrix.c) ---------------------------------------------------------------- */

/** x [R.., K] * weight [N, K]^T + bias [N] -> [R.., N]; bias may be NULL. Activation fused. */
Tensor op_linear(Run *r, Tensor x, const Weight *weight, const Weight *bias, Activation act);
/** Outputs first .. first + count of op_linear alone, the same bits: [R.., count]. */
Tensor op_linear_part(Run *r, Tensor x, const Weight *weight, const Weight *bias, int64_t first,
                      int64_t count);
/** op_linear_part with an activation, in the arithmetic that the run asks for (Run.arithmetic). In bf16
 *  x and the weight are rounded to it; in int8 rows of both become whole numbers -127..127 by a scale
 *  each. Another result, the same on all plans. */
Tensor op_linear_coarse(Run *r, Tensor x, const Weight *weight, const Weight *bias, Activation act,
                        int64_t first, int64_t count);
/** op_linear of two tensors side by side, x [R.., K1], z [R.., K2], weight [N, K1 + K2], without
 *  putting them together: the chains of x come first, then those of z. For weights in blocks K1 is
 *  a multiple of 256. */
Tensor op_linear_pair(Run *r, Tensor x, Tensor z, const Weight *weight, const Weight *bias,
                      Activation act);
/** y [R.., N] += x [R.., K] * weight [N, K]^T + bias, then the activation, in place; returns y. */
Tensor op_linear_add(Run *r, Tensor y, Tensor x, const Weight *weight, const Weight *bias,
                     Activation act);
/** op_linear_add for y that is outputs first .. first + cols(y) of the layer. */
Tensor op_linear_add_part(Run *r, Tensor y, Tensor x, const Weight *weight, const Weight *bias,
                          int64_t first);
/** x [R.., K] * weight [K, N] -> [R.., N], for the few matrices that files keep the other way round;
 *  not made for speed. */
Tensor op_linear_turned(Run *r, Tensor x, const Weight *weight);
/** Rows ids[0..n) of table [V, C] (a by_row weight) -> [n, C]. `ids` must outlive the run. */
Tensor op_embed(Run *r, const Weight *table, const int32_t *ids, int64_t n);

/** One operand of attention: `heads * head_dim` columns of `x` from column `col`. */
typedef struct Heads {
    Tensor x; /**< [R, any] */
    int64_t col;
} Heads;
/** Everything attention can do besides q, k, v. Zero fields mean none. */
typedef struct AttentionOptions {
    float scale; /**< 0: 1 / sqrt(head_dim) */
    Tensor bias; /**< has_bias: [heads, 2 * length - 1] relative positions, key - query */
    bool has_bias;
    Tensor key_bias; /**< has_key_bias: [keys], added to every score of a key */
    bool has_key_bias;
    int64_t q_first; /**< position of the first query row (chunks), for `bias` and `causal` */
    bool causal;     /**< a query sees no key behind its own position */
} AttentionOptions;
/** softmax(scale * q k^T + bias) v per head -> [Rq, heads * head_dim]. No score matrix. */
Tensor op_attention(Run *r, Heads q, Heads k, Heads v, int heads, int64_t head_dim,
                    const AttentionOptions *options);
/** T5 bidirectional relative bias: table [buckets, heads] -> [heads, 2 * length - 1]. */
Tensor op_position_bias(Run *r, const Weight *table, int64_t length, int max_distance);

/* ---- norms (ops_norm.c) --------------------------------------------------------------------- */

/** (x - mean) / sqrt(var + eps) * weight + bias; weight and bias [C], both or neither. */
Tensor op_layer_norm(Run *r, Tensor x, const Weight *weight, const Weight *bias, float eps);
/** Modulation vectors for rows of a chunk: rows before `split` use mod[0], the rest mod[last]. */
typedef struct Modulation {
    Tensor mod;    /**< [1 or 2, n, C] */
    int64_t split; /**< counted from the first row given to the operation; 0 with one row */
} Modulation;
/** LN(x) * (1 + mod[scale]) + mod[shift], no affine weights. */
Tensor op_modulated_norm(Run *r, Tensor x, Modulation m, int shift, int scale, float eps);
/** x / sqrt(mean(x^2) + eps) * weight [C]; weight may be NULL. */
Tensor op_rms_norm(Run *r, Tensor x, const Weight *weight, float eps);
/** Its first half, 1 / sqrt(mean(x^2) + eps) of every row: [R]. */
Tensor op_rms_factors(Run *r, Tensor x, float eps);
/** Its second half for x [R, n], columns first .. first + n of the rows whose factors [R] are given;
 *  weight [C]. Both halves together: bits of op_rms_norm. */
Tensor op_rms_norm_part(Run *r, Tensor x, Tensor factors, const Weight *weight, int64_t first);
/** x / max(|x|, 1e-12) * sqrt(C) * gamma [C (, 1..)], then the activation (none or SiLU). */
Tensor op_l2_norm(Run *r, Tensor x, const Weight *gamma, Activation act);

/** First pass of a group norm over an image x [1, H, W, C]: for every row and group the mean and
 *  the sum of squares around it -> [H, groups, 2]. Bands of rows may be taken one after another. */
Tensor op_group_moments(Run *r, Tensor x, int64_t groups);
/**
 * Second pass: (x - mean) / sqrt(var + eps) * weight + bias, then the activation, for rows of the
 * image whose moments [H of the whole image, groups, 2] are given. Bits do not depend on the bands.
 */
Tensor op_group_norm(Run *r, Tensor x, Tensor moments, const Weight *weight, const Weight *bias,
                     float eps, Activation act);

/* ---- elementwise (ops_elementwise.c) -------------------------------------------------------- */

/** x + y; a y with fewer values (rows) is repeated over the leading dimensions of x. */
Tensor op_add(Run *r, Tensor x, Tensor y);
/** x[.., n] + weight with n elements, repeated over the leading dimensions; of a weight with more
 *  rows than x (positions) the first ones. */
Tensor op_add_weight(Run *r, Tensor x, const Weight *weight);
/** x + mod[gate] * y. */
Tensor op_gated_add(Run *r, Tensor x, Tensor y, Modulation m, int gate);
Tensor op_activation(Run *r, Tensor x, Activation act);
/** act(a) * b. */
Tensor op_gated_activation(Run *r, Tensor a, Tensor b, Activation act);
/** c0 x0 + c1 x1 + ..: t = c0 x0, then t = fma(ci, xi, t) in order; n <= OP_MAX_IN. */
Tensor op_combine(Run *r, int n, const float *coef, const Tensor *x);
/** Classifier-free guidance: u + g * (c - u), in this order. */
Tensor op_guide(Run *r, Tensor uncond, Tensor cond, float g);
/** x * mul[c] + add[c]; both arrays [C] must outlive the run. */
Tensor op_affine(Run *r, Tensor x, const float *mul, const float *add);
Tensor op_clamp(Run *r, Tensor x, float low, float high);

/* ---- positions (ops_position.c) ------------------------------------------------------------- */

/** Sinusoids [cos | sin] of n timesteps -> [n, dim]; angles t * 10000^(-i / (dim/2)), f64. */
Tensor op_timestep(Run *r, const double *t, int n, int64_t dim);
/** The same with frequencies and angles rounded to f32, as diffusers and the original FLUX have them:
 *  at t = 1000 the angle moves by up to 3e-5, which is what the networks were trained with. */
Tensor op_timestep_single(Run *r, const double *t, int n, int64_t dim);
/** Tokens of a video latent, in order (frame, row, column). */
typedef struct TokenGrid {
    int64_t frames, height, width;
} TokenGrid;
/** How many pairs of a head each axis turns, in this order; their sum is head_dim / 2. */
typedef struct RopeAxes {
    int64_t frame, row, column;
} RopeAxes;
/** Wan's share: a sixth of the head for rows and columns each, the rest for frames. */
static inline RopeAxes rope_axes_sixths(int64_t head_dim)
{
    const int64_t b = head_dim / 6;
    return (RopeAxes){ head_dim / 2 - 2 * b, b, b };
}
/** cos, sin of the axes -> [frames * axes.frame + height * axes.row + width * axes.column, 2];
 *  each axis has a ladder of its own, 10000^(-i / pairs) from i = 0. */
Tensor op_rope_table(Run *r, TokenGrid grid, RopeAxes axes);
/** Rotate adjacent pairs of every head of x [R, heads * head_dim]; row 0 is token `first`. */
Tensor op_rope(Run *r, Tensor x, Tensor table, TokenGrid grid, RopeAxes axes, int heads,
               int64_t first);

/* ---- convolution (ops_conv.c) --------------------------------------------------------------- */

/**
 * x [F, H, W, Cin] -> [Fo, Ho, Wo, Cout]. geometry->n_past frames lie before x in time; `past`
 * holds the last `n_held` <= n_past of them, each [1, H, W, Cin] (missing ones are zero).
 * bias may be NULL.
 */
Tensor op_conv(Run *r, Tensor x, const Tensor *past, int n_held, const Weight *weight,
               const Weight *bias, const ConvGeometry *geometry);
/** The same, plus `residual`, shaped as the result; NO_TENSOR: none. Bits of op_add after it. */
Tensor op_conv_add(Run *r, Tensor x, const Tensor *past, int n_held, const Weight *weight,
                   const Weight *bias, const ConvGeometry *geometry, Tensor residual);

/* ---- pictures (ops_picture.c) ---------------------------------------------------------------- */

/** Rows first .. first + rows - 1 of x [1, H, W, C] resized to [1, height, width, C]: bilinear, the
 *  corners of both lie on each other (align_corners). */
Tensor op_resize(Run *r, Tensor x, int64_t height, int64_t width, int64_t first, int64_t rows);
/** Windows of Swin: a map of tokens in windows of `size`, moved by `shift` (0, or within a window). */
typedef struct WindowMap {
    int64_t height, width; /**< tokens */
    int heads, size, shift;
} WindowMap;
/**
 * Attention inside each window -> [height * width, C]. The map is padded at the right and the bottom to
 * whole windows by tokens of zeros, whose q, k and v are the projection's bias; they are attended.
 * In a moved map tokens that were not neighbours do not see each other.
 * @param qkv   [height * width, 3 C]: q, k and v side by side, with the bias
 * @param bias  [3 C] of the projection; NULL: zeros
 * @param table [(2 size - 1)^2, heads] added to the scores by relative position
 */
Tensor op_window_attention(Run *r, Tensor qkv, const Weight *bias, const Weight *table,
                           WindowMap map);
/**
 * What pixels of rows `first` .. of a modulated deformable k x k convolution look at (v2, stride 1,
 * padding k / 2) -> [rows * W, C * k * k], channel by channel; op_linear with its weight does the
 * rest. Outside of the map are zeros.
 * @param x       [1, H, W, C], the whole map
 * @param offset  [1, rows, W, 2 k k]: down, right of each tap
 * @param factor  [1, rows, W, k k]
 */
Tensor op_deform_columns(Run *r, Tensor x, Tensor offset, Tensor factor, int kernel, int64_t first);
/** Mean over all pixels of [1, H, W, C] -> [1, C]: first along the rows, then down. */
Tensor op_mean(Run *r, Tensor x);
/** x [R.., C] with row r times s[r]; s has R values. */
Tensor op_scale_rows(Run *r, Tensor x, Tensor s);
/** (x - mean) / sqrt(var + eps) * weight + bias by statistics of training, then the activation. */
typedef struct BatchStatistics {
    const Weight *weight, *bias, *mean, *var; /**< [C] */
} BatchStatistics;
Tensor op_batch_norm(Run *r, Tensor x, BatchStatistics b, float eps, Activation act);

/* ---- layout (ops_layout.c) ------------------------------------------------------------------ */

/** [F, H, W, C] -> [F/pt * H/ph * W/pw, pt * ph * pw * C], values of a patch in `order`. */
Tensor op_patchify(Run *r, Tensor x, int pt, int ph, int pw, PatchOrder order);
/** The inverse, to [grid.frames * pt, grid.height * ph, grid.width * pw, C]. */
Tensor op_unpatchify(Run *r, Tensor x, TokenGrid grid, int pt, int ph, int pw, PatchOrder order);
/** n <= OP_MAX_IN tensors one after the other along the first dimension. */
Tensor op_stack(Run *r, int n, const Tensor *x);
/** Columns first..first + count of the last dimension. */
Tensor op_columns(Run *r, Tensor x, int64_t first, int64_t count);
/** n tensors side by side along the last dimension. */
Tensor op_concat(Run *r, int n, const Tensor *x);
/** Rows of x from `first` replaced by y, in place; returns x. */
Tensor op_write_rows(Run *r, Tensor x, int64_t first, Tensor y);
/** Columns to .. to + count of x [R.., N] replaced by y's [R.., M] from column `from`, in place;
 *  returns x. So rows of frames are moved: [F, H, W, C] seen as [F, H W C]. */
Tensor op_write_columns(Run *r, Tensor x, int64_t to, Tensor y, int64_t from, int64_t count);
/** [F, H, W, 2C] -> [2F, H, W, C]: the first C channels are the earlier frame. */
Tensor op_split_frames(Run *r, Tensor x);
/** Wan VAE 2.2 shortcut: ft x fs x fs blocks to channels, averaged in runs to `channels`; zero
 *  frames are put in front when F is no multiple of ft. */
Tensor op_avg_down(Run *r, Tensor x, int64_t channels, int ft, int fs);
/** The opposite: channels repeated into ft x fs x fs blocks; of the frames so made, the first
 *  `drop` are cut and `keep` (0: all) of the rest kept. */
Tensor op_dup_up(Run *r, Tensor x, int64_t channels, int ft, int fs, int drop, int keep);

#endif
