/* measure_move.c  Kinds that memory limits: one call of each, inside the caches and beyond them. */
#include "engine/measure.h"

#include "base/size.h"

enum { CHANNELS = 512, VAE_CHANNELS = 128, MAX_MOVE_IN = 3 };

/* Values per operand: a quarter MiB, and more than caches hold. */
static const int64_t SIZES[] = { 1 << 16, 1 << 22 };

typedef struct Operands {
    OpBench *b;
    Run *r;
    Tensor x[MAX_MOVE_IN];
} Operands;

/* Build one operation on operands of `n` values; x[0..2] are [n / 512, 512]. */
typedef void BuildMove(Operands *o, int64_t n);

static const Weight *row_weight(Operands *o)
{
    return opbench_weight(o->b, DT_F32, SHAPE(CHANNELS));
}

static Modulation rows_of(Operands *o)
{
    return (Modulation){ .mod = opbench_tensor(o->b, o->r, SHAPE(1, 6, CHANNELS)) };
}

static Tensor frames(Operands *o, int64_t n)
{
    return op_reshape(o->r, o->x[0], SHAPE(4, 16, n / (64 * CHANNELS), CHANNELS));
}

static void build_layer_norm(Operands *o, int64_t n)
{
    (void)n;
    (void)op_modulated_norm(o->r, o->x[0], rows_of(o), 0, 1, 1e-6f);
}
static void build_rms_norm(Operands *o, int64_t n)
{
    (void)n;
    (void)op_rms_norm(o->r, o->x[0], row_weight(o), 1e-6f);
}
/* The norm of VAEs, whose rows are short where they are many. */
static void build_l2_norm(Operands *o, int64_t n)
{
    const Tensor x = op_reshape(o->r, o->x[0], SHAPE(n / VAE_CHANNELS, VAE_CHANNELS));
    (void)op_l2_norm(o->r, x, opbench_weight(o->b, DT_F32, SHAPE(VAE_CHANNELS)), ACT_SILU);
}
static void build_gated_add(Operands *o, int64_t n)
{
    (void)n;
    (void)op_gated_add(o->r, o->x[0], o->x[1], rows_of(o), 2);
}
static void build_add(Operands *o, int64_t n)
{
    (void)n;
    (void)op_add(o->r, o->x[0], o->x[1]);
}
static void build_add_weight(Operands *o, int64_t n)
{
    (void)n;
    (void)op_add_weight(o->r, o->x[0], row_weight(o));
}
static void build_activation(Operands *o, int64_t n)
{
    (void)n;
    (void)op_activation(o->r, o->x[0], ACT_SILU);
}
static void build_gated_activation(Operands *o, int64_t n)
{
    (void)n;
    (void)op_gated_activation(o->r, o->x[0], o->x[1], ACT_GELU_TANH);
}
static void build_combine(Operands *o, int64_t n)
{
    static const float COEF[] = { 0.5f, 0.25f, 0.25f };
    (void)n;
    (void)op_combine(o->r, 3, COEF, o->x);
}
static void build_guide(Operands *o, int64_t n)
{
    (void)n;
    (void)op_guide(o->r, o->x[0], o->x[1], 5.0f);
}
static void build_clamp(Operands *o, int64_t n)
{
    (void)n;
    (void)op_clamp(o->r, o->x[0], -1.0f, 1.0f);
}
static void build_rope(Operands *o, int64_t n)
{
    const TokenGrid grid = { 4, 16, n / (64 * CHANNELS) };
    const Tensor table = op_rope_table(o->r, grid, rope_axes_sixths(128));
    (void)op_rope(o->r, o->x[0], table, grid, rope_axes_sixths(128), CHANNELS / 128, 0);
}
static void build_copy(Operands *o, int64_t n)
{
    (void)n;
    (void)op_stack(o->r, 2, o->x);
}
static void build_columns(Operands *o, int64_t n)
{
    (void)n;
    (void)op_columns(o->r, o->x[0], CHANNELS / 4, CHANNELS / 2);
}
static void build_concat(Operands *o, int64_t n)
{
    (void)n;
    (void)op_concat(o->r, 2, o->x);
}
static void build_write_rows(Operands *o, int64_t n)
{
    (void)op_write_rows(o->r, o->x[0], 0, op_rows(o->r, o->x[1], 0, n / CHANNELS / 2));
}
/* Rows of a band behind those of the band before, frame by frame. */
static void build_write_columns(Operands *o, int64_t n)
{
    const int64_t row = n / 4;
    const Tensor to = op_reshape(o->r, o->x[0], SHAPE(4, row));
    const Tensor from = op_reshape(o->r, o->x[1], SHAPE(4, row));
    (void)op_write_columns(o->r, to, 0, from, 0, row);
}
static void build_patchify(Operands *o, int64_t n)
{
    (void)op_patchify(o->r, frames(o, n), 1, 2, 2, PATCH_CTHW);
}
static void build_split_frames(Operands *o, int64_t n)
{
    (void)op_split_frames(o->r, frames(o, n));
}
static void build_avg_down(Operands *o, int64_t n)
{
    (void)op_avg_down(o->r, frames(o, n), CHANNELS, 2, 2);
}
static void build_dup_up(Operands *o, int64_t n)
{
    (void)op_dup_up(o->r, frames(o, n), CHANNELS / 4, 1, 2, 0, 0);
}

