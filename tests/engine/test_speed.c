/* test_speed.c  Measuring this machine, keeping the profile, and refusing one that does not fit. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "engine/measure.h"
#include "snug/snug.h"

static const char *scratch(const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", test_scratch(), name);
    return path;
}

static SnugEngine *open_engine(const char *profile, bool optional)
{
    SnugEngine *e = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions o = { .threads = 2, .profile = profile, .profile_optional = optional };
    if (snug_engine_open(&e, &o, &err) != SNUG_OK) fail_msg("%s", err.text);
    return e;
}

static void measure(SnugEngine *e, const char *path)
{
    SnugError err = { { 0 } };
    const SnugMeasureOptions o = { .path = path, .disk_folder = test_scratch(), .quick = true };
    if (snug_profile_measure(e, &o, NULL, NULL, &err) != SNUG_OK) fail_msg("%s", err.text);
}

TEST(speed, a_measured_profile_is_kept_and_used_again)
{
    const char *path = scratch("profile.json");
    SnugEngine *e = open_engine(path, true);
    CHECK_HAS(snug_engine_profile_note(e), "not measured");
    measure(e, path);
    CHECK_TEXT(snug_engine_profile_note(e), "");
    CHECK_HAS(snug_engine_profile_text(e, false), "attention");
    for (int i = WORK_GEMM; i < WORK_COUNT; i++)
        CHECK(e->profile.work[i].n >= 1);
    CHECK(e->profile.gemm[DT_BF16].n >= 1);
    CHECK(e->profile.error >= 0.1 && e->profile.disk_cold > 1e3);
    char *before = strdup(snug_engine_profile_text(e, true));
    snug_engine_close(e);

    e = open_engine(path, false);
    CHECK_TEXT(snug_engine_profile_note(e), "");
    CHECK_TEXT(snug_engine_profile_text(e, true), before);
    free(before);
    snug_engine_close(e);
}

/* The profile of the test above with one text replaced. */
static void change(const char *path, const char *from, const char *to)
{
    Heap *heap = heap_create();
    Arena arena;
    TextView text;
    arena_init(&arena, heap, "test");
    CHECK(file_read_text(&arena, path, 1 << 20, &text, NULL) == SNUG_OK);
    const char *at = strstr(text.at, from);
    CHECK(at != NULL);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(text.at, 1, (size_t)(at - text.at), file) == (size_t)(at - text.at));
    CHECK(fputs(to, file) >= 0 && fputs(at + strlen(from), file) >= 0 && fclose(file) == 0);
    arena_release(&arena);
    heap_free(heap);
}

static void check_refused(const char *path, const char *words)
{
    SnugEngine *e = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions o = { .threads = 2, .profile = path };
    CHECK(snug_engine_open(&e, &o, &err) == SNUG_ERR_FILE);
    CHECK_HAS(err.text, words);
    e = open_engine(path, true); /* a profile nobody asked for is left aside */
    CHECK_HAS(snug_engine_profile_note(e), words);
    CHECK(!e->profile.measured);
    snug_engine_close(e);
}

TEST(speed, a_profile_that_does_not_fit_is_told_and_not_used)
{
    const char *path = scratch("foreign.json");
    SnugEngine *e = open_engine(NULL, false);
    measure(e, path);
    snug_engine_close(e);
    change(path, "\"cores\": ", "\"cores\": 9");
    check_refused(path, "another machine");
    change(path, "\"work\"", "\"work");
    check_refused(path, "bad JSON");
}

TEST(speed, a_profile_that_cannot_be_written_leaves_nothing)
{
    SnugEngine *e = open_engine(NULL, false);
    SnugError err = { { 0 } };
    const SnugMeasureOptions o = { .path = "/nonexistent/profile.json",
                                   .disk_folder = test_scratch(),
                                   .quick = true };
    CHECK(snug_profile_measure(e, &o, NULL, NULL, &err) == SNUG_ERR_IO);
    CHECK_HAS(err.text, "/nonexistent/profile.json");
    snug_engine_close(e);
}

TEST(opbench, an_operation_that_does_not_fit_is_an_error)
{
    SnugEngine *e = open_engine(NULL, false);
    OpBench b;
    SnugError err = { { 0 } };
    double seconds;
    CHECK(opbench_open(&b, e, 1 << 20, &err) == SNUG_OK);
    Run r = opbench_run(&b);
    const Tensor x = opbench_tensor(&b, &r, SHAPE(1024, 1024));
    (void)op_add(&r, x, x);
    CHECK(opbench_seconds(&b, 0, &seconds, &err) == SNUG_ERR_MEMORY);
    CHECK_HAS(err.text, "1 MiB");
    r = opbench_run(&b);
    (void)op_clamp(&r, opbench_tensor(&b, &r, SHAPE(4, 4)), 0, 1);
    CHECK(opbench_seconds(&b, 0, &seconds, &err) == SNUG_OK && seconds > 0);
    opbench_close(&b);
    snug_engine_close(e);
}
