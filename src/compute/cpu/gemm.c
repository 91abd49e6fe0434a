/* gemm.c  Cut a product into slabs of columns, widen each slab into the second-level cache, and
 * run it against all rows of x, which are read in place.
 *
 *   unit = slab of up to SLAB_PANELS panels x block of rows, taken from the pool's counter
 *   for each GEMM_KB terms of K:
 *       pack the slab's panels (512 x 128 floats: 256 KiB, half of a usual L2)
 *       for each GEMM_ROWS rows: kernels->gemm_block adds its partial sums into y
 *
 * Splitting by columns reads every weight once in all; each block of rows widens the slab again. The
 * cut with the least foreseen time is taken: even shares for the threads weigh most (nine units
 * for two threads waste a tenth). */
#include "compute/cpu/gemm.h"

#include "base/size.h"

enum {
    SLAB_PANELS = 8,
    FEW_ROWS = 64,        /* below this narrower slabs cost nothing */
    FEW_ROWS_PANELS = 4,  /* and balance better */
    BLOCK_ROWS = 168,     /* least rows per block: widening again costs <= 3 % */
    UNITS_PER_THREAD = 8, /* more are not tried: a disturbed thread holds up the rest by one unit */
    SLAB_FLOATS = SLAB_PANELS * PANEL * GEMM_KB
};

/* What a unit costs besides its products, about, on Zen 3 with cold weights. */
static const double SLAB_COST = 0.25, /* reading x once more, as panels */
    PACK_COST = 8.0,                  /* widening a slab, as rows */
    END_COST = 0.25;                  /* idle at the end, as units of every thread */

/** How the product is cut; free to change, bits do not depend on it. */
typedef struct Cut {
    int64_t slab_cols, slabs;
    int64_t block_rows, blocks;
} Cut;

typedef struct Job {
    const Kernels *kernels;
    const GemmArgs *args;
    Cut cut;
    float *scratch;
} Job;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/** Time of a cut, in rows times panels of one thread: the fullest thread's units, and part of one
 *  more because threads do not end together. */
static double cut_cost(const Cut *cut, int64_t m, int threads)
{
    const double panels = (double)cut->slab_cols / PANEL + SLAB_COST,
                 rows = (double)least(cut->block_rows, m) + PACK_COST;
    const int64_t rounds = ceil_div(cut->slabs * cut->blocks, threads);
    return ((double)rounds + (threads > 1 ? END_COST : 0.0)) * panels * rows;
}

static Cut cut_into(int64_t m, int64_t n, int64_t panels, int64_t blocks)
{
    Cut cut = { .slab_cols = panels * PANEL };
    cut.slabs = ceil_div(n, cut.slab_cols);
    cut.block_rows = ceil_div(ceil_div(m, blocks), GEMM_ROWS) * GEMM_ROWS;
    cut.blocks = ceil_div(m, cut.block_rows);
    return cut;
}

static Cut cut_product(int64_t m, int64_t n, int threads)
{
    const int64_t most = m <= FEW_ROWS ? FEW_ROWS_PANELS : SLAB_PANELS;
    Cut best = { 0 };
    for (int64_t panels = most; panels > 0; panels--) {
        const int64_t slabs = ceil_div(n, panels * PANEL);
        const int64_t enough = ceil_div((int64_t)threads * UNITS_PER_THREAD, slabs);
        for (int64_t blocks = 1; blocks == 1 || (blocks <= enough && blocks * BLOCK_ROWS <= m);
             blocks++) {
            const Cut cut = cut_into(m, n, panels, blocks);
            if (!best.slabs || cut_cost(&cut, m, threads) < cut_cost(&best, m, threads)) best = cut;
        }
    }
    return best;
}

/** Row m of x and z from term k0 on. */
static const float *row_terms(const GemmArgs *g, int64_t m, int64_t k0)
{
    return g->z && k0 >= g->k_x ? g->z + m * g->ldz + (k0 - g->k_x) : g->x + m * g->ldx + k0;
}

/** Terms of the chain that begins at k0: up to GEMM_KB, not across the border of x and z. */
static int64_t chain_terms(const GemmArgs *g, int64_t k0)
{
    const int64_t end = g->z && k0 < g->k_x ? g->k_x : g->w.cols;
    return least(GEMM_KB, end - k0);
}

/** Rows m0..m1 of one slab against the packed terms k0..k0 + kc. */
static void run_rows(const Job *job, const float *packed, int64_t n0, int64_t cols, int64_t k0,
                     int64_t kc, int64_t m0, int64_t m1)
{
    const GemmArgs *g = job->args;
    const bool last = k0 + kc == g->w.cols;
    const float *a[GEMM_ROWS];
    float *c[GEMM_ROWS];
    GemmTile tile = { .a = a,
                      .c = c,
                      .cols = cols,
                      .b = packed,
                      .kc = kc,
                      .bias = last && g->bias ? g->bias + n0 : NULL,
                      .add = k0 > 0 || g->add };
    for (int64_t m = m0; m < m1; m += GEMM_ROWS) {
        tile.rows = least(GEMM_ROWS, m1 - m);
        for (int64_t r = 0; r < tile.rows; r++) {
            a[r] = row_terms(g, m + r, k0);
            c[r] = g->y + (m + r) * g->ldy + n0;
        }
        job->kernels->gemm_block(&tile);
        for (int64_t r = 0; last && g->map && r < tile.rows; r++)
            g->map(c[r], c[r], cols);
    }
}

static void run_unit(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    const Stored *w = &job->args->w;
    float *packed = job->scratch + (int64_t)worker * SLAB_FLOATS;
    PackPanel *pack = job->kernels->pack[w->type];
    const int64_t n0 = unit / job->cut.blocks * job->cut.slab_cols;
    const int64_t cols = least(job->cut.slab_cols, w->rows - n0);
    const int64_t m0 = unit % job->cut.blocks * job->cut.block_rows;
    const int64_t m1 = least(m0 + job->cut.block_rows, job->args->m);
    int64_t k0 = 0;
    do {
        const int64_t kc = chain_terms(job->args, k0);
        for (int64_t n = 0; n < cols; n += PANEL)
            pack(packed + n * kc, w, n0 + n, k0, kc);
        run_rows(job, packed, n0, cols, k0, kc, m0, m1);
        k0 += kc;
    } while (k0 < w->cols);
}

size_t cpu_gemm_scratch_bytes(int threads)
{
    return (size_t)threads * SLAB_FLOATS * sizeof(float);
}

void cpu_gemm(const Kernels *kernels, Pool *pool, const GemmArgs *args, void *scratch)
{
    if (args->m <= 0 || args->w.rows <= 0) return;
    Job job = { kernels, args, cut_product(args->m, args->w.rows, pool_threads(pool)), scratch };
    pool_run(pool, job.cut.slabs * job.cut.blocks, run_unit, &job);
}
