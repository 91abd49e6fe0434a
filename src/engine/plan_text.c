/* plan_text.c  A plan in words: a table by stage, and the same as JSON. */
#include "engine/engine.h"

#include <string.h>

#include "base/text.h"

static double mib(double bytes)
{
    return bytes / 1048576.0;
}

static double stage_flops(const Trace *t, const TraceStage *s)
{
    double sum = 0;
    for (int32_t i = s->first_segment; i < s->end_segment; i++) {
        const TraceTemplate *m = trace_template(t, &t->segments[i]);
        for (int32_t k = 0; k < m->n_ops; k++)
            sum += t->ops[m->first_op + k].flops;
    }
    return sum;
}

static void text_stage(TextBuilder *b, const SnugPlan *p, int32_t i)
{
    const TraceStage *s = &p->trace.stages[i];
    const StageWeights *w = &p->schedule.loads.stages[i];
    const char *peak =
        s->end_op > s->first_op
            ? op_kind_name((OpKind)trace_op(&p->trace, p->placement.stage_peak_op[i])->kind)
            : "-";
    text_addf(b, "%-20s %5d  %9.1f %-16s %9.1f  %3d/%-3d %9.1f %9.1f  %8.1f\n", s->name, s->steps,
              mib((double)p->placement.stage_top[i]), peak, mib((double)w->unit_bytes),
              w->n_resident, w->n_units, mib(w->moved_bytes), mib(w->bound_bytes),
              stage_flops(&p->trace, s) / 1e9);
}

static void add_text(TextBuilder *b, const SnugPlan *p)
{
    const SnugFigures *f = &p->figures;
    text_addf(b, "%-20s %5s  %9s %-16s %9s  %7s %9s %9s  %8s\n", "stage", "steps", "tensors",
              "peak at", "weights", "stay", "read", "bound", "GFLOP");
    for (int32_t i = 0; i < p->trace.n_stages; i++)
        text_stage(b, p, i);
    text_addf(b, "(sizes in MiB; stay: units of weights that stay in memory for the stage)\n\n");
    text_addf(b,
              "budget %.1f MiB: %.1f planned (%.1f tensors and weights, %.1f process and output)\n",
              mib((double)f->budget_bytes), mib((double)f->process_peak_bytes),
              mib((double)f->slab_bytes), mib((double)f->fixed_bytes));
    text_addf(b, "placement: %.1f MiB, lower bound %.1f MiB (largest sum of live tensors)\n",
              mib((double)p->placement.top), mib((double)p->placement.live));
    text_addf(b, "traffic: %.1f MiB of weights read, lower bound %.1f MiB\n", mib(f->moved_bytes),
              mib(f->bound_bytes));
    text_addf(b, "choices: %s%s, guidance branches %s, cross-attention keys %s\n",
              p->knobs.chunk_rows ? "transformer rows in chunks of "
                                  : "all transformer rows at once",
              "", p->knobs.lock_step ? "in lock-step" : "one after the other",
              p->knobs.cache_cross ? "kept" : "computed each step");
    if (p->knobs.chunk_rows) text_addf(b, "chunk: %lld rows\n", (long long)p->knobs.chunk_rows);
    text_addf(b, "forecast: about %.1f s (%.1f GFLOP; this machine is not measured yet)\n",
              f->seconds, f->flops / 1e9);
}

static void json_stage(TextBuilder *b, const SnugPlan *p, int32_t i)
{
    const TraceStage *s = &p->trace.stages[i];
    const StageWeights *w = &p->schedule.loads.stages[i];
    text_addf(b, "%s{\"name\":", i ? "," : "");
    text_add_json(b, s->name, strlen(s->name));
    text_addf(b,
              ",\"steps\":%d,\"tensor_bytes\":%zu,\"live_bytes\":%zu,\"weight_bytes\":%zu,"
              "\"units\":%d,\"resident_units\":%d,\"resident_bytes\":%zu,\"seconds\":%.3f,"
              "\"stall_seconds\":%.3f,\"moved_bytes\":%.0f,\"bound_bytes\":%.0f,\"gflop\":%.3f}",
              s->steps, p->placement.stage_top[i], p->placement.stage_live[i], w->unit_bytes,
              w->n_units, w->n_resident, w->resident_bytes, w->seconds, w->stall_seconds,
              w->moved_bytes, w->bound_bytes, stage_flops(&p->trace, s) / 1e9);
}

static void add_json(TextBuilder *b, const SnugPlan *p)
{
    const SnugFigures *f = &p->figures;
    text_addf(b,
              "{\"pipeline\":\"%s\",\"budget_bytes\":%zu,\"fixed_bytes\":%zu,\"slab_bytes\":%zu,"
              "\"process_peak_bytes\":%zu,\"placement_bytes\":%zu,\"placement_bound_bytes\":%zu,"
              "\"moved_bytes\":%.0f,\"bound_bytes\":%.0f,\"seconds\":%.3f,\"gflop\":%.3f,",
              p->job->pipeline->name, f->budget_bytes, f->fixed_bytes, f->slab_bytes,
              f->process_peak_bytes, p->placement.top, p->placement.live, f->moved_bytes,
              f->bound_bytes, f->seconds, f->flops / 1e9);
    text_addf(b, "\"knobs\":{\"chunk_rows\":%lld,\"lock_step\":%s,\"cache_cross\":%s},\"stages\":[",
              (long long)p->knobs.chunk_rows, p->knobs.lock_step ? "true" : "false",
              p->knobs.cache_cross ? "true" : "false");
    for (int32_t i = 0; i < p->trace.n_stages; i++)
        json_stage(b, p, i);
    text_addf(b, "]}");
}

static char *made(SnugPlan *p, void (*add)(TextBuilder *, const SnugPlan *))
{
    TextBuilder b;
    text_init(&b, p->heap, "plan");
    add(&b, p);
    char *copy = b.failed ? NULL : arena_text(&p->arena, b.at, b.n);
    text_release(&b);
    return copy;
}

SnugStatus plan_describe(SnugPlan *plan, SnugError *err)
{
    plan->text = made(plan, add_text);
    plan->json = made(plan, add_json);
    if (plan->text && plan->json) return SNUG_OK;
    return error_set(err, SNUG_ERR_MEMORY, "no memory to describe the plan");
}
