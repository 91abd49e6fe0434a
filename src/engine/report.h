/* report.h  Where the memory went: a table for people, and --report as JSON. */
#ifndef ENGINE_REPORT_H
#define ENGINE_REPORT_H

#include "engine/engine.h"

/** Measured per stage. */
typedef struct StageMemory {
    double begin_seconds, seconds;
    size_t rss_bytes; /**< resident at its end */
} StageMemory;

/** Fill job->memory_text from job->figures, and write the JSON report if one was asked for. */
SNUG_MUST_USE SnugStatus report_make(SnugJob *job, const SnugPlan *plan, const StageMemory *stages,
                                     SnugError *err);

#endif
