/* residency.c  Per stage: collect uses, choose what stays, lay out the rest over a ring.
 *
 * A use is a run of consecutive operations on one unit. Streamed uses take the ring's slots in
 * turn, so a load may begin when the use that held its slot before has ended. */
#include "plan/residency.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/size.h"

enum { RING_SLOTS = 3 };

typedef struct Use {
    int32_t unit, first_op, last_op;
} Use;

typedef struct UnitInStage {
    int32_t unit, n_uses;
    size_t bytes;
    int32_t window; /* last window of lower_bound that used it */
    bool stays;
} UnitInStage;

typedef struct Work {
    const Trace *trace;
    const size_t *unit_bytes;
    int32_t n_units;
    Arena arena;
    Use *uses;
    int32_t n_uses;
    UnitInStage *units; /* of this stage, in order of first use */
    int32_t n_in_stage;
    int32_t min_slots;   /* most units that one operation uses: they must be there together */
    int32_t *row_of;     /* [n_units] index into units, -1 */
    size_t *resident_at; /* [n_units] */
    Residency *out;
    int32_t max_loads;
} Work;

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
}

static void collect(Work *w, const TraceStage *stage)
{
    for (int32_t i = 0; i < w->n_in_stage; i++)
        w->row_of[w->units[i].unit] = -1;
    w->n_uses = w->n_in_stage = 0;
    w->min_slots = 1;
    for (int32_t i = stage->first_op; i < stage->end_op; i++) {
        const TraceOp *op = &w->trace->ops[i];
        if (op->n_units > 1 && op->unit[0] != op->unit[1]) w->min_slots = 2;
        for (int32_t k = 0; k < op->n_units; k++) {
            const int32_t unit = op->unit[k];
            if (w->n_uses && w->uses[w->n_uses - 1].unit == unit) {
                w->uses[w->n_uses - 1].last_op = i;
                continue;
            }
            w->uses[w->n_uses++] = (Use){ unit, i, i };
            if (w->row_of[unit] < 0) {
                w->row_of[unit] = w->n_in_stage;
                w->units[w->n_in_stage++] =
                    (UnitInStage){ .unit = unit, .bytes = w->unit_bytes[unit] };
            }
            w->units[w->row_of[unit]].n_uses++;
        }
    }
}

/* Of the units with the same number of uses and size, keep `keep`, evenly spread. */
static void keep_evenly(UnitInStage **same, int32_t n, int32_t keep)
{
    for (int32_t i = 0; i < n; i++)
        same[i]->stays = (int64_t)(i + 1) * keep / n > (int64_t)i * keep / n;
}

static int by_worth(const void *a, const void *b)
{
    const UnitInStage *x = *(UnitInStage *const *)a, *y = *(UnitInStage *const *)b;
    if (x->n_uses != y->n_uses) return x->n_uses > y->n_uses ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return x < y ? -1 : x > y; /* order of first use */
}

/* Choose what stays in `space` beside a ring of `slots`; returns bytes of the largest streamed. */
static bool choose(Work *w, size_t space, int32_t slots, StageWeights *s, UnitInStage **sorted)
{
    size_t largest = 0;
    for (int32_t i = 0; i < w->n_in_stage; i++) {
        sorted[i] = &w->units[i];
        w->units[i].stays = false;
        if (w->units[i].bytes > largest) largest = w->units[i].bytes;
    }
    if (largest > space / (size_t)slots) return false;
    size_t left = space - (size_t)slots * largest;
    qsort(sorted, (size_t)w->n_in_stage, sizeof(UnitInStage *), by_worth);
    for (int32_t i = 0, n; i < w->n_in_stage; i += n) {
        for (n = 1; i + n < w->n_in_stage && sorted[i + n]->n_uses == sorted[i]->n_uses &&
                    sorted[i + n]->bytes == sorted[i]->bytes;)
            n++;
        size_t fit = sorted[i]->bytes ? left / sorted[i]->bytes : (size_t)n;
        int32_t keep = fit < (size_t)n ? (int32_t)fit : n;
        keep_evenly(sorted + i, n, keep);
        left -= (size_t)keep * sorted[i]->bytes;
    }
    s->n_slots = slots;
    s->slot_bytes = largest;
    return true;
}

