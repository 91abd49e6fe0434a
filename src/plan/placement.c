/* placement.c  Packing: a graph of what lives together, greedy best fit, a few repairs.
 *
 * Things are the local items, then the groups. Items of two classes never live together.
 * Invariant: two things that share an edge never overlap in the slab. */
#include "plan/placement.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum {
    MAX_ROUNDS = 48,        /* repairs tried a stage */
    WORK_A_STAGE = 1500000, /* edges looked at a stage, at most, over all rounds */
    CROSSING = -1,          /* "stage" of what lives in several */
};

static const size_t NOWHERE = SIZE_MAX;

typedef struct Thing {
    size_t bytes, offset;
    int32_t stage, life; /* life: operations between birth and death */
    int64_t first_edge;
    int32_t n_edges;
} Thing;

typedef struct Range {
    size_t begin, end;
} Range;

typedef struct Work {
    const Trace *t;
    const Lives *l;
    Arena arena;
    Thing *things;
    int32_t n_things;
    int32_t *edges;
    int64_t n_edges;
    bool counting;
    int32_t *order, *best_order; /* things of one stage */
    size_t *best;                /* their offsets */
    Range *taken;
} Work;

static void *take(Work *w, int64_t n, size_t item_bytes)
{
    return arena_array(&w->arena, (size_t)(n > 0 ? n : 1), item_bytes);
}

/* ---- who lives with whom -------------------------------------------------------------------- */

static void add_half(Work *w, int32_t a, int32_t b)
{
    Thing *x = &w->things[a];
    if (!w->counting) w->edges[x->first_edge + x->n_edges] = b;
    x->n_edges++;
}

static void add_edge(Work *w, int32_t a, int32_t b)
{
    add_half(w, a, b);
    add_half(w, b, a);
    w->n_edges += 2;
}

static void meet_in_class(Work *w, const LifeClass *c)
{
    const LifeItem *items = w->l->items;
    for (int32_t i = c->first_item; i < c->first_item + c->n_items; i++)
        for (int32_t k = i + 1; k < c->first_item + c->n_items && items[k].born <= items[i].dies;
             k++)
            add_edge(w, i, k);
}

