/* ops_position.c  Timesteps and rotary positions. */
#include "compute/ops_check.h"

Tensor op_timestep(Run *r, const double *t, int n, int64_t dim)
{
    Op op = { .kind = OP_TIMESTEP, .in_place = -1 };
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(n, dim) };
    if (!op_require(r, OP_TIMESTEP, n >= 1 && n <= 2 && dim >= 2 && dim % 2 == 0,
                    "needs 1 or 2 timesteps and an even dimension", op.out))
        return NO_TENSOR;
    for (int i = 0; i < n; i++)
        op.arg.timestep.t[i] = t[i];
    op.arg.timestep.n = n;
    return run_op(r, &op);
}

/* Pairs of the time axis; height and width have head_dim / 6 each (wan.md 5). */
static int64_t time_pairs(int64_t head_dim)
{
    return head_dim / 2 - 2 * (head_dim / 6);
}

Tensor op_rope_table(Run *r, TokenGrid grid, int64_t head_dim)
{
    const int64_t b = head_dim / 6, a = time_pairs(head_dim);
    Op op = { .kind = OP_ROPE_TABLE, .in_place = -1 };
    op.out = (Tensor){ .dtype = DT_F32,
                       .shape = SHAPE(grid.frames * a + (grid.height + grid.width) * b, 2) };
    if (!op_require(r, OP_ROPE_TABLE, head_dim % 2 == 0 && head_dim >= 6 && grid.frames > 0,
                    "needs an even head_dim >= 6", op.out))
        return NO_TENSOR;
    op.arg.rope.frames = grid.frames;
    op.arg.rope.height = grid.height;
    op.arg.rope.width = grid.width;
    op.arg.rope.heads = 1;
    op.arg.rope.first = head_dim; /* carries the head dimension to the device */
    return run_op(r, &op);
}

Tensor op_rope(Run *r, Tensor x, Tensor table, TokenGrid grid, int heads, int64_t first)
{
    Op op = op_like(OP_ROPE, x);
    const int64_t d = heads > 0 ? tensor_cols(x) / heads : 0, b = d / 6;
    if (!op_require(r, OP_ROPE, x.shape.rank == 2 && d * heads == tensor_cols(x) && d % 2 == 0,
                    "needs heads of even dimension", x) ||
        !op_require(r, OP_ROPE,
                    table.shape.rank == 2 &&
                        table.shape.dim[0] ==
                            grid.frames * time_pairs(d) + (grid.height + grid.width) * b,
                    "the table is of another grid", table) ||
        !op_require(r, OP_ROPE,
                    first >= 0 && first + x.shape.dim[0] <= grid.frames * grid.height * grid.width,
                    "more rows than tokens", x))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = table;
    op.in_place = 0;
    op.arg.rope.frames = grid.frames;
    op.arg.rope.height = grid.height;
    op.arg.rope.width = grid.width;
    op.arg.rope.heads = heads;
    op.arg.rope.first = first;
    op.flops = 3.0 * (double)tensor_count(x);
    return run_op(r, &op);
}
