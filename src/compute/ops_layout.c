/* ops_layout.c  Views, and operations that only move values. */
#include "compute/ops_check.h"

Tensor op_blank(Run *r, Shape shape)
{
    return run_input(r, shape, NULL, NULL);
}

Tensor op_reshape(Run *r, Tensor x, Shape shape)
{
    if (!run_ok(r)) return NO_TENSOR;
    if (shape_count(shape) != tensor_count(x)) {
        char from[SHAPE_TEXT], to[SHAPE_TEXT];
        return run_fail(r, SNUG_ERR_INTERNAL, "reshape: %s into %s",
                        shape_text(x.shape, from, sizeof from), shape_text(shape, to, sizeof to));
    }
    x.shape = shape;
    return x;
}

Tensor op_rows(Run *r, Tensor x, int64_t first, int64_t count)
{
    if (!run_ok(r)) return NO_TENSOR;
    if (x.shape.rank < 1 || first < 0 || count < 1 || first + count > x.shape.dim[0])
        return run_fail(r, SNUG_ERR_INTERNAL, "rows %lld..%lld of %lld", (long long)first,
                        (long long)(first + count), (long long)x.shape.dim[0]);
    x.first += first * (tensor_count(x) / x.shape.dim[0]);
    x.shape.dim[0] = count;
    return x;
}

Tensor op_patchify(Run *r, Tensor x, int pt, int ph, int pw, PatchOrder order)
{
    Op op = op_like(OP_PATCHIFY, x);
    if (!op_require(r, OP_PATCHIFY,
                    x.shape.rank == 4 && pt > 0 && ph > 0 && pw > 0 && x.shape.dim[0] % pt == 0 &&
                        x.shape.dim[1] % ph == 0 && x.shape.dim[2] % pw == 0,
                    "frames, height and width must be multiples of the patch", x))
        return NO_TENSOR;
    const int64_t patch = (int64_t)pt * ph * pw;
    op.out.shape = SHAPE(tensor_rows(x) / patch, patch * tensor_cols(x));
    op.arg.patch.pt = pt;
    op.arg.patch.ph = ph;
    op.arg.patch.pw = pw;
    op.arg.patch.order = order;
    return run_op(r, &op);
}

Tensor op_unpatchify(Run *r, Tensor x, TokenGrid grid, int pt, int ph, int pw, PatchOrder order)
{
    Op op = op_like(OP_UNPATCHIFY, x);
    const int64_t patch = (int64_t)pt * ph * pw;
    if (!op_require(r, OP_UNPATCHIFY,
                    tensor_rows(x) == grid.frames * grid.height * grid.width && patch > 0 &&
                        tensor_cols(x) % patch == 0,
                    "rows must be the grid's tokens", x))
        return NO_TENSOR;
    op.out.shape =
        SHAPE(grid.frames * pt, grid.height * ph, grid.width * pw, tensor_cols(x) / patch);
    op.arg.patch.pt = pt;
    op.arg.patch.ph = ph;
    op.arg.patch.pw = pw;
    op.arg.patch.order = order;
    return run_op(r, &op);
}

static bool same_entries(Tensor a, Tensor b)
{
    return a.shape.rank == b.shape.rank && a.shape.rank > 0 &&
           tensor_count(a) / a.shape.dim[0] == tensor_count(b) / b.shape.dim[0];
}

Tensor op_stack(Run *r, int n, const Tensor *x)
{
    Op op = op_like(OP_COPY, n > 0 ? x[0] : NO_TENSOR);
    if (!op_require(r, OP_COPY, n >= 1 && n <= OP_MAX_IN, "takes 1 to 8 tensors", op.out))
        return NO_TENSOR;
    op.out.shape.dim[0] = 0;
    for (int i = 0; i < n; i++) {
        if (!op_require(r, OP_COPY, tensor_exists(x[i]) && same_entries(x[i], x[0]),
                        "entries differ in shape", x[i]))
            return NO_TENSOR;
        op.out.shape.dim[0] += x[i].shape.dim[0];
        op.in[i] = x[i];
    }
    op.n_in = n;
    return run_op(r, &op);
}

Tensor op_columns(Run *r, Tensor x, int64_t first, int64_t count)
{
    Op op = op_like(OP_COLUMNS, x);
    if (!op_require(r, OP_COLUMNS,
                    x.shape.rank >= 1 && first >= 0 && count >= 1 &&
                        first + count <= tensor_cols(x),
                    "the columns are outside", x))
        return NO_TENSOR;
    op.out.shape.dim[x.shape.rank - 1] = count;
    op.arg.rows.first = first;
    return run_op(r, &op);
}

