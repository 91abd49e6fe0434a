/* pool.c  Thread pool: units are taken from one atomic counter; idle workers spin, then sleep.
 *
 * A job is published by storing its fields, then `left` (release). Whoever lowers `left` from
 * u to u - 1 owns unit n_units - u and may read the fields: they cannot change before that
 * unit is counted in `finished`. So the caller waits for units, never for a worker: one that
 * sleeps or is descheduled through a whole job does no harm, and a late one can at worst win
 * a unit of the next job, which it then runs as any other.
 *
 * Kernels may wake two threads on one processor while another idles, and leave them there for
 * the whole of a job. So each thread notes where it starts a job, and a worker that meets
 * another there steps aside. Nobody is pinned: beside other programs the scheduler knows best. */
#include "base/pool.h"

#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/now.h"

/* Dispatch to a spinning worker takes under 1 us, waking a sleeping one 6 to 11 us. */
enum { SPIN_NS = 50000, SPINS_PER_LOOK = 64, STACK_BYTES = 1 << 20 };

enum { NOWHERE = -1 };

typedef struct Worker {
    struct Pool *pool;
    pthread_t thread; /* worker 0 is the caller and has none */
    int index;
    atomic_int processor; /* where its last job began; NOWHERE while it sleeps */
} Worker;

struct Pool {
    Heap *heap;
    int threads, started; /* started: threads of the pool's own, threads - 1 when complete */
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
    Worker worker[]; /* [threads] */
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/** What `self` notes is a hint, so relaxed: a stale one costs a needless move or a missed one. */
static void note_processor(Worker *self, int processor)
{
    if (atomic_load_explicit(&self->processor, memory_order_relaxed) != processor)
        atomic_store_explicit(&self->processor, processor, memory_order_relaxed);
}

static cpu_set_t held_by_others(const Worker *self)
{
    const Pool *pool = self->pool;
    cpu_set_t held;
    CPU_ZERO(&held);
    for (int i = 0; i < pool->threads; i++) {
        const int processor =
            atomic_load_explicit(&pool->worker[i].processor, memory_order_relaxed);
        if (i != self->index && processor != NOWHERE) CPU_SET(processor, &held);
    }
    return held;
}

/** Leave a processor that another thread of the pool holds for one that none of them does.
 *  Afterwards the thread may run wherever it might before. */
static void step_aside(Worker *self)
{
    const int here = sched_getcpu();
    note_processor(self, here);
    const cpu_set_t held = held_by_others(self);
    if (here < 0 || !CPU_ISSET(here, &held)) return;
    cpu_set_t allowed, taken, vacant;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    CPU_AND(&taken, &allowed, &held);
    CPU_XOR(&vacant, &allowed, &taken);
    if (CPU_COUNT(&vacant) == 0 || sched_setaffinity(0, sizeof vacant, &vacant) != 0) return;
    note_processor(self, sched_getcpu());
    sched_setaffinity(0, sizeof allowed, &allowed);
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
static void await_work(Worker *self, unsigned seen)
{
    Pool *pool = self->pool;
    const int64_t until = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (work_arrived(pool, seen)) return;
            relax();
        }
    } while (now_ns() < until);

    note_processor(self, NOWHERE);
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
    Worker *self = argument;
    Pool *pool = self->pool;
    unsigned seen = 0;
    fesetenv(FE_DFL_ENV); /* inherited rounding or flush-to-zero would change bits */
    while (!atomic_load(&pool->stop)) {
        run_units(pool, self->index);
        await_work(self, seen);
        seen = atomic_load(&pool->generation);
        step_aside(self);
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
    for (int i = 1; ok && i < pool->threads; i++) {
        ok = start_worker(&pool->worker[i], &attributes);
        if (ok) pool->started++;
    }
    pthread_attr_destroy(&attributes);
    return ok;
}

Pool *pool_create(Heap *heap, int threads)
{
    if (threads < 1) return NULL;
    Pool *pool = heap_take(heap, sizeof *pool + (size_t)threads * sizeof(Worker), "pool");
    if (!pool) return NULL;
    pool->heap = heap;
    pool->threads = threads;
    pthread_mutex_init(&pool->lock, NULL); /* these cannot fail with default attributes */
    pthread_cond_init(&pool->work_ready, NULL);
    pthread_cond_init(&pool->all_done, NULL);
    for (int i = 0; i < threads; i++) {
        pool->worker[i].pool = pool;
        pool->worker[i].index = i;
        atomic_init(&pool->worker[i].processor, NOWHERE);
    }
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
    for (int i = 1; i <= pool->started; i++)
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
        note_processor(&pool->worker[0], sched_getcpu());
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
