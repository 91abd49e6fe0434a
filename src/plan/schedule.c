/* schedule.c  Which policy is best depends on how long loads take beside the work between them, so
 * each is carried through the simulation. */
#include "plan/schedule.h"

#include "base/arena.h"
#include "base/size.h"

/* A schedule that moves more than this over its bound must be that much faster to be chosen. */
static const double MOST_OVER_BOUND = 1.05, WORTH = 1.10;

static const ResidencyPolicy POLICIES[] = {
    { .horizon = 1, .strict = true },
    { .horizon = 0, .strict = true },
    { .horizon = 2 },
    { .horizon = 2, .eager = true },
    { .horizon = 4 },
    { .horizon = 1, .plain = true },
    { .horizon = 0, .plain = true },
    { .horizon = 1, .grid = true, .plain = true },
    { .horizon = 0, .grid = true, .plain = true },
};
enum { N_POLICIES = sizeof POLICIES / sizeof POLICIES[0] };

/* ---- host tier -------------------------------------------------------------------------------- */

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
        while (stage < t->n_stages && t->stages[stage].first_op <= loads->loads[i].need)
            out->stage_first[stage++] = i;
        out->list[out->n++] = (UnitUse){ loads->loads[i].unit, i, i, INT32_MAX };
    }
    while (stage <= t->n_stages)
        out->stage_first[stage++] = out->n;
    for (int32_t s = 0; s <= t->n_stages; s++)
        out->stage_begin[s] = out->stage_first[s];
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
    ResidencyTask host = { .uses = &uses,
                           .floor = floor,
                           .unit_bytes = task->unit_bytes,
                           .n_units = task->n_units,
                           .slab_bytes = task->host_bytes };
    static const ResidencyPolicy TRIED[] = { { .horizon = 1, .strict = true },
                                             { .strict = true },
                                             { .grid = true, .plain = true } };
    ResidencyPolicy *by_stage = heap_take(task->trace->heap, stages * sizeof *by_stage, "planning");
    if (!by_stage) status = error_set(err, SNUG_ERR_MEMORY, "no memory");
    host.by_stage = by_stage;
    for (size_t i = 0; i < COUNT(TRIED) && status == SNUG_ERR_BUDGET; i++) {
        for (size_t k = 0; k < stages; k++)
            by_stage[k] = TRIED[i];
        status = residency_make(&out->host, &host, err);
    }
    heap_give(task->trace->heap, by_stage);
    heap_give(task->trace->heap, floor);
    uses_release(&uses);
    return status;
}

/* ---- choosing --------------------------------------------------------------------------------- */

static SnugStatus try_policies(Schedule *out, const ScheduleTask *task,
                               const ResidencyPolicy *by_stage, SnugError *err)
{
    const ResidencyTask device = { .uses = task->uses,
                                   .floor = task->placement->stage_top,
                                   .unit_bytes = task->unit_bytes,
                                   .n_units = task->n_units,
                                   .slab_bytes = task->device_bytes,
                                   .by_stage = by_stage,
                                   .constraints = task->constraints,
                                   .trace = task->trace };
    *out = (Schedule){ .two_tiers = task->two_tiers };
    out->loads.heap = out->host.heap = task->trace->heap;
    TRY(residency_make(&out->loads, &device, err));
    SnugStatus status = task->two_tiers ? plan_host(out, task, err) : SNUG_OK;
    if (status == SNUG_OK)
        status =
            forecast_loads(task->clock, &out->loads, task->two_tiers ? &out->host : NULL,
                           task->unit_bytes, task->n_units, task->costs, NULL, &out->seconds, err);
    if (status != SNUG_OK) {
        const size_t top = out->loads.top, host_top = out->host.top;
        const int32_t refused = out->loads.refused_stage;
        schedule_release(out);
        out->loads.refused_stage = refused;
        out->loads.top = top;
        out->host.top = host_top;
    }
    return status;
}

/* Seconds; more when the stage moves much more than it must. */
static double stage_price(const StageWeights *s)
{
    const double over = s->bound_bytes > 0 ? s->moved_bytes / s->bound_bytes : 1.0;
    return s->seconds * (over <= MOST_OVER_BOUND ? 1.0 : WORTH * over / MOST_OVER_BOUND);
}

static double price(const Schedule *s)
{
    double sum = 0;
    for (int32_t i = 0; i < s->loads.n_stages; i++)
        sum += stage_price(&s->loads.stages[i]);
    return sum;
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
    const double a = price(x), b = price(best);
    if (a < 0.99 * b) return true;
    return a <= 1.001 * b && x->loads.top < best->loads.top;
}

/* The search: each policy for all stages, then for each stage the one that suited it best. */
typedef struct Choice {
    const ScheduleTask *task;
    Schedule *best;
    bool found;
    size_t least, least_host; /* slabs that would have done */
    int32_t refused_stage;
    ResidencyPolicy *by_stage; /* tried now */
    ResidencyPolicy *liked;    /* [n_stages] */
    double *liked_price, *liked_moved;
} Choice;

