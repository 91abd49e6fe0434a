/* request.h  Jobs from the golden pipelines: tests/golden/pipelines/<name>/request.json as options. */
#ifndef TESTS_PIPELINES_REQUEST_H
#define TESTS_PIPELINES_REQUEST_H

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "snug/snug.h"

/** Fail the test with the error's text. */
#define REQUIRE_OK(call, err)                                                                      \
    do {                                                                                           \
        if ((call) != SNUG_OK) fail_msg("%s: %s", #call, (err)->text);                             \
    } while (0)

enum { MIB = 1 << 20, GIB = 1 << 30 };

/** Path below the scratch folder: one of 8 static buffers in turn. */
static inline const char *request_scratch(const char *name)
{
    static char path[8][512];
    static int next;
    char *at = path[next++ & 7];
    (void)snprintf(at, sizeof path[0], "%s/%s", test_scratch(), name);
    return at;
}

static inline SnugEngine *request_engine(SnugEngineOptions options)
{
    SnugEngine *engine = NULL;
    SnugError err = { { 0 } };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    return engine;
}

/** Whether this machine has an instruction set; says so when it lacks it. */
static inline bool request_isa_runs(const char *isa)
{
    SnugEngine *engine = NULL;
    const SnugEngineOptions options = { .ram_bytes = MIB, .threads = 1, .isa = isa };
    const bool runs = snug_engine_open(&engine, &options, NULL) == SNUG_OK;
    snug_engine_close(engine);
    if (!runs) print_message("%s: skipped, this machine lacks it\n", isa);
    return runs;
}

static inline void request_option(SnugJob *job, const char *name, const char *value)
{
    SnugError err = { { 0 } };
    REQUIRE_OK(snug_job_set(job, name, value, &err), &err);
}

static inline void request_file(SnugJob *job, const char *option, const char *folder,
                                const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_type(path) != FILE_ABSENT) request_option(job, option, path);
}

/** Numbers of a request as options: rows of key and option; those that it has. */
static inline void request_numbers(SnugJob *job, Json root, const char *const (*rows)[2], size_t n)
{
    char text[64];
    double value;
    for (size_t i = 0; i < n; i++) {
        if (!json_has(root, rows[i][0])) continue;
        CHECK(json_f64(root, rows[i][0], 0, -1e18, 1e18, &value, NULL) == SNUG_OK);
        (void)snprintf(text, sizeof text, "%.10g", value);
        request_option(job, rows[i][1], text);
    }
}

static inline void request_size(SnugJob *job, Json root)
{
    char text[64];
    double width, height;
    CHECK(json_f64(root, "width", 0, 1, 1e6, &width, NULL) == SNUG_OK);
    CHECK(json_f64(root, "height", 0, 1, 1e6, &height, NULL) == SNUG_OK);
    (void)snprintf(text, sizeof text, "%.0fx%.0f", width, height);
    request_option(job, "size", text);
}

/* Keys that are options: those that need nothing but their text. */
static inline void request_values(SnugJob *job, Json root)
{
    static const char *const NUMBERS[][2] = { { "frames", "frames" },
                                              { "steps", "steps" },
                                              { "guidance", "guidance" },
                                              { "guidance_low", "guidance-low" } };
    request_numbers(job, root, NUMBERS, sizeof NUMBERS / sizeof NUMBERS[0]);
    request_size(job, root);
    static const char *const TEXTS[] = { "prompt", "negative" };
    for (int i = 0; i < 2; i++) {
        const char *words = NULL;
        CHECK(json_text(root, TEXTS[i], "", &words, NULL) == SNUG_OK);
        request_option(job, TEXTS[i], words);
    }
    const char *cache = NULL;
    CHECK(json_text(root, "step_cache", NULL, &cache, NULL) == SNUG_OK);
    if (cache) request_option(job, "step-cache", cache);
}

/** The job of a golden folder, without outputs; the caller frees it. */
static inline SnugJob *request_job(SnugEngine *engine, const char *name)
{
    char folder[900], path[1000];
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    SnugJob *job = NULL;
    const char *pipeline = NULL;
    (void)snprintf(folder, sizeof folder, "%s/%s", test_path("golden/pipelines"), name);
    (void)snprintf(path, sizeof path, "%s/request.json", folder);
    REQUIRE_OK(json_open(&doc, heap, path, &err), &err);
    REQUIRE_OK(json_text(json_root(doc), "pipeline", NULL, &pipeline, &err), &err);
    REQUIRE_OK(snug_job_create(&job, engine, pipeline, &err), &err);
    request_values(job, json_root(doc));
    request_file(job, "model", folder, "model");
    request_file(job, "noise", folder, "noise.npy");
    request_file(job, "image", folder, "image.png");
    request_file(job, "last-image", folder, "last_image.png");
    request_file(job, "camera", folder, "camera");
    json_close(doc);
    heap_free(heap);
    return job;
}

/** Plan and run. A plan may be refused; what is planned must run in the memory that was planned.
 * @param planned  written with a plan only; may be NULL */
static inline SnugStatus request_run(SnugJob *job, SnugFigures *planned, SnugError *err)
{
    SnugPlan *plan = NULL;
    const SnugStatus status = snug_plan_create(&plan, job, err);
    CHECK((plan != NULL) == (status == SNUG_OK));
    if (status == SNUG_OK) {
        if (planned) *planned = snug_plan_figures(plan);
        REQUIRE_OK(snug_run(job, plan, NULL, NULL, err), err);
        CHECK_INT(snug_job_figures(job).slab_peak_bytes, snug_plan_figures(plan).slab_bytes);
    }
    snug_plan_free(plan);
    return status;
}

/** Plan and run, either of which may fail. */
static inline SnugStatus request_try(SnugJob *job, SnugError *err)
{
    SnugPlan *plan = NULL;
    SnugStatus status = snug_plan_create(&plan, job, err);
    CHECK((plan != NULL) == (status == SNUG_OK));
    if (status == SNUG_OK) status = snug_run(job, plan, NULL, NULL, err);
    snug_plan_free(plan);
    return status;
}

/** Set an option; the plan must then be refused with this status and these words. Takes the job. */
static inline void request_refused(SnugJob *job, const char *option, const char *value,
                                   SnugStatus want, const char *says)
{
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    request_option(job, option, value);
    const SnugStatus status = snug_plan_create(&plan, job, &err);
    if (status != want) fail_msg("--%s %s: %d: %s", option, value, status, err.text);
    CHECK_HAS(err.text, says);
    CHECK(plan == NULL);
    snug_job_free(job);
}

/** A whole file; the caller frees it. */
static inline char *request_bytes(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s cannot be opened", path);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    *n = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*n + 1);
    CHECK(bytes && fread(bytes, 1, *n, file) == *n && fclose(file) == 0);
    return bytes;
}

/** Whether two files hold the same bytes. */
static inline bool request_same(const char *a, const char *b)
{
    size_t n, m;
    char *x = request_bytes(a, &n), *y = request_bytes(b, &m);
    const bool same = n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

static inline void request_check_same(const char *a, const char *b)
{
    if (!request_same(a, b)) fail_msg("%s and %s differ", a, b);
}

#endif
