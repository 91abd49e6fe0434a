/* residency.h  Which units of weights are in memory when, and where: decided offline.
 *
 * All uses of every unit are known. A unit that is needed and not there is loaded into the window
 * of the slab whose contents are cheapest to bring back, by bytes over the time until they are needed
 * (Belady's MIN, for units of any size), but not into what the last few uses held: those `horizon` uses are the time that the load has to hide
 * behind. On a loop that does not fit, the units to stay are first spread evenly, then the missing
 * ones move round by `horizon` + 1 a turn, so transfers stay evenly spread. Never LRU: on such a
 * loop it would hit nothing.
 *
 * The slab's low end belongs to the stage's activations. A load may begin as soon as the units in
 * its window have had their last use and no earlier stage's activations lie there: so the weights
 * of a stage come while the stage before still computes, and a unit that a later stage uses again
 * stays where there is room. */
#ifndef PLAN_RESIDENCY_H
#define PLAN_RESIDENCY_H

#include "plan/constraints.h"
#include "plan/uses.h"

/** One transfer: unit `unit` to `offset` in the slab. Ordered by `need`. */
typedef struct Load {
    int32_t unit;
    int32_t after; /**< may begin when this time is past (-1: at once) */
    int32_t need;  /**< must have ended before this time */
    size_t offset, bytes;
} Load;

/** What a stage does with its weights. */
typedef struct StageWeights {
    int32_t n_units;               /**< units used */
    int32_t n_resident;            /**< units that are loaded once at most and used to the end */
    size_t unit_bytes;             /**< of all units used */
    size_t resident_bytes;         /**< of those that stay */
    double moved_bytes;            /**< read in this stage */
    double bound_bytes;            /**< no schedule in this space could move less */
    size_t top;                    /**< end of the weights in the slab */
    double seconds, stall_seconds; /**< forecast, filled in by forecast_loads */
} StageWeights;

typedef struct Residency {
    Heap *heap;
    Load *loads;
    int32_t n_loads;
    StageWeights *stages; /**< [n_stages] */
    int32_t n_stages;
    size_t top;            /**< slab bytes needed in all, activations included */
    int32_t refused_stage; /**< where it did not fit */
    bool holds;            /**< every unit has a place of its own, from its load to the end */
} Residency;

/** How windows are chosen. All move the same bytes or nearly; they differ in when loads can begin
 *  and in slab. */
typedef struct ResidencyPolicy {
    int32_t horizon; /**< uses before a load that keep their units */
    bool strict; /**< by next use alone, nothing spread: the fewest bytes, transfers in clumps */
    bool eager;  /**< fresh memory before memory that is done with: earlier loads, higher top */
    bool
        plain; /**< the window needed again latest, whatever its size; else the one that costs least
                     to bring back: bytes over the time until they are needed */
    bool grid; /**< windows at multiples of the largest unit: works in the smallest space */
} ResidencyPolicy;

typedef struct ResidencyTask {
    const Uses *uses;
    const size_t *floor;      /**< [n_stages] where the stage's weights may begin */
    const size_t *unit_bytes; /**< [n_units], each a multiple of 64 */
    int32_t n_units;
    size_t slab_bytes; /**< most that activations and weights may take; SIZE_MAX: no limit */
    const ResidencyPolicy *by_stage;    /**< [n_stages] */
    const PlanConstraints *constraints; /**< what unload and offload ask for; NULL: nothing */
    const Trace *trace; /**< whose stages these are, for their phases; NULL: no phases */
} ResidencyTask;

/**
 * @return SNUG_ERR_BUDGET when a use does not fit under these policies; then out->top holds a slab
 *         that would do. SNUG_ERR_MEMORY. `out` is released after a failure but for `top`.
 */
SNUG_MUST_USE SnugStatus residency_make(Residency *out, const ResidencyTask *task, SnugError *err);
void residency_release(Residency *residency);

/** Slab bytes that each stage needs at least: beside its floor a slot for every unit that one time
 *  needs, and what task->constraints want to stay. Only uses, floors, units and constraints are read.
 *  @param by_stage [n_stages]
 *  @return SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus residency_least(const ResidencyTask *task, size_t *by_stage,
                                         SnugError *err);

/** Bytes that any schedule of a stage's uses must move in `space` bytes: the optimum if units could
 *  be kept in part, and for units of one size the optimum itself (bound.c). SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus residency_bound(const Uses *uses, int32_t stage, const size_t *unit_bytes,
                                         int32_t n_units, size_t space, double *out,
                                         SnugError *err);

#endif
