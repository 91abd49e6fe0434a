/* pictures.h  Golden pictures: a model's folder below tests/golden holds <task>.json, the request as
 * diffusers drew it, and <task>.npy, what it drew. A task is a pipeline's name. */
#ifndef TESTS_PIPELINES_PICTURES_H
#define TESTS_PIPELINES_PICTURES_H

#include "pipelines/request.h"

#include "base/size.h"
#include "formats/npy.h"
#include "media/image_read.h"

/** A file of a model, "" for the folder itself: one of 4 static buffers in turn. */
static inline const char *picture_file(const char *model, const char *name)
{
    static char path[4][512];
    static int next;
    char *at = path[next++ & 3], part[256];
    (void)snprintf(part, sizeof part, "golden/%s%s%s", model, name[0] ? "/" : "", name);
    (void)snprintf(at, sizeof path[0], "%s", test_path(part));
    return at;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Values of a request as options: numbers and texts alike. */
static inline void picture_values(SnugJob *job, Json root)
{
    static const char *const NUMBERS[][2] = {
        { "steps", "steps" },
        { "guidance", "guidance" },
        { "true_cfg", "true-cfg" },
        { "batch", "batch" },
        { "max_tokens", "max-tokens" },
        { "seed", "seed" },
        { "eta", "eta" },
        { "control_scale", "control-scale" },
        { "control_start", "control-start" },
        { "control_end", "control-end" },
    };
    static const char *const STRENGTH[][2] = { { "strength", "strength" } };
    static const char *const TEXTS[][2] = { { "prompt", "prompt" },
                                            { "prompt_2", "prompt-2" },
                                            { "negative", "negative" } };
    request_numbers(job, root, NUMBERS, COUNT(NUMBERS));
    if (strcmp(snug_job_pipeline(job), "txt2img") != 0) request_numbers(job, root, STRENGTH, 1);
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        const char *words = NULL;
        CHECK(json_text(root, TEXTS[i][0], NULL, &words, NULL) == SNUG_OK);
        if (words) request_option(job, TEXTS[i][1], words);
    }
    request_size(job, root);
}

/** The job of a golden picture, without output; the caller frees it. */
static inline SnugJob *picture_job(SnugEngine *engine, const char *model, const char *task)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    char name[64];
    (void)snprintf(name, sizeof name, "%s.json", task);
    REQUIRE_OK(snug_job_create(&job, engine, task, &err), &err);
    REQUIRE_OK(json_open(&doc, heap, picture_file(model, name), &err), &err);
    request_option(job, "model", picture_file(model, ""));
    picture_values(job, json_root(doc));
    if (strcmp(task, "txt2img") != 0)
        request_option(job, "image", picture_file(model, "picture.png"));
    if (strcmp(task, "inpaint") == 0) request_option(job, "mask", picture_file(model, "mask.png"));
    request_file(job, "control-image", picture_file(model, ""), "control.png");
    json_close(doc);
    heap_free(heap);
    return job;
}

typedef struct PictureRefusal {
    const char *model, *task, *option, *value;
    SnugStatus status;
    const char *says;
} PictureRefusal;

static inline void picture_check_refusals(const PictureRefusal *rows, size_t n)
{
    SnugEngine *engine = request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 1 });
    for (size_t i = 0; i < n; i++) {
        const PictureRefusal *x = &rows[i];
        request_refused(picture_job(engine, x->model, x->task), x->option, x->value, x->status,
                        x->says);
    }
    snug_engine_close(engine);
}

/** One way to run a request. */
typedef struct PictureWay {
    const char *output, *isa, *device;
    int threads;
    size_t vram_bytes;
} PictureWay;

/** @return false: the budget is refused  @param figures may be NULL */
static inline bool picture_run(const char *model, const char *task, const PictureWay *way,
                               SnugFigures *figures)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = request_engine((SnugEngineOptions){ .ram_bytes = GIB,
                                                             .vram_bytes = way->vram_bytes,
                                                             .threads = way->threads,
                                                             .isa = way->isa,
                                                             .device = way->device });
    SnugJob *job = picture_job(engine, model, task);
    request_option(job, "output", way->output);
    const SnugStatus status = request_run(job, figures, &err);
    if (status != SNUG_OK && status != SNUG_ERR_BUDGET) fail_msg("%s", err.text);
    snug_job_free(job);
    snug_engine_close(engine);
    return status == SNUG_OK;
}

