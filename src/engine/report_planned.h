/* report_planned.h  The plan's own timeline, looked up at the operations of the measured one. */
#ifndef ENGINE_REPORT_PLANNED_H
#define ENGINE_REPORT_PLANNED_H

#include "engine/report.h"

/**
 * @param out         [timeline.n] highest of what was foreseen for each point's operations
 * @param stage_begin [n_stages + 1] foreseen seconds; the last is the end
 */
SNUG_MUST_USE SnugStatus report_planned_fill(const RunRecord *record, ReportPlanned *out,
                                             double *stage_begin, SnugError *err);

#endif
