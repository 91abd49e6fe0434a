/* test_trajectory.c  Whole runs of every scheduler against diffusers and the Wan classes. */
#include "test.h"

#include <stdio.h>

#include "base/size.h"
#include "golden.h"
#include "sampling/scheduler.h"
#include "sampling/scheduler_config_json.h"
#include "steps.h"

/* A trajectory stays within |x| < 4. The coefficients of a step come from f32 logarithms near 9
 * (unit in the last place 1e-6, and another libm may differ by one), so a step may differ from the
 * reference by 2e-6 at most, most steps by a rounding of x, 2e-7. The network hands errors of x on
 * with about their own size, so over a run they add up like noise: 50 steps, 7 times 1e-6.
 * Measured: 2.7e-6 (4.2e-6 with order 3); Euler, without logarithms, 1.2e-7. */
static const double TOLERANCE = 1e-5;

/* Two levels or timesteps: the table is computed in the same f64 operations. */
static const double EXACT = 0.0;

static void step(const Scheduler *s, int i, float (*slot)[VALUES])
{
    StepProgram program;
    for (int j = 0; j < VALUES; j++)
        slot[SLOT_V][j] = steps_network(slot[SLOT_X][j], s->timesteps[i]);
    scheduler_step(s, i, &program);
    steps_sum(slot, &program);
}

typedef struct Case {
    const char *name;    /* in the golden file */
    const char *options; /* scheduler_config.json without the class name */
    double mu, shift;
    int first;
    bool even; /* the pipeline's own levels, linspace(1, 1 / n, n) */
} Case;

/* Where a case's tensors stand. */
typedef struct Place {
    const float *start, *sigmas, *timesteps, *path, *end;
} Place;

static void run(const Case *c, const SchedulerConfig *config, int n, Place *at)
{
    Scheduler s;
    SnugError err;
    float own[64], slot[SLOT_COUNT][VALUES];
    for (int i = 0; i < n; i++) /* as numpy: the last is set, not computed */
        own[i] = (float)(i + 1 < n ? i * ((1.0 / n - 1.0) / (n - 1)) + 1.0 : 1.0 / n);
    SchedulerRun job = { .steps = n, .first = c->first, .mu = c->mu, .shift = c->shift };
    if (c->even) job.sigmas = own;
    if (scheduler_init(&s, config, &job, &err)) fail_msg("%s: %s", c->name, err.text);
    CHECK_CLOSE(s.sigmas, at->sigmas, n + 1, EXACT);
    CHECK_CLOSE(s.timesteps, at->timesteps, n, EXACT);
    steps_start(slot, at->start);
    for (int i = c->first; i < n; i++) {
        step(&s, i, slot);
        CHECK_CLOSE(slot[SLOT_X], at->path, KEPT, TOLERANCE);
        at->path += KEPT;
    }
    CHECK_CLOSE(slot[SLOT_X], at->end, VALUES, TOLERANCE);
    at->sigmas += n + 1;
    at->timesteps += n;
    at->end += VALUES;
}

static void configure(SchedulerConfig *config, const Case *c)
{
    char text[512], kind_name[32] = "";
    SchedulerKind kind;
    SnugError err;
    JsonDoc *doc;
    memcpy(kind_name, c->name, (size_t)(strchr(c->name, '/') - c->name));
    CHECK_INT(scheduler_kind_of_name(&kind, kind_name, &err), SNUG_OK);
    bool flow = kind == SCHEDULER_UNIPC || kind == SCHEDULER_DPMPP;
    (void)snprintf(text, sizeof text, "{\"_class_name\": \"%s\"%s%s%s}", scheduler_kind_class(kind),
                   *c->options ? ", " : "", c->options,
                   flow ? ", \"use_flow_sigmas\": true, \"prediction_type\": \"flow_prediction\""
                        : "");
    Heap *heap = heap_create();
    if (json_parse(&doc, heap, text, strlen(text), c->name, &err)) fail_msg("%s", err.text);
    if (scheduler_config_json_read(config, json_root(doc), &err)) fail_msg("%s", err.text);
    json_close(doc);
    heap_free(heap);
}

static void check(const Golden *golden, const Case *c)
{
    SchedulerConfig config;
    int64_t n_runs, n;
    configure(&config, c);
    const int32_t *steps = golden_get(golden, c->name, "steps", &n_runs);
    Place at = { golden_get(golden, "start", "x", &n), golden_get(golden, c->name, "sigmas", &n),
                 golden_get(golden, c->name, "timesteps", &n),
                 golden_get(golden, c->name, "path", &n), golden_get(golden, c->name, "end", &n) };
    for (int64_t i = 0; i < n_runs; i++)
        run(c, &config, steps[i], &at);
}

