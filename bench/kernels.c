/* kernels.c  Rates of the CPU kernels beside the machine's limits and other libraries.
 *
 *   bench_kernels [--isa NAME] [--threads N] [--seconds S] [--busy] [FILTER]
 *
 * FILTER: only lines that contain it ("gemm", "Q4_K", "768x1536"). --seconds: of each kernel (0.5).
 * --busy: count the processors' time instead of the clock's, for a machine that others use, too; it
 * says nothing of threads that wait for each other. Figures of one line's group compare with each
 * other, not with those of another run: neighbours move them by 5 % and more. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/cpu/gemm.h"

enum { AHEAD_BYTES = 256 << 20 }; /* more than any cache */

static bool parse(int argc, char **argv, Isa *isa, int *threads, Bench *bench)
{
    for (int i = 1; i < argc; i++) {
        const bool more = i + 1 < argc;
        if (strcmp(argv[i], "--isa") == 0 && more) {
            if (!isa_parse(argv[++i], isa) || !isa_covers(isa_detect(), *isa)) return false;
        } else if (strcmp(argv[i], "--threads") == 0 && more) {
            *threads = (int)strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seconds") == 0 && more) {
            bench->seconds = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--busy") == 0) {
            bench->busy = true;
        } else if (argv[i][0] != '-') {
            bench->filter = argv[i];
        } else {
            return false;
        }
    }
    return *threads >= 1;
}

int main(int argc, char **argv)
{
    Bench bench = { .seconds = 0.5 };
    Isa isa = isa_detect();
    int threads = 2;
    if (!parse(argc, argv, &isa, &threads, &bench)) {
        fprintf(stderr, "usage: bench_kernels [--isa NAME] [--threads N] [--seconds S] "
                        "[--busy] [FILTER]\n");
        return 2;
    }
    bench.ahead = bench_take(AHEAD_BYTES);
    memset(bench.ahead.base, 1, bench.ahead.bytes); /* untouched pages would all be the same one */
    bench.heap = heap_create();
    bench.pool = bench.heap ? pool_create(bench.heap, threads) : NULL;
    if (!bench.pool) return 1;
    Slab scratch = bench_take(cpu_gemm_scratch_bytes(threads, true));
    bench.scratch = scratch.base;
    kernels_fill(&bench.kernels, isa);
    printf("%s, %d threads, %s: medians, beside the limit (multiply-adds or reads) of the same "
           "rounds\n",
           isa_name(isa), threads, bench.busy ? "processor time" : "time");
    bench_products(&bench);
    bench_coarse(&bench);
    bench_attentions(&bench);
    bench_convolutions(&bench);
    slab_close(&scratch);
    pool_free(bench.pool);
    heap_free(bench.heap);
    slab_close(&bench.ahead);
    return 0;
}
