/* lives.c  Segments are sorted into classes by what escapes them and what ends in them; chains are
 * found once a class, and joined across segments by union of their carried tensors. */
#include "plan/lives.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* What one class's chains mean for the carried tensors of its segments; k counts as in `place`. */
typedef struct Join {
    int32_t class_id, a, b; /* the two are one group */
} Join;

typedef struct Work {
    Lives *l;
    const Trace *t;
    Arena arena;
    uint64_t *key;       /* [n_segments] */
    int32_t *root;       /* [nodes] of one template: local tensors, then those from before */
    int32_t *node_dies;  /* [nodes] INT32_MAX: not here */
    int32_t *chain_dies; /* [nodes] at roots */
    int32_t *chain_k;    /* [nodes] at roots: carried tensor that stands for the chain, -1 */
    Join *joins;
    int32_t n_joins, max_joins;
    int32_t *escape_born; /* [sum of n_escapes over classes] first operation of the chain */
    int32_t *first_born;  /* [n_classes] into escape_born */
    int32_t *entry_dies;  /* [sum of n_before over classes] last operation of its chain, -1 */
    int32_t *first_entry; /* [n_classes] into entry_dies */
    int32_t n_born, n_entry;
    int32_t *parent; /* [n_carried] union-find */
} Work;

static void *take(Arena *arena, int64_t n, size_t item_bytes)
{
    return arena_array(arena, (size_t)(n > 0 ? n : 1), item_bytes);
}

/* ---- classes -------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b, void *context)
{
    const TraceCarried *c = context;
    const int32_t x = c[*(const int32_t *)a].id, y = c[*(const int32_t *)b].id;
    return (x > y) - (x < y);
}

static void list_escapes(Lives *l)
{
    const Trace *t = l->trace;
    for (int32_t i = 0; i < t->n_carried; i++)
        l->escapes[i] = i;
    qsort_r(l->escapes, (size_t)t->n_carried, sizeof *l->escapes, by_id, t->carried);
    int32_t at = 0;
    for (int32_t s = 0; s < t->n_segments; s++) {
        l->first_escape[s] = at;
        const int32_t end =
            t->segments[s].first_tensor + trace_template(t, &t->segments[s])->n_tensors;
        while (at < t->n_carried && t->carried[l->escapes[at]].id < end)
            at++;
    }
    l->first_escape[t->n_segments] = at;
}

static const TraceCarried *escape(const Lives *l, int32_t segment, int32_t k)
{
    return &l->trace->carried[l->escapes[l->first_escape[segment] + k]];
}

static int32_t n_escapes(const Lives *l, int32_t segment)
{
    return l->first_escape[segment + 1] - l->first_escape[segment];
}

static const TraceCarried *entry(const Trace *t, const TraceSegment *s, int32_t k)
{
    return &t->carried[t->before[s->first_before + k]];
}

static bool ends_here(const Trace *t, const TraceSegment *s, int32_t k)
{
    return entry(t, s, k)->dies < s->first_op + trace_template(t, s)->n_ops;
}

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15u;
    *hash ^= *hash >> 31;
}

static uint64_t segment_key(const Lives *l, int32_t segment)
{
    const Trace *t = l->trace;
    const TraceSegment *s = &t->segments[segment];
    uint64_t key = (uint64_t)s->template_id;
    for (int32_t k = 0; k < n_escapes(l, segment); k++)
        mix(&key, (uint64_t)(escape(l, segment, k)->id - s->first_tensor));
    mix(&key, 0x5eed);
    for (int32_t k = 0; k < trace_template(t, s)->n_before; k++)
        mix(&key, ends_here(t, s, k) ? 1 : 2);
    return key;
}

static bool same_class(const Lives *l, int32_t a, int32_t b)
{
    const Trace *t = l->trace;
    const TraceSegment *x = &t->segments[a], *y = &t->segments[b];
    if (x->template_id != y->template_id || n_escapes(l, a) != n_escapes(l, b)) return false;
    for (int32_t k = 0; k < n_escapes(l, a); k++)
        if (escape(l, a, k)->id - x->first_tensor != escape(l, b, k)->id - y->first_tensor)
            return false;
    for (int32_t k = 0; k < trace_template(t, x)->n_before; k++)
        if (ends_here(t, x, k) != ends_here(t, y, k)) return false;
    return true;
}

static int by_key(const void *a, const void *b, void *context)
{
    const uint64_t *key = context;
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (key[x] != key[y]) return key[x] < key[y] ? -1 : 1;
    return (x > y) - (x < y);
}

static bool find_classes(Work *w)
{
    Lives *l = w->l;
    const Trace *t = w->t;
    for (int32_t s = 0; s < t->n_segments; s++) {
        w->key[s] = segment_key(l, s);
        l->members[s] = s;
    }
    qsort_r(l->members, (size_t)t->n_segments, sizeof *l->members, by_key, w->key);
    l->classes = take(&l->arena, t->n_segments, sizeof *l->classes);
    if (!l->classes) return false;
    for (int32_t i = 0; i < t->n_segments; i++) {
        const int32_t s = l->members[i];
        if (i == 0 || !same_class(l, l->members[i - 1], s))
            l->classes[l->n_classes++] = (LifeClass){ .template_id = t->segments[s].template_id,
                                                      .first_member = i,
                                                      .n_escapes = n_escapes(l, s) };
        l->classes[l->n_classes - 1].n_members++;
        l->class_of[s] = l->n_classes - 1;
    }
    return true;
}

/* ---- chains of one class --------------------------------------------------------------------- */

