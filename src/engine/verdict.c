/* verdict.c  One walk along the plan's timeline, and one over its loads. */
#include "engine/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/foresee.h"

/* Runs of names of streamed units that are written out. */
enum { RUNS_SHOWN = 8 };

/* ---- where an operation is ------------------------------------------------------------------- */

/* Unit of the operation itself, of the nearest before it in its segment, or after it; -1 none. */
static int32_t unit_near(const Trace *t, int32_t op)
{
    const TraceSegment *s = &t->segments[trace_segment_of(t, op)];
    const TraceTemplate *m = trace_template(t, s);
    const int32_t at = op - s->first_op;
    for (int32_t away = 0; away < m->n_ops; away++)
        for (int side = -1; side <= 1; side += 2) {
            const int32_t i = at + side * away;
            if (i < 0 || i >= m->n_ops) continue;
            const TraceOp *o = &t->ops[m->first_op + i];
            if (o->n_units) return t->units[s->first_unit + o->unit[0]];
        }
    return -1;
}

const char *verdict_where(const SnugPlan *plan, int32_t op, char to[VERDICT_WHERE])
{
    to[0] = '-';
    to[1] = '\0';
    if (op < 0 || op >= plan->trace.n_ops) return to;
    const char *kind = op_kind_name((OpKind)trace_op(&plan->trace, op)->kind);
    const int32_t unit = unit_near(&plan->trace, op);
    (void)snprintf(to, VERDICT_WHERE, "%s%s%s", kind, unit < 0 ? "" : " in ",
                   unit < 0 ? "" : plan->job->weights.units[unit].name);
    return to;
}

/* ---- peaks ---------------------------------------------------------------------------------- */

static void walk(const SnugPlan *plan, Foresee *f, StageVerdict *out)
{
    const Trace *t = &plan->trace;
    for (int32_t s = 0; s < t->n_stages; s++) {
        StageVerdict *v = &out[s];
        v->peak_op = -1;
        for (int32_t op = t->stages[s].first_op; op < t->stages[s].end_op; op++) {
            foresee_go(f, op);
            if (op == t->stages[s].first_op) v->begin_seconds = f->now;
            if (v->peak_op >= 0 && f->tensors + f->weights <= v->peak_tensors + v->peak_weights)
                continue;
            v->peak_op = op;
            v->peak_tensors = f->tensors;
            v->peak_weights = f->weights;
        }
        if (v->peak_op < 0) v->begin_seconds = f->now;
    }
    foresee_go(f, t->n_ops);
    out[t->n_stages].begin_seconds = f->now;
}

static SnugStatus find_peaks(const SnugPlan *plan, StageVerdict *out, SnugError *err)
{
    const int32_t n_units = plan->job->weights.n_units;
    Arena arena;
    Held held = { 0 };
    Foresee f;
    arena_init(&arena, plan->heap, "verdict");
    const int32_t *part_of = arena_array(&arena, (size_t)n_units + 1, sizeof *part_of);
    SnugStatus status = part_of ? held_make(&held, &plan->trace, &plan->placement, &plan->schedule,
                                            part_of, n_units, err)
                                : error_set(err, SNUG_ERR_MEMORY, "no memory for the verdict");
    if (status == SNUG_OK) status = foresee_open(&f, plan, &held, err);
    if (status == SNUG_OK) {
        walk(plan, &f, out);
        foresee_close(&f);
    }
    held_release(&held);
    arena_release(&arena);
    return status;
}

/* ---- loads ---------------------------------------------------------------------------------- */

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

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void find_tops(const SnugPlan *plan, StageVerdict *out)
{
    const Trace *t = &plan->trace;
    const Schedule *s = &plan->schedule;
    for (int32_t i = 0; i < t->n_stages; i++) {
        out[i].slab_bytes = larger(plan->placement.stage_top[i], s->loads.stages[i].top);
        out[i].host_bytes = s->two_tiers ? plan->staging_bytes : 0;
        out[i].flops = stage_flops(t, &t->stages[i]);
    }
    for (int32_t i = 0; s->two_tiers && i < s->host.n_loads; i++) {
        const Load *load = &s->host.loads[i];
        if (load->need >= s->loads.n_loads) continue;
        StageVerdict *v = &out[trace_stage_of(t, s->loads.loads[load->need].need)];
        v->host_bytes = larger(v->host_bytes, load->offset + load->bytes);
    }
}

