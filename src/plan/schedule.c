/* schedule.c  Which policy is best depends on how long loads take beside the work between them, so
 * each is carried through the simulation. */
#include "plan/schedule.h"

#include "base/size.h"

/* A schedule that moves more than this over its bound must be that much faster to be chosen. */
static const double MOST_OVER_BOUND = 1.05, WORTH = 1.10;

static const ResidencyPolicy POLICIES[] = {
    { .horizon = 1 },
    { .horizon = 0 },
    { .horizon = 0, .strict = true },
    { .horizon = 2 },
    { .horizon = 4 },
    { .horizon = 1, .eager = true },
    { .horizon = 2, .eager = true },
    { .horizon = 1, .grid = true },
    { .horizon = 0, .grid = true },
};

/* ---- host tier -------------------------------------------------------------------------------- */

/* Is load i a further part for a use that is listed? Parts of two uses may alternate a little. */
static bool extend_use(Uses *out, const Residency *loads, int32_t i)
{
    for (int32_t k = out->n - 1; k >= 0 && k >= out->n - UNIT_MAX_PARTS; k--)
        if (loads->loads[out->list[k].first].use == loads->loads[i].use) {
            out->list[k].last = i;
            return true;
        }
    return false;
}

/* The loads to the device are the uses of what is in host memory. */
static SnugStatus uses_of_loads(Uses *out, const Residency *loads, const Trace *t, int32_t n_units,
                                SnugError *err)
{
    *out = (Uses){ .heap = t->heap, .n_stages = t->n_stages };
    const size_t stages = (size_t)t->n_stages + 1;
    out->list = heap_take(t->heap, ((size_t)loads->n_loads + 1) * sizeof *out->list, "planning");
    out->stage_first = heap_take(t->heap, stages * sizeof *out->stage_first, "planning");
    out->stage_begin = heap_take(t->heap, stages * sizeof *out->stage_begin, "planning");
    if (!out->list || !out->stage_first || !out->stage_begin) {
        uses_release(out);
        return error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
    }
    int32_t stage = 0;
    for (int32_t i = 0; i < loads->n_loads; i++) {
        const Load *load = &loads->loads[i];
        while (stage < t->n_stages && t->stages[stage].first_op <= load->need) {
            out->stage_begin[stage] = i;
            out->stage_first[stage++] = out->n;
        }
        if (extend_use(out, loads, i)) continue;
        out->list[out->n++] =
            (UnitUse){ .unit = load->unit, .first = i, .last = i, .next = INT32_MAX };
    }
    for (; stage <= t->n_stages; stage++) {
        out->stage_first[stage] = out->n;
        out->stage_begin[stage] = loads->n_loads;
    }
    return uses_link(out, n_units, err);
}

static SnugStatus plan_host(Schedule *out, const ScheduleTask *task, SnugError *err)
{
    Uses uses;
    TRY(uses_of_loads(&uses, &out->loads, task->trace, task->n_units, err));
    const size_t stages = (size_t)task->trace->n_stages + 1;
    size_t *floor = heap_take(task->trace->heap, stages * sizeof *floor, "planning");
    SnugStatus status = floor ? SNUG_ERR_BUDGET : error_set(err, SNUG_ERR_MEMORY, "no memory");
    for (size_t i = 0; floor && i < stages; i++)
        floor[i] = task->staging_bytes;
    const ResidencyTask host = { .uses = &uses,
                                 .floor = floor,
                                 .unit_bytes = task->unit_bytes,
                                 .n_units = task->n_units,
                                 .slab_bytes = task->host_bytes };
    const ResidencyPolicy tried[] = { { .horizon = 1 }, { .horizon = 0 }, { .grid = true } };
    for (size_t i = 0; i < COUNT(tried) && status == SNUG_ERR_BUDGET; i++)
        status = residency_make(&out->host, &host, tried[i], err);
    heap_give(task->trace->heap, floor);
    uses_release(&uses);
    return status;
}

/* ---- choosing --------------------------------------------------------------------------------- */

static SnugStatus try_policy(Schedule *out, const ScheduleTask *task, ResidencyPolicy policy,
                             SnugError *err)
{
    const ResidencyTask device = { .uses = task->uses,
                                   .floor = task->placement->stage_top,
                                   .unit_bytes = task->unit_bytes,
                                   .n_units = task->n_units,
                                   .slab_bytes = task->device_bytes,
                                   .constraints = task->constraints };
    *out = (Schedule){ .policy = policy, .two_tiers = task->two_tiers };
    out->loads.heap = out->host.heap = task->trace->heap;
    TRY(residency_make(&out->loads, &device, policy, err));
    SnugStatus status = task->two_tiers ? plan_host(out, task, err) : SNUG_OK;
    if (status == SNUG_OK)
        status =
            forecast_loads(task->clock, &out->loads, task->two_tiers ? &out->host : NULL,
                           task->unit_bytes, task->n_units, task->costs, NULL, &out->seconds, err);
    if (status != SNUG_OK) {
        const size_t top = out->loads.top, host_top = out->host.top;
        schedule_release(out);
        out->loads.top = top;
        out->host.top = host_top;
    }
    return status;
}

static bool near_bound(const Residency *r)
{
    for (int32_t s = 0; s < r->n_stages; s++)
        if (r->stages[s].moved_bytes > MOST_OVER_BOUND * r->stages[s].bound_bytes) return false;
    return true;
}

static double price(const Schedule *s)
{
    return s->seconds * (near_bound(&s->loads) ? 1.0 : WORTH);
}

/* Nothing waits and nothing is read twice: no policy can do better. */
static bool perfect(const Schedule *s)
{
    double moved = 0, bound = 0, stall = 0;
    for (int32_t i = 0; i < s->loads.n_stages; i++) {
        moved += s->loads.stages[i].moved_bytes;
        bound += s->loads.stages[i].bound_bytes;
        stall += s->loads.stages[i].stall_seconds;
    }
    return moved <= bound && stall <= 0.01 * s->seconds;
}

static bool better(const Schedule *x, const Schedule *best)
{
    if (price(x) < 0.99 * price(best)) return true;
    return price(x) <= 1.001 * price(best) && x->loads.top < best->loads.top;
}

SnugStatus schedule_make(Schedule *out, const ScheduleTask *task, SnugError *err)
{
    *out = (Schedule){ .loads.heap = task->trace->heap, .host.heap = task->trace->heap };
    size_t least = SIZE_MAX, least_host = SIZE_MAX;
    bool found = false;
    for (size_t i = 0; i < COUNT(POLICIES); i++) {
        if (found && (task->quick || POLICIES[i].grid || perfect(out))) break;
        Schedule tried;
        const SnugStatus status = try_policy(&tried, task, POLICIES[i], err);
        if (status == SNUG_ERR_BUDGET) {
            if (tried.loads.top < least) least = tried.loads.top;
            if (tried.host.top && tried.host.top < least_host) least_host = tried.host.top;
            continue;
        }
        if (status != SNUG_OK) {
            schedule_release(out);
            return status;
        }
        if (found && !better(&tried, out)) {
            schedule_release(&tried);
            continue;
        }
        schedule_release(out);
        *out = tried;
        found = true;
    }
    if (found) return SNUG_OK;
    out->loads.top = least;
    out->host.top = least_host == SIZE_MAX ? 0 : least_host;
    return SNUG_ERR_BUDGET;
}

void schedule_release(Schedule *s)
{
    residency_release(&s->loads);
    residency_release(&s->host);
    s->seconds = 0;
}
