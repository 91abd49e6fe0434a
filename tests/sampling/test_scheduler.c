/* test_scheduler.c  Tables the specifications quote, options from files, and refusals. */
#include "test.h"

#include <stdio.h>

#include "base/size.h"
#include "sampling/scheduler.h"
#include "sampling/scheduler_config_json.h"

static void init(Scheduler *s, SchedulerKind kind, int steps, double shift)
{
    SchedulerConfig config;
    SnugError err;
    scheduler_config_defaults(&config, kind);
    SchedulerRun run = { .steps = steps, .shift = shift };
    if (scheduler_init(s, &config, &run, &err)) fail_msg("%s", err.text);
}

/* Published runs: first timesteps, last one, and how many steps go to the high-noise expert. */
TEST(scheduler, unipc_orig_gives_the_published_timesteps)
{
    static const struct {
        int steps;
        double shift, boundary;
        float first[6], last;
        int high;
    } RUNS[] = {
        { 40, 5, 900, { 999, 994, 989, 983, 978, 972 }, 113, 15 },
        { 40, 12, 875, { 999, 997, 995, 993, 990, 988 }, 235, 26 },
        { 70, 10, 947, { 999, 998, 996, 995, 993, 992 }, 126, 26 },
        { 40, 5, 947, { 999, 994, 989, 983, 978, 972 }, 113, 9 },
        { 50, 5, 2000, { 999, 995, 991, 987, 982, 978 }, 92, 0 },
        { 8, 5, 2000, { 999, 972, 937, 892, 833, 749 }, 416, 0 },
    };
    for (size_t i = 0; i < COUNT(RUNS); i++) {
        Scheduler s;
        init(&s, SCHEDULER_UNIPC_ORIG, RUNS[i].steps, RUNS[i].shift);
        CHECK_CLOSE(s.timesteps, RUNS[i].first, 6, 0);
        CHECK(s.timesteps[s.n - 1] == RUNS[i].last);
        int high = 0;
        for (int k = 0; k < s.n; k++)
            high += (double)s.timesteps[k] >= RUNS[i].boundary;
        CHECK_INT(high, RUNS[i].high);
    }
}

TEST(scheduler, first_levels_differ_as_the_classes_do)
{
    Scheduler s;
    init(&s, SCHEDULER_DPMPP_ORIG, 50, 5);
    CHECK(s.sigmas[0] == 1.0f && s.timesteps[0] == 1000.0f);
    init(&s, SCHEDULER_UNIPC_ORIG, 50, 5);
    CHECK(fabs((double)s.sigmas[0] - 0.99979985) < 1e-8);
    init(&s, SCHEDULER_UNIPC, 50, 5);
    CHECK(s.sigmas[0] == (float)(1.0 - 1e-6) && s.timesteps[0] == 999.0f);
    init(&s, SCHEDULER_EULER, 25, 5); /* shifted twice */
    CHECK(s.sigmas[0] == 1.0f && s.timesteps[0] == 1000.0f);
    CHECK(fabs((double)s.sigmas[24] - 0.024414) < 5e-7 && s.sigmas[25] == 0.0f);
}

/* The first timesteps are equal: the reference begins at the second and ends past its table. */
TEST(scheduler, equal_timesteps_do_not_skip_a_step)
{
    Scheduler s;
    StepProgram program;
    init(&s, SCHEDULER_UNIPC_ORIG, 120, 12);
    CHECK(s.timesteps[0] == s.timesteps[1]);
    CHECK_INT(s.first, 0);
    scheduler_step(&s, 119, &program);
    CHECK_INT(program.n, 3);
}

