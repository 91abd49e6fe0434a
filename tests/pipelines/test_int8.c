/* test_int8.c  --dtype int8: another result, near to f32, the same under every plan, and told. */
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
    const bool told = strstr(snug_plan_text(plan), "large transformer layers in int8") != NULL;
    CHECK_INT(told, strcmp(way->dtype, "int8") == 0);
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

/* Networks that were never trained, a few rows wide, amplify what differs: 0.02 of a range of 1 is what
 * roundings of 1e-2 in every layer may do over two blocks and four steps; 0 would mean int8 was not used. */
TEST(int8, frames_are_near_those_in_f32_and_the_same_on_every_way)
{
    static const char *const NAMES[] = { "t2v", "ti2v_image", "camera" };
    static const Way WAYS[] = { { .dtype = "int8", .threads = 1 },
                                { .dtype = "int8", .threads = 2, .isa = "ref" },
                                { .dtype = "int8", .threads = 2, .memory_mode = "lightweight" },
                                { .dtype = "int8", .threads = 1, .device = "sim:64MiB,4GB/s" } };
    const char *plain = request_scratch("plain.npy"), *base = request_scratch("int8.npy"),
               *other = request_scratch("other.npy");
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        run(NAMES[i], &(Way){ .dtype = "f32", .threads = 2 }, plain);
        run(NAMES[i], &(Way){ .dtype = "int8", .threads = 2 }, base);
        const double rms = difference(plain, base);
        print_message("%s: rms %.5f\n", NAMES[i], rms);
        CHECK(rms > 0 && rms < 0.02);
        for (size_t w = 0; w < COUNT(WAYS); w++) {
            run(NAMES[i], &WAYS[w], other);
            CHECK(request_same(base, other));
        }
    }
}

TEST(int8, pipelines_without_such_layers_refuse_it)
{
    SnugEngine *engine = NULL;
    SnugJob *job = NULL;
    SnugPlan *plan = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions options = { .ram_bytes = (size_t)1 << 30, .threads = 1 };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    REQUIRE_OK(snug_job_create(&job, engine, "txt2img", &err), &err);
    request_option(job, "model", test_path("golden/sdxl_pipelines/base"));
    request_option(job, "size", "64x64");
    request_option(job, "prompt", "a red ball");
    request_option(job, "dtype", "int8");
    CHECK_INT(snug_plan_create(&plan, job, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "--dtype int8");
    snug_job_free(job);
    snug_engine_close(engine);
}
