/* exec_window.c  Swin's attention: windows are gathered into rows, attended as a batch of equal problems
 * (attention.h), and scattered back.
 *
 * Moved windows see three bands of the map, apart from each other: all but the last window, the
 * part of the last window that lies before the cut, and what came round. So windows are of four
 * kinds, by whether they are the last of their column and row; those of a kind share one table of
 * biases, with -inf between tokens of different bands. Groups of windows bound the workspace. */
#include "compute/cpu/attention.h"
#include "compute/cpu/exec.h"

#include <math.h>
#include <string.h>

enum { GROUP_ROWS = 4096 }; /* tokens gathered at once, at least one window */

typedef struct WindowJob {
    const Call *c;
    int64_t h, w, size, shift, n; /* map, window side, its tokens */
    int64_t down, across;         /* windows */
    int64_t channels, heads;
    const float *fill;     /* [3 C] q, k, v of a padding token */
    float *rows, *out;     /* [group][n][3 C], [group][n][C] */
    float *table;          /* [heads][n][n] of the current kind */
    int64_t *at;           /* [group] windows: row * across + column */
    const float *relative; /* [(2 size - 1)^2, heads] */
} WindowJob;

static WindowJob job_of(const Op *op)
{
    const int64_t size = op->arg.window.size;
    return (WindowJob){ .h = op->arg.window.height,
                        .w = op->arg.window.width,
                        .size = size,
                        .shift = op->arg.window.shift,
                        .n = size * size,
                        .down = (op->arg.window.height + size - 1) / size,
                        .across = (op->arg.window.width + size - 1) / size,
                        .channels = tensor_cols(op->out),
                        .heads = op->arg.window.heads };
}

static int64_t group_of(const WindowJob *j)
{
    const int64_t fit = GROUP_ROWS / j->n, all = j->down * j->across;
    return fit < 1 ? 1 : fit < all ? fit : all;
}

static size_t floats(int64_t n)
{
    return size_align((size_t)n * sizeof(float), CPU_ALIGN);
}

size_t cpu_space_window(const CpuDevice *cpu, const Op *op)
{
    const WindowJob j = job_of(op);
    const int64_t g = group_of(&j);
    return floats(g * j.n * 3 * j.channels) + floats(g * j.n * j.channels) +
           floats(j.heads * j.n * j.n) + floats(3 * j.channels) +
           size_align((size_t)g * sizeof(int64_t), CPU_ALIGN) + cpu_space_vectors(cpu, op) +
           cpu_attention_scratch_bytes(pool_threads(cpu->pool), j.channels / j.heads);
}

/* Token t of a window in the map; false: padding. */
static bool token_of(const WindowJob *j, int64_t window, int64_t t, int64_t *token)
{
    const int64_t rows = j->down * j->size, cols = j->across * j->size;
    const int64_t y = window / j->across * j->size + t / j->size;
    const int64_t x = window % j->across * j->size + t % j->size;
    const int64_t row = (y + j->shift) % rows, col = (x + j->shift) % cols;
    *token = row * j->w + col;
    return row < j->h && col < j->w;
}

/* Which band of a moved map position i of the last window belongs to. */
static int64_t band(const WindowJob *j, bool last, int64_t i)
{
    return last && i >= j->size - j->shift;
}

static void fill_table(const WindowJob *j, bool last_row, bool last_col)
{
    const int64_t s = j->size, n = j->n;
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b < n; b++) {
            const int64_t relative = (a / s - b / s + s - 1) * (2 * s - 1) + a % s - b % s + s - 1;
            const bool apart = j->shift && (band(j, last_row, a / s) != band(j, last_row, b / s) ||
                                            band(j, last_col, a % s) != band(j, last_col, b % s));
            for (int64_t h = 0; h < j->heads; h++)
                j->table[(h * n + a) * n + b] =
                    apart ? -INFINITY : j->relative[relative * j->heads + h];
        }
}

static void gather(void *context, int64_t i, int worker)
{
    const WindowJob *j = context;
    const int64_t c = 3 * j->channels;
    const float *qkv = j->c->at->in[0];
    (void)worker;
    for (int64_t t = 0; t < j->n; t++) {
        int64_t token;
        const bool there = token_of(j, j->at[i], t, &token);
        memcpy(j->rows + (i * j->n + t) * c, there ? qkv + token * c : j->fill,
               (size_t)c * sizeof(float));
    }
}

static void scatter(void *context, int64_t i, int worker)
{
    const WindowJob *j = context;
    const int64_t c = j->channels;
    float *y = j->c->at->out;
    (void)worker;
    for (int64_t t = 0; t < j->n; t++) {
        int64_t token;
        if (token_of(j, j->at[i], t, &token))
            memcpy(y + token * c, j->out + (i * j->n + t) * c, (size_t)c * sizeof(float));
    }
}

static void run_group(WindowJob *j, int64_t count, void *scratch)
{
    const int64_t c = j->channels, row = 3 * c, d = c / j->heads;
    CpuDevice *cpu = j->c->cpu;
    const AttentionArgs a = { .q = { j->rows, row, j->n * row },
                              .k = { j->rows + c, row, j->n * row },
                              .v = { j->rows + 2 * c, row, j->n * row },
                              .y = { j->out, c, j->n * c },
                              .lq = j->n,
                              .lk = j->n,
                              .heads = j->heads,
                              .d = d,
                              .n_batch = count,
                              .scale = 1.0f / sqrtf((float)d),
                              .bias = j->table,
                              .bias_head = j->n * j->n,
                              .bias_row = j->n };
    pool_run(cpu->pool, count, gather, j);
    cpu_attention(&cpu->kernels, cpu->pool, &a, scratch);
    pool_run(cpu->pool, count, scatter, j);
}

/* All windows of one kind; in a map at rest they are all of one. */
static void run_kind(WindowJob *j, bool last_row, bool last_col, int64_t group, void *scratch)
{
    const int64_t y0 = last_row ? j->down - 1 : 0,
                  y1 = last_row || !j->shift ? j->down : j->down - 1;
    const int64_t x0 = last_col ? j->across - 1 : 0,
                  x1 = last_col || !j->shift ? j->across : j->across - 1;
    int64_t count = 0;
    if (y0 >= y1 || x0 >= x1) return;
    fill_table(j, last_row, last_col);
    for (int64_t y = y0; y < y1; y++)
        for (int64_t x = x0; x < x1; x++) {
            j->at[count++] = y * j->across + x;
            if (count < group) continue;
            run_group(j, count, scratch);
            count = 0;
        }
    if (count) run_group(j, count, scratch);
}

SnugStatus cpu_exec_window_attention(Call *c)
{
    WindowJob j = job_of(c->op);
    const int64_t g = group_of(&j);
    j.c = c;
    j.rows = call_scratch(c, floats(g * j.n * 3 * j.channels));
    j.out = call_scratch(c, floats(g * j.n * j.channels));
    j.table = call_scratch(c, floats(j.heads * j.n * j.n));
    float *zeros = call_scratch(c, floats(3 * j.channels));
    j.at = call_scratch(c, (size_t)g * sizeof(int64_t));
    j.relative = call_vector(c, 0);
    memset(zeros, 0, (size_t)(3 * j.channels) * sizeof *zeros);
    j.fill = c->op->n_weights > 1 ? call_vector(c, 1) : zeros;
    void *scratch = call_scratch(
        c, cpu_attention_scratch_bytes(pool_threads(c->cpu->pool), j.channels / j.heads));
    for (int kind = 0; kind < (j.shift ? 4 : 1); kind++)
        run_kind(&j, kind & 1, kind & 2, g, scratch);
    return SNUG_OK;
}
