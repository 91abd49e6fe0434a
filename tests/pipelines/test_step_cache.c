/* test_step_cache.c  --step-cache: what is skipped, where it is told, what is refused, and resuming.
 * That its pictures are right under every budget is test_golden.c's. */
#include "pipelines/request.h"

#include "base/size.h"
#include "formats/safetensors_write.h"
#include "engine/engine.h"
#include "pipelines/wan.h"

static SnugEngine *open_engine(void)
{
    SnugEngine *engine = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions options = { .ram_bytes = (size_t)1 << 30, .threads = 2 };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    return engine;
}

static const char *const CASES[] = { "step_cache", "step_cache_experts" };

/* The steps that the oracle skipped, as the plan lists them. */
static void wanted(const char *name, char *to, size_t room)
{
    char path[256];
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    Json skipped;
    (void)snprintf(path, sizeof path, "golden/pipelines/%s/request.json", name);
    REQUIRE_OK(json_open(&doc, heap, test_path(path), &err), &err);
    REQUIRE_OK(json_get_array(json_root(doc), "skipped", &skipped, &err), &err);
    size_t n = (size_t)snprintf(to, room, "\"skipped\":[");
    for (int64_t i = 0; i < json_length(skipped); i++) {
        int64_t step = 0;
        REQUIRE_OK(json_as_int(json_item(skipped, i), 1, 1000, &step, &err), &err);
        n += (size_t)snprintf(to + n, room - n, "%s%lld", i ? "," : "", (long long)step);
    }
    CHECK(json_length(skipped) > 2);
    (void)snprintf(to + n, room - n, "]");
    json_close(doc);
    heap_free(heap);
}

TEST(step_cache, the_plan_knows_the_steps_that_the_oracle_skips)
{
    char want[512];
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        SnugPlan *cached = NULL, *whole = NULL;
        SnugJob *job = request_job(engine, CASES[i]);
        wanted(CASES[i], want, sizeof want);
        REQUIRE_OK(snug_plan_create(&cached, job, &err), &err);
        CHECK_HAS(snug_plan_json(cached), want);
        CHECK_HAS(snug_plan_text(cached), "step cache: teacache:0.6");
        const double flops = snug_plan_figures(cached).flops;
        snug_plan_free(cached);
        request_option(job, "step-cache", "off");
        REQUIRE_OK(snug_plan_create(&whole, job, &err), &err);
        CHECK(strstr(snug_plan_json(whole), "step_cache") == NULL);
        CHECK(flops < snug_plan_figures(whole).flops);
        snug_plan_free(whole);
        snug_job_free(job);
    }
    snug_engine_close(engine);
}

/* The residual of a skipped step lives while no block runs: it costs no memory where branches go
 * together, and one tensor of all tokens where they go in turn. */
TEST(step_cache, its_place_is_in_the_plan)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine();
    SnugJob *job = request_job(engine, "step_cache");
    SnugPlan *cached = NULL, *whole = NULL;
    REQUIRE_OK(snug_plan_create(&cached, job, &err), &err);
    const size_t with = snug_plan_figures(cached).slab_bytes;
    snug_plan_free(cached);
    request_option(job, "step-cache", "off");
    REQUIRE_OK(snug_plan_create(&whole, job, &err), &err);
    const size_t without = snug_plan_figures(whole).slab_bytes;
    snug_plan_free(whole);
    const size_t tokens = 2 * 3 * 2, dim = 24; /* 32x48, 5 frames; SLIM of golden_pipelines.py */
    CHECK(with <= without + 2 * tokens * dim * sizeof(float) + 4096);
    snug_job_free(job);
    snug_engine_close(engine);
}

static void check_refused(SnugJob *job, const char *value, const char *why)
{
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    request_option(job, "step-cache", value);
    CHECK_INT(snug_plan_create(&plan, job, &err), SNUG_ERR_ARG);
    CHECK(plan == NULL);
    CHECK_HAS(err.text, why);
}

