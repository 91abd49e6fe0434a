/* test_fault.c  What happens when memory, files or the caller fail in the middle: the right status, no
 * leak, no file under its final name, and an engine that still works. */
#include "pipelines/small.h"
#include "pipelines/sweep.h"

#include <sys/resource.h>

/* Frames under their final name after a failure: only the report was missed. */
static void check_outputs(SnugStatus status)
{
    if (status != SNUG_OK && file_type(request_scratch("out/frames.npy")) != FILE_ABSENT)
        CHECK(file_type(request_scratch("out/report.json")) == FILE_ABSENT);
    remove_outputs();
}

TEST(fault, every_refused_allocation_is_reported_and_leaks_nothing)
{
    SnugEngine *engine = open_engine();
    sweep_allocations(engine, small_job, check_outputs);
    snug_engine_close(engine);
}

TEST(fault, a_refused_allocation_while_an_engine_opens_or_a_job_is_made)
{
    SnugEngine *engine = open_engine();
    const size_t before = heap_now_bytes(engine->heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        SnugError err = { { 0 } };
        SnugJob *job = NULL;
        heap_fail_at(engine->heap, n);
        status = snug_job_create(&job, engine, "wan-t2v", &err);
        if (status == SNUG_OK) status = snug_job_set(job, "prompt", "x", &err);
        heap_fail_at(engine->heap, 0);
        CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && err.text[0]));
        snug_job_free(job);
        CHECK_INT(heap_now_bytes(engine->heap), before);
    }
    snug_engine_close(engine);
}

/* Cut a weight file short when the run begins: headers are read by then, weights are not. */
typedef struct Cutter {
    const char *path;
    off_t bytes;
    int at_event, n_events;
    SnugJob *cancel;
} Cutter;

static void on_event(void *context, const SnugEvent *event)
{
    Cutter *c = context;
    (void)event;
    if (c->n_events++ != c->at_event) return;
    if (c->cancel) snug_job_cancel(c->cancel);
}

static void copy_file(const char *to, const char *from)
{
    size_t n;
    char *bytes = request_bytes(from, &n);
    FILE *file = fopen(to, "wb");
    CHECK(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
    free(bytes);
}

/* A copy of the model's folder, so that it can be damaged. */
static void copy_folder(const char *to, const char *from)
{
    char a[1200], b[1200];
    (void)mkdir(to, 0700);
    DIR *dir = opendir(from);
    CHECK(dir != NULL);
    for (const struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        (void)snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        (void)snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        if (file_type(a) == FILE_DIRECTORY)
            copy_folder(b, a);
        else
            copy_file(b, a);
    }
    (void)closedir(dir);
}

static SnugStatus run_watched(SnugJob *job, Cutter *cutter, SnugError *err)
{
    SnugPlan *plan = NULL;
    REQUIRE_OK(snug_plan_create(&plan, job, err), err);
    /* Before the readers start: they are ahead of the stages, and of these small files' ends. */
    if (cutter->path) CHECK(truncate(cutter->path, cutter->bytes) == 0);
    const SnugStatus status = snug_run(job, plan, on_event, cutter, err);
    snug_plan_free(plan);
    return status;
}

TEST(fault, a_weight_file_that_shrinks_after_it_was_planned_is_a_file_error)
{
    char model[1000];
    (void)snprintf(model, sizeof model, "%s/%s/model", test_path("golden/pipelines"), MODEL);
    SnugEngine *engine = open_engine();
    static const char *const PARTS[] = { "text_encoder/model.safetensors",
                                         "transformer/diffusion_pytorch_model.safetensors",
                                         "vae/diffusion_pytorch_model.safetensors" };
    for (int i = 0; i < 3; i++) {
        char part[700];
        SnugError err = { { 0 } };
        copy_folder(request_scratch("model"), model);
        (void)snprintf(part, sizeof part, "%s/model/%s", test_scratch(), PARTS[i]);
        SnugJob *job = small_job(engine);
        request_option(job, "model", request_scratch("model"));
        Cutter cutter = { .path = part, .bytes = 5000 };
        CHECK_INT(run_watched(job, &cutter, &err), SNUG_ERR_FILE);
        CHECK_HAS(err.text, "truncated");
        CHECK_HAS(err.text, PARTS[i]);
        snug_job_free(job);
        CHECK(file_type(request_scratch("out/frames.npy")) == FILE_ABSENT);
        remove_outputs();
    }
    snug_engine_close(engine);
}

TEST(fault, cancel_at_any_event_leaves_no_file_and_an_engine_that_works)
{
    SnugEngine *engine = open_engine();
    const size_t before = heap_now_bytes(engine->heap);
    int n_events = 1000;
    for (int at = 0; at < n_events; at++) {
        SnugError err = { { 0 } };
        SnugJob *job = small_job(engine);
        Cutter cutter = { .at_event = at, .cancel = job };
        const SnugStatus status = run_watched(job, &cutter, &err);
        snug_job_free(job);
        CHECK_INT(heap_now_bytes(engine->heap), before);
        if (status == SNUG_OK) { /* after the last operation there is nothing left to stop */
            n_events = cutter.n_events;
        } else {
            CHECK_INT(status, SNUG_ERR_CANCELLED);
            CHECK(file_type(request_scratch("out/frames.npy")) == FILE_ABSENT);
        }
        remove_outputs();
    }
    SnugJob *job = small_job(engine);
    SnugError err = { { 0 } };
    REQUIRE_OK(request_try(job, &err), &err);
    snug_job_free(job);
    remove_outputs();
    snug_engine_close(engine);
}

TEST(fault, a_plan_of_a_job_that_was_changed_is_refused)
{
    SnugEngine *engine = open_engine();
    SnugError err = { { 0 } };
    SnugPlan *plan = NULL;
    SnugJob *job = small_job(engine), *other = small_job(engine);
    REQUIRE_OK(snug_plan_create(&plan, job, &err), &err);
    CHECK_INT(snug_run(other, plan, NULL, NULL, &err), SNUG_ERR_ARG);
    request_option(job, "steps", "3");
    CHECK_INT(snug_run(job, plan, NULL, NULL, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "changed");
    snug_plan_free(plan);
    snug_job_free(job);
    snug_job_free(other);
    remove_outputs();
    snug_engine_close(engine);
}

#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
    !defined(__SANITIZE_THREAD__) /* they need the address space */
TEST(fault, threads_that_the_system_refuses_are_reported)
{
    struct rlimit before, tight;
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    tight = before;
    tight.rlim_cur = (rlim_t)1 << 30; /* 1024 stacks of 1 MiB and the program do not fit */
    CHECK(setrlimit(RLIMIT_AS, &tight) == 0);
    SnugEngine *engine = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions options = { .ram_bytes = GIB, .threads = 1024 };
    const SnugStatus status = snug_engine_open(&engine, &options, &err);
    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
    CHECK_INT(status, SNUG_ERR_MEMORY);
    CHECK(engine == NULL);
    CHECK_HAS(err.text, "refused the compute threads");
}
#endif
