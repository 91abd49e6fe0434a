/* test_dtype.c  --dtype int8 and bf16: another result, near to f32, the same under every plan, and told. */
#include "pipelines/request.h"

#include <math.h>

#include "base/size.h"
#include "engine/engine.h"
#include "formats/npy.h"

typedef struct Way {
    const char *isa, *device, *memory_mode, *dtype;
    int threads;
} Way;

static void run(const char *name, const Way *way, const char *frames)
{
    SnugEngine *engine = NULL;
    SnugPlan *plan = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions options = { .ram_bytes = (size_t)1 << 30,
                                        .threads = way->threads,
                                        .isa = way->isa,
                                        .device = way->device };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    SnugJob *job = request_job(engine, name);
    request_option(job, "dtype", way->dtype);
    if (way->memory_mode) request_option(job, "memory-mode", way->memory_mode);
    request_option(job, "output", frames);
    REQUIRE_OK(snug_plan_create(&plan, job, &err), &err);
    char words[64];
    const char *text = snug_plan_text(plan);
    (void)snprintf(words, sizeof words, "large transformer layers in %s\n", way->dtype);
    CHECK_INT(strstr(text, words) != NULL, strcmp(way->dtype, "f32") != 0);
    CHECK_INT(strstr(text, "large transformer layers in") != NULL, strcmp(way->dtype, "f32") != 0);
    (void)snprintf(words, sizeof words, "\"dtype\":\"%s\"", way->dtype);
    CHECK_HAS(snug_plan_json(plan), words);
    REQUIRE_OK(snug_run(job, plan, NULL, NULL, &err), &err);
    CHECK_INT(snug_job_figures(job).slab_peak_bytes, snug_plan_figures(plan).slab_bytes);
    snug_plan_free(plan);
    snug_job_free(job);
    snug_engine_close(engine);
}

static double difference(const char *a_path, const char *b_path)
{
    Heap *heap = heap_create();
    Arena arena;
    NpyArray a, b;
    SnugError err = { { 0 } };
    double sum = 0;
    arena_init(&arena, heap, "test");
    REQUIRE_OK(npy_read_f32(&arena, a_path, &a, &err), &err);
    REQUIRE_OK(npy_read_f32(&arena, b_path, &b, &err), &err);
    CHECK_INT(a.count, b.count);
    for (int64_t i = 0; i < a.count; i++) {
        const double d = (double)a.f32[i] - (double)b.f32[i];
        sum += d * d;
    }
    const double rms = sqrt(sum / (double)a.count);
    arena_release(&arena);
    heap_free(heap);
    return rms;
}

static const char *const NAMES[] = { "t2v", "ti2v_image", "camera" };

/* Frames of every request in `dtype`: near those in f32, and the same on all ways. */
static void check_near_and_same(const char *dtype, double most_rms, const Way *ways, size_t n_ways)
{
    const char *plain = request_scratch("plain.npy"), *base = request_scratch("base.npy"),
               *other = request_scratch("other.npy");
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        run(NAMES[i], &(Way){ .dtype = "f32", .threads = 2 }, plain);
        run(NAMES[i], &(Way){ .dtype = dtype, .threads = 2 }, base);
        const double rms = difference(plain, base);
        print_message("%s in %s: rms %.5f\n", NAMES[i], dtype, rms);
        CHECK(rms > 0 && rms < most_rms);
        for (size_t w = 0; w < n_ways; w++) {
            run(NAMES[i], &ways[w], other);
            CHECK(request_same(base, other));
        }
    }
}

/* Networks that were never trained, a few rows wide, amplify what differs: 0.02 of a range of 1 is what
 * roundings of 1e-2 in every layer may do over two blocks and four steps; 0 would mean int8 was not used. */
TEST(dtype, frames_in_int8_are_near_those_in_f32_and_the_same_on_every_way)
{
    static const Way WAYS[] = { { .dtype = "int8", .threads = 1 },
                                { .dtype = "int8", .threads = 2, .isa = "ref" },
                                { .dtype = "int8", .threads = 2, .memory_mode = "lightweight" },
                                { .dtype = "int8", .threads = 1, .device = "sim:64MiB,4GB/s" } };
    check_near_and_same("int8", 0.02, WAYS, COUNT(WAYS));
}

/* Roundings of 2e-3, a fifth of those to bytes. The instruction set is left alone: only those without
 * AVX-512-BF16 promise the same bits. */
TEST(dtype, frames_in_bf16_are_near_those_in_f32_and_the_same_on_every_way)
{
    static const Way WAYS[] = { { .dtype = "bf16", .threads = 1 },
                                { .dtype = "bf16", .threads = 2, .memory_mode = "lightweight" },
                                { .dtype = "bf16", .threads = 1, .device = "sim:64MiB,4GB/s" },
                                { .dtype = "bf16", .threads = 2, .isa = "ref" } };
    const bool own = isa_covers(isa_detect(), ISA_BF16);
    check_near_and_same("bf16", 0.004, WAYS, COUNT(WAYS) - (own ? 1 : 0));
}

TEST(dtype, pipelines_without_such_layers_refuse_it)
{
    static const char *const DTYPES[] = { "int8", "bf16" };
    SnugEngine *engine = request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 1 });
    for (size_t i = 0; i < COUNT(DTYPES); i++) {
        SnugJob *job = NULL;
        SnugPlan *plan = NULL;
        SnugError err = { { 0 } };
        REQUIRE_OK(snug_job_create(&job, engine, "txt2img", &err), &err);
        request_option(job, "model", test_path("golden/sdxl_pipelines/base"));
        request_option(job, "size", "64x64");
        request_option(job, "prompt", "a red ball");
        request_option(job, "dtype", DTYPES[i]);
        CHECK_INT(snug_plan_create(&plan, job, &err), SNUG_ERR_ARG);
        CHECK_HAS(err.text, "it is for the transformers of the Wan and FLUX");
        CHECK_HAS(err.text, DTYPES[i]);
        snug_job_free(job);
    }
    snug_engine_close(engine);
}
