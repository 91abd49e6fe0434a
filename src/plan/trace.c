/* trace.c  Recording: arrays that double; a tensor dies at the last operation that names it. */
#include "plan/trace.h"

#include <stdio.h>
#include <string.h>

enum { TRACE_MAX_OPS = 1 << 26 };

void trace_init(Trace *trace, Heap *heap)
{
    *trace = (Trace){ .heap = heap };
}

void trace_release(Trace *trace)
{
    heap_give(trace->heap, trace->ops);
    heap_give(trace->heap, trace->tensors);
    heap_give(trace->heap, trace->segments);
    heap_give(trace->heap, trace->stages);
    *trace = (Trace){ .heap = trace->heap };
}

void trace_clear(Trace *trace)
{
    trace->n_ops = trace->n_tensors = trace->n_segments = trace->n_stages = 0;
    trace->n_steps = trace->all_steps = 0;
}

/* Room for one more item in a doubling array; false when memory or the limit is reached. */
static bool grow(Heap *heap, void **items, int32_t n, int32_t *max, size_t item_bytes)
{
    if (n < *max) return true;
    if (*max >= TRACE_MAX_OPS) return false;
    int32_t wanted = *max ? 2 * *max : 256;
    void *more = heap_take(heap, (size_t)wanted * item_bytes, "trace");
    if (!more) return false;
    if (n) memcpy(more, *items, (size_t)n * item_bytes);
    heap_give(heap, *items);
    *items = more;
    *max = wanted;
    return true;
}

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory for the plan's trace");
}

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

static void touch(Trace *trace, int32_t tensor, int32_t op)
{
    trace->tensors[tensor].dies = op;
}

static SnugStatus record_tensor(Trace *trace, Tensor t, int32_t op, SnugError *err)
{
    if (!grow(trace->heap, (void **)&trace->tensors, trace->n_tensors, &trace->max_tensors,
              sizeof *trace->tensors))
        return no_memory(err);
    trace->tensors[trace->n_tensors++] =
        (TraceTensor){ .bytes = tensor_bytes(t), .born = op, .dies = op };
    return SNUG_OK;
}

static SnugStatus record_op(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    Trace *trace = self;
    (void)places;
    if (!trace->n_stages)
        return error_set(err, SNUG_ERR_INTERNAL, "an operation before the first stage");
    if (!grow(trace->heap, (void **)&trace->ops, trace->n_ops, &trace->max_ops, sizeof *trace->ops))
        return no_memory(err);
    const int32_t at = trace->n_ops;
    TraceOp *row = &trace->ops[at];
    *row = (TraceOp){ .kind = (uint8_t)op->kind,
                      .n_in = (uint8_t)op->n_in,
                      .in_place = (int8_t)op->in_place,
                      .out = op->out.id,
                      .shapes = trace_op_hash(op),
                      .work = work_of(op),
                      .workspace_bytes = op->workspace_bytes,
                      .flops = op->flops };
    for (int i = 0; i < op->n_in; i++) {
        row->in[i] = op->in[i].id;
        row->bytes += (double)tensor_bytes(op->in[i]);
        touch(trace, op->in[i].id, at);
        const bool whole = tensor_bytes(op->in[i]) == trace->tensors[op->in[i].id].bytes;
        if (i == op->in_place && !whole) row->in_place = -1;
    }
    for (int i = 0; i < op->n_weights; i++) {
        if (!op->weight[i]) continue;
        row->bytes += op->weight[i]->by_row ? 0.0 : (double)op->weight[i]->bytes;
        if (op->weight[i]->unit >= 0) row->unit[row->n_units++] = op->weight[i]->unit;
    }
    trace->n_ops++;
    trace->stages[trace->n_stages - 1].end_op = trace->n_ops;
    if (op->kind == OP_OUTPUT) return SNUG_OK;
    row->bytes += (double)tensor_bytes(op->out);
    return op->mutates ? SNUG_OK : record_tensor(trace, op->out, at, err);
}

static void record_done(void *self, const Op *op)
{
    (void)self;
    (void)op;
}

static SnugStatus record_stage(Trace *trace, const char *name, SnugError *err)
{
    if (!grow(trace->heap, (void **)&trace->stages, trace->n_stages, &trace->max_stages,
              sizeof *trace->stages))
        return no_memory(err);
    TraceStage *stage = &trace->stages[trace->n_stages++];
    *stage = (TraceStage){ .first_op = trace->n_ops, .end_op = trace->n_ops };
    (void)snprintf(stage->name, sizeof stage->name, "%s", name);
    return SNUG_OK;
}

static SnugStatus record_note(void *self, RunNote note, const char *text, int index, int count,
                              SnugError *err)
{
    Trace *trace = self;
    (void)index;
    if (note == RUN_STAGE) TRY(record_stage(trace, text, err));
    if (!trace->n_stages) return error_set(err, SNUG_ERR_INTERNAL, "a step before the first stage");
    if (note == RUN_STEP) {
        trace->stages[trace->n_stages - 1].steps++;
        trace->n_steps++;
        trace->all_steps = count;
    }
    if (!grow(trace->heap, (void **)&trace->segments, trace->n_segments, &trace->max_segments,
              sizeof *trace->segments))
        return no_memory(err);
    trace->segments[trace->n_segments++] =
        (TraceSegment){ .first_op = trace->n_ops, .stage = trace->n_stages - 1 };
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

int32_t trace_stage_of(const Trace *trace, int32_t op)
{
    int32_t s = 0;
    while (s + 1 < trace->n_stages && trace->stages[s + 1].first_op <= op)
        s++;
    return s;
}
