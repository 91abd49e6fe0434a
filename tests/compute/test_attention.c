/* test_attention.c  Streaming softmax: equal bits on every level, chunk and thread count; near f64. */
#include "compute/variants.h"
#include "compute/equal_bits.h"

#include <float.h>
#include <stdlib.h>

#include "base/size.h"
#include "compute/cpu/attention.h"

enum { GUARD = 32, GAP = 3 };

/* ---- one row's step ---- */

static void check_step(SoftmaxStep *fn, int64_t n, bool with_bias, bool with_mask, float before)
{
    enum { D = 37 };
    float bias[ATTENTION_BK], mask[ATTENTION_BK];
    float scores[2][ATTENTION_BK + GUARD], sum[2][ROW_PARTIALS], y[2][D + GUARD], max[2];
    test_random(bias, COUNT(bias), -3.0f, 3.0f);
    test_random(mask, COUNT(mask), -3.0f, 0.0f);
    test_random(scores[0], ATTENTION_BK, -9.0f, 9.0f);
    test_random(sum[0], ROW_PARTIALS, 1.0f, 2.0f);
    test_random(y[0], D, -1.0f, 1.0f);
    for (int64_t i = 0; i < n; i += 5)
        mask[i] = -INFINITY;
    test_guard(scores[0] + n, (size_t)(ATTENTION_BK + GUARD - n));
    test_guard(y[0] + D, GUARD);
    memcpy(scores[1], scores[0], sizeof scores[0]);
    memcpy(sum[1], sum[0], sizeof sum[0]);
    memcpy(y[1], y[0], sizeof y[0]);
    max[0] = max[1] = before;
    for (int i = 0; i < 2; i++) {
        const SoftmaxRow row = { .scores = scores[i],
                                 .n = n,
                                 .factor = 0.7f,
                                 .bias = with_bias ? bias : NULL,
                                 .mask = with_mask ? mask : NULL,
                                 .max = &max[i],
                                 .sum = sum[i],
                                 .y = y[i],
                                 .d = D };
        (i ? fn : softmax_step_ref)(&row);
    }
    CHECK(equal_bits(&max[1], &max[0], 1));
    CHECK(equal_bits(scores[1], scores[0], COUNT(scores[0])));
    CHECK(equal_bits(sum[1], sum[0], ROW_PARTIALS));
    CHECK(equal_bits(y[1], y[0], COUNT(y[0])));
}

TEST(softmax_step, every_variant_equals_the_reference)
{
    for (EACH_VARIANT(v, "softmax_step"))
        for (int64_t n = 1; n <= ATTENTION_BK; n += n < 40 ? 1 : 31)
            for (int option = 0; option < 4; option++) {
                SoftmaxStep *fn = (SoftmaxStep *)v->fn;
                check_step(fn, n, option & 1, option & 2, -FLT_MAX);
                check_step(fn, n, option & 1, option & 2, 2.5f);
                check_step(fn, n, option & 1, option & 2, 1000.0f);
            }
}

/* ---- whole attention ---- */

typedef struct Case {
    int64_t lq, lk, heads, d, n_batch;
    bool relative, table, mask; /* bias by distance, full bias, key mask */
    bool causal;                /* the last query sees the last key */
} Case;

/** Operands of one case; rows have a gap, as slices of a fused projection do. */
typedef struct Data {
    float *q, *k, *v, *y, *bias, *mask;
    int64_t pitch, y_floats, bias_floats;
} Data;

static float *random_floats(int64_t n, float size)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    CHECK(x);
    test_random(x, (size_t)n, -size, size);
    return x;
}

static Data make_data(const Case *c)
{
    Data data = { .pitch = c->heads * c->d + GAP };
    data.q = random_floats(c->n_batch * c->lq * data.pitch - GAP, 2.0f);
    data.k = random_floats(c->n_batch * c->lk * data.pitch - (c->lk ? GAP : 0), 2.0f);
    data.v = random_floats(c->n_batch * c->lk * data.pitch - (c->lk ? GAP : 0), 1.0f);
    data.y_floats = c->n_batch * c->lq * data.pitch;
    data.y = random_floats(data.y_floats, 1.0f);
    data.bias_floats = c->heads * (c->relative ? c->lq + c->lk : c->lq * c->lk);
    data.bias = random_floats(data.bias_floats, 2.0f);
    data.mask = random_floats(c->lk, 2.0f);
    for (int64_t i = 0; i < c->lk; i += 3)
        data.mask[i] = -INFINITY;
    return data;
}

static void free_data(Data *data)
{
    free(data->q);
    free(data->k);
    free(data->v);
    free(data->y);
    free(data->bias);
    free(data->mask);
}

