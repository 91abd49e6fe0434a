/* test_ad_unload.c  What becomes of weights between the steps of an advertisement and between jobs:
 * counted bytes, the lines of the log, the same pictures whatever is chosen. */
#include "pipelines/ad_request.h"

typedef struct Said {
    char label[64][64];
    double used[64], reserved[64];
    bool gpu[64];
    int n;
} Said;

static void listen(void *context, const SnugEvent *e)
{
    Said *said = context;
    const bool phase = strstr(e->text ? e->text : "", "unload") && e->text[0] >= 'A' &&
                       e->text[0] <= 'Z'; /* the others begin small: "before unload vae" */
    if (e->kind != SNUG_EVENT_MEMORY || !phase || said->n == 64) return;
    CHECK_INT(e->n_tiers, 1);
    (void)snprintf(said->label[said->n], sizeof said->label[0], "%s", e->text);
    said->used[said->n] = (double)e->tiers[0].used_bytes;
    said->reserved[said->n] = (double)e->tiers[0].reserved_bytes;
    said->gpu[said->n++] = strcmp(e->tiers[0].tier, "GPU Memory") == 0;
}

static SnugEngine *sim_engine(void)
{
    return request_engine((SnugEngineOptions){ .ram_bytes = GIB, .device = "sim:512MiB,100GB/s" });
}

/* Plan and run; the status of the plan. */
static SnugStatus carry_out(SnugJob *job, const char *output, Said *said, SnugFigures *figures,
                            SnugError *err)
{
    SnugPlan *plan = NULL;
    request_option(job, "output", output);
    const SnugStatus status = snug_plan_create(&plan, job, err);
    if (status == SNUG_OK) {
        if (said) said->n = 0;
        REQUIRE_OK(snug_run(job, plan, said ? listen : NULL, said, err), err);
        *figures = snug_job_figures(job);
        CHECK_INT(figures->slab_peak_bytes, snug_plan_figures(plan).slab_bytes);
    }
    snug_plan_free(plan);
    return status;
}

static SnugFigures run_with(SnugEngine *engine, const char *unload, const char *output, Said *said)
{
    SnugError err = { { 0 } };
    SnugFigures figures = { 0 };
    SnugJob *job = ad_job(engine);
    if (unload) request_option(job, "auto-unload", unload);
    REQUIRE_OK(carry_out(job, output, said, &figures, &err), &err);
    snug_job_free(job);
    return figures;
}

static void check_same(const char *a, const char *b)
{
    CHECK(request_same(a, b));
}

static const char *const LINES[] = {
    "Before Step1 models unload", "FluxGenerator unload (no-op)",     "After Step1 models unload",
    "Before Step2 models unload", "SDXLTextGenerator unload (no-op)", "BiRefNet unload (no-op)",
    "After Step2 models unload",  "Before Flux Inpainting unload",    "After Flux Inpainting unload"
};

static void check_lines(const Said *said, bool gpu)
{
    CHECK_INT(said->n, COUNT(LINES));
    for (int i = 0; i < said->n; i++) {
        CHECK_TEXT(said->label[i], LINES[i]);
        CHECK(said->gpu[i] == gpu);
        const bool before = strncmp(said->label[i], "Before", 6) == 0;
        if (i) CHECK(before || said->used[i] <= said->used[i - 1]);
    }
    CHECK(said->used[0] > said->used[2] && said->used[3] > said->used[6]);
    CHECK(said->used[7] > said->used[8]);
    CHECK_INT(said->used[8], 0);
}

TEST(ad_unload, nine_lines_say_that_memory_falls)
{
    static Said said;
    SnugEngine *engine = sim_engine();
    (void)run_with(engine, NULL, request_scratch("sim.npy"), &said);
    check_lines(&said, true);
    CHECK_INT(said.reserved[8], 0);
    snug_engine_close(engine);
    engine = ad_engine(2, GIB);
    (void)run_with(engine, "on", request_scratch("cpu.npy"), &said);
    check_lines(&said, false);
    check_same(request_scratch("sim.npy"), request_scratch("cpu.npy"));
    (void)run_with(engine, "off", request_scratch("off.npy"), &said);
    CHECK_INT(said.n, 0);
    snug_engine_close(engine);
}

TEST(ad_unload, the_line_is_that_of_the_service)
{
    char line[200];
    const SnugTierUse tier = { .tier = "GPU Memory",
                               .used_bytes = (size_t)(12.3 * GIB),
                               .reserved_bytes = (size_t)13 * GIB };
    CHECK_TEXT(snug_memory_line(line, sizeof line, "After Step1 models unload", &tier),
               "[After Step1 models unload] GPU Memory: allocated=12.30GB, reserved=13.00GB");
}

