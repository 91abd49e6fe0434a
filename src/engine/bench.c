/* bench.c  snug_bench_attention: one attention again and again, outside any plan. */
#include <stdlib.h>

#include "base/now.h"
#include "base/size.h"
#include "engine/opbench.h"

static const double LEAST_SECONDS = 1e-9;

/* One problem of the batch: queries, keys and values of its own, one result. */
static void build(OpBench *b, Run *r, const SnugAttentionBench *o)
{
    const Shape rows = SHAPE(o->length, (int64_t)o->heads * o->dim);
    const Heads q = { .x = opbench_tensor(b, r, rows) }, k = { .x = opbench_tensor(b, r, rows) },
                v = { .x = opbench_tensor(b, r, rows) };
    (void)op_attention(r, q, k, v, o->heads, o->dim, NULL);
}

/* Bytes of one problem: three operands, the result, and the device's workspace. */
static SnugStatus problem_bytes(const SnugEngine *e, const SnugAttentionBench *o, size_t *out,
                                SnugError *err)
{
    size_t values, tensor, all;
    if (!size_mul((size_t)o->length, (size_t)o->heads * (size_t)o->dim, &values) ||
        !size_mul(values, sizeof(float), &tensor) || !size_mul(tensor, 4, &all))
        return error_set(err, SNUG_ERR_ARG, "the operands are too large to address");
    const Tensor x = { .dtype = DT_F32,
                       .shape = SHAPE(o->length, (int64_t)o->heads * (int64_t)o->dim) };
    Op op = { .kind = OP_ATTENTION, .n_in = 3, .in = { x, x, x }, .out = x };
    op.arg.attention.heads = o->heads;
    op.arg.attention.head_dim = o->dim;
    const size_t workspace = e->device.workspace_bytes(e->device.self, &op);
    if (!size_add(all, workspace, &all) || !size_add(all, 8 * PLACEMENT_ALIGN, out))
        return error_set(err, SNUG_ERR_ARG, "the operands are too large to address");
    return SNUG_OK;
}

static SnugStatus check_options(const SnugAttentionBench *o, SnugError *err)
{
    const struct {
        const char *name;
        int value, most;
    } RANGES[] = { { "batch", o->batch, 4096 },
                   { "length", o->length, 1 << 24 },
                   { "heads", o->heads, 4096 },
                   { "dim", o->dim, 4096 },
                   { "runs", o->runs, SNUG_BENCH_RUNS } };
    for (size_t i = 0; i < COUNT(RANGES); i++)
        if (RANGES[i].value < 1 || RANGES[i].value > RANGES[i].most)
            return error_set(err, SNUG_ERR_ARG, "%s %d: 1 to %d", RANGES[i].name, RANGES[i].value,
                             RANGES[i].most);
    return SNUG_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void summarise(SnugBench *out, double *took, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += took[i];
    qsort(took, (size_t)n, sizeof took[0], by_value);
    out->mean_seconds = sum / n;
    out->best_seconds = took[0];
    out->median_seconds = took[n / 2];
}

/* The problems of a batch lie one after the other; `problem` bytes each. */
static SnugStatus time_runs(OpBench *benches, const SnugAttentionBench *o, double *took,
                            SnugError *err)
{
    for (int run = -1; run < o->runs; run++) { /* the first is for caches and pages */
        const double begin = now_seconds();
        for (int i = 0; i < o->batch; i++)
            TRY(opbench_once(&benches[i], err));
        const double seconds = now_seconds() - begin;
        if (run >= 0) took[run] = seconds > LEAST_SECONDS ? seconds : LEAST_SECONDS;
    }
    return SNUG_OK;
}

static SnugStatus open_all(OpBench *benches, const SnugEngine *e, const SnugAttentionBench *o,
                           size_t bytes, SnugError *err)
{
    for (int i = 0; i < o->batch; i++) {
        TRY(opbench_open(&benches[i], e, bytes, err));
        Run r = opbench_run(&benches[i]);
        build(&benches[i], &r, o);
    }
    return SNUG_OK;
}

SnugStatus snug_bench_attention(SnugBench *out, SnugEngine *engine, const SnugAttentionBench *o,
                                SnugError *err)
{
    size_t bytes, all;
    TRY(check_options(o, err));
    TRY(problem_bytes(engine, o, &bytes, err));
    if (!size_mul(bytes, (size_t)o->batch, &all) || all > engine->ram_bytes)
        return error_set(err, SNUG_ERR_BUDGET, "the operands take %.0f MiB; the budget is %.0f MiB",
                         (double)bytes * o->batch / 1048576.0,
                         (double)engine->ram_bytes / 1048576.0);
    Arena arena;
    arena_init(&arena, engine->heap, "bench");
    OpBench *benches = arena_array(&arena, (size_t)o->batch, sizeof *benches);
    double *took = arena_array(&arena, (size_t)o->runs, sizeof *took);
    SnugStatus status = benches && took ? open_all(benches, engine, o, bytes, err)
                                        : error_set(err, SNUG_ERR_MEMORY, "no memory");
    if (status == SNUG_OK) status = time_runs(benches, o, took, err);
    if (status == SNUG_OK) {
        *out = (SnugBench){ .flops = benches[0].op.flops * o->batch, .memory_bytes = all };
        summarise(out, took, o->runs);
    }
    for (int i = 0; benches && i < o->batch; i++)
        opbench_close(&benches[i]);
    arena_release(&arena);
    return status;
}
