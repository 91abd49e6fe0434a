/* test_follow.c  A plan carried out on a device that looks at every byte, with a loader beside it. */
#include "plan/program.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { SEEDS = 150 };

/* Everything between a program and its run. */
typedef struct Bench {
    ProgramPlan p;
    bool two_tiers;
    Slab slab, host;
    Follow *follow;
    atomic_bool cancel;
    atomic_int reads;
    int fail_read; /* this read fails, from 1; 0: none */
    int slow_read_us;
    SnugError err;
} Bench;

static SnugStatus read_unit(void *owner, int32_t unit, void *to, SnugError *err)
{
    Bench *b = owner;
    if (b->slow_read_us) usleep((useconds_t)b->slow_read_us);
    if (atomic_fetch_add(&b->reads, 1) + 1 == b->fail_read)
        return error_set(err, SNUG_ERR_IO, "unit %d cannot be read", unit);
    program_fill(to, b->p.program.unit_bytes[unit], -1 - unit, 0, 0);
    return SNUG_OK;
}

static SnugStatus no_row(void *owner, const Weight *weight, int64_t row, void *to, SnugError *err)
{
    (void)owner, (void)weight, (void)row, (void)to;
    return error_set(err, SNUG_ERR_INTERNAL, "no rows here");
}

static SnugStatus no_note(void *owner, RunNote note, const char *text, int index, int count,
                          SnugError *err)
{
    (void)owner, (void)note, (void)text, (void)index, (void)count, (void)err;
    return SNUG_OK;
}

static SnugStatus no_output(void *owner, const Op *op, const void *data, SnugError *err)
{
    (void)owner, (void)op, (void)data, (void)err;
    return SNUG_OK;
}

static SnugStatus bench_plan(Bench *b, size_t device_bytes, size_t host_bytes)
{
    return program_plan_schedule(&b->p, device_bytes, host_bytes, b->two_tiers, &b->err);
}

/* Plan under `part` of 8 between the smallest slabs and ample ones. */
static void bench_open_tiers(Bench *b, uint64_t seed, size_t part, bool two_tiers)
{
    *b = (Bench){ .two_tiers = two_tiers };
    program_plan_open(&b->p, seed);
    CHECK(bench_plan(b, SIZE_MAX, SIZE_MAX) == SNUG_OK);
    const size_t ample = b->p.schedule.loads.top, ample_host = b->p.schedule.host.top;
    schedule_release(&b->p.schedule);
    CHECK(bench_plan(b, 0, SIZE_MAX) == SNUG_ERR_BUDGET);
    const size_t least = b->p.schedule.loads.top;
    size_t least_host = 0;
    for (int32_t i = 0; i < b->p.program.n_units; i++)
        if (b->p.program.unit_bytes[i] > least_host) least_host = b->p.program.unit_bytes[i];
    const size_t slab = ample > least ? least + (ample - least) * part / 8 : least;
    const size_t host =
        ample_host > least_host ? least_host + (ample_host - least_host) * part / 8 : least_host;
    CHECK(bench_plan(b, slab, host) == SNUG_OK);
    CHECK(b->p.schedule.loads.top <= slab && b->p.schedule.host.top <= host);
    CHECK(slab_open(&b->slab, b->p.schedule.loads.top, &b->err) == SNUG_OK);
    CHECK(slab_open(&b->host, b->p.schedule.host.top, &b->err) == SNUG_OK);
}

static void bench_open(Bench *b, uint64_t seed, size_t part)
{
    bench_open_tiers(b, seed, part, false);
}

static SnugStatus copy(void *owner, void *to, const void *from, size_t bytes, SnugError *err)
{
    (void)owner, (void)err;
    memcpy(to, from, bytes);
    return SNUG_OK;
}

static SnugStatus bench_follow(Bench *b)
{
    const FollowOptions options = { .heap = b->p.heap,
                                    .trace = &b->p.trace,
                                    .placement = &b->p.placement,
                                    .schedule = &b->p.schedule,
                                    .device_base = b->slab.base,
                                    .host_base = b->host.base,
                                    .n_readers = 3,
                                    .owner = b,
                                    .read_unit = read_unit,
                                    .copy = copy,
                                    .read_row = no_row,
                                    .note = no_note,
                                    .output = no_output,
                                    .cancel = &b->cancel };
    return follow_open(&b->follow, &options, &b->err);
}

static void bench_close(Bench *b)
{
    follow_close(b->follow);
    slab_close(&b->slab);
    slab_close(&b->host);
    program_plan_close(&b->p);
}

/* Carry out `program`, which need not be the one planned. */
static SnugStatus bench_run(Bench *b, Program *program)
{
    const Device device = program_device(program);
    CHECK(bench_follow(b) == SNUG_OK);
    const RunHooks hooks = follow_hooks(b->follow);
    Run r = { .device = &device, .hooks = &hooks, .cancel = &b->cancel, .err = &b->err };
    program_run(&r, program);
    return r.status;
}

