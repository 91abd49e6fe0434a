/* uses.h  When each unit of weights is needed: the sequence that residency is decided on. */
#ifndef PLAN_USES_H
#define PLAN_USES_H

#include "plan/trace.h"

/** Unit `unit` must be in memory from time `first` to time `last`. */
typedef struct UnitUse {
    int32_t unit, first, last;
    int32_t next; /**< index of the unit's next use, INT32_MAX: none */
} UnitUse;

/** Uses in order of `first`. Times: operations of the request, or loads of the tier above. */
typedef struct Uses {
    Heap *heap;
    UnitUse *list;
    int32_t n;
    int32_t *stage_first; /**< [n_stages + 1] index of the stage's first use */
    int32_t *stage_begin; /**< [n_stages + 1] time at which the stage begins */
    int32_t n_stages;
} Uses;

/** Runs of operations on one unit. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus uses_of_trace(Uses *out, const Trace *trace, int32_t n_units,
                                       SnugError *err);
void uses_release(Uses *uses);

/** Fill in every `next`. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus uses_link(Uses *uses, int32_t n_units, SnugError *err);

#endif
