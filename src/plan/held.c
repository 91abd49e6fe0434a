/* held.c  Lives and loads turned into sums over time. */
#include "plan/held.h"

#include <stdlib.h>
#include <string.h>

static void *take(Held *h, int64_t n, size_t item_bytes)
{
    return arena_array(&h->arena, (size_t)(n > 0 ? n : 1), item_bytes);
}

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory for the book of a plan");
}

/* ---- tensors -------------------------------------------------------------------------------- */

static int32_t ops_of(const Held *h, const LifeClass *c)
{
    return h->trace->templates[c->template_id].n_ops;
}

static bool sum_classes(Held *h)
{
    const Lives *l = h->lives;
    int64_t n = 0;
    for (int32_t i = 0; i < l->n_classes; i++)
        n += ops_of(h, &l->classes[i]);
    h->local = take(h, n, sizeof *h->local);
    for (int32_t i = 0; h->local && i < l->n_classes; i++) {
        const LifeClass *c = &l->classes[i];
        int64_t *at = h->local + c->first_workspace;
        for (int32_t k = c->first_item; k < c->first_item + c->n_items; k++) {
            at[l->items[k].born] += (int64_t)l->items[k].bytes;
            if (l->items[k].dies + 1 < ops_of(h, c))
                at[l->items[k].dies + 1] -= (int64_t)l->items[k].bytes;
        }
        for (int32_t k = 1; k < ops_of(h, c); k++)
            at[k] += at[k - 1];
    }
    return h->local != NULL;
}

static int by_born(const void *a, const void *b, void *context)
{
    const LifeGroup *g = context;
    const int32_t x = g[*(const int32_t *)a].born, y = g[*(const int32_t *)b].born;
    return (x > y) - (x < y);
}

static int by_dies(const void *a, const void *b, void *context)
{
    const LifeGroup *g = context;
    const int32_t x = g[*(const int32_t *)a].dies, y = g[*(const int32_t *)b].dies;
    return (x > y) - (x < y);
}

static bool sort_groups(Held *h)
{
    const Lives *l = h->lives;
    h->by_born = take(h, l->n_groups, sizeof(int32_t));
    h->by_dies = take(h, l->n_groups, sizeof(int32_t));
    if (!h->by_born || !h->by_dies) return false;
    for (int32_t i = 0; i < l->n_groups; i++)
        h->by_born[i] = h->by_dies[i] = i;
    qsort_r(h->by_born, (size_t)l->n_groups, sizeof(int32_t), by_born, l->groups);
    qsort_r(h->by_dies, (size_t)l->n_groups, sizeof(int32_t), by_dies, l->groups);
    return true;
}

size_t held_tensors(const Held *h, HeldCursor *c, int32_t op)
{
    const Lives *l = h->lives;
    const Trace *t = h->trace;
    for (; c->n_born < l->n_groups && l->groups[h->by_born[c->n_born]].born <= op; c->n_born++)
        c->groups += (int64_t)l->groups[h->by_born[c->n_born]].bytes;
    for (; c->n_dead < l->n_groups && l->groups[h->by_dies[c->n_dead]].dies < op; c->n_dead++)
        c->groups -= (int64_t)l->groups[h->by_dies[c->n_dead]].bytes;
    while (c->segment + 1 < t->n_segments && t->segments[c->segment + 1].first_op <= op)
        c->segment++;
    const LifeClass *here = &l->classes[l->class_of[c->segment]];
    const int32_t at = op - t->segments[c->segment].first_op;
    const int64_t local = at < ops_of(h, here) ? h->local[here->first_workspace + at] : 0;
    return (size_t)(c->groups + local);
}

/* ---- loads ---------------------------------------------------------------------------------- */

/* Loads of a tier, and the uses on its time axis. */
typedef struct Needs {
    const Residency *loads;
    const UnitUse *uses; /* NULL: use i is load i of `above` */
    const Load *above;
    int32_t n_uses, n_units;
} Needs;

static int by_value(const void *a, const void *b, void *context)
{
    const int32_t *last = context;
    const int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    if (last[i] != last[k]) return last[i] < last[k] ? -1 : 1;
    return (i > k) - (i < k);
}

