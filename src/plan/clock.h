/* clock.h  What things cost on this machine, and when each operation would begin without waiting. */
#ifndef PLAN_CLOCK_H
#define PLAN_CLOCK_H

#include "plan/trace.h"

/** What things cost on this machine. */
typedef struct Costs {
    const void *self;
    double (*op_seconds)(const void *self, const TraceOp *op);
    double first_bytes_per_second; /**< first read of a unit from its file */
    double again_bytes_per_second; /**< later reads: the page cache may hold it */
    double copy_bytes_per_second;  /**< host to device, with two tiers */
    /** Seconds that computing loses per byte read beside it, as readers take turns with compute
     *  threads on the same processors: at the first read of a unit and at later ones. */
    double steal_first, steal_again;
} Costs;

/** When each operation would begin if nothing ever had to wait. */
typedef struct Clock {
    Heap *heap;
    const Trace *trace;
    double *op_at;      /* [template operations] from the segment's begin */
    double *segment_at; /* [n_segments + 1] */
} Clock;

/** SNUG_ERR_MEMORY. `trace` must outlive the clock. */
SNUG_MUST_USE SnugStatus clock_make(Clock *out, const Trace *trace, const Costs *costs,
                                    SnugError *err);
void clock_release(Clock *clock);
/** Seconds from the start of the request to the begin of `op`; n_ops: the end. */
double clock_at(const Clock *clock, int32_t op);

#endif
