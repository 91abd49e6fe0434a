/* int8.c  First all rows of x to bytes, then slab by slab of columns: widen the weight twice, for its
 * scale and for its bytes, and run it against all rows.
 *
 * A slab holds all terms, so that sums never leave registers: few panels where K is long. */
#include "compute/cpu/int8.h"

#include <string.h>

#include "base/size.h"

enum {
    SLAB_BYTES = 320 << 10, /* of panels: leaves room in a second-level cache of 512 KiB */
    SLAB_PANELS = 8,
    BLOCK_ROWS = 256,  /* least rows per block: each block makes the slab's bytes again */
    ROWS_AT_ONCE = 32, /* between calls of the element function */
    UNITS_PER_THREAD = 4,
    PART = 512, /* terms that are widened at once: a multiple of 256 */
    ALIGN = 64
};

typedef struct Job {
    const Kernels *kernels;
    const Int8Args *args;
    int64_t k4; /* terms in fours */
    int64_t panels, slabs, block_rows, blocks;
    int8_t *x; /* [m][k4 * 4] */
    float *x_scale;
    unsigned char *local; /* of worker 0 */
    size_t local_bytes;
} Job;

/* What one thread works in. */
typedef struct Local {
    float *wide; /* [PART][PANEL] */
    int8_t *w;   /* panels [k4][PANEL][4] */
    float w_scale[SLAB_PANELS * PANEL];
    int32_t w_sum[SLAB_PANELS * PANEL];
} Local;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Panels of a slab. */
static int64_t slab_panels(int64_t k4)
{
    const int64_t fit = SLAB_BYTES / (k4 * 4 * PANEL);
    return fit < 1 ? 1 : least(fit, SLAB_PANELS);
}

static size_t local_bytes(int64_t k4)
{
    return sizeof(float) * PART * PANEL + (size_t)(slab_panels(k4) * k4 * 4 * PANEL);
}

size_t cpu_int8_scratch_bytes(int threads, int64_t m, int64_t k)
{
    const int64_t k4 = ceil_div(k, 4);
    return size_align((size_t)(m * k4 * 4), ALIGN) + size_align((size_t)m * sizeof(float), ALIGN) +
           (size_t)threads * local_bytes(k4);
}

static void run_x(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    const Int8Args *g = job->args;
    const int64_t end = least((unit + 1) * ROWS_AT_ONCE, g->m);
    (void)worker;
    for (int64_t m = unit * ROWS_AT_ONCE; m < end; m++)
        job->x_scale[m] =
            job->kernels->int8_row(job->x + m * job->k4 * 4, g->x + m * g->ldx, g->w.cols);
}

/* Columns n0 .. of one panel, with their scales and sums. */
static void make_panel(const Job *job, Local *l, int64_t n0, int64_t panel)
{
    const Kernels *k = job->kernels;
    const Stored *w = &job->args->w;
    uint32_t peak[PANEL] = { 0 };
    float factor[PANEL];
    int32_t *sum = l->w_sum + panel * PANEL;
    int8_t *to = l->w + panel * job->k4 * 4 * PANEL;
    for (int64_t k0 = 0; k0 < w->cols; k0 += PART) {
        const int64_t n = least(PART, w->cols - k0);
        k->pack[w->type](l->wide, w, n0, k0, n);
        k->int8_peak(peak, l->wide, n);
    }
    memset(sum, 0, PANEL * sizeof *sum);
    for (int j = 0; j < PANEL; j++)
        l->w_scale[panel * PANEL + j] = int8_scale(peak[j], &factor[j]);
    for (int64_t k0 = 0; k0 < w->cols; k0 += PART) {
        const int64_t n = least(PART, w->cols - k0);
        if (w->cols > PART) k->pack[w->type](l->wide, w, n0, k0, n); /* else it is still there */
        k->int8_panel(to + k0 * PANEL, sum, l->wide, factor, n);
    }
}

static void run_rows(const Job *job, const Local *l, int64_t n0, int64_t cols, int64_t m0,
                     int64_t m1)
{
    const Int8Args *g = job->args;
    for (int64_t m = m0; m < m1; m += ROWS_AT_ONCE) {
        const Int8Tile tile = { .x = job->x + m * job->k4 * 4,
                                .x_scale = job->x_scale + m,
                                .c = g->y + m * g->ldy + n0,
                                .ldc = g->ldy,
                                .rows = least(ROWS_AT_ONCE, m1 - m),
                                .cols = cols,
                                .w = l->w,
                                .w_scale = l->w_scale,
                                .w_sum = l->w_sum,
                                .k4 = job->k4,
                                .bias = g->bias ? g->bias + n0 : NULL };
        job->kernels->int8_block(&tile);
        for (int64_t r = 0; g->map && r < tile.rows; r++)
            g->map(tile.c + r * g->ldy, tile.c + r * g->ldy, cols);
    }
}

static void run_unit(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    unsigned char *own = job->local + (size_t)worker * job->local_bytes;
    Local l = { .wide = (float *)(void *)own };
    l.w = (int8_t *)(own + sizeof(float) * PART * PANEL);
    const int64_t n0 = unit / job->blocks * job->panels * PANEL;
    const int64_t cols = least(job->panels * PANEL, job->args->w.rows - n0);
    const int64_t m0 = unit % job->blocks * job->block_rows;
    for (int64_t n = 0; n < cols; n += PANEL)
        make_panel(job, &l, n0 + n, n / PANEL);
    run_rows(job, &l, n0, cols, m0, least(m0 + job->block_rows, job->args->m));
}

static void cut(Job *job, int threads)
{
    const Int8Args *g = job->args;
    const int64_t panels = ceil_div(g->w.rows, PANEL), most = slab_panels(job->k4),
                  units = threads > 1 ? (int64_t)threads * UNITS_PER_THREAD : 1;
    job->slabs = ceil_div(panels, most);
    job->blocks = 1;
    if (job->slabs < units && g->m >= 2 * BLOCK_ROWS)
        job->blocks = least(ceil_div(units, job->slabs), g->m / BLOCK_ROWS);
    job->panels = ceil_div(panels, job->slabs);
    job->slabs = ceil_div(panels, job->panels);
    job->block_rows = ceil_div(g->m, job->blocks);
    job->blocks = ceil_div(g->m, job->block_rows);
}

void cpu_int8(const Kernels *kernels, Pool *pool, const Int8Args *g, void *scratch)
{
    if (g->m <= 0 || g->w.rows <= 0) return;
    Job job = { .kernels = kernels, .args = g, .k4 = ceil_div(g->w.cols, 4), .x = scratch };
    unsigned char *at = scratch;
    at += size_align((size_t)(g->m * job.k4 * 4), ALIGN);
    job.x_scale = (float *)(void *)at;
    job.local = at + size_align((size_t)g->m * sizeof(float), ALIGN);
    job.local_bytes = local_bytes(job.k4);
    cut(&job, pool_threads(pool));
    pool_run(pool, ceil_div(g->m, ROWS_AT_ONCE), run_x, &job);
    pool_run(pool, job.slabs * job.blocks, run_unit, &job);
}
