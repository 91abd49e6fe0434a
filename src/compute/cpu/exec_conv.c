/* exec_conv.c  Convolution on the CPU. */
#include "compute/cpu/conv.h"
#include "compute/cpu/exec.h"

static ConvShape shape_of(const Op *op)
{
    const Shape x = op->in[0].shape;
    return (ConvShape){ .frames = x.dim[0],
                        .h = x.dim[1],
                        .w = x.dim[2],
                        .cin = x.dim[3],
                        .cout = op->out.shape.dim[3],
                        .g = op->arg.conv };
}

size_t cpu_space_conv(const CpuDevice *cpu, const Op *op)
{
    const ConvShape shape = shape_of(op);
    return call_vector_bytes(op, 1) + cpu_conv_workspace_bytes(&shape, pool_threads(cpu->pool));
}

SnugStatus cpu_exec_conv(Call *c)
{
    const Op *op = c->op;
    const Weight *w = op->weight[0];
    const float *past[OP_MAX_IN];
    const int n_held = op->n_in - 1 - (op->arg.conv.residual ? 1 : 0);
    for (int i = 0; i < n_held; i++)
        past[i] = c->at->in[i + 1];
    ConvArgs a = { .shape = shape_of(op),
                   .x = c->at->in[0],
                   .past = past,
                   .n_held = n_held,
                   .w = call_matrix(c, 0, w->shape.dim[0], shape_count(w->shape) / w->shape.dim[0]),
                   .y = c->at->out };
    if (op->arg.conv.residual) a.residual = c->at->in[op->n_in - 1];
    a.bias = call_vector(c, 1);
    cpu_conv(&c->cpu->kernels, c->cpu->pool, &a,
             call_scratch(c, cpu_conv_workspace_bytes(&a.shape, pool_threads(c->cpu->pool))));
    return SNUG_OK;
}