/* When a node of the class's first segment ends, relative; INT32_MAX: in a later segment. */
static void list_ends(Work *w, const LifeClass *c, const TraceTemplate *m)
{
    const Trace *t = w->t;
    const int32_t first = w->l->members[c->first_member];
    const TraceSegment *s = &t->segments[first];
    for (int32_t i = 0; i < m->n_tensors; i++)
        w->node_dies[i] = t->tensors[m->first_tensor + i].dies;
    for (int32_t k = 0; k < c->n_escapes; k++)
        w->node_dies[escape(w->l, first, k)->id - s->first_tensor] = INT32_MAX;
    for (int32_t k = 0; k < m->n_before; k++)
        w->node_dies[m->n_tensors + k] =
            ends_here(t, s, k) ? t->before_end[m->first_before_end + k] : INT32_MAX;
}

static void find_chains(Work *w, const TraceTemplate *m)
{
    const int32_t nodes = m->n_tensors + m->n_before;
    for (int32_t i = 0; i < nodes; i++)
        w->root[i] = i;
    for (int32_t i = 0; i < m->n_ops; i++) {
        const TraceOp *op = &w->t->ops[m->first_op + i];
        if (op->in_place < 0 || op->out == TRACE_NO_OUT) continue;
        const TraceRef in = op->in[op->in_place];
        const int32_t node = in >= 0 ? in : m->n_tensors - 1 - in;
        if (w->node_dies[node] == i) w->root[op->out] = w->root[node];
    }
    for (int32_t i = 0; i < nodes; i++) {
        w->chain_dies[i] = -1;
        w->chain_k[i] = i >= m->n_tensors ? i - m->n_tensors : -1;
    }
    for (int32_t i = 0; i < nodes; i++)
        if (w->node_dies[i] != INT32_MAX && w->node_dies[i] > w->chain_dies[w->root[i]])
            w->chain_dies[w->root[i]] = w->node_dies[i];
}

static bool push_join(Work *w, Join join)
{
    if (w->n_joins == w->max_joins) {
        const int32_t more = w->max_joins ? 2 * w->max_joins : 64;
        Join *joins = take(&w->arena, more, sizeof *joins);
        if (!joins) return false;
        if (w->n_joins) memcpy(joins, w->joins, (size_t)w->n_joins * sizeof *joins);
        w->joins = joins;
        w->max_joins = more;
    }
    w->joins[w->n_joins++] = join;
    return true;
}

/* Escapes name their chains; two carried tensors in one chain are joined. */
static bool name_chains(Work *w, int32_t class_id, const TraceTemplate *m)
{
    Lives *l = w->l;
    const LifeClass *c = &l->classes[class_id];
    const int32_t first = l->members[c->first_member];
    w->first_born[class_id] = w->n_born;
    for (int32_t k = 0; k < c->n_escapes; k++) {
        const int32_t tensor = escape(l, first, k)->id - w->t->segments[first].first_tensor;
        const int32_t root = w->root[tensor];
        w->escape_born[w->n_born++] =
            root < m->n_tensors ? w->t->tensors[m->first_tensor + root].born : -1;
        if (w->chain_k[root] < 0)
            w->chain_k[root] = m->n_before + k;
        else if (!push_join(w, (Join){ class_id, w->chain_k[root], m->n_before + k }))
            return false;
    }
    w->first_entry[class_id] = w->n_entry;
    for (int32_t k = 0; k < m->n_before; k++)
        w->entry_dies[w->n_entry++] = w->chain_dies[m->n_tensors + k];
    return true;
}

