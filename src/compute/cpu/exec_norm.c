/* exec_norm.c  Norms on the CPU, rows split over the threads. */
#include "compute/cpu/exec.h"
#include "compute/cpu/rows_split.h"

/* Modulation vectors: rows before `split` use the first set, the rest the last. */
typedef struct NormJob {
    const Call *c;
    const float *mul[2], *add[2];
    float mul_plus;
    int64_t cols, split;
} NormJob;

static void layer_norm_span(const NormJob *j, int set, int64_t first, int64_t count)
{
    if (count <= 0) return;
    const float *x = (const float *)j->c->at->in[0] + first * j->cols;
    float *y = (float *)j->c->at->out + first * j->cols;
    j->c->cpu->kernels.layer_norm(y, x, j->mul[set], j->add[set], j->mul_plus,
                                  j->c->op->arg.norm.eps, count, j->cols);
}

static void layer_norm_rows(void *context, int64_t first, int64_t count)
{
    const NormJob *j = context;
    int64_t before = j->split - first;
    before = before < 0 ? 0 : before > count ? count : before;
    layer_norm_span(j, 0, first, before);
    layer_norm_span(j, 1, first + before, count - before);
}

SnugStatus cpu_exec_layer_norm(Call *c)
{
    const Op *op = c->op;
    NormJob j = { .c = c, .cols = tensor_cols(op->out), .split = op->arg.norm.split };
    if (op->n_in == 2) {
        const float *mod = c->at->in[1];
        const int64_t sets = op->in[1].shape.dim[0], n = op->in[1].shape.dim[1];
        for (int s = 0; s < 2; s++) {
            const float *set = mod + (s ? sets - 1 : 0) * n * j.cols;
            j.mul[s] = set + op->arg.norm.scale * j.cols;
            j.add[s] = set + op->arg.norm.shift * j.cols;
        }
        j.mul_plus = 1.0f;
    } else {
        j.mul[0] = j.mul[1] = call_vector(c, 0);
        j.add[0] = j.add[1] = call_vector(c, 1);
    }
    rows_split(c->cpu->pool, tensor_rows(op->out), j.cols, layer_norm_rows, &j);
    return SNUG_OK;
}

static void rms_norm_rows(void *context, int64_t first, int64_t count)
{
    const NormJob *j = context;
    const Kernels *kernels = &j->c->cpu->kernels;
    const float *x = (const float *)j->c->at->in[0] + first * j->cols;
    float *y = (float *)j->c->at->out + first * j->cols;
    if (j->c->op->n_in == 2) { /* factors are given */
        const float *factors = (const float *)j->c->at->in[1] + first;
        kernels->scale_rows(y, x, factors, j->mul[0] + j->c->op->arg.norm.first, count, j->cols);
    } else
        kernels->rms_norm(y, x, j->mul[0], j->c->op->arg.norm.eps, count, j->cols);
}

static void rms_factor_rows(void *context, int64_t first, int64_t count)
{
    const NormJob *j = context;
    const float *x = (const float *)j->c->at->in[0] + first * j->cols;
    j->c->cpu->kernels.rms_factors((float *)j->c->at->out + first, x, j->c->op->arg.norm.eps, count,
                                   j->cols);
}

SnugStatus cpu_exec_rms_factors(Call *c)
{
    NormJob j = { .c = c, .cols = tensor_cols(c->op->in[0]) };
    rows_split(c->cpu->pool, tensor_rows(c->op->in[0]), j.cols, rms_factor_rows, &j);
    return SNUG_OK;
}

SnugStatus cpu_exec_rms_norm(Call *c)
{
    NormJob j = { .c = c, .cols = tensor_cols(c->op->out), .mul = { call_vector(c, 0) } };
    rows_split(c->cpu->pool, tensor_rows(c->op->out), j.cols, rms_norm_rows, &j);
    return SNUG_OK;
}

static void l2_norm_rows(void *context, int64_t first, int64_t count)
{
    const NormJob *j = context;
    const float *x = (const float *)j->c->at->in[0] + first * j->cols;
    float *y = (float *)j->c->at->out + first * j->cols;
    j->c->cpu->kernels.l2_norm(y, x, j->mul[0], j->c->op->arg.norm.activation == ACT_SILU, count,
                               j->cols);
}

SnugStatus cpu_exec_l2_norm(Call *c)
{
    NormJob j = { .c = c, .cols = tensor_cols(c->op->out), .mul = { call_vector(c, 0) } };
    rows_split(c->cpu->pool, tensor_rows(c->op->out), j.cols, l2_norm_rows, &j);
    return SNUG_OK;
}