/* First member of the class that ends at or after `op`. */
static int32_t first_member_after(const Work *w, const LifeClass *c, int32_t op)
{
    const int32_t length = w->t->templates[c->template_id].n_ops;
    int32_t a = 0, b = c->n_members;
    while (a < b) {
        const int32_t mid = a + (b - a) / 2;
        if (w->t->segments[w->l->members[c->first_member + mid]].first_op + length <= op)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

static int32_t member_first_op(const Work *w, const LifeClass *c, int32_t member)
{
    return w->t->segments[w->l->members[c->first_member + member]].first_op;
}

/* Does the item live together with the group in one of the two members at the group's ends? A
 * member between them would be covered whole. */
static bool meets(const Work *w, const LifeClass *c, const LifeItem *item, const LifeGroup *g,
                  int32_t low, int32_t high)
{
    if (high - low >= 2) return true;
    for (int32_t m = low; m <= high; m++) {
        const int32_t first = member_first_op(w, c, m);
        if (first + item->born <= g->dies && first + item->dies >= g->born) return true;
    }
    return false;
}

static void meet_group(Work *w, const LifeClass *c, int32_t group)
{
    const LifeGroup *g = &w->l->groups[group];
    const int32_t low = first_member_after(w, c, g->born);
    if (low == c->n_members || member_first_op(w, c, low) > g->dies) return;
    int32_t high = first_member_after(w, c, g->dies);
    if (high == c->n_members || member_first_op(w, c, high) > g->dies) high--;
    for (int32_t i = c->first_item; i < c->first_item + c->n_items; i++)
        if (meets(w, c, &w->l->items[i], g, low, high)) add_edge(w, i, w->l->n_items + group);
}

static int by_born(const void *a, const void *b, void *context)
{
    const LifeGroup *g = context;
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (g[x].born != g[y].born) return g[x].born < g[y].born ? -1 : 1;
    return (x > y) - (x < y);
}

static void meet_groups(Work *w, const int32_t *sorted, int32_t *alive)
{
    const LifeGroup *g = w->l->groups;
    int32_t n = 0;
    for (int32_t i = 0; i < w->l->n_groups; i++) {
        int32_t kept = 0;
        for (int32_t k = 0; k < n; k++) {
            if (g[alive[k]].dies < g[sorted[i]].born) continue;
            add_edge(w, w->l->n_items + alive[k], w->l->n_items + sorted[i]);
            alive[kept++] = alive[k];
        }
        n = kept;
        alive[n++] = sorted[i];
    }
}

static void meet_all(Work *w, const int32_t *sorted, int32_t *alive)
{
    for (int32_t i = 0; i < w->n_things; i++)
        w->things[i].n_edges = 0;
    w->n_edges = 0;
    for (int32_t i = 0; i < w->l->n_classes; i++) {
        meet_in_class(w, &w->l->classes[i]);
        if (!w->l->classes[i].n_items) continue;
        for (int32_t k = 0; k < w->l->n_groups; k++)
            meet_group(w, &w->l->classes[i], k);
    }
    meet_groups(w, sorted, alive);
}

static bool make_graph(Work *w)
{
    int32_t *sorted = take(w, w->l->n_groups, sizeof *sorted);
    int32_t *alive = take(w, w->l->n_groups, sizeof *alive);
    if (!sorted || !alive) return false;
    for (int32_t i = 0; i < w->l->n_groups; i++)
        sorted[i] = i;
    qsort_r(sorted, (size_t)w->l->n_groups, sizeof *sorted, by_born, w->l->groups);
    w->counting = true;
    meet_all(w, sorted, alive);
    w->edges = take(w, w->n_edges, sizeof *w->edges);
    if (!w->edges) return false;
    int64_t at = 0;
    int32_t most = 0;
    for (int32_t i = 0; i < w->n_things; i++) {
        w->things[i].first_edge = at;
        at += w->things[i].n_edges;
        if (w->things[i].n_edges > most) most = w->things[i].n_edges;
    }
    w->counting = false;
    meet_all(w, sorted, alive);
    w->taken = take(w, most, sizeof *w->taken);
    return w->taken != NULL;
}

static bool list_things(Work *w)
{
    const Lives *l = w->l;
    w->n_things = l->n_items + l->n_groups;
    w->things = take(w, w->n_things, sizeof *w->things);
    w->order = take(w, w->n_things, sizeof *w->order);
    w->best_order = take(w, w->n_things, sizeof *w->best_order);
    w->best = take(w, w->n_things, sizeof *w->best);
    if (!w->things || !w->order || !w->best_order || !w->best) return false;
    for (int32_t i = 0; i < l->n_items; i++) {
        const LifeItem *item = &l->items[i];
        const int32_t member = l->members[l->classes[item->class_id].first_member];
        w->things[i] = (Thing){ .bytes = item->bytes,
                                .offset = NOWHERE,
                                .stage = w->t->segments[member].stage,
                                .life = item->dies - item->born };
    }
    for (int32_t i = 0; i < l->n_groups; i++) {
        const LifeGroup *g = &l->groups[i];
        const int32_t stage = trace_stage_of(w->t, g->born);
        w->things[l->n_items + i] =
            (Thing){ .bytes = g->bytes,
                     .offset = NOWHERE,
                     .stage = trace_stage_of(w->t, g->dies) == stage ? stage : CROSSING,
                     .life = g->dies - g->born };
    }
    return make_graph(w);
}

/* ---- packing -------------------------------------------------------------------------------- */

/* Shell's sort by begin: a call for every comparison, as of qsort, was a third of the planning. */
static void sort_ranges(Range *x, int32_t n)
{
    static const int32_t GAPS[] = { 1750, 701, 301, 132, 57, 23, 10, 4, 1 };
    for (size_t g = 0; g < COUNT(GAPS); g++)
        for (int32_t i = GAPS[g]; i < n; i++) {
            const Range moved = x[i];
            int32_t k = i;
            for (; k >= GAPS[g] && x[k - GAPS[g]].begin > moved.begin; k -= GAPS[g])
                x[k] = x[k - GAPS[g]];
            x[k] = moved;
        }
}

/* Smallest gap that fits among `n` taken ranges, else the end of the last. */
static size_t best_gap(Range *taken, int32_t n, size_t bytes)
{
    sort_ranges(taken, n);
    size_t end = 0, best = NOWHERE, best_size = SIZE_MAX;
    for (int32_t i = 0; i < n; i++) {
        if (taken[i].begin > end) {
            const size_t gap = taken[i].begin - end;
            if (gap >= bytes && gap < best_size) {
                best_size = gap;
                best = end;
            }
        }
        if (taken[i].end > end) end = taken[i].end;
    }
    return best == NOWHERE ? end : best;
}

static size_t place_one(Work *w, Thing *x)
{
    int32_t n = 0;
    for (int32_t k = 0; k < x->n_edges; k++) {
        const Thing *y = &w->things[w->edges[x->first_edge + k]];
        if (y->offset != NOWHERE) w->taken[n++] = (Range){ y->offset, y->offset + y->bytes };
    }
    x->offset = best_gap(w->taken, n, x->bytes);
    return x->offset + x->bytes;
}

static size_t pack(Work *w, int32_t n)
{
    size_t top = 0;
    for (int32_t i = 0; i < n; i++)
        w->things[w->order[i]].offset = NOWHERE;
    for (int32_t i = 0; i < n; i++) {
        const size_t end = place_one(w, &w->things[w->order[i]]);
        if (end > top) top = end;
    }
    return top;
}

/* Orders of placing. Which packs best depends on the network, so all are tried. */
static int by_size(const void *a, const void *b, void *context)
{
    const Thing *things = context;
    const int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    const Thing *x = &things[i], *y = &things[k];
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    if (x->life != y->life) return x->life > y->life ? -1 : 1;
    return (i > k) - (i < k);
}

/* What lives long (caches, latents) first. */
static int by_life(const void *a, const void *b, void *context)
{
    const Thing *things = context;
    const int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    if (things[i].life != things[k].life) return things[i].life > things[k].life ? -1 : 1;
    return by_size(a, b, context);
}

/* Area in the plane of memory and time. */
static int by_area(const void *a, const void *b, void *context)
{
    const Thing *things = context;
    const int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    const double x = (double)things[i].bytes * (things[i].life + 1),
                 y = (double)things[k].bytes * (things[k].life + 1);
    if (x < y || y < x) return x > y ? -1 : 1;
    return by_size(a, b, context);
}

/* As they are born: items are numbered so. */
static int by_birth(const void *a, const void *b, void *context)
{
    (void)context;
    const int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    return (i > k) - (i < k);
}

typedef int Order(const void *a, const void *b, void *context);

/* Keep this round's places if they are the lowest so far. */
static bool keep_if_better(Work *w, int32_t n, size_t top, size_t *best_top)
{
    if (top >= *best_top) return false;
    *best_top = top;
    for (int32_t i = 0; i < n; i++) {
        w->best_order[i] = w->order[i];
        w->best[i] = w->things[w->order[i]].offset;
    }
    return true;
}

/* What reaches the top is placed before all others in the next round. */
static void lift(Work *w, int32_t n, size_t top)
{
    int32_t front = 0;
    for (int32_t i = 0; i < n; i++) {
        const int32_t thing = w->order[i];
        if (w->things[thing].offset + w->things[thing].bytes < top) continue;
        memmove(w->order + front + 1, w->order + front, (size_t)(i - front) * sizeof *w->order);
        w->order[front++] = thing;
    }
}

static void pack_stage(Work *w, int32_t n, size_t bound, bool quick)
{
    static Order *const ORDERS[] = { by_size, by_life, by_area, by_birth };
    int64_t edges = 1, work = 0;
    for (int32_t i = 0; i < n; i++)
        edges += w->things[w->order[i]].n_edges;
    size_t best_top = SIZE_MAX;
    /* Large stages pack within a hundredth at once, and each round takes long. */
    const size_t enough = edges > WORK_A_STAGE / 4 ? bound + bound / 100 : bound;
    for (size_t o = 0; o < (quick ? 1 : COUNT(ORDERS)); o++) {
        qsort_r(w->order, (size_t)n, sizeof *w->order, ORDERS[o], w->things);
        for (int round = 0; round <= (quick ? 0 : MAX_ROUNDS); round++) {
            const size_t top = pack(w, n);
            (void)keep_if_better(w, n, top, &best_top);
            work += edges;
            if (best_top <= enough || (work > WORK_A_STAGE && round > 0)) break;
            lift(w, n, top);
        }
        if (best_top <= enough) break;
    }
    for (int32_t i = 0; i < n; i++)
        w->things[w->best_order[i]].offset = w->best[i];
}

/* Crossing things first, then stage by stage; a class that several stages share belongs to the
 * first of them. */
static void pack_all(Work *w, const size_t *stage_live, bool quick)
{
    for (int32_t s = CROSSING; s < w->t->n_stages; s++) {
        int32_t n = 0;
        for (int32_t i = 0; i < w->n_things; i++)
            if (w->things[i].stage == s) w->order[n++] = i;
        if (n) pack_stage(w, n, s == CROSSING ? 0 : stage_live[s], quick || s == CROSSING);
    }
}

/* ---- figures -------------------------------------------------------------------------------- */

/* Groups by birth and by death, to sweep over the request. */
typedef struct Sweep {
    int32_t *by_birth, *by_death;
    int32_t n_born, n_dead;
    int64_t live;
} Sweep;

static int by_dies(const void *a, const void *b, void *context)
{
    const LifeGroup *g = context;
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (g[x].dies != g[y].dies) return g[x].dies < g[y].dies ? -1 : 1;
    return (x > y) - (x < y);
}

static bool sweep_init(Work *w, Sweep *sweep)
{
    const int32_t n = w->l->n_groups;
    *sweep =
        (Sweep){ .by_birth = take(w, n, sizeof(int32_t)), .by_death = take(w, n, sizeof(int32_t)) };
    if (!sweep->by_birth || !sweep->by_death) return false;
    for (int32_t i = 0; i < n; i++)
        sweep->by_birth[i] = sweep->by_death[i] = i;
    qsort_r(sweep->by_birth, (size_t)n, sizeof(int32_t), by_born, w->l->groups);
    qsort_r(sweep->by_death, (size_t)n, sizeof(int32_t), by_dies, w->l->groups);
    return true;
}

/* Bytes of groups alive at operation `op`; operations come in order. */
static int64_t sweep_to(Sweep *sweep, const Lives *l, int32_t op)
{
    while (sweep->n_born < l->n_groups && l->groups[sweep->by_birth[sweep->n_born]].born <= op)
        sweep->live += (int64_t)l->groups[sweep->by_birth[sweep->n_born++]].bytes;
    while (sweep->n_dead < l->n_groups && l->groups[sweep->by_death[sweep->n_dead]].dies < op)
        sweep->live -= (int64_t)l->groups[sweep->by_death[sweep->n_dead++]].bytes;
    return sweep->live;
}

/* Bytes of local items alive at each operation of each class: [same layout as l->workspace]. */
static int64_t *local_live(Work *w)
{
    const Lives *l = w->l;
    int64_t n = 1;
    for (int32_t i = 0; i < l->n_classes; i++)
        n += w->t->templates[l->classes[i].template_id].n_ops;
    int64_t *live = take(w, n, sizeof *live);
    if (!live) return NULL;
    for (int32_t i = 0; i < l->n_classes; i++) {
        const LifeClass *c = &l->classes[i];
        const int32_t n_ops = w->t->templates[c->template_id].n_ops;
        int64_t *at = live + c->first_workspace;
        for (int32_t k = c->first_item; k < c->first_item + c->n_items; k++) {
            at[l->items[k].born] += (int64_t)l->items[k].bytes;
            if (l->items[k].dies + 1 < n_ops)
                at[l->items[k].dies + 1] -= (int64_t)l->items[k].bytes;
        }
        for (int32_t k = 1; k < n_ops; k++)
            at[k] += at[k - 1];
    }
    return live;
}

static bool find_live(Work *w, Placement *out)
{
    const Trace *t = w->t;
    Sweep sweep;
    const int64_t *local = local_live(w);
    if (!local || !sweep_init(w, &sweep)) return false;
    for (int32_t s = 0; s < t->n_segments; s++) {
        const TraceSegment *seg = &t->segments[s];
        const int64_t *here = local + w->l->classes[w->l->class_of[s]].first_workspace;
        for (int32_t i = 0; i < trace_template(t, seg)->n_ops; i++) {
            const size_t now = (size_t)(sweep_to(&sweep, w->l, seg->first_op + i) + here[i]);
            if (now <= out->stage_live[seg->stage]) continue;
            out->stage_live[seg->stage] = now;
            out->stage_peak_op[seg->stage] = seg->first_op + i;
        }
    }
    for (int32_t s = 0; s < t->n_stages; s++)
        if (out->stage_live[s] > out->live) out->live = out->stage_live[s];
    return true;
}

static void raise_to(size_t *top, size_t end)
{
    if (end > *top) *top = end;
}

static bool find_tops(Work *w, Placement *out)
{
    const Trace *t = w->t;
    const Lives *l = w->l;
    size_t *class_top = take(w, l->n_classes, sizeof *class_top);
    if (!class_top) return false;
    for (int32_t i = 0; i < l->n_items; i++)
        raise_to(&class_top[l->items[i].class_id], out->item_offset[i] + l->items[i].bytes);
    for (int32_t s = 0; s < t->n_segments; s++)
        raise_to(&out->stage_top[t->segments[s].stage], class_top[l->class_of[s]]);
    for (int32_t i = 0; i < l->n_groups; i++)
        for (int32_t s = trace_stage_of(t, l->groups[i].born);
             s <= trace_stage_of(t, l->groups[i].dies); s++)
            raise_to(&out->stage_top[s], out->group_offset[i] + l->groups[i].bytes);
    for (int32_t s = 0; s < t->n_stages; s++)
        raise_to(&out->top, out->stage_top[s]);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool take_results(Placement *out, const Trace *t)
{
    const size_t n_stages = (size_t)t->n_stages + 1;
    out->item_offset =
        heap_take(out->heap, ((size_t)out->lives.n_items + 1) * sizeof(size_t), "plan");
    out->group_offset =
        heap_take(out->heap, ((size_t)out->lives.n_groups + 1) * sizeof(size_t), "plan");
    out->stage_top = heap_take(out->heap, n_stages * sizeof(size_t), "plan");
    out->stage_live = heap_take(out->heap, n_stages * sizeof(size_t), "plan");
    out->stage_peak_op = heap_take(out->heap, n_stages * sizeof(int32_t), "plan");
    return out->item_offset && out->group_offset && out->stage_top && out->stage_live &&
           out->stage_peak_op;
}

static bool make(Work *w, Placement *out, bool quick)
{
    if (!take_results(out, w->t) || !find_live(w, out) || !list_things(w)) return false;
    pack_all(w, out->stage_live, quick);
    for (int32_t i = 0; i < w->l->n_items; i++)
        out->item_offset[i] = w->things[i].offset;
    for (int32_t i = 0; i < w->l->n_groups; i++)
        out->group_offset[i] = w->things[w->l->n_items + i].offset;
    return find_tops(w, out);
}

SnugStatus placement_make(Placement *out, const Trace *trace, bool quick, SnugError *err)
{
    *out = (Placement){ .heap = trace->heap };
    TRY(lives_make(&out->lives, trace, err));
    Work work = { .t = trace, .l = &out->lives };
    arena_init(&work.arena, trace->heap, "planning");
    const bool done = make(&work, out, quick);
    arena_release(&work.arena);
    if (done) return SNUG_OK;
    placement_release(out);
    return error_set(err, SNUG_ERR_MEMORY, "no memory to place the activations");
}

void placement_release(Placement *p)
{
    heap_give(p->heap, p->item_offset);
    heap_give(p->heap, p->group_offset);
    heap_give(p->heap, p->stage_top);
    heap_give(p->heap, p->stage_live);
    heap_give(p->heap, p->stage_peak_op);
    lives_release(&p->lives);
    *p = (Placement){ .heap = p->heap };
}

size_t placement_operand(const Placement *p, int32_t segment, TraceRef ref)
{
    const int32_t place = lives_place(&p->lives, segment, ref);
    return place >= 0 ? p->item_offset[place] : p->group_offset[-1 - place];
}

size_t placement_workspace(const Placement *p, int32_t segment, int32_t op)
{
    const LifeClass *c = &p->lives.classes[p->lives.class_of[segment]];
    return p->item_offset[p->lives.workspace[c->first_workspace + op]];
}

size_t placement_tensor(const Placement *p, int32_t id)
{
    const Trace *t = p->lives.trace;
    const int32_t segment = trace_segment_of_tensor(t, id);
    return placement_operand(p, segment, id - t->segments[segment].first_tensor);
}
