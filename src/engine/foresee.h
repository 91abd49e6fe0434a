/* foresee.h  The plan's own timeline: operations on its clock, loads on its link, what is held when.
 *
 * One walk from the first operation to the last; the verdict looks for peaks on it, reports lay it
 * beside what was measured. */
#ifndef ENGINE_FORESEE_H
#define ENGINE_FORESEE_H

#include "engine/layout.h"
#include "plan/held.h"

typedef struct Foresee {
    double now;              /**< seconds at which the operation begins */
    size_t tensors, weights; /**< held while it runs, at most */
    /* private */
    const SnugPlan *plan;
    const Held *held;
    Arena arena;
    LoadTime *times; /* [loads] */
    HeldCursor cursor;
    int32_t begun, needed, released; /* loads: in order, in order, by last operation */
    double late;                     /* how long operations waited so far */
    size_t loaded;
} Foresee;

/** `held` is the plan's and must outlive the walk. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus foresee_open(Foresee *out, const SnugPlan *plan, const Held *held,
                                      SnugError *err);
void foresee_close(Foresee *foresee);
/** Go on to operation `op`, which must not fall; n_ops: the end. */
void foresee_go(Foresee *foresee, int32_t op);

#endif
