/* placement.c  Groups (in-place chains), classes of equal segments, greedy best fit by size.
 *
 * A group is a chain of tensors that share one place. A group that lives inside one segment is
 * local: the segments of a class are equal operation by operation, so their local groups share
 * offsets. A group that crosses segments is carried and stands alone. Workspaces are local groups
 * that live for one operation.
 * Invariant: two items that are live at the same operation never overlap in the slab. */
#include "plan/placement.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/size.h"

typedef struct Group {
    size_t bytes;
    int32_t born, dies, segment; /* segment of birth; carried when it dies in another */
    bool carried;
} Group;

/* What is placed: a carried group, or one local group standing for its twins in a class. */
typedef struct Item {
    size_t bytes, offset;
    int32_t begin, end; /* carried: operations; local: relative to the segment's first */
    int32_t class_id;   /* -1 carried */
    int32_t order;      /* stable order among equals */
    int32_t n_stages;   /* carried over stages: placed first, so that they lie low */
} Item;

typedef struct Segment {
    int32_t first, end; /* operations */
    int32_t class_id, rank;
    uint64_t hash;
    int32_t first_item; /* of its class */
} Segment;

typedef struct Work {
    const Trace *trace;
    Arena arena;
    int32_t *group_of; /* [n_tensors]: tensor that began the chain */
    Group *groups;     /* [n_tensors], valid at chain roots */
    Segment *segments;
    int32_t n_segments, n_classes;
    int32_t *segment_of;  /* [n_ops] */
    int32_t *class_start; /* [n_classes + 1] into class_first */
    int32_t *class_first; /* first operations of the segments of each class, ascending */
    Item *items;
    int32_t n_items;
    int32_t *item_of_group;     /* [n_tensors] */
    int32_t *item_of_workspace; /* [n_ops] */
} Work;

static void *take(Work *w, int64_t n, size_t item_bytes)
{
    return arena_array(&w->arena, (size_t)(n > 0 ? n : 1), item_bytes);
}

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory to place the activations");
}

/* Chains: the output of an in-place operation joins its input's group if the input ends there. */
static void find_groups(Work *w)
{
    const Trace *t = w->trace;
    for (int32_t i = 0; i < t->n_tensors; i++) {
        w->group_of[i] = i;
        w->groups[i] = (Group){ .bytes = size_align(t->tensors[i].bytes, PLACEMENT_ALIGN),
                                .born = t->tensors[i].born,
                                .dies = t->tensors[i].dies };
    }
    for (int32_t i = 0; i < t->n_ops; i++) {
        const TraceOp *op = &t->ops[i];
        if (op->in_place < 0 || op->out < 0 || t->tensors[op->out].born != i) continue;
        const int32_t in = op->in[op->in_place], root = w->group_of[in];
        if (t->tensors[in].dies != i || t->tensors[in].bytes != t->tensors[op->out].bytes) continue;
        if (w->groups[root].dies > i) continue; /* another member is still alive */
        w->group_of[op->out] = root;
        if (t->tensors[op->out].dies > w->groups[root].dies)
            w->groups[root].dies = t->tensors[op->out].dies;
    }
}

static bool find_segments(Work *w)
{
    const Trace *t = w->trace;
    w->segments = take(w, t->n_segments + 1, sizeof *w->segments);
    w->segment_of = take(w, t->n_ops, sizeof *w->segment_of);
    if (!w->segments || !w->segment_of) return false;
    for (int32_t i = 0; i < t->n_segments; i++) {
        int32_t first = t->segments[i].first_op;
        int32_t end = i + 1 < t->n_segments ? t->segments[i + 1].first_op : t->n_ops;
        if (first == end) continue;
        for (int32_t op = first; op < end; op++)
            w->segment_of[op] = w->n_segments;
        w->segments[w->n_segments++] = (Segment){ .first = first, .end = end };
    }
    for (int32_t i = 0; i < t->n_tensors; i++) {
        if (w->group_of[i] != i) continue;
        Group *g = &w->groups[i];
        g->segment = w->segment_of[g->born];
        g->carried = g->segment != w->segment_of[g->dies];
    }
    return true;
}

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15u;
    *hash ^= *hash >> 31;
}