static void add_item(Lives *l, int32_t class_id, size_t bytes, int32_t born, int32_t dies)
{
    l->items[l->n_items++] = (LifeItem){
        .bytes = size_align(bytes, LIVES_ALIGN), .class_id = class_id, .born = born, .dies = dies
    };
    l->classes[class_id].n_items++;
}

/* Items in order of birth; every tensor learns its place. */
static void make_items(Work *w, int32_t class_id, const TraceTemplate *m)
{
    Lives *l = w->l;
    LifeClass *c = &l->classes[class_id];
    int32_t *place = l->place + c->first_place, *workspace = l->workspace + c->first_workspace;
    int32_t next = 0; /* tensors are numbered in order of birth */
    c->first_item = l->n_items;
    for (int32_t i = 0; i < m->n_ops; i++) {
        const TraceOp *op = &w->t->ops[m->first_op + i];
        workspace[i] = op->workspace_bytes ? l->n_items : -1;
        if (op->workspace_bytes) add_item(l, class_id, op->workspace_bytes, i, i);
        if (op->mutates || op->out == TRACE_NO_OUT) continue;
        const int32_t tensor = next++, root = w->root[tensor];
        if (w->chain_k[root] >= 0)
            place[tensor] = -1 - w->chain_k[root];
        else if (root != tensor)
            place[tensor] = place[root];
        else {
            place[tensor] = l->n_items;
            add_item(l, class_id, w->t->tensors[m->first_tensor + tensor].bytes, i,
                     w->chain_dies[root]);
        }
    }
}

static bool take_class_tables(Work *w)
{
    Lives *l = w->l;
    int64_t places = 0, ops = 0, escapes = 0, entries = 0, nodes = 0;
    for (int32_t i = 0; i < l->n_classes; i++) {
        LifeClass *c = &l->classes[i];
        const TraceTemplate *m = &w->t->templates[c->template_id];
        c->first_place = (int32_t)places;
        c->first_workspace = (int32_t)ops;
        places += m->n_tensors;
        ops += m->n_ops;
        escapes += c->n_escapes;
        entries += m->n_before;
        if (m->n_tensors + m->n_before > nodes) nodes = m->n_tensors + m->n_before;
    }
    l->place = take(&l->arena, places, sizeof *l->place);
    l->workspace = take(&l->arena, ops, sizeof *l->workspace);
    l->items = take(&l->arena, places + ops, sizeof *l->items);
    w->root = take(&w->arena, nodes, sizeof *w->root);
    w->node_dies = take(&w->arena, nodes, sizeof *w->node_dies);
    w->chain_dies = take(&w->arena, nodes, sizeof *w->chain_dies);
    w->chain_k = take(&w->arena, nodes, sizeof *w->chain_k);
    w->escape_born = take(&w->arena, escapes, sizeof *w->escape_born);
    w->entry_dies = take(&w->arena, entries, sizeof *w->entry_dies);
    w->first_born = take(&w->arena, l->n_classes, sizeof *w->first_born);
    w->first_entry = take(&w->arena, l->n_classes, sizeof *w->first_entry);
    return l->place && l->workspace && l->items && w->root && w->node_dies && w->chain_dies &&
           w->chain_k && w->escape_born && w->entry_dies && w->first_born && w->first_entry;
}

/* ---- groups over segments --------------------------------------------------------------------- */

