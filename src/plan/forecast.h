/* forecast.h  When everything will happen: compute and transfers side by side, event by event. */
#ifndef PLAN_FORECAST_H
#define PLAN_FORECAST_H

#include "plan/clock.h"
#include "plan/residency.h"

/** Begin and end of a transfer, seconds from the start. */
typedef struct LoadTime {
    double begin, end;
} LoadTime;

/**
 * Simulate the loads of one or two tiers beside the operations; fills seconds and stall_seconds of
 * the stages of `loads`.
 * @param loads   to where operations read weights
 * @param host    loads of the tier below, whose times are loads of `loads`; NULL: one tier
 * @param times   [loads->n_loads], or NULL
 * @param seconds the whole request
 * @return SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus forecast_loads(const Clock *clock, Residency *loads, const Residency *host,
                                        const size_t *unit_bytes, int32_t n_units,
                                        const Costs *costs, LoadTime *times, double *seconds,
                                        SnugError *err);

#endif