TEST(scheduler, last_step_to_zero_is_the_prediction_itself)
{
    static const SchedulerKind KINDS[] = { SCHEDULER_UNIPC, SCHEDULER_UNIPC_ORIG, SCHEDULER_DPMPP,
                                           SCHEDULER_DPMPP_ORIG };
    for (size_t i = 0; i < COUNT(KINDS); i++) {
        for (int steps = 1; steps < 6; steps++) {
            Scheduler s;
            StepProgram program;
            init(&s, KINDS[i], steps, 8);
            scheduler_step(&s, steps - 1, &program);
            const StepSum *last = &program.sum[program.n - 1];
            CHECK_INT(last->to, SLOT_X);
            CHECK_INT(last->n, 1);
            CHECK(last->from[0] >= SLOT_M && last->coef[0] == 1.0f);
        }
    }
}

/* A constant velocity is a straight line: every solver follows it exactly, whatever its order. */
TEST(scheduler, follows_a_straight_line_to_the_end)
{
    for (int kind = 0; kind < SCHEDULER_KINDS; kind++) {
        for (int steps = 1; steps <= 60; steps++) {
            Scheduler s;
            double slot[SLOT_COUNT] = { 0 };
            init(&s, (SchedulerKind)kind, steps, 3);
            slot[SLOT_X] = 2.0 + (double)s.sigmas[0] * 0.7; /* data 2, velocity 0.7 */
            slot[SLOT_V] = 0.7;
            for (int i = 0; i < steps; i++) {
                StepProgram program;
                scheduler_step(&s, i, &program);
                for (int k = 0; k < program.n; k++) {
                    const StepSum *sum = &program.sum[k];
                    double y = 0;
                    for (int t = 0; t < sum->n; t++)
                        y += (double)sum->coef[t] * slot[sum->from[t]];
                    slot[sum->to] = y;
                }
            }
            CHECK(fabs(slot[SLOT_X] - 2.0) < 1e-5); /* 60 roundings of coefficients, 6e-8 each */
        }
    }
}

TEST(scheduler, mu_is_linear_in_tokens)
{
    SchedulerConfig config;
    scheduler_config_defaults(&config, SCHEDULER_EULER);
    CHECK(fabs(scheduler_mu(&config, 4096) - 1.15) < 1e-12);
    CHECK(fabs(scheduler_mu(&config, 256) - 0.5) < 1e-12);
    CHECK(fabs(scheduler_mu(&config, 1024) - 0.63) < 1e-12);
}

/* FLUX: the pipeline's levels 1 .. 1 / n, shifted by exp(mu). Values quoted in image.md 9.1. */
TEST(scheduler, flux_levels)
{
    static const float WANT[] = { 1.0f, 0.8492348f, 0.6524894f, 0.3849447f, 0.0f };
    static const float OWN[] = { 1.0f, 0.75f, 0.5f, 0.25f };
    SchedulerConfig config;
    SnugError err;
    Scheduler s;
    scheduler_config_defaults(&config, SCHEDULER_EULER);
    config.dynamic_shift = true;
    SchedulerRun run = { .steps = 4, .sigmas = OWN, .mu = scheduler_mu(&config, 1024) };
    CHECK_INT(scheduler_init(&s, &config, &run, &err), SNUG_OK);
    CHECK_CLOSE(s.sigmas, WANT, 5, 6e-8); /* quoted to 7 digits */
}

static SnugStatus read(SchedulerConfig *config, const char *text, SnugError *err)
{
    JsonDoc *doc;
    Heap *heap = heap_create();
    SnugStatus status = json_parse(&doc, heap, text, strlen(text), "scheduler_config.json", err);
    if (status == SNUG_OK) status = scheduler_config_json_read(config, json_root(doc), err);
    json_close(doc);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
    return status;
}

