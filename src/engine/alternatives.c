/* alternatives.c  What would fit instead: fewer frames, a smaller picture, quantised weights. Each is
 * tried by planning it, in the way that needs least memory; none is ever chosen silently. */
#include "engine/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

typedef struct Trial {
    SnugPlan *plan; /* that was refused */
    const LayoutRoom *room;
    char *to; /* what was found, in words */
    size_t n, max;
} Trial;

static void say(Trial *t, const char *option, const char *value)
{
    (void)snprintf(t->to + t->n, t->max - t->n, "%s%s%s",
                   t->n ? ", or with " : "; it would fit with ", option, value);
    t->n += strlen(t->to + t->n);
}

/* Slab bytes that the knobs need, and of those that the stages without steps need. SIZE_MAX: not possible. */
static size_t need(SnugPlan *plan, const RunKnobs *knobs, size_t *without_steps)
{
    SnugError ignored;
    size_t *by_stage, most = 0;
    *without_steps = SIZE_MAX;
    if (layout_least(plan, knobs, LAYOUT_SKETCH_STEPS, &by_stage, &ignored) != SNUG_OK)
        return SIZE_MAX;
    *without_steps = 0;
    for (int32_t s = 0; s < plan->trace.n_stages; s++) {
        if (by_stage[s] > most) most = by_stage[s];
        if (!plan->trace.stages[s].steps && by_stage[s] > *without_steps)
            *without_steps = by_stage[s];
    }
    return most;
}

/* Lay the plan out as small as it gets. Requests that are not possible do not fit. Where the VAE
 * alone takes too much, knobs of the transformer cannot help. */
static bool fits(SnugPlan *plan, const LayoutRoom *room)
{
    RunKnobs knobs[LAYOUT_MAX_CANDIDATES], way[LAYOUT_MAX_WAYS];
    SnugError ignored;
    const int n = layout_candidates(plan->job, knobs), n_ways = layout_vae_ways(plan->job, way);
    const RunKnobs *tried[] = { &knobs[0],
                                &knobs[n - 1] }; /* the one planned soonest, the smallest */
    for (int i = n_ways; i-- > 0;) {
        if (way[i].band_rows > way[n_ways - 1].band_rows || (n_ways > 1 && !way[i].band_rows))
            continue;
        for (int k = 0; k < (n > 1 ? 2 : 1); k++) {
            const RunKnobs least = layout_on_way(*tried[k], &way[i]);
            size_t others;
            if (need(plan, &least, &others) <= room->device_bytes)
                return !plan->job->engine->device.memory || /* host memory has its own limit */
                       layout_make(plan, &least, LAYOUT_SKETCH_STEPS, room, &ignored) == SNUG_OK;
            if (n_ways > 1 && others > room->device_bytes) break;
        }
    }
    return false;
}

/* ---- another request --------------------------------------------------------------------------- */

/* The same request with one option set otherwise. */
static bool fits_with(const Trial *t, const char *option, const char *value)
{
    const SnugJob *job = t->plan->job;
    SnugJob *other = NULL;
    SnugPlan *plan = NULL;
    SnugError ignored;
    if (snug_job_create(&other, job->engine, job->pipeline->name, &ignored) != SNUG_OK)
        return false;
    memcpy(other->request, job->request, job->pipeline->request_bytes);
    other->common = job->common;
    other->constraints = job->constraints;
    bool good = snug_job_set(other, option, value, &ignored) == SNUG_OK &&
                plan_open(&plan, other, &ignored) == SNUG_OK;
    if (good) good = fits(plan, t->room);
    snug_plan_free(plan);
    snug_job_free(other);
    return good;
}

/* The most frames that fit, found by halving: 1 + k steps. */
static void try_frames(Trial *t)
{
    const PipelineInfo *info = &t->plan->job->info;
    if (info->frames_step <= 0 || info->frames <= 1) return;
    char value[32], best[32] = "";
    int64_t low = 0, high = (info->frames - 1) / info->frames_step; /* high does not fit */
    while (high - low >= 1) {
        const int64_t k = low + (high - low) / 2;
        (void)snprintf(value, sizeof value, "%lld", (long long)(1 + k * info->frames_step));
        if (fits_with(t, "frames", value)) {
            memcpy(best, value, sizeof best);
            if (k == low) break;
            low = k;
        } else
            high = k;
    }
    if (best[0]) say(t, "--frames ", best);
}

static void try_sizes(Trial *t)
{
    const PipelineInfo *info = &t->plan->job->info;
    if (info->width_step <= 0 || info->height_step <= 0) return;
    char value[32], best[32] = "";
    for (int low = 0, high = 8; high - low > 1;) { /* high does not fit */
        const int eighths = (low + high) / 2;
        const int w = info->width * eighths / 8 / info->width_step * info->width_step,
                  h = info->height * eighths / 8 / info->height_step * info->height_step;
        (void)snprintf(value, sizeof value, "%dx%d", w, h);
        if (w < info->width_step || h < info->height_step)
            low = eighths;
        else if (fits_with(t, "size", value)) {
            memcpy(best, value, sizeof best);
            low = eighths;
        } else
            high = eighths;
    }
    if (best[0]) say(t, "--size ", best);
}

/* ---- other weights ----------------------------------------------------------------------------- */

/* What `snug convert` would leave of a unit: its matrices at `bits` a value. */
static size_t converted_bytes(const WeightUnit *unit, double bits)
{
    size_t sum = 0;
    for (const BoundWeight *b = unit->first; b; b = b->next) {
        const Weight *w = &b->weight;
        const bool plain = w->dtype == DT_F32 || w->dtype == DT_F16 || w->dtype == DT_BF16;
        const double values = (double)shape_count(w->shape);
        const bool matrix = plain && w->shape.rank == 2 && values >= 4096;
        sum += size_align(matrix ? (size_t)(values * bits / 8) : w->bytes, LIVES_ALIGN);
    }
    return sum;
}

static bool fits_converted(Trial *t, double bits)
{
    SnugPlan *plan = t->plan;
    const WeightTable *table = &plan->job->weights;
    size_t *bytes = heap_take(plan->heap, ((size_t)table->n_units + 1) * sizeof *bytes, "plan");
    bool smaller = false, good = false;
    for (int32_t i = 0; bytes && i < table->n_units; i++) {
        bytes[i] = converted_bytes(&table->units[i], bits);
        smaller = smaller || bytes[i] < plan->unit_bytes[i] / 2 + plan->unit_bytes[i] / 4;
    }
    if (smaller) {
        const size_t *before = plan->unit_bytes;
        plan->unit_bytes = bytes;
        good = fits(plan, t->room);
        plan->unit_bytes = before;
    }
    heap_give(plan->heap, bytes);
    return good;
}

static void try_weights(Trial *t)
{
    if (fits_converted(t, 8.5))
        say(t, "weights as ", "Q8_0 (snug convert)");
    else if (fits_converted(t, 4.127))
        say(t, "weights as ", "NF4 (snug convert)");
}

void plan_alternatives(SnugPlan *plan, const LayoutRoom *room, char *to, size_t to_bytes)
{
    Trial t = { .plan = plan, .room = room, .to = to, .max = to_bytes };
    to[0] = '\0';
    try_weights(&t);
    try_frames(&t);
    try_sizes(&t);
}
