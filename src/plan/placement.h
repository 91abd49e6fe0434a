/* placement.h  Where every activation lies in the slab: intervals of known lives, packed offline.
 *
 * Lives are known from the trace, so this is colouring of intervals with sizes. What crosses stages
 * is placed first and low; then every stage is packed by itself: largest first, each into the
 * smallest gap that fits among what lives at the same time, then again in other orders and with
 * what stuck out put first, as long as it helps. Every run of the planner gives the same places. */
#ifndef PLAN_PLACEMENT_H
#define PLAN_PLACEMENT_H

#include "plan/lives.h"

typedef struct Placement {
    Heap *heap;
    Lives lives;
    size_t *item_offset;    /**< [n_items] bytes from the slab's start */
    size_t *group_offset;   /**< [n_groups] */
    size_t *stage_top;      /**< [n_stages] end of the highest tensor that lives in the stage */
    int32_t *stage_peak_op; /**< [n_stages] operation with the most live bytes */
    size_t *stage_live;     /**< [n_stages] live bytes at that operation: the lower bound */
    size_t top;             /**< highest of stage_top */
    size_t live;            /**< highest of stage_live */
} Placement;

enum { PLACEMENT_ALIGN = LIVES_ALIGN };

/** Place every tensor and workspace of the trace, which must outlive the placement; `quick` packs
 *  once instead of searching. Errors: SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus placement_make(Placement *out, const Trace *trace, bool quick,
                                        SnugError *err);
void placement_release(Placement *placement);

/** Offset of an operand of an operation in `segment`. */
size_t placement_operand(const Placement *p, int32_t segment, TraceRef ref);
/** Offset of the workspace of the segment's n-th operation, which has one. */
size_t placement_workspace(const Placement *p, int32_t segment, int32_t op);
/** Offset of a tensor by its id. */
size_t placement_tensor(const Placement *p, int32_t id);

#endif