static BuildMove *const BUILDERS[] = {
    build_add,      build_layer_norm, build_rms_norm,      build_l2_norm,          build_gated_add,
    build_guide,    build_add_weight, build_activation,    build_gated_activation, build_combine,
    build_clamp,    build_rope,       build_copy,          build_columns,          build_concat,
    build_patchify, build_write_rows, build_write_columns, build_split_frames,     build_avg_down,
    build_dup_up,
};

static SnugStatus point(Measure *m, BuildMove *build, int64_t n, double *seconds, TraceOp *row,
                        SnugError *err)
{
    Run r = opbench_run(&m->bench);
    Operands o = { .b = &m->bench, .r = &r };
    for (int i = 0; i < MAX_MOVE_IN; i++)
        o.x[i] = opbench_tensor(&m->bench, &r, SHAPE(n / CHANNELS, CHANNELS));
    build(&o, n);
    TRY(opbench_seconds(&m->bench, m->least_seconds / 2, seconds, err));
    *row = opbench_row(&m->bench);
    return SNUG_OK;
}

/* Any operation on next to nothing. */
static SnugStatus start_cost(Measure *m, SnugError *err)
{
    Run r = opbench_run(&m->bench);
    const Tensor x = opbench_tensor(&m->bench, &r, SHAPE(1, 16));
    (void)op_clamp(&r, x, -1.0f, 1.0f);
    return opbench_seconds(&m->bench, m->least_seconds, &m->out->op_seconds, err);
}

SnugStatus measure_moves(Measure *m, SnugError *err)
{
    TRY(measure_step(m, "memory", 0.75, err));
    TRY(start_cost(m, err));
    for (size_t i = 0; i < COUNT(BUILDERS); i++) {
        ProfileCurve c = { 0 };
        TraceOp row = { 0 };
        for (size_t k = 0; k < COUNT(SIZES); k++) {
            double seconds;
            TRY(point(m, BUILDERS[i], SIZES[k], &seconds, &row, err));
            const double net = seconds - m->out->op_seconds;
            c.size[c.n] = (int32_t)(row.bytes / 1024);
            c.rate[c.n++] = row.bytes / (net > seconds / 4 ? net : seconds / 4);
        }
        if (i == 0) /* those that are not in the list move memory as an addition does */
            for (int kind = 0; kind < OP_COUNT; kind++)
                m->out->move[kind] = c;
        m->out->move[row.kind] = c;
    }
    m->out->move[OP_UNPATCHIFY] = m->out->move[OP_PATCHIFY];
    return SNUG_OK;
}
