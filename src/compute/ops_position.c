/* ops_position.c  Timesteps and rotary positions. */
#include "compute/ops_check.h"

static Tensor timestep(Run *r, const double *t, int n, int64_t dim, bool single)
{
    Op op = { .kind = OP_TIMESTEP, .in_place = -1 };
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(n, dim) };
    if (!op_require(r, OP_TIMESTEP, n >= 1 && dim >= 2 && dim % 2 == 0,
                    "needs timesteps and an even dimension", op.out))
        return NO_TENSOR;
    op.arg.timestep.t = t;
    op.arg.timestep.n = n;
    op.arg.timestep.single = single;
    return run_op(r, &op);
}

Tensor op_timestep(Run *r, const double *t, int n, int64_t dim)
{
    return timestep(r, t, n, dim, false);
}

Tensor op_timestep_single(Run *r, const double *t, int n, int64_t dim)
{
    return timestep(r, t, n, dim, true);
}

static int64_t table_rows(TokenGrid grid, RopeAxes axes)
{
    return grid.frames * axes.frame + grid.height * axes.row + grid.width * axes.column;
}

static bool axes_fit(RopeAxes axes)
{
    return axes.frame >= 0 && axes.row >= 0 && axes.column >= 0 &&
           axes.frame + axes.row + axes.column > 0;
}

static void set_axes(Op *op, TokenGrid grid, RopeAxes axes)
{
    op->arg.rope.frames = grid.frames;
    op->arg.rope.height = grid.height;
    op->arg.rope.width = grid.width;
    op->arg.rope.pairs[0] = axes.frame;
    op->arg.rope.pairs[1] = axes.row;
    op->arg.rope.pairs[2] = axes.column;
}

Tensor op_rope_table(Run *r, TokenGrid grid, RopeAxes axes)
{
    Op op = { .kind = OP_ROPE_TABLE, .in_place = -1 };
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(table_rows(grid, axes), 2) };
    if (!op_require(r, OP_ROPE_TABLE, axes_fit(axes) && grid.frames > 0,
                    "needs a grid and pairs to turn", op.out))
        return NO_TENSOR;
    set_axes(&op, grid, axes);
    op.arg.rope.heads = 1;
    return run_op(r, &op);
}

Tensor op_rope(Run *r, Tensor x, Tensor table, TokenGrid grid, RopeAxes axes, int heads,
               int64_t first)
{
    Op op = op_like(OP_ROPE, x);
    const int64_t d = heads > 0 ? tensor_cols(x) / heads : 0;
    if (!op_require(r, OP_ROPE,
                    x.shape.rank == 2 && d * heads == tensor_cols(x) && axes_fit(axes) &&
                        d == 2 * (axes.frame + axes.row + axes.column),
                    "needs heads of twice the axes' pairs", x) ||
        !op_require(r, OP_ROPE,
                    table.shape.rank == 2 && table.shape.dim[0] == table_rows(grid, axes),
                    "the table is of another grid", table) ||
        !op_require(r, OP_ROPE,
                    first >= 0 && first + x.shape.dim[0] <= grid.frames * grid.height * grid.width,
                    "more rows than tokens", x))
        return NO_TENSOR;
    op.n_in = 2;
    op.in[1] = table;
    op.in_place = 0;
    set_axes(&op, grid, axes);
    op.arg.rope.heads = heads;
    op.arg.rope.first = first;
    op.flops = 3.0 * (double)tensor_count(x);
    return run_op(r, &op);
}
