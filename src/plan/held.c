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

static int by_value(const void *a, const void *b, void *context)
{
    const int32_t *last = context;
    const int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    if (last[i] != last[k]) return last[i] < last[k] ? -1 : 1;
    return (i > k) - (i < k);
}

static bool sort_loads(Held *h, int32_t *last, int32_t n, int32_t **order)
{
    *order = take(h, n, sizeof(int32_t));
    if (!*order) return false;
    for (int32_t i = 0; i < n; i++)
        (*order)[i] = i;
    qsort_r(*order, (size_t)n, sizeof(int32_t), by_value, last);
    return true;
}

/* What was loaded for one use serves the unit's later uses, until loads for another come. Parts go
 * by themselves. */
static bool find_device_last(Held *h, const Residency *r, const Uses *uses, int32_t n_units)
{
    int32_t *held_for = take(h, n_units, sizeof(int32_t)); /* use that the unit was loaded for */
    int32_t *served = take(h, uses->n, sizeof(int32_t));   /* last use of what was loaded for it */
    h->last_op = take(h, r->n_loads, sizeof(int32_t));
    if (!held_for || !served || !h->last_op) return false;
    for (int32_t i = 0; i < uses->n; i++)
        served[i] = -1;
    for (int32_t i = 0; i < r->n_loads; i++)
        served[r->loads[i].use] = r->loads[i].use;
    for (int32_t i = 0; i < uses->n; i++) {
        const int32_t unit = uses->list[i].unit;
        if (served[i] == i) held_for[unit] = i;
        served[held_for[unit]] = i;
    }
    for (int32_t i = 0; i < r->n_loads; i++) {
        const Load *load = &r->loads[i];
        h->last_op[i] = uses_last(uses, served[load->use], load->from, load->from + load->bytes);
    }
    return sort_loads(h, h->last_op, r->n_loads, &h->by_last_op);
}

/* In host memory units lie whole; each load above is a use. */
static bool find_host_last(Held *h, const Schedule *s, int32_t n_units)
{
    int32_t *load_of = take(h, n_units, sizeof(int32_t)), next = 0;
    h->host_last = take(h, s->host.n_loads, sizeof(int32_t));
    if (!load_of || !h->host_last) return false;
    for (int32_t i = 0; i < s->loads.n_loads; i++) {
        for (; next < s->host.n_loads && s->host.loads[next].need <= i; next++)
            load_of[s->host.loads[next].unit] = next;
        h->host_last[load_of[s->loads.loads[i].unit]] = i;
    }
    return sort_loads(h, h->host_last, s->host.n_loads, &h->by_host_last);
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
    h->n_loads = s->loads.n_loads;
    h->n_host_loads = s->two_tiers ? s->host.n_loads : 0;
    if (!find_device_last(h, &s->loads, uses, n_units)) return false;
    if (s->two_tiers && !find_host_last(h, s, n_units)) return false;
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
