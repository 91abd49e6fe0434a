/* test_sdxl.c  SDXL against diffusers (tools/oracle/golden_sdxl_pipelines.py) through the public API:
 * the same pictures, the same bytes under budgets, threads and instruction sets, and refusals. */
#include "pipelines/request.h"

#include "base/size.h"
#include "formats/npy.h"
#include "media/image_read.h"
#include "media/png_text.h"

enum { GIB = 1 << 30 };

static const char *below(const char *model, const char *name)
{
    static char path[4][512];
    static int next;
    char *at = path[next++ & 3], part[256];
    (void)snprintf(part, sizeof part, "golden/sdxl_pipelines/%s%s%s", model, name[0] ? "/" : "",
                   name);
    (void)snprintf(at, sizeof path[0], "%s", test_path(part));
    return at;
}

static void set_values(SnugJob *job, Json root)
{
    static const char *const NUMBERS[][2] = {
        { "steps", "steps" },
        { "guidance", "guidance" },
        { "strength", "strength" },
        { "batch", "batch" },
        { "seed", "seed" },
        { "eta", "eta" },
        { "control_scale", "control-scale" },
        { "control_start", "control-start" },
        { "control_end", "control-end" },
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
    if (strcmp(model, "control") == 0)
        request_option(job, "control-image", below(model, "control.png"));
    json_close(doc);
    heap_free(heap);
    return job;
}

/** One way to run a request. */
typedef struct Way {
    const char *isa, *device, *output;
    int threads;
    size_t vram_bytes;
} Way;

/* false: the budget is refused. */
static bool run(const char *model, const char *task, const Way *way, SnugFigures *figures)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = NULL;
    SnugPlan *plan = NULL;
    const SnugEngineOptions options = { .ram_bytes = GIB,
                                        .vram_bytes = way->vram_bytes,
                                        .threads = way->threads,
                                        .isa = way->isa,
                                        .device = way->device };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    SnugJob *job = golden_job(engine, model, task);
    request_option(job, "output", way->output);
    SnugStatus status = snug_plan_create(&plan, job, &err);
    if (status == SNUG_OK) {
        *figures = snug_plan_figures(plan);
        status = snug_run(job, plan, NULL, NULL, &err);
        CHECK_INT(snug_job_figures(job).slab_peak_bytes, figures->slab_bytes);
    }
    if (status != SNUG_OK && status != SNUG_ERR_BUDGET) fail_msg("%s", err.text);
    snug_plan_free(plan);
    snug_job_free(job);
    snug_engine_close(engine);
    return status == SNUG_OK;
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

static const char *numbered(const char *stem, int k, int n)
{
    static char name[96];
    if (n == 1)
        (void)snprintf(name, sizeof name, "%.60s.png", stem);
    else
        (void)snprintf(name, sizeof name, "%.60s-%04d.png", stem, k + 1);
    return request_scratch(name);
}

/* Rounding to bytes hides f32's noise but where a value lies within it of a half: with noise below
 * 1e-5 * 255 of a byte, twice that part of the values. */
static void check_pictures(const char *model, const char *task, const char *stem)
{
    Heap *heap = heap_create();
    Arena arena;
    NpyArray want;
    SnugError err = { { 0 } };
    char name[64];
    arena_init(&arena, heap, "test");
    (void)snprintf(name, sizeof name, "%s.npy", task);
    REQUIRE_OK(npy_read_f32(&arena, below(model, name), &want, &err), &err);
    const int n = (int)want.dim[0];
    const int64_t bytes = want.count / n;
    int64_t off = 0;
    for (int k = 0; k < n; k++) {
        Image image = { 0 };
        REQUIRE_OK(image_read_file(&image, heap, numbered(stem, k, n), 3, NULL, &err), &err);
        CHECK(image.height == want.dim[1] && image.width == want.dim[2]);
        for (int64_t i = 0; i < bytes; i++) {
            const int d = abs(image.pixels[i] - (int)want.f32[k * bytes + i]);
            CHECK(d <= 1);
            off += d;
        }
        image_release(&image);
    }
    CHECK(off * 1000 <= want.count);
    arena_release(&arena);
    heap_free(heap);
}

/* The same bytes where weights stream, and by plain kernels on one thread. */
static void check_ways(const char *model, const char *task)
{
    static const char *const ISAS[] = { "ref", "avx2", "avx512", "neon" };
    SnugFigures ample, figures;
    const char *base = request_scratch("base.npy"), *other = request_scratch("other.npy");
    CHECK(run(model, task, &(Way){ .threads = 2, .output = base }, &ample));
    Way way = { .threads = 2, .device = "sim:64MiB,4GB/s", .output = other };
    CHECK(run(model, task, &way, &ample));
    check_same_file(base, other);
    size_t refused = 0, enough = ample.slab_bytes;
    while (enough - refused > (64 << 10)) {
        way.vram_bytes = refused + (enough - refused) / 2;
        if (run(model, task, &way, &figures)) {
            enough = way.vram_bytes;
            CHECK(figures.moved_bytes >= ample.moved_bytes);
            check_same_file(base, other);
        } else
            refused = way.vram_bytes;
    }
    CHECK(enough < ample.slab_bytes);
    for (size_t i = 0; i < COUNT(ISAS); i++) {
        SnugEngine *engine = NULL;
        const SnugEngineOptions options = { .ram_bytes = GIB, .threads = 1, .isa = ISAS[i] };
        const bool runs = snug_engine_open(&engine, &options, NULL) == SNUG_OK;
        snug_engine_close(engine);
        if (!runs) continue;
        const Way plain = { .isa = ISAS[i], .threads = 1 + (int)(i % 2), .output = other };
        CHECK(run(model, task, &plain, &figures));
        check_same_file(base, other);
    }
}

static void check_task(const char *model, const char *task)
{
    SnugFigures figures;
    char stem[64], name[80];
    (void)snprintf(stem, sizeof stem, "sdxl-%s-%s", model, task);
    (void)snprintf(name, sizeof name, "%s.png", stem);
    CHECK(run(model, task, &(Way){ .threads = 2, .output = request_scratch(name) }, &figures));
    check_pictures(model, task, stem);
    check_ways(model, task);
}

TEST(sdxl, txt2img_is_what_diffusers_draws)
{
    check_task("base", "txt2img");
}

TEST(sdxl, img2img_is_what_diffusers_draws)
{
    check_task("base", "img2img");
}

TEST(sdxl, a_controlnet_and_an_ancestral_scheduler)
{
    check_task("control", "txt2img");
}

TEST(sdxl, files_say_how_they_were_made)
{
    SnugFigures figures;
    SnugError err = { { 0 } };
    const char *text = NULL, *path = request_scratch("said.png");
    Heap *heap = heap_create();
    Arena arena;
    arena_init(&arena, heap, "test");
    CHECK(run("control", "txt2img", &(Way){ .threads = 1, .output = path }, &figures));
    REQUIRE_OK(png_text_read(&arena, path, "parameters", &text, &err), &err);
    CHECK_HAS(text, "Steps: 4, Sampler: Euler a, CFG scale: 3, Seed: 6300, Size: 40x64");
    arena_release(&arena);
    heap_free(heap);
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

TEST(sdxl, requests_that_cannot_be_are_refused)
{
    char vae[512], other[512], picture[512];
    (void)snprintf(vae, sizeof vae, "%s", below("base", "vae"));
    (void)snprintf(other, sizeof other, "%s", test_path("golden/controlnet/base"));
    (void)snprintf(picture, sizeof picture, "%s", below("control", "control.png"));
    const Refusal refusals[] = {
        { "base", "txt2img", "size", "62x24", SNUG_ERR_ARG, "multiples of 4" },
        { "base", "txt2img", "scheduler", "unipc", SNUG_ERR_ARG, "euler, euler-a, ddim, dpm++" },
        { "base", "txt2img", "scheduler", "ddim-karras", SNUG_ERR_ARG, "only euler and dpm++" },
        { "base", "img2img", "strength", "0.2", SNUG_ERR_ARG, "less than one step" },
        { "base", "txt2img", "controlnet", vae, SNUG_ERR_ARG, "needs --control-image" },
        { "base", "txt2img", "control-image", picture, SNUG_ERR_FILE, "no controlnet" },
        { "control", "txt2img", "controlnet", vae, SNUG_ERR_FILE, "" },
        { "control", "txt2img", "controlnet", other, SNUG_ERR_FILE, "was not made for the UNet" },
        { "control", "txt2img", "control-start", "0.9", SNUG_ERR_ARG, "not before --control-end" },
        { "control", "txt2img", "control-image", "nowhere.png", SNUG_ERR_FILE, "nowhere.png" },
    };
    SnugEngine *engine = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions options = { .ram_bytes = GIB, .threads = 1 };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    for (size_t i = 0; i < COUNT(refusals); i++)
        refuse(engine, &refusals[i]);
    snug_engine_close(engine);
}

TEST(sdxl, does_not_inpaint_and_says_so)
{
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    SnugJob *job = NULL;
    SnugEngine *engine = NULL;
    const SnugEngineOptions options = { .ram_bytes = GIB, .threads = 1 };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    REQUIRE_OK(snug_job_create(&job, engine, "inpaint", &err), &err);
    request_option(job, "model", below("base", ""));
    request_option(job, "image", below("base", "picture.png"));
    request_option(job, "mask", below("base", "picture.png"));
    CHECK_INT(snug_plan_create(&plan, job, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "is an SDXL model");
    snug_job_free(job);
    snug_engine_close(engine);
}
