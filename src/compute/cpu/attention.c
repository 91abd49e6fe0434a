/* attention.c  Streaming softmax: one pass over blocks of keys, rescaling what is summed so far.
 *
 *   unit = (problem, head, block of query rows), taken from the pool's counter
 *   for each ATTENTION_BK keys: pack K as [d][16] panels, V as [key][16] panels, then for 12 rows
 *       S = q K^T          gemm_block, 12 x 256 floats in the first-level cache
 *       softmax_step       logits, new maximum, p = 2^(t - max) in place of S; sum and y rescaled
 *       y = y + p V        gemm_block
 *   y = y / sum
 *
 * y itself holds the running result. Each unit packs K and V again: 2 to 14 % of the time, for
 * a workspace that does not grow with the number of keys. */
#include "compute/cpu/attention.h"

#include <float.h>
#include <string.h>

#include "base/size.h"

enum {
    STEP_ROWS = 12, /* two tiles of AVX2, one of AVX-512 */
    MAX_ROWS = 768, /* query rows per unit: fewer pack more often, */
    MIN_ROWS = 192, /* more leave threads idle; 12 % packing at 192 */
    UNITS_PER_THREAD = 4
};

/** One thread's workspace. */
typedef struct Work {
    float *k, *v, *s; /* [panels][d][16], [panels of d][keys][16], [STEP_ROWS][ATTENTION_BK] */
    float *max, *sum; /* [MAX_ROWS], [MAX_ROWS][ROW_PARTIALS] */
} Work;

typedef struct Job {
    const Kernels *kernels;
    const AttentionArgs *args;
    float *scratch;
    int64_t block_rows, blocks;
    float log2_scale;
} Job;

/** The unit's place: one head of one problem. */
typedef struct Head {
    const float *q, *k, *v, *bias;
    float *y;
} Head;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

static int64_t work_floats(int64_t d)
{
    return ATTENTION_BK * (d + round_up(d, PANEL)) + STEP_ROWS * ATTENTION_BK +
           MAX_ROWS * (1 + ROW_PARTIALS);
}

static Work work_of(const Job *job, int worker)
{
    const int64_t d = job->args->d;
    Work w = { .k = job->scratch + worker * work_floats(d) };
    w.v = w.k + ATTENTION_BK * d;
    w.s = w.v + ATTENTION_BK * round_up(d, PANEL);
    w.max = w.s + STEP_ROWS * ATTENTION_BK;
    w.sum = w.max + MAX_ROWS;
    return w;
}

static void pack_keys(const Job *job, const Head *h, float *to, int64_t key0, int64_t keys)
{
    const AttentionArgs *g = job->args;
    Stored k = stored_dense(DT_F32, h->k, g->lk, g->d);
    k.row_bytes = g->k.row * (int64_t)sizeof(float);
    for (int64_t n = 0; n < keys; n += PANEL)
        job->kernels->pack[DT_F32](to + n * g->d, &k, key0 + n, 0, g->d);
}

static void pack_values(const AttentionArgs *g, const Head *h, float *to, int64_t key0,
                        int64_t keys)
{
    for (int64_t c = 0; c < g->d; c += PANEL, to += keys * PANEL) {
        const float *from = h->v + key0 * g->v.row + c;
        const int64_t n = least(PANEL, g->d - c);
        if (n == PANEL) {
            for (int64_t i = 0; i < keys; i++)
                memcpy(to + i * PANEL, from + i * g->v.row, PANEL * sizeof *to);
        } else {
            memset(to, 0, (size_t)(keys * PANEL) * sizeof *to);
            for (int64_t i = 0; i < keys; i++)
                memcpy(to + i * PANEL, from + i * g->v.row, (size_t)n * sizeof *to);
        }
    }
}

/** How many of the `keys` from key0 on query row r sees. */
static int64_t keys_seen(const AttentionArgs *g, int64_t r, int64_t key0, int64_t keys)
{
    const int64_t seen = g->causal ? g->q_first + r + 1 - key0 : keys;
    return seen < 0 ? 0 : least(seen, keys);
}

/** Query rows r0 .. r0 + rows - 1 (of this head) against the packed keys. `at`: row in Work. */
static void step(const Job *job, const Head *h, const Work *w, int64_t r0, int64_t at, int64_t rows,
                 int64_t key0, int64_t keys)
{
    const AttentionArgs *g = job->args;
    const float *q[STEP_ROWS], *p[STEP_ROWS];
    float *s[STEP_ROWS], *y[STEP_ROWS];
    for (int64_t r = 0; r < rows; r++) {
        q[r] = h->q + (r0 + r) * g->q.row;
        y[r] = h->y + (r0 + r) * g->y.row;
        p[r] = s[r] = w->s + r * ATTENTION_BK;
    }
    const GemmTile scores = { .a = q, .c = s, .rows = rows, .cols = keys, .b = w->k, .kc = g->d };
    job->kernels->gemm_block(&scores);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t seen = keys_seen(g, r0 + r, key0, keys);
        /* cppcheck-suppress uninitvar ; filled by the loop above */
        memset(s[r] + seen, 0, (size_t)(keys - seen) * sizeof *s[r]);
        if (seen == 0) continue;
        const SoftmaxRow row = { .scores = s[r],
                                 .n = seen,
                                 .factor = job->log2_scale,
                                 .bias = h->bias ? h->bias + (r0 + r) * g->bias_row + key0 : NULL,
                                 .mask = g->key_mask ? g->key_mask + key0 : NULL,
                                 .max = w->max + at + r,
                                 .sum = w->sum + (at + r) * ROW_PARTIALS,
                                 .y = y[r],
                                 .d = key0 > 0 ? g->d : 0 };
        job->kernels->softmax_step(&row);
    }
    const GemmTile values = {
        .a = p, .c = y, .rows = rows, .cols = g->d, .b = w->v, .kc = keys, .add = key0 > 0
    };
    job->kernels->gemm_block(&values);
}

