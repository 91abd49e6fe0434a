/* conv.h  Convolution of f32 frames with stored weights, over all threads.
 *
 * Layout is channel-last: x [F, H, W, Cin], y [Fo, Ho, Wo, Cout], no border. A 2-D convolution
 * has kt = 1; a 1-D one has H = 1 and its length in W. Weights are in torch's order
 * [Cout, Cin / groups, kt, kh, kw], as a matrix of Cout rows.
 *
 *   y[t, y, x, o] = bias[o] + sum over jt, ky, kx, c of
 *       w[o, c, jt, ky, kx] * in[t * stride_t + jt - n_past,
 *                                y * stride + ky - top, x * stride + kx - left, c]
 *
 * Time: frame f >= 0 of `in` is frame f of x; frames -1, -2, ... are past[n_held - 1], ... ;
 * frames before those are zero. The caller says how many frames lie before x (n_past < kt) and
 * which of them exist. So a causal convolution has n_past = kt - 1 in every chunk: nothing is
 * held in the first chunk, the last kt - 1 input frames before x in the others.
 * Space: outside the image `in` is zero. With upsample = 2 the image is x by nearest neighbour:
 * in[.., y, x, c] = x[.., y / 2, x / 2, c], H and W count before it.
 *
 * Numbers (numerics.h): per output one fma chain from +0 for each group of taps, in the order
 * ky, kx, c; a group is a row of taps when kw * Cin / groups >= CONV_ROW_TERMS, else all
 * taps of one time tap. Chains are added in the order jt, ky; then the bias; then the residual.
 * Taps outside the image are multiplied with 0; time taps without a frame are left out. Large
 * 3x3 layers use Winograd's F(4x4, 3x3) instead (conv_winograd.c). Bits do not depend on the
 * instruction set, the thread count, how time is cut into chunks or rows into bands. */
#ifndef CPU_CONV_H
#define CPU_CONV_H

#include <assert.h>

#include "base/pool.h"
#include "compute/cpu/kernels.h"
#include "compute/op.h"

/** Sizes of one convolution: all that its workspace and method depend on. */
typedef struct ConvShape {
    int64_t frames, h, w, cin, cout; /**< of x; cout of y */
    ConvGeometry g;                  /**< a band of rows keeps to the grid of Winograd's tiles */
} ConvShape;

static_assert(CONV_BAND % WINOGRAD_OUT == 0, "bands begin between tiles");

typedef struct ConvArgs {
    ConvShape shape;
    const float *x;
    const float *const *past; /**< [n_held] frames [H, W, Cin] before x, oldest first */
    int n_held;               /**< 0..n_past */
    Stored w;                 /**< rows = Cout, cols = Cin / groups * kt * kh * kw */
    const float *bias;        /**< [Cout] or NULL */
    const float *residual;    /**< like y, added at the end, or NULL */
    float *y;                 /**< overlaps nothing else */
} ConvArgs;

/** Sizes of y. Zero or less where the kernel is larger than the padded input. */
typedef struct ConvOutput {
    int64_t frames, h, w;
} ConvOutput;
ConvOutput cpu_conv_output(const ConvShape *shape);

typedef enum ConvMethod { CONV_DIRECT, CONV_WINOGRAD } ConvMethod;
/** Depends on the layer and the size of the whole image only. */
ConvMethod cpu_conv_method(const ConvShape *shape);

/** Exact, from the shape and thread count alone. */
size_t cpu_conv_workspace_bytes(const ConvShape *shape, int threads);

/** `workspace`: cpu_conv_workspace_bytes(&args->shape, pool_threads(pool)), 64-byte aligned.
 *  kernels->pack[w.type] must exist. */
void cpu_conv(const Kernels *kernels, Pool *pool, const ConvArgs *args, void *workspace);

/** The meaning of CONV_DIRECT: plain loops, one thread, any shape. Slow; for tests. */
void cpu_conv_ref(const ConvArgs *args);

#endif
