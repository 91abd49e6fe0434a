/* bench.h  What the measurements of kernels share: time, this machine's FMA peak, a line of output. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/heap.h"
#include "base/pool.h"
#include "compute/cpu/kernels.h"

typedef struct Bench {
    Kernels kernels;
    Heap *heap;
    Pool *pool;
    void *scratch;
    const char *filter;
    double peak; /* GFLOP/s of all threads */
} Bench;

typedef void BenchTask(void *context);
/** Best time of at least 3 runs and 0.2 s; with one thread the processor's time, so that others on the
 *  machine disturb less. */
double bench_best_s(const Bench *bench, BenchTask *task, void *context);
void bench_measure_peak(Bench *bench);
/** Print a line; `flops` of one task. */
void bench_report(const Bench *bench, const char *name, double flops, double seconds);
/** Exits when there is no memory. */
void *bench_take(Bench *bench, size_t bytes);
void bench_fill(float *x, int64_t n);

/** conv.c: convolutions of the networks, and oneDNN's beside them if linked. */
void bench_convolutions(Bench *bench);

#endif
