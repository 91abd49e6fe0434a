/* exec_picture.c  Resizing, deformable taps, means, rows scaled, batch norm on the CPU. All values go
 * through row kernels over channels, so bits do not depend on bands or threads. */
#include "compute/cpu/exec.h"
#include "compute/cpu/rows_split.h"

#include <math.h>
#include <string.h>

/* ---- bilinear, corners aligned -------------------------------------------------------------- */

/** One scratch of `floats` for each thread. */
static size_t thread_floats(const CpuDevice *cpu, int64_t floats)
{
    return size_align((size_t)floats * sizeof(float), CPU_ALIGN) * (size_t)pool_threads(cpu->pool);
}

typedef struct ResizeJob {
    const Call *c;
    unsigned char *rows; /* one row of the input's width for each thread */
    size_t row_bytes;
    float down, across; /* steps of the input for a step of the result */
} ResizeJob;

size_t cpu_space_resize(const CpuDevice *cpu, const Op *op)
{
    return thread_floats(cpu, op->in[0].shape.dim[2] * op->in[0].shape.dim[3]);
}

/** Where position i of the result lies between two of the input. */
typedef struct Between {
    int64_t low, high;
    float part; /* of high */
} Between;

static Between between(float step, int64_t i, int64_t n)
{
    const float at = step * (float)i;
    int64_t low = (int64_t)at;
    if (low > n - 1) low = n - 1;
    return (Between){ low, low + 1 < n ? low + 1 : low, at - (float)low };
}

static float aligned_step(int64_t from, int64_t to)
{
    return to > 1 ? (float)(from - 1) / (float)(to - 1) : 0.0f;
}

static void resize_row(void *context, int64_t row, int worker)
{
    const ResizeJob *j = context;
    const Op *op = j->c->op;
    const Kernels *k = &j->c->cpu->kernels;
    const Shape x = op->in[0].shape;
    const int64_t h = x.dim[1], w = x.dim[2], c = x.dim[3], width = op->out.shape.dim[2];
    const float *from = j->c->at->in[0];
    float *to = (float *)j->c->at->out + row * width * c;
    float *mixed = (float *)(void *)(j->rows + (size_t)worker * j->row_bytes);
    const Between y = between(j->down, op->arg.resize.first + row, h);
    k->lerp(mixed, from + y.low * w * c, from + y.high * w * c, y.part, w * c);
    for (int64_t i = 0; i < width; i++) {
        const Between a = between(j->across, i, w);
        k->lerp(to + i * c, mixed + a.low * c, mixed + a.high * c, a.part, c);
    }
}

SnugStatus cpu_exec_resize(Call *c)
{
    const Op *op = c->op;
    const size_t bytes = cpu_space_resize(c->cpu, op);
    ResizeJob j = { .c = c,
                    .rows = call_scratch(c, bytes),
                    .row_bytes = bytes / (size_t)pool_threads(c->cpu->pool),
                    .down = aligned_step(op->in[0].shape.dim[1], op->arg.resize.height),
                    .across = aligned_step(op->in[0].shape.dim[2], op->out.shape.dim[2]) };
    pool_run(c->cpu->pool, op->out.shape.dim[1], resize_row, &j);
    return SNUG_OK;
}

/* ---- deformable taps ------------------------------------------------------------------------ */

typedef struct DeformJob {
    const Call *c;
    unsigned char *taps; /* [k k][C] for each thread */
    size_t taps_bytes;
} DeformJob;

size_t cpu_space_deform(const CpuDevice *cpu, const Op *op)
{
    return thread_floats(cpu, tensor_cols(op->out));
}

/* y[c] = factor * bilinear value of the map at (down, across); zero outside. */
static void sample(const Call *c, float *y, float down, float across, float factor)
{
    const Shape x = c->op->in[0].shape;
    const int64_t h = x.dim[1], w = x.dim[2], channels = x.dim[3];
    const float *map = c->at->in[0], *from[4];
    float part[4];
    int n = 0;
    if (down > -1.0f && across > -1.0f && down < (float)h && across < (float)w) {
        const float top = floorf(down), left = floorf(across);
        const float low = down - top, right = across - left;
        const float share[4] = { (1.0f - low) * (1.0f - right), (1.0f - low) * right,
                                 low * (1.0f - right), low * right };
        for (int i = 0; i < 4; i++) {
            const int64_t row = (int64_t)top + i / 2, col = (int64_t)left + i % 2;
            if (row < 0 || row >= h || col < 0 || col >= w) continue;
            from[n] = map + (row * w + col) * channels;
            part[n++] = share[i] * factor;
        }
    }
    if (n)
        c->cpu->kernels.combine(y, from, part, n, channels);
    else
        memset(y, 0, (size_t)channels * sizeof *y);
}

