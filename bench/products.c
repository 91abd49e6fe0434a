/* products.c  Matrix products of every stored type beside OpenBLAS and oneDNN. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "compute/cpu/gemm.h"

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif
#ifdef HAVE_DNNL
#include <dnnl.h>
#include <omp.h>
#endif

enum {
    FEW_ROWS = 32,        /* up to here reading the weights is the limit, not arithmetic */
    COLD_BYTES = 96 << 20 /* copies of the weights, taken in turn: more than a third-level cache */
};

typedef struct Product {
    Bench *bench;
    GemmArgs args;
    Slab weights;
    size_t one; /* bytes from one copy of the weights to the next */
    size_t at;
    bool failed;
} Product;

/** The next copy of the weights. */
static void turn(Product *p)
{
    p->at = p->at + 2 * p->one <= p->weights.bytes ? p->at + p->one : 0;
    p->args.w.data = p->weights.base + p->at;
}

static void product_task(void *context)
{
    Product *p = context;
    turn(p);
    cpu_gemm(&p->bench->kernels, p->bench->pool, &p->args, p->bench->scratch);
}

#ifdef HAVE_OPENBLAS
static void blas_task(void *context)
{
    Product *p = context;
    const GemmArgs *g = &p->args;
    turn(p);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)g->m, (blasint)g->w.rows,
                (blasint)g->w.cols, 1.0f, g->x, (blasint)g->ldx, g->w.data, (blasint)g->w.cols,
                0.0f, g->y, (blasint)g->ldy);
}
#endif

#ifdef HAVE_DNNL
static void dnnl_task(void *context)
{
    Product *p = context;
    const GemmArgs *g = &p->args;
    turn(p);
    if (dnnl_sgemm('N', 'T', g->m, g->w.rows, g->w.cols, 1.0f, g->x, g->ldx, g->w.data, g->w.cols,
                   0.0f, g->y, g->ldy) != dnnl_success)
        p->failed = true;
}
#endif

static void race(Bench *bench, Product *p, const char *name, double stored_bytes)
{
    const GemmArgs *g = &p->args;
    Rival rivals[BENCH_RIVALS] = { { .name = name, .task = product_task, .context = p } };
    int n = 1;
    const bool few = g->m <= FEW_ROWS;
    if (g->w.type == DT_F32) {
#ifdef HAVE_OPENBLAS
        openblas_set_num_threads(pool_threads(bench->pool));
        rivals[n++] = (Rival){ "  OpenBLAS", blas_task, p, .spins = true };
#endif
#ifdef HAVE_DNNL
        omp_set_num_threads(pool_threads(bench->pool));
        rivals[n++] = (Rival){ "  oneDNN", dnnl_task, p, .spins = true, .failed = &p->failed };
#endif
    }
    bench_race(bench, rivals, n, few ? LIMIT_READ : LIMIT_FMA,
               few ? stored_bytes : 2.0 * (double)g->m * (double)g->w.rows * (double)g->w.cols);
}

static void bench_product(Bench *bench, DType type, int64_t m, int64_t k, int64_t n)
{
    char name[64];
    size_t bytes;
    snprintf(name, sizeof name, "gemm %s %lldx%lldx%lld", dtype_name(type), (long long)m,
             (long long)k, (long long)n);
    if (bench->filter && !strstr(name, bench->filter)) return;
    if (!bench->kernels.pack[type] || !dtype_bytes(type, n * k, &bytes)) return;
    const size_t one = (bytes + 63) & ~(size_t)63;
    Slab x = bench_take((size_t)(m * k) * sizeof(float)),
         y = bench_take((size_t)(m * n) * sizeof(float)),
         absmax = bench_take((size_t)(n * k / 64 + 1) * sizeof(float));
    Product p = { .bench = bench, .weights = bench_take(one > COLD_BYTES ? one : COLD_BYTES) };
    p.one = m <= FEW_ROWS ? one : p.weights.bytes; /* of many rows: as after another layer */
    bench_fill((float *)(void *)x.base, m * k);
    bench_fill((float *)(void *)absmax.base, n * k / 64 + 1);
    memset(p.weights.base, 0, p.weights.bytes); /* untouched pages would all be the same one */
    if (type == DT_F32)
        bench_fill((float *)(void *)p.weights.base, (int64_t)(p.weights.bytes / sizeof(float)));
    p.args = (GemmArgs){ .x = (float *)(void *)x.base,
                         .ldx = k,
                         .y = (float *)(void *)y.base,
                         .ldy = n,
                         .m = m,
                         .w = stored_dense(type, p.weights.base, n, k) };
    p.args.w.four = (StoredAbsmax){ .block = 64, .absmax = (float *)(void *)absmax.base };
    race(bench, &p, name, (double)bytes);
    slab_close(&p.weights);
    slab_close(&absmax);
    slab_close(&y);
    slab_close(&x);
}

void bench_products(Bench *bench)
{
    static const DType TYPES[] = { DT_F32,  DT_F16,  DT_BF16, DT_F8_E4M3, DT_I8,
                                   DT_Q8_0, DT_Q4_0, DT_Q4_K, DT_Q6_K,    DT_NF4 };
    static const int64_t SHAPES[][3] = {
        { 1, 4096, 10240 },  { 4, 4096, 10240 },   { 8, 4096, 10240 },  { 20, 4096, 10240 },
        { 32, 4096, 10240 }, { 192, 1536, 1536 },  { 768, 1536, 1536 }, { 768, 1536, 8960 },
        { 768, 8960, 1536 }, { 1280, 3072, 3072 }, { 4096, 320, 320 },
    };
    for (size_t s = 0; s < COUNT(SHAPES); s++)
        for (size_t t = 0; t < COUNT(TYPES); t++)
            bench_product(bench, TYPES[t], SHAPES[s][0], SHAPES[s][1], SHAPES[s][2]);
}
