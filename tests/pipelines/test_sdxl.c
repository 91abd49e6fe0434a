/* test_sdxl.c  SDXL against diffusers (tools/oracle/golden_sdxl_pipelines.py) through the public API:
 * the same pictures, the same bytes under budgets, threads and instruction sets, and refusals. */
#include "pipelines/pictures.h"

#include "media/png_text.h"

enum { STEP_BYTES = 64 << 10 };
static const char BASE[] = "sdxl_pipelines/base", CONTROL[] = "sdxl_pipelines/control";

TEST(sdxl, txt2img_is_what_diffusers_draws)
{
    picture_check_task(BASE, "txt2img", STEP_BYTES);
}

TEST(sdxl, img2img_is_what_diffusers_draws)
{
    picture_check_task(BASE, "img2img", STEP_BYTES);
}

TEST(sdxl, a_controlnet_and_an_ancestral_scheduler)
{
    picture_check_task(CONTROL, "txt2img", STEP_BYTES);
}

/* One change of UNet and text encoders, spelt in three ways; without alpha it counts twice. */
TEST(sdxl, lora_in_every_spelling_is_what_diffusers_draws)
{
    static const struct {
        const char *file, *strength;
        bool on_device;
    } ROWS[] = { { "lora_kohya.safetensors", "0.8", false },
                 { "lora_original.safetensors", "0.8", true },
                 { "lora_peft.safetensors", "0.4", false } };
    SnugError err = { { 0 } };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char option[600];
        SnugEngine *engine = request_engine(
            (SnugEngineOptions){ .ram_bytes = GIB,
                                 .threads = 1 + (int)(i % 2),
                                 .vram_bytes = ROWS[i].on_device ? 2 * MIB : 0,
                                 .device = ROWS[i].on_device ? "sim:64MiB,4GB/s" : NULL });
        SnugJob *job = picture_job(engine, BASE, "txt2img");
        (void)snprintf(option, sizeof option, "%s:%s", picture_file(BASE, ROWS[i].file),
                       ROWS[i].strength);
        request_option(job, "lora", option);
        request_option(job, "strict-lora", "true");
        request_option(job, "output", request_scratch("lora.png"));
        REQUIRE_OK(request_run(job, NULL, &err), &err);
        picture_check_array(BASE, "lora.npy", "lora");
        snug_job_free(job);
        snug_engine_close(engine);
    }
}

TEST(sdxl, files_say_how_they_were_made)
{
    SnugError err = { { 0 } };
    const char *text = NULL, *path = request_scratch("said.png");
    Heap *heap = heap_create();
    Arena arena;
    arena_init(&arena, heap, "test");
    CHECK(picture_run(CONTROL, "txt2img", &(PictureWay){ .threads = 1, .output = path }, NULL));
    REQUIRE_OK(png_text_read(&arena, path, "parameters", &text, &err), &err);
    CHECK_HAS(text, "Steps: 4, Sampler: Euler a, CFG scale: 3, Seed: 6300, Size: 40x64");
    arena_release(&arena);
    heap_free(heap);
}

/* ---- refusals ------------------------------------------------------------------------------- */

TEST(sdxl, requests_that_cannot_be_are_refused)
{
    char vae[512], other[512], picture[512];
    (void)snprintf(vae, sizeof vae, "%s", picture_file(BASE, "vae"));
    (void)snprintf(other, sizeof other, "%s", test_path("golden/controlnet/base"));
    (void)snprintf(picture, sizeof picture, "%s", picture_file(CONTROL, "control.png"));
    const PictureRefusal refusals[] = {
        { BASE, "txt2img", "size", "62x24", SNUG_ERR_ARG, "multiples of 4" },
        { BASE, "txt2img", "scheduler", "unipc", SNUG_ERR_ARG, "euler, euler-a, ddim, dpm++" },
        { BASE, "txt2img", "scheduler", "ddim-karras", SNUG_ERR_ARG, "only euler and dpm++" },
        { BASE, "img2img", "strength", "0.2", SNUG_ERR_ARG, "less than one step" },
        { BASE, "txt2img", "controlnet", vae, SNUG_ERR_ARG, "needs --control-image" },
        { BASE, "txt2img", "control-image", picture, SNUG_ERR_FILE, "no controlnet" },
        { CONTROL, "txt2img", "controlnet", vae, SNUG_ERR_FILE, "" },
        { CONTROL, "txt2img", "controlnet", other, SNUG_ERR_FILE, "was not made for the UNet" },
        { CONTROL, "txt2img", "control-start", "0.9", SNUG_ERR_ARG, "not before --control-end" },
        { CONTROL, "txt2img", "control-image", "nowhere.png", SNUG_ERR_FILE, "nowhere.png" },
    };
    picture_check_refusals(refusals, COUNT(refusals));
}

TEST(sdxl, does_not_inpaint_and_says_so)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    SnugEngine *engine = request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 1 });
    REQUIRE_OK(snug_job_create(&job, engine, "inpaint", &err), &err);
    request_option(job, "model", picture_file(BASE, ""));
    request_option(job, "image", picture_file(BASE, "picture.png"));
    request_refused(job, "mask", picture_file(BASE, "picture.png"), SNUG_ERR_ARG,
                    "is an SDXL model");
    snug_engine_close(engine);
}