TEST(scheduler_config, reads_what_diffusers_writes_for_wan)
{
    static const char TEXT[] =
        "{\"_class_name\": \"UniPCMultistepScheduler\", \"_diffusers_version\": \"0.42.1\","
        "\"beta_end\": 0.02, \"beta_schedule\": \"linear\", \"beta_start\": 0.0001,"
        "\"disable_corrector\": [], \"dynamic_thresholding_ratio\": 0.995,"
        "\"final_sigmas_type\": \"zero\", \"flow_shift\": 5.0, \"lower_order_final\": true,"
        "\"num_train_timesteps\": 1000, \"predict_x0\": true,"
        "\"prediction_type\": \"flow_prediction\", \"rescale_betas_zero_snr\": false,"
        "\"sample_max_value\": 1.0, \"shift_terminal\": null, \"sigma_max\": null,"
        "\"sigma_min\": null, \"solver_order\": 2, \"solver_p\": null, \"solver_type\": \"bh2\","
        "\"steps_offset\": 0, \"thresholding\": false, \"time_shift_type\": \"exponential\","
        "\"timestep_spacing\": \"linspace\", \"trained_betas\": null,"
        "\"use_beta_sigmas\": false, \"use_dynamic_shifting\": false,"
        "\"use_exponential_sigmas\": false, \"use_flow_sigmas\": true, \"use_karras_sigmas\": "
        "false}";
    SchedulerConfig config;
    SnugError err;
    if (read(&config, TEXT, &err)) fail_msg("%s", err.text);
    CHECK_INT(config.kind, SCHEDULER_UNIPC);
    CHECK(config.shift == 5.0 && config.order == 2 && config.solver == SOLVER_BH2);
    CHECK(!config.dynamic_shift && !config.final_sigma_min && config.lower_order_final);
}

TEST(scheduler_config, reads_the_options_of_flux)
{
    SchedulerConfig config;
    SnugError err;
    if (read(&config,
             "{\"base_image_seq_len\": 256, \"base_shift\": 0.5, \"max_image_seq_len\": 4096,"
             "\"max_shift\": 1.15, \"num_train_timesteps\": 1000, \"shift\": 3,"
             "\"use_dynamic_shifting\": true,"
             "\"_class_name\": \"FlowMatchEulerDiscreteScheduler\"}",
             &err))
        fail_msg("%s", err.text);
    CHECK_INT(config.kind, SCHEDULER_EULER);
    CHECK(config.shift == 3.0 && config.dynamic_shift && config.max_tokens == 4096);
}

#define UNIPC                                                                                      \
    "{\"_class_name\": \"UniPCMultistepScheduler\", \"use_flow_sigmas\": true, "                   \
    "\"prediction_type\": \"flow_prediction\", "
#define DPMPP                                                                                      \
    "{\"_class_name\": \"DPMSolverMultistepScheduler\", \"use_flow_sigmas\": true, "               \
    "\"prediction_type\": \"flow_prediction\", "
#define EULER "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", "

