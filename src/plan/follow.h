/* follow.h  Execution after a plan: every operation is checked against the trace, gets its planned
 * addresses, and waits only for weights that are not there yet. Readers bring units from their files
 * to where they are used, or to host memory; then a copier brings them on to the device. */
#ifndef PLAN_FOLLOW_H
#define PLAN_FOLLOW_H

#include <stdatomic.h>

#include "memory/slab.h"
#include "plan/schedule.h"

enum { FOLLOW_MAX_READERS = 8 };

/** What following a plan needs from its owner. */
typedef struct FollowOptions {
    Heap *heap;
    const Trace *trace;
    const Placement *placement;
    const Schedule *schedule;
    unsigned char *device_base; /**< slab with activations and weights, schedule->loads.top bytes */
    unsigned char *host_base;   /**< with two tiers: staging, then weights on their way */
    int n_readers;              /**< reads in flight, 1..FOLLOW_MAX_READERS */
    void *owner;                /**< first argument of the callbacks */
    /** Read a whole unit to `to`, host memory; on a reader's thread, several at a time. */
    SnugStatus (*read_unit)(void *owner, int32_t unit, void *to, SnugError *err);
    /** Host to device; on the copier's thread. Needed with two tiers. */
    SnugStatus (*copy)(void *owner, void *to, const void *from, size_t bytes, SnugError *err);
    ReadRow *read_row; /**< rows of by_row weights; on the compute thread */
    SnugStatus (*note)(void *owner, RunNote note, const char *text, int index, int count,
                       SnugError *err);
    SnugStatus (*output)(void *owner, const Op *op, const void *data, SnugError *err);
    /** May be NULL: a load of schedule->host (`host`) or of schedule->loads begins, or has ended; on
     *  the thread that moves it. */
    void (*moving)(void *owner, bool host, int32_t load, bool ended);
    const atomic_bool *cancel; /**< also stops waiting; may be NULL */
} FollowOptions;

/** What was measured. */
typedef struct FollowStats {
    int32_t ops_done;
    double flops_done;
    double moved_bytes;     /**< to where operations read weights */
    double read_bytes;      /**< from files */
    double stall_seconds;   /**< compute waited for weights */
    size_t slab_peak_bytes; /**< highest end of anything placed or loaded on the device */
    size_t host_peak_bytes; /**< the same in the host's slab; 0 with one tier */
} FollowStats;

typedef struct Follow Follow;

SNUG_MUST_USE SnugStatus follow_open(Follow **out, const FollowOptions *options, SnugError *err);
/** Stops the threads, also in the middle. NULL is fine. */
void follow_close(Follow *follow);
/** Hooks for the Run; borrowed from `follow`. */
RunHooks follow_hooks(Follow *follow);
/** SNUG_ERR_INTERNAL unless the whole trace was followed. */
SNUG_MUST_USE SnugStatus follow_finish(Follow *follow, SnugError *err);
FollowStats follow_stats(Follow *follow);
/** Seconds since follow_open at which each of schedule->loads began and ended; zero: not yet. */
const LoadTime *follow_load_times(const Follow *follow);

#endif
