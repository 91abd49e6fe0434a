/* residency.h  Which units of weights stay in memory and which stream through it, decided offline.
 *
 * All uses of every unit are known from the trace. Inside a stage the weights have the slab above
 * the stage's activations. If all units of the stage fit there, each is loaded once. If not, some
 * stay and the others pass through a ring of slots; equal units are chosen evenly spread, so that
 * transfers hide behind the compute of the units that stay. Never LRU: on a loop that does not fit
 * it would hit nothing. */
#ifndef PLAN_RESIDENCY_H
#define PLAN_RESIDENCY_H

#include "plan/placement.h"

/** One transfer: unit `unit` to `offset` in the slab. Loads are ordered by `need_op`. */
typedef struct Load {
    int32_t unit;
    int32_t after_op; /**< may begin when this operation is done (-1: at once) */
    int32_t need_op;  /**< must have ended before this operation */
    size_t offset;
} Load;

/** What a stage does with its weights. */
typedef struct StageWeights {
    int32_t n_units, n_resident; /**< units used; units that stay for the whole stage */
    size_t unit_bytes;           /**< of all units used */
    size_t resident_bytes, slot_bytes;
    int32_t n_slots;    /**< ring slots, 0 when everything stays */
    double moved_bytes; /**< read from disk in this stage */
    double bound_bytes; /**< no schedule in this space could move less */
    size_t top;         /**< end of the weights in the slab */
} StageWeights;

typedef struct Residency {
    Heap *heap;
    Load *loads;
    int32_t n_loads;
    StageWeights *stages; /**< [n_stages] */
    size_t top;           /**< slab bytes needed in all, activations included */
} Residency;

/**
 * @param unit_bytes [n_units], each a multiple of 64
 * @param slab_bytes most that activations and weights may take together; SIZE_MAX: no limit
 * @return SNUG_ERR_BUDGET when a stage cannot run even with one unit at a time; then
 *         out->top holds the smallest slab that would do. SNUG_ERR_MEMORY.
 */
SNUG_MUST_USE SnugStatus residency_make(Residency *out, const Trace *trace,
                                        const Placement *placement, const size_t *unit_bytes,
                                        int32_t n_units, size_t slab_bytes, SnugError *err);
void residency_release(Residency *residency);

#endif