/* Loads of a unit in a stage, so far. */
typedef struct Count {
    int32_t stage, n;
} Count;

/* A run of names that count up: "transformer.blocks.3 to 17". */
typedef struct Streams {
    TextBuilder names;
    int n, n_runs;
    const char *last; /* name of the run's end so far */
    bool several;
} Streams;

/* Is `b` what follows `a`, as "blocks.3" and "blocks.4" do? */
static bool counts_up(const char *a, const char *b)
{
    const char *dot = strrchr(a, '.');
    const size_t n = dot ? (size_t)(dot + 1 - a) : 0;
    if (!n || strncmp(a, b, n) != 0) return false;
    char *end_a, *end_b;
    const long x = strtol(a + n, &end_a, 10), y = strtol(b + n, &end_b, 10);
    return end_a != a + n && end_b != b + n && !*end_a && !*end_b && y == x + 1;
}

static void end_run(Streams *s)
{
    if (s->several && s->n_runs <= RUNS_SHOWN)
        text_addf(&s->names, " to %s", strrchr(s->last, '.') + 1);
    s->several = false;
}

static void add_stream(Streams *s, const char *name)
{
    s->n++;
    if (s->last && strcmp(s->last, name) == 0) return; /* another piece of the same block */
    if (s->last && counts_up(s->last, name)) {
        s->several = true;
        s->last = name;
        return;
    }
    end_run(s);
    s->last = name;
    if (++s->n_runs <= RUNS_SHOWN)
        text_addf(&s->names, "%s%s", s->n_runs > 1 ? ", " : "", name);
    else if (s->n_runs == RUNS_SHOWN + 1)
        text_addf(&s->names, ", ...");
}

/* Hand the stage's list over and begin the next one. */
static bool close_streams(SnugPlan *plan, Streams *s, StageVerdict *v)
{
    end_run(s);
    v->n_streamed = s->n;
    v->streamed = s->n ? arena_text(&plan->arena, s->names.at, s->names.n) : "";
    s->names.n = 0;
    s->n = s->n_runs = 0;
    s->last = NULL;
    return v->streamed && !s->names.failed;
}

static bool list_streams(SnugPlan *plan, Count *count, Streams *s, StageVerdict *out)
{
    const Residency *r = &plan->schedule.loads;
    int32_t at = 0;
    for (int32_t stage = 0; stage < plan->trace.n_stages; stage++) {
        for (; at < r->n_loads && r->loads[at].need < plan->trace.stages[stage].end_op; at++) {
            Count *c = &count[r->loads[at].unit];
            if (c->stage != stage + 1) *c = (Count){ .stage = stage + 1 };
            c->n++;
        }
        for (int32_t unit = 0; unit < plan->job->weights.n_units; unit++)
            if (count[unit].stage == stage + 1 && count[unit].n > 1)
                add_stream(s, plan->job->weights.units[unit].name);
        if (!close_streams(plan, s, &out[stage])) return false;
    }
    return true;
}

static SnugStatus find_streams(SnugPlan *plan, StageVerdict *out, SnugError *err)
{
    Arena arena;
    Streams s = { .n = 0 };
    arena_init(&arena, plan->heap, "verdict");
    text_init(&s.names, plan->heap, "verdict");
    Count *count = arena_array(&arena, (size_t)plan->job->weights.n_units + 1, sizeof *count);
    const bool good = count && list_streams(plan, count, &s, out);
    text_release(&s.names);
    arena_release(&arena);
    return good ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for the verdict");
}

SnugStatus verdict_make(SnugPlan *plan, SnugError *err)
{
    StageVerdict *out = arena_array(&plan->arena, (size_t)plan->trace.n_stages + 1, sizeof *out);
    if (!out) return error_set(err, SNUG_ERR_MEMORY, "no memory for the verdict");
    plan->verdict = out;
    TRY(find_peaks(plan, out, err));
    find_tops(plan, out);
    return find_streams(plan, out, err);
}
