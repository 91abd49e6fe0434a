/* test_stepper.c  Steps, guidance and noise as operations of a Run, on a device of a few lines. */
#include "test.h"

#include <stdio.h>

#include "base/size.h"
#include "compute/ops.h"
#include "compute/run.h"
#include "sampling/guidance.h"
#include "sampling/noise.h"
#include "sampling/stepper.h"

enum { VALUES = 24, MAX_TENSORS = 512 };

/* Every tensor at its own place; counts operations. */
typedef struct Bench {
    Run run;
    Device device;
    RunHooks hooks;
    SnugError err;
    int n_ops;
    float at[MAX_TENSORS][VALUES];
} Bench;

static size_t no_workspace(const void *self, const Op *op)
{
    (void)self;
    (void)op;
    return 0;
}

static SnugStatus place(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    Bench *b = self;
    (void)err;
    for (int i = 0; i < op->n_in; i++)
        places->in[i] = b->at[op->in[i].id];
    places->out = b->at[op->out.id];
    return SNUG_OK;
}

static void done(void *self, const Op *op)
{
    (void)op;
    ((Bench *)self)->n_ops++;
}

static SnugStatus compute(void *self, const Op *op, const OpPlaces *places, SnugError *err)
{
    float *y = places->out;
    (void)self;
    (void)err;
    if (op->kind == OP_INPUT) op->arg.input.fill(op->arg.input.context, y, VALUES);
    for (int j = 0; j < VALUES && op->kind != OP_INPUT; j++) {
        const float *const *in = (const float *const *)places->in;
        const float *coef = op->arg.combine.coef;
        if (op->kind == OP_GUIDE) {
            y[j] = in[0][j] + coef[0] * (in[1][j] - in[0][j]);
            continue;
        }
        y[j] = coef[0] * in[0][j];
        for (int k = 1; k < op->n_in; k++)
            y[j] = fmaf(coef[k], in[k][j], y[j]);
    }
    return SNUG_OK;
}

static void bench_init(Bench *b)
{
    memset(b, 0, sizeof *b);
    b->device = (Device){ .name = "bench", .workspace_bytes = no_workspace, .execute = compute };
    b->hooks = (RunHooks){ .self = b, .op = place, .op_done = done };
    b->run = (Run){ .device = &b->device, .hooks = &b->hooks, .err = &b->err };
}

static const float *values(const Bench *b, Tensor t)
{
    CHECK(tensor_exists(t));
    return b->at[t.id];
}

static Tensor noise(Bench *b, Random *random)
{
    Noise context = { .random = random };
    return run_input(&b->run, SHAPE(VALUES), noise_fill, &context);
}

static void init(Scheduler *s, SchedulerKind kind, int steps, int first)
{
    SchedulerConfig config;
    SnugError err;
    scheduler_config_defaults(&config, kind);
    SchedulerRun run = { .steps = steps, .shift = 5, .first = first };
    if (scheduler_init(s, &config, &run, &err)) fail_msg("%s", err.text);
}

/* One step by hand on slots, as test_trajectory.c checks against the reference. */
static void step_by_hand(const Scheduler *s, int i, float (*slot)[VALUES])
{
    StepProgram program;
    scheduler_step(s, i, &program);
    for (int k = 0; k < program.n; k++) {
        const StepSum *sum = &program.sum[k];
        float y[VALUES];
        for (int j = 0; j < VALUES; j++) {
            y[j] = sum->coef[0] * slot[sum->from[0]][j];
            for (int t = 1; t < sum->n; t++)
                y[j] = fmaf(sum->coef[t], slot[sum->from[t]][j], y[j]);
        }
        memcpy(slot[sum->to], y, sizeof y);
    }
}

TEST(stepper, does_what_the_programs_say)
{
    static Bench b;
    for (int kind = 0; kind < SCHEDULER_KINDS; kind++) {
        Scheduler s;
        Stepper stepper;
        Random random;
        float slot[SLOT_COUNT][VALUES];
        bench_init(&b);
        random_init(&random, 3);
        init(&s, (SchedulerKind)kind, 9, 2);
        stepper_init(&stepper);
        Tensor x = noise(&b, &random);
        memcpy(slot[SLOT_X], values(&b, x), sizeof slot[0]);
        for (int i = s.first; i < s.n; i++) {
            Tensor v = noise(&b, &random); /* any velocity will do */
            memcpy(slot[SLOT_V], values(&b, v), sizeof slot[0]);
            x = stepper_step(&b.run, &stepper, &s, i, x, v);
            step_by_hand(&s, i, slot);
            CHECK_CLOSE(values(&b, x), slot[SLOT_X], VALUES, 0); /* same operations, same order */
        }
    }
}