static int32_t find_root(int32_t *parent, int32_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* The carried tensor that `k` means in a segment; k counts as in `place`. */
static int32_t carried_of(const Lives *l, int32_t segment, int32_t k)
{
    const Trace *t = l->trace;
    const TraceSegment *s = &t->segments[segment];
    const int32_t n_before = trace_template(t, s)->n_before;
    return k < n_before ? t->before[s->first_before + k]
                        : l->escapes[l->first_escape[segment] + k - n_before];
}

static void join_segments(Work *w)
{
    for (int32_t i = 0; i < w->t->n_carried; i++)
        w->parent[i] = i;
    for (int32_t i = 0; i < w->n_joins; i++) {
        const Join *join = &w->joins[i];
        const LifeClass *c = &w->l->classes[join->class_id];
        for (int32_t n = 0; n < c->n_members; n++) {
            const int32_t s = w->l->members[c->first_member + n];
            const int32_t a = find_root(w->parent, carried_of(w->l, s, join->a));
            w->parent[find_root(w->parent, carried_of(w->l, s, join->b))] = a;
        }
    }
}

static void widen(LifeGroup *g, int32_t born, int32_t dies)
{
    if (born < g->born) g->born = born;
    if (dies > g->dies) g->dies = dies;
}

static void make_groups(Work *w)
{
    Lives *l = w->l;
    const Trace *t = w->t;
    join_segments(w);
    for (int32_t i = 0; i < t->n_carried; i++)
        if (find_root(w->parent, i) == i) {
            l->group_of[i] = l->n_groups;
            l->groups[l->n_groups++] = (LifeGroup){
                .bytes = size_align(t->carried[i].bytes, LIVES_ALIGN), .born = INT32_MAX, .dies = -1
            };
        }
    for (int32_t i = 0; i < t->n_carried; i++) {
        l->group_of[i] = l->group_of[find_root(w->parent, i)];
        widen(&l->groups[l->group_of[i]], t->carried[i].born, t->carried[i].dies);
    }
    for (int32_t s = 0; s < t->n_segments; s++) {
        const TraceSegment *seg = &t->segments[s];
        const LifeClass *c = &l->classes[l->class_of[s]];
        const int32_t *born = w->escape_born + w->first_born[l->class_of[s]];
        const int32_t *dies = w->entry_dies + w->first_entry[l->class_of[s]];
        const int32_t n_before = trace_template(t, seg)->n_before;
        for (int32_t k = 0; k < n_before; k++) /* the chain may go on inside this segment */
            if (dies[k] >= 0)
                widen(&l->groups[l->group_of[carried_of(l, s, k)]], INT32_MAX,
                      seg->first_op + dies[k]);
        for (int32_t k = 0; k < c->n_escapes; k++)
            if (born[k] >= 0)
                widen(&l->groups[l->group_of[carried_of(l, s, n_before + k)]],
                      seg->first_op + born[k], -1);
    }
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool take_tables(Work *w)
{
    Lives *l = w->l;
    const Trace *t = w->t;
    l->class_of = take(&l->arena, t->n_segments, sizeof *l->class_of);
    l->first_escape = take(&l->arena, (int64_t)t->n_segments + 1, sizeof *l->first_escape);
    l->escapes = take(&l->arena, t->n_carried, sizeof *l->escapes);
    l->group_of = take(&l->arena, t->n_carried, sizeof *l->group_of);
    l->groups = take(&l->arena, t->n_carried, sizeof *l->groups);
    l->members = take(&l->arena, t->n_segments, sizeof *l->members);
    w->key = take(&w->arena, t->n_segments, sizeof *w->key);
    w->parent = take(&w->arena, t->n_carried, sizeof *w->parent);
    return l->class_of && l->first_escape && l->escapes && l->group_of && l->groups && l->members &&
           w->key && w->parent;
}

static bool make(Work *w)
{
    if (!take_tables(w)) return false;
    list_escapes(w->l);
    if (!find_classes(w) || !take_class_tables(w)) return false;
    for (int32_t i = 0; i < w->l->n_classes; i++) {
        const TraceTemplate *m = &w->t->templates[w->l->classes[i].template_id];
        list_ends(w, &w->l->classes[i], m);
        find_chains(w, m);
        if (!name_chains(w, i, m)) return false;
        make_items(w, i, m);
    }
    make_groups(w);
    return true;
}

SnugStatus lives_make(Lives *out, const Trace *trace, SnugError *err)
{
    *out = (Lives){ .trace = trace };
    arena_init(&out->arena, trace->heap, "plan");
    Work work = { .l = out, .t = trace };
    arena_init(&work.arena, trace->heap, "planning");
    const bool done = make(&work);
    arena_release(&work.arena);
    if (done) return SNUG_OK;
    lives_release(out);
    return error_set(err, SNUG_ERR_MEMORY, "no memory to place the activations");
}

void lives_release(Lives *lives)
{
    if (lives->trace) arena_release(&lives->arena);
    *lives = (Lives){ 0 };
}

int32_t lives_place(const Lives *l, int32_t segment, TraceRef ref)
{
    const LifeClass *c = &l->classes[l->class_of[segment]];
    const int32_t k = ref < 0 ? -1 - ref : -1 - l->place[c->first_place + ref];
    if (k < 0) return -1 - k;
    return -1 - l->group_of[carried_of(l, segment, k)];
}
