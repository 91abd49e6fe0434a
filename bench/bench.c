/* bench.c  Time and the FMA peak. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_s(const Bench *bench)
{
    struct timespec t;
    const bool alone = pool_threads(bench->pool) == 1;
    clock_gettime(alone ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_best_s(const Bench *bench, BenchTask *task, void *context)
{
    double best = 1e30, spent = 0.0;
    for (int i = 0; i < 3 || (spent < 0.2 && i < 1000); i++) {
        const double start = now_s(bench);
        task(context);
        const double took = now_s(bench) - start;
        spent += took;
        if (took < best) best = took;
    }
    return best;
}

/* ---- FMA peak: 12 independent chains in registers, the register file's usual limit ---- */

enum { PEAK_LOOPS = 2000000, PEAK_CHAINS = 12 };
#define EACH_CHAIN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define BEGIN(i)       vec c##i = one * (float)i;
#define CHAIN(i)       __asm__ volatile(FMA : "+" REG(c##i) : REG_IN(x), REG_IN(one));
#define SUM(i)         one += c##i;

#if defined(__x86_64__)
#define REG(v)    "x"(v)
#define REG_IN(v) "x"(v)
#define FMA       "vfmadd231ps %1, %2, %0"
typedef float vec8 __attribute__((vector_size(32)));
__attribute__((target("avx2,fma"))) static float chains_avx2(void)
{
    typedef vec8 vec;
    vec one = { 1, 1, 1, 1, 1, 1, 1, 1 }, x = one * 1e-9f;
    EACH_CHAIN(BEGIN)
    for (int i = 0; i < PEAK_LOOPS; i++) {
        EACH_CHAIN(CHAIN)
    }
    EACH_CHAIN(SUM)
    return one[0];
}
typedef float vec16 __attribute__((vector_size(64)));
__attribute__((target("avx512f"))) static float chains_avx512(void)
{
    typedef vec16 vec;
    vec one = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 }, x = one * 1e-9f;
    EACH_CHAIN(BEGIN)
    for (int i = 0; i < PEAK_LOOPS; i++) {
        EACH_CHAIN(CHAIN)
    }
    EACH_CHAIN(SUM)
    return one[0];
}
#elif defined(__aarch64__)
#define REG(v)    "w"(v)
#define REG_IN(v) "w"(v)
#define FMA       "fmla %0.4s, %1.4s, %2.4s"
typedef float vec4 __attribute__((vector_size(16)));
static float chains_neon(void)
{
    typedef vec4 vec;
    vec one = { 1, 1, 1, 1 }, x = one * 1e-9f;
    EACH_CHAIN(BEGIN)
    for (int i = 0; i < PEAK_LOOPS; i++) {
        EACH_CHAIN(CHAIN)
    }
    EACH_CHAIN(SUM)
    return one[0];
}
#endif

static void peak_unit(void *context, int64_t unit, int worker)
{
    (void)worker;
    float *sink = (float *)context + unit;
#if defined(__x86_64__)
    if (isa_covers(isa_detect(), ISA_AVX512))
        *sink = chains_avx512();
    else if (isa_covers(isa_detect(), ISA_AVX2))
        *sink = chains_avx2();
#elif defined(__aarch64__)
    *sink = chains_neon();
#else
    *sink = 0.0f;
#endif
}

static void peak_task(void *context)
{
    const Bench *bench = context;
    static float sink[1024];
    pool_run(bench->pool, pool_threads(bench->pool), peak_unit, sink);
}

void bench_measure_peak(Bench *bench)
{
    const Isa isa = isa_detect();
    if (isa == ISA_REF || pool_threads(bench->pool) > 1024) return;
    const int lanes = isa_covers(isa, ISA_AVX512) ? 16 : isa_covers(isa, ISA_AVX2) ? 8 : 4;
    const double flops = 2.0 * PEAK_LOOPS * PEAK_CHAINS * lanes * pool_threads(bench->pool);
    bench->peak = flops / bench_best_s(bench, peak_task, bench) * 1e-9;
}

/* ---- data and output ---- */

void bench_fill(float *x, int64_t n)
{
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
}

void *bench_take(Bench *bench, size_t bytes)
{
    void *block = heap_take(bench->heap, bytes, "bench");
    if (!block) {
        fprintf(stderr, "no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return block;
}

void bench_report(const Bench *bench, const char *name, double flops, double seconds)
{
    const double rate = flops / seconds * 1e-9;
    printf("%-44s %9.3f ms %8.1f GFLOP/s", name, seconds * 1e3, rate);
    if (bench->peak > 0) printf("  %.2f of peak", rate / bench->peak);
    printf("\n");
    fflush(stdout);
}
