/* report.c  The table that a run ends with, and which report is written. */
#include "engine/report.h"

#include <string.h>

#include "engine/foresee.h"

static double mib(double bytes)
{
    return bytes / 1048576.0;
}

static void add_bar(TextBuilder *b, double part)
{
    int n = (int)(part * 30.0 + 0.5);
    n = n < 0 ? 0 : n > 30 ? 30 : n;
    for (int i = 0; i < 30; i++)
        text_addf(b, "%s", i < n ? "#" : ".");
}

static void add_stage(TextBuilder *b, const RunRecord *r, int32_t i)
{
    const StageWeights *w = &r->plan->schedule.loads.stages[i];
    const size_t tensors = r->plan->placement.stage_top[i];
    const size_t in_use = w->top > tensors ? w->top - tensors : 0;
    const double budget = (double)r->job->figures.budget_bytes;
    text_addf(b, "%-20s %9.1f %9.1f %8.2f %8.2f  ", r->plan->trace.stages[i].name,
              mib((double)tensors), mib((double)in_use), w->seconds, r->stages[i].seconds);
    add_bar(b, (double)r->stages[i].rss_bytes / budget);
    text_addf(b, " %.1f\n", mib((double)r->stages[i].rss_bytes));
}

static void add_text(TextBuilder *b, const RunRecord *r)
{
    const SnugFigures *f = &r->job->figures;
    text_addf(b, "where the memory went (MiB)\n");
    text_addf(b, "%-20s %9s %9s %8s %8s  resident at its end, of the budget\n", "stage", "tensors",
              "weights", "planned", "seconds");
    for (int32_t i = 0; i < r->plan->trace.n_stages; i++)
        add_stage(b, r, i);
    text_addf(b, "slab: planned %zu bytes, measured peak %zu bytes\n", f->slab_bytes,
              f->slab_peak_bytes);
    if (f->host_slab_bytes)
        text_addf(b, "host slab: planned %zu bytes, measured peak %zu bytes\n", f->host_slab_bytes,
                  f->host_slab_peak_bytes);
    text_addf(b, "process: peak %.1f MiB of a budget of %.1f MiB\n",
              mib((double)f->process_peak_bytes), mib((double)f->budget_bytes));
    text_addf(b, "weights read: %.1f MiB, lower bound %.1f MiB; waited %.2f s for them\n",
              mib(f->moved_bytes), mib(f->bound_bytes), f->stall_seconds);
    text_addf(b, "time: %.2f s, %.1f GFLOP/s; the forecast was %.2f s\n", f->seconds,
              f->flops / 1e9 / f->seconds, r->plan->figures.seconds);
}

static SnugStatus keep_text(const RunRecord *r, SnugError *err)
{
    SnugJob *job = r->job;
    Heap *heap = job->engine->heap;
    TextBuilder b;
    text_init(&b, heap, "report");
    add_text(&b, r);
    heap_give(heap, job->memory_text);
    job->memory_text = b.failed ? NULL : heap_take(heap, b.n + 1, "report");
    if (job->memory_text) memcpy(job->memory_text, b.at, b.n);
    text_release(&b);
    return job->memory_text ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for the report");
}

static SnugStatus write_report(const RunRecord *r, OutFile *file, SnugError *err)
{
    const char *path = r->job->common.report;
    TextBuilder b;
    text_init(&b, r->job->engine->heap, "report");
    if (text_ends(path, ".html") || text_ends(path, ".htm"))
        report_add_html(&b, r);
    else
        report_add_json(&b, r);
    SnugStatus status = b.failed ? error_set(err, SNUG_ERR_MEMORY, "no memory for the report")
                                 : outfile_write(file, b.at, b.n, err);
    if (status == SNUG_OK) status = outfile_commit(file, err);
    text_release(&b);
    return status;
}

/* What the plan foresaw at the operations of each point of the timeline, and at stage borders. */
static void foresee_points(const Timeline *t, Foresee *f, ReportPlanned *out)
{
    for (int i = 0; i < t->n; i++) {
        out[i] = (ReportPlanned){ 0 };
        for (int32_t op = t->at[i].first_op; op <= t->at[i].last_op; op++) {
            foresee_go(f, op);
            if (f->tensors > out[i].tensors) out[i].tensors = f->tensors;
            if (f->weights > out[i].weights) out[i].weights = f->weights;
        }
    }
}

SnugStatus report_make(RunRecord *record, OutFile *file, SnugError *err)
{
    TRY(keep_text(record, err));
    if (!file) return SNUG_OK;
    const Recorder *recorder = record->recorder;
    Arena arena;
    Foresee foresee;
    arena_init(&arena, record->job->engine->heap, "report");
    ReportPlanned *planned = arena_array(&arena, TIMELINE_POINTS, sizeof *planned);
    SnugStatus status = planned ? foresee_open(&foresee, record->plan, &recorder->held, err)
                                : error_set(err, SNUG_ERR_MEMORY, "no memory for the report");
    if (status == SNUG_OK) {
        foresee_points(&recorder->timeline, &foresee, planned);
        foresee_close(&foresee);
        record->planned = planned;
        status = write_report(record, file, err);
    }
    record->planned = NULL;
    arena_release(&arena);
    return status;
}
