/* report.c  Planned against measured. */
#include "engine/report.h"

#include <string.h>

#include "base/outfile.h"
#include "base/text.h"

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

static void add_text(TextBuilder *b, const SnugJob *job, const SnugPlan *plan,
                     const StageMemory *stages)
{
    const SnugFigures *f = &job->figures;
    text_addf(b, "where the memory went (MiB)\n");
    text_addf(b, "%-20s %9s %9s %8s  resident at its end, of the budget\n", "stage", "tensors",
              "weights", "seconds");
    for (int32_t i = 0; i < plan->trace.n_stages; i++) {
        const StageWeights *w = &plan->schedule.loads.stages[i];
        const size_t in_use =
            w->top > plan->placement.stage_top[i] ? w->top - plan->placement.stage_top[i] : 0;
        text_addf(b, "%-20s %9.1f %9.1f %8.2f  ", plan->trace.stages[i].name,
                  mib((double)plan->placement.stage_top[i]), mib((double)in_use),
                  stages[i].seconds);
        add_bar(b, (double)stages[i].rss_bytes / (double)f->budget_bytes);
        text_addf(b, " %.1f\n", mib((double)stages[i].rss_bytes));
    }
    text_addf(b, "slab: planned %zu bytes, measured peak %zu bytes\n", f->slab_bytes,
              f->slab_peak_bytes);
    text_addf(b, "process: peak %.1f MiB of a budget of %.1f MiB\n",
              mib((double)f->process_peak_bytes), mib((double)f->budget_bytes));
    text_addf(b, "weights read: %.1f MiB, lower bound %.1f MiB; waited %.2f s for them\n",
              mib(f->moved_bytes), mib(f->bound_bytes), f->stall_seconds);
    text_addf(b, "time: %.2f s, %.1f GFLOP/s\n", f->seconds, f->flops / 1e9 / f->seconds);
}

static void add_ledger(TextBuilder *b, SnugJob *job)
{
    HeapLabel rows[96];
    const int n = heap_labels(job->engine->heap, rows, 96);
    for (int i = 0; i < n && i < 96; i++)
        text_addf(b, "%s{\"label\":\"%s\",\"now_bytes\":%zu,\"peak_bytes\":%zu}", i ? "," : "",
                  rows[i].label, rows[i].now_bytes, rows[i].peak_bytes);
}

static void add_json(TextBuilder *b, SnugJob *job, const SnugPlan *plan, const StageMemory *stages)
{
    const SnugFigures *f = &job->figures;
    text_addf(b, "{\"snug\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"plan\":%s,", snug_version(),
              snug_engine_isa(job->engine), snug_engine_threads(job->engine), plan->json);
    text_addf(b,
              "\"measured\":{\"seconds\":%.3f,\"slab_peak_bytes\":%zu,\"process_peak_bytes\":%zu,"
              "\"moved_bytes\":%.0f,\"stall_seconds\":%.3f,\"stages\":[",
              f->seconds, f->slab_peak_bytes, f->process_peak_bytes, f->moved_bytes,
              f->stall_seconds);
    for (int32_t i = 0; i < plan->trace.n_stages; i++)
        text_addf(b, "%s{\"name\":\"%s\",\"begin\":%.3f,\"seconds\":%.3f,\"rss_bytes\":%zu}",
                  i ? "," : "", plan->trace.stages[i].name, stages[i].begin_seconds,
                  stages[i].seconds, stages[i].rss_bytes);
    text_addf(b, "]},\"ledger\":[");
    add_ledger(b, job);
    text_addf(b, "]}\n");
}

static SnugStatus write_report(SnugJob *job, const TextBuilder *b, SnugError *err)
{
    OutFile *file = NULL;
    SnugStatus status = outfile_open(&file, job->engine->heap, job->common.report, err);
    if (status == SNUG_OK) status = outfile_write(file, b->at, b->n, err);
    if (status == SNUG_OK) status = outfile_commit(file, err);
    outfile_close(file);
    return status;
}

SnugStatus report_make(SnugJob *job, const SnugPlan *plan, const StageMemory *stages,
                       SnugError *err)
{
    Heap *heap = job->engine->heap;
    TextBuilder b;
    text_init(&b, heap, "report");
    add_text(&b, job, plan, stages);
    heap_give(heap, job->memory_text);
    job->memory_text = b.failed ? NULL : heap_take(heap, b.n + 1, "report");
    if (job->memory_text) memcpy(job->memory_text, b.at, b.n);
    text_release(&b);
    if (!job->common.report) return SNUG_OK;

    text_init(&b, heap, "report");
    add_json(&b, job, plan, stages);
    const SnugStatus status = b.failed ? error_set(err, SNUG_ERR_MEMORY, "no memory for the report")
                                       : write_report(job, &b, err);
    text_release(&b);
    return status;
}
