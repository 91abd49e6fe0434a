/* residency.c  Walk the uses; for each unit that is missing choose a window and emit a load.
 *
 * Blocks are what lies in the slab, by offset, without overlaps; contents that are done with stay
 * listed until something is loaded over them, because their last use says when that may begin.
 * Invariant: a load's window was used last before `after`, and is needed at `need` > `after`. */
#include "plan/residency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/size.h"

typedef struct Block {
    size_t begin, end;
    int32_t unit;
    int32_t use;  /* its last use so far */
    int32_t next; /* its next use; INT32_MAX: none, or its contents are gone */
} Block;

/* What is decided for a stage before its loads. */
typedef struct StageView {
    int32_t index;
    size_t floor, space; /* where weights may lie, small units included */
    size_t large_floor;  /* where the others may lie */
    size_t small_at;     /* next small unit goes here */
    size_t largest;
    int32_t first_pass_end; /* use at which every unit was needed once */
} StageView;

typedef struct Work {
    const ResidencyTask *task;
    const Uses *uses;
    ResidencyPolicy policy;
    Residency *out;
    Arena arena;
    Block *blocks;
    int32_t n_blocks;
    size_t *at;      /* [n_units] offset, SIZE_MAX: not in memory */
    int32_t *listed; /* [n_units] stage + 1 that listed the unit */
    int32_t *loads;  /* [n_units] loads in this stage */
    bool *spread;    /* [n_units] chosen to stay in the first pass */
    bool *small;     /* [n_units] */
    int *used_in;    /* [n_units] phase that used the unit last */
    int32_t barrier; /* loads from here on begin after this time */
    int32_t *list;   /* units of the stage, in order of first use */
    int32_t n_list;
    int32_t refused; /* stage + 1 that does not fit */
    size_t top;      /* highest byte of weights so far */
} Work;

typedef struct Window {
    size_t begin, end;
    int32_t first_block, n_blocks; /* overlapped */
    int32_t next;                  /* soonest next use of what is lost; INT32_MAX: nothing is */
    int32_t after;
    size_t lost_bytes;
    double price; /* of bringing back what is lost */
    bool valid;
} Window;

/* ---- stages ---------------------------------------------------------------------------------- */

static void list_units(Work *w, StageView *v)
{
    w->n_list = 0;
    v->largest = 0;
    for (int32_t i = w->uses->stage_first[v->index]; i < w->uses->stage_first[v->index + 1]; i++) {
        const int32_t unit = w->uses->list[i].unit;
        if (w->listed[unit] == v->index + 1) continue;
        w->listed[unit] = v->index + 1;
        w->loads[unit] = 0;
        w->small[unit] = w->spread[unit] = false;
        w->list[w->n_list++] = unit;
        v->first_pass_end = i;
        if (w->task->unit_bytes[unit] > v->largest) v->largest = w->task->unit_bytes[unit];
    }
}

/* Units smaller than the largest stay all the time, side by side at the low end, so that the
 * others meet windows of their own size. */
static void set_small_aside(Work *w, StageView *v)
{
    size_t sum = 0;
    for (int32_t i = 0; i < w->n_list; i++)
        if (w->task->unit_bytes[w->list[i]] <= v->largest / 4 * 3)
            sum += w->task->unit_bytes[w->list[i]];
    v->large_floor = v->small_at = v->floor;
    if (w->policy.grid || sum > v->space / 8) return;
    for (int32_t i = 0; i < w->n_list; i++)
        w->small[w->list[i]] = w->task->unit_bytes[w->list[i]] <= v->largest / 4 * 3;
    v->large_floor = v->floor + sum;
}

/* Of the large units, as many as fit beside the moving ones are to stay, evenly spread. */
static void spread_evenly(Work *w, const StageView *v)
{
    size_t all = 0;
    int64_t n = 0;
    for (int32_t i = 0; i < w->n_list; i++)
        if (!w->small[w->list[i]]) {
            all += w->task->unit_bytes[w->list[i]];
            n++;
        }
    const size_t space = v->space - (v->large_floor - v->floor);
    const size_t moving = (size_t)(w->policy.horizon + 1) * v->largest;
    if (w->policy.strict || all <= space || space <= moving || n == 0) return;
    const int64_t keep = (int64_t)((double)(space - moving) / ((double)all / (double)n));
    for (int32_t i = 0, k = 0; i < w->n_list; i++)
        if (!w->small[w->list[i]]) {
            w->spread[w->list[i]] = (k + 1) * keep / n > k * keep / n;
            k++;
        }
}