TEST(step_cache, what_is_no_step_cache_is_refused)
{
    static const char *const BAD[] = {
        "on",           "teacache:", "teacache:-1", "teacache:x", "teacache:0.1x", "teacache:nan",
        "teacache:1e9", ""
    };
    SnugEngine *engine = open_engine();
    SnugJob *job = request_job(engine, "step_cache");
    for (size_t i = 0; i < COUNT(BAD); i++)
        check_refused(job, BAD[i], "is none of off, teacache, teacache:THRESHOLD");
    snug_job_free(job);
    snug_engine_close(engine);
}

TEST(step_cache, a_model_without_coefficients_is_refused)
{
    static const char *const NAMES[] = { "t2v", "t2v_experts", "ti2v", "i2v", "camera" };
    SnugEngine *engine = open_engine();
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        SnugJob *job = request_job(engine, NAMES[i]);
        check_refused(job, "teacache", "no coefficients are published for this model");
        snug_job_free(job);
    }
    snug_engine_close(engine);
}

/* A LoRA file for the first layer that embeds timesteps: inputs 24, outputs 24, rank 1. */
static const char *write_lora(void)
{
    static const SafetensorsItem ITEMS[] = {
        { .name = "transformer.condition_embedder.time_embedder.linear_1.lora_A.weight",
          .dtype = DT_F32,
          .rank = 2,
          .dim = { 1, 24 } },
        { .name = "transformer.condition_embedder.time_embedder.linear_1.lora_B.weight",
          .dtype = DT_F32,
          .rank = 2,
          .dim = { 24, 1 } }
    };
    static const float VALUES[48] = { 1 };
    const char *path = request_scratch("time.safetensors");
    SafetensorsWriter *writer = NULL;
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    REQUIRE_OK(safetensors_create(&writer, heap, path, ITEMS, 2, NULL, 0, &err), &err);
    REQUIRE_OK(safetensors_append(writer, VALUES, sizeof VALUES, &err), &err);
    REQUIRE_OK(safetensors_commit(writer, &err), &err);
    safetensors_close(writer);
    heap_free(heap);
    return path;
}

TEST(step_cache, a_lora_of_the_time_embedding_is_refused)
{
    SnugEngine *engine = open_engine();
    SnugJob *job = request_job(engine, "step_cache");
    request_option(job, "lora", write_lora());
    check_refused(job, "teacache", "a LoRA file changes condition_embedder.time_embedder.linear_1");
    request_option(job, "step-cache", "off");
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    REQUIRE_OK(snug_plan_create(&plan, job, &err), &err);
    snug_plan_free(plan);
    snug_job_free(job);
    snug_engine_close(engine);
}

TEST(step_cache, every_refused_allocation_while_it_decides_is_reported_and_leaks_nothing)
{
    SnugEngine *engine = open_engine();
    const size_t before = heap_now_bytes(engine->heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        SnugError err = { { 0 } };
        SnugJob *job = request_job(engine, "step_cache");
        heap_fail_at(engine->heap, ++n);
        status = job_prepare(job, &err);
        heap_fail_at(engine->heap, 0);
        CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && err.text[0]));
        snug_job_free(job);
        CHECK_INT(heap_now_bytes(engine->heap), before);
        CHECK(n < 20000);
    }
    snug_engine_close(engine);
}

/* Killed runs are tests/e2e/resume.py's. */
TEST(step_cache, steps_are_counted_from_zero_inside)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine();
    SnugJob *job = request_job(engine, "step_cache");
    SnugPlan *plan = NULL;
    REQUIRE_OK(snug_plan_create(&plan, job, &err), &err);
    const WanJob *wan = job->prepared;
    CHECK(wan_step_skipped(wan, 5) && !wan_step_skipped(wan, 4) && !wan_step_skipped(wan, 6));
    CHECK(!wan_step_skipped(wan, wan->scheduler.n));
    snug_plan_free(plan);
    snug_job_free(job);
    snug_engine_close(engine);
}
