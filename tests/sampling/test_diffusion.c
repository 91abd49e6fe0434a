/* test_diffusion.c  Whole runs of schedulers on a table of betas against diffusers
 * (tools/oracle/golden_diffusion.py), each configured by the file that diffusers would write. */
#include "test.h"

#include <stdio.h>

#include "config.h"
#include "base/size.h"
#include "golden.h"
#include "sampling/diffusion.h"
#include "steps.h"

enum { MAX_CASES = 128 };

/* Of the greatest value so far: Euler's samples reach 50. A step rounds the sample and a few sums
 * of its size, and DPM++ takes logarithms in f32, where another libm may differ by one; with the
 * made-up network that adds up like noise over 30 steps. Measured 1.6e-6. */
static const double TOLERANCE = 4e-6;
/* Levels: f32 square roots of f64 products, the same operations but for pow, exp and log of
 * respaced tables, which may differ by an ulp or two of f64 before they are rounded. */
static const double LEVELS = 3e-7;

static void step(const Diffusion *d, int i, const float **noise, float (*slot)[VALUES])
{
    StepProgram program;
    for (int j = 0; j < VALUES; j++)
        slot[SLOT_V][j] = steps_network(slot[SLOT_X][j] * d->input[i], d->timesteps[i]);
    if (diffusion_wants_noise(d, i)) {
        memcpy(slot[SLOT_NOISE], *noise, sizeof slot[0]);
        *noise += VALUES;
    }
    diffusion_step(d, i, &program);
    steps_sum(slot, &program);
}

/* Where a case's tensors stand. */
typedef struct Place {
    const float *start, *noise, *sigmas, *timesteps, *scales, *path, *end;
} Place;