/* Equal hashes mean equal lives of local groups; carried groups only count as carried. */
static void hash_segments(Work *w)
{
    const Trace *t = w->trace;
    for (int32_t s = 0; s < w->n_segments; s++) {
        Segment *seg = &w->segments[s];
        for (int32_t i = seg->first; i < seg->end; i++) {
            const TraceOp *op = &t->ops[i];
            mix(&seg->hash, op->workspace_bytes);
            if (op->out < 0) continue;
            const Group *g = &w->groups[w->group_of[op->out]];
            mix(&seg->hash, g->bytes * 4 + (g->carried ? 1 : 0));
            if (g->carried) continue;
            mix(&seg->hash, (uint64_t)(g->born - seg->first));
            mix(&seg->hash, (uint64_t)(g->dies - seg->first));
        }
        mix(&seg->hash, (uint64_t)(seg->end - seg->first));
    }
}

static int by_hash(const void *a, const void *b)
{
    const Segment *x = *(Segment *const *)a, *y = *(Segment *const *)b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static bool find_classes(Work *w)
{
    Segment **sorted = take(w, w->n_segments, sizeof(Segment *));
    w->class_start = take(w, w->n_segments + 1, sizeof *w->class_start);
    w->class_first = take(w, w->n_segments, sizeof *w->class_first);
    if (!sorted || !w->class_start || !w->class_first) return false;
    for (int32_t i = 0; i < w->n_segments; i++)
        sorted[i] = &w->segments[i];
    qsort(sorted, (size_t)w->n_segments, sizeof(Segment *), by_hash);
    for (int32_t i = 0; i < w->n_segments; i++) {
        if (i == 0 || sorted[i]->hash != sorted[i - 1]->hash) w->class_start[w->n_classes++] = i;
        sorted[i]->class_id = w->n_classes - 1;
        sorted[i]->rank = i - w->class_start[w->n_classes - 1];
        w->class_first[i] = sorted[i]->first;
    }
    w->class_start[w->n_classes] = w->n_segments;
    return true;
}

static int32_t stages_crossed(const Trace *t, int32_t from, int32_t to)
{
    return trace_stage_of(t, to) - trace_stage_of(t, from);
}

static void add_item(Work *w, size_t bytes, int32_t begin, int32_t end, int32_t class_id)
{
    w->items[w->n_items] = (Item){
        .bytes = bytes, .begin = begin, .end = end, .class_id = class_id, .order = w->n_items
    };
    w->n_items++;
}

/* Items of one segment: local groups in order of birth, then workspaces. The first segment of a
 * class makes them; its twins walk in the same order and point at the same items. */
static void itemise(Work *w, Segment *seg, int32_t *class_item)
{
    const Trace *t = w->trace;
    const bool first = seg->rank == 0;
    if (first) class_item[seg->class_id] = w->n_items;
    int32_t next = class_item[seg->class_id];
    for (int32_t i = seg->first; i < seg->end; i++) {
        const TraceOp *op = &t->ops[i];
        if (op->workspace_bytes) {
            if (first)
                add_item(w, size_align(op->workspace_bytes, PLACEMENT_ALIGN), i - seg->first,
                         i - seg->first, seg->class_id);
            w->item_of_workspace[i] = next++;
        }
        if (op->out < 0 || w->group_of[op->out] != op->out || t->tensors[op->out].born != i)
            continue;
        const Group *g = &w->groups[op->out];
        if (g->carried) continue;
        if (first) add_item(w, g->bytes, g->born - seg->first, g->dies - seg->first, seg->class_id);
        w->item_of_group[op->out] = next++;
    }
}

static bool find_items(Work *w)
{
    const Trace *t = w->trace;
    const int64_t most = (int64_t)t->n_tensors + t->n_ops;
    w->items = take(w, most, sizeof *w->items);
    w->item_of_group = take(w, t->n_tensors, sizeof *w->item_of_group);
    w->item_of_workspace = take(w, t->n_ops, sizeof *w->item_of_workspace);
    int32_t *class_item = take(w, w->n_classes, sizeof *class_item);
    if (!w->items || !w->item_of_group || !w->item_of_workspace || !class_item) return false;
    for (int32_t i = 0; i < w->n_segments; i++) /* classes are met first at rank 0 */
        itemise(w, &w->segments[i], class_item);
    for (int32_t i = 0; i < t->n_tensors; i++) {
        const Group *g = &w->groups[i];
        if (w->group_of[i] != i || !g->carried) continue;
        w->item_of_group[i] = w->n_items;
        add_item(w, g->bytes, g->born, g->dies, -1);
        w->items[w->n_items - 1].n_stages = stages_crossed(t, g->born, g->dies);
    }
    return true;
}

/* Does some segment of the class begin in [low, high]? */
static bool class_begins(const Work *w, int32_t class_id, int32_t low, int32_t high)
{
    int32_t a = w->class_start[class_id], b = w->class_start[class_id + 1];
    while (a < b) {
        int32_t mid = a + (b - a) / 2;
        if (w->class_first[mid] < low)
            a = mid + 1;
        else
            b = mid;
    }
    return a < w->class_start[class_id + 1] && w->class_first[a] <= high;
}

static bool live_together(const Work *w, const Item *a, const Item *b)
{
    if (a->class_id >= 0 && b->class_id >= 0)
        return a->class_id == b->class_id && a->begin <= b->end && b->begin <= a->end;
    if (a->class_id < 0 && b->class_id < 0) return a->begin <= b->end && b->begin <= a->end;
    const Item *local = a->class_id >= 0 ? a : b, *carried = a->class_id >= 0 ? b : a;
    return class_begins(w, local->class_id, carried->begin - local->end,
                        carried->end - local->begin);
}

/* Orders of placing. Which packs best depends on the network, so all are tried. What crosses stages
 * always comes first, so that it lies low and leaves later stages one block. */
static int by_size(const void *a, const void *b)
{
    const Item *x = *(Item *const *)a, *y = *(Item *const *)b;
    if ((x->n_stages > 0) != (y->n_stages > 0)) return x->n_stages > 0 ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    if (x->end - x->begin != y->end - y->begin)
        return x->end - x->begin > y->end - y->begin ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* What crosses segments (caches, latents) first, then the rest, each by size. */
static int by_reach(const void *a, const void *b)
{
    const Item *x = *(Item *const *)a, *y = *(Item *const *)b;
    if ((x->class_id < 0) != (y->class_id < 0)) return x->class_id < 0 ? -1 : 1;
    return by_size(a, b);
}

/* As they are born: what an allocator at run time would see, but with known lives. */
static int by_birth(const void *a, const void *b)
{
    const Item *x = *(Item *const *)a, *y = *(Item *const *)b;
    if ((x->n_stages > 0) != (y->n_stages > 0)) return x->n_stages > 0 ? -1 : 1;
    if ((x->class_id < 0) != (y->class_id < 0)) return x->class_id < 0 ? -1 : 1;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return by_size(a, b);
}

typedef int Order(const void *a, const void *b);

typedef struct Taken {
    size_t begin, end;
} Taken;

static int by_begin(const void *a, const void *b)
{
    const Taken *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Smallest gap that fits among `n` taken ranges, else the end of the last. */
static size_t best_gap(Taken *taken, int32_t n, size_t bytes)
{
    qsort(taken, (size_t)n, sizeof *taken, by_begin);
    size_t end = 0, best = SIZE_MAX, best_size = SIZE_MAX;
    for (int32_t i = 0; i < n; i++) {
        if (taken[i].begin > end) {
            size_t gap = taken[i].begin - end;
            if (gap >= bytes && gap < best_size) {
                best_size = gap;
                best = end;
            }
        }
        if (taken[i].end > end) end = taken[i].end;
    }
    return best == SIZE_MAX ? end : best;
}

/* Items placed so far, by class; the carried ones are class n_classes. Two classes never live
 * together, so an item looks at its own class and at the carried ones only. */
typedef struct Placed {
    Item **sorted, **placed; /* [n_items] */
    int32_t *start, *count;  /* [n_classes + 1] into placed */
    Taken *taken;
} Placed;

static int32_t bucket(const Work *w, const Item *item)
{
    return item->class_id < 0 ? w->n_classes : item->class_id;
}

static int32_t take_ranges(const Work *w, Placed *p, const Item *item, int32_t from, int32_t n)
{
    for (int32_t k = 0; k < p->count[from]; k++) {
        const Item *other = p->placed[p->start[from] + k];
        if (live_together(w, item, other))
            p->taken[n++] = (Taken){ other->offset, other->offset + other->bytes };
    }
    return n;
}

static size_t place_in_order(const Work *w, Placed *p, Order *order)
{
    size_t top = 0;
    for (int32_t i = 0; i < w->n_items; i++)
        p->sorted[i] = &w->items[i];
    for (int32_t c = 0; c <= w->n_classes; c++)
        p->count[c] = 0;
    qsort(p->sorted, (size_t)w->n_items, sizeof(Item *), order);
    for (int32_t i = 0; i < w->n_items; i++) {
        Item *item = p->sorted[i];
        const int32_t own = bucket(w, item);
        int32_t n = take_ranges(w, p, item, w->n_classes, 0);
        for (int32_t c = 0; c < w->n_classes; c++)
            if (c == own || own == w->n_classes) n = take_ranges(w, p, item, c, n);
        item->offset = best_gap(p->taken, n, item->bytes);
        p->placed[p->start[own] + p->count[own]++] = item;
        if (item->offset + item->bytes > top) top = item->offset + item->bytes;
    }
    return top;
}

static bool make_buckets(Work *w, Placed *p)
{
    const int64_t n = w->n_items, classes = (int64_t)w->n_classes + 2;
    *p = (Placed){ .sorted = take(w, n, sizeof(Item *)),
                   .placed = take(w, n, sizeof(Item *)),
                   .start = take(w, classes, sizeof(int32_t)),
                   .count = take(w, classes, sizeof(int32_t)),
                   .taken = take(w, n, sizeof(Taken)) };
    if (!p->sorted || !p->placed || !p->start || !p->count || !p->taken) return false;
    for (int32_t i = 0; i < w->n_items; i++)
        p->start[bucket(w, &w->items[i]) + 1]++;
    for (int32_t c = 0; c <= w->n_classes; c++)
        p->start[c + 1] += p->start[c];
    return true;
}

static bool place_items(Work *w, bool quick)
{
    static Order *const ORDERS[] = { by_size, by_reach, by_birth };
    const int n_orders = quick ? 1 : (int)COUNT(ORDERS);
    Placed p;
    if (!make_buckets(w, &p)) return false;
    size_t best = SIZE_MAX;
    int best_order = 0;
    for (int i = 0; i < n_orders; i++) {
        const size_t top = place_in_order(w, &p, ORDERS[i]);
        if (top < best) {
            best = top;
            best_order = i;
        }
    }
    if (best_order != n_orders - 1) (void)place_in_order(w, &p, ORDERS[best_order]);
    return true;
}

/* Live bytes and highest end per stage, by sweeping births and deaths over the operations. */
static bool sum_up(Work *w, Placement *out)
{
    const Trace *t = w->trace;
    int64_t *delta = take(w, (int64_t)t->n_ops + 1, sizeof *delta);
    if (!delta) return false;
    for (int32_t i = 0; i < t->n_tensors; i++) {
        if (w->group_of[i] != i) continue;
        const Group *g = &w->groups[i];
        delta[g->born] += (int64_t)g->bytes;
        delta[g->dies + 1] -= (int64_t)g->bytes;
        const size_t end = w->items[w->item_of_group[i]].offset + g->bytes;
        for (int32_t s = trace_stage_of(t, g->born); s < t->n_stages; s++) {
            if (t->stages[s].first_op > g->dies) break;
            if (end > out->stage_top[s]) out->stage_top[s] = end;
        }
    }
    int64_t live = 0;
    for (int32_t i = 0, s = 0; i < t->n_ops; i++) {
        while (s + 1 < t->n_stages && t->stages[s + 1].first_op <= i)
            s++;
        live += delta[i];
        const size_t work = size_align(t->ops[i].workspace_bytes, PLACEMENT_ALIGN);
        const size_t now = (size_t)live + work;
        if (now > out->stage_live[s]) {
            out->stage_live[s] = now;
            out->stage_peak_op[s] = i;
        }
        const size_t end = out->workspace_offset[i] + work;
        if (work && end > out->stage_top[s]) out->stage_top[s] = end;
    }
    for (int32_t s = 0; s < t->n_stages; s++) {
        if (out->stage_top[s] > out->top) out->top = out->stage_top[s];
        if (out->stage_live[s] > out->live) out->live = out->stage_live[s];
    }
    return true;
}

static bool take_tables(Placement *out, const Trace *t)
{
    const size_t n_ops = (size_t)t->n_ops + 1, n_stages = (size_t)t->n_stages + 1;
    out->tensor_offset = heap_take(out->heap, ((size_t)t->n_tensors + 1) * sizeof(size_t), "plan");
    out->workspace_offset = heap_take(out->heap, n_ops * sizeof(size_t), "plan");
    out->stage_top = heap_take(out->heap, n_stages * sizeof(size_t), "plan");
    out->stage_live = heap_take(out->heap, n_stages * sizeof(size_t), "plan");
    out->stage_peak_op = heap_take(out->heap, n_stages * sizeof(int32_t), "plan");
    return out->tensor_offset && out->workspace_offset && out->stage_top && out->stage_live &&
           out->stage_peak_op;
}

static bool make(Work *w, Placement *out, bool quick)
{
    const Trace *t = w->trace;
    w->group_of = take(w, t->n_tensors, sizeof *w->group_of);
    w->groups = take(w, t->n_tensors, sizeof *w->groups);
    if (!w->group_of || !w->groups || !take_tables(out, t)) return false;
    find_groups(w);
    if (!find_segments(w)) return false;
    hash_segments(w);
    if (!find_classes(w) || !find_items(w) || !place_items(w, quick)) return false;
    for (int32_t i = 0; i < t->n_tensors; i++)
        out->tensor_offset[i] = w->items[w->item_of_group[w->group_of[i]]].offset;
    for (int32_t i = 0; i < t->n_ops; i++)
        if (t->ops[i].workspace_bytes)
            out->workspace_offset[i] = w->items[w->item_of_workspace[i]].offset;
    return sum_up(w, out);
}

SnugStatus placement_make(Placement *out, const Trace *trace, bool quick, SnugError *err)
{
    *out = (Placement){ .heap = trace->heap };
    Work work = { .trace = trace };
    arena_init(&work.arena, trace->heap, "planning");
    const bool done = make(&work, out, quick);
    arena_release(&work.arena);
    if (done) return SNUG_OK;
    placement_release(out);
    return no_memory(err);
}

void placement_release(Placement *p)
{
    heap_give(p->heap, p->tensor_offset);
    heap_give(p->heap, p->workspace_offset);
    heap_give(p->heap, p->stage_top);
    heap_give(p->heap, p->stage_live);
    heap_give(p->heap, p->stage_peak_op);
    *p = (Placement){ .heap = p->heap };
}
