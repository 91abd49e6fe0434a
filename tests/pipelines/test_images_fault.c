/* test_images_fault.c  Every refused allocation while pictures are planned and drawn: the right status,
 * no leak, no file under its final name. */
#include "pipelines/pictures.h"
#include "pipelines/sweep.h"

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
    REQUIRE_OK(snug_job_create(&job, engine, "inpaint", &err), &err);
    for (size_t i = 0; i < COUNT(FILES); i++)
        request_option(job, FILES[i][0], picture_file("flux_pipelines/dev", FILES[i][1]));
    for (size_t i = 0; i < COUNT(VALUES); i++)
        request_option(job, VALUES[i][0], VALUES[i][1]);
    request_option(job, "output", request_scratch("pictures.png"));
    return job;
}

static SnugEngine *open_engine(void)
{
    return request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 1 });
}

/* Both or none: after the last of them only the report is missed. */
static void check_outputs(SnugStatus status)
{
    (void)status;
    CHECK_INT(remove(request_scratch("pictures-0001.png")),
              remove(request_scratch("pictures-0002.png")));
}

TEST(images_fault, every_refused_allocation_is_reported_and_leaks_nothing)
{
    SnugEngine *engine = open_engine();
    sweep_allocations(engine, inpaint_job, check_outputs);
    snug_engine_close(engine);
}

TEST(images_fault, a_refused_allocation_while_a_picture_tells_its_job)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine();
    SnugJob *job = inpaint_job(engine);
    REQUIRE_OK(request_try(job, &err), &err);
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