static const char GOLDEN[] = "golden/sampling/trajectories.safetensors";

TEST(trajectory, equals_the_reference_for_every_scheduler_and_shift)
{
    static const int SHIFTS[] = { 1, 3, 5, 8, 12 };
    Golden golden;
    golden_open(&golden, GOLDEN);
    for (int kind = 0; kind < SCHEDULER_KINDS; kind++) {
        for (size_t i = 0; i < COUNT(SHIFTS); i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "%s/shift%d",
                           scheduler_kind_name((SchedulerKind)kind), SHIFTS[i]);
            check(&golden, &(Case){ .name = name, .options = "", .shift = SHIFTS[i] });
        }
    }
    golden_close(&golden);
}

TEST(trajectory, may_begin_in_the_middle)
{
    Golden golden;
    golden_open(&golden, GOLDEN);
    for (int kind = 0; kind < SCHEDULER_KINDS; kind++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s/first7", scheduler_kind_name((SchedulerKind)kind));
        check(&golden, &(Case){ .name = name, .options = "", .shift = 5, .first = 7 });
    }
    golden_close(&golden);
}

#define MIN       "\"final_sigmas_type\": \"sigma_min\""
#define BH1       "\"solver_type\": \"bh1\""
#define HEUN      "\"solver_type\": \"heun\""
#define ORDER1    "\"solver_order\": 1"
#define ORDER3    "\"solver_order\": 3"
#define DYNAMIC   "\"use_dynamic_shifting\": true"
#define LINEAR    "\"time_shift_type\": \"linear\""
#define EULER_END "\"euler_at_final\": true"
#define FULL_END  "\"lower_order_final\": false"

static const Case CASES[] = {
    { .name = "unipc/order1", .options = ORDER1 },
    { .name = "unipc/order3", .options = ORDER3 },
    { .name = "unipc/bh1", .options = BH1 ", " MIN },
    { .name = "unipc/bh1_order3", .options = BH1 ", " ORDER3 ", " MIN },
    { .name = "unipc/uncorrected", .options = "\"disable_corrector\": [0, 1, 4]" },
    { .name = "unipc/sigma_min", .options = MIN },
    { .name = "unipc/mu", .options = DYNAMIC, .mu = 1.15 },
    { .name = "unipc/mu_linear", .options = DYNAMIC ", " LINEAR, .mu = 0.8 },
    { .name = "unipc/terminal", .options = "\"shift_terminal\": 0.1" },
    { .name = "unipc-orig/order3", .options = ORDER3 },
    { .name = "unipc-orig/mu", .options = DYNAMIC, .mu = 1.15 },
    { .name = "euler/mu", .options = DYNAMIC, .mu = 1.15 },
    { .name = "euler/mu_linear", .options = DYNAMIC ", " LINEAR, .mu = 0.8 },
    { .name = "euler/mu_even", .options = DYNAMIC, .mu = 0.63, .even = true },
    { .name = "euler/even", .options = "", .even = true },
    { .name = "euler/even_terminal", .options = "\"shift_terminal\": 0.02", .even = true },
    { .name = "euler/terminal", .options = "\"shift_terminal\": 0.1" },
    { .name = "euler/inverted", .options = "\"invert_sigmas\": true" },
    { .name = "euler/karras", .options = "\"use_karras_sigmas\": true" },
    { .name = "euler/exponential", .options = "\"use_exponential_sigmas\": true" },
    { .name = "dpm++/order1", .options = ORDER1 },
    { .name = "dpm++/order3", .options = ORDER3 },
    { .name = "dpm++/heun", .options = HEUN },
    { .name = "dpm++/euler_at_final", .options = EULER_END ", " MIN },
    { .name = "dpm++/sigma_min", .options = MIN },
    { .name = "dpm++/sigma_min_order3", .options = MIN ", " ORDER3 },
    { .name = "dpm++/full_order", .options = FULL_END ", " ORDER3 },
    { .name = "dpm++-orig/order3", .options = ORDER3 },
    { .name = "dpm++-orig/heun", .options = HEUN },
};

TEST(trajectory, equals_the_reference_for_every_option)
{
    Golden golden;
    golden_open(&golden, GOLDEN);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Case c = CASES[i];
        c.shift = 5;
        check(&golden, &c);
    }
    golden_close(&golden);
}