/* What the stage's activations lie on is lost. */
static void drop_below(Work *w, size_t floor)
{
    for (int32_t i = 0; i < w->n_blocks; i++) {
        Block *b = &w->blocks[i];
        if (b->begin >= floor || b->next == INT32_MAX) continue;
        b->next = INT32_MAX;
        w->at[b->unit] = SIZE_MAX;
    }
}

static int phase_of(const ResidencyTask *task, int32_t stage)
{
    const int phase = task->trace ? task->trace->stages[stage].phase : 0;
    return phase > 0 && phase < PLAN_PHASES ? phase : 0;
}

/* What a phase used goes with its end, and what the next one needs comes no sooner. */
static void end_phase(Work *w, int phase, int32_t index)
{
    for (int32_t i = 0; i < w->n_blocks; i++) {
        Block *b = &w->blocks[i];
        if (b->next == INT32_MAX || w->used_in[b->unit] != phase) continue;
        b->next = INT32_MAX;
        w->at[b->unit] = SIZE_MAX;
    }
    w->barrier = w->uses->stage_begin[index] - 1;
}

/* Weights of earlier stages that --auto-unload and --offload have given up here. */
static void unload(Work *w, int32_t index)
{
    const PlanConstraints *c = w->task->constraints;
    if (!c || index == 0) return;
    const int before = phase_of(w->task, index - 1);
    const PlanUnload rule = plan_unload_of(c, before);
    if (rule == UNLOAD_ALWAYS && before) {
        if (before != phase_of(w->task, index)) end_phase(w, before, index);
        return;
    }
    size_t held = 0;
    for (int32_t i = 0; i < w->n_blocks; i++)
        if (w->blocks[i].next != INT32_MAX) held += w->blocks[i].end - w->blocks[i].begin;
    const bool above =
        rule == UNLOAD_ABOVE && (double)held > c->unload_above * (double)w->task->slab_bytes;
    if (rule == UNLOAD_ALWAYS || c->offload == OFFLOAD_MODEL || above) drop_below(w, SIZE_MAX);
}

static bool enter_stage(Work *w, int32_t index, StageView *v)
{
    *v = (StageView){ .index = index, .floor = w->task->floor[index] };
    w->policy = w->task->by_stage[index];
    list_units(w, v);
    if (w->task->slab_bytes < v->floor) return false;
    v->space = w->task->slab_bytes - v->floor;
    set_small_aside(w, v);
    spread_evenly(w, v);
    /* On the grid, units of other stages would lie across two windows. */
    drop_below(w, w->policy.grid ? SIZE_MAX : v->floor);
    unload(w, index);
    return true;
}

/* ---- windows --------------------------------------------------------------------------------- */

/* May use `j` take the place of a block? Not while the block is in use, nor in the horizon. */
static bool may_replace(const Work *w, const Block *b, int32_t j, int32_t horizon)
{
    return w->uses->list[b->use].last < w->uses->list[j].first && b->use < j - horizon;
}

/* Blocks that are to stay count as needed at once, in the pass that decides what stays. */
static int32_t next_use(const Work *w, const StageView *v, const Block *b, int32_t j)
{
    const bool held = j <= v->first_pass_end && b->next != INT32_MAX && w->spread[b->unit] &&
                      w->listed[b->unit] == v->index + 1;
    return held ? b->next - w->uses->n : b->next;
}

/* What is to stay (a next use in the past) is never cheap. */
static double price_of(size_t bytes, int32_t next, int32_t j)
{
    if (next == INT32_MAX) return 0.0;
    return (double)bytes * (next > j ? 1.0 / (double)(next - j) : 1e3);
}

/* Activations of earlier stages lie below their floors. */
static int32_t clear_of_stages(const Work *w, const StageView *v, size_t begin)
{
    for (int32_t s = v->index; s-- > 0;)
        if (w->task->floor[s] > begin) return w->uses->stage_begin[s + 1] - 1;
    return -1;
}

