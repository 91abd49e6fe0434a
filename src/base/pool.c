/* pool.c  Thread pool: units are taken from one atomic counter; idle workers spin, then sleep.
 *
 * A job is published by storing its fields, then `left` (release). Whoever lowers `left` from
 * u to u - 1 owns unit n_units - u and may read the fields: they cannot change before that
 * unit is counted in `finished`. So the caller waits for units, never for a worker: one that
 * sleeps or is descheduled through a whole job does no harm, and a late one can at worst win
 * a unit of the next job, which it then runs as any other. */
#include "base/pool.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/now.h"

/* Dispatch to a spinning worker takes under 1 us, waking a sleeping one 6 to 11 us. */
enum { SPIN_NS = 50000, SPINS_PER_LOOK = 64, STACK_BYTES = 1 << 20 };

typedef struct Worker {
    struct Pool *pool;
    pthread_t thread;
    int index;
} Worker;

struct Pool {
    Heap *heap;
    int threads, started; /* started: workers that run, threads - 1 when complete */
    PoolWork *work;       /* the job: stable while one of its units is unfinished */
    void *context;
    int64_t n_units;

    _Alignas(64) atomic_llong left; /* units nobody has taken */
    _Alignas(64) atomic_llong finished;
    _Alignas(64) atomic_uint generation; /* counts jobs; workers wait for it to move */
    atomic_int sleepers;
    atomic_bool stop, caller_sleeps;
    pthread_mutex_t lock;
    pthread_cond_t work_ready, all_done;
    Worker worker[];
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/** Take and run units until none is left. */
static void run_units(Pool *pool, int index)
{
    long long left = atomic_load_explicit(&pool->left, memory_order_relaxed);
    while (left > 0) {
        if (!atomic_compare_exchange_weak_explicit(&pool->left, &left, left - 1,
                                                   memory_order_acquire, memory_order_relaxed))
            continue;
        const int64_t n_units = pool->n_units;
        pool->work(pool->context, n_units - left, index);
        const long long done = atomic_fetch_add(&pool->finished, 1) + 1;
        if (done == n_units && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->all_done);
            pthread_mutex_unlock(&pool->lock);
        }
        left = atomic_load_explicit(&pool->left, memory_order_relaxed);
    }
}

static bool work_arrived(Pool *pool, unsigned seen)
{
    return atomic_load(&pool->generation) != seen || atomic_load(&pool->stop);
}

/** Until the generation moves on from `seen`, or the pool stops. */
static void await_work(Pool *pool, unsigned seen)
{
    const int64_t until = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (work_arrived(pool, seen)) return;
            relax();
        }
    } while (now_ns() < until);

    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1); /* before the look: the publisher does the reverse */
    while (!work_arrived(pool, seen))
        pthread_cond_wait(&pool->work_ready, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void await_finish(Pool *pool)
{
    const int64_t until = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (atomic_load(&pool->finished) == pool->n_units) return;
            relax();
        }
    } while (now_ns() < until);

    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->finished) != pool->n_units)
        pthread_cond_wait(&pool->all_done, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    const Worker *self = argument;
    Pool *pool = self->pool;
    unsigned seen = 0;
    fesetenv(FE_DFL_ENV); /* inherited rounding or flush-to-zero would change bits */
    while (!atomic_load(&pool->stop)) {
        run_units(pool, self->index);
        await_work(pool, seen);
        seen = atomic_load(&pool->generation);
    }
    return NULL;
}

static bool start_worker(Worker *worker, const pthread_attr_t *attributes)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's, not the pool's */
    const int failed = pthread_create(&worker->thread, attributes, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

static bool start_workers(Pool *pool)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    bool ok = true;
    for (int i = 0; ok && i < pool->threads - 1; i++) {
        pool->worker[i].pool = pool;
        pool->worker[i].index = i + 1;
        ok = start_worker(&pool->worker[i], &attributes);
        if (ok) pool->started++;
    }
    pthread_attr_destroy(&attributes);
    return ok;
}

Pool *pool_create(Heap *heap, int threads)
{
    if (threads < 1) return NULL;
    Pool *pool = heap_take(heap, sizeof *pool + (size_t)(threads - 1) * sizeof(Worker), "pool");
    if (!pool) return NULL;
    pool->heap = heap;
    pool->threads = threads;
    pthread_mutex_init(&pool->lock, NULL); /* these cannot fail with default attributes */
    pthread_cond_init(&pool->work_ready, NULL);
    pthread_cond_init(&pool->all_done, NULL);
    if (!start_workers(pool)) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

void pool_free(Pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->worker[i].thread, NULL);
    pthread_cond_destroy(&pool->all_done);
    pthread_cond_destroy(&pool->work_ready);
    pthread_mutex_destroy(&pool->lock);
    heap_give(pool->heap, pool);
}

int pool_threads(const Pool *pool)
{
    return pool->threads;
}

void pool_run(Pool *pool, int64_t n_units, PoolWork *work, void *context)
{
    fenv_t before;
    fegetenv(&before);
    fesetenv(FE_DFL_ENV); /* other libraries change it; the caller computes units as well */
    if (n_units == 1 || pool->threads == 1) {
        for (int64_t unit = 0; unit < n_units; unit++)
            work(context, unit, 0);
    } else if (n_units > 1) {
        pool->work = work;
        pool->context = context;
        pool->n_units = n_units;
        atomic_store(&pool->finished, 0);
        atomic_store_explicit(&pool->left, n_units, memory_order_release);
        atomic_fetch_add(&pool->generation, 1);
        if (atomic_load(&pool->sleepers) > 0) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_broadcast(&pool->work_ready);
            pthread_mutex_unlock(&pool->lock);
        }
        run_units(pool, 0);
        await_finish(pool);
    }
    fesetenv(&before);
}
