/* trace.c  Recording: a segment is written as a new template; when it ends and an older template is
 * the same, the new one is dropped and the segment points at the older.
 *
 * Invariant: while a segment is open, its template is the last of the tables. */
#include "plan/trace.h"

#include <stdio.h>
#include <string.h>

enum { TRACE_MAX = 1 << 26 };

void trace_init(Trace *trace, Heap *heap)
{
    *trace = (Trace){ .heap = heap };
}

void trace_release(Trace *t)
{
    void *const tables[] = { t->ops,           t->tensors, t->before_end,    t->templates,
                             t->segments,      t->before,  t->units,         t->carried,
                             t->carried_slots, t->stages,  t->template_slots };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        heap_give(t->heap, tables[i]);
    *t = (Trace){ .heap = t->heap };
}

void trace_clear(Trace *t)
{
    t->n_ops = t->n_tensors = t->n_segments = t->n_stages = t->n_carried = t->n_templates = 0;
    t->n_template_ops = t->n_template_tensors = t->n_before_end = t->n_before = t->n_units = 0;
    t->n_steps = t->all_steps = 0;
    t->flops = 0;
    t->open = false;
    if (t->carried_slots)
        memset(t->carried_slots, 0, (size_t)t->n_carried_slots * sizeof *t->carried_slots);
    if (t->template_slots)
        memset(t->template_slots, 0, (size_t)t->n_template_slots * sizeof *t->template_slots);
}

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory for the plan's trace");
}

/* Room for one more item in a doubling array; false when memory or the limit is reached. */
static bool grow(Heap *heap, void **items, int32_t n, int32_t *max, size_t item_bytes)
{
    if (n < *max) return true;
    if (*max >= TRACE_MAX) return false;
    const int32_t wanted = *max ? 2 * *max : 64;
    void *more = heap_take(heap, (size_t)wanted * item_bytes, "trace");
    if (!more) return false;
    if (n) memcpy(more, *items, (size_t)n * item_bytes);
    heap_give(heap, *items);
    *items = more;
    *max = wanted;
    return true;
}

#define GROW(t, table, n, max)                                                                     \
    grow((t)->heap, (void **)&(t)->table, (t)->n, &(t)->max, sizeof *(t)->table)

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15u;
    *hash ^= *hash >> 29;
}

static void mix_tensor(uint64_t *hash, Tensor t)
{
    mix(hash, (uint64_t)t.shape.rank);
    for (int i = 0; i < t.shape.rank; i++)
        mix(hash, (uint64_t)t.shape.dim[i]);
    mix(hash, (uint64_t)t.first);
}

uint64_t trace_op_hash(const Op *op)
{
    uint64_t hash = 0x51ed270b;
    mix(&hash, (uint64_t)op->kind);
    for (int i = 0; i < op->n_in; i++)
        mix_tensor(&hash, op->in[i]);
    if (op->kind != OP_OUTPUT) mix_tensor(&hash, op->out);
    return hash;
}

/* ---- a hash table of indices, open addressing, at most half full ------------------------------ */

static uint32_t scatter(uint64_t key)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32);
}

static uint64_t carried_key(const Trace *t, int32_t index)
{
    return (uint64_t)t->carried[index].id;
}

static uint64_t template_key(const Trace *t, int32_t index)
{
    return t->templates[index].hash;
}

typedef uint64_t KeyOf(const Trace *t, int32_t index);

static void put_slot(const Trace *t, int32_t *slots, int32_t n_slots, KeyOf *key_of, int32_t index)
{
    uint32_t at = scatter(key_of(t, index)) & (uint32_t)(n_slots - 1);
    while (slots[at])
        at = (at + 1) & (uint32_t)(n_slots - 1);
    slots[at] = index + 1;
}

/* Note item `n` (of n + 1) in the table; false when memory is out. */
static bool add_slot(Trace *t, int32_t **slots, int32_t *n_slots, KeyOf *key_of, int32_t n)
{
    if (2 * (n + 1) > *n_slots) {
        const int32_t wanted = *n_slots ? 2 * *n_slots : 128;
        int32_t *more = heap_take(t->heap, (size_t)wanted * sizeof *more, "trace");
        if (!more) return false;
        for (int32_t i = 0; i < n; i++)
            put_slot(t, more, wanted, key_of, i);
        heap_give(t->heap, *slots);
        *slots = more;
        *n_slots = wanted;
    }
    put_slot(t, *slots, *n_slots, key_of, n);
    return true;
}

