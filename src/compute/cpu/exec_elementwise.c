/* exec_elementwise.c  Elementwise operations on the CPU; output and input may be one place. */
#include "compute/cpu/exec.h"
#include "compute/cpu/rows_split.h"

static const float *input(const Call *c, int i)
{
    return c->at->in[i];
}

static float *output(const Call *c)
{
    return c->at->out;
}

/* Flat over all values: rows of one column. */
static void split_flat(Call *c, RowsWork *work)
{
    rows_split(c->cpu->pool, tensor_count(c->op->out), 1, work, c);
}

static void add_span(void *context, int64_t first, int64_t n)
{
    const Call *c = context;
    c->cpu->kernels.add(output(c) + first, input(c, 0) + first, input(c, 1) + first, n);
}

/* y again and again: rows of n values. */
static void add_rows(void *context, int64_t first, int64_t count)
{
    const Call *c = context;
    const int64_t n = tensor_count(c->op->in[1]);
    for (int64_t at = first * n; at < (first + count) * n; at += n)
        c->cpu->kernels.add(output(c) + at, input(c, 0) + at, input(c, 1), n);
}

SnugStatus cpu_exec_add(Call *c)
{
    const int64_t n = tensor_count(c->op->in[1]), total = tensor_count(c->op->out);
    if (n == total)
        split_flat(c, add_span);
    else
        rows_split(c->cpu->pool, total / n, n, add_rows, c);
    return SNUG_OK;
}

SnugStatus cpu_exec_add_weight(Call *c)
{
    const float *w = call_vector(c, 0);
    const int64_t n = shape_count(c->op->weight[0]->shape), total = tensor_count(c->op->out);
    for (int64_t at = 0; at < total; at += n)
        c->cpu->kernels.add(output(c) + at, input(c, 0) + at, w, n < total ? n : total);
    return SNUG_OK;
}

static void gated_span(const Call *c, int set, int64_t first, int64_t count)
{
    if (count <= 0) return;
    const Tensor mod = c->op->in[2];
    const int64_t cols = tensor_cols(c->op->out), row = set ? mod.shape.dim[0] - 1 : 0;
    const float *gate = input(c, 2) + (row * mod.shape.dim[1] + c->op->arg.gated.gate) * cols;
    c->cpu->kernels.gated_add(output(c) + first * cols, input(c, 0) + first * cols, gate,
                              input(c, 1) + first * cols, count, cols);
}

static void gated_rows(void *context, int64_t first, int64_t count)
{
    const Call *c = context;
    int64_t before = c->op->arg.gated.split - first;
    before = before < 0 ? 0 : before > count ? count : before;
    gated_span(c, 0, first, before);
    gated_span(c, 1, first + before, count - before);
}

SnugStatus cpu_exec_gated_add(Call *c)
{
    rows_split(c->cpu->pool, tensor_rows(c->op->out), tensor_cols(c->op->out), gated_rows, c);
    return SNUG_OK;
}

static void activation_span(void *context, int64_t first, int64_t n)
{
    const Call *c = context;
    call_map(c->cpu, c->op->arg.act.activation)(output(c) + first, input(c, 0) + first, n);
}

SnugStatus cpu_exec_activation(Call *c)
{
    split_flat(c, activation_span);
    return SNUG_OK;
}

static void gated_activation_span(void *context, int64_t first, int64_t n)
{
    const Call *c = context;
    const Kernels *k = &c->cpu->kernels;
    const float *a = input(c, 0) + first, *b = input(c, 1) + first;
    float *y = output(c) + first;
    switch (c->op->arg.act.activation) {
    case ACT_SILU:
        k->silu_mul(y, a, b, n);
        break;
    case ACT_GELU_ERF:
        k->gelu_erf_mul(y, a, b, n);
        break;
    case ACT_EXP:
    case ACT_GELU_QUICK:
    case ACT_SIGMOID:
        call_map(c->cpu, c->op->arg.act.activation)(y, a, n);
        k->mul(y, y, b, n);
        break;
    case ACT_RELU:
        for (int64_t i = 0; i < n; i++)
            y[i] = (a[i] > 0.0f ? a[i] : 0.0f) * b[i];
        break;
    case ACT_NONE:
        k->mul(y, a, b, n);
        break;
    case ACT_GELU_TANH:
    default:
        k->gelu_tanh_mul(y, a, b, n);
        break;
    }
}

SnugStatus cpu_exec_gated_activation(Call *c)
{
    split_flat(c, gated_activation_span);
    return SNUG_OK;
}

static void combine_span(void *context, int64_t first, int64_t n)
{
    const Call *c = context;
    const float *x[OP_MAX_IN];
    for (int i = 0; i < c->op->n_in; i++)
        x[i] = input(c, i) + first;
    c->cpu->kernels.combine(output(c) + first, x, c->op->arg.combine.coef, c->op->n_in, n);
}

SnugStatus cpu_exec_combine(Call *c)
{
    split_flat(c, combine_span);
    return SNUG_OK;
}

static void guide_span(void *context, int64_t first, int64_t n)
{
    const Call *c = context;
    c->cpu->kernels.lerp(output(c) + first, input(c, 0) + first, input(c, 1) + first,
                         c->op->arg.combine.coef[0], n);
}

SnugStatus cpu_exec_guide(Call *c)
{
    split_flat(c, guide_span);
    return SNUG_OK;
}

static void affine_span(void *context, int64_t first, int64_t count)
{
    const Call *c = context;
    const int64_t cols = tensor_cols(c->op->out);
    c->cpu->kernels.affine_rows(output(c) + first * cols, input(c, 0) + first * cols,
                                c->op->arg.affine.mul, c->op->arg.affine.add, count, cols);
}

SnugStatus cpu_exec_affine(Call *c)
{
    rows_split(c->cpu->pool, tensor_rows(c->op->out), tensor_cols(c->op->out), affine_span, c);
    return SNUG_OK;
}

static void clamp_span(void *context, int64_t first, int64_t n)
{
    const Call *c = context;
    c->cpu->kernels.clamp(output(c) + first, input(c, 0) + first, c->op->arg.clamp.low,
                          c->op->arg.clamp.high, n);
}

SnugStatus cpu_exec_clamp(Call *c)
{
    split_flat(c, clamp_span);
    return SNUG_OK;
}
