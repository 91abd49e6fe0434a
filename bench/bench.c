/* bench.c  Rounds of rivals, their medians, and memory. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    LEAST_ROUNDS = 5,
    MOST_ROUNDS = 400,
    SETTLE_NS = 30000000, /* OpenBLAS spins for 20 ms after its work, libgomp for about 3 */
};

/** Seconds of every round; the last row is the limit's. */
typedef struct Rounds {
    double s[BENCH_RIVALS + 1][MOST_ROUNDS];
    int n;
} Rounds;

static double now_s(const Bench *bench)
{
    struct timespec t;
    clock_gettime(bench->busy ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    const double s = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    return bench->busy ? s / pool_threads(bench->pool) : s;
}

static double run_task(const Bench *bench, const Rival *rival)
{
    const double start = now_s(bench);
    rival->task(rival->context);
    const double took = now_s(bench) - start;
    const struct timespec settle = { .tv_nsec = SETTLE_NS };
    if (rival->spins) nanosleep(&settle, NULL);
    return took;
}

static double run_limit(Bench *bench, BenchLimit limit, double amount)
{
    const double start = now_s(bench);
    peak_run(bench, limit, amount);
    return now_s(bench) - start;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *s, int n)
{
    qsort(s, (size_t)n, sizeof *s, by_value);
    return s[n / 2];
}

static void run_rounds(Bench *bench, Rounds *r, const Rival *rivals, int n, BenchLimit limit,
                       double amount)
{
    double spent = 0.0;
    for (int i = 0; i < n; i++)
        (void)run_task(bench, &rivals[i]); /* first touch, first plan */
    for (r->n = 0; r->n < MOST_ROUNDS && (r->n < LEAST_ROUNDS || spent < bench->seconds); r->n++) {
        r->s[n][r->n] = run_limit(bench, limit, amount);
        for (int i = 0; i < n; i++) {
            r->s[i][r->n] = run_task(bench, &rivals[i]);
            spent += r->s[i][r->n];
        }
    }
}

void bench_race(Bench *bench, const Rival *rivals, int n, BenchLimit limit, double work)
{
    static Rounds rounds;
    const bool reads = limit == LIMIT_READ;
    run_rounds(bench, &rounds, rivals, n, limit, work);
    double middle[BENCH_RIVALS + 1], best = 1e30;
    for (int i = 0; i <= n; i++) {
        middle[i] = median(rounds.s[i], rounds.n);
        if (i > 0 && i < n && middle[i] < best) best = middle[i];
    }
    const double peak = work / middle[n] * 1e-9;
    for (int i = 0; i < n; i++) {
        if (rivals[i].failed && *rivals[i].failed) {
            printf("%-44s failed\n", rivals[i].name);
            continue;
        }
        const double rate = work / middle[i] * 1e-9;
        printf("%-44s %9.3f ms %7.1f %s, best %7.1f", rivals[i].name, middle[i] * 1e3, rate,
               reads ? "GB/s" : "GFLOP/s", work / rounds.s[i][0] * 1e-9);
        if (middle[n] > 0.0) printf("  %.2f of %.0f", rate / peak, peak);
        if (i == 0 && n > 1) printf("  %.2f x library", best / middle[0]);
        printf("\n");
    }
    fflush(stdout);
}

void bench_fill(float *x, int64_t n)
{
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
}

Slab bench_take(size_t bytes)
{
    SnugError err;
    Slab slab;
    if (slab_open(&slab, bytes, &err) != SNUG_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return slab;
}
