/* report_planned.c  One walk over the request: operations on the plan's clock, loads on its link. */
#include "engine/report_planned.h"

#include "engine/layout.h"

/* Where the walk stands. */
typedef struct Walk {
    const SnugPlan *plan;
    const Recorder *recorder;
    const LoadTime *times; /* [loads] foreseen */
    HeldCursor cursor;
    int32_t begun, needed, released; /* loads: in order, in order, by last operation */
    double now, late;                /* seconds; late: how long operations waited so far */
    size_t weights;
} Walk;

static size_t bytes_of(const Walk *w, int32_t load)
{
    return w->plan->schedule.loads.loads[load].bytes;
}

/* Move on to the begin of `op`. */
static void advance(Walk *w, int32_t op)
{
    const Residency *r = &w->plan->schedule.loads;
    const Held *h = &w->recorder->held;
    w->now = clock_at(&w->plan->clock, op) + w->late;
    for (; w->needed < r->n_loads && r->loads[w->needed].need <= op; w->needed++) {
        const double wait = w->times[w->needed].end - w->now;
        if (wait <= 0) continue;
        w->now += wait;
        w->late += wait;
    }
    for (; w->released < h->n_loads && h->last_op[h->by_last_op[w->released]] < op; w->released++)
        w->weights -= bytes_of(w, h->by_last_op[w->released]);
    for (; w->begun < r->n_loads &&
           (w->times[w->begun].begin <= w->now || r->loads[w->begun].need <= op);
         w->begun++)
        w->weights += bytes_of(w, w->begun);
}

static SnugStatus foresee(const RunRecord *record, LoadTime *times, SnugError *err)
{
    const SnugPlan *p = record->plan;
    SnugJob *job = record->job;
    Residency loads = p->schedule.loads; /* forecast_loads writes figures that are there already */
    const Costs costs = layout_costs(p);
    double seconds;
    return forecast_loads(&p->clock, &loads, p->schedule.two_tiers ? &p->schedule.host : NULL,
                          job->unit_bytes, job->weights.n_units, &costs, times, &seconds, err);
}

static void walk(Walk *w, const Timeline *t, ReportPlanned *out, double *stage_begin)
{
    const Trace *trace = &w->plan->trace;
    int32_t stage = 0;
    for (int i = 0; i < t->n; i++) {
        out[i] = (ReportPlanned){ 0 };
        for (int32_t op = t->at[i].first_op; op <= t->at[i].last_op; op++) {
            advance(w, op);
            for (; stage < trace->n_stages && trace->stages[stage].first_op <= op; stage++)
                stage_begin[stage] = w->now;
            const size_t tensors = held_tensors(&w->recorder->held, &w->cursor, op);
            if (tensors > out[i].tensors) out[i].tensors = tensors;
            if (w->weights > out[i].weights) out[i].weights = w->weights;
        }
    }
    for (; stage <= trace->n_stages; stage++)
        stage_begin[stage] = clock_at(&w->plan->clock, trace->n_ops) + w->late;
}

SnugStatus report_planned_fill(const RunRecord *record, ReportPlanned *out, double *stage_begin,
                               SnugError *err)
{
    Arena arena;
    arena_init(&arena, record->job->engine->heap, "report");
    const int32_t n_loads = record->plan->schedule.loads.n_loads;
    LoadTime *times = arena_array(&arena, (size_t)n_loads + 1, sizeof *times);
    SnugStatus status = times ? foresee(record, times, err)
                              : error_set(err, SNUG_ERR_MEMORY, "no memory for the report");
    if (status == SNUG_OK) {
        Walk w = { .plan = record->plan, .recorder = record->recorder, .times = times };
        walk(&w, &record->recorder->timeline, out, stage_begin);
    }
    arena_release(&arena);
    return status;
}