static void deform_pixel(const Call *c, int64_t pixel, float *taps)
{
    const Op *op = c->op;
    const int k = op->arg.deform.kernel, n = k * k, pad = k / 2;
    const int64_t w = op->in[0].shape.dim[2], channels = op->in[0].shape.dim[3];
    const int64_t row = op->arg.deform.first + pixel / w, col = pixel % w;
    const float *offset = (const float *)c->at->in[1] + pixel * 2 * n;
    const float *factor = (const float *)c->at->in[2] + pixel * n;
    float *y = (float *)c->at->out + pixel * channels * n;
    for (int t = 0; t < n; t++)
        sample(c, taps + t * channels, (float)(row - pad + t / k) + offset[2 * t],
               (float)(col - pad + t % k) + offset[2 * t + 1], factor[t]);
    for (int64_t i = 0; i < channels; i++)
        for (int t = 0; t < n; t++)
            y[i * n + t] = taps[t * channels + i];
}

static void deform_row(void *context, int64_t row, int worker)
{
    const DeformJob *j = context;
    const int64_t w = j->c->op->in[0].shape.dim[2];
    float *taps = (float *)(void *)(j->taps + (size_t)worker * j->taps_bytes);
    for (int64_t i = row * w; i < (row + 1) * w; i++)
        deform_pixel(j->c, i, taps);
}

SnugStatus cpu_exec_deform_columns(Call *c)
{
    const size_t bytes = cpu_space_deform(c->cpu, c->op);
    DeformJob j = { c, call_scratch(c, bytes), bytes / (size_t)pool_threads(c->cpu->pool) };
    pool_run(c->cpu->pool, c->op->in[1].shape.dim[1], deform_row, &j);
    return SNUG_OK;
}

/* ---- means ---------------------------------------------------------------------------------- */

typedef struct MeanJob {
    const Call *c;
    float *sums; /* [H, C] */
} MeanJob;

size_t cpu_space_mean(const CpuDevice *cpu, const Op *op)
{
    (void)cpu;
    const Shape x = op->in[0].shape;
    return size_align((size_t)(x.dim[1] * x.dim[3]) * sizeof(float), CPU_ALIGN);
}

static void mean_row(void *context, int64_t row, int worker)
{
    const MeanJob *j = context;
    const Shape x = j->c->op->in[0].shape;
    (void)worker;
    j->c->cpu->kernels.column_sums(j->sums + row * x.dim[3],
                                   (const float *)j->c->at->in[0] + row * x.dim[2] * x.dim[3],
                                   x.dim[2], x.dim[3]);
}

SnugStatus cpu_exec_mean(Call *c)
{
    const Shape x = c->op->in[0].shape;
    MeanJob j = { c, call_scratch(c, cpu_space_mean(c->cpu, c->op)) };
    float *y = c->at->out;
    pool_run(c->cpu->pool, x.dim[1], mean_row, &j);
    c->cpu->kernels.column_sums(y, j.sums, x.dim[1], x.dim[3]);
    for (int64_t i = 0; i < x.dim[3]; i++)
        y[i] /= (float)(x.dim[1] * x.dim[2]);
    return SNUG_OK;
}

/* ---- rows scaled, batch norm ---------------------------------------------------------------- */

static void scale_span(void *context, int64_t first, int64_t count)
{
    const Call *c = context;
    const int64_t cols = tensor_cols(c->op->out);
    const float *x = c->at->in[0], *s = c->at->in[1];
    float *y = c->at->out;
    for (int64_t r = first; r < first + count; r++)
        c->cpu->kernels.scale(y + r * cols, x + r * cols, s[r], cols);
}

SnugStatus cpu_exec_scale_rows(Call *c)
{
    rows_split(c->cpu->pool, tensor_rows(c->op->out), tensor_cols(c->op->out), scale_span, c);
    return SNUG_OK;
}

typedef struct BatchJob {
    const Call *c;
    float *scale, *shift; /* [C] */
    MapRow *map;
} BatchJob;

size_t cpu_space_batch_norm(const CpuDevice *cpu, const Op *op)
{
    (void)cpu;
    size_t bytes = 2 * size_align((size_t)tensor_cols(op->out) * sizeof(float), CPU_ALIGN);
    for (int i = 0; i < op->n_weights; i++)
        bytes += call_vector_bytes(op, i);
    return bytes;
}

static void batch_span(void *context, int64_t first, int64_t count)
{
    const BatchJob *j = context;
    const int64_t cols = tensor_cols(j->c->op->out);
    float *y = (float *)j->c->at->out + first * cols;
    j->c->cpu->kernels.affine_rows(y, (const float *)j->c->at->in[0] + first * cols, j->scale,
                                   j->shift, count, cols);
    if (j->map) j->map(y, y, count * cols);
}

SnugStatus cpu_exec_batch_norm(Call *c)
{
    const int64_t n = tensor_cols(c->op->out);
    BatchJob j = { .c = c, .map = call_map(c->cpu, c->op->arg.norm.activation) };
    j.scale = call_scratch(c, (size_t)n * sizeof(float));
    j.shift = call_scratch(c, (size_t)n * sizeof(float));
    const float *v[4];
    for (int i = 0; i < 4; i++)
        v[i] = call_vector(c, i);
    for (int64_t i = 0; i < n; i++) {
        const double scale = (double)v[0][i] / sqrt((double)v[3][i] + (double)c->op->arg.norm.eps);
        j.scale[i] = (float)scale;
        j.shift[i] = (float)((double)v[1][i] - (double)v[2][i] * scale);
    }
    rows_split(c->cpu->pool, tensor_rows(c->op->out), n, batch_span, &j);
    return SNUG_OK;
}