/* ---- operands ------------------------------------------------------------------------------- */

static TraceSegment *open_segment(Trace *t)
{
    return &t->segments[t->n_segments - 1];
}

static TraceTemplate *open_template(Trace *t)
{
    return &t->templates[t->n_templates - 1];
}

static TraceCarried *find_carried(Trace *t, int32_t id)
{
    if (!t->n_carried) return NULL;
    const uint32_t mask = (uint32_t)(t->n_carried_slots - 1);
    for (uint32_t at = scatter((uint64_t)id) & mask; t->carried_slots[at]; at = (at + 1) & mask)
        if (t->carried[t->carried_slots[at] - 1].id == id)
            return &t->carried[t->carried_slots[at] - 1];
    return NULL;
}

int32_t trace_segment_of_tensor(const Trace *t, int32_t id)
{
    int32_t a = 0, b = t->n_segments; /* the last segment with first_tensor <= id */
    while (b - a > 1) {
        const int32_t mid = a + (b - a) / 2;
        if (t->segments[mid].first_tensor <= id)
            a = mid;
        else
            b = mid;
    }
    return a;
}

static const TraceTensor *find_tensor(const Trace *t, int32_t id, int32_t *born)
{
    const TraceSegment *s = &t->segments[trace_segment_of_tensor(t, id)];
    const TraceTensor *tensor =
        &t->tensors[trace_template(t, s)->first_tensor + (id - s->first_tensor)];
    *born = s->first_op + tensor->born;
    return tensor;
}

/* The carried tensor of that id, made at its first use from another segment. NULL: no memory. */
static TraceCarried *carry(Trace *t, int32_t id)
{
    TraceCarried *known = find_carried(t, id);
    if (known) return known;
    if (!GROW(t, carried, n_carried, max_carried)) return NULL;
    int32_t born;
    const TraceTensor *tensor = find_tensor(t, id, &born);
    t->carried[t->n_carried] =
        (TraceCarried){ .id = id, .born = born, .bytes = tensor->bytes, .seen_segment = -1 };
    if (!add_slot(t, &t->carried_slots, &t->n_carried_slots, carried_key, t->n_carried))
        return NULL;
    return &t->carried[t->n_carried++];
}

/* A use of tensor `id` by the next operation. Gives its reference and whole size. */
static bool use_tensor(Trace *t, int32_t id, TraceRef *ref, size_t *bytes)
{
    const TraceSegment *s = open_segment(t);
    TraceTemplate *m = open_template(t);
    if (id >= s->first_tensor) {
        *ref = id - s->first_tensor;
        TraceTensor *tensor = &t->tensors[m->first_tensor + *ref];
        tensor->dies = m->n_ops;
        *bytes = tensor->bytes;
        return true;
    }
    TraceCarried *c = carry(t, id);
    if (!c) return false;
    if (c->seen_segment != t->n_segments - 1) {
        if (!GROW(t, before, n_before, max_before) ||
            !GROW(t, before_end, n_before_end, max_before_end))
            return false;
        c->seen_segment = t->n_segments - 1;
        c->seen_entry = m->n_before++;
        t->before[t->n_before++] = (int32_t)(c - t->carried);
        t->n_before_end++;
    }
    *ref = -1 - c->seen_entry;
    t->before_end[m->first_before_end + c->seen_entry] = m->n_ops;
    c->dies = t->n_ops;
    *bytes = c->bytes;
    return true;
}

static bool use_unit(Trace *t, int32_t unit, int32_t *entry)
{
    const TraceSegment *s = open_segment(t);
    TraceTemplate *m = open_template(t);
    for (*entry = 0; *entry < m->n_units; ++*entry)
        if (t->units[s->first_unit + *entry] == unit) return true;
    if (!GROW(t, units, n_units, max_units)) return false;
    t->units[t->n_units++] = unit;
    m->n_units++;
    return true;
}

/* ---- operations ----------------------------------------------------------------------------- */

