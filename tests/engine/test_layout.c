/* test_layout.c  Ways of a VAE: which there are, and that the plan takes them when it must. */
#include "pipelines/small.h"

#include "engine/layout.h"
#include "engine/plan.h"

static int ways_of(int64_t frames, int height, PlanConstraints c, RunKnobs out[LAYOUT_MAX_WAYS])
{
    static SnugJob job;
    job =
        (SnugJob){ .info = { .frames = frames, .width = 640, .height = height }, .constraints = c };
    return layout_vae_ways(&job, out);
}

TEST(layout, a_vae_has_its_frames_whole_first_and_bands_last)
{
    RunKnobs way[LAYOUT_MAX_WAYS];
    CHECK_INT(ways_of(81, 480, (PlanConstraints){ 0 }, way), 3);
    CHECK(!way[0].band_rows && !way[0].group_frames);
    CHECK(way[1].band_rows > way[2].band_rows && way[2].band_rows > 0);
    CHECK_INT(ways_of(17, 480, (PlanConstraints){ 0 }, way), 5);
    CHECK(!way[0].group_frames && !way[2].group_frames);
    CHECK(way[3].group_frames && way[4].group_frames && way[4].band_rows == way[2].band_rows);
    CHECK_INT(ways_of(1, 16, (PlanConstraints){ 0 }, way), 1); /* nothing to cut */
}

TEST(layout, switches_leave_only_the_ways_that_keep_them)
{
    static const PlanSwitch ALL[] = { SWITCH_FREE, SWITCH_ON, SWITCH_OFF };
    static const int64_t FRAMES[] = { 1, 5, 81 };
    RunKnobs way[LAYOUT_MAX_WAYS];
    for (int i = 0; i < 27; i++) {
        const PlanSwitch tiling = ALL[i % 3], slicing = ALL[i / 3 % 3];
        const int64_t frames = FRAMES[i / 9];
        const PlanConstraints c = { .vae_tiling = tiling, .vae_slicing = slicing };
        const int n = ways_of(frames, 480, c, way);
        CHECK(n >= 1 && n <= LAYOUT_MAX_WAYS);
        for (int k = 0; k < n; k++) {
            CHECK(tiling == SWITCH_FREE || (way[k].band_rows > 0) == (tiling == SWITCH_ON));
            CHECK(slicing != SWITCH_ON || way[k].group_frames == 0);
            CHECK(slicing != SWITCH_OFF || frames == 1 || way[k].group_frames >= frames);
        }
        CHECK_INT(ways_of(frames, 8, c, way) >= 1, 1); /* too low for any of the bands */
    }
}

static char *frames_of(SnugJob *job, PlanConstraints c, RunKnobs *knobs, size_t *peak, size_t *n)
{
    SnugPlan *plan = NULL;
    SnugError err = { { 0 } };
    job->constraints = c;
    REQUIRE_OK(snug_plan_create(&plan, job, &err), &err);
    *knobs = plan->knobs;
    *peak = plan->figures.slab_bytes;
    REQUIRE_OK(snug_run(job, plan, NULL, NULL, &err), &err);
    snug_plan_free(plan);
    FILE *f = fopen(request_scratch("out/frames.npy"), "rb");
    CHECK(f != NULL);
    char *bytes = malloc(GIB / 64);
    CHECK(bytes != NULL);
    *n = fread(bytes, 1, GIB / 64, f);
    CHECK(*n > 0 && *n < GIB / 64);
    (void)fclose(f);
    return bytes;
}

TEST(layout, the_smallest_plan_cuts_frames_and_gives_the_same_bytes)
{
    SnugEngine *engine = open_engine();
    SnugJob *job = small_job(engine);
    request_option(job, "size", "512x512");
    request_option(job, "frames", "5");
    request_option(job, "steps", "1");
    RunKnobs free_knobs, least_knobs;
    size_t free_peak, least_peak, n, m;
    char *want = frames_of(job, (PlanConstraints){ 0 }, &free_knobs, &free_peak, &n);
    char *got =
        frames_of(job, (PlanConstraints){ .smallest = true }, &least_knobs, &least_peak, &m);
    CHECK(free_knobs.band_rows == 0 && least_knobs.band_rows > 0);
    CHECK(least_peak < free_peak);
    CHECK(n == m && memcmp(got, want, n) == 0);
    free(got);
    free(want);
    snug_job_free(job);
    snug_engine_close(engine);
}

/** A few frames keep nothing from one to the next. */
TEST(layout, few_frames_go_together)
{
    RunKnobs way[LAYOUT_MAX_WAYS];
    const int n = ways_of(5, 480, (PlanConstraints){ 0 }, way);
    CHECK_INT(n, 3);
    for (int i = 0; i < n; i++)
        CHECK(way[i].group_frames > 0);
    CHECK_INT(way[0].band_rows, 0);
}

/** No room for whole frames is no refusal. A device's memory holds nothing else, so it is exact. */
TEST(layout, a_tight_budget_is_met_by_bands)
{
    SnugEngine *engine = NULL;
    SnugPlan *plan = NULL;
    SnugError err = { { 0 } };
    const SnugEngineOptions options = { .ram_bytes = GIB, .device = "sim:1GiB,4GB/s" };
    REQUIRE_OK(snug_engine_open(&engine, &options, &err), &err);
    SnugJob *job = small_job(engine);
    request_option(job, "size", "1280x704");
    request_option(job, "frames", "13");
    REQUIRE_OK(snug_plan_create(&plan, job, &err), &err);
    const size_t whole = plan->placement.top;
    CHECK_INT(plan->knobs.band_rows, 0);
    snug_plan_free(plan);
    engine->vram_bytes = whole - ((size_t)1 << 20);
    REQUIRE_OK(snug_plan_create(&plan, job, &err), &err);
    CHECK(plan->knobs.band_rows > 0);
    CHECK(plan->figures.slab_bytes <= engine->vram_bytes);
    snug_plan_free(plan);
    snug_job_free(job);
    snug_engine_close(engine);
}
