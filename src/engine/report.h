/* report.h  Planned against measured: a table for people, and --report as JSON or as a page. */
#ifndef ENGINE_REPORT_H
#define ENGINE_REPORT_H

#include "base/outfile.h"
#include "base/text.h"
#include "engine/recorder.h"

/** Measured per stage. */
typedef struct StageMemory {
    double begin_seconds, seconds;
    double
        last_step_seconds; /**< its last step, with weights that stay already there; 0: no steps */
    size_t rss_bytes;      /**< resident at its end */
} StageMemory;

/** What the plan foresaw at the operations of one point of the timeline. */
typedef struct ReportPlanned {
    size_t tensors, weights;
} ReportPlanned;

/** A run that has ended, with everything that reports print. */
typedef struct RunRecord {
    SnugJob *job;
    const SnugPlan *plan;
    const StageMemory *stages;    /**< [n_stages] */
    const Recorder *recorder;     /**< timeline, parts, times of loads */
    const ReportPlanned *planned; /**< [timeline.n], filled in by report_make */
} RunRecord;

/**
 * Fill job->memory_text from job->figures, and write the report if `file` is not NULL: a page when
 * its name ends in .html or .htm, else JSON. Commits `file`, does not close it.
 */
SNUG_MUST_USE SnugStatus report_make(RunRecord *record, OutFile *file, SnugError *err);

/** The report as JSON (report_json.c), and as a page that needs nothing else (report_html.c). */
void report_add_json(TextBuilder *to, const RunRecord *record);
void report_add_html(TextBuilder *to, const RunRecord *record);
/** Memory over time with the transfers below, as SVG (report_chart.c). */
void report_add_chart(TextBuilder *to, const RunRecord *record, bool host);

#endif