static Window look_at(const Work *w, const StageView *v, int32_t j, size_t begin, int32_t from,
                      int32_t horizon)
{
    const size_t bytes = w->task->unit_bytes[w->uses->list[j].unit];
    Window x = { .begin = begin, .first_block = from, .next = INT32_MAX };
    if (!size_add(begin, bytes, &x.end) || x.end > w->task->slab_bytes) return x;
    x.after = clear_of_stages(w, v, begin);
    for (int32_t i = from; i < w->n_blocks && w->blocks[i].begin < x.end; i++, x.n_blocks++) {
        const Block *b = &w->blocks[i];
        if (!may_replace(w, b, j, horizon)) return x;
        const int32_t next = next_use(w, v, b, j);
        if (next < x.next) x.next = next;
        if (b->next != INT32_MAX) x.lost_bytes += b->end - b->begin;
        x.price += price_of(b->end - b->begin, next, j);
        if (w->uses->list[b->use].last > x.after) x.after = w->uses->list[b->use].last;
    }
    x.valid = true;
    return x;
}

static bool better(const Work *w, const Window *x, const Window *best)
{
    if (!x->valid || !best->valid) return x->valid;
    if (w->policy.plain && x->next != best->next) return x->next > best->next;
    if (!w->policy.plain && fabs(x->price - best->price) > 0.001 * best->price)
        return x->price < best->price;
    if (x->lost_bytes != best->lost_bytes) return x->lost_bytes < best->lost_bytes;
    const size_t over = x->end > w->top ? x->end : w->top,
                 best_over = best->end > w->top ? best->end : w->top;
    if (!w->policy.eager && over != best_over) return over < best_over;
    if (x->after != best->after) return x->after < best->after;
    return x->begin < best->begin;
}

