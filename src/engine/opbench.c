/* opbench.c  A rehearsing Run whose hooks keep the last operation; the device then repeats it. */
#include "engine/opbench.h"

#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "base/size.h"

enum { MAX_CALLS = 64, LEAST_CALLS = 5, FILL_BYTES = 1 << 18, CACHE_BYTES = 96 << 20 };

/* ---- operands ------------------------------------------------------------------------------- */

static bool take(OpBench *b, size_t bytes, size_t *offset)
{
    const size_t aligned = size_align(bytes, PLACEMENT_ALIGN);
    if (aligned > b->slab.bytes - b->used) return false;
    *offset = b->used;
    b->used += aligned;
    return true;
}

static void fill_floats(float *to, size_t n)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        to[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
}

/* Bytes 0x30..0x3f: as 8-bit floats, 16-bit scales and integers all finite and far from zero. */
static void fill_bytes(unsigned char *to, size_t n)
{
    uint32_t state = 54321;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        to[i] = (unsigned char)(0x30 + (state >> 28));
    }
}

/* Speed does not depend on the values: one stretch is drawn, the rest repeats it. */
static void fill(DType dtype, unsigned char *to, size_t bytes)
{
    const size_t drawn = bytes < FILL_BYTES ? bytes : FILL_BYTES;
    if (dtype == DT_F32)
        fill_floats((float *)(void *)to, drawn / sizeof(float));
    else
        fill_bytes(to, drawn);
    for (size_t at = drawn; at < bytes; at += drawn)
        memcpy(to + at, to, bytes - at < drawn ? bytes - at : drawn);
}

static SnugStatus too_small(const OpBench *b, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "the operation does not fit %zu MiB",
                     b->slab.bytes >> 20);
}

static SnugStatus keep_op(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    OpBench *b = self;
    (void)places;
    if (op->out.id >= OPBENCH_TENSORS) return too_small(b, err);
    if (!op->mutates && !take(b, tensor_bytes(op->out), &b->offset[op->out.id]))
        return too_small(b, err);
    unsigned char *out = b->slab.base + b->offset[op->out.id];
    if (op->kind == OP_INPUT) {
        fill(DT_F32, out, tensor_bytes(op->out));
        return SNUG_OK;
    }
    size_t workspace;
    if (!take(b, op->workspace_bytes, &workspace)) return too_small(b, err);
    b->op = *op;
    b->places = (OpPlaces){ .out = out, .workspace = b->slab.base + workspace };
    for (int i = 0; i < op->n_in; i++)
        b->places.in[i] =
            b->slab.base + b->offset[op->in[i].id] + (size_t)op->in[i].first * sizeof(float);
    for (int i = 0; i < op->n_weights; i++)
        if (op->weight[i]) b->places.weight[i] = b->slab.base + op->weight[i]->unit_offset;
    b->has_op = true;
    return SNUG_OK;
}

static void op_done(void *self, const Op *op)
{
    (void)self;
    (void)op;
}

SnugStatus opbench_open(OpBench *b, const SnugEngine *engine, size_t slab_bytes, SnugError *err)
{
    *b = (OpBench){ .engine = engine };
    return slab_open(&b->slab, slab_bytes, err);
}

void opbench_close(OpBench *b)
{
    slab_close(&b->slab);
}

Run opbench_run(OpBench *b)
{
    b->used = 0;
    b->n_weights = 0;
    b->weights_first = b->weights_end = 0;
    b->n_copies = b->copy = 0;
    b->has_op = false;
    b->hooks = (RunHooks){ .self = b, .op = keep_op, .op_done = op_done };
    return (Run){
        .device = &b->engine->device, .hooks = &b->hooks, .rehearse = true, .err = &b->failure
    };
}

static void no_fill(void *context, float *to, int64_t count)
{
    (void)context;
    (void)to;
    (void)count;
}

Tensor opbench_tensor(OpBench *b, Run *r, Shape shape)
{
    return run_input(r, shape, no_fill, b);
}

