/* schedule.h  The transfers of a whole request: policies tried, simulated, the best one kept. */
#ifndef PLAN_SCHEDULE_H
#define PLAN_SCHEDULE_H

#include "plan/forecast.h"
#include "plan/placement.h"

typedef struct Schedule {
    Residency loads; /**< to where operations read weights: the device's slab */
    Residency host;  /**< files to host memory; times are loads of `loads`. n_loads 0: one tier */
    bool two_tiers;
    double seconds; /**< forecast of the whole request */
} Schedule;

typedef struct ScheduleTask {
    const Trace *trace;
    const Placement *placement;
    const Uses *uses;
    const Clock *clock;
    const Costs *costs;
    const size_t *unit_bytes; /**< [n_units], multiples of 64 */
    int32_t n_units;
    size_t device_bytes;  /**< most that the slab with activations and weights may take */
    bool two_tiers;       /**< weights come through host memory */
    size_t host_bytes;    /**< most that the host's slab may take */
    size_t staging_bytes; /**< of it, for inputs and outputs on their way */
    const PlanConstraints *constraints; /**< NULL: none */
    bool quick; /**< the first policy that works, for comparing candidates */
} ScheduleTask;

/**
 * @return SNUG_ERR_BUDGET: does not fit; then out->loads.top and out->host.top hold sizes of slab
 *         that would do. SNUG_ERR_MEMORY.
 */
SNUG_MUST_USE SnugStatus schedule_make(Schedule *out, const ScheduleTask *task, SnugError *err);
void schedule_release(Schedule *schedule);

#endif
