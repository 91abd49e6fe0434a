/* test_ad.c  Advertisements of tiny models through the public API: the same bytes under every budget,
 * from any step on; what cannot be is refused. */
#include "pipelines/ad_request.h"

/* False when the budget is refused. */
static bool run(SnugEngine *engine, SnugJob *job, const char *output, SnugFigures *planned)
{
    SnugError err = { { 0 } };
    request_option(job, "output", output);
    const SnugStatus status = request_run(job, planned, &err);
    if (status != SNUG_OK && status != SNUG_ERR_BUDGET) fail_msg("%s", err.text);
    snug_job_free(job);
    snug_engine_close(engine);
    return status == SNUG_OK;
}

/* As values, so that what the PNG says of its making does not matter. */
static void run_npy(SnugJob *job, SnugEngine *engine, const char *name)
{
    SnugFigures figures;
    CHECK(run(engine, job, request_scratch(name), &figures));
}

TEST(ad, is_the_same_under_every_budget_and_thread_count)
{
    SnugFigures ample, tight;
    SnugEngine *engine = ad_engine(1, GIB);
    CHECK(run(engine, ad_job(engine), request_scratch("ample.npy"), &ample));
    size_t ram = ample.process_peak_bytes;
    for (int i = 0; i < 24; i++) { /* down until it is refused */
        engine = ad_engine(1 + i % 2, ram);
        if (!run(engine, ad_job(engine), request_scratch("tight.npy"), &tight)) break;
        request_check_same(request_scratch("ample.npy"), request_scratch("tight.npy"));
        ram -= MIB / 2;
    }
}

/* From step 2 or 3 on, with what the steps before left in the scratch folder, to tail.npy. */
static void run_tail(int first)
{
    SnugEngine *engine = ad_engine(2, GIB);
    SnugJob *job = ad_job(engine);
    request_option(job, "start-step", first == 2 ? "2" : "3");
    request_option(job, "step1-image", request_scratch("step1_result.png"));
    if (first == 3) request_option(job, "step2-image", request_scratch("step2_result.png"));
    run_npy(job, engine, "tail.npy");
}

TEST(ad, goes_on_from_any_step)
{
    SnugEngine *engine = ad_engine(2, GIB);
    SnugJob *job = ad_job(engine);
    request_option(job, "steps-folder", test_scratch());
    run_npy(job, engine, "full.npy");
    for (int first = 2; first <= 3; first++) {
        run_tail(first);
        request_check_same(request_scratch("full.npy"), request_scratch("tail.npy"));
    }
}

TEST(ad, blank_letters_end_after_the_first_step)
{
    SnugEngine *engine = ad_engine(2, GIB);
    SnugJob *job = ad_job(engine);
    request_option(job, "text-content", " \n");
    request_option(job, "sdxl", "nowhere"); /* not looked at */
    run_npy(job, engine, "first.npy");
    engine = ad_engine(2, GIB);
    run_npy(ad_job(engine), engine, "full.npy");
    CHECK(!request_same(request_scratch("first.npy"), request_scratch("full.npy")));
}

TEST(ad, auto_takes_one_of_three_places)
{
    static const char *const PLACES[] = { "auto", "top", "center", "bottom" };
    static const char *const FILES[] = { "auto.npy", "top.npy", "center.npy", "bottom.npy" };
    int equal = 0;
    for (size_t i = 0; i < COUNT(PLACES); i++) {
        SnugEngine *engine = ad_engine(2, GIB);
        SnugJob *job = ad_job(engine);
        request_option(job, "text-position", PLACES[i]);
        run_npy(job, engine, FILES[i]);
        if (i) equal += request_same(request_scratch(FILES[0]), request_scratch(FILES[i]));
    }
    CHECK_INT(equal, 1);
}

/* With negative prompts, all places' prompts, and an option that the service lacks; NULL: none. */
static SnugJob *guided_job(SnugEngine *engine, const char *option, const char *value)
{
    SnugJob *job = ad_job(engine);
    request_option(job, "text-position", "auto");
    request_option(job, "bg-negative-prompt", "people");
    request_option(job, "bg-composition-negative-prompt", "shadows");
    request_option(job, "composition-negative-prompt", "blur");
    if (option) request_option(job, option, value);
    return job;
}

