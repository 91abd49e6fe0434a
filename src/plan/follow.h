/* follow.h  Execution after a plan: every operation is checked against the trace, gets its planned
 * addresses, and waits only for weights that are not there yet. A loader thread runs the loads. */
#ifndef PLAN_FOLLOW_H
#define PLAN_FOLLOW_H

#include <stdatomic.h>

#include "memory/slab.h"
#include "plan/residency.h"

/** What following a plan needs from its owner. */
typedef struct FollowOptions {
    Heap *heap;
    const Trace *trace;
    const Placement *placement;
    const Residency *residency;
    const size_t *unit_bytes; /**< as given to residency_make */
    Slab *slab;
    void *owner; /**< first argument of the callbacks */
    /** Read a whole unit to `to`; on the loader's thread. */
    SnugStatus (*read_unit)(void *owner, int32_t unit, void *to, SnugError *err);
    ReadRow *read_row; /**< rows of by_row weights; on the compute thread */
    SnugStatus (*note)(void *owner, RunNote note, const char *text, int index, int count,
                       SnugError *err);
    SnugStatus (*output)(void *owner, const Op *op, const void *data, SnugError *err);
    const atomic_bool *cancel; /**< also stops waiting; may be NULL */
} FollowOptions;

/** What was measured. */
typedef struct FollowStats {
    int32_t ops_done;
    double flops_done;
    double moved_bytes;
    double stall_seconds;   /**< compute waited for weights */
    size_t slab_peak_bytes; /**< highest end of anything placed or loaded */
} FollowStats;

typedef struct Follow Follow;

SNUG_MUST_USE SnugStatus follow_open(Follow **out, const FollowOptions *options, SnugError *err);
/** Stops the loader, also in the middle. NULL is fine. */
void follow_close(Follow *follow);
/** Hooks for the Run; borrowed from `follow`. `read_row` is the owner's to set. */
RunHooks follow_hooks(Follow *follow);
/** SNUG_ERR_INTERNAL unless the whole trace was followed. */
SNUG_MUST_USE SnugStatus follow_finish(Follow *follow, SnugError *err);
FollowStats follow_stats(Follow *follow);

#endif
