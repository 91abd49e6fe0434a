/* test_images.c  txt2img, img2img, inpaint against diffusers (tools/oracle/golden_flux_pipelines.py),
 * through the public API: the same pictures, the same bytes under every budget, thread count and
 * instruction set, and what the files say about themselves. */
#include "pipelines/request.h"

#include <unistd.h>

#include "base/size.h"
#include "formats/npy.h"
#include "media/image_read.h"
#include "media/png_text.h"

enum { GIB = 1 << 30 };

static SnugEngine *open_engine(int threads)
{
    SnugEngine *engine = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions options = { .ram_bytes = GIB, .threads = threads };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    return engine;
}

static const char *below(const char *model, const char *name)
{
    static char path[4][512];
    static int next;
    char *at = path[next++ & 3], part[256];
    (void)snprintf(part, sizeof part, "golden/flux_pipelines/%s%s%s", model, name[0] ? "/" : "",
                   name);
    (void)snprintf(at, sizeof path[0], "%s", test_path(part));
    return at;
}

/* Values of request.json as options: numbers and texts alike. */
static void set_values(SnugJob *job, Json root)
{
    static const char *const NUMBERS[][2] = {
        { "steps", "steps" },       { "guidance", "guidance" }, { "true_cfg", "true-cfg" },
        { "strength", "strength" }, { "batch", "batch" },       { "max_tokens", "max-tokens" },
        { "seed", "seed" }
    };
    static const char *const TEXTS[][2] = { { "prompt", "prompt" },
                                            { "prompt_2", "prompt-2" },
                                            { "negative", "negative" } };
    const bool still = strcmp(snug_job_pipeline(job), "txt2img") == 0;
    char text[64];
    double value, width, height;
    for (size_t i = 0; i < COUNT(NUMBERS); i++) {
        if (still && strcmp(NUMBERS[i][0], "strength") == 0) continue;
        CHECK(json_f64(root, NUMBERS[i][0], 0, -1e18, 1e18, &value, NULL) == SNUG_OK);
        (void)snprintf(text, sizeof text, "%.10g", value);
        request_option(job, NUMBERS[i][1], text);
    }
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        const char *words = NULL;
        CHECK(json_text(root, TEXTS[i][0], NULL, &words, NULL) == SNUG_OK);
        if (words) request_option(job, TEXTS[i][1], words);
    }
    CHECK(json_f64(root, "width", 0, 1, 1e6, &width, NULL) == SNUG_OK);
    CHECK(json_f64(root, "height", 0, 1, 1e6, &height, NULL) == SNUG_OK);
    (void)snprintf(text, sizeof text, "%.0fx%.0f", width, height);
    request_option(job, "size", text);
}

static SnugJob *golden_job(SnugEngine *engine, const char *model, const char *task)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    char name[64];
    (void)snprintf(name, sizeof name, "%s.json", task);
    REQUIRE_OK(snug_job_create(&job, engine, task, &err), &err);
    REQUIRE_OK(json_open(&doc, heap, below(model, name), &err), &err);
    request_option(job, "model", below(model, ""));
    set_values(job, json_root(doc));
    if (strcmp(task, "txt2img") != 0) request_option(job, "image", below(model, "picture.png"));
    if (strcmp(task, "inpaint") == 0) request_option(job, "mask", below(model, "mask.png"));
    json_close(doc);
    heap_free(heap);
    return job;
}

static SnugStatus plan_and_run(SnugJob *job, SnugFigures *figures, SnugError *err)
{
    SnugPlan *plan = NULL;
    SnugStatus status = snug_plan_create(&plan, job, err);
    if (status == SNUG_OK) {
        if (figures) *figures = snug_plan_figures(plan);
        status = snug_run(job, plan, NULL, NULL, err);
        CHECK_INT(snug_job_figures(job).slab_peak_bytes, snug_plan_figures(plan).slab_bytes);
    }
    snug_plan_free(plan);
    return status;
}

/* ---- pictures ------------------------------------------------------------------------------- */

/* Bytes that differ from the reference's. Rounding to bytes hides f32's noise but where a value lies
 * within it of a half: with noise below 1e-5 * 255 of a byte, twice that part of the values. */
