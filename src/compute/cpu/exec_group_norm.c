/* exec_group_norm.c  Group norm in two passes over an image, so that rows may come in bands.
 *
 * Pass 1 keeps for each row of pixels and each group its mean and the squares around that mean. Pass 2
 * joins the rows in f64, from the first to the last whatever bands there were, and maps
 * y = fma(x, scale[c], shift[c]). Joining means of rows instead of adding squares of all values
 * does not cancel where the mean is large. */
#include "compute/cpu/exec.h"
#include "compute/cpu/rows_split.h"

#include <math.h>

/* ---- pass 1 --------------------------------------------------------------------------------- */

typedef struct MomentsJob {
    const Call *c;
    float *sums; /* [threads][3][C] */
    int64_t width, channels, groups;
} MomentsJob;

size_t cpu_space_group_moments(const CpuDevice *cpu, const Op *op)
{
    const size_t floats = 3 * (size_t)op->in[0].shape.dim[3] * (size_t)pool_threads(cpu->pool);
    return size_align(floats * sizeof(float), CPU_ALIGN);
}

/* Sum of each group's channels, from the first to the last. */
static float group_sum(const float *channel, int64_t n)
{
    float sum = 0.0f;
    for (int64_t i = 0; i < n; i++)
        sum += channel[i];
    return sum;
}

static void moments_row(void *context, int64_t row, int worker)
{
    const MomentsJob *j = context;
    const Kernels *k = &j->c->cpu->kernels;
    const int64_t c = j->channels, per = c / j->groups, n = per * j->width;
    const float *x = (const float *)j->c->at->in[0] + row * j->width * c;
    float *sum = j->sums + worker * 3 * c, *centre = sum + c, *square = centre + c;
    float *out = (float *)j->c->at->out + row * j->groups * 2;
    k->column_sums(sum, x, j->width, c);
    for (int64_t g = 0; g < j->groups; g++) {
        const float mean = group_sum(sum + g * per, per) / (float)n;
        out[2 * g] = mean;
        for (int64_t i = g * per; i < (g + 1) * per; i++)
            centre[i] = mean;
    }
    k->column_squares(square, x, centre, j->width, c);
    for (int64_t g = 0; g < j->groups; g++)
        out[2 * g + 1] = group_sum(square + g * per, per);
}

SnugStatus cpu_exec_group_moments(Call *c)
{
    const Shape x = c->op->in[0].shape;
    MomentsJob j = { .c = c,
                     .sums = call_scratch(c, cpu_space_group_moments(c->cpu, c->op)),
                     .width = x.dim[2],
                     .channels = x.dim[3],
                     .groups = c->op->out.shape.dim[1] };
    pool_run(c->cpu->pool, x.dim[1], moments_row, &j);
    return SNUG_OK;
}

/* ---- pass 2 --------------------------------------------------------------------------------- */

typedef struct NormJob {
    const Call *c;
    float *scale, *shift; /* [C] */
    int64_t width, channels;
    MapRow *map;
} NormJob;

size_t cpu_space_group_norm(const CpuDevice *cpu, const Op *op)
{
    const size_t vector = size_align((size_t)tensor_cols(op->out) * sizeof(float), CPU_ALIGN);
    return 2 * vector + cpu_space_vectors(cpu, op);
}

/* Mean and 1 / sqrt(var + eps) of group g over all rows; `n` values a row. */
static void join_rows(const Op *op, const float *moments, int64_t g, double n, double *mean,
                      double *inverse)
{
    const int64_t rows = op->in[1].shape.dim[0], groups = op->in[1].shape.dim[1];
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < rows; i++)
        sum += (double)moments[(i * groups + g) * 2];
    *mean = sum / (double)rows;
    for (int64_t i = 0; i < rows; i++) {
        const float *row = moments + (i * groups + g) * 2;
        const double d = (double)row[0] - *mean;
        squares += (double)row[1] + n * d * d;
    }
    *inverse = 1.0 / sqrt(squares / (n * (double)rows) + (double)op->arg.norm.eps);
}

static void fill_maps(const NormJob *j, const float *weight, const float *bias)
{
    const Op *op = j->c->op;
    const int64_t groups = op->in[1].shape.dim[1], per = j->channels / groups;
    for (int64_t g = 0; g < groups; g++) {
        double mean, inverse;
        join_rows(op, j->c->at->in[1], g, (double)(per * j->width), &mean, &inverse);
        for (int64_t i = g * per; i < (g + 1) * per; i++) {
            const double scale = inverse * (double)weight[i];
            j->scale[i] = (float)scale;
            j->shift[i] = (float)((double)bias[i] - mean * scale);
        }
    }
}

static void norm_pixels(void *context, int64_t first, int64_t count)
{
    const NormJob *j = context;
    const float *x = (const float *)j->c->at->in[0] + first * j->channels;
    float *y = (float *)j->c->at->out + first * j->channels;
    j->c->cpu->kernels.affine_rows(y, x, j->scale, j->shift, count, j->channels);
    if (j->map) j->map(y, y, count * j->channels);
}

SnugStatus cpu_exec_group_norm(Call *c)
{
    const Op *op = c->op;
    const Shape x = op->in[0].shape;
    const size_t bytes = (size_t)x.dim[3] * sizeof(float);
    NormJob j = { .c = c,
                  .width = x.dim[2],
                  .channels = x.dim[3],
                  .map = call_map(c->cpu, op->arg.norm.activation) };
    j.scale = call_scratch(c, bytes);
    j.shift = call_scratch(c, bytes);
    const float *weight = call_vector(c, 0);
    fill_maps(&j, weight, call_vector(c, 1));
    rows_split(c->cpu->pool, x.dim[1] * x.dim[2], x.dim[3], norm_pixels, &j);
    return SNUG_OK;
}