/* ---- what was drawn ------------------------------------------------------------------------- */

/* Bytes that differ from the reference's. Rounding to bytes hides f32's noise but where a value lies
 * within it of a half: with noise below 1e-5 * 255 of a byte, twice that part of the values. */
static inline void picture_check_bytes(const uint8_t *got, const float *want, int64_t n)
{
    int64_t off = 0;
    for (int64_t i = 0; i < n; i++) {
        const int d = abs(got[i] - (int)want[i]);
        CHECK(d <= 1);
        off += d;
    }
    CHECK(off * 1000 <= n);
}

/** Scratch path of picture k of n. */
static inline const char *picture_numbered(const char *stem, int k, int n)
{
    static char name[96];
    if (n == 1)
        (void)snprintf(name, sizeof name, "%.60s.png", stem);
    else
        (void)snprintf(name, sizeof name, "%.60s-%04d.png", stem, k + 1);
    return request_scratch(name);
}

/** The pictures <stem>*.png of the scratch folder against an array of the model. */
static inline void picture_check_array(const char *model, const char *array, const char *stem)
{
    Heap *heap = heap_create();
    Arena arena;
    NpyArray want;
    SnugError err = { { 0 } };
    arena_init(&arena, heap, "test");
    REQUIRE_OK(npy_read_f32(&arena, picture_file(model, array), &want, &err), &err);
    const int n = (int)want.dim[0];
    const int64_t bytes = want.count / n;
    for (int k = 0; k < n; k++) {
        Image image = { 0 };
        REQUIRE_OK(image_read_file(&image, heap, picture_numbered(stem, k, n), 3, NULL, &err),
                   &err);
        CHECK_INT(image.height, want.dim[1]);
        CHECK_INT(image.width, want.dim[2]);
        picture_check_bytes(image.pixels, want.f32 + k * bytes, bytes);
        image_release(&image);
    }
    arena_release(&arena);
    heap_free(heap);
}

/* A device's memory holds nothing else: the smallest budget is exact, and weights stream under it. */
static inline void picture_check_budgets(const char *model, const char *task, const char *base,
                                         size_t step_bytes)
{
    const char *other = request_scratch("other.npy");
    SnugFigures ample, figures, least;
    PictureWay way = { .threads = 2, .device = "sim:64MiB,4GB/s", .output = other };
    CHECK(picture_run(model, task, &way, &ample));
    request_check_same(base, other);
    least = ample;
    size_t refused = 0, enough = ample.slab_bytes;
    while (enough - refused > step_bytes) {
        way.vram_bytes = refused + (enough - refused) / 2;
        if (picture_run(model, task, &way, &figures)) {
            enough = way.vram_bytes;
            least = figures;
            CHECK(figures.moved_bytes >= ample.moved_bytes);
            request_check_same(base, other);
        } else
            refused = way.vram_bytes;
    }
    CHECK(enough < ample.slab_bytes);
    CHECK(least.slab_bytes < ample.slab_bytes);
}

static inline void picture_check_isas(const char *model, const char *task, const char *base)
{
    static const char *const ISAS[] = { "ref", "avx2", "avx512", "neon" };
    const char *other = request_scratch("other.npy");
    for (size_t i = 0; i < COUNT(ISAS); i++) {
        if (!request_isa_runs(ISAS[i])) continue;
        const PictureWay way = { .isa = ISAS[i], .threads = 1 + (int)(i % 2), .output = other };
        CHECK(picture_run(model, task, &way, NULL));
        request_check_same(base, other);
    }
}

/** The pictures of the reference, and the same bytes under every budget, thread count and ISA.
 * @param step_bytes  how exactly the smallest budget is sought */
static inline void picture_check_task(const char *model, const char *task, size_t step_bytes)
{
    char stem[64], name[80];
    (void)snprintf(stem, sizeof stem, "%s-%s", strrchr(model, '/') + 1, task);
    (void)snprintf(name, sizeof name, "%s.png", stem);
    const PictureWay ample = { .threads = 2, .output = request_scratch(name) };
    CHECK(picture_run(model, task, &ample, NULL));
    (void)snprintf(name, sizeof name, "%s.npy", task);
    picture_check_array(model, name, stem);
    const char *base = request_scratch("base.npy");
    CHECK(picture_run(model, task, &(PictureWay){ .threads = 2, .output = base }, NULL));
    picture_check_budgets(model, task, base, step_bytes);
    picture_check_isas(model, task, base);
}

#endif
