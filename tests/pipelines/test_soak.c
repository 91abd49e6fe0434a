/* test_soak.c  Many requests in one engine: what it holds and what the process takes stay as they
 * were, also when some of the requests fail. */
#include "pipelines/small.h"

#include "memory/process.h"

enum { WARM_UP = 60, REQUESTS = 320 };

/* What the process holds that is no memory: open files, mappings, threads. */
typedef struct Holdings {
    int files, threads;
    size_t book_bytes, labels;
} Holdings;

static Holdings holdings(SnugEngine *engine)
{
    HeapLabel rows[1];
    return (Holdings){ .files = count_files("/proc/self/fd"),
                       .threads = count_threads(),
                       .book_bytes = heap_now_bytes(engine->heap),
                       .labels = (size_t)heap_labels(engine->heap, rows, 1) };
}

static void check_same(Holdings a, Holdings b)
{
    CHECK_INT(a.files, b.files);
    CHECK_INT(a.threads, b.threads);
    CHECK_INT(a.book_bytes, b.book_bytes);
    CHECK_INT(a.labels, b.labels);
}

static void cancel_at_third(void *job, const SnugEvent *event)
{
    if (event->step == 2) snug_job_cancel(job);
}

/* One request of a mix: sizes, lengths and guidance differ; some end early, each in its way. */
static void one_request(SnugEngine *engine, int i)
{
    static const char *const SIZES[] = { "32x32", "64x32", "32x64" };
    static const char *const FRAMES[] = { "1", "5" };
    SnugError err = { { 0 } };
    SnugJob *job = small_job(engine);
    request_option(job, "size", SIZES[i % 3]);
    request_option(job, "frames", FRAMES[i % 2]);
    request_option(job, "guidance", i % 4 ? "3" : "1");
    SnugPlan *plan = NULL;
    if (i % 10 == 3) { /* cancelled in the middle */
        REQUIRE_OK(snug_plan_create(&plan, job, &err), &err);
        const SnugStatus status = snug_run(job, plan, cancel_at_third, job, &err);
        CHECK(status == SNUG_ERR_CANCELLED || status == SNUG_OK);
        snug_plan_free(plan);
    } else if (i % 10 == 6) { /* a model that is not there */
        request_option(job, "model", "/nonexistent");
        CHECK(request_try(job, &err) != SNUG_OK);
    } else if (i % 10 == 9) { /* an output that cannot be written */
        request_option(job, "output", "/nonexistent/x.npy");
        CHECK(request_try(job, &err) != SNUG_OK);
    } else
        REQUIRE_OK(request_try(job, &err), &err);
    snug_job_free(job);
    remove_outputs();
}

TEST(soak, many_requests_leave_the_process_as_it_was)
{
    SnugEngine *engine = open_engine();
    Holdings warm = { 0 };
    size_t early = 0, late = SIZE_MAX; /* the most of the first, the least of the last requests */
    for (int i = 0; i < REQUESTS; i++) {
        if (i == WARM_UP) warm = holdings(engine);
        one_request(engine, i);
        const size_t rss = process_rss_bytes();
        if (i < WARM_UP && rss > early) early = rss;
        if (i >= REQUESTS - WARM_UP && rss < late) late = rss;
    }
    check_same(holdings(engine), warm);
    print_message(
        "resident: at most %zu KiB in the first, at least %zu KiB in the last %d requests\n",
        early >> 10, late >> 10, WARM_UP);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they keep freed memory */
    /* the C library's arenas swing by about 1 MiB: a leak of 6 KiB in each of 200 requests shows */
    CHECK(late <= early);
#endif
    snug_engine_close(engine);
}

TEST(soak, engines_that_come_and_go_leave_nothing)
{
    SnugEngine *engine = open_engine();
    snug_engine_close(engine);
    const int files = count_files("/proc/self/fd"), threads = count_threads();
    const size_t rss = process_rss_bytes();
    for (int i = 0; i < 100; i++) {
        engine = open_engine();
        SnugJob *job = small_job(engine);
        SnugError err = { { 0 } };
        if (i % 10 == 0) REQUIRE_OK(request_try(job, &err), &err);
        snug_job_free(job);
        snug_engine_close(engine);
        remove_outputs();
    }
    CHECK_INT(count_files("/proc/self/fd"), files);
    CHECK_INT(count_threads(), threads);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* the first run of a process touches code, tables and the allocator's arenas: about 5 MiB */
    CHECK(process_rss_bytes() < rss + ((size_t)12 << 20));
#else
    (void)rss;
#endif
}
