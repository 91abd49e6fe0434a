/* kernels.c  Rates of the CPU kernels against this machine's FMA peak (and OpenBLAS, if linked).
 *
 *   bench_kernels [--isa NAME] [--threads N] [FILTER]
 *
 * FILTER: only lines that contain it ("gemm", "Q4_K", "768x1536"). Figures of one run compare with
 * each other, not with those of another run: neighbours move them by 5 % and more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/size.h"
#include "compute/cpu/attention.h"
#include "compute/cpu/gemm.h"

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

typedef struct Bench {
    Kernels kernels;
    Heap *heap;
    Pool *pool;
    void *scratch;
    const char *filter;
    double peak; /* GFLOP/s of all threads */
} Bench;

typedef void Task(void *context);

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** Best time of at least 3 runs and 0.2 s. */
static double best_s(Task *task, void *context)
{
    double best = 1e30, spent = 0.0;
    for (int i = 0; i < 3 || (spent < 0.2 && i < 1000); i++) {
        const double start = now_s();
        task(context);
        const double took = now_s() - start;
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

static void measure_peak(Bench *bench)
{
    const Isa isa = isa_detect();
    if (isa == ISA_REF || pool_threads(bench->pool) > 1024) return;
    const int lanes = isa_covers(isa, ISA_AVX512) ? 16 : isa_covers(isa, ISA_AVX2) ? 8 : 4;
    const double flops = 2.0 * PEAK_LOOPS * PEAK_CHAINS * lanes * pool_threads(bench->pool);
    bench->peak = flops / best_s(peak_task, bench) * 1e-9;
}

/* ---- products ---- */

typedef struct Product {
    Bench *bench;
    GemmArgs args;
} Product;

static void fill(float *x, int64_t n)
{
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
}

static void *take(Bench *bench, size_t bytes)
{
    void *block = heap_take(bench->heap, bytes, "bench");
    if (!block) {
        fprintf(stderr, "no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return block;
}

static void product_task(void *context)
{
    Product *p = context;
    cpu_gemm(&p->bench->kernels, p->bench->pool, &p->args, p->bench->scratch);
}

#ifdef HAVE_OPENBLAS
static void blas_task(void *context)
{
    const Product *p = context;
    const GemmArgs *g = &p->args;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)g->m, (blasint)g->w.rows,
                (blasint)g->w.cols, 1.0f, g->x, (blasint)g->ldx, g->w.data, (blasint)g->w.cols,
                0.0f, g->y, (blasint)g->ldy);
}
#endif

static void report(const Bench *bench, const char *name, double flops, double seconds)
{
    const double rate = flops / seconds * 1e-9;
    printf("%-44s %9.3f ms %8.1f GFLOP/s", name, seconds * 1e3, rate);
    if (bench->peak > 0) printf("  %.2f of peak", rate / bench->peak);
    printf("\n");
    fflush(stdout);
}

static void bench_product(Bench *bench, DType type, int64_t m, int64_t k, int64_t n)
{
    char name[64];
    size_t bytes;
    snprintf(name, sizeof name, "gemm %s %lldx%lldx%lld", dtype_name(type), (long long)m,
             (long long)k, (long long)n);
    if (bench->filter && !strstr(name, bench->filter)) return;
    if (!bench->kernels.pack[type] || !dtype_bytes(type, n * k, &bytes)) return;
    float *x = take(bench, (size_t)(m * k) * sizeof *x), *y = take(bench, (size_t)(m * n) * 4);
    float *absmax = take(bench, (size_t)(n * k / 64 + 1) * sizeof *absmax);
    void *w = take(bench, bytes);
    fill(x, m * k);
    fill(absmax, n * k / 64 + 1);
    if (type == DT_F32) fill(w, n * k); /* other types: all zero bits run as fast */
    Product p = { bench, { .x = x, .ldx = k, .y = y, .ldy = n, .m = m } };
    p.args.w = stored_dense(type, w, n, k);
    p.args.w.four = (StoredAbsmax){ .block = 64, .absmax = absmax };
    report(bench, name, 2.0 * (double)m * (double)k * (double)n, best_s(product_task, &p));
#ifdef HAVE_OPENBLAS
    if (type == DT_F32) {
        openblas_set_num_threads(pool_threads(bench->pool));
        report(bench, "  OpenBLAS", 2.0 * (double)m * (double)k * (double)n, best_s(blas_task, &p));
    }
#endif
    heap_give(bench->heap, w);
    heap_give(bench->heap, absmax);
    heap_give(bench->heap, y);
    heap_give(bench->heap, x);
}

static void bench_products(Bench *bench)
{
    static const DType TYPES[] = { DT_F32,  DT_F16,  DT_BF16, DT_F8_E4M3, DT_I8,
                                   DT_Q8_0, DT_Q4_0, DT_Q4_K, DT_Q6_K,    DT_NF4 };
    static const int64_t SHAPES[][3] = {
        { 1, 4096, 4096 },   { 4, 4096, 4096 },   { 20, 4096, 4096 },  { 192, 1536, 1536 },
        { 768, 1536, 1536 }, { 768, 1536, 8960 }, { 768, 8960, 1536 }, { 4096, 320, 320 },
    };
    for (size_t s = 0; s < COUNT(SHAPES); s++)
        for (size_t t = 0; t < COUNT(TYPES); t++)
            bench_product(bench, TYPES[t], SHAPES[s][0], SHAPES[s][1], SHAPES[s][2]);
}

/* ---- attention ---- */

typedef struct Attention {
    Bench *bench;
    AttentionArgs args;
    void *scratch;
} Attention;

static void attention_task(void *context)
{
    Attention *a = context;
    cpu_attention(&a->bench->kernels, a->bench->pool, &a->args, a->scratch);
}

static void bench_attention(Bench *bench, int64_t l, int64_t d, int64_t heads)
{
    char name[64];
    snprintf(name, sizeof name, "attention L %lld d %lld heads %lld", (long long)l, (long long)d,
             (long long)heads);
    if (bench->filter && !strstr(name, bench->filter)) return;
    const int64_t width = heads * d;
    float *x = take(bench, (size_t)(4 * l * width) * sizeof *x);
    fill(x, 3 * l * width);
    Attention a = { bench, { .lq = l, .lk = l, .heads = heads, .d = d, .n_batch = 1 }, NULL };
    a.args.scale = 1.0f;
    a.args.q = (AttentionIn){ x, width, 0 };
    a.args.k = (AttentionIn){ x + l * width, width, 0 };
    a.args.v = (AttentionIn){ x + 2 * l * width, width, 0 };
    a.args.y = (AttentionOut){ x + 3 * l * width, width, 0 };
    a.scratch = take(bench, cpu_attention_scratch_bytes(pool_threads(bench->pool), d));
    report(bench, name, 4.0 * (double)l * (double)l * (double)width, best_s(attention_task, &a));
    heap_give(bench->heap, a.scratch);
    heap_give(bench->heap, x);
}

static bool parse(int argc, char **argv, Isa *isa, int *threads, const char **filter)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) {
            if (!isa_parse(argv[++i], isa) || !isa_covers(isa_detect(), *isa)) return false;
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
            *threads = (int)strtol(argv[++i], NULL, 10);
            if (*threads < 1) return false;
        } else if (argv[i][0] != '-') {
            *filter = argv[i];
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    Bench bench = { 0 };
    Isa isa = isa_detect();
    int threads = 2;
    if (!parse(argc, argv, &isa, &threads, &bench.filter)) {
        fprintf(stderr, "usage: bench_kernels [--isa NAME] [--threads N] [FILTER]\n");
        return 2;
    }
    bench.heap = heap_create();
    bench.pool = bench.heap ? pool_create(bench.heap, threads) : NULL;
    if (!bench.pool) return 1;
    bench.scratch = take(&bench, cpu_gemm_scratch_bytes(threads));
    kernels_fill(&bench.kernels, isa);
    measure_peak(&bench);
    printf("%s, %d threads, FMA peak %.1f GFLOP/s\n", isa_name(isa), threads, bench.peak);
    bench_products(&bench);
    bench_attention(&bench, 768, 128, 12);
    bench_attention(&bench, 4096, 64, 2);
    bench_attention(&bench, 1024, 512, 1);
    heap_give(bench.heap, bench.scratch);
    pool_free(bench.pool);
    heap_free(bench.heap);
    return 0;
}