TEST(ad, options_that_the_service_lacks_change_the_result_under_no_budget_differently)
{
    static const char *const OPTIONS[][2] = { { "true-cfg", "3" }, { "keep-unmasked", "true" } };
    SnugEngine *engine = ad_engine(2, GIB);
    run_npy(guided_job(engine, NULL, NULL), engine, "plain.npy");
    for (size_t i = 0; i < COUNT(OPTIONS); i++) {
        SnugFigures ample, tight;
        engine = ad_engine(1, GIB);
        SnugJob *job = guided_job(engine, OPTIONS[i][0], OPTIONS[i][1]);
        CHECK(run(engine, job, request_scratch("ample.npy"), &ample));
        CHECK(!request_same(request_scratch("plain.npy"), request_scratch("ample.npy")));
        engine = ad_engine(2, ample.process_peak_bytes - MIB);
        job = guided_job(engine, OPTIONS[i][0], OPTIONS[i][1]);
        CHECK(run(engine, job, request_scratch("tight.npy"), &tight));
        request_check_same(request_scratch("ample.npy"), request_scratch("tight.npy"));
    }
}

TEST(ad, without_a_product_the_background_can_be_the_result_of_step_1)
{
    SnugEngine *engine = ad_engine(2, GIB);
    SnugJob *job = ad_job_bare(engine);
    request_option(job, "no-product-skip-injection", "true");
    request_option(job, "steps-folder", test_scratch());
    run_npy(job, engine, "bare.npy");
    run_tail(2);
    request_check_same(request_scratch("bare.npy"), request_scratch("tail.npy"));
}

TEST(ad, without_product_and_letters_nothing_is_cut_out)
{
    SnugEngine *engine = ad_engine(2, GIB);
    SnugJob *job = ad_job_bare(engine);
    request_option(job, "text-content", "");
    run_npy(job, engine, "injected.npy");
    engine = ad_engine(2, GIB);
    job = ad_job_bare(engine);
    request_option(job, "text-content", "");
    request_option(job, "no-product-skip-injection", "true");
    request_option(job, "birefnet", "nowhere"); /* not looked at */
    run_npy(job, engine, "background.npy");
    CHECK(!request_same(request_scratch("injected.npy"), request_scratch("background.npy")));
}

/* Negative prompts alone change nothing, as with the service. */
TEST(ad, negative_prompts_wait_for_true_cfg)
{
    SnugEngine *engine = ad_engine(2, GIB);
    run_npy(ad_job(engine), engine, "plain.npy");
    engine = ad_engine(2, GIB);
    SnugJob *job = ad_job(engine);
    request_option(job, "bg-negative-prompt", "people");
    run_npy(job, engine, "negative.npy");
    request_check_same(request_scratch("plain.npy"), request_scratch("negative.npy"));
}

typedef struct Refusal {
    const char *option, *value;
    SnugStatus status;
    const char *says;
} Refusal;

TEST(ad, requests_that_cannot_be_are_refused)
{
    const Refusal refusals[] = {
        { "composition-mode", "beside", SNUG_ERR_ARG, "overlay, blend, behind" },
        { "text-position", "left", SNUG_ERR_ARG, "top, center, bottom, auto" },
        { "size", "192x160", SNUG_ERR_ARG, "square" },
        { "cutout-size", "65", SNUG_ERR_ARG, "multiple of 32" },
        { "text-content", "SALE SALE SALE SALE", SNUG_ERR_ARG, "does not fit" },
        { "text-content", "\xed\x95\x9c", SNUG_ERR_ARG, "U+D55C" },
        { "font", "nowhere.ttf", SNUG_ERR_ARG, "nowhere.ttf" },
        { "start-step", "2", SNUG_ERR_ARG, "--step1-image" },
        { "steps-folder", "nowhere", SNUG_ERR_ARG, "no folder" },
        { "birefnet", "nowhere", SNUG_ERR_FILE, "nowhere" },
        { "flux", "nowhere", SNUG_ERR_FILE, "nowhere" },
        { "composition-strength", "0", SNUG_ERR_ARG, "less than one step" },
    };
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const Refusal *x = &refusals[i];
        SnugEngine *engine = ad_engine(1, GIB);
        request_refused(ad_job(engine), x->option, x->value, x->status, x->says);
        snug_engine_close(engine);
    }
}