static double greatest(const float *x, int n, double most)
{
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

static void check_scales(const DiffusionConfig *config, DiffusionRun job, const Place *at)
{
    Diffusion d;
    SnugError err;
    CHECK_INT(diffusion_init(&d, config, &job, &err), SNUG_OK);
    if (job.first == 0) CHECK(fabsf(d.start_noise - at->scales[0]) <= 3e-7f * at->scales[0]);
    CHECK(d.start_data == 0.0f);
    job.from_data = true;
    CHECK_INT(diffusion_init(&d, config, &job, &err), SNUG_OK);
    CHECK(fabsf(d.start_data - at->scales[1]) <= 3e-7f * at->scales[1]);
    CHECK(fabsf(d.start_noise - at->scales[2]) <= 3e-7f * at->scales[2]);
}

static void run(const char *name, const DiffusionConfig *config, DiffusionRun job, Place *at)
{
    Diffusion d;
    SnugError err;
    float slot[SLOT_COUNT][VALUES];
    const float *noise = at->noise;
    const int n = job.steps;
    if (diffusion_init(&d, config, &job, &err)) fail_msg("%s: %s", name, err.text);
    check_scales(config, job, at);
    CHECK_CLOSE(d.timesteps, at->timesteps, n, 2e-4);
    if (at->sigmas) CHECK_CLOSE(d.sigmas, at->sigmas, n + 1, LEVELS * greatest(at->sigmas, n, 1.0));
    steps_start(slot, at->start);
    double most = 1.0;
    for (int i = job.first; i < n; i++) {
        step(&d, i, &noise, slot);
        most = greatest(slot[SLOT_X], VALUES, most);
        CHECK_CLOSE(slot[SLOT_X], at->path, KEPT, TOLERANCE * most);
        at->path += KEPT;
    }
    CHECK_CLOSE(slot[SLOT_X], at->end, VALUES, TOLERANCE * most);
    if (at->sigmas) at->sigmas += n + 1;
    at->timesteps += n;
    at->scales += 3;
    at->end += VALUES;
}

static void configure(DiffusionConfig *config, const Golden *golden, const char *name)
{
    char text[1024];
    int64_t n;
    SnugError err;
    JsonDoc *doc;
    const int32_t *bytes = golden_get(golden, name, "config", &n);
    CHECK(n < (int64_t)sizeof text);
    for (int64_t i = 0; i < n; i++)
        text[i] = (char)bytes[i];
    Heap *heap = heap_create();
    if (json_parse(&doc, heap, text, (size_t)n, name, &err)) fail_msg("%s", err.text);
    if (diffusion_config_read(config, json_root(doc), &err)) fail_msg("%s", err.text);
    json_close(doc);
    heap_free(heap);
}

static void check(const Golden *golden, const char *name, int first, double eta)
{
    DiffusionConfig config;
    int64_t n_runs, n;
    configure(&config, golden, name);
    const int32_t *steps = golden_get(golden, name, "steps", &n_runs);
    Place at = { .start = golden_get(golden, "start", "x", &n),
                 .noise = golden_get(golden, "start", "noise", &n),
                 .timesteps = golden_get(golden, name, "timesteps", &n),
                 .scales = golden_get(golden, name, "scales", &n),
                 .path = golden_get(golden, name, "path", &n),
                 .end = golden_get(golden, name, "end", &n) };
    if (config.kind != DIFFUSION_DDIM) at.sigmas = golden_get(golden, name, "sigmas", &n);
    for (int64_t i = 0; i < n_runs; i++)
        run(name, &config, (DiffusionRun){ .steps = steps[i], .first = first, .eta = eta }, &at);
}

TEST(diffusion, equals_the_reference_for_every_option)
{
    char name[64];
    int first, n = 0;
    double eta;
    Golden golden;
    golden_open(&golden, "golden/diffusion/trajectories.safetensors");
    FILE *cases = fopen(test_path("golden/diffusion/cases.txt"), "r");
    CHECK(cases);
    while (fscanf(cases, "%63s %d %lf", name, &first, &eta) == 3) {
        print_message("%s\n", name);
        check(&golden, name, first, eta);
        n++;
    }
    (void)fclose(cases);
    CHECK(n > 40);
    golden_close(&golden);
}

TEST(diffusion, published_sdxl_configuration_has_the_published_levels)
{
    DiffusionConfig config;
    Diffusion d;
    SnugError err;
    diffusion_config_sdxl(&config);
    CHECK_INT(diffusion_init(&d, &config, &(DiffusionRun){ .steps = 30 }, &err), SNUG_OK);
    CHECK(d.timesteps[0] == 958.0f && d.timesteps[29] == 1.0f);
    CHECK(fabsf(d.sigmas[0] - 11.4768505f) < 1e-6f && fabsf(d.start_noise - 11.5203342f) < 1e-6f);
    diffusion_config_switch(&config, DIFFUSION_DPMPP);
    CHECK_INT(diffusion_init(&d, &config, &(DiffusionRun){ .steps = 30 }, &err), SNUG_OK);
    CHECK(d.timesteps[0] == 961.0f && d.timesteps[29] == 33.0f && d.start_noise == 1.0f);
}

static SnugStatus read_config(Json config, SnugError *err)
{
    DiffusionConfig cfg;
    return diffusion_config_read(&cfg, config, err);
}

static void refuse(const char *json, const char *what)
{
    config_check_refused(read_config, json, what);
}

TEST(diffusion, configurations_that_cannot_be_run_are_refused)
{
#define EULER "{\"_class_name\":\"EulerDiscreteScheduler\","
    refuse("{}", "_class_name");
    refuse("{\"_class_name\":\"PNDMScheduler\"}", "PNDMScheduler");
    refuse(EULER "\"beta_schedule\":\"sigmoid\"}", "beta_schedule");
    refuse(EULER "\"interpolation_type\":\"log_linear\"}", "interpolation_type");
    refuse(EULER "\"timestep_type\":\"continuous\"}", "timestep_type");
    refuse(EULER "\"use_beta_sigmas\":true}", "use_beta_sigmas");
    refuse(EULER "\"trained_betas\":[0.1]}", "trained_betas");
    refuse(EULER "\"num_train_timesteps\":1000000}", "num_train_timesteps");
    refuse(EULER "\"prediction_type\":\"flow\"}", "prediction_type");
    refuse("{\"_class_name\":\"EulerAncestralDiscreteScheduler\",\"prediction_type\":\"sample\"}",
           "prediction_type");
    refuse("{\"_class_name\":\"DDIMScheduler\",\"thresholding\":true}", "thresholding");
    refuse("{\"_class_name\":\"DPMSolverMultistepScheduler\",\"algorithm_type\":\"dpmsolver\"}",
           "algorithm_type");
}

TEST(diffusion, impossible_runs_are_refused)
{
    static const struct {
        DiffusionRun run;
        const char *what;
    } RUNS[] = { { { .steps = 0 }, "0 steps" },
                 { { .steps = 1001 }, "1001 steps" },
                 { { .steps = 4, .first = 4 }, "first step 4" },
                 { { .steps = 4, .eta = 1.5 }, "eta" } };
    DiffusionConfig config;
    Diffusion d;
    SnugError err;
    diffusion_config_sdxl(&config);
    for (size_t i = 0; i < COUNT(RUNS); i++) {
        CHECK_INT(diffusion_init(&d, &config, &RUNS[i].run, &err), SNUG_ERR_ARG);
        CHECK_HAS(err.text, RUNS[i].what);
    }
    config.zero_snr = true; /* nothing is kept: DDIM divides by it */
    config.spacing = SPACING_TRAILING;
    diffusion_config_switch(&config, DIFFUSION_DDIM);
    CHECK_INT(diffusion_init(&d, &config, &(DiffusionRun){ .steps = 4 }, &err), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "not finite");
}

/* As diffusers writes an unlimited lambda_min_clipped. */
TEST(diffusion, minus_infinity_in_a_file_is_no_limit)
{
    static const char TEXT[] = "{\"_class_name\": \"DPMSolverMultistepScheduler\", "
                               "\"lambda_min_clipped\": -Infinity, \"trained_betas\": null}";
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    SnugError err;
    DiffusionConfig config;
    CHECK_INT(json_parse(&doc, heap, TEXT, strlen(TEXT), "c.json", &err), SNUG_OK);
    CHECK_INT(diffusion_config_read(&config, json_root(doc), &err), SNUG_OK);
    CHECK(isinf(config.lambda_min));
    json_close(doc);
    heap_free(heap);
}