static void check_bytes(const uint8_t *got, const float *want, int64_t n)
{
    int64_t off = 0;
    for (int64_t i = 0; i < n; i++) {
        const int d = abs(got[i] - (int)want[i]);
        CHECK(d <= 1);
        off += d;
    }
    CHECK(off * 1000 <= n);
}

static const char *numbered(const char *stem, int k, int n)
{
    static char name[96];
    if (n == 1)
        (void)snprintf(name, sizeof name, "%.60s.png", stem);
    else
        (void)snprintf(name, sizeof name, "%.60s-%04d.png", stem, k + 1);
    return request_scratch(name);
}

static void check_array(const char *model, const char *array, const char *stem)
{
    Heap *heap = heap_create();
    Arena arena;
    NpyArray want;
    SnugError err = { { 0 } };
    arena_init(&arena, heap, "test");
    REQUIRE_OK(npy_read_f32(&arena, below(model, array), &want, &err), &err);
    const int n = (int)want.dim[0];
    const int64_t bytes = want.count / n;
    for (int k = 0; k < n; k++) {
        Image image = { 0 };
        REQUIRE_OK(image_read_file(&image, heap, numbered(stem, k, n), 3, NULL, &err), &err);
        CHECK_INT(image.height, want.dim[1]);
        CHECK_INT(image.width, want.dim[2]);
        check_bytes(image.pixels, want.f32 + k * bytes, bytes);
        image_release(&image);
    }
    arena_release(&arena);
    heap_free(heap);
}

static void check_same_file(const char *a, const char *b)
{
    size_t n, m;
    char *x = request_bytes(a, &n), *y = request_bytes(b, &m);
    CHECK_INT(n, m);
    CHECK(memcmp(x, y, n) == 0);
    free(x);
    free(y);
}

/* One way to run a request. */
typedef struct Way {
    const char *isa, *device;
    int threads;
    size_t vram_bytes;
} Way;

/* All pictures as one array; false: the budget is refused. */
static bool run_array(const char *model, const char *task, const Way *way, const char *array,
                      SnugFigures *figures)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = NULL;
    const SnugEngineOptions options = { .ram_bytes = GIB,
                                        .vram_bytes = way->vram_bytes,
                                        .threads = way->threads,
                                        .isa = way->isa,
                                        .device = way->device };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    SnugJob *job = golden_job(engine, model, task);
    request_option(job, "output", array);
    const SnugStatus status = plan_and_run(job, figures, &err);
    if (status != SNUG_OK && status != SNUG_ERR_BUDGET) fail_msg("%s", err.text);
    snug_job_free(job);
    snug_engine_close(engine);
    return status == SNUG_OK;
}

/* A device's memory holds nothing else: the smallest budget is exact, and weights stream under it. */
static void check_budgets(const char *model, const char *task, const char *base)
{
    const char *other = request_scratch("other.npy");
    SnugFigures ample, figures, least;
    Way way = { .threads = 2, .device = "sim:64MiB,4GB/s" };
    CHECK(run_array(model, task, &way, other, &ample));
    check_same_file(base, other);
    least = ample;
    size_t refused = 0, enough = ample.slab_bytes;
    while (enough - refused > (16 << 10)) {
        way.vram_bytes = refused + (enough - refused) / 2;
        if (run_array(model, task, &way, other, &figures)) {
            enough = way.vram_bytes;
            least = figures;
            check_same_file(base, other);
        } else
            refused = way.vram_bytes;
    }
    CHECK(least.slab_bytes < ample.slab_bytes);
    CHECK(least.moved_bytes >= ample.moved_bytes);
}

static void check_isas(const char *model, const char *task, const char *base)
{
    static const char *const ISAS[] = { "ref", "avx2", "avx512", "neon" };
    const char *other = request_scratch("other.npy");
    for (size_t i = 0; i < COUNT(ISAS); i++) {
        SnugEngine *engine = NULL;
        const SnugEngineOptions options = { .ram_bytes = GIB, .threads = 1, .isa = ISAS[i] };
        const bool runs = snug_engine_open(&engine, &options, NULL) == SNUG_OK;
        snug_engine_close(engine);
        if (!runs) continue;
        const Way way = { .isa = ISAS[i], .threads = 1 + (int)(i % 2) };
        CHECK(run_array(model, task, &way, other, NULL));
        check_same_file(base, other);
    }
}