/* The second job reads nothing that stayed, though its words and seed are others. */
static void check_keeps(SnugEngine *engine)
{
    SnugError err = { { 0 } };
    SnugFigures first, second;
    first = run_with(engine, "off", request_scratch("a.npy"), NULL);
    CHECK(first.moved_bytes > 0);
    second = run_with(engine, "off", request_scratch("b.npy"), NULL);
    CHECK_INT(second.moved_bytes, 0);
    CHECK(second.process_peak_bytes <= second.budget_bytes);
    check_same(request_scratch("a.npy"), request_scratch("b.npy"));
    SnugJob *job = ad_job(engine);
    request_option(job, "auto-unload", "false");
    request_option(job, "seed", "43");
    request_option(job, "bg-prompt", "a forest");
    REQUIRE_OK(carry_out(job, request_scratch("c.npy"), NULL, &second, &err), &err);
    CHECK_INT(second.moved_bytes, 0);
    snug_job_free(job);
    second = run_with(engine, "on", request_scratch("d.npy"), NULL);
    CHECK(second.moved_bytes > first.moved_bytes); /* FLUX twice */
    check_same(request_scratch("a.npy"), request_scratch("d.npy"));
    second = run_with(engine, "off", request_scratch("e.npy"), NULL);
    CHECK_INT(second.moved_bytes, first.moved_bytes); /* nothing was left */
    check_same(request_scratch("a.npy"), request_scratch("e.npy"));
}

TEST(ad_unload, consecutive_jobs_read_nothing_again)
{
    SnugEngine *engine = ad_engine(2, GIB);
    check_keeps(engine);
    snug_engine_close(engine);
    engine = sim_engine();
    check_keeps(engine);
    snug_engine_close(engine);
}

TEST(ad_unload, weights_of_other_files_are_not_taken_for_kept_ones)
{
    SnugError err = { { 0 } };
    SnugFigures figures;
    SnugEngine *engine = ad_engine(2, GIB);
    (void)run_with(engine, "off", request_scratch("a.npy"), NULL);
    SnugJob *job = ad_job(engine);
    request_option(job, "auto-unload", "off");
    (void)birefnet_file_write("", 0); /* the same, written anew */
    REQUIRE_OK(carry_out(job, request_scratch("b.npy"), NULL, &figures, &err), &err);
    CHECK(figures.moved_bytes > 0);
    check_same(request_scratch("a.npy"), request_scratch("b.npy"));
    snug_job_free(job);
    snug_engine_close(engine);
}

/* Steps that give up: FLUX is read again in step 3 if step 1 gave it up. */
TEST(ad_unload, each_step_by_itself)
{
    static Said said;
    static const char *const NAMES[] = { "auto-unload-step1", "auto-unload-step2",
                                         "auto-unload-step3" };
    SnugError err = { { 0 } };
    double moved[8];
    for (int set = 0; set < 8; set++) {
        SnugFigures figures;
        SnugEngine *engine = ad_engine(2, GIB);
        SnugJob *job = ad_job(engine);
        for (int i = 0; i < 3; i++)
            request_option(job, NAMES[i], set >> i & 1 ? "on" : "off");
        request_option(job, "auto-unload", set & 1 ? "off" : "on"); /* each says otherwise */
        REQUIRE_OK(carry_out(job, request_scratch(set ? "x.npy" : "a.npy"), &said, &figures, &err),
                   &err);
        moved[set] = figures.moved_bytes;
        CHECK_INT(said.n, (set & 1 ? 3 : 0) + (set & 2 ? 4 : 0) + (set & 4 ? 2 : 0));
        check_same(request_scratch("a.npy"), request_scratch(set ? "x.npy" : "a.npy"));
        snug_job_free(job);
        snug_engine_close(engine);
    }
    for (int set = 0; set < 8; set++)
        CHECK(set & 1 ? moved[set] > moved[0] : moved[set] == moved[0]);
}

/* The smallest budget at which the plan is made, to the MiB. */
static size_t smallest(const char *unload)
{
    size_t low = 1, high = 1024;
    while (high - low > 1) {
        const size_t mid = (low + high) / 2;
        SnugError err = { { 0 } };
        SnugPlan *plan = NULL;
        SnugEngine *engine = ad_engine(1, mid * MIB);
        SnugJob *job = ad_job(engine);
        request_option(job, "auto-unload", unload);
        const SnugStatus status = snug_plan_create(&plan, job, &err);
        if (status == SNUG_ERR_BUDGET && strcmp(unload, "off") == 0) {
            CHECK_HAS(err.text, "--auto-unload=off");
            CHECK_HAS(err.text, "stage ");
            CHECK_HAS(err.text, "the smallest budget that would do");
        }
        *(status == SNUG_OK ? &high : &low) = mid;
        snug_plan_free(plan);
        snug_job_free(job);
        snug_engine_close(engine);
    }
    return high;
}

TEST(ad_unload, off_is_refused_where_on_fits)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SKIP("sanitizers take memory of their own");
#endif
    const size_t on = smallest("on"), off = smallest("off"), free_choice = smallest("auto");
    CHECK(off > on + 20 && free_choice <= on + 1);
    SnugEngine *engine = ad_engine(2, (off + 4) * MIB);
    (void)run_with(engine, "auto", request_scratch("a.npy"),
                   NULL); /* all fits together: it stays */
    CHECK_INT(run_with(engine, "auto", request_scratch("b.npy"), NULL).moved_bytes, 0);
    snug_engine_close(engine);
    engine = ad_engine(2, (on + 4) * MIB);
    (void)run_with(engine, "auto", request_scratch("c.npy"), NULL);
    CHECK(run_with(engine, "auto", request_scratch("d.npy"), NULL).moved_bytes > 0);
    check_same(request_scratch("a.npy"), request_scratch("d.npy"));
    (void)run_with(engine, "0.9", request_scratch("e.npy"), NULL);
    check_same(request_scratch("a.npy"), request_scratch("e.npy"));
    snug_engine_close(engine);
}
