/* eager.h  Operations carried out at once, each tensor in a block of its own: for tests of single
 * operations, without a plan. */
#ifndef TESTS_EAGER_H
#define TESTS_EAGER_H

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "compute/cpu/device.h"
#include "compute/ops.h"

enum { EAGER_MAX_TENSORS = 4096, EAGER_MAX_WEIGHTS = 64 };

/** A run over the CPU device. Weights are made by eager_weight. */
typedef struct Eager {
    Run run;
    SnugError err;
    Heap *heap;
    Pool *pool;
    CpuDevice cpu;
    Device device;
    RunHooks hooks;
    float *block[EAGER_MAX_TENSORS];
    void *workspace;
    Weight weight[EAGER_MAX_WEIGHTS];
    const float *weight_data[EAGER_MAX_WEIGHTS];
    int n_weights;
} Eager;

static inline SnugStatus eager_op(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    Eager *e = self;
    (void)err;
    for (int i = 0; i < op->n_in; i++)
        places->in[i] = e->block[op->in[i].id] + op->in[i].first;
    for (int i = 0; i < op->n_weights; i++)
        for (int k = 0; k < e->n_weights; k++)
            if (op->weight[i] == &e->weight[k]) places->weight[i] = e->weight_data[k];
    if (op->out.id >= 0) {
        CHECK(op->out.id < EAGER_MAX_TENSORS);
        if (!e->block[op->out.id]) {
            e->block[op->out.id] = heap_take(e->heap, tensor_bytes(op->out), "test");
            memset(e->block[op->out.id], 0xff, tensor_bytes(op->out)); /* NaN */
        }
        places->out = e->block[op->out.id] + op->out.first;
    }
    e->workspace = heap_take(e->heap, op->workspace_bytes, "test");
    places->workspace = e->workspace;
    return SNUG_OK;
}

static inline void eager_op_done(void *self, const Op *op)
{
    Eager *e = self;
    (void)op;
    heap_give(e->heap, e->workspace);
}

static inline SnugStatus eager_note(void *self, RunNote note, const char *text, int index,
                                    int count, SnugError *err)
{
    (void)self, (void)note, (void)text, (void)index, (void)count, (void)err;
    return SNUG_OK;
}

static inline void eager_open(Eager *e, Isa isa, int threads)
{
    memset(e, 0, sizeof *e);
    e->heap = heap_create();
    e->pool = pool_create(e->heap, threads);
    cpu_device_init(&e->cpu, e->pool, isa);
    e->device = cpu_device_table(&e->cpu);
    e->hooks =
        (RunHooks){ .self = e, .op = eager_op, .op_done = eager_op_done, .note = eager_note };
    e->run = (Run){ .device = &e->device, .hooks = &e->hooks, .err = &e->err };
}

static inline void eager_close(Eager *e)
{
    if (e->run.status != SNUG_OK) fail_msg("%s", e->err.text);
    for (int i = 0; i < EAGER_MAX_TENSORS; i++)
        heap_give(e->heap, e->block[i]);
    pool_free(e->pool);
    CHECK_INT(heap_now_bytes(e->heap), 0);
    heap_free(e->heap);
}

static inline void eager_fill(void *context, float *to, int64_t count)
{
    memcpy(to, context, (size_t)count * sizeof *to);
}
/** `data` stays the caller's; it is copied now. */
static inline Tensor eager_input(Eager *e, const float *data, Shape shape)
{
    return run_input(&e->run, shape, eager_fill, (void *)(uintptr_t)data);
}
/** An f32 weight over the caller's data. */
static inline const Weight *eager_weight(Eager *e, const float *data, Shape shape)
{
    CHECK(e->n_weights < EAGER_MAX_WEIGHTS);
    Weight *w = &e->weight[e->n_weights];
    *w = (Weight){ .name = "test", .dtype = DT_F32, .shape = shape };
    w->bytes = (size_t)shape_count(shape) * sizeof(float);
    e->weight_data[e->n_weights++] = data;
    return w;
}
/** Values of a tensor, until eager_close. */
static inline const float *eager_data(Eager *e, Tensor t)
{
    if (e->run.status != SNUG_OK) fail_msg("%s", e->err.text);
    return e->block[t.id] + t.first;
}

#endif