static void check_task(const char *model, const char *task)
{
    SnugError err = { { 0 } };
    const Way ample = { .threads = 2 };
    SnugEngine *engine = open_engine(2);
    SnugJob *job = golden_job(engine, model, task);
    char stem[64];
    (void)snprintf(stem, sizeof stem, "%s-%s", model, task);
    char name[80];
    (void)snprintf(name, sizeof name, "%s.png", stem);
    request_option(job, "output", request_scratch(name));
    REQUIRE_OK(plan_and_run(job, NULL, &err), &err);
    snug_job_free(job);
    snug_engine_close(engine);
    (void)snprintf(name, sizeof name, "%s.npy", task);
    check_array(model, name, stem);
    const char *base = request_scratch("base.npy");
    CHECK(run_array(model, task, &ample, base, NULL));
    check_budgets(model, task, base);
    check_isas(model, task, base);
}

TEST(images, txt2img_is_what_diffusers_draws)
{
    check_task("dev", "txt2img");
}

TEST(images, img2img_is_what_diffusers_draws)
{
    check_task("dev", "img2img");
}

TEST(images, inpaint_is_what_diffusers_draws)
{
    check_task("dev", "inpaint");
}

TEST(images, fill_is_what_diffusers_draws)
{
    check_task("fill", "inpaint");
}

/* ---- other files, LoRA ---------------------------------------------------------------------- */

static void draw_with(const char *original, const char *lora, const char *to)
{
    SnugError err = { { 0 } };
    char value[600];
    SnugEngine *engine = open_engine(2);
    SnugJob *job = golden_job(engine, "dev", "txt2img");
    if (original) request_option(job, "transformer", below("dev", original));
    (void)snprintf(value, sizeof value, "%s:0.8", below("dev", lora ? lora : ""));
    if (lora) request_option(job, "lora", value);
    request_option(job, "output", to);
    REQUIRE_OK(plan_and_run(job, NULL, &err), &err);
    snug_job_free(job);
    snug_engine_close(engine);
}

/* The same rows of the same matrices in the same order: the same bits. */
TEST(images, original_names_draw_the_same)
{
    const char *folder = request_scratch("folder.npy"), *file = request_scratch("file.npy");
    draw_with(NULL, NULL, folder);
    draw_with("original.safetensors", NULL, file);
    check_same_file(folder, file);
}

TEST(images, lora_files_change_whole_and_joined_matrices_alike)
{
    const char *folder = request_scratch("folder.npy"), *file = request_scratch("file.npy");
    draw_with(NULL, "lora.safetensors", request_scratch("lora.png"));
    check_array("dev", "lora.npy", "lora");
    draw_with(NULL, "lora.safetensors", folder);
    draw_with("original.safetensors", "lora.safetensors", file);
    check_same_file(folder, file);
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
    REQUIRE_OK(plan_and_run(job, NULL, &err), &err);
    snug_job_free(job);
}

TEST(images, a_file_says_how_to_make_it_again)
{
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    Arena arena;
    arena_init(&arena, heap, "test");
    SnugEngine *engine = open_engine(1);
    SnugJob *job = golden_job(engine, "dev", "txt2img");
    request_option(job, "prompt", "caf\xc3\xa9, \"red\": a {ball}\nSteps: 3");
    request_option(job, "output", request_scratch("made.png"));
    REQUIRE_OK(plan_and_run(job, NULL, &err), &err);
    snug_job_free(job);
    const char *second = request_scratch("made-0002.png");
    const char *text = text_of(&arena, second, "parameters");
    CHECK_HAS(text,
              "caf\xc3\xa9, \"red\": a {ball}\nSteps: 3\nSteps: 4, Sampler: Euler, "
              "Distilled CFG Scale: 3.5, Seed: 6001, Size: 64x24, Model: dev, Version: snug ");
    CHECK_HAS(text_of(&arena, second, "snug"), "\"pipeline\":\"txt2img\"");
    make_again(engine, second, request_scratch("again.png"));
    check_same_file(second, request_scratch("again.png"));
    snug_engine_close(engine);
    arena_release(&arena);
    heap_free(heap);
}

