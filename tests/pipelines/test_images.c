/* test_images.c  txt2img, img2img, inpaint against diffusers (tools/oracle/golden_flux_pipelines.py),
 * through the public API: the same pictures, the same bytes under every budget, thread count and
 * instruction set, and what the files say about themselves. */
#include "pipelines/pictures.h"

#include <string.h>
#include <unistd.h>

#include "media/png.h"
#include "media/png_text.h"

enum { STEP_BYTES = 16 << 10 };
static const char DEV[] = "flux_pipelines/dev", FILL[] = "flux_pipelines/fill";

static SnugEngine *open_engine(int threads)
{
    return request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = threads });
}

TEST(images, txt2img_is_what_diffusers_draws)
{
    picture_check_task(DEV, "txt2img", STEP_BYTES);
}

TEST(images, img2img_is_what_diffusers_draws)
{
    picture_check_task(DEV, "img2img", STEP_BYTES);
}

TEST(images, inpaint_is_what_diffusers_draws)
{
    picture_check_task(DEV, "inpaint", STEP_BYTES);
}

TEST(images, fill_is_what_diffusers_draws)
{
    picture_check_task(FILL, "inpaint", STEP_BYTES);
}

/* ---- what the mask leaves ------------------------------------------------------------------- */

enum { SIDE = 48, BORDER = 21 }; /* columns before the border are drawn anew */

static void write_noise(Heap *heap, const char *path)
{
    SnugError err = { { 0 } };
    Image picture = { 0 };
    REQUIRE_OK(image_init(&picture, heap, SIDE, SIDE, 3, &err), &err);
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        picture.pixels[i] = (uint8_t)(i * 2654435761u >> 24);
    REQUIRE_OK(png_write_file(path, heap, &picture, NULL, 0, &err), &err);
    image_release(&picture);
}

static void write_mask(Heap *heap, const char *path)
{
    SnugError err = { { 0 } };
    Image mask = { 0 };
    REQUIRE_OK(image_init(&mask, heap, SIDE, SIDE, 1, &err), &err);
    for (int i = 0; i < SIDE * SIDE; i++)
        mask.pixels[i] = i % SIDE < BORDER ? 255 : 0;
    REQUIRE_OK(png_write_file(path, heap, &mask, NULL, 0, &err), &err);
    image_release(&mask);
}

static void inpaint_noise(const char *keep, const char *to, Heap *heap, Image *out)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine(2);
    SnugJob *job = picture_job(engine, DEV, "inpaint");
    request_option(job, "size", "48x48");
    request_option(job, "batch", "1");
    request_option(job, "image", request_scratch("noise.png"));
    request_option(job, "mask", request_scratch("half.png"));
    request_option(job, "keep-unmasked", keep);
    request_option(job, "output", to);
    REQUIRE_OK(request_run(job, NULL, &err), &err);
    REQUIRE_OK(image_read_file(out, heap, to, 3, NULL, &err), &err);
    snug_job_free(job);
    snug_engine_close(engine);
}

TEST(images, inpaint_can_leave_what_the_mask_leaves)
{
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    Image given = { 0 }, plain = { 0 }, kept = { 0 };
    int changed = 0;
    write_noise(heap, request_scratch("noise.png"));
    write_mask(heap, request_scratch("half.png"));
    REQUIRE_OK(image_read_file(&given, heap, request_scratch("noise.png"), 3, NULL, &err), &err);
    inpaint_noise("false", request_scratch("plain.png"), heap, &plain);
    inpaint_noise("true", request_scratch("kept.png"), heap, &kept);
    for (int i = 0; i < SIDE * SIDE; i++) {
        const Image *from = i % SIDE < BORDER ? &plain : &given;
        CHECK(memcmp(kept.pixels + 3 * i, from->pixels + 3 * i, 3) == 0);
        changed += memcmp(plain.pixels + 3 * i, given.pixels + 3 * i, 3) != 0;
    }
    CHECK(changed > SIDE * SIDE / 2); /* the VAE loses what was there */
    image_release(&given);
    image_release(&plain);
    image_release(&kept);
    heap_free(heap);
}

/* ---- other files, LoRA ---------------------------------------------------------------------- */

static void draw_with(const char *original, const char *lora, const char *to)
{
    SnugError err = { { 0 } };
    char value[600];
    SnugEngine *engine = open_engine(2);
    SnugJob *job = picture_job(engine, DEV, "txt2img");
    if (original) request_option(job, "transformer", picture_file(DEV, original));
    (void)snprintf(value, sizeof value, "%s:0.8", picture_file(DEV, lora ? lora : ""));
    if (lora) request_option(job, "lora", value);
    request_option(job, "output", to);
    REQUIRE_OK(request_run(job, NULL, &err), &err);
    snug_job_free(job);
    snug_engine_close(engine);
}

/* The same rows of the same matrices in the same order: the same bits. */
TEST(images, original_names_draw_the_same)
{
    const char *folder = request_scratch("folder.npy"), *file = request_scratch("file.npy");
    draw_with(NULL, NULL, folder);
    draw_with("original.safetensors", NULL, file);
    request_check_same(folder, file);
}

TEST(images, lora_files_change_whole_and_joined_matrices_alike)
{
    const char *folder = request_scratch("folder.npy"), *file = request_scratch("file.npy");
    draw_with(NULL, "lora.safetensors", request_scratch("lora.png"));
    picture_check_array(DEV, "lora.npy", "lora");
    draw_with(NULL, "lora.safetensors", folder);
    draw_with("original.safetensors", "lora.safetensors", file);
    request_check_same(folder, file);
}