static bool push_load(Work *w, Load load)
{
    if (w->out->n_loads == w->max_loads) return false;
    w->out->loads[w->out->n_loads++] = load;
    return true;
}

/* Emit the loads of a stage in order of need. `base`: where its weights begin. */
static bool emit(Work *w, const TraceStage *stage, size_t base, StageWeights *s)
{
    size_t at = base + (size_t)s->n_slots * s->slot_bytes;
    int32_t ring_end[RING_SLOTS]; /* last operation of the use that holds the slot */
    int32_t turn = 0;
    const int32_t before = stage->first_op - 1;
    for (int32_t i = 0; i < s->n_slots; i++)
        ring_end[i] = before;
    for (int32_t i = 0; i < w->n_in_stage; i++)
        w->resident_at[w->units[i].unit] = SIZE_MAX;
    for (int32_t i = 0; i < w->n_uses; i++) {
        const Use *use = &w->uses[i];
        const UnitInStage *unit = &w->units[w->row_of[use->unit]];
        Load load = { .unit = use->unit, .after_op = before, .need_op = use->first_op };
        if (unit->stays) {
            if (w->resident_at[use->unit] != SIZE_MAX) continue; /* it is there */
            load.offset = w->resident_at[use->unit] = at;
            at += unit->bytes;
        } else {
            load.offset = base + (size_t)turn * s->slot_bytes;
            load.after_op = ring_end[turn];
            ring_end[turn] = use->last_op;
            turn = (turn + 1) % s->n_slots;
        }
        s->moved_bytes += (double)unit->bytes;
        /* the last slots may never be filled to their end */
        if (load.offset + unit->bytes > s->top) s->top = load.offset + unit->bytes;
        if (!push_load(w, load)) return false;
    }
    return true;
}

static void count_resident(Work *w, StageWeights *s)
{
    for (int32_t i = 0; i < w->n_in_stage; i++) {
        s->unit_bytes += w->units[i].bytes;
        if (w->units[i].stays) {
            s->n_resident++;
            s->resident_bytes += w->units[i].bytes;
        }
    }
    s->n_units = w->n_in_stage;
}

/* Uses are cut into windows that end when every unit was seen. What is in memory when a window
 * begins has at most `space` bytes, and only what was read before can be there. */
static double lower_bound(Work *w, size_t space)
{
    double total = 0, fresh = 0, seen = 0;
    int32_t window = 1, n_seen = 0;
    for (int32_t i = 0; i <= w->n_uses; i++) {
        if (i == w->n_uses || n_seen == w->n_in_stage) {
            const double over = seen - (double)space;
            total += over > fresh ? over : fresh;
            fresh = seen = 0;
            n_seen = 0;
            window++;
        }
        if (i == w->n_uses) break;
        UnitInStage *unit = &w->units[w->row_of[w->uses[i].unit]];
        if (unit->window == window) continue;
        if (unit->window == 0) fresh += (double)unit->bytes;
        unit->window = window;
        seen += (double)unit->bytes;
        n_seen++;
    }
    return total;
}

/* All of the stage's units, or a ring just large enough. */
static size_t stage_minimum(const Work *w)
{
    size_t largest = 0, all = 0;
    for (int32_t i = 0; i < w->n_in_stage; i++) {
        all += w->units[i].bytes;
        if (w->units[i].bytes > largest) largest = w->units[i].bytes;
    }
    const size_t ring = largest * (size_t)w->min_slots;
    return all < ring ? all : ring;
}