TEST(scheduler_config, refuses_what_it_cannot_do_and_names_the_key)
{
    static const struct {
        const char *text, *says;
    } BAD[] = {
        { "{}", "_class_name" },
        { "{\"_class_name\": 3}", "_class_name" },
        { "{\"_class_name\": \"DDIMScheduler\"}", "DDIMScheduler" },
        { "{\"_class_name\": \"UniPCMultistepScheduler\"}", "prediction_type" },
        { UNIPC "\"use_flow_sigmas\": false}", "duplicate" },
        { "{\"_class_name\": \"UniPCMultistepScheduler\", "
          "\"prediction_type\": \"flow_prediction\"}",
          "use_flow_sigmas" },
        { UNIPC "\"thresholding\": true}", "thresholding" },
        { UNIPC "\"predict_x0\": false}", "predict_x0" },
        { UNIPC "\"solver_p\": {}}", "solver_p" },
        { UNIPC "\"use_karras_sigmas\": true}", "Karras" },
        { UNIPC "\"use_beta_sigmas\": true}", "use_beta_sigmas" },
        { UNIPC "\"solver_order\": 4}", "solver_order" },
        { UNIPC "\"solver_order\": 2.5}", "solver_order" },
        { UNIPC "\"solver_type\": \"bh3\"}", "solver_type" },
        { UNIPC "\"lower_order_final\": false}", "lower_order_final" },
        { UNIPC "\"flow_shift\": -1}", "flow_shift" },
        { UNIPC "\"flow_shift\": 0}", "shift" },
        { UNIPC "\"flow_shift\": \"5\"}", "flow_shift" },
        { UNIPC "\"flow_shift\": 1e400}", "" },
        { UNIPC "\"num_train_timesteps\": 0}", "num_train_timesteps" },
        { UNIPC "\"final_sigmas_type\": \"one\"}", "final_sigmas_type" },
        { UNIPC "\"disable_corrector\": [64]}", "disable_corrector" },
        { UNIPC "\"shift_terminal\": 1}", "shift_terminal" },
        { DPMPP "\"algorithm_type\": \"sde-dpmsolver++\"}", "algorithm_type" },
        { DPMPP "\"use_lu_lambdas\": true}", "use_lu_lambdas" },
        { DPMPP "\"final_sigmas_type\": \"sigma_min\", \"trained_betas\": [1]}", "trained_betas" },
        { DPMPP "\"final_sigmas_type\": \"sigma_min\", \"beta_start\": 1}", "sigma_min" },
        { EULER "\"stochastic_sampling\": true}", "stochastic_sampling" },
        { EULER "\"time_shift_type\": \"cubic\"}", "time_shift_type" },
        { EULER "\"base_image_seq_len\": 4096}", "tokens" },
        { EULER "\"use_karras_sigmas\": true, \"use_exponential_sigmas\": true}", "both" },
        { "{\"_class_name\": \"FlowUniPCMultistepScheduler\", "
          "\"final_sigmas_type\": \"sigma_min\"}",
          "last sigma" },
    };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        SchedulerConfig config;
        SnugError err = { "" };
        if (read(&config, BAD[i].text, &err) != SNUG_ERR_FILE) fail_msg("accepted %s", BAD[i].text);
        CHECK_HAS(err.text, "scheduler_config.json");
        CHECK_HAS(err.text, BAD[i].says);
    }
}

TEST(scheduler_config, names_lead_to_kinds_and_back)
{
    SchedulerKind kind;
    SnugError err;
    for (int k = 0; k < SCHEDULER_KINDS; k++) {
        CHECK_INT(scheduler_kind_of_name(&kind, scheduler_kind_name((SchedulerKind)k), &err),
                  SNUG_OK);
        CHECK_INT(kind, k);
        const char *name = scheduler_kind_class((SchedulerKind)k);
        CHECK(scheduler_kind_of_class(&kind, name, strlen(name)) && (int)kind == k);
        CHECK(!scheduler_kind_of_class(&kind, name, strlen(name) - 1));
    }
    CHECK_INT(scheduler_kind_of_name(&kind, "ddim", &err), SNUG_ERR_ARG);
    CHECK_TEXT(err.text, "scheduler 'ddim': there are unipc, unipc-orig, euler, dpm++, dpm++-orig");
}

TEST(scheduler_config, another_class_keeps_the_shift)
{
    SchedulerConfig config;
    scheduler_config_defaults(&config, SCHEDULER_UNIPC);
    config.shift = 7;
    config.order = 3;
    scheduler_config_switch(&config, SCHEDULER_DPMPP);
    CHECK(config.shift == 7 && config.order == 2 && config.solver == SOLVER_MIDPOINT);
    CHECK_INT(config.kind, SCHEDULER_DPMPP);
}