/* Codes of four bits have their scales behind them, as bitsandbytes cuts them. */
static const Scaling *add_scales(Scaling *s, DType dtype, int64_t count, size_t *bytes)
{
    enum { BLOCK = 64 };
    if (dtype != DT_NF4 && dtype != DT_FP4) return NULL;
    *s = (Scaling){ .whole = 1.0f, .block = BLOCK };
    s->absmax_at = size_align(*bytes, SCALING_ALIGN);
    *bytes = s->absmax_at + (size_t)((count + BLOCK - 1) / BLOCK) * sizeof(float);
    return s;
}

const Weight *opbench_weight(OpBench *b, DType dtype, Shape shape)
{
    Weight *w = &b->weight[b->n_weights];
    size_t bytes, offset;
    if (b->n_weights == OPBENCH_WEIGHTS || !dtype_bytes(dtype, shape_count(shape), &bytes))
        return NULL;
    const Scaling *scaling =
        add_scales(&b->scaling[b->n_weights], dtype, shape_count(shape), &bytes);
    if (!take(b, bytes, &offset)) return NULL;
    *w = (Weight){ .name = "weight",
                   .dtype = dtype,
                   .shape = shape,
                   .bytes = bytes,
                   .unit_offset = offset,
                   .scaling = scaling };
    fill(dtype, b->slab.base + offset, bytes);
    if (!b->n_weights) b->weights_first = offset;
    b->weights_end = b->used;
    b->n_weights++;
    return w;
}

void opbench_rotate_weights(OpBench *b)
{
    const size_t bytes = b->weights_end - b->weights_first;
    size_t offset;
    if (!bytes || !b->has_op) return;
    const size_t wanted = CACHE_BYTES / bytes + 1;
    b->n_copies = 1;
    while ((size_t)b->n_copies < wanted && take(b, bytes, &offset)) {
        if (b->n_copies == 1) b->copies_first = offset;
        memcpy(b->slab.base + offset, b->slab.base + b->weights_first, bytes);
        b->n_copies++;
    }
}

/* The next copy's places: the first lies where the weights were made, the others one after another. */
static OpPlaces next_places(OpBench *b)
{
    OpPlaces places = b->places;
    if (b->n_copies < 2) return places;
    b->copy = (b->copy + 1) % b->n_copies;
    if (b->copy == 0) return places;
    const size_t bytes = b->weights_end - b->weights_first;
    const size_t shift = b->copies_first + (size_t)(b->copy - 1) * bytes - b->weights_first;
    for (int i = 0; i < b->op.n_weights; i++)
        if (places.weight[i]) places.weight[i] = (const unsigned char *)places.weight[i] + shift;
    return places;
}

/* ---- time ----------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

SnugStatus opbench_once(OpBench *b, SnugError *err)
{
    const Device *d = &b->engine->device;
    if (b->has_op) {
        const OpPlaces places = next_places(b);
        return d->execute(d->self, &b->op, &places, err);
    }
    if (!b->failure.text[0])
        return error_set(err, SNUG_ERR_MEMORY, "a weight of the operation found no room");
    if (err) *err = b->failure;
    return SNUG_ERR_MEMORY;
}

SnugStatus opbench_seconds(OpBench *b, double least_seconds, double *out, SnugError *err)
{
    const int least = least_seconds > 0 ? LEAST_CALLS : 1;
    double took[MAX_CALLS], spent = 0;
    int n = 0;
    TRY(opbench_once(b, err)); /* touches pages, warms caches */
    while (n < MAX_CALLS && (n < least || spent < least_seconds)) {
        const double begin = now_seconds();
        TRY(opbench_once(b, err));
        took[n] = now_seconds() - begin;
        spent += took[n++];
    }
    qsort(took, (size_t)n, sizeof took[0], by_value);
    *out = took[n / 4] > 1e-9 ? took[n / 4] : 1e-9; /* neighbours disturb upwards only */
    return SNUG_OK;
}

TraceOp opbench_row(const OpBench *b)
{
    const Op *op = &b->op;
    TraceOp row = { .kind = (uint8_t)op->kind, .work = work_of(op), .flops = op->flops };
    for (int i = 0; i < op->n_in; i++)
        row.bytes += (double)tensor_bytes(op->in[i]);
    for (int i = 0; i < op->n_weights; i++)
        if (op->weight[i]) row.bytes += (double)op->weight[i]->bytes;
    row.bytes += (double)tensor_bytes(op->out);
    return row;
}

size_t opbench_bytes(const OpBench *b)
{
    return b->used;
}
