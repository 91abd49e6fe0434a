/* test_images_fault.c  Every refused allocation while pictures are planned and drawn: the right status,
 * no leak, no file under its final name. */
#include "pipelines/request.h"

#include <unistd.h>

#include "base/heap.h"
#include "engine/engine.h"

enum { MAX_FAULTS = 20000 };

/* Every kind of file a request can name: one with joined matrices, LoRA, picture, mask. */
static SnugJob *inpaint_job(SnugEngine *engine)
{
    static const char *const FILES[][2] = { { "model", "" },
                                            { "transformer", "original.safetensors" },
                                            { "lora", "lora.safetensors" },
                                            { "image", "picture.png" },
                                            { "mask", "mask.png" } };
    static const char *const VALUES[][2] = {
        { "prompt", "a red ball" }, { "negative", "blue" }, { "true-cfg", "2" }, { "steps", "2" },
        { "size", "16x16" },        { "max-tokens", "8" },  { "batch", "2" }
    };
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    char path[700], part[128];
    REQUIRE_OK(snug_job_create(&job, engine, "inpaint", &err), &err);
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        (void)snprintf(part, sizeof part, "golden/flux_pipelines/dev/%s", FILES[i][1]);
        (void)snprintf(path, sizeof path, "%s", test_path(part));
        request_option(job, FILES[i][0], path);
    }
    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++)
        request_option(job, VALUES[i][0], VALUES[i][1]);
    request_option(job, "output", request_scratch("pictures.png"));
    return job;
}

static SnugStatus plan_and_run(SnugJob *job, SnugError *err)
{
    SnugPlan *plan = NULL;
    SnugStatus status = snug_plan_create(&plan, job, err);
    if (status == SNUG_OK) status = snug_run(job, plan, NULL, NULL, err);
    snug_plan_free(plan);
    return status;
}

static SnugEngine *open_engine(void)
{
    SnugEngine *engine = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions options = { .ram_bytes = 1u << 30, .threads = 1 };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    return engine;
}

TEST(images_fault, every_refused_allocation_is_reported_and_leaks_nothing)
{
    SnugEngine *engine = open_engine();
    const size_t before = heap_now_bytes(engine->heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        SnugError err = { { 0 } };
        CHECK(++n < MAX_FAULTS);
        SnugJob *job = inpaint_job(engine);
        heap_fail_at(engine->heap, n);
        status = plan_and_run(job, &err);
        heap_fail_at(engine->heap, 0);
        if (status != SNUG_OK && status != SNUG_ERR_MEMORY)
            fail_msg("allocation %d: %d: %s", n, status, err.text);
        CHECK(status == SNUG_OK || err.text[0]);
        snug_job_free(job);
        if (heap_now_bytes(engine->heap) != before)
            fail_msg("allocation %d: something is leaked", n);
        /* both or none: after the last of them only the report is missed */
        CHECK_INT(remove(request_scratch("pictures-0001.png")),
                  remove(request_scratch("pictures-0002.png")));
    }
    print_message("%d allocations\n", n - 1);
    CHECK(n > 100);
    snug_engine_close(engine);
}

TEST(images_fault, a_refused_allocation_while_a_picture_tells_its_job)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine();
    SnugJob *job = inpaint_job(engine);
    REQUIRE_OK(plan_and_run(job, &err), &err);
    snug_job_free(job);
    const size_t before = heap_now_bytes(engine->heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        job = NULL;
        heap_fail_at(engine->heap, n);
        status = snug_job_create_from_image(&job, engine, NULL,
                                            request_scratch("pictures-0002.png"), &err);
        heap_fail_at(engine->heap, 0);
        if (status != SNUG_OK && status != SNUG_ERR_MEMORY)
            fail_msg("allocation %d: %d: %s", n, status, err.text);
        CHECK((job != NULL) == (status == SNUG_OK));
        snug_job_free(job);
        CHECK_INT(heap_now_bytes(engine->heap), before);
    }
    snug_engine_close(engine);
}
