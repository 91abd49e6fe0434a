/* cmd_bench.c  snug bench attention: time one operation on this machine. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/words.h"

static int usage(FILE *to, int code)
{
    (void)fprintf(to, "usage: snug bench attention [options]\n"
                      "       snug bench PIPELINE [--jobs N] [--auto-unload both] [its options]\n\n"
                      "  --batch N    problems in one call (default: 2)\n"
                      "  --length N   queries and keys of each (default: 512)\n"
                      "  --heads N    (default: 32)\n"
                      "  --dim N      columns of a head (default: 128)\n"
                      "  --runs N     timed calls (default: 100)\n"
                      "  --threads N  compute threads (default: all processors)\n"
                      "  --isa NAME   kernels: ref, avx2, avx512, avx512vnni, avx512bf16, neon\n"
                      "  --ram SIZE   the operands may take this much\n"
                      "  --json       as JSON\n");
    return code;
}

static void print(const SnugBench *b, const SnugAttentionBench *o, const SnugEngine *e, bool json)
{
    const double rate = b->flops / b->median_seconds / 1e9;
    if (json) {
        int first = 1;
        (void)printf("{");
        json_out_member(&first, "bench", "attention");
        json_out_member(&first, "isa", snug_engine_isa(e));
        json_out_number(&first, "threads", snug_engine_threads(e), 0);
        json_out_number(&first, "batch", o->batch, 0);
        json_out_number(&first, "length", o->length, 0);
        json_out_number(&first, "heads", o->heads, 0);
        json_out_number(&first, "dim", o->dim, 0);
        json_out_number(&first, "runs", o->runs, 0);
        json_out_number(&first, "median_ms", b->median_seconds * 1e3, 4);
        json_out_number(&first, "mean_ms", b->mean_seconds * 1e3, 4);
        json_out_number(&first, "best_ms", b->best_seconds * 1e3, 4);
        json_out_number(&first, "gflops", rate, 2);
        json_out_number(&first, "memory_bytes", (double)b->memory_bytes, 0);
        (void)printf("}\n");
        return;
    }
    (void)printf("attention: batch %d, length %d, heads %d, dim %d; f32, %s, %d threads, %d runs\n",
                 o->batch, o->length, o->heads, o->dim, snug_engine_isa(e), snug_engine_threads(e),
                 o->runs);
    (void)printf("%.3f ms per call (median; mean %.3f, best %.3f), %.1f GFLOP/s, %.1f MiB\n",
                 b->median_seconds * 1e3, b->mean_seconds * 1e3, b->best_seconds * 1e3, rate,
                 (double)b->memory_bytes / 1048576.0);
}

static int run(const SnugAttentionBench *o, const SnugEngineOptions *engine_options, bool json)
{
    SnugEngine *engine = NULL;
    SnugError err = { { 0 } };
    SnugBench result;
    SnugStatus status = snug_engine_open(&engine, engine_options, &err);
    if (status == SNUG_OK) status = snug_bench_attention(&result, engine, o, &err);
    if (status == SNUG_OK) print(&result, o, engine, json);
    snug_engine_close(engine);
    return status == SNUG_OK ? 0 : cli_fail(status, &err);
}

int cmd_bench(int argc, char **argv)
{
    bool json = false, help = false;
    SnugAttentionBench o = { .batch = 2, .length = 512, .heads = 32, .dim = 128, .runs = 100 };
    const char *what = NULL, *ram = NULL;
    SnugEngineOptions engine = { 0 };
    const Word table[] = { { .name = "--json", .flag = &json },
                           { .name = "--help", .flag = &help },
                           { .name = "-h", .flag = &help },
                           { .name = "--batch", .count = &o.batch, .min = 1, .max = 4096 },
                           { .name = "--length", .count = &o.length, .min = 1, .max = 1 << 24 },
                           { .name = "--heads", .count = &o.heads, .min = 1, .max = 4096 },
                           { .name = "--dim", .count = &o.dim, .min = 1, .max = 4096 },
                           { .name = "--runs", .count = &o.runs, .min = 1, .max = SNUG_BENCH_RUNS },
                           { .name = "--threads", .count = &engine.threads, .min = 1, .max = 1024 },
                           { .name = "--isa", .text = &engine.isa },
                           { .name = "--ram", .text = &ram },
                           { .name = NULL } };
    for (int i = 0; argc && snug_pipeline_name(i); i++)
        if (strcmp(argv[0], snug_pipeline_name(i)) == 0) return cli_bench_jobs(argc, argv);
    const int code = words_read(table, &what, "bench", argc, argv);
    if (code) return code;
    if (help) return usage(stdout, 0);
    if (!what || strcmp(what, "attention") != 0) return usage(stderr, CLI_USAGE);
    SnugError err = { { 0 } };
    if (ram) {
        const SnugStatus status = snug_parse_bytes(ram, &engine.ram_bytes, &err);
        if (status != SNUG_OK) return cli_fail(status, &err);
    }
    return run(&o, &engine, json);
}