static int32_t first_overlap(const Work *w, size_t begin)
{
    int32_t a = 0, b = w->n_blocks;
    while (a < b) {
        const int32_t mid = a + (b - a) / 2;
        if (w->blocks[mid].end <= begin)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

static Window find_window(const Work *w, const StageView *v, int32_t j, int32_t horizon)
{
    Window best = { .valid = false };
    if (w->policy.grid) {
        for (size_t at = v->floor; at <= w->task->slab_bytes && v->largest; at += v->largest) {
            const Window x = look_at(w, v, j, at, first_overlap(w, at), horizon);
            if (better(w, &x, &best)) best = x;
            if ((at > w->top && at > v->floor) || at > SIZE_MAX - v->largest) break;
        }
        return best;
    }
    Window x = look_at(w, v, j, v->large_floor, first_overlap(w, v->large_floor), horizon);
    if (better(w, &x, &best)) best = x;
    for (int32_t i = first_overlap(w, v->large_floor); i < w->n_blocks; i++) {
        const Block *b = &w->blocks[i];
        if (b->begin >= v->large_floor) {
            x = look_at(w, v, j, b->begin, i, horizon);
            if (better(w, &x, &best)) best = x;
        }
        x = look_at(w, v, j, b->end, i + 1, horizon);
        if (better(w, &x, &best)) best = x;
    }
    return best;
}

/* ---- loads ----------------------------------------------------------------------------------- */

static void put_block(Work *w, const Window *x, int32_t j)
{
    for (int32_t i = x->first_block; i < x->first_block + x->n_blocks; i++)
        if (w->blocks[i].next != INT32_MAX) w->at[w->blocks[i].unit] = SIZE_MAX;
    /* Parts that stick out keep their times: what comes there waits as if for the whole. */
    Block around[2];
    int32_t n_left = 0, n_right = 0;
    if (x->n_blocks) {
        const Block *first = &w->blocks[x->first_block], *last = first + x->n_blocks - 1;
        if (first->begin < x->begin) {
            around[0] = *first;
            around[0].end = x->begin;
            around[0].next = INT32_MAX;
            n_left = 1;
        }
        if (last->end > x->end) {
            around[1] = *last;
            around[1].begin = x->end;
            around[1].next = INT32_MAX;
            n_right = 1;
        }
    }
    const int32_t fresh = 1 + n_left + n_right, tail = x->first_block + x->n_blocks;
    memmove(w->blocks + x->first_block + fresh, w->blocks + tail,
            (size_t)(w->n_blocks - tail) * sizeof *w->blocks);
    w->n_blocks += fresh - x->n_blocks;
    Block *to = w->blocks + x->first_block;
    if (n_left) *to++ = around[0];
    *to++ = (Block){ x->begin, x->end, w->uses->list[j].unit, j, w->uses->list[j].next };
    if (n_right) *to = around[1];
    w->at[w->uses->list[j].unit] = x->begin;
}

static void note_use(Work *w, int32_t j, int phase)
{
    const UnitUse *use = &w->uses->list[j];
    w->used_in[use->unit] = phase;
    Block *b = &w->blocks[first_overlap(w, w->at[use->unit])];
    b->use = j;
    b->next = use->next;
    const PlanConstraints *c = w->task->constraints;
    if (c && c->offload == OFFLOAD_SEQUENTIAL) b->next = INT32_MAX;
    if (b->next == INT32_MAX) w->at[use->unit] = SIZE_MAX; /* done with */
}

static bool load_unit(Work *w, StageView *v, int32_t j)
{
    const UnitUse *use = &w->uses->list[j];
    const size_t bytes = w->task->unit_bytes[use->unit];
    Window x = { .valid = false };
    if (w->small[use->unit]) {
        x = look_at(w, v, j, v->small_at, first_overlap(w, v->small_at), 0);
        v->small_at += bytes;
    } else
        for (int32_t horizon = w->policy.horizon; horizon >= 0 && !x.valid; horizon--)
            x = find_window(w, v, j, horizon);
    if (!x.valid) return false;
    if (x.after < w->barrier) x.after = w->barrier;
    w->out->loads[w->out->n_loads++] = (Load){ use->unit, x.after, use->first, x.begin, bytes };
    put_block(w, &x, j);
    if (x.end > w->top) w->top = x.end;
    StageWeights *s = &w->out->stages[v->index];
    s->moved_bytes += (double)bytes;
    w->loads[use->unit]++;
    return true;
}

static void sum_up(Work *w, StageWeights *s)
{
    s->n_units = w->n_list;
    for (int32_t i = 0; i < w->n_list; i++) {
        const size_t bytes = w->task->unit_bytes[w->list[i]];
        s->unit_bytes += bytes;
        if (w->loads[w->list[i]] > 1) continue;
        s->n_resident++;
        s->resident_bytes += bytes;
    }
}

/* Units that only phases use which give nothing up are loaded once. */
static bool keeps_phases(Work *w, const PlanConstraints *c)
{
    const size_t units = (size_t)w->task->n_units + 1;
    int32_t *n = arena_array(&w->arena, units, sizeof *n);
    bool *given_up = arena_array(&w->arena, units, sizeof *given_up);
    if (c->unload != UNLOAD_NEVER) return true;
    if (!n || !given_up) return false;
    for (int32_t s = 0; s < w->uses->n_stages; s++)
        for (int32_t i = w->uses->stage_first[s]; i < w->uses->stage_first[s + 1]; i++)
            given_up[w->uses->list[i].unit] |=
                plan_unload_of(c, phase_of(w->task, s)) != UNLOAD_NEVER;
    for (int32_t i = 0; i < w->out->n_loads; i++)
        if (++n[w->out->loads[i].unit] > 1 && !given_up[w->out->loads[i].unit]) return false;
    return true;
}

/* Does what came out keep --offload none and --auto-unload off? */
static bool keeps_constraints(Work *w)
{
    const PlanConstraints *c = w->task->constraints;
    if (!c) return true;
    if (!keeps_phases(w, c)) return false;
    const bool whole = c->offload == OFFLOAD_NONE || c->offload == OFFLOAD_MODEL || c->largest;
    for (int32_t s = 0; s < w->uses->n_stages && whole; s++)
        if (w->out->stages[s].n_resident < w->out->stages[s].n_units) return false;
    double moved = 0, all = 0;
    for (int32_t s = 0; s < w->uses->n_stages; s++)
        moved += w->out->stages[s].moved_bytes;
    for (int32_t i = 0; i < w->task->n_units; i++)
        if (w->listed[i]) all += (double)w->task->unit_bytes[i];
    return !c->largest || moved <= all;
}

static bool plan_stage(Work *w, int32_t index)
{
    StageView v;
    StageWeights *s = &w->out->stages[index];
    if (!enter_stage(w, index, &v)) return false;
    s->top = v.floor;
    for (int32_t j = w->uses->stage_first[index]; j < w->uses->stage_first[index + 1]; j++) {
        const int32_t unit = w->uses->list[j].unit;
        if (w->at[unit] == SIZE_MAX && !load_unit(w, &v, j)) return false;
        const size_t unit_end = w->at[unit] + w->task->unit_bytes[unit];
        if (unit_end > s->top) s->top = unit_end;
        note_use(w, j, phase_of(w->task, index));
    }
    sum_up(w, s);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool take_tables(Work *w)
{
    const size_t units = (size_t)w->task->n_units + 1, uses = (size_t)w->uses->n + 1;
    w->blocks = arena_array(&w->arena, 2 * uses + 2, sizeof *w->blocks);
    w->at = arena_array(&w->arena, units, sizeof *w->at);
    w->listed = arena_array(&w->arena, units, sizeof *w->listed);
    w->loads = arena_array(&w->arena, units, sizeof *w->loads);
    w->spread = arena_array(&w->arena, units, sizeof *w->spread);
    w->small = arena_array(&w->arena, units, sizeof *w->small);
    w->list = arena_array(&w->arena, units, sizeof *w->list);
    w->used_in = arena_array(&w->arena, units, sizeof *w->used_in);
    w->barrier = -1;
    w->out->loads = heap_take(w->out->heap, uses * sizeof(Load), "plan");
    w->out->stages =
        heap_take(w->out->heap, ((size_t)w->uses->n_stages + 1) * sizeof(StageWeights), "plan");
    if (!w->blocks || !w->at || !w->listed || !w->loads || !w->spread || !w->small || !w->list ||
        !w->used_in || !w->out->loads || !w->out->stages)
        return false;
    for (int32_t i = 0; i < w->task->n_units; i++)
        w->at[i] = SIZE_MAX;
    return true;
}

/* A slab in which the grid works: above the floor, a slot for every unit that one time needs. */
static size_t smallest_slab(const ResidencyTask *task, int32_t s)
{
    const Uses *uses = task->uses;
    size_t largest = 0;
    int64_t together = 0;
    const int32_t end = uses->stage_first[s + 1];
    for (int32_t i = uses->stage_first[s]; i < end; i++) {
        const UnitUse *use = &uses->list[i];
        int64_t now = 1;
        for (int32_t k = i + 1; k < end && uses->list[k].first <= use->last; k++)
            now++;
        if (now > together) together = now;
        if (task->unit_bytes[use->unit] > largest) largest = task->unit_bytes[use->unit];
    }
    return task->floor[s] + (size_t)together * largest;
}

/* Stages that use a unit, counted from 1. */
typedef struct Span {
    int32_t first, last, seen;
} Span;

/* The same where the caller wants weights to stay: beside the floor all units of the stage and, if
 * none may be read twice, those that stages before and after it use. */
static size_t slab_that_keeps(const ResidencyTask *task, int32_t s, Span *spans, bool never)
{
    const Uses *uses = task->uses;
    size_t top = task->floor[s];
    for (int32_t i = uses->stage_first[s]; i < uses->stage_first[s + 1]; i++)
        spans[uses->list[i].unit].seen = s + 1;
    for (int32_t unit = 0; unit < task->n_units; unit++) {
        const Span *x = &spans[unit];
        if (x->seen == s + 1 || (never && x->first && x->first < s + 1 && x->last > s + 1))
            top += task->unit_bytes[unit];
    }
    return top;
}

/* Does nothing go before the end of the request? */
static bool holds_all(const ResidencyTask *task)
{
    const PlanConstraints *c = task->constraints;
    bool holds = c && c->unload == UNLOAD_NEVER;
    for (int32_t s = 0; holds && s < task->uses->n_stages; s++)
        holds = plan_unload_of(c, phase_of(task, s)) == UNLOAD_NEVER;
    return holds;
}

/* Where the weights begin that are all to stay: above everything else. */
static size_t highest_floor(const ResidencyTask *task)
{
    size_t at = 0;
    for (int32_t s = 0; s < task->uses->n_stages; s++)
        if (task->floor[s] > at) at = task->floor[s];
    return at;
}

SnugStatus residency_least(const ResidencyTask *task, size_t *by_stage, SnugError *err)
{
    const Uses *uses = task->uses;
    const PlanConstraints *c = task->constraints;
    const bool never = c && (c->unload == UNLOAD_NEVER || c->largest);
    const bool keeps = never || (c && (c->offload == OFFLOAD_NONE || c->offload == OFFLOAD_MODEL));
    Span *spans = heap_take(uses->heap, ((size_t)task->n_units + 1) * sizeof *spans, "planning");
    if (!spans) return error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
    for (int32_t s = 0; s < uses->n_stages; s++)
        for (int32_t i = uses->stage_first[s]; i < uses->stage_first[s + 1]; i++) {
            Span *x = &spans[uses->list[i].unit];
            if (!x->first) x->first = s + 1;
            x->last = s + 1;
        }
    for (int32_t s = 0; s < uses->n_stages; s++) {
        const size_t kept = keeps ? slab_that_keeps(task, s, spans, never) : 0;
        by_stage[s] = smallest_slab(task, s);
        if (kept > by_stage[s]) by_stage[s] = kept;
    }
    if (holds_all(task)) {
        size_t all = highest_floor(task);
        for (int32_t unit = 0; unit < task->n_units; unit++)
            if (spans[unit].first) all += task->unit_bytes[unit];
        for (int32_t s = 0; s < uses->n_stages; s++)
            by_stage[s] = all;
    }
    heap_give(uses->heap, spans);
    return SNUG_OK;
}

/* Why it does not fit, with a slab that does in out->top. */
static SnugStatus refuse(Work *w, SnugError *err, const char *why)
{
    size_t *by_stage = arena_array(&w->arena, (size_t)w->uses->n_stages + 1, sizeof *by_stage);
    if (!by_stage) return error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
    TRY(residency_least(w->task, by_stage, err));
    w->top = 0;
    for (int32_t s = 0; s < w->uses->n_stages; s++)
        if (by_stage[s] > w->top) w->top = by_stage[s];
    return error_set(err, SNUG_ERR_BUDGET, "%s", why);
}

/* Every unit at a place of its own above all activations, in order of first use. */
static SnugStatus hold_all(Work *w, SnugError *err)
{
    size_t at = highest_floor(w->task);
    for (int32_t s = 0; s < w->uses->n_stages; s++) {
        StageView v = { .index = s };
        StageWeights *x = &w->out->stages[s];
        list_units(w, &v);
        for (int32_t j = w->uses->stage_first[s]; j < w->uses->stage_first[s + 1]; j++) {
            const UnitUse *use = &w->uses->list[j];
            const size_t bytes = w->task->unit_bytes[use->unit];
            if (w->at[use->unit] != SIZE_MAX) continue;
            w->out->loads[w->out->n_loads++] = (Load){ use->unit, -1, use->first, at, bytes };
            w->at[use->unit] = at;
            at += bytes;
            if (at > w->task->slab_bytes && !w->refused) w->refused = s + 1;
            x->moved_bytes += (double)bytes;
        }
        sum_up(w, x);
        x->top = x->n_units ? at : w->task->floor[s];
        x->bound_bytes = x->moved_bytes;
    }
    w->top = at;
    w->out->holds = true;
    if (at <= w->task->slab_bytes) return SNUG_OK;
    return error_set(err, SNUG_ERR_BUDGET, "the weights cannot all stay");
}

static SnugStatus make(Work *w, SnugError *err)
{
    if (!take_tables(w)) return error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
    if (holds_all(w->task)) return hold_all(w, err);
    for (int32_t s = 0; s < w->uses->n_stages; s++)
        if (!plan_stage(w, s)) {
            w->refused = s + 1;
            return refuse(w, err, "the weights of a stage do not fit");
        }
    if (!keeps_constraints(w)) return refuse(w, err, "the weights cannot stay as asked for");
    for (int32_t s = 0; s < w->uses->n_stages; s++) {
        StageWeights *x = &w->out->stages[s];
        if (w->task->floor[s] > w->top) w->top = w->task->floor[s];
        const size_t space = w->task->slab_bytes - w->task->floor[s];
        TRY(residency_bound(w->uses, s, w->task->unit_bytes, w->task->n_units, space,
                            &x->bound_bytes, err));
    }
    return SNUG_OK;
}

SnugStatus residency_make(Residency *out, const ResidencyTask *task, SnugError *err)
{
    *out = (Residency){ .heap = task->uses->heap, .n_stages = task->uses->n_stages };
    Work w = { .task = task, .uses = task->uses, .out = out };
    arena_init(&w.arena, out->heap, "planning");
    const SnugStatus status = make(&w, err);
    arena_release(&w.arena);
    if (status != SNUG_OK) residency_release(out);
    out->top = w.top;
    out->refused_stage = w.refused ? w.refused - 1 : 0;
    return status;
}

void residency_release(Residency *residency)
{
    heap_give(residency->heap, residency->loads);
    heap_give(residency->heap, residency->stages);
    *residency = (Residency){ .heap = residency->heap };
}
