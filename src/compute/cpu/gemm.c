/* gemm.c  Cut a product into slabs of columns, widen each slab into the second-level cache, and
 * run it against all rows of x, which are read in place.
 *
 *   unit = slab of up to SLAB_PANELS panels x block of rows, taken from the pool's counter
 *   for each GEMM_KB terms of K:
 *       pack the slab's panels (512 x 128 floats: 256 KiB, half of a usual L2)
 *       for each GEMM_ROWS rows: kernels->gemm_block adds its partial sums into y
 *
 * Few rows take less time than reading the weights from memory: while they are multiplied, the terms that
 * this thread will pack next are asked for, and packing finds them in the second-level cache.
 *
 * In bf16 panels are rounded when they are packed, and the rows' terms for each slab anew: a copy of all
 * of x could take as much memory as x, and rounding is a few percent of products with 128 columns.
 *
 * Splitting by columns reads every weight once in all; each block of rows widens the slab again. The
 * cut with the least foreseen time is taken. Threads are never equally fast (neighbours, the system),
 * and what one of them still does at the end the others wait for: the last slabs are cut into small
 * blocks of rows, the first ones need not be. */
#include "compute/cpu/gemm.h"

#include "base/size.h"

enum {
    SLAB_PANELS = 8,
    FEW_ROWS = 64,       /* below this narrower slabs cost nothing */
    FEW_ROWS_PANELS = 4, /* and balance better */
    PACKS_LESS = 8, /* from here on packing takes less time than products, which then ask for all */
    TAIL_SLABS = 2, /* for each thread, when not all slabs are cut */
    MOST_BLOCKS = 16,
    SLAB_FLOATS = SLAB_PANELS * PANEL * GEMM_KB,
    WIDE_FLOATS = PANEL * GEMM_KB, /* a panel before it is rounded */
    LINE = 64 / sizeof(float),
    ROW_PITCH = GEMM_KB + LINE, /* no power of two: rows would share places in the cache */
    BF16_ROWS = GEMM_ROWS / 2,  /* at once: the slab leaves no more room in the cache */
    BF16_FLOATS = WIDE_FLOATS + BF16_ROWS * ROW_PITCH
};

/* What a unit costs besides its products, about, on Zen 3 with cold weights. */
static const double SLAB_COST = 0.25, /* reading x once more, as panels */
    PACK_COST = 8.0,                  /* widening a slab, as rows */
    END_COST = 0.5;                   /* idle at the end, as the last unit of every thread */

/** How the product is cut; free to change, bits do not depend on it. */
typedef struct Cut {
    int64_t slab_cols, slabs;
    int64_t whole;              /* slabs that are not cut further: the first units */
    int64_t block_rows, blocks; /* of every later slab */
} Cut;

typedef struct Job {
    const Kernels *kernels;
    const GemmArgs *args;
    Cut cut;
    int threads;
    float *scratch;
} Job;

/** Terms k0 .. k0 + kc of some columns, packed. */
typedef struct Packed {
    int64_t n0, cols, k0, kc;
    int64_t depth;      /* kc, or what its terms become in bf16 */
    float *panels;      /* [depth][PANEL] each */
    float *wide, *rows; /* in bf16: a panel and rows of x on their way */
} Packed;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t cut_units(const Cut *cut)
{
    return cut->whole + (cut->slabs - cut->whole) * cut->blocks;
}

/** Time of a cut, in rows times panels: the fullest thread's units (blocks even out what whole slabs
 *  leave uneven), and part of a last unit because threads do not end together. */
static double cut_cost(const Cut *cut, int64_t m, int threads)
{
    const double panels = (double)cut->slab_cols / PANEL + SLAB_COST, first = (double)m + PACK_COST,
                 last = (double)least(cut->block_rows, m) + PACK_COST;
    const double later = (double)((cut->slabs - cut->whole) * cut->blocks) * last;
    const double share = ((double)cut->whole * first + later) / threads;
    double most = (double)ceil_div(cut_units(cut), threads) * last; /* of equal units */
    if (cut->whole) {
        most = (double)ceil_div(cut->whole, threads) * first;
        if (most < share) most = share;
    }
    return panels * (most + (threads > 1 ? END_COST * last : 0.0));
}

/** `cut_slabs` of the slabs, or all, into `blocks`. */
static Cut cut_into(int64_t m, int64_t n, int64_t panels, int64_t cut_slabs, int64_t blocks)
{
    Cut cut = { .slab_cols = panels * PANEL };
    cut.slabs = ceil_div(n, cut.slab_cols);
    cut.whole = cut.slabs - least(cut.slabs, cut_slabs);
    cut.block_rows = ceil_div(ceil_div(m, blocks), GEMM_ROWS) * GEMM_ROWS;
    cut.blocks = ceil_div(m, cut.block_rows);
    return cut;
}