static bool record_inputs(Trace *t, const Op *op, TraceOp *row, size_t in_place_bytes)
{
    for (int i = 0; i < op->n_in; i++) {
        size_t whole = 0;
        if (!use_tensor(t, op->in[i].id, &row->in[i], &whole)) return false;
        const size_t seen = tensor_bytes(op->in[i]);
        row->bytes += (double)seen;
        if (i == op->in_place && (seen != whole || whole != in_place_bytes)) row->in_place = -1;
    }
    for (int i = 0; i < op->n_weights; i++) {
        if (!op->weight[i]) continue;
        row->bytes += op->weight[i]->by_row ? 0.0 : (double)op->weight[i]->bytes;
        if (op->weight[i]->unit < 0) continue;
        if (!use_unit(t, op->weight[i]->unit, &row->unit[row->n_units++])) return false;
    }
    return true;
}

static bool record_out(Trace *t, const Op *op, TraceOp *row)
{
    TraceTemplate *m = open_template(t);
    row->out = TRACE_NO_OUT;
    if (op->kind == OP_OUTPUT) return true;
    row->bytes += (double)tensor_bytes(op->out);
    if (op->mutates) {
        row->out = row->in[0];
        return true;
    }
    if (!GROW(t, tensors, n_template_tensors, max_tensors)) return false;
    row->out = m->n_tensors++;
    t->tensors[t->n_template_tensors++] =
        (TraceTensor){ .bytes = tensor_bytes(op->out), .born = m->n_ops, .dies = m->n_ops };
    t->n_tensors++;
    return true;
}

static SnugStatus open_new(Trace *t, SnugError *err);

static SnugStatus record_op(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    Trace *t = self;
    (void)places;
    if (!t->n_stages)
        return error_set(err, SNUG_ERR_INTERNAL, "an operation before the first stage");
    if (!t->open) TRY(open_new(t, err));
    if (!GROW(t, ops, n_template_ops, max_ops)) return no_memory(err);
    TraceOp *row = &t->ops[t->n_template_ops];
    memset(row, 0, sizeof *row); /* templates are compared byte by byte */
    row->kind = (uint8_t)op->kind;
    row->n_in = (uint8_t)op->n_in;
    row->in_place = (int8_t)(op->mutates ? -1 : op->in_place);
    row->mutates = op->mutates;
    row->shapes = trace_op_hash(op);
    const OpWork work = work_of(op);
    row->work.class = work.class; /* field by field: padding counts in comparisons */
    row->work.dtype = work.dtype;
    row->work.size = work.size;
    row->workspace_bytes = op->workspace_bytes;
    row->flops = op->flops;
    const size_t out_bytes = op->kind == OP_OUTPUT ? 0 : tensor_bytes(op->out);
    if (!record_inputs(t, op, row, out_bytes) || !record_out(t, op, row)) return no_memory(err);
    t->n_template_ops++;
    open_template(t)->n_ops++;
    t->n_ops++;
    t->flops += op->flops;
    return SNUG_OK;
}

static void record_done(void *self, const Op *op)
{
    (void)self;
    (void)op;
}

/* ---- segments ------------------------------------------------------------------------------- */

static SnugStatus open_new(Trace *t, SnugError *err)
{
    if (!GROW(t, templates, n_templates, max_templates) ||
        !GROW(t, segments, n_segments, max_segments))
        return no_memory(err);
    t->templates[t->n_templates] = (TraceTemplate){ .first_op = t->n_template_ops,
                                                    .first_tensor = t->n_template_tensors,
                                                    .first_before_end = t->n_before_end };
    t->segments[t->n_segments] = (TraceSegment){ .template_id = t->n_templates,
                                                 .stage = t->n_stages - 1,
                                                 .first_op = t->n_ops,
                                                 .first_tensor = t->n_tensors,
                                                 .first_before = t->n_before,
                                                 .first_unit = t->n_units };
    t->n_templates++;
    t->n_segments++;
    t->open = true;
    return SNUG_OK;
}

static uint64_t template_hash(const Trace *t, const TraceTemplate *m)
{
    uint64_t hash = (uint64_t)m->n_ops;
    for (int32_t i = 0; i < m->n_ops; i++) {
        const TraceOp *op = &t->ops[m->first_op + i];
        mix(&hash, op->shapes);
        mix(&hash, op->workspace_bytes);
        mix(&hash, (uint64_t)(uint32_t)op->out);
        for (int k = 0; k < op->n_in; k++)
            mix(&hash, (uint64_t)(uint32_t)op->in[k]);
    }
    return hash;
}

static bool same_items(const void *a, const void *b, int32_t n, size_t item_bytes)
{
    return n == 0 || memcmp(a, b, (size_t)n * item_bytes) == 0;
}

