/* test_pool.c  Every unit runs once, on any number of threads, however long workers sleep. */
#include "test.h"

#include <fenv.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/pool.h"

enum { MAX_UNITS = 1000, MAX_THREADS = 5 };

typedef struct Job {
    atomic_int runs[MAX_UNITS];
    int plain[MAX_UNITS]; /* written without atomics: the pool must order it (TSan) */
    int threads;
    atomic_int bad_worker;
} Job;

static void count(void *context, int64_t unit, int worker)
{
    Job *job = context;
    atomic_fetch_add(&job->runs[unit], 1);
    job->plain[unit] += 1 + (int)unit;
    if (worker < 0 || worker >= job->threads) atomic_store(&job->bad_worker, 1);
}

static void check_rounds(int threads, int64_t n_units, int rounds, useconds_t pause_us)
{
    static Job job;
    memset(&job, 0, sizeof job);
    job.threads = threads;
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, threads);
    CHECK(pool);
    CHECK_INT(pool_threads(pool), threads);
    for (int round = 0; round < rounds; round++) {
        pool_run(pool, n_units, count, &job);
        for (int64_t i = 0; i < n_units; i++)
            CHECK_INT(job.plain[i], (round + 1) * (1 + i));
        if (pause_us) usleep(pause_us);
    }
    for (int64_t i = 0; i < MAX_UNITS; i++)
        CHECK_INT(atomic_load(&job.runs[i]), i < n_units ? rounds : 0);
    CHECK_INT(atomic_load(&job.bad_worker), 0);
    pool_free(pool);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(pool, runs_every_unit_once)
{
    static const int64_t UNITS[] = { 0, 1, 2, 3, 7, MAX_UNITS };
    for (int threads = 1; threads <= MAX_THREADS; threads++)
        for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
            check_rounds(threads, UNITS[i], 3, 0);
}

TEST(pool, survives_many_short_jobs_back_to_back)
{
    check_rounds(3, 2, 3000, 0);
}

TEST(pool, wakes_workers_that_went_to_sleep)
{
    check_rounds(4, 64, 20, 1000); /* a pause of 20 spins */
}

static void slow_unit(void *context, int64_t unit, int worker)
{
    (void)worker;
    usleep(unit == 0 ? 3000 : 10); /* the others finish first: the caller sleeps for this one */
    ((int *)context)[unit] = 1;
}

TEST(pool, waits_for_the_last_unit)
{
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, 3);
    for (int round = 0; round < 5; round++) {
        int done[8] = { 0 };
        pool_run(pool, 8, slow_unit, done);
        for (int i = 0; i < 8; i++)
            CHECK_INT(done[i], 1);
    }
    pool_free(pool);
    heap_free(heap);
}

static void rounding(void *context, int64_t unit, int worker)
{
    (void)worker;
    ((int *)context)[unit] = fegetround();
}

TEST(pool, computes_in_the_default_rounding_whatever_the_caller_set)
{
    Heap *heap = heap_create();
    fesetround(FE_UPWARD);
    Pool *pool = pool_create(heap, 3);
    int seen[64];
    pool_run(pool, 64, rounding, seen);
    CHECK_INT(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
    for (int i = 0; i < 64; i++)
        CHECK_INT(seen[i], FE_TONEAREST);
    pool_free(pool);
    heap_free(heap);
}

enum { PAIR = 2, NOBODY = -1 };

typedef struct Meeting {
    atomic_int arrived;
    int shared;   /* the worker ends its unit on this processor; NOBODY: it is left alone */
    int at[PAIR]; /* where each began */
    cpu_set_t may_run[PAIR];
} Meeting;

/** Both threads take one unit each: neither returns before the other has come. */
static void meet(void *context, int64_t unit, int worker)
{
    (void)unit;
    Meeting *meeting = context;
    meeting->at[worker] = sched_getcpu();
    sched_getaffinity(0, sizeof(cpu_set_t), &meeting->may_run[worker]);
    if (worker == 1 && meeting->shared != NOBODY) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(meeting->shared, &one);
        sched_setaffinity(0, sizeof one, &one);
        sched_setaffinity(0, sizeof(cpu_set_t), &meeting->may_run[worker]);
    }
    atomic_fetch_add(&meeting->arrived, 1);
    while (atomic_load(&meeting->arrived) < PAIR)
        sched_yield();
}

static void meet_in(Pool *pool, Meeting *meeting, int shared)
{
    atomic_store(&meeting->arrived, 0);
    meeting->shared = shared;
    pool_run(pool, PAIR, meet, meeting);
}

TEST(pool, workers_leave_the_processor_of_the_caller)
{
    enum { ROUNDS = 40 };
    cpu_set_t before, one;
    CHECK_INT(sched_getaffinity(0, sizeof before, &before), 0);
    if (CPU_COUNT(&before) < PAIR) SKIP("one processor");
    const int here = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(here, &one);
    Heap *heap = heap_create();
    Pool *pool = pool_create(heap, PAIR);
    CHECK_INT(sched_setaffinity(0, sizeof one, &one), 0); /* of the caller alone */
    int apart = 0;
    for (int round = 0; round < ROUNDS; round++) {
        Meeting meeting;
        meet_in(pool, &meeting, here); /* leaves the worker beside the caller */
        if (round % 2) usleep(1000);   /* asleep or spinning */
        meet_in(pool, &meeting, NOBODY);
        apart += meeting.at[1] != here;
        CHECK(CPU_EQUAL(&meeting.may_run[1], &before)); /* moved, not pinned */
        CHECK(CPU_EQUAL(&meeting.may_run[0], &one));
    }
    CHECK_INT(sched_setaffinity(0, sizeof before, &before), 0);
    CHECK(apart >= ROUNDS / 2); /* it was in all, idle or busy; left to the scheduler: 0 to 2 */
    pool_free(pool);
    heap_free(heap);
}

TEST(pool, refuses_no_threads_and_no_memory)
{
    Heap *heap = heap_create();
    CHECK(!pool_create(heap, 0));
    heap_fail_at(heap, 1);
    CHECK(!pool_create(heap, 2));
    pool_free(NULL);
    heap_free(heap);
}