static Cut cut_product(int64_t m, int64_t n, int threads)
{
    const int64_t most = m <= FEW_ROWS ? FEW_ROWS_PANELS : SLAB_PANELS;
    Cut best = { 0 };
    double best_cost = 0.0;
    for (int64_t panels = most; panels > 0; panels--)
        for (int64_t blocks = 1; blocks <= MOST_BLOCKS && (blocks - 1) * GEMM_ROWS < m; blocks++)
            for (int all = 0; all < 2; all++) {
                const int64_t slabs = all ? n : TAIL_SLABS * (int64_t)threads;
                const Cut cut = cut_into(m, n, panels, slabs, blocks);
                const double cost = cut_cost(&cut, m, threads);
                if (best.slabs && cost >= best_cost) continue;
                best = cut;
                best_cost = cost;
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

/** Its panels, and with them the depth. */
static void pack_panels(const Job *job, Packed *p)
{
    const Kernels *k = job->kernels;
    const Stored *w = &job->args->w;
    const bool bf16 = job->args->bf16;
    float *to = p->panels;
    p->depth = p->kc;
    for (int64_t n = 0; n < p->cols; n += PANEL, to += p->depth * PANEL) {
        k->pack[w->type](bf16 ? p->wide : to, w, p->n0 + n, p->k0, p->kc);
        if (bf16) p->depth = k->bf16_panel(to, p->wide, p->kc);
    }
}

/** Ask for a row that is rounded after the next products: 0.80 to 0.85 of f32's rate with AVX2. */
static void fetch_row(const Job *job, const Packed *p, int64_t m)
{
    if (m >= job->args->m) return;
    const float *x = row_terms(job->args, m, p->k0);
    for (int64_t k = 0; k < p->kc; k += LINE)
        __builtin_prefetch(x + k);
}

/** The packed terms of row m; r: its number among those at once. */
static const float *packed_row(const Job *job, const Packed *p, int64_t m, int64_t r)
{
    const float *x = row_terms(job->args, m, p->k0);
    if (!job->args->bf16) return x;
    float *to = p->rows + r * ROW_PITCH;
    fetch_row(job, p, m + BF16_ROWS);
    (void)job->kernels->bf16_row(to, x, p->kc);
    return to;
}

/** What this thread packs after p, if threads take their units in turns. Fewer rows than PACKS_LESS:
 *  every second row, the others come while packing. */
static GemmFetch fetch_next(const Job *job, const Packed *p)
{
    const GemmArgs *g = job->args;
    const bool same = p->k0 + p->kc < g->w.cols;
    const int64_t n0 = same ? p->n0 : p->n0 + job->threads * job->cut.slab_cols;
    const int64_t k0 = same ? p->k0 + p->kc : 0;
    const int64_t rows = least(job->cut.slab_cols, g->w.rows - n0);
    if (g->m > FEW_ROWS || rows <= 1) return (GemmFetch){ 0 };
    const char *from = stored_at(&g->w, n0, k0);
    const int64_t each = g->m < PACKS_LESS ? 2 : 1;
    return (GemmFetch){ .from = from,
                        .rows = (rows + each - 1) / each,
                        .pitch = (stored_at(&g->w, n0 + 1, k0) - from) * each,
                        .bytes = stored_at(&g->w, n0, k0 + chain_terms(g, k0)) - from };
}

/** Rows m0..m1 against packed terms. */
static void run_rows(const Job *job, const Packed *p, int64_t m0, int64_t m1)
{
    const GemmArgs *g = job->args;
    const bool last = p->k0 + p->kc == g->w.cols;
    const int64_t step = g->bf16 ? BF16_ROWS : GEMM_ROWS;
    const float *a[GEMM_ROWS];
    float *c[GEMM_ROWS];
    GemmTile tile = { .a = a,
                      .c = c,
                      .cols = p->cols,
                      .b = p->panels,
                      .kc = p->depth,
                      .bias = last && g->bias ? g->bias + p->n0 : NULL,
                      .add = p->k0 > 0 || g->add,
                      .fetch = fetch_next(job, p) };
    for (int64_t m = m0; m < m1; m += step) {
        tile.rows = least(step, m1 - m);
        for (int64_t r = 0; r < tile.rows; r++) {
            a[r] = packed_row(job, p, m + r, r);
            c[r] = g->y + (m + r) * g->ldy + p->n0;
        }
        (g->bf16 ? job->kernels->bf16_block : job->kernels->gemm_block)(&tile);
        tile.fetch.rows = 0; /* once is enough */
        for (int64_t r = 0; last && g->map && r < tile.rows; r++)
            g->map(c[r], c[r], p->cols);
    }
}

static size_t thread_floats(bool bf16)
{
    return bf16 ? SLAB_FLOATS + BF16_FLOATS : SLAB_FLOATS;
}

static void run_unit(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    const Stored *w = &job->args->w;
    Packed p = { .panels = job->scratch + (size_t)worker * thread_floats(job->args->bf16) };
    if (job->args->bf16) {
        p.wide = p.panels + SLAB_FLOATS;
        p.rows = p.wide + WIDE_FLOATS;
    }
    const Cut *cut = &job->cut;
    const int64_t part = unit - cut->whole; /* among those of the slabs that are cut */
    const int64_t slab = part < 0 ? unit : cut->whole + part / cut->blocks;
    p.n0 = slab * cut->slab_cols;
    p.cols = least(cut->slab_cols, w->rows - p.n0);
    const int64_t m0 = part < 0 ? 0 : part % cut->blocks * cut->block_rows;
    const int64_t m1 = part < 0 ? job->args->m : least(m0 + cut->block_rows, job->args->m);
    do {
        p.kc = chain_terms(job->args, p.k0);
        pack_panels(job, &p);
        run_rows(job, &p, m0, m1);
        p.k0 += p.kc;
    } while (p.k0 < w->cols);
}

size_t cpu_gemm_scratch_bytes(int threads, bool bf16)
{
    return (size_t)threads * thread_floats(bf16) * sizeof(float);
}

void cpu_gemm(const Kernels *kernels, Pool *pool, const GemmArgs *args, void *scratch)
{
    if (args->m <= 0 || args->w.rows <= 0) return;
    const int threads = pool_threads(pool);
    Job job = { kernels, args, cut_product(args->m, args->w.rows, threads), threads, scratch };
    pool_run(pool, cut_units(&job.cut), run_unit, &job);
}
