/* kernels.c  Rates of the CPU kernels against this machine's FMA peak (and OpenBLAS, if linked).
 *
 *   bench_kernels [--isa NAME] [--threads N] [FILTER]
 *
 * FILTER: only lines that contain it ("gemm", "Q4_K", "768x1536"). Figures of one run compare with
 * each other, not with those of another run: neighbours move them by 5 % and more. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "compute/cpu/attention.h"
#include "compute/cpu/gemm.h"

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

/* ---- products ---- */

typedef struct Product {
    Bench *bench;
    GemmArgs args;
} Product;

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

static void bench_product(Bench *bench, DType type, int64_t m, int64_t k, int64_t n)
{
    char name[64];
    size_t bytes;
    snprintf(name, sizeof name, "gemm %s %lldx%lldx%lld", dtype_name(type), (long long)m,
             (long long)k, (long long)n);
    if (bench->filter && !strstr(name, bench->filter)) return;
    if (!bench->kernels.pack[type] || !dtype_bytes(type, n * k, &bytes)) return;
    float *x = bench_take(bench, (size_t)(m * k) * sizeof *x),
          *y = bench_take(bench, (size_t)(m * n) * 4);
    float *absmax = bench_take(bench, (size_t)(n * k / 64 + 1) * sizeof *absmax);
    void *w = bench_take(bench, bytes);
    bench_fill(x, m * k);
    bench_fill(absmax, n * k / 64 + 1);
    if (type == DT_F32) bench_fill(w, n * k); /* other types: all zero bits run as fast */
    Product p = { bench, { .x = x, .ldx = k, .y = y, .ldy = n, .m = m } };
    p.args.w = stored_dense(type, w, n, k);
    p.args.w.four = (StoredAbsmax){ .block = 64, .absmax = absmax };
    bench_report(bench, name, 2.0 * (double)m * (double)k * (double)n,
                 bench_best_s(bench, product_task, &p));
#ifdef HAVE_OPENBLAS
    if (type == DT_F32) {
        openblas_set_num_threads(pool_threads(bench->pool));
        bench_report(bench, "  OpenBLAS", 2.0 * (double)m * (double)k * (double)n,
                     bench_best_s(bench, blas_task, &p));
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
    float *x = bench_take(bench, (size_t)(4 * l * width) * sizeof *x);
    bench_fill(x, 3 * l * width);
    Attention a = { bench, { .lq = l, .lk = l, .heads = heads, .d = d, .n_batch = 1 }, NULL };
    a.args.scale = 1.0f;
    a.args.q = (AttentionIn){ x, width, 0 };
    a.args.k = (AttentionIn){ x + l * width, width, 0 };
    a.args.v = (AttentionIn){ x + 2 * l * width, width, 0 };
    a.args.y = (AttentionOut){ x + 3 * l * width, width, 0 };
    a.scratch = bench_take(bench, cpu_attention_scratch_bytes(pool_threads(bench->pool), d));
    bench_report(bench, name, 4.0 * (double)l * (double)l * (double)width,
                 bench_best_s(bench, attention_task, &a));
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
    bench.scratch = bench_take(&bench, cpu_gemm_scratch_bytes(threads));
    kernels_fill(&bench.kernels, isa);
    bench_measure_peak(&bench);
    printf("%s, %d threads, FMA peak %.1f GFLOP/s\n", isa_name(isa), threads, bench.peak);
    bench_products(&bench);
    bench_attention(&bench, 768, 128, 12);
    bench_attention(&bench, 4096, 64, 2);
    bench_attention(&bench, 1024, 512, 1);
    bench_convolutions(&bench);
    heap_give(bench.heap, bench.scratch);
    pool_free(bench.pool);
    heap_free(bench.heap);
    return 0;
}
