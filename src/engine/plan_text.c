/* plan_text.c  The verdict in words: a table by stage, what streams, what it adds up to. */
#include "engine/engine.h"

#include <stdio.h>

#include "base/text.h"
#include "engine/verdict.h"

static double mib(double bytes)
{
    return bytes / 1048576.0;
}

static double ratio(double moved, double bound)
{
    return bound > 0 ? moved / bound : 1.0;
}

/* ---- stages --------------------------------------------------------------------------------- */

static void add_host(TextBuilder *b, const SnugPlan *p, size_t bytes)
{
    if (p->schedule.two_tiers) text_addf(b, " %9.1f", mib((double)bytes));
}

static void add_stage(TextBuilder *b, const SnugPlan *p, int32_t i)
{
    char stay[32];
    const StageWeights *w = &p->schedule.loads.stages[i];
    const StageVerdict *v = &p->verdict[i];
    const double error = 1 + p->figures.error;
    (void)snprintf(stay, sizeof stay, "%d/%d", w->n_resident, w->n_units);
    text_addf(b, "%-20s %5d %9.1f", p->trace.stages[i].name, p->trace.stages[i].steps,
              mib((double)v->slab_bytes));
    add_host(b, p, v->host_bytes);
    text_addf(b, " %9.1f %9.1f %8s %9.1f %9.1f %5.2f %7.2f %9.2f  %.2f..%.2f\n",
              mib((double)p->placement.stage_top[i]), mib((double)w->unit_bytes), stay,
              mib(w->moved_bytes), mib(w->bound_bytes), ratio(w->moved_bytes, w->bound_bytes),
              w->stall_seconds, w->seconds, w->seconds / error, w->seconds * error);
}

static void add_total(TextBuilder *b, const SnugPlan *p)
{
    const SnugFigures *f = &p->figures;
    int32_t steps = 0;
    size_t top = 0;
    for (int32_t i = 0; i < p->trace.n_stages; i++) {
        steps += p->trace.stages[i].steps;
        if (p->placement.stage_top[i] > top) top = p->placement.stage_top[i];
    }
    text_addf(b, "%-20s %5d %9.1f", "all", steps, mib((double)f->slab_bytes));
    add_host(b, p, f->host_slab_bytes);
    text_addf(b, " %9.1f %9s %8s %9.1f %9.1f %5.2f %7.2f %9.2f  %.2f..%.2f\n", mib((double)top), "",
              "", mib(f->moved_bytes), mib(f->bound_bytes), ratio(f->moved_bytes, f->bound_bytes),
              f->stall_seconds, f->seconds, f->seconds / (1 + f->error),
              f->seconds * (1 + f->error));
}

static void add_table(TextBuilder *b, const SnugPlan *p)
{
    const bool two = p->schedule.two_tiers;
    text_addf(b, "%-20s %5s %9s%s %9s %9s %8s %9s %9s %5s %7s %9s  %s\n", "stage", "steps",
              two ? "device" : "slab", two ? "      host" : "", "tensors", "weights", "stay",
              "moved", "bound", "gap", "waits", "seconds", "between");
    for (int32_t i = 0; i < p->trace.n_stages; i++)
        add_stage(b, p, i);
    add_total(b, p);
    text_addf(b,
              "(sizes in MiB. %s: what the stage takes of the budget. stay: units of weights that "
              "are read once and stay for the stage.\n moved: weights read%s; bound: no schedule "
              "in this space could move less; gap: moved / bound.)\n\n",
              two ? "device, host" : "slab", two ? " or copied to the device" : "");
}

static void add_details(TextBuilder *b, const SnugPlan *p)
{
    char where[VERDICT_WHERE];
    for (int32_t i = 0; i < p->trace.n_stages; i++) {
        const StageVerdict *v = &p->verdict[i];
        if (v->peak_op < 0) continue;
        text_addf(b, "%s: most is held in %s, %.1f MiB of tensors and %.1f of weights\n",
                  p->trace.stages[i].name, verdict_where(p, v->peak_op, where),
                  mib((double)v->peak_tensors), mib((double)v->peak_weights));
        if (v->n_streamed)
            text_addf(b, "    %d of %d units stream: %s\n", v->n_streamed,
                      p->schedule.loads.stages[i].n_units, v->streamed);
    }
    text_addf(b, "\n");
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void add_budget(TextBuilder *b, const SnugPlan *p)
{
    const SnugFigures *f = &p->figures;
    const bool two = p->schedule.two_tiers;
    if (two)
        text_addf(b, "--vram %.1f MiB: %.1f planned (tensors and weights)\n",
                  mib((double)f->device_budget_bytes), mib((double)f->slab_bytes));
    text_addf(b, "--ram %.1f MiB: %.1f planned (%.1f %s, %.1f process and output)\n",
              mib((double)f->budget_bytes), mib((double)f->process_peak_bytes),
              mib((double)(two ? f->host_slab_bytes : f->slab_bytes)),
              two ? "weights and frames on their way" : "tensors and weights",
              mib((double)f->fixed_bytes));
    text_addf(b, "placement: %.1f MiB, lower bound %.1f MiB (largest sum of live tensors)\n",
              mib((double)p->placement.top), mib((double)p->placement.live));
}

static void add_choices(TextBuilder *b, const SnugPlan *p)
{
    const RunKnobs *k = &p->knobs;
    text_addf(b, "choices: ");
    if (k->chunk_rows)
        text_addf(b, "transformer rows in chunks of %lld", (long long)k->chunk_rows);
    else
        text_addf(b, "all transformer rows at once");
    if (k->head_groups) text_addf(b, ", heads in %d groups", k->head_groups);
    text_addf(b, ", guidance branches %s, cross-attention keys %s",
              k->lock_step ? "in lock-step" : "one after the other",
              k->cache_cross ? "kept" : "computed each step");
    if (k->band_rows) text_addf(b, ", VAE in bands of %lld rows", (long long)k->band_rows);
    if (k->group_frames)
        text_addf(b, ", VAE decodes %lld latent frames at once", (long long)k->group_frames);
    text_addf(b, "\n");
    if (p->job->method) text_addf(b, "%s\n", p->job->method);
}

static void add_forecast(TextBuilder *b, const SnugPlan *p)
{
    const SnugFigures *f = &p->figures;
    const char *note = p->job->engine->profile_note;
    text_addf(b, "forecast: ");
    if (f->seconds >= 3600) text_addf(b, "%.1f hours, ", f->seconds / 3600);
    text_addf(b, "%.1f s, between %.1f and %.1f (%.1f GFLOP; %s)\n", f->seconds,
              f->seconds / (1 + f->error), f->seconds * (1 + f->error), f->flops / 1e9,
              *note ? note : "by the measured profile of this machine");
    if (*note) text_addf(b, "measure it once: snug doctor --measure\n");
}

static void add_text(TextBuilder *b, const SnugPlan *p)
{
    add_table(b, p);
    add_details(b, p);
    add_budget(b, p);
    add_choices(b, p);
    add_forecast(b, p);
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
    TRY(verdict_make(plan, err));
    plan->text = made(plan, add_text);
    plan->json = made(plan, plan_add_json);
    if (plan->text && plan->json) return SNUG_OK;
    return error_set(err, SNUG_ERR_MEMORY, "no memory to describe the plan");
}
