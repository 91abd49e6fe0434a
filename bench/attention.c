/* attention.c  Streaming attention at the heads and lengths of the networks. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "compute/cpu/attention.h"

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
    Slab slab = bench_take((size_t)(4 * l * width) * sizeof(float)),
         scratch = bench_take(cpu_attention_scratch_bytes(pool_threads(bench->pool), d));
    float *x = (float *)(void *)slab.base;
    bench_fill(x, 3 * l * width);
    Attention a = { bench,
                    { .q = { x, width, 0 },
                      .k = { x + l * width, width, 0 },
                      .v = { x + 2 * l * width, width, 0 },
                      .y = { x + 3 * l * width, width, 0 },
                      .lq = l,
                      .lk = l,
                      .heads = heads,
                      .d = d,
                      .n_batch = 1,
                      .scale = 1.0f },
                    scratch.base };
    const Rival us = { .name = name, .task = attention_task, .context = &a };
    bench_race(bench, &us, 1, LIMIT_FMA, 4.0 * (double)l * (double)l * (double)width);
    slab_close(&scratch);
    slab_close(&slab);
}

void bench_attentions(Bench *bench)
{
    bench_attention(bench, 768, 128, 12);
    bench_attention(bench, 3328, 128, 12); /* rows as far apart as in the networks */
    bench_attention(bench, 4096, 128, 2);
    bench_attention(bench, 4096, 64, 10);
    bench_attention(bench, 4096, 64, 2);
    bench_attention(bench, 4096, 40, 2);
    bench_attention(bench, 1024, 512, 1);
}