/* ---- what files say ------------------------------------------------------------------------- */

static const char *text_of(Arena *arena, const char *path, const char *key)
{
    SnugError err = { { 0 } };
    const char *text = NULL;
    REQUIRE_OK(png_text_read(arena, path, key, &text, &err), &err);
    if (!text) fail_msg("%s has no text %s", path, key);
    return text;
}

/* A picture made alone from what a file of a batch says. */
static void make_again(SnugEngine *engine, const char *from, const char *to)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    REQUIRE_OK(snug_job_create_from_image(&job, engine, NULL, from, &err), &err);
    request_option(job, "output", to);
    REQUIRE_OK(request_run(job, NULL, &err), &err);
    snug_job_free(job);
}

TEST(images, a_file_says_how_to_make_it_again)
{
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    Arena arena;
    arena_init(&arena, heap, "test");
    SnugEngine *engine = open_engine(1);
    SnugJob *job = picture_job(engine, DEV, "txt2img");
    request_option(job, "prompt", "caf\xc3\xa9, \"red\": a {ball}\nSteps: 3");
    request_option(job, "output", request_scratch("made.png"));
    REQUIRE_OK(request_run(job, NULL, &err), &err);
    snug_job_free(job);
    const char *second = request_scratch("made-0002.png");
    const char *text = text_of(&arena, second, "parameters");
    CHECK_HAS(text,
              "caf\xc3\xa9, \"red\": a {ball}\nSteps: 3\nSteps: 4, Sampler: Euler, "
              "Distilled CFG Scale: 3.5, Seed: 6001, Size: 64x24, Model: dev, Version: snug ");
    CHECK_HAS(text_of(&arena, second, "snug"), "\"pipeline\":\"txt2img\"");
    make_again(engine, second, request_scratch("again.png"));
    request_check_same(second, request_scratch("again.png"));
    snug_engine_close(engine);
    arena_release(&arena);
    heap_free(heap);
}

TEST(images, pictures_go_into_a_folder_with_their_seeds)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine(1);
    SnugJob *job = picture_job(engine, DEV, "txt2img");
    request_option(job, "output", request_scratch("many/"));
    REQUIRE_OK(request_run(job, NULL, &err), &err);
    CHECK(file_type(request_scratch("many/0001-6000.png")) == FILE_REGULAR);
    CHECK(file_type(request_scratch("many/0002-6001.png")) == FILE_REGULAR);
    (void)remove(request_scratch("many/0001-6000.png"));
    (void)remove(request_scratch("many/0002-6001.png"));
    CHECK(rmdir(request_scratch("many")) == 0); /* nothing else is left there */
    snug_job_free(job);
    snug_engine_close(engine);
}

/* ---- refusals ------------------------------------------------------------------------------- */

TEST(images, requests_that_cannot_be_are_refused)
{
    char text_file[512];
    (void)snprintf(text_file, sizeof text_file, "%s", picture_file(DEV, "img2img.json"));
    const PictureRefusal refusals[] = {
        { DEV, "txt2img", "size", "60x24", SNUG_ERR_ARG, "multiples of 8; the nearest is 56x24" },
        { DEV, "txt2img", "steps", "0", SNUG_ERR_ARG, "at least 1" },
        { DEV, "txt2img", "image", "x.png", SNUG_ERR_ARG, "use img2img or inpaint" },
        { DEV, "txt2img", "strength", "0.5", SNUG_ERR_ARG, "txt2img takes no --strength" },
        { DEV, "txt2img", "output", "x.mp4", SNUG_ERR_ARG, "makes pictures" },
        { DEV, "txt2img", "model", "nowhere", SNUG_ERR_FILE, "nowhere" },
        { DEV, "txt2img", "scheduler", "ddim!", SNUG_ERR_ARG, "ddim!" },
        { DEV, "img2img", "strength", "0", SNUG_ERR_ARG, "less than one step" },
        { DEV, "img2img", "image", "nowhere.png", SNUG_ERR_FILE, "nowhere.png" },
        { DEV, "img2img", "mask", "m.png", SNUG_ERR_ARG, "img2img takes no --mask" },
        { DEV, "txt2img", "keep-unmasked", "true", SNUG_ERR_ARG, "takes no --keep-unmasked" },
        { DEV, "inpaint", "mask", text_file, SNUG_ERR_FILE, "img2img.json" },
    };
    picture_check_refusals(refusals, COUNT(refusals));
}

TEST(images, fill_does_not_draw_from_nothing)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    SnugEngine *engine = open_engine(1);
    REQUIRE_OK(snug_job_create(&job, engine, "txt2img", &err), &err);
    request_refused(job, "model", picture_file(FILL, ""), SNUG_ERR_ARG, "is built as FLUX.1 Fill");
    snug_engine_close(engine);
}

TEST(images, pictures_that_tell_nothing_are_refused)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    SnugEngine *engine = open_engine(1);
    CHECK_INT(snug_job_create_from_image(&job, engine, NULL, picture_file(DEV, "mask.png"), &err),
              SNUG_ERR_FILE);
    CHECK_HAS(err.text, "does not say how it was made");
    CHECK(job == NULL);
    CHECK_INT(
        snug_job_create_from_image(&job, engine, NULL, picture_file(DEV, "txt2img.json"), &err),
        SNUG_ERR_FILE);
    CHECK_HAS(err.text, "no PNG file");
    snug_engine_close(engine);
}
