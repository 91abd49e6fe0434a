/* uses.c  Segments repeat their templates, so runs are found by walking operations once a segment. */
#include "plan/uses.h"

#include <string.h>

/* Open uses: an operation may name several units, and each run goes on by itself. */
typedef struct Walk {
    Uses *out;
    int32_t open[OP_MAX_WEIGHTS]; /* uses that the operation before belonged to, -1 */
} Walk;

static void set_none(int32_t uses[OP_MAX_WEIGHTS])
{
    for (int k = 0; k < OP_MAX_WEIGHTS; k++)
        uses[k] = -1;
}

static void use_unit(Walk *w, int32_t unit, int32_t op, int32_t now[OP_MAX_WEIGHTS], int k)
{
    for (int i = 0; i < OP_MAX_WEIGHTS; i++)
        if (w->open[i] >= 0 && w->out->list[w->open[i]].unit == unit) {
            w->out->list[w->open[i]].last = op;
            now[k] = w->open[i];
            return;
        }
    for (int i = 0; i < k; i++)
        if (now[i] >= 0 && w->out->list[now[i]].unit == unit) return;
    now[k] = w->out->n;
    w->out->list[w->out->n++] = (UnitUse){ unit, op, op, INT32_MAX };
}

static void walk_segment(Walk *w, const Trace *t, const TraceSegment *s)
{
    const TraceTemplate *m = trace_template(t, s);
    for (int32_t i = 0; i < m->n_ops; i++) {
        const TraceOp *op = &t->ops[m->first_op + i];
        if (!op->n_units) continue; /* activations between two uses do not end a run */
        int32_t now[OP_MAX_WEIGHTS];
        set_none(now);
        for (int k = 0; k < op->n_units; k++)
            use_unit(w, t->units[s->first_unit + op->unit[k]], s->first_op + i, now, k);
        memcpy(w->open, now, sizeof now);
    }
}

static int64_t most_uses(const Trace *t)
{
    int64_t n = 1;
    for (int32_t s = 0; s < t->n_segments; s++) {
        const TraceTemplate *m = trace_template(t, &t->segments[s]);
        if (m->n_units == 1) {
            n++; /* the common case: a block is a unit */
            continue;
        }
        for (int32_t i = 0; i < m->n_ops; i++)
            n += t->ops[m->first_op + i].n_units;
    }
    return n;
}

SnugStatus uses_of_trace(Uses *out, const Trace *t, int32_t n_units, SnugError *err)
{
    *out = (Uses){ .heap = t->heap, .n_stages = t->n_stages };
    const size_t stages = (size_t)t->n_stages + 1;
    out->list = heap_take(t->heap, (size_t)most_uses(t) * sizeof *out->list, "planning");
    out->stage_first = heap_take(t->heap, stages * sizeof *out->stage_first, "planning");
    out->stage_begin = heap_take(t->heap, stages * sizeof *out->stage_begin, "planning");
    if (!out->list || !out->stage_first || !out->stage_begin) {
        uses_release(out);
        return error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
    }
    Walk w = { .out = out };
    for (int32_t s = 0; s < t->n_stages; s++) {
        set_none(w.open);
        out->stage_first[s] = out->n;
        out->stage_begin[s] = t->stages[s].first_op;
        for (int32_t i = t->stages[s].first_segment; i < t->stages[s].end_segment; i++)
            walk_segment(&w, t, &t->segments[i]);
    }
    out->stage_first[t->n_stages] = out->n;
    out->stage_begin[t->n_stages] = t->n_ops;
    return uses_link(out, n_units, err);
}

void uses_release(Uses *uses)
{
    heap_give(uses->heap, uses->list);
    heap_give(uses->heap, uses->stage_first);
    heap_give(uses->heap, uses->stage_begin);
    *uses = (Uses){ .heap = uses->heap };
}

SnugStatus uses_link(Uses *uses, int32_t n_units, SnugError *err)
{
    int32_t *next = heap_take(uses->heap, ((size_t)n_units + 1) * sizeof *next, "planning");
    if (!next) {
        uses_release(uses);
        return error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
    }
    for (int32_t i = 0; i < n_units; i++)
        next[i] = INT32_MAX;
    for (int32_t i = uses->n; i-- > 0;) {
        uses->list[i].next = next[uses->list[i].unit];
        next[uses->list[i].unit] = i;
    }
    heap_give(uses->heap, next);
    return SNUG_OK;
}
