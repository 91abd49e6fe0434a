/* foresee.c  Waiting is added up on the way: the clock knows only work. */
#include "engine/foresee.h"

static SnugStatus find_times(Foresee *f, SnugError *err)
{
    const SnugPlan *p = f->plan;
    Residency loads = p->schedule.loads; /* forecast_loads writes figures that are there already */
    const Costs costs = layout_costs(p);
    double seconds;
    f->times = arena_array(&f->arena, (size_t)loads.n_loads + 1, sizeof *f->times);
    if (!f->times) return error_set(err, SNUG_ERR_MEMORY, "no memory to look ahead");
    return forecast_loads(&p->clock, &loads, p->schedule.two_tiers ? &p->schedule.host : NULL,
                          p->unit_bytes, p->job->weights.n_units, &costs, f->times, &seconds, err);
}

SnugStatus foresee_open(Foresee *out, const SnugPlan *plan, const Held *held, SnugError *err)
{
    *out = (Foresee){ .plan = plan, .held = held };
    arena_init(&out->arena, plan->heap, "verdict");
    const SnugStatus status = find_times(out, err);
    if (status != SNUG_OK) foresee_close(out);
    return status;
}

void foresee_close(Foresee *f)
{
    if (f->arena.heap) arena_release(&f->arena);
    *f = (Foresee){ 0 };
}

static void move_loads(Foresee *f, int32_t op)
{
    const Residency *r = &f->plan->schedule.loads;
    const Held *h = f->held;
    for (; f->needed < r->n_loads && r->loads[f->needed].need <= op; f->needed++) {
        const double wait = f->times[f->needed].end - f->now;
        if (wait <= 0) continue;
        f->now += wait;
        f->late += wait;
    }
    for (; f->released < h->n_loads && h->last_op[h->by_last_op[f->released]] < op; f->released++)
        f->loaded -= r->loads[h->by_last_op[f->released]].bytes;
    for (; f->begun < r->n_loads &&
           (f->times[f->begun].begin <= f->now || r->loads[f->begun].need <= op);
         f->begun++)
        f->loaded += r->loads[f->begun].bytes;
}

void foresee_go(Foresee *f, int32_t op)
{
    f->now = clock_at(&f->plan->clock, op) + f->late;
    if (op >= f->plan->trace.n_ops) return;
    move_loads(f, op);
    f->tensors = held_tensors(f->held, &f->cursor, op);
    f->weights = f->loaded;
}
