/* ops_picture.c  Operations over whole maps of pixels: resizing, windows, deformable taps, means. */
#include "compute/ops_check.h"

static bool is_picture(Tensor x)
{
    return tensor_exists(x) && x.shape.rank == 4 && x.shape.dim[0] == 1;
}

Tensor op_resize(Run *r, Tensor x, int64_t height, int64_t width, int64_t first, int64_t rows)
{
    Op op = op_like(OP_RESIZE, x);
    if (!op_require(r, OP_RESIZE, is_picture(x), "needs [1, H, W, C]", x) ||
        !op_require(r, OP_RESIZE,
                    width > 0 && first >= 0 && rows > 0 && first + rows <= height && height > 0,
                    "the rows are outside of the result", x))
        return NO_TENSOR;
    op.out.shape = SHAPE(1, rows, width, x.shape.dim[3]);
    op.arg.resize.height = height;
    op.arg.resize.first = first;
    op.flops = 4.0 * (double)tensor_count(op.out);
    return run_op(r, &op);
}

Tensor op_window_attention(Run *r, Tensor qkv, const Weight *bias, const Weight *table,
                           WindowMap map)
{
    Op op = op_like(OP_WINDOW_ATTENTION, qkv);
    const int64_t side = 2 * (int64_t)map.size - 1, tokens = map.height * map.width;
    if (!op_require(r, OP_WINDOW_ATTENTION,
                    tensor_exists(qkv) && qkv.shape.rank == 2 && map.heads > 0 && tokens > 0 &&
                        qkv.shape.dim[0] == tokens && tensor_cols(qkv) % (3 * map.heads) == 0,
                    "needs [height * width, 3 C], C a multiple of the heads", qkv) ||
        !op_require(r, OP_WINDOW_ATTENTION, map.size > 0 && map.shift >= 0 && map.shift < map.size,
                    "the shift is within a window", qkv) ||
        !op_require_weight(r, OP_WINDOW_ATTENTION, table, side * side * map.heads) ||
        (bias && !op_require_weight(r, OP_WINDOW_ATTENTION, bias, tensor_cols(qkv))))
        return NO_TENSOR;
    const int64_t c = tensor_cols(qkv) / 3, n = (int64_t)map.size * map.size;
    op.out.shape = SHAPE(tokens, c);
    op.n_weights = bias ? 2 : 1;
    op.weight[0] = table;
    op.weight[1] = bias;
    op.arg.window.height = map.height;
    op.arg.window.width = map.width;
    op.arg.window.heads = map.heads;
    op.arg.window.size = map.size;
    op.arg.window.shift = map.shift;
    op.flops = 4.0 * (double)tokens * (double)n * (double)c;
    return run_op(r, &op);
}

Tensor op_deform_columns(Run *r, Tensor x, Tensor offset, Tensor factor, int kernel, int64_t first)
{
    Op op = op_like(OP_DEFORM_COLUMNS, x);
    const int64_t taps = (int64_t)kernel * kernel;
    if (!op_require(r, OP_DEFORM_COLUMNS, is_picture(x) && kernel > 0 && kernel % 2 == 1,
                    "needs [1, H, W, C] and an odd kernel", x) ||
        !op_require(r, OP_DEFORM_COLUMNS,
                    is_picture(offset) && tensor_cols(offset) == 2 * taps &&
                        offset.shape.dim[2] == x.shape.dim[2] && first >= 0 &&
                        first + offset.shape.dim[1] <= x.shape.dim[1],
                    "the offsets need [1, rows of the map, W, 2 k k]", offset) ||
        !op_require(r, OP_DEFORM_COLUMNS,
                    is_picture(factor) && tensor_cols(factor) == taps &&
                        tensor_rows(factor) == tensor_rows(offset),
                    "the factors need [1, rows of the map, W, k k]", factor))
        return NO_TENSOR;
    op.n_in = 3;
    op.in[1] = offset;
    op.in[2] = factor;
    op.out.shape = SHAPE(tensor_rows(offset), tensor_cols(x) * taps);
    op.arg.deform.kernel = kernel;
    op.arg.deform.first = first;
    op.flops = 8.0 * (double)tensor_count(op.out);
    return run_op(r, &op);
}

Tensor op_mean(Run *r, Tensor x)
{
    Op op = op_like(OP_MEAN, x);
    if (!op_require(r, OP_MEAN, is_picture(x), "needs [1, H, W, C]", x)) return NO_TENSOR;
    op.out.shape = SHAPE(1, tensor_cols(x));
    op.flops = (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_scale_rows(Run *r, Tensor x, Tensor s)
{
    Op op = op_like(OP_SCALE_ROWS, x);
    if (!op_require(r, OP_SCALE_ROWS,
                    tensor_exists(x) && tensor_exists(s) && tensor_count(s) == tensor_rows(x),
                    "needs a factor for every row", s))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = s;
    op.in_place = 0;
    op.flops = (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_batch_norm(Run *r, Tensor x, BatchStatistics b, float eps, Activation act)
{
    Op op = op_like(OP_BATCH_NORM, x);
    const Weight *const weights[4] = { b.weight, b.bias, b.mean, b.var };
    if (!op_require(r, OP_BATCH_NORM, tensor_exists(x), "needs an input", x)) return NO_TENSOR;
    for (int i = 0; i < 4; i++) {
        if (!op_require_weight(r, OP_BATCH_NORM, weights[i], tensor_cols(x))) return NO_TENSOR;
        op.weight[i] = weights[i];
    }
    op.n_weights = 4;
    op.in_place = 0;
    op.arg.norm.eps = eps;
    op.arg.norm.activation = act;
    op.flops = 3.0 * (double)tensor_count(x);
    return run_op(r, &op);
}
