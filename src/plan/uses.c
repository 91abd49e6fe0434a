/* uses.c  Segments repeat their templates, so runs are found by walking operations once a segment. */
#include "plan/uses.h"

#include <string.h>

/* Open uses: an operation may name two units, and each run goes on by itself. */
typedef struct Walk {
    Uses *out;
    const Trace *trace;
    int32_t open[OP_MAX_WEIGHTS]; /* uses that the operation before belonged to, -1 */
    int32_t *first_part;          /* [n_templates] into out->parts, -1: not made yet */
    int32_t *n_parts;             /* [n_templates] */
} Walk;

/* ---- parts of the one unit of a template ------------------------------------------------------- */

enum { MAX_WEIGHTS = 512, LEAST_SHARE = 32 };

static int note_weight(UnitPart *at, int n, size_t from, int32_t op)
{
    int i = n;
    while (i > 0 && at[i - 1].from > from)
        i--;
    if (i > 0 && at[i - 1].from == from) {
        at[i - 1].last = op;
        return n;
    }
    if (n == MAX_WEIGHTS) return n + 1;
    memmove(at + i + 1, at + i, (size_t)(n - i) * sizeof *at);
    at[i] = (UnitPart){ from, op, op };
    return n + 1;
}

/* Small neighbours become one part: a load of a few bytes costs more than it hides. */
static int32_t join_small(const UnitPart *at, int n, UnitPart *out)
{
    int32_t parts = 0;
    const size_t least = at[n - 1].from / LEAST_SHARE;
    for (int i = 0; i < n; i++) {
        UnitPart *before = parts ? &out[parts - 1] : NULL;
        if (before && (at[i].from - before->from < least || parts == UNIT_MAX_PARTS)) {
            if (at[i].first < before->first) before->first = at[i].first;
            if (at[i].last > before->last) before->last = at[i].last;
        } else
            out[parts++] = at[i];
    }
    out[0].from = 0;
    return parts;
}

static void make_parts(Walk *w, int32_t template_id)
{
    const Trace *t = w->trace;
    const TraceTemplate *m = &t->templates[template_id];
    UnitPart at[MAX_WEIGHTS];
    int n = 0;
    for (int32_t i = 0; i < m->n_ops && n <= MAX_WEIGHTS; i++)
        for (int k = 0; k < t->ops[m->first_op + i].n_units && n <= MAX_WEIGHTS; k++)
            n = note_weight(at, n, t->ops[m->first_op + i].unit_from[k], i);
    w->first_part[template_id] = w->out->n_parts;
    if (n < 2 || n > MAX_WEIGHTS) return;
    w->n_parts[template_id] = join_small(at, n, w->out->parts + w->out->n_parts);
    w->out->n_parts += w->n_parts[template_id];
}

/* ---- uses -------------------------------------------------------------------------------------- */

static void begin_use(Walk *w, const TraceSegment *s, int32_t unit, int32_t op)
{
    UnitUse *use = &w->out->list[w->out->n++];
    *use =
        (UnitUse){ .unit = unit, .first = op, .last = op, .next = INT32_MAX, .base = s->first_op };
    if (trace_template(w->trace, s)->n_units != 1) return;
    if (w->first_part[s->template_id] < 0) make_parts(w, s->template_id);
    use->first_part = w->first_part[s->template_id];
    use->n_parts = w->n_parts[s->template_id];
}

static void use_unit(Walk *w, const TraceSegment *s, int32_t unit, int32_t op,
                     int32_t now[OP_MAX_WEIGHTS], int k)
{
    for (int i = 0; i < OP_MAX_WEIGHTS; i++) {
        if (w->open[i] < 0 || w->out->list[w->open[i]].unit != unit) continue;
        UnitUse *use = &w->out->list[w->open[i]];
        use->last = op;
        if (use->first < s->first_op) use->n_parts = 0; /* parts hold for one segment */
        now[k] = w->open[i];
        return;
    }
    for (int i = 0; i < k; i++)
        if (now[i] >= 0 && w->out->list[now[i]].unit == unit) return;
    now[k] = w->out->n;
    begin_use(w, s, unit, op);
}

static void walk_segment(Walk *w, const TraceSegment *s)
{
    const Trace *t = w->trace;
    const TraceTemplate *m = trace_template(t, s);
    for (int32_t i = 0; i < m->n_ops; i++) {
        const TraceOp *op = &t->ops[m->first_op + i];
        if (!op->n_units) continue; /* activations between two uses do not end a run */
        int32_t now[OP_MAX_WEIGHTS];
        for (int k = 0; k < OP_MAX_WEIGHTS; k++)
            now[k] = -1;
        for (int k = 0; k < op->n_units; k++)
            use_unit(w, s, t->units[s->first_unit + op->unit[k]], s->first_op + i, now, k);
        for (int k = 0; k < OP_MAX_WEIGHTS; k++)
            w->open[k] = now[k];
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

static bool take_tables(Uses *out, const Trace *t, Walk *w)
{
    const size_t stages = (size_t)t->n_stages + 1, templates = (size_t)t->n_templates + 1;
    out->list = heap_take(t->heap, (size_t)most_uses(t) * sizeof *out->list, "planning");
    out->parts = heap_take(t->heap, templates * UNIT_MAX_PARTS * sizeof *out->parts, "planning");
    out->stage_first = heap_take(t->heap, stages * sizeof *out->stage_first, "planning");
    out->stage_begin = heap_take(t->heap, stages * sizeof *out->stage_begin, "planning");
    w->first_part = heap_take(t->heap, templates * sizeof *w->first_part, "planning");
    w->n_parts = heap_take(t->heap, templates * sizeof *w->n_parts, "planning");
    for (int32_t i = 0; w->first_part && i < t->n_templates; i++)
        w->first_part[i] = -1;
    return out->list && out->parts && out->stage_first && out->stage_begin && w->first_part &&
           w->n_parts;
}

SnugStatus uses_of_trace(Uses *out, const Trace *t, int32_t n_units, SnugError *err)
{
    *out = (Uses){ .heap = t->heap, .n_stages = t->n_stages };
    Walk w = { .out = out, .trace = t };
    const bool good = take_tables(out, t, &w);
    for (int32_t s = 0; good && s < t->n_stages; s++) {
        for (int k = 0; k < OP_MAX_WEIGHTS; k++)
            w.open[k] = -1;
        out->stage_first[s] = out->n;
        out->stage_begin[s] = t->stages[s].first_op;
        for (int32_t i = t->stages[s].first_segment; i < t->stages[s].end_segment; i++)
            walk_segment(&w, &t->segments[i]);
    }
    heap_give(t->heap, w.first_part);
    heap_give(t->heap, w.n_parts);
    if (!good) {
        uses_release(out);
        return error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
    }
    out->stage_first[t->n_stages] = out->n;
    out->stage_begin[t->n_stages] = t->n_ops;
    return uses_link(out, n_units, err);
}

int32_t uses_last(const Uses *uses, int32_t index, size_t begin, size_t end)
{
    const UnitUse *use = &uses->list[index];
    if (!use->n_parts) return use->last;
    const UnitPart *part = uses->parts + use->first_part;
    int32_t last = -1;
    for (int32_t i = 0; i < use->n_parts; i++) {
        const bool after = part[i].from >= end,
                   before = i + 1 < use->n_parts && part[i + 1].from <= begin;
        if (!after && !before && use->base + part[i].last > last) last = use->base + part[i].last;
    }
    return last;
}

void uses_release(Uses *uses)
{
    heap_give(uses->heap, uses->list);
    heap_give(uses->heap, uses->parts);
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
