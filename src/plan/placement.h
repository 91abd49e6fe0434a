/* placement.h  Where every activation lies in the slab: intervals of known lives, packed offline.
 *
 * Lives are known from the trace, so this is colouring of intervals with sizes: largest first, each
 * into the smallest gap that fits among what lives at the same time. Parts of the trace that repeat
 * (steps, blocks, frames) are placed once: tensors born and dead inside equal parts share offsets.
 * An output takes its input's place where the operation allows it and the input ends there. */
#ifndef PLAN_PLACEMENT_H
#define PLAN_PLACEMENT_H

#include "plan/trace.h"

typedef struct Placement {
    Heap *heap;
    size_t *tensor_offset;    /**< [n_tensors] bytes from the slab's start */
    size_t *workspace_offset; /**< [n_ops] */
    size_t *stage_top;        /**< [n_stages] end of the highest tensor that lives in the stage */
    int32_t *stage_peak_op;   /**< [n_stages] operation with the most live bytes */
    size_t *stage_live;       /**< [n_stages] live bytes at that operation: the lower bound */
    size_t top;               /**< highest of stage_top */
    size_t live;              /**< highest of stage_live */
} Placement;

enum { PLACEMENT_ALIGN = 64 };

/** Place every tensor and workspace of the trace; `quick` tries one order of packing instead of all.
 *  Errors: SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus placement_make(Placement *out, const Trace *trace, bool quick,
                                        SnugError *err);
void placement_release(Placement *placement);

#endif