/* The load that serves a use is the unit's last one with need <= the use. */
static bool find_last(Held *h, const Needs *n, int32_t **last, int32_t **order)
{
    const int32_t n_loads = n->loads->n_loads;
    int32_t *load_of = take(h, n->n_units, sizeof(int32_t)), next = 0;
    *last = take(h, n_loads, sizeof(int32_t));
    *order = take(h, n_loads, sizeof(int32_t));
    if (!load_of || !*last || !*order) return false;
    for (int32_t i = 0; i < n->n_units; i++)
        load_of[i] = -1;
    for (int32_t i = 0; i < n_loads; i++) {
        (*order)[i] = i;
        (*last)[i] = n->loads->loads[i].need;
    }
    for (int32_t i = 0; i < n->n_uses; i++) {
        const int32_t first = n->uses ? n->uses[i].first : i, end = n->uses ? n->uses[i].last : i;
        for (; next < n_loads && n->loads->loads[next].need <= first; next++)
            load_of[n->loads->loads[next].unit] = next;
        const int32_t load = load_of[n->uses ? n->uses[i].unit : n->above[i].unit];
        if (load >= 0 && end > (*last)[load]) (*last)[load] = end;
    }
    for (int32_t i = 0; n->loads->holds && i < n_loads; i++)
        (*last)[i] = h->trace->n_ops - 1;
    qsort_r(*order, (size_t)n_loads, sizeof(int32_t), by_value, *last);
    return true;
}

/* ---- spans ---------------------------------------------------------------------------------- */

static bool find_spans(Held *h, const Residency *r, const int32_t *part_of, int32_t n_parts)
{
    int32_t *open = take(h, n_parts, sizeof(int32_t)); /* span of each part, -1 */
    h->span_of = take(h, r->n_loads, sizeof(int32_t));
    h->spans = take(h, r->n_loads, sizeof *h->spans);
    if (!open || !h->span_of || !h->spans) return false;
    for (int32_t i = 0; i < n_parts; i++)
        open[i] = -1;
    for (int32_t i = 0; i < r->n_loads; i++) {
        const int32_t part = part_of[r->loads[i].unit], need = r->loads[i].need;
        HeldSpan *s = open[part] < 0 ? NULL : &h->spans[open[part]];
        const bool over = s && need > s->last_op &&
                          trace_stage_of(h->trace, need) != trace_stage_of(h->trace, s->last_op);
        if (!s || over) {
            open[part] = h->n_spans;
            s = &h->spans[h->n_spans++];
            *s = (HeldSpan){ .part = part, .first_op = need, .last_op = h->last_op[i] };
        }
        s->n_loads++;
        if (h->last_op[i] > s->last_op) s->last_op = h->last_op[i];
        h->span_of[i] = open[part];
    }
    return true;
}

static bool find_loads(Held *h, const Schedule *s, const Uses *uses, const int32_t *part_of,
                       int32_t n_units)
{
    int32_t n_parts = 1;
    for (int32_t i = 0; i < n_units; i++)
        if (part_of[i] >= n_parts) n_parts = part_of[i] + 1;
    const Needs device = { &s->loads, uses->list, NULL, uses->n, n_units };
    const Needs host = { &s->host, NULL, s->loads.loads, s->loads.n_loads, n_units };
    h->n_loads = s->loads.n_loads;
    h->n_host_loads = s->two_tiers ? s->host.n_loads : 0;
    if (!find_last(h, &device, &h->last_op, &h->by_last_op)) return false;
    if (s->two_tiers && !find_last(h, &host, &h->host_last, &h->by_host_last)) return false;
    return find_spans(h, &s->loads, part_of, n_parts);
}

SnugStatus held_make(Held *out, const Trace *trace, const Placement *placement,
                     const Schedule *schedule, const int32_t *part_of, int32_t n_units,
                     SnugError *err)
{
    Uses uses;
    *out = (Held){ .trace = trace, .lives = &placement->lives };
    arena_init(&out->arena, trace->heap, "book");
    TRY(uses_of_trace(&uses, trace, n_units, err));
    const bool good =
        sum_classes(out) && sort_groups(out) && find_loads(out, schedule, &uses, part_of, n_units);
    uses_release(&uses);
    if (good) return SNUG_OK;
    held_release(out);
    return no_memory(err);
}

void held_release(Held *held)
{
    if (held->arena.heap) arena_release(&held->arena);
    *held = (Held){ 0 };
}
