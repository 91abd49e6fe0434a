/* run.c  Sticky errors, and the one door every operation goes through. */
#include "compute/run.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const KIND_NAMES[OP_COUNT] = {
#define OP(kind, name) [OP_##kind] = #name,
#include "compute/ops.def"
#undef OP
};

const char *op_kind_name(OpKind kind)
{
    return KIND_NAMES[kind];
}

bool run_ok(Run *r)
{
    if (r->status != SNUG_OK) return false;
    if (r->cancel && atomic_load_explicit(r->cancel, memory_order_relaxed))
        r->status = error_set(r->err, SNUG_ERR_CANCELLED, "cancelled");
    return r->status == SNUG_OK;
}

Tensor run_fail(Run *r, SnugStatus status, const char *format, ...)
{
    if (r->status != SNUG_OK) return NO_TENSOR;
    r->status = status;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->err->text, sizeof r->err->text, format, args);
    va_end(args);
    return NO_TENSOR;
}

static SnugStatus execute(Run *r, const Op *op, const OpPlaces *places)
{
    const Device *device = r->device;
    if (op->kind != OP_OUTPUT) return device->execute(device->self, op, places, r->err);
    const void *data = places->in[0];
    if (device->memory) {
        TRY(device->execute(device->self, op, places, r->err));
        data = places->staging;
    }
    OutputTake *take = op->arg.output.take;
    if (take) return take(op->arg.output.context, data, tensor_count(op->in[0]), r->err);
    return r->hooks->output(r->hooks->self, op, data, r->err);
}

Tensor run_op(Run *r, Op *op)
{
    if (!run_ok(r)) return NO_TENSOR;
    for (int i = 0; i < op->n_in; i++)
        if (!tensor_exists(op->in[i]))
            return run_fail(r, SNUG_ERR_INTERNAL, "op %s: input %d is no tensor",
                            op_kind_name(op->kind), i);
    if (op->kind == OP_OUTPUT)
        op->out = NO_TENSOR;
    else if (op->mutates)
        op->out.id = op->in[0].id;
    else if (tensor_bytes(op->out) == SIZE_MAX)
        return run_fail(r, SNUG_ERR_ARG, "op %s: the result is too large to address",
                        op_kind_name(op->kind));
    else
        op->out.id = r->n_tensors++;
    op->workspace_bytes = r->device->workspace_bytes(r->device->self, op);

    OpPlaces places = { 0 };
    SnugStatus status = r->hooks->op(r->hooks->self, op, &places, r->err);
    if (status == SNUG_OK && !r->rehearse) status = execute(r, op, &places);
    if (status != SNUG_OK) {
        r->status = status;
        return NO_TENSOR;
    }
    r->hooks->op_done(r->hooks->self, op);
    return op->out;
}

static void note(Run *r, RunNote kind, const char *text, int index, int count)
{
    SnugStatus status = r->hooks->note(r->hooks->self, kind, text, index, count, r->err);
    if (status != SNUG_OK && r->status == SNUG_OK) r->status = status;
}

void run_phase(Run *r, int phase)
{
    r->phase = phase;
}

void run_stage(Run *r, const char *name)
{
    r->steps_in_loop = 0;
    if (run_ok(r)) note(r, RUN_STAGE, name, r->phase, 0);
}

bool run_step(Run *r, int i, int n)
{
    if (r->sketch_steps && r->steps_in_loop == r->sketch_steps) return false;
    r->steps_in_loop++;
    if (i < n && run_ok(r)) note(r, RUN_STEP, NULL, i, r->rehearse ? n - r->steps_before : n);
    return i < n && run_ok(r);
}

void run_block(Run *r)
{
    if (run_ok(r)) note(r, RUN_BLOCK, NULL, -1, 0);
}

Tensor run_input(Run *r, Shape shape, InputFill *fill, void *context)
{
    Op op = { .kind = OP_INPUT, .in_place = -1 };
    op.out = (Tensor){ .dtype = DT_F32, .shape = shape };
    op.arg.input.fill = fill;
    op.arg.input.context = context;
    return run_op(r, &op);
}

void run_output(Run *r, const char *name, int64_t index, Tensor t)
{
    Op op = { .kind = OP_OUTPUT, .in_place = -1, .n_in = 1, .in = { t } };
    op.arg.output.name = name;
    op.arg.output.index = index;
    (void)run_op(r, &op);
}

void run_take(Run *r, Tensor t, OutputTake *take, void *context)
{
    Op op = { .kind = OP_OUTPUT, .in_place = -1, .n_in = 1, .in = { t } };
    op.arg.output.take = take;
    op.arg.output.context = context;
    (void)run_op(r, &op);
}

void run_tap(Run *r, const char *name, int64_t index, Tensor t)
{
    if (r->taps) run_output(r, name, index, t);
}
