/* scheduler.h  From noise to data in n steps: which noise levels, which timestep the network is
 * told, and how its velocity moves the sample.
 *
 * A scheduler here is values only. scheduler_init fixes the table, scheduler_step says step i as a
 * short list of weighted sums over named latents ("slots"); whoever owns tensors carries them out
 * (stepper.h on a Run). All schedulers are of the flow-matching family: the sample at level s is
 * (1 - s) * data + s * noise, the network gives v = noise - data, x0 = x - s * v.
 *
 *     SchedulerConfig config;                            // from scheduler_config.json, or
 *     scheduler_config_defaults(&config, SCHEDULER_UNIPC);   // by name
 *     TRY(scheduler_init(&s, &config, &(SchedulerRun){ .steps = 50, .shift = 5 }, err));
 *     for (int i = s.first; i < s.n; i++) {
 *         v = network(x, s.timesteps[i]);
 *         scheduler_step(&s, i, &program); ...
 *     }
 */
#ifndef SAMPLING_SCHEDULER_H
#define SAMPLING_SCHEDULER_H

#include "base/error.h"
#include "sampling/scheduler_config.h"

enum { SCHEDULER_MAX_STEPS = 1000, SCHEDULER_MAX_ORDER = 3 };

/** What one run asks of a configured scheduler. */
typedef struct SchedulerRun {
    int steps;           /**< 1..SCHEDULER_MAX_STEPS */
    int first;           /**< step to begin at (image to image); 0 = from pure noise */
    double shift;        /**< overrides the configured shift; 0 = keep it */
    double mu;           /**< exponent of dynamic shifting, see scheduler_mu; else ignored */
    const float *sigmas; /**< Euler only: the pipeline's own levels before shifting, [steps] */
} SchedulerRun;

typedef struct Scheduler {
    SchedulerConfig config;
    int n, first;
    float sigmas[SCHEDULER_MAX_STEPS + 1]; /**< level before step i; [n] is where it ends */
    float timesteps[SCHEDULER_MAX_STEPS];  /**< for the network; whole numbers except Euler's */
} Scheduler;

/** Latents a step reads and writes. */
typedef enum StepSlot {
    SLOT_X,    /**< the sample: what the network saw; after the step what it sees next */
    SLOT_V,    /**< the network's output, read only */
    SLOT_LAST, /**< the sample the previous prediction started from */
    SLOT_M,    /**< predictions of the data, the last order + 1 in turn: SLOT_M + i % (order + 1) */
    SLOT_NOISE = SLOT_M + SCHEDULER_MAX_ORDER + 1, /**< fresh noise, of schedulers that want it */
    SLOT_COUNT
} StepSlot;

enum { STEP_MAX_TERMS = SCHEDULER_MAX_ORDER + 2, STEP_MAX_SUMS = 3 };

/** slot[to] = coef[0] * slot[from[0]] + coef[1] * slot[from[1]] + ..., in this order, in f32. */
typedef struct StepSum {
    StepSlot to;
    int n;
    StepSlot from[STEP_MAX_TERMS];
    float coef[STEP_MAX_TERMS];
    float limit; /**< > 0: the sum is then clamped to -limit .. limit */
} StepSum;

/** One step: its sums in order. One term with coefficient 1 is a plain renaming. */
typedef struct StepProgram {
    int n;
    StepSum sum[STEP_MAX_SUMS];
} StepProgram;

/**
 * Fix the table of a run.
 * @return SNUG_ERR_ARG: steps, first, shift or mu out of range; the levels leave 0..1, coincide or
 *         give a step that is not finite (too many steps for f32, an option that divides by zero)
 */
SNUG_MUST_USE SnugStatus scheduler_init(Scheduler *s, const SchedulerConfig *config,
                                        const SchedulerRun *run, SnugError *err);

/** Step i, first <= i < n; depends on nothing but the table, so any order of asking is fine. */
void scheduler_step(const Scheduler *s, int i, StepProgram *program);

/** Exponent of dynamic shifting for `tokens` image tokens: linear between the configured points. */
double scheduler_mu(const SchedulerConfig *config, int64_t tokens);

#endif