TEST(images, pictures_go_into_a_folder_with_their_seeds)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine(1);
    SnugJob *job = golden_job(engine, "dev", "txt2img");
    request_option(job, "output", request_scratch("many/"));
    REQUIRE_OK(plan_and_run(job, NULL, &err), &err);
    CHECK(file_type(request_scratch("many/0001-6000.png")) == FILE_REGULAR);
    CHECK(file_type(request_scratch("many/0002-6001.png")) == FILE_REGULAR);
    (void)remove(request_scratch("many/0001-6000.png"));
    (void)remove(request_scratch("many/0002-6001.png"));
    CHECK(rmdir(request_scratch("many")) == 0); /* nothing else is left there */
    snug_job_free(job);
    snug_engine_close(engine);
}

/* ---- refusals ------------------------------------------------------------------------------- */

typedef struct Refusal {
    const char *model, *task, *option, *value;
    SnugStatus status;
    const char *says;
} Refusal;

static void refuse(SnugEngine *engine, const Refusal *f)
{
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    SnugJob *job = golden_job(engine, f->model, f->task);
    request_option(job, f->option, f->value);
    const SnugStatus status = snug_plan_create(&plan, job, &err);
    if (status != f->status) fail_msg("--%s %s: %s", f->option, f->value, err.text);
    CHECK_HAS(err.text, f->says);
    CHECK(plan == NULL);
    snug_job_free(job);
}

TEST(images, requests_that_cannot_be_are_refused)
{
    char text_file[512];
    (void)snprintf(text_file, sizeof text_file, "%s", below("dev", "img2img.json"));
    const Refusal refusals[] = {
        { "dev", "txt2img", "size", "60x24", SNUG_ERR_ARG, "multiples of 8; the nearest is 56x24" },
        { "dev", "txt2img", "steps", "0", SNUG_ERR_ARG, "at least 1" },
        { "dev", "txt2img", "image", "x.png", SNUG_ERR_ARG, "use img2img or inpaint" },
        { "dev", "txt2img", "strength", "0.5", SNUG_ERR_ARG, "txt2img takes no --strength" },
        { "dev", "txt2img", "output", "x.mp4", SNUG_ERR_ARG, "makes pictures" },
        { "dev", "txt2img", "model", "nowhere", SNUG_ERR_FILE, "nowhere" },
        { "dev", "txt2img", "scheduler", "ddim!", SNUG_ERR_ARG, "ddim!" },
        { "dev", "img2img", "strength", "0", SNUG_ERR_ARG, "less than one step" },
        { "dev", "img2img", "image", "nowhere.png", SNUG_ERR_FILE, "nowhere.png" },
        { "dev", "img2img", "mask", "m.png", SNUG_ERR_ARG, "img2img takes no --mask" },
        { "dev", "inpaint", "mask", text_file, SNUG_ERR_FILE, "img2img.json" },
    };
    SnugEngine *engine = open_engine(1);
    for (size_t i = 0; i < COUNT(refusals); i++)
        refuse(engine, &refusals[i]);
    snug_engine_close(engine);
}

TEST(images, fill_does_not_draw_from_nothing)
{
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    SnugJob *job = NULL;
    SnugEngine *engine = open_engine(1);
    REQUIRE_OK(snug_job_create(&job, engine, "txt2img", &err), &err);
    request_option(job, "model", below("fill", ""));
    CHECK_INT(snug_plan_create(&plan, job, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "is built as FLUX.1 Fill");
    snug_job_free(job);
    snug_engine_close(engine);
}

TEST(images, pictures_that_tell_nothing_are_refused)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    SnugEngine *engine = open_engine(1);
    CHECK_INT(snug_job_create_from_image(&job, engine, NULL, below("dev", "mask.png"), &err),
              SNUG_ERR_FILE);
    CHECK_HAS(err.text, "does not say how it was made");
    CHECK(job == NULL);
    CHECK_INT(snug_job_create_from_image(&job, engine, NULL, below("dev", "txt2img.json"), &err),
              SNUG_ERR_FILE);
    CHECK_HAS(err.text, "no PNG file");
    snug_engine_close(engine);
}