TEST(scheduler, refuses_runs_that_cannot_be)
{
    static const float OWN[] = { 1.0f, NAN };
    static const struct {
        SchedulerKind kind;
        SchedulerRun run;
        const char *says;
    } BAD[] = {
        { SCHEDULER_UNIPC, { .steps = 0 }, "1 to 1000" },
        { SCHEDULER_UNIPC, { .steps = -5 }, "1 to 1000" },
        { SCHEDULER_UNIPC, { .steps = 1001 }, "1 to 1000" },
        { SCHEDULER_UNIPC, { .steps = 4, .first = 4 }, "0 to 3" },
        { SCHEDULER_UNIPC, { .steps = 4, .first = -1 }, "0 to 3" },
        { SCHEDULER_UNIPC, { .steps = 4, .shift = -2 }, "shift" },
        { SCHEDULER_UNIPC, { .steps = 4, .shift = (double)NAN }, "shift" },
        { SCHEDULER_UNIPC, { .steps = 4, .shift = (double)INFINITY }, "shift" },
        { SCHEDULER_UNIPC, { .steps = 2, .sigmas = OWN }, "euler" },
        { SCHEDULER_EULER, { .steps = 2, .sigmas = OWN }, "outside 0 to 1" },
        { SCHEDULER_UNIPC_ORIG, { .steps = 1000, .shift = 1e6 }, "not finite" },
    };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        Scheduler s;
        SchedulerConfig config;
        SnugError err = { "" };
        scheduler_config_defaults(&config, BAD[i].kind);
        CHECK_INT(scheduler_init(&s, &config, &BAD[i].run, &err), SNUG_ERR_ARG);
        CHECK_HAS(err.text, BAD[i].says);
        CHECK_HAS(err.text, scheduler_kind_name(BAD[i].kind));
    }
}

TEST(scheduler, dynamic_shift_wants_a_sane_mu)
{
    static const double BAD_MU[] = { (double)NAN, (double)INFINITY, -51, 51 };
    Scheduler s;
    SchedulerConfig config;
    SnugError err;
    scheduler_config_defaults(&config, SCHEDULER_EULER);
    config.dynamic_shift = true;
    for (size_t i = 0; i < COUNT(BAD_MU); i++) {
        SchedulerRun run = { .steps = 4, .mu = BAD_MU[i] };
        CHECK_INT(scheduler_init(&s, &config, &run, &err), SNUG_ERR_ARG);
        CHECK_HAS(err.text, "mu");
    }
    config.linear_shift = true;
    SchedulerRun run = { .steps = 4, .mu = 0 };
    CHECK_INT(scheduler_init(&s, &config, &run, &err), SNUG_ERR_ARG);
}

/* Any accepted configuration gives finite sums that read only what an earlier step wrote. */
TEST(scheduler, every_accepted_run_is_sound)
{
    test_seed(5);
    for (int trial = 0; trial < 3000; trial++) {
        float u[10];
        test_random(u, COUNT(u), 0, 1);
        SchedulerConfig config;
        Scheduler s;
        SnugError err;
        scheduler_config_defaults(&config, (SchedulerKind)(u[0] * SCHEDULER_KINDS));
        config.order = 1 + (int)(u[1] * 3);
        config.shift = exp(12.0 * (double)u[2] - 5.0);
        config.solver = (SolverType)(u[3] * 4);
        config.final_sigma_min = u[4] < 0.3f;
        config.sigma_min = 0.01;
        config.lower_order_final = u[5] < 0.8f;
        config.uncorrected = u[6] < 0.5f ? 0 : (uint64_t)(u[6] * 0x1p60f);
        SchedulerRun run = { .steps = 1 + (int)(u[7] * u[7] * 300) };
        run.first = (int)(u[8] * u[8] * (float)run.steps);
        if (scheduler_init(&s, &config, &run, &err) != SNUG_OK) continue;
        bool written[SLOT_COUNT] = { [SLOT_X] = true, [SLOT_V] = true };
        for (int i = s.first; i < s.n; i++) {
            StepProgram program;
            scheduler_step(&s, i, &program);
            for (int k = 0; k < program.n; k++) {
                CHECK(program.sum[k].n >= 1 && program.sum[k].n <= STEP_MAX_TERMS);
                for (int t = 0; t < program.sum[k].n; t++) {
                    CHECK(written[program.sum[k].from[t]]);
                    CHECK(isfinite(program.sum[k].coef[t]));
                }
                written[program.sum[k].to] = true;
            }
            CHECK_INT(program.sum[program.n - 1].to, SLOT_X);
        }
    }
}