static bool plan_stage(Work *w, int32_t index, size_t base, size_t space, UnitInStage **sorted)
{
    StageWeights *s = &w->out->stages[index];
    size_t all = 0;
    for (int32_t i = 0; i < w->n_in_stage; i++)
        all += w->units[i].bytes;
    if (all <= space) {
        for (int32_t i = 0; i < w->n_in_stage; i++)
            w->units[i].stays = true;
    } else {
        int32_t slots = RING_SLOTS;
        while (slots >= w->min_slots && !choose(w, space, slots, s, sorted))
            slots--;
        if (slots < w->min_slots) return false;
    }
    count_resident(w, s);
    s->bound_bytes = lower_bound(w, space);
    return emit(w, &w->trace->stages[index], base, s);
}

static bool take_tables(Work *w)
{
    const Trace *t = w->trace;
    int64_t uses = 1;
    for (int32_t i = 0; i < t->n_ops; i++)
        uses += t->ops[i].n_units;
    w->max_loads = uses < INT32_MAX ? (int32_t)uses : INT32_MAX;
    w->uses = arena_array(&w->arena, (size_t)uses, sizeof *w->uses);
    w->units = arena_array(&w->arena, (size_t)w->n_units + 1, sizeof *w->units);
    w->row_of = arena_array(&w->arena, (size_t)w->n_units + 1, sizeof *w->row_of);
    w->resident_at = arena_array(&w->arena, (size_t)w->n_units + 1, sizeof *w->resident_at);
    w->out->loads = heap_take(t->heap, (size_t)uses * sizeof(Load), "plan");
    w->out->stages = heap_take(t->heap, ((size_t)t->n_stages + 1) * sizeof(StageWeights), "plan");
    if (!w->uses || !w->units || !w->row_of || !w->resident_at || !w->out->loads || !w->out->stages)
        return false;
    for (int32_t i = 0; i < w->n_units; i++)
        w->row_of[i] = -1;
    return true;
}

static SnugStatus make(Work *w, const Placement *p, size_t slab_bytes, SnugError *err)
{
    UnitInStage **sorted = arena_array(&w->arena, (size_t)w->n_units + 1, sizeof(UnitInStage *));
    if (!sorted || !take_tables(w)) return no_memory(err);
    const TraceStage *worst = NULL;
    size_t least = 0;
    w->out->top = p->top;
    for (int32_t i = 0; i < w->trace->n_stages; i++) {
        const TraceStage *stage = &w->trace->stages[i];
        collect(w, stage);
        const size_t base = p->stage_top[i], minimum = base + stage_minimum(w);
        if (minimum > least) {
            least = minimum;
            worst = stage;
        }
        if (minimum > slab_bytes) continue;
        if (!plan_stage(w, i, base, slab_bytes - base, sorted)) return no_memory(err);
        if (w->out->stages[i].top > w->out->top) w->out->top = w->out->stages[i].top;
    }
    if (least <= slab_bytes) return SNUG_OK;
    w->out->top = least;
    return error_set(err, SNUG_ERR_BUDGET, "stage %s does not fit", worst ? worst->name : "?");
}

SnugStatus residency_make(Residency *out, const Trace *trace, const Placement *placement,
                          const size_t *unit_bytes, int32_t n_units, size_t slab_bytes,
                          SnugError *err)
{
    *out = (Residency){ .heap = trace->heap };
    Work work = { .trace = trace, .unit_bytes = unit_bytes, .n_units = n_units, .out = out };
    arena_init(&work.arena, trace->heap, "planning");
    const SnugStatus status = make(&work, placement, slab_bytes, err);
    arena_release(&work.arena);
    if (status != SNUG_OK) {
        const size_t top = out->top;
        residency_release(out);
        out->top = top;
    }
    return status;
}

void residency_release(Residency *residency)
{
    heap_give(residency->heap, residency->loads);
    heap_give(residency->heap, residency->stages);
    *residency = (Residency){ .heap = residency->heap };
}
