/* trace.h  What a rehearsal leaves: every operation, every tensor's life, every use of a unit. */
#ifndef PLAN_TRACE_H
#define PLAN_TRACE_H

#include "base/heap.h"
#include "compute/run.h"
#include "plan/work.h"

/** One operation, compact. Times are indices into `ops`. */
typedef struct TraceOp {
    uint8_t kind, n_in, n_units;
    int8_t in_place;
    int32_t in[OP_MAX_IN]; /**< tensor ids */
    int32_t out;           /**< tensor id, -1 none */
    int32_t unit[OP_MAX_WEIGHTS];
    uint64_t shapes; /**< hash of kind, operand shapes and views: run and plan must agree */
    OpWork work;     /**< what its speed depends on */
    size_t workspace_bytes;
    double flops, bytes; /**< bytes: operands and result, read or written once */
} TraceOp;

typedef struct TraceTensor {
    size_t bytes;
    int32_t born, dies; /**< first and last operation that touches it */
} TraceTensor;

/** A stretch of operations: a stage, a step or a repeated block begins it. */
typedef struct TraceSegment {
    int32_t first_op;
    int32_t stage;
} TraceSegment;

typedef struct TraceStage {
    char name[48];
    int32_t first_op, end_op;
    int32_t steps; /**< steps announced inside, 0 none */
} TraceStage;

typedef struct Trace {
    Heap *heap;
    TraceOp *ops;
    TraceTensor *tensors;
    TraceSegment *segments;
    TraceStage *stages;
    int32_t n_steps, all_steps; /**< steps recorded; steps the loops would have in full */
    int32_t n_ops, n_tensors, n_segments, n_stages;
    int32_t max_ops, max_tensors, max_segments, max_stages;
} Trace;

void trace_init(Trace *trace, Heap *heap);
void trace_release(Trace *trace);
/** Forget what was recorded, keep the memory for the next rehearsal. */
void trace_clear(Trace *trace);

/** Hooks that record into `trace`; the hooks borrow it. */
RunHooks trace_recorder(Trace *trace);

/** Hash that a recorded operation carries in `shapes`. */
uint64_t trace_op_hash(const Op *op);
/** Stage of an operation. */
int32_t trace_stage_of(const Trace *trace, int32_t op);

#endif
