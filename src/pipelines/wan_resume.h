/* wan_resume.h  The state of a Wan run between two steps: handed out, and taken up again.
 *
 * State is the latent and those of the scheduler's latents that later steps read. Prompts and
 * pictures are encoded anew, which gives the same bits; a run that only has to decode does not. */
#ifndef PIPELINES_WAN_RESUME_H
#define PIPELINES_WAN_RESUME_H

#include "pipelines/wan.h"
#include "sampling/stepper.h"

/** First step to take: that of the schedule, or the one after the state's last. */
int wan_resume_first(const WanJob *job);
/** Does the state that was read fit this request? SNUG_ERR_FILE: a step or tensor that cannot be. */
SNUG_MUST_USE SnugStatus wan_resume_check(const WanJob *job, SnugError *err);
/** Take the state up: the latent, and the scheduler's into `stepper`. */
Tensor wan_resume_take(Run *r, WanJob *job, Stepper *stepper);
/** Hand the state out when `done` steps are done, if it is time to. */
void wan_resume_keep(Run *r, WanJob *job, const Stepper *stepper, int done, Tensor x);

#endif