/* Everything else may be lost between two steps: here it is NaN, which would spread. */
TEST(stepper, live_latents_are_all_that_the_rest_needs)
{
    for (int kind = 0; kind < SCHEDULER_KINDS; kind++) {
        Scheduler s;
        init(&s, (SchedulerKind)kind, 9, 2);
        for (int cut = s.first + 1; cut < s.n; cut++) {
            float whole[SLOT_COUNT][VALUES] = { { 0 } }, rest[SLOT_COUNT][VALUES];
            bool live[SLOT_COUNT];
            test_random(whole[SLOT_X], VALUES, -1.0f, 1.0f);
            stepper_live(&s, cut, live);
            for (int i = s.first; i < s.n; i++) {
                if (i == cut)
                    for (int k = 0; k < SLOT_COUNT; k++)
                        for (int j = 0; j < VALUES; j++)
                            rest[k][j] = live[k] || k == SLOT_X ? whole[k][j] : NAN;
                test_random(whole[SLOT_V], VALUES, -1.0f, 1.0f);
                step_by_hand(&s, i, whole);
                if (i < cut) continue;
                memcpy(rest[SLOT_V], whole[SLOT_V], sizeof rest[0]);
                step_by_hand(&s, i, rest);
            }
            CHECK_CLOSE(rest[SLOT_X], whole[SLOT_X], VALUES, 0);
            CHECK(!live[SLOT_X] && !live[SLOT_V]);
        }
    }
}

/* Data, corrected sample, next sample. The first step corrects nothing, the last ends at the data:
 * renamings, no operations. */
TEST(stepper, takes_three_operations_a_step_at_most)
{
    static Bench b;
    Scheduler s;
    Stepper stepper;
    bench_init(&b);
    init(&s, SCHEDULER_UNIPC, 10, 0);
    stepper_init(&stepper);
    Tensor x = { .id = b.run.n_tensors++, .dtype = DT_F32, .shape = SHAPE(VALUES) };
    for (int i = 0; i < s.n; i++)
        x = stepper_step(&b.run, &stepper, &s, i, x, x);
    CHECK_INT(b.n_ops, 2 + 8 * 3 + 2);
}

TEST(stepper, a_step_out_of_order_is_an_error_not_garbage)
{
    static Bench b;
    Scheduler s;
    Stepper stepper;
    bench_init(&b);
    init(&s, SCHEDULER_UNIPC, 10, 0);
    stepper_init(&stepper);
    Tensor x = { .id = b.run.n_tensors++, .dtype = DT_F32, .shape = SHAPE(VALUES) };
    CHECK(!tensor_exists(stepper_step(&b.run, &stepper, &s, 5, x, x)));
    CHECK_INT(b.run.status, SNUG_ERR_INTERNAL);
    CHECK_HAS(b.err.text, "in order");
    CHECK(!tensor_exists(stepper_step(&b.run, &stepper, &s, 6, NO_TENSOR, NO_TENSOR)));
}

TEST(stepper, mixes_data_and_noise_by_level)
{
    static Bench b;
    Random random;
    bench_init(&b);
    random_init(&random, 4);
    Tensor data = noise(&b, &random), z = noise(&b, &random);
    Tensor x = stepper_mix(&b.run, 0.25f, data, z);
    for (int j = 0; j < VALUES; j++)
        CHECK(values(&b, x)[j] == fmaf(0.25f, b.at[z.id][j], 0.75f * b.at[data.id][j]));
}

TEST(guidance, keeps_the_order_of_the_reference_and_skips_at_one)
{
    static Bench b;
    Random random;
    bench_init(&b);
    random_init(&random, 5);
    Tensor u = noise(&b, &random), c = noise(&b, &random);
    Tensor v = guidance_apply(&b.run, 3.5f, u, c);
    for (int j = 0; j < VALUES; j++)
        CHECK(values(&b, v)[j] == b.at[u.id][j] + 3.5f * (b.at[c.id][j] - b.at[u.id][j]));
    CHECK(!guidance_needs_uncond(1.0f) && guidance_needs_uncond(0.5f));
    CHECK_INT(guidance_apply(&b.run, 1.0f, NO_TENSOR, c).id, c.id);
    CHECK_INT(b.run.status, SNUG_OK);
}

TEST(noise, puts_each_channel_in_its_place)
{
    static const int64_t CHANNELS[] = { 1, 2, 16, 48 }, PLACES[] = { 1, 3, 64, 100, 171 };
    static float want[48 * 171], got[48 * 171];
    for (size_t i = 0; i < COUNT(CHANNELS); i++) {
        for (size_t k = 0; k < COUNT(PLACES); k++) {
            const int64_t channels = CHANNELS[i], places = PLACES[k];
            Random a, b;
            random_init(&a, 42);
            random_init(&b, 42);
            random_normal(&a, want, channels * places);
            noise_fill(&(Noise){ .random = &b, .channels = channels }, got, channels * places);
            for (int64_t c = 0; c < channels; c++)
                for (int64_t p = 0; p < places; p++)
                    CHECK(got[p * channels + c] == want[c * places + p]);
        }
    }
}

TEST(noise, of_a_card_is_a_value_for_each_place_and_a_draw_for_each_fill)
{
    enum { CHANNELS = 3, PLACES = 5 };
    float drawn[2][CHANNELS * PLACES], got[CHANNELS * PLACES];
    Philox card = { 9, 0 };
    for (int k = 0; k < 2; k++)
        philox_normal((Philox){ 9, (uint64_t)k }, 0, drawn[k], CHANNELS * PLACES);
    for (int k = 0; k < 2; k++) {
        noise_fill(&(Noise){ .channels = CHANNELS, .card = &card }, got, CHANNELS * PLACES);
        for (int c = 0; c < CHANNELS; c++)
            for (int p = 0; p < PLACES; p++)
                CHECK(got[p * CHANNELS + c] == drawn[k][c * PLACES + p]);
    }
}
