/* bench.h  What the measurements of kernels share: memory, rounds of rivals, a line of output for each.
 *
 * All that is compared runs in the same rounds: the limit of the machine (fused multiply-adds or reads
 * of memory, for about as long as the kernel takes), the kernel, the same from other libraries. So
 * a neighbour's noise meets all of them, and the ratios of medians hold where rates do not. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/heap.h"
#include "base/pool.h"
#include "compute/cpu/kernels.h"
#include "memory/slab.h"

/** What limits a kernel: arithmetic or the reading of weights from memory. */
typedef enum BenchLimit { LIMIT_FMA, LIMIT_READ } BenchLimit;

typedef struct Bench {
    Kernels kernels;
    Heap *heap;
    Pool *pool;
    void *scratch; /* cpu_gemm_scratch_bytes */
    const char *filter;
    bool busy;      /* processor time counts */
    Slab ahead;     /* what the limit LIMIT_READ reads: more than any cache */
    double seconds; /* least time of one kernel's rounds */
} Bench;

typedef void BenchTask(void *context);

/** Something to run in every round. */
typedef struct Rival {
    const char *name;
    BenchTask *task;
    void *context;
    bool spins;         /* its threads go on spinning for a while: let them fall asleep */
    const bool *failed; /* or NULL; looked at after the last round */
} Rival;

enum { BENCH_RIVALS = 3 };

/** Run rivals and the limit in turns and print a line for each rival. The first is ours. `work`: floating
 *  point operations or bytes of one task. */
void bench_race(Bench *bench, const Rival *rivals, int n, BenchLimit limit, double work);

/** In huge pages where there are, as in the program's slab; zeros. Exits when there is no memory. */
Slab bench_take(size_t bytes);
void bench_fill(float *x, int64_t n);

/** peak.c: run `amount` flops or bytes of the limit on all threads of the pool. */
void peak_run(Bench *bench, BenchLimit limit, double amount);

/** products.c, coarse.c, attention.c, conv.c: the kernels' shapes. */
void bench_products(Bench *bench);
void bench_coarse(Bench *bench);
void bench_attentions(Bench *bench);
void bench_convolutions(Bench *bench);

#endif