static bool same_template(const Trace *t, const TraceTemplate *a, const TraceTemplate *b)
{
    return a->hash == b->hash && a->n_ops == b->n_ops && a->n_tensors == b->n_tensors &&
           a->n_before == b->n_before && a->n_units == b->n_units &&
           same_items(&t->ops[a->first_op], &t->ops[b->first_op], a->n_ops, sizeof *t->ops) &&
           same_items(&t->tensors[a->first_tensor], &t->tensors[b->first_tensor], a->n_tensors,
                      sizeof *t->tensors);
}

static int32_t find_template(const Trace *t, const TraceTemplate *m)
{
    if (!t->n_template_slots) return -1;
    const uint32_t mask = (uint32_t)(t->n_template_slots - 1);
    for (uint32_t at = scatter(m->hash) & mask; t->template_slots[at]; at = (at + 1) & mask)
        if (same_template(t, m, &t->templates[t->template_slots[at] - 1]))
            return t->template_slots[at] - 1;
    return -1;
}

static SnugStatus close_segment(Trace *t, SnugError *err)
{
    if (!t->open) return SNUG_OK;
    t->open = false;
    TraceTemplate *m = open_template(t);
    m->hash = template_hash(t, m);
    TraceStage *stage = &t->stages[open_segment(t)->stage];
    stage->end_op = t->n_ops;
    stage->end_segment = t->n_segments;
    const int32_t known = find_template(t, m);
    if (known < 0) {
        if (add_slot(t, &t->template_slots, &t->n_template_slots, template_key, t->n_templates - 1))
            return SNUG_OK;
        return no_memory(err);
    }
    open_segment(t)->template_id = known;
    t->n_template_ops = m->first_op;
    t->n_template_tensors = m->first_tensor;
    t->n_before_end = m->first_before_end;
    t->n_templates--;
    return SNUG_OK;
}

SnugStatus trace_end(Trace *trace, SnugError *err)
{
    return close_segment(trace, err);
}

static SnugStatus record_stage(Trace *t, const char *name, int phase, SnugError *err)
{
    if (!GROW(t, stages, n_stages, max_stages)) return no_memory(err);
    TraceStage *stage = &t->stages[t->n_stages++];
    *stage = (TraceStage){ .first_op = t->n_ops,
                           .end_op = t->n_ops,
                           .first_segment = t->n_segments,
                           .end_segment = t->n_segments,
                           .phase = phase };
    (void)snprintf(stage->name, sizeof stage->name, "%s", name);
    return SNUG_OK;
}

static SnugStatus record_note(void *self, RunNote note, const char *text, int index, int count,
                              SnugError *err)
{
    Trace *t = self;
    TRY(close_segment(t, err));
    if (note == RUN_STAGE) TRY(record_stage(t, text, index, err));
    if (!t->n_stages) return error_set(err, SNUG_ERR_INTERNAL, "a step before the first stage");
    if (note == RUN_STEP) {
        t->stages[t->n_stages - 1].steps++;
        t->n_steps++;
        t->all_steps = count;
    }
    return SNUG_OK;
}

static SnugStatus no_output(void *self, const Op *op, const void *data, SnugError *err)
{
    (void)self;
    (void)op;
    (void)data;
    return error_set(err, SNUG_ERR_INTERNAL, "a rehearsal has no output");
}

RunHooks trace_recorder(Trace *trace)
{
    return (RunHooks){ .self = trace,
                       .op = record_op,
                       .op_done = record_done,
                       .note = record_note,
                       .output = no_output };
}

/* ---- looking things up ---------------------------------------------------------------------- */

int32_t trace_segment_of(const Trace *t, int32_t op)
{
    int32_t a = 0, b = t->n_segments;
    while (b - a > 1) {
        const int32_t mid = a + (b - a) / 2;
        if (t->segments[mid].first_op <= op)
            a = mid;
        else
            b = mid;
    }
    return a;
}

int32_t trace_stage_of(const Trace *t, int32_t op)
{
    return t->n_segments ? t->segments[trace_segment_of(t, op)].stage : 0;
}

const TraceOp *trace_op(const Trace *t, int32_t op)
{
    const TraceSegment *s = &t->segments[trace_segment_of(t, op)];
    return &t->ops[trace_template(t, s)->first_op + (op - s->first_op)];
}