static void note_stages(Choice *c, const Schedule *s)
{
    for (int32_t i = 0; i < s->loads.n_stages; i++) {
        const StageWeights *stage = &s->loads.stages[i];
        const double now = stage_price(stage), before = c->liked_price[i];
        const bool same = now <= 1.001 * before && now >= 0.999 * before;
        if (before >= 0 && (same ? stage->moved_bytes >= c->liked_moved[i] : now > before))
            continue;
        c->liked[i] = c->by_stage[i];
        c->liked_price[i] = now;
        c->liked_moved[i] = stage->moved_bytes;
    }
}

static SnugStatus consider(Choice *c, const ResidencyPolicy *by_stage, SnugError *err)
{
    Schedule tried;
    const SnugStatus status = try_policies(&tried, c->task, by_stage, err);
    if (status == SNUG_ERR_BUDGET) {
        if (tried.loads.top < c->least) {
            c->least = tried.loads.top;
            c->refused_stage = tried.loads.refused_stage;
        }
        if (tried.host.top && tried.host.top < c->least_host) c->least_host = tried.host.top;
        return SNUG_OK;
    }
    TRY(status);
    note_stages(c, &tried);
    if (c->found && !better(&tried, c->best)) {
        schedule_release(&tried);
        return SNUG_OK;
    }
    schedule_release(c->best);
    *c->best = tried;
    c->found = true;
    return SNUG_OK;
}

/* Slab bytes in which every stage has room for all of its weights: more only fetches them sooner. */
static size_t whole_bytes(const Choice *c)
{
    size_t most = 0;
    for (int32_t s = 0; s < c->best->loads.n_stages; s++) {
        const size_t stage = c->task->placement->stage_top[s] + c->best->loads.stages[s].unit_bytes;
        if (stage > most) most = stage;
    }
    return most;
}

/* What is as fast in less is left to others: once more without room that nothing needs. */
static SnugStatus shrink(Choice *c, SnugError *err)
{
    const ScheduleTask *whole = c->task;
    ScheduleTask smaller = *whole;
    const size_t most = whole_bytes(c);
    for (int i = 0; i < 2; i++) {
        smaller.device_bytes = most + (i ? most / 16 : 0);
        if (smaller.device_bytes >= c->best->loads.top) break;
        c->task = &smaller;
        const SnugStatus status = consider(c, c->liked, err);
        c->task = whole;
        if (status != SNUG_OK) return status;
    }
    return SNUG_OK;
}

static SnugStatus choose(Choice *c, SnugError *err)
{
    const int32_t n_stages = c->task->uses->n_stages;
    for (int32_t s = 0; s < n_stages; s++)
        c->liked_price[s] = -1.0;
    for (int i = 0; i < N_POLICIES; i++) {
        if (c->found && c->task->quick) return SNUG_OK;
        if (c->found && perfect(c->best)) return shrink(c, err);
        for (int32_t s = 0; s < n_stages; s++)
            c->by_stage[s] = POLICIES[i];
        TRY(consider(c, c->by_stage, err));
    }
    if (!c->found) return SNUG_OK;
    TRY(consider(c, c->liked, err));
    return shrink(c, err);
}

SnugStatus schedule_make(Schedule *out, const ScheduleTask *task, SnugError *err)
{
    Heap *heap = task->trace->heap;
    *out = (Schedule){ .loads.heap = heap, .host.heap = heap };
    Choice c = { .task = task, .best = out, .least = SIZE_MAX, .least_host = SIZE_MAX };
    Arena arena;
    arena_init(&arena, heap, "planning");
    const size_t stages = (size_t)task->uses->n_stages + 1;
    c.by_stage = arena_array(&arena, stages, sizeof *c.by_stage);
    c.liked = arena_array(&arena, stages, sizeof *c.liked);
    c.liked_price = arena_array(&arena, stages, sizeof *c.liked_price);
    c.liked_moved = arena_array(&arena, stages, sizeof *c.liked_moved);
    SnugStatus status = c.by_stage && c.liked && c.liked_price && c.liked_moved
                            ? choose(&c, err)
                            : error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
    arena_release(&arena);
    if (status == SNUG_OK && c.found) return SNUG_OK;
    schedule_release(out);
    if (status != SNUG_OK) return status;
    out->loads.top = c.least;
    out->loads.refused_stage = c.refused_stage;
    out->host.top = c.least_host == SIZE_MAX ? 0 : c.least_host;
    return SNUG_ERR_BUDGET;
}

void schedule_release(Schedule *s)
{
    residency_release(&s->loads);
    residency_release(&s->host);
    s->seconds = 0;
}
