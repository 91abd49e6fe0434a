/* coarse.c  Products in int8 and bf16 beside the same in f32, all of weights stored as bf16. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "compute/cpu/gemm.h"
#include "compute/cpu/int8.h"

typedef struct Product {
    Bench *bench;
    Int8Args bytes;
    GemmArgs plain, pairs;
    void *scratch;
} Product;

static void int8_task(void *context)
{
    const Product *p = context;
    cpu_int8(&p->bench->kernels, p->bench->pool, &p->bytes, p->scratch);
}

static void bf16_task(void *context)
{
    const Product *p = context;
    cpu_gemm(&p->bench->kernels, p->bench->pool, &p->pairs, p->bench->scratch);
}

static void plain_task(void *context)
{
    const Product *p = context;
    cpu_gemm(&p->bench->kernels, p->bench->pool, &p->plain, p->bench->scratch);
}

/* One arithmetic beside f32. */
static void race(Bench *bench, const char *dtype, BenchTask *task, const int64_t shape[3])
{
    char name[64];
    const int64_t m = shape[0], k = shape[1], n = shape[2];
    (void)snprintf(name, sizeof name, "%s gemm BF16 %lldx%lldx%lld", dtype, (long long)m,
                   (long long)k, (long long)n);
    if (bench->filter && !strstr(name, bench->filter)) return;
    Slab x = bench_take((size_t)(m * k) * sizeof(float)),
         y = bench_take((size_t)(m * n) * sizeof(float)), w = bench_take((size_t)(n * k) * 2),
         scratch = bench_take(cpu_int8_scratch_bytes(pool_threads(bench->pool), m, k));
    bench_fill((float *)(void *)x.base, m * k);
    memset(w.base, 0x3c, (size_t)(n * k) * 2);
    const Stored stored = stored_dense(DT_BF16, w.base, n, k);
    Product p = { .bench = bench, .scratch = scratch.base };
    p.bytes = (Int8Args){ .x = (const float *)(void *)x.base, .y = (float *)(void *)y.base };
    p.plain = (GemmArgs){ .x = p.bytes.x, .y = p.bytes.y };
    p.bytes.w = p.plain.w = stored;
    p.bytes.m = p.plain.m = m;
    p.bytes.ldx = p.plain.ldx = k;
    p.bytes.ldy = p.plain.ldy = n;
    p.pairs = p.plain;
    p.pairs.bf16 = true;
    const Rival rivals[] = { { .name = name, .task = task, .context = &p },
                             { .name = "  in f32", .task = plain_task, .context = &p } };
    bench_race(bench, rivals, (int)COUNT(rivals), LIMIT_FMA,
               2.0 * (double)m * (double)k * (double)n);
    slab_close(&scratch);
    slab_close(&w);
    slab_close(&y);
    slab_close(&x);
}

void bench_coarse(Bench *bench)
{
    static const int64_t SHAPES[][3] = {
        { 64, 1536, 1536 },  { 192, 1536, 1536 }, { 768, 1536, 1536 },
        { 768, 1536, 8960 }, { 768, 8960, 1536 }, { 768, 5120, 5120 },
    };
    for (size_t s = 0; s < COUNT(SHAPES); s++) {
        race(bench, "int8", int8_task, SHAPES[s]);
        race(bench, "bf16", bf16_task, SHAPES[s]);
    }
}