/** Queries `first` to `first + n - 1` of every problem. */
static AttentionArgs chunk(const Case *c, const Data *data, int64_t first, int64_t n)
{
    const int64_t q_batch = c->lq * data->pitch, k_batch = c->lk * data->pitch;
    AttentionArgs args = { .q = { data->q + first * data->pitch, data->pitch, q_batch },
                           .k = { data->k, data->pitch, k_batch },
                           .v = { data->v, data->pitch, k_batch },
                           .y = { data->y + first * data->pitch, data->pitch, q_batch },
                           .lq = n,
                           .lk = c->lk,
                           .heads = c->heads,
                           .d = c->d,
                           .n_batch = c->n_batch,
                           .scale = 0.3f,
                           .key_mask = c->mask ? data->mask : NULL,
                           .causal = c->causal,
                           .q_first = c->lk - c->lq + first };
    if (c->relative) {
        args.bias = data->bias + c->lq - 1 - first;
        args.bias_head = c->lq + c->lk - 1;
        args.bias_row = -1;
    } else if (c->table) {
        args.bias = data->bias + first * c->lk;
        args.bias_head = c->lq * c->lk;
        args.bias_row = c->lk;
    }
    return args;
}

static void run(Isa isa, int threads, const AttentionArgs *args)
{
    Kernels kernels;
    kernels_fill(&kernels, isa);
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, threads);
    void *scratch = heap_take(heap, cpu_attention_scratch_bytes(threads, args->d), "scratch");
    CHECK(pool && scratch);
    cpu_attention(&kernels, pool, args, scratch);
    pool_free(pool);
    heap_give(heap, scratch);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

/** One query row in f64, without streaming. Returns the sum of weights * |v|, for the error bound. */
static void naive_row(const AttentionArgs *g, int64_t b, int64_t h, int64_t i, double *y,
                      double *size)
{
    double *t = malloc((size_t)(g->lk + 1) * sizeof *t), max = -DBL_MAX, sum = 0.0;
    CHECK(t);
    const float *q = g->q.data + b * g->q.batch + i * g->q.row + h * g->d;
    const int64_t lk = g->causal ? g->q_first + i + 1 : g->lk;
    for (int64_t j = 0; j < lk; j++) {
        const float *k = g->k.data + b * g->k.batch + j * g->k.row + h * g->d;
        t[j] = 0.0;
        for (int64_t x = 0; x < g->d; x++)
            t[j] += (double)q[x] * (double)k[x];
        t[j] *= (double)g->scale;
        if (g->bias) t[j] += (double)g->bias[h * g->bias_head + i * g->bias_row + j];
        if (g->key_mask) t[j] += (double)g->key_mask[j];
        if (t[j] > max) max = t[j];
    }
    memset(y, 0, (size_t)g->d * sizeof *y);
    memset(size, 0, (size_t)g->d * sizeof *size);
    for (int64_t j = 0; j < lk; j++)
        sum += exp(t[j] - max);
    for (int64_t j = 0; j < lk; j++) {
        const float *v = g->v.data + b * g->v.batch + j * g->v.row + h * g->d;
        const double p = exp(t[j] - max) / sum;
        for (int64_t x = 0; x < g->d; x++) {
            y[x] += p * (double)v[x];
            size[x] += p * fabs((double)v[x]);
        }
    }
    free(t);
}

/** A logit of size T carries a relative error near d/2 roundings in its chain and a few more:
 *  |dt| <= T * 2^-24 * sqrt(d), T <= 0.3 * 4 d here at worst, 40 usually; p inherits it as a relative
 *  error, the sums add about 2^-24 * sqrt(lk). 2e-5 of sum p |v| bounds all cases with room. */
static void check_near_f64(const Case *c, const Data *data)
{
    const AttentionArgs g = chunk(c, data, 0, c->lq);
    double y[512], size[512];
    for (int64_t b = 0; b < c->n_batch; b++)
        for (int64_t h = 0; h < c->heads; h++)
            for (int64_t i = 0; i < c->lq; i += 1 + c->lq / 8) {
                naive_row(&g, b, h, i, y, size);
                const float *got = data->y + b * g.y.batch + i * data->pitch + h * c->d;
                for (int64_t x = 0; x < c->d; x++)
                    CHECK(fabs(y[x] - (double)got[x]) <= 2e-5 * (size[x] + 1e-30));
            }
}

