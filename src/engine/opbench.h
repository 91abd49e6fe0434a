/* opbench.h  One operation at a time on the engine's device, outside any plan, to time it.
 *
 *     Run r = opbench_run(b);                          forget the last operation
 *     Tensor x = opbench_tensor(b, &r, SHAPE(64, 512));
 *     op_linear(&r, x, opbench_weight(b, DT_BF16, SHAPE(512, 512)), NULL, ACT_NONE);
 *     opbench_seconds(b, 0.05, &seconds, err);         time it
 *
 * Operands lie one after the other in a slab of fixed size, filled with small finite values. */
#ifndef ENGINE_OPBENCH_H
#define ENGINE_OPBENCH_H

#include "engine/engine.h"
#include "compute/ops.h"
#include "memory/slab.h"

enum { OPBENCH_TENSORS = 32, OPBENCH_WEIGHTS = 4 };

typedef struct OpBench {
    const SnugEngine *engine;
    Slab slab;
    RunHooks hooks;
    size_t used; /* bytes of the slab */
    size_t offset[OPBENCH_TENSORS];
    Scaling scaling[OPBENCH_WEIGHTS]; /* of the weights that have scales */
    Weight weight[OPBENCH_WEIGHTS];
    int n_weights;
    size_t weights_first, weights_end, copies_first; /* of the slab */
    int n_copies, copy;                              /* of the weights, used in turn */
    Op op;                                           /* the operation to time */
    OpPlaces places;
    bool has_op;
    SnugError failure;
} OpBench;

SNUG_MUST_USE SnugStatus opbench_open(OpBench *bench, const SnugEngine *engine, size_t slab_bytes,
                                      SnugError *err);
void opbench_close(OpBench *bench);

/** Begin anew: all tensors and weights are forgotten. */
Run opbench_run(OpBench *bench);
Tensor opbench_tensor(OpBench *bench, Run *r, Shape shape);
/** NULL when there are too many. */
const Weight *opbench_weight(OpBench *bench, DType dtype, Shape shape);

/** From now on each call finds its weights elsewhere, in as much of the slab as caches hold or as is
 *  left: in a request they come from memory. After the operation was given to the run. */
void opbench_rotate_weights(OpBench *bench);
/** Seconds of the last operation given to the run: the lower quartile of at least five calls and
 *  `least_seconds`; 0: of one call. The run's own failures are reported here: SNUG_ERR_MEMORY when the slab is too
 *  small. */
SNUG_MUST_USE SnugStatus opbench_seconds(OpBench *bench, double least_seconds, double *out,
                                         SnugError *err);
/** Compute the operation once; failures as opbench_seconds. */
SNUG_MUST_USE SnugStatus opbench_once(OpBench *bench, SnugError *err);
/** The operation as a trace would record it, for profile_op_seconds. */
TraceOp opbench_row(const OpBench *bench);
/** Bytes of the slab that the present operands and workspace take. */
size_t opbench_bytes(const OpBench *bench);

#endif