TEST(follow, finds_every_operand_whole_under_any_budget)
{
    static Bench b;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (size_t part = 0; part <= 17; part += 4) { /* from 9 on: two tiers */
            bench_open_tiers(&b, seed, part % 9, part > 8);
            if (bench_run(&b, &b.p.program) != SNUG_OK) fail_msg("%s", b.err.text);
            CHECK(follow_finish(b.follow, &b.err) == SNUG_OK);
            CHECK_INT(b.p.program.n_wrong, 0);
            CHECK_INT(b.p.program.n_executed, b.p.trace.n_ops);
            const FollowStats stats = follow_stats(b.follow);
            CHECK_INT(stats.slab_peak_bytes, b.p.schedule.loads.top);
            CHECK_INT(stats.host_peak_bytes, b.p.schedule.host.top);
            CHECK_INT(stats.ops_done, b.p.trace.n_ops);
            double moved = 0;
            for (int32_t s = 0; s < b.p.trace.n_stages; s++)
                moved += b.p.schedule.loads.stages[s].moved_bytes;
            CHECK(stats.moved_bytes == moved);
            bench_close(&b);
        }
    }
}

TEST(follow, stops_at_the_first_operation_that_was_not_planned)
{
    static Bench b;
    static Program other;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        bench_open(&b, seed, 8);
        program_init(&other, seed + 1000);
        CHECK(bench_run(&b, &other) == SNUG_ERR_INTERNAL);
        CHECK_HAS(b.err.text, "is not the one planned");
        CHECK(follow_finish(b.follow, NULL) == SNUG_ERR_INTERNAL);
        bench_close(&b);
    }
}

TEST(follow, a_run_that_ends_early_is_not_finished)
{
    static Bench b;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        bench_open(&b, seed, 4);
        b.p.program.stop_after = PROGRAM_LIVE + 1;
        (void)bench_run(&b, &b.p.program);
        if (follow_stats(b.follow).ops_done < b.p.trace.n_ops) {
            CHECK(follow_finish(b.follow, &b.err) == SNUG_ERR_INTERNAL);
            CHECK_HAS(b.err.text, "the run ended after");
        }
        bench_close(&b); /* with the loader in the middle of its work */
    }
}

TEST(follow, reports_the_read_that_failed_whichever_it_was)
{
    static Bench b;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        for (int n = 1;; n++) {
            bench_open(&b, seed, 0);
            b.fail_read = n;
            const bool last = n > b.p.schedule.loads.n_loads;
            const SnugStatus status = bench_run(&b, &b.p.program);
            CHECK_INT(status, last ? SNUG_OK : SNUG_ERR_IO);
            if (!last) CHECK_HAS(b.err.text, "cannot be read");
            CHECK_INT(b.p.program.n_wrong, 0);
            bench_close(&b);
            if (last) break;
        }
    }
}

static void *cancel_soon(void *context)
{
    Bench *b = context;
    usleep(20000);
    atomic_store(&b->cancel, true);
    return NULL;
}

TEST(follow, cancel_ends_waiting_for_a_slow_read)
{
    static Bench b;
    uint64_t seed = 1;
    do { /* a program that loads something */
        if (seed > 1) bench_close(&b);
        bench_open(&b, seed++, 0);
    } while (b.p.schedule.loads.n_loads == 0);
    b.slow_read_us = 1500000;
    pthread_t thread;
    struct timespec begin, end;
    CHECK(pthread_create(&thread, NULL, cancel_soon, &b) == 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    CHECK(bench_run(&b, &b.p.program) == SNUG_ERR_CANCELLED);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK(pthread_join(thread, NULL) == 0);
    const double waited =
        (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    CHECK(waited < 1.2); /* it looks ten times a second; the read itself takes 1.5 s */
    bench_close(&b);
}

TEST(follow, every_refused_allocation_is_reported_and_leaks_nothing)
{
    static Bench b;
    bench_open(&b, 4, 0);
    const size_t before = heap_now_bytes(b.p.heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        heap_fail_at(b.p.heap, ++n);
        status = bench_follow(&b);
        heap_fail_at(b.p.heap, 0);
        CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && b.err.text[0] && !b.follow));
        follow_close(b.follow);
        b.follow = NULL;
        CHECK_INT(heap_now_bytes(b.p.heap), before);
    }
    CHECK(n > 2);
    bench_close(&b);
}

TEST(trace, every_refused_allocation_is_reported_and_leaks_nothing)
{
    static Program program;
    Heap *heap = heap_create();
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        SnugError err = { { 0 } };
        Trace trace;
        trace_init(&trace, heap);
        program_init(&program, 11);
        const Device device = program_device(&program);
        const RunHooks hooks = trace_recorder(&trace);
        Run r = { .device = &device, .hooks = &hooks, .rehearse = true, .err = &err };
        heap_fail_at(heap, n);
        program_run(&r, &program);
        heap_fail_at(heap, 0);
        status = r.status == SNUG_OK ? trace_end(&trace, &err) : r.status;
        CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && err.text[0]));
        trace_release(&trace);
        CHECK_INT(heap_now_bytes(heap), 0);
    }
    heap_free(heap);
}