static void check_case(const Case *c)
{
    Data data = make_data(c);
    AttentionArgs all = chunk(c, &data, 0, c->lq);
    float *want = malloc((size_t)data.y_floats * sizeof *want);
    float *clean = malloc((size_t)data.y_floats * sizeof *clean);
    CHECK(want && clean);
    test_guard(clean, (size_t)data.y_floats);
    memcpy(data.y, clean, (size_t)data.y_floats * sizeof *clean);
    run(ISA_REF, 1, &all);
    check_near_f64(c, &data);
    memcpy(want, data.y, (size_t)data.y_floats * sizeof *want);
    for (int threads = 1; threads <= 3; threads += 2)
        for (int64_t rows = c->lq; rows > 0; rows = rows == 7 ? 0 : (c->lq > 7 ? 7 : 0)) {
            memcpy(data.y, clean, (size_t)data.y_floats * sizeof *clean);
            for (int64_t first = 0; first < c->lq; first += rows) {
                const int64_t n = c->lq - first < rows ? c->lq - first : rows;
                all = chunk(c, &data, first, n);
                run(isa_detect(), threads, &all);
            }
            CHECK(equal_bits(data.y, want, data.y_floats)); /* gaps included */
        }
    free(clean);
    free(want);
    free_data(&data);
}

TEST(attention, equals_the_reference_in_any_chunks_and_stays_close_to_f64)
{
    static const Case CASES[] = {
        { .lq = 1, .lk = 1, .heads = 1, .d = 4, .n_batch = 1 },
        { .lq = 20, .lk = 20, .heads = 3, .d = 64, .n_batch = 1, .relative = true },
        { .lq = 33, .lk = 300, .heads = 2, .d = 40, .n_batch = 1 },
        { .lq = 12, .lk = 257, .heads = 2, .d = 7, .n_batch = 1, .mask = true },
        { .lq = 13, .lk = 600, .heads = 1, .d = 128, .n_batch = 1, .relative = true, .mask = true },
        { .lq = 49, .lk = 49, .heads = 3, .d = 32, .n_batch = 4, .table = true },
        { .lq = 5, .lk = 100, .heads = 1, .d = 512, .n_batch = 2 },
        { .lq = 30, .lk = 16, .heads = 2, .d = 80, .n_batch = 1, .table = true, .mask = true },
        { .lq = 77, .lk = 77, .heads = 2, .d = 64, .n_batch = 1, .causal = true },
        { .lq = 300, .lk = 531, .heads = 1, .d = 5, .n_batch = 1, .causal = true },
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        check_case(&CASES[i]);
}

TEST(attention, causal_queries_do_not_know_later_keys)
{
    static const Case CAUSAL = {
        .lq = 300, .lk = 300, .heads = 1, .d = 8, .n_batch = 1, .causal = true
    };
    Data data = make_data(&CAUSAL);
    const AttentionArgs args = chunk(&CAUSAL, &data, 0, 300);
    run(isa_detect(), 2, &args);
    float *before = malloc((size_t)data.y_floats * sizeof *before);
    CHECK(before);
    memcpy(before, data.y, (size_t)data.y_floats * sizeof *before);
    for (int64_t i = 270 * data.pitch; i < 300 * data.pitch - GAP; i++)
        data.k[i] = data.v[i] = 1e6f;
    run(isa_detect(), 2, &args);
    CHECK(equal_bits(data.y, before, 270 * data.pitch));
    CHECK(!equal_bits(data.y + 270 * data.pitch, before + 270 * data.pitch, 8));
    free(before);
    free_data(&data);
}

TEST(attention, units_cut_the_queries_without_a_trace)
{
    static const Case LONG = { .lq = 1000, .lk = 270, .heads = 1, .d = 16, .n_batch = 1 };
    check_case(&LONG);
}

TEST(attention, without_keys_gives_zeros)
{
    static const Case NONE = { .lq = 3, .lk = 0, .heads = 2, .d = 8, .n_batch = 1 };
    Data data = make_data(&NONE);
    const AttentionArgs args = chunk(&NONE, &data, 0, 3);
    run(isa_detect(), 2, &args);
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 16; j++)
            CHECK(data.y[i * data.pitch + j] == 0.0f);
    free_data(&data);
}

TEST(attention, excluded_keys_have_no_weight_and_all_excluded_give_the_mean)
{
    static const Case WITH_MASK = {
        .lq = 2, .lk = 300, .heads = 1, .d = 8, .n_batch = 1, .mask = true
    };
    Data data = make_data(&WITH_MASK);
    for (int64_t i = 0; i < 300; i++)
        data.mask[i] = i == 299 ? 0.0f : -INFINITY; /* the whole first block is excluded */
    AttentionArgs args = chunk(&WITH_MASK, &data, 0, 2);
    run(isa_detect(), 1, &args);
    CHECK_CLOSE(data.y, data.v + 299 * data.pitch, 8, 1e-30);
    data.mask[299] = -INFINITY;
    run(isa_detect(), 1, &args);
    for (int64_t x = 0; x < 8; x++) {
        double mean = 0.0;
        for (int64_t i = 0; i < 300; i++)
            mean += (double)data.v[i * data.pitch + x] / 300.0;
        CHECK(fabs(mean - (double)data.y[x]) < 1e-6); /* 300 additions of values below 1 */
    }
    free_data(&data);
}
