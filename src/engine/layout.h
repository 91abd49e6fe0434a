/* layout.h  One way of carrying a job out, laid out: rehearsal, places, transfers, forecast. */
#ifndef ENGINE_LAYOUT_H
#define ENGINE_LAYOUT_H

#include "engine/engine.h"

enum {
    LAYOUT_MAX_CANDIDATES = 24,
    LAYOUT_MAX_WAYS = 8,
    LAYOUT_SKETCH_STEPS = 4,
    LAYOUT_LEAST_STEPS = 2
};

/** Slab bytes that a plan may use. */
typedef struct LayoutRoom {
    size_t device_bytes, host_bytes; /**< host_bytes: two tiers only */
} LayoutRoom;

/** Ways to try, in order of falling speed where nothing has to wait for weights: keeping keys and
 *  values saves work, lock-step saves reading, chunks cost a little. Returns how many. */
int layout_candidates(const SnugJob *job, RunKnobs out[LAYOUT_MAX_CANDIDATES]);
/** Ways of a VAE through its frames, in order of falling speed; the first is that of the candidates.
 *  Only the VAE's knobs are set. At least one. */
int layout_vae_ways(const SnugJob *job, RunKnobs out[LAYOUT_MAX_WAYS]);
/** A candidate that takes this way. */
RunKnobs layout_on_way(RunKnobs knobs, const RunKnobs *way);

/** Fill plan->trace. `sketch_steps`: each loop ends after so many, as later ones repeat them; 0: all. */
SNUG_MUST_USE SnugStatus layout_rehearse(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps,
                                         SnugError *err);
/** Rehearse and fill placement, clock and schedule. After SNUG_ERR_BUDGET the schedule's tops are
 *  slab bytes that would do. A sketch is packed and scheduled once, without searching. */
SNUG_MUST_USE SnugStatus layout_make(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps,
                                     const LayoutRoom *room, SnugError *err);
/** Rehearse and place only: slab bytes that each stage of the trace needs at least, taken from the
 *  plan's arena. The plan has no schedule then. */
SNUG_MUST_USE SnugStatus layout_least(SnugPlan *plan, const RunKnobs *knobs, int sketch_steps,
                                      size_t **by_stage, SnugError *err);
/** Only the schedule again, in other room or with other plan->unit_bytes. */
SNUG_MUST_USE SnugStatus layout_schedule(SnugPlan *plan, bool quick, const LayoutRoom *room,
                                         SnugError *err);
void layout_drop(SnugPlan *plan);

/** What things cost for the plan's forecast; borrows the plan. */
Costs layout_costs(const SnugPlan *plan);
/** Seconds of the whole request from a layout that may be a sketch. */
double layout_seconds(const SnugPlan *plan);
/** Weights moved; of a sketch, what the whole request would move. */
double layout_moved_bytes(const SnugPlan *plan);
/** Does the work wait for weights, by more than a hundredth of the time? */
bool layout_waits(const SnugPlan *plan);

#endif
