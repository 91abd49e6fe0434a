/* exec.h  Inside the CPU device: one function per operation, and where its workspace goes. */
#ifndef CPU_EXEC_H
#define CPU_EXEC_H

#include "base/size.h"
#include "compute/cpu/device.h"

/** One call: operands, and the rest of its workspace. */
typedef struct Call {
    CpuDevice *cpu;
    const Op *op;
    const OpPlaces *at;
    unsigned char *scratch; /**< next free byte of the workspace, 64-byte aligned */
    SnugError *err;
} Call;

typedef SnugStatus CpuExec(Call *call);
typedef size_t CpuWorkspace(const CpuDevice *cpu, const Op *op);

#define OP(kind, name) CpuExec cpu_exec_##name;
#include "compute/ops.def"
#undef OP

/* Workspaces of the operations that need any. */
CpuWorkspace cpu_space_linear, cpu_space_embed, cpu_space_attention, cpu_space_conv,
    cpu_space_vectors, cpu_space_modulation, cpu_space_rope, cpu_space_group_moments,
    cpu_space_group_norm, cpu_space_resize, cpu_space_window, cpu_space_deform, cpu_space_mean,
    cpu_space_batch_norm, cpu_space_linear_turned;

enum { CPU_ALIGN = 64 };

/** Take bytes of the workspace; the plan gave exactly what cpu_space_* counted. */
void *call_scratch(Call *call, size_t bytes);
/** f32 values of weight i: in place when stored so, else widened into the workspace. */
const float *call_vector(Call *call, int i);
/** Workspace of call_vector. */
size_t call_vector_bytes(const Op *op, int i);
/** Weight i as a matrix [rows, cols]. */
Stored call_matrix(const Call *call, int i, int64_t rows, int64_t cols);
/** Element function of an activation; NULL for none. */
MapRow *call_map(const CpuDevice *cpu, Activation act);

#endif
