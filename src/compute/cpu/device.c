/* device.c  The table from kinds to functions. A new operation is one row of ops.def, one
 * function cpu_exec_<name>, and one line below if it needs workspace. */
#include "compute/cpu/device.h"

#include "compute/cpu/exec.h"
#include "compute/cpu/widen.h"

static CpuExec *const EXEC[OP_COUNT] = {
#define OP(kind, name) [OP_##kind] = cpu_exec_##name,
#include "compute/ops.def"
#undef OP
};

static CpuWorkspace *const SPACE[OP_COUNT] = {
    [OP_LINEAR] = cpu_space_linear,
    [OP_LINEAR_ADD] = cpu_space_linear,
    [OP_LINEAR_TURNED] = cpu_space_linear_turned,
    [OP_EMBED] = cpu_space_embed,
    [OP_ATTENTION] = cpu_space_attention,
    [OP_CONV] = cpu_space_conv,
    [OP_LAYER_NORM] = cpu_space_vectors,
    [OP_RMS_NORM] = cpu_space_vectors,
    [OP_L2_NORM] = cpu_space_vectors,
    [OP_ADD_WEIGHT] = cpu_space_vectors,
    [OP_GROUP_MOMENTS] = cpu_space_group_moments,
    [OP_GROUP_NORM] = cpu_space_group_norm,
    [OP_POSITION_BIAS] = cpu_space_vectors,
    [OP_ROPE] = cpu_space_rope,
    [OP_RESIZE] = cpu_space_resize,
    [OP_WINDOW_ATTENTION] = cpu_space_window,
    [OP_DEFORM_COLUMNS] = cpu_space_deform,
    [OP_MEAN] = cpu_space_mean,
    [OP_BATCH_NORM] = cpu_space_batch_norm,
};

void *call_scratch(Call *call, size_t bytes)
{
    void *taken = call->scratch;
    call->scratch += size_align(bytes, CPU_ALIGN);
    return taken;
}

size_t call_vector_bytes(const Op *op, int i)
{
    const Weight *w = op->weight[i];
    if (i >= op->n_weights || !w || stored_is_f32(w)) return 0;
    return size_align((size_t)shape_count(w->shape) * sizeof(float), CPU_ALIGN);
}

size_t cpu_space_vectors(const CpuDevice *cpu, const Op *op)
{
    (void)cpu;
    return call_vector_bytes(op, 0) + call_vector_bytes(op, 1);
}

const float *call_vector(Call *call, int i)
{
    const Weight *w = i < call->op->n_weights ? call->op->weight[i] : NULL;
    if (!w) return NULL;
    /* of a vector a row is one value */
    if (stored_is_f32(w)) return (const float *)call->at->weight[i] + w->first_row;
    const bool part = w->first_row > 0;
    const int64_t n = shape_count(w->shape), rows = w->shape.rank > 1 || part ? w->shape.dim[0] : 1;
    float *wide = call_scratch(call, (size_t)n * sizeof(float));
    const Stored stored = call_matrix(call, i, rows, rows ? n / rows : 0);
    for (int64_t row = 0; row < rows; row++)
        widen_row(wide + row * stored.cols, &stored, row, 0, stored.cols);
    return wide;
}

Stored call_matrix(const Call *call, int i, int64_t rows, int64_t cols)
{
    const Weight *w = call->op->weight[i];
    const Stored whole = stored_weight(w, call->at->weight[i], rows, cols);
    return w->first_row ? stored_rows(&whole, w->first_row, rows) : whole;
}

MapRow *call_map(const CpuDevice *cpu, Activation act)
{
    switch (act) {
    case ACT_SILU:
        return cpu->kernels.silu;
    case ACT_GELU_TANH:
        return cpu->kernels.gelu_tanh;
    case ACT_GELU_ERF:
        return cpu->kernels.gelu_erf;
    case ACT_EXP:
        return cpu->kernels.exp;
    case ACT_GELU_QUICK:
        return cpu->kernels.gelu_quick;
    case ACT_RELU:
        return cpu->kernels.relu;
    case ACT_SIGMOID:
        return cpu->kernels.sigmoid;
    case ACT_NONE:
    default:
        return NULL;
    }
}

static size_t workspace_bytes(const void *self, const Op *op)
{
    return SPACE[op->kind] ? SPACE[op->kind](self, op) : 0;
}

static SnugStatus execute(void *self, const Op *op, const OpPlaces *places, SnugError *err)
{
    Call call = { .cpu = self, .op = op, .at = places, .scratch = places->workspace, .err = err };
    return EXEC[op->kind](&call);
}

void cpu_device_init(CpuDevice *cpu, Pool *pool, Isa isa)
{
    *cpu = (CpuDevice){ .pool = pool };
    kernels_fill(&cpu->kernels, isa);
}

Device cpu_device_table(CpuDevice *cpu)
{
    return (Device){
        .name = "cpu", .self = cpu, .workspace_bytes = workspace_bytes, .execute = execute
    };
}