/** y / (the 16 partial sums, folded 8-4-2-1). */
static void divide(float *y, int64_t d, float *sum)
{
    for (int width = ROW_PARTIALS / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            sum[j] += sum[j + width];
    for (int64_t i = 0; i < d; i++)
        y[i] /= sum[0];
}

static void run_block(const Job *job, const Head *h, const Work *w, int64_t row0, int64_t rows)
{
    const AttentionArgs *g = job->args;
    for (int64_t r = 0; r < rows; r++)
        w->max[r] = -FLT_MAX; /* not -inf: the difference of two must not be NaN */
    memset(w->sum, 0, (size_t)(rows * ROW_PARTIALS) * sizeof *w->sum);
    const int64_t end =
        keys_seen(g, row0 + rows - 1, 0, g->lk); /* of the last row, which sees most */
    for (int64_t key0 = 0; key0 < end; key0 += ATTENTION_BK) {
        const int64_t keys = least(ATTENTION_BK, end - key0);
        pack_keys(job, h, w->k, key0, keys);
        pack_values(g, h, w->v, key0, keys);
        for (int64_t r = 0; r < rows; r += STEP_ROWS)
            step(job, h, w, row0 + r, r, least(STEP_ROWS, rows - r), key0, keys);
    }
    for (int64_t r = 0; r < rows; r++) {
        float *y = h->y + (row0 + r) * g->y.row;
        if (g->lk > 0)
            divide(y, g->d, w->sum + r * ROW_PARTIALS);
        else
            memset(y, 0, (size_t)g->d * sizeof *y);
    }
}

static void run_unit(void *context, int64_t unit, int worker)
{
    const Job *job = context;
    const AttentionArgs *g = job->args;
    const Work w = work_of(job, worker);
    const int64_t row0 = unit % job->blocks * job->block_rows;
    const int64_t head = unit / job->blocks % g->heads, batch = unit / job->blocks / g->heads;
    const Head h = { .q = g->q.data + batch * g->q.batch + head * g->d,
                     .k = g->k.data + batch * g->k.batch + head * g->d,
                     .v = g->v.data + batch * g->v.batch + head * g->d,
                     .y = g->y.data + batch * g->y.batch + head * g->d,
                     .bias =
                         g->bias ? g->bias + batch * g->bias_batch + head * g->bias_head : NULL };
    run_block(job, &h, &w, row0, least(job->block_rows, g->lq - row0));
}

size_t cpu_attention_scratch_bytes(int threads, int64_t d)
{
    return (size_t)(threads * work_floats(d)) * sizeof(float);
}

/** Query rows per unit: enough units, equal shares of them for the threads where that is near. */
static int64_t rows_per_unit(int64_t lq, int64_t problems, int threads)
{
    const int64_t units = threads > 1 ? (int64_t)threads * UNITS_PER_THREAD : 1;
    const int64_t want = (units + problems - 1) / problems;
    int64_t rows = round_up((lq + want - 1) / want, STEP_ROWS);
    if (rows < MIN_ROWS) rows = MIN_ROWS;
    if (rows > MAX_ROWS) rows = MAX_ROWS;
    const int64_t least_blocks = (lq + rows - 1) / rows;
    int64_t blocks = least_blocks;
    while (blocks < least_blocks + threads && blocks * problems % threads)
        blocks++;
    if (lq < blocks * MIN_ROWS / 2)
        blocks = least_blocks; /* packing would cost more than waiting */
    return round_up((lq + blocks - 1) / blocks, STEP_ROWS);
}

void cpu_attention(const Kernels *kernels, Pool *pool, const AttentionArgs *args, void *scratch)
{
    const int64_t problems = args->n_batch * args->heads;
    if (problems <= 0 || args->lq <= 0) return;
    const int threads = pool_threads(pool);
    const int64_t rows = rows_per_unit(args->lq, problems, threads);
    Job job = { .kernels = kernels,
                .args = args,
                .scratch = scratch,
                .block_rows = rows,
                .blocks = (args->lq + rows - 1) / rows,
                .log2_scale = args->scale * LOG2_E };
    pool_run(pool, job.blocks * problems, run_unit, &job);
}
