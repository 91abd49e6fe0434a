/* diffusion.h  Schedulers of networks that were trained on a table of betas (Stable Diffusion, SDXL):
 * which noise levels, what the network is told and shown, how its answer moves the sample.
 *
 * Kin of scheduler.h, with the same steps as sums over slots; here levels are not 0..1, the network
 * answers with noise, "v" or data, Euler's kind shows it a scaled sample, and some draw noise.
 *
 *     TRY(diffusion_init(&d, &config, &(DiffusionRun){ .steps = 30 }, err));
 *     x = noise * d.start_noise                             (or start_data * data + that)
 *     for (int i = d.first; i < d.n; i++) {
 *         v = network(x * d.input[i], d.timesteps[i]);
 *         diffusion_step(&d, i, &program); ...            stepper_run(.., x, v, noise)
 *     }
 *
 * Source: diffusers 0.42.1 schedulers/scheduling_{euler_discrete,euler_ancestral_discrete,ddim,
 * dpmsolver_multistep}.py; golden: tests/golden/diffusion. */
#ifndef SAMPLING_DIFFUSION_H
#define SAMPLING_DIFFUSION_H

#include "sampling/diffusion_config.h"
#include "sampling/scheduler.h"

/** What one run asks of a configured scheduler. */
typedef struct DiffusionRun {
    int steps;      /**< 1..SCHEDULER_MAX_STEPS, at most the trained ones */
    int first;      /**< step to begin at (image to image); 0: all of them */
    double eta;     /**< DDIM: share of fresh noise, 0..1 */
    bool from_data; /**< begin at data with noise added, not at noise alone */
} DiffusionRun;

typedef struct Diffusion {
    DiffusionConfig config;
    int n, first;
    double eta;
    float sigmas[SCHEDULER_MAX_STEPS + 1]; /**< noise / data before step i; DDIM: kept signal */
    float next[SCHEDULER_MAX_STEPS];       /**< DDIM: kept signal after step i */
    float timesteps[SCHEDULER_MAX_STEPS];  /**< for the network */
    float input[SCHEDULER_MAX_STEPS];      /**< what the sample is scaled by for the network */
    float start_noise, start_data;         /**< the first sample: sum of noise and data */
} Diffusion;

/** Fix the table of a run. SNUG_ERR_ARG: steps, first or eta out of range, or a step that is not
 *  finite. */
SNUG_MUST_USE SnugStatus diffusion_init(Diffusion *d, const DiffusionConfig *config,
                                        const DiffusionRun *run, SnugError *err);

/** Step i, first <= i < n. */
void diffusion_step(const Diffusion *d, int i, StepProgram *program);
/** Does step i read SLOT_NOISE? One draw of the sample's shape, in the order of steps. */
bool diffusion_wants_noise(const Diffusion *d, int i);

#endif