Tensor op_concat(Run *r, int n, const Tensor *x)
{
    Op op = op_like(OP_CONCAT, n > 0 ? x[0] : NO_TENSOR);
    if (!op_require(r, OP_CONCAT, n >= 1 && n <= OP_MAX_IN && x[0].shape.rank > 0,
                    "takes 1 to 8 tensors", op.out))
        return NO_TENSOR;
    int64_t *cols = &op.out.shape.dim[x[0].shape.rank - 1];
    *cols = 0;
    for (int i = 0; i < n; i++) {
        if (!op_require(r, OP_CONCAT, tensor_exists(x[i]) && tensor_rows(x[i]) == tensor_rows(x[0]),
                        "rows differ", x[i]))
            return NO_TENSOR;
        *cols += tensor_cols(x[i]);
        op.in[i] = x[i];
    }
    op.n_in = n;
    return run_op(r, &op);
}

Tensor op_write_rows(Run *r, Tensor x, int64_t first, Tensor y)
{
    Op op = op_like(OP_WRITE_ROWS, x);
    if (!op_require(r, OP_WRITE_ROWS,
                    same_entries(x, y) && first >= 0 && first + y.shape.dim[0] <= x.shape.dim[0],
                    "the rows do not fit", y))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = y;
    op.mutates = true;
    op.out.first = x.first;
    op.arg.rows.first = first;
    return run_op(r, &op);
}

Tensor op_write_columns(Run *r, Tensor x, int64_t to, Tensor y, int64_t from, int64_t count)
{
    Op op = op_like(OP_WRITE_COLUMNS, x);
    if (!op_require(r, OP_WRITE_COLUMNS,
                    tensor_rows(x) == tensor_rows(y) && to >= 0 && from >= 0 && count >= 1 &&
                        to + count <= tensor_cols(x) && from + count <= tensor_cols(y),
                    "the columns do not fit", y))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = y;
    op.mutates = true;
    op.out.first = x.first;
    op.arg.columns.to = to;
    op.arg.columns.from = from;
    op.arg.columns.count = count;
    return run_op(r, &op);
}

Tensor op_split_frames(Run *r, Tensor x)
{
    Op op = op_like(OP_SPLIT_FRAMES, x);
    if (!op_require(r, OP_SPLIT_FRAMES, x.shape.rank == 4 && x.shape.dim[3] % 2 == 0,
                    "needs [F, H, W, 2C]", x))
        return NO_TENSOR;
    op.out.shape.dim[0] *= 2;
    op.out.shape.dim[3] /= 2;
    return run_op(r, &op);
}

Tensor op_avg_down(Run *r, Tensor x, int64_t channels, int ft, int fs)
{
    Op op = op_like(OP_AVG_DOWN, x);
    const int64_t block = (int64_t)ft * fs * fs;
    if (!op_require(r, OP_AVG_DOWN,
                    x.shape.rank == 4 && channels > 0 && x.shape.dim[1] % fs == 0 &&
                        x.shape.dim[2] % fs == 0 && x.shape.dim[3] * block % channels == 0,
                    "channels or size do not divide", x))
        return NO_TENSOR;
    op.out.shape =
        SHAPE((x.shape.dim[0] + ft - 1) / ft, x.shape.dim[1] / fs, x.shape.dim[2] / fs, channels);
    op.arg.resample.ft = ft;
    op.arg.resample.fs = fs;
    op.flops = (double)tensor_count(x);
    return run_op(r, &op);
}

Tensor op_dup_up(Run *r, Tensor x, int64_t channels, int ft, int fs, int drop, int keep)
{
    Op op = op_like(OP_DUP_UP, x);
    const int64_t block = (int64_t)ft * fs * fs, frames = x.shape.dim[0] * ft - drop;
    if (!op_require(r, OP_DUP_UP,
                    x.shape.rank == 4 && channels * block % x.shape.dim[3] == 0 && drop >= 0 &&
                        keep >= 0 && frames > 0 && keep <= frames,
                    "channels or frames do not divide", x))
        return NO_TENSOR;
    op.out.shape = SHAPE(keep ? keep : frames, x.shape.dim[1] * fs, x.shape.dim[2] * fs, channels);
    op.arg.resample.ft = ft;
    op.arg.resample.fs = fs;
    op.arg.resample.drop = drop;
    return run_op(r, &op);
}
