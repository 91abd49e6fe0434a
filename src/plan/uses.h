/* uses.h  When each unit of weights is needed: the sequence that residency is decided on. */
#ifndef PLAN_USES_H
#define PLAN_USES_H

#include "plan/trace.h"

/** A part of a unit: bytes [from, from of the next part), needed from `first` to `last`, relative to
 *  the segment's first operation. */
typedef struct UnitPart {
    size_t from;
    int32_t first, last;
} UnitPart;

enum { UNIT_MAX_PARTS = 16 };

/** Unit `unit` must be in memory from time `first` to time `last`; its parts from and to times of
 *  their own, so that a unit comes part by part, over parts of another that are done with. */
typedef struct UnitUse {
    int32_t unit, first, last;
    int32_t next;       /**< index of the unit's next use, INT32_MAX: none */
    int32_t base;       /**< time that the parts' times count from */
    int32_t first_part; /**< into Uses.parts, by `from`; n_parts 0: all of it from first to last */
    int32_t n_parts;
} UnitUse;

/** Uses in order of `first`. Times: operations of the request, or loads of the tier above. */
typedef struct Uses {
    Heap *heap;
    UnitUse *list;
    int32_t n;
    UnitPart *parts; /**< shared by the uses of equal segments */
    int32_t n_parts;
    int32_t *stage_first; /**< [n_stages + 1] index of the stage's first use */
    int32_t *stage_begin; /**< [n_stages + 1] time at which the stage begins */
    int32_t n_stages;
} Uses;

/** Runs of operations on one unit. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus uses_of_trace(Uses *out, const Trace *trace, int32_t n_units,
                                       SnugError *err);
void uses_release(Uses *uses);

/** Last time at which use `index` needs anything in bytes [begin, end) of its unit. */
int32_t uses_last(const Uses *uses, int32_t index, size_t begin, size_t end);

/** Fill in every `next`. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus uses_link(Uses *uses, int32_t n_units, SnugError *err);

#endif
