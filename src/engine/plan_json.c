/* plan_json.c  The verdict as data; --json, and the plan in a report. */
#include <string.h>

#include "base/text.h"
#include "engine/method.h"
#include "engine/verdict.h"

static void add_weights(TextBuilder *b, const StageWeights *w, const StageVerdict *v)
{
    text_addf(b,
              ",\"weight_bytes\":%zu,\"units\":%d,\"resident_units\":%d,\"resident_bytes\":%zu,"
              "\"moved_bytes\":%.0f,\"bound_bytes\":%.0f,\"gap\":%.4f,\"streamed_units\":%d,"
              "\"streamed\":",
              w->unit_bytes, w->n_units, w->n_resident, w->resident_bytes, w->moved_bytes,
              w->bound_bytes, w->bound_bytes > 0 ? w->moved_bytes / w->bound_bytes : 1.0,
              v->n_streamed);
    text_add_json(b, v->streamed, strlen(v->streamed));
}

static void add_stage(TextBuilder *b, const SnugPlan *p, int32_t i)
{
    char where[VERDICT_WHERE];
    const TraceStage *s = &p->trace.stages[i];
    const StageWeights *w = &p->schedule.loads.stages[i];
    const StageVerdict *v = &p->verdict[i];
    const double error = 1 + p->figures.error;
    text_addf(b, "%s{\"name\":", i ? "," : "");
    text_add_json(b, s->name, strlen(s->name));
    text_addf(b,
              ",\"steps\":%d,\"slab_bytes\":%zu,\"host_slab_bytes\":%zu,\"tensor_bytes\":%zu,"
              "\"live_bytes\":%zu,\"peak\":{\"op\":%d,\"where\":",
              s->steps, v->slab_bytes, v->host_bytes, p->placement.stage_top[i],
              p->placement.stage_live[i], v->peak_op);
    verdict_where(p, v->peak_op, where);
    text_add_json(b, where, strlen(where));
    text_addf(b, ",\"tensor_bytes\":%zu,\"weight_bytes\":%zu}", v->peak_tensors, v->peak_weights);
    add_weights(b, w, v);
    text_addf(b,
              ",\"begin_seconds\":%.6f,\"seconds\":%.6f,\"seconds_low\":%.6f,"
              "\"seconds_high\":%.6f,\"stall_seconds\":%.6f,\"gflop\":%.6f}",
              v->begin_seconds, w->seconds, w->seconds / error, w->seconds * error,
              w->stall_seconds, v->flops / 1e9);
}

static void add_knobs(TextBuilder *b, const RunKnobs *k)
{
    text_addf(b,
              "\"knobs\":{\"chunk_rows\":%lld,\"band_rows\":%lld,\"group_frames\":%lld,"
              "\"head_groups\":%d,\"lock_step\":%s,\"cache_cross\":%s},",
              (long long)k->chunk_rows, (long long)k->band_rows, (long long)k->group_frames,
              k->head_groups, k->lock_step ? "true" : "false", k->cache_cross ? "true" : "false");
}

void plan_add_json(TextBuilder *b, const SnugPlan *p)
{
    const SnugFigures *f = &p->figures;
    const SnugEngine *e = p->job->engine;
    text_addf(b, "{\"pipeline\":\"%s\",\"device\":\"%s\",\"budget_bytes\":%zu,",
              p->job->pipeline->name, e->device.name, f->budget_bytes);
    text_addf(b,
              "\"device_budget_bytes\":%zu,\"fixed_bytes\":%zu,\"slab_bytes\":%zu,"
              "\"host_slab_bytes\":%zu,\"process_peak_bytes\":%zu,\"placement_bytes\":%zu,"
              "\"placement_bound_bytes\":%zu,\"moved_bytes\":%.0f,\"bound_bytes\":%.0f,",
              f->device_budget_bytes, f->fixed_bytes, f->slab_bytes, f->host_slab_bytes,
              f->process_peak_bytes, p->placement.top, p->placement.live, f->moved_bytes,
              f->bound_bytes);
    text_addf(b,
              "\"seconds\":%.6f,\"seconds_low\":%.6f,\"seconds_high\":%.6f,\"error\":%.3f,"
              "\"measured_profile\":%s,\"stall_seconds\":%.6f,\"gflop\":%.6f,",
              f->seconds, f->seconds / (1 + f->error), f->seconds * (1 + f->error), f->error,
              e->profile.measured ? "true" : "false", f->stall_seconds, f->flops / 1e9);
    add_knobs(b, &p->knobs);
    text_addf(b, "\"dtype\":\"%s\",", method_dtype(p->job));
    if (p->job->info.shortcut_json) text_addf(b, "%s,", p->job->info.shortcut_json);
    text_addf(b, "\"stages\":[");
    for (int32_t i = 0; i < p->trace.n_stages; i++)
        add_stage(b, p, i);
    text_addf(b, "]}");
}
