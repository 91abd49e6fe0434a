/* trace.h  What a rehearsal leaves: every operation, every tensor's life, every use of a unit.
 *
 * A request is long (steps x blocks x chunks) but repeats itself, so the trace is a list of
 * segments, and segments with the same operations share one template. A segment begins where the
 * recipe says so: a stage, a step, a block. Inside a template, operands are references: to a tensor
 * born in the same segment, or to an entry of the segment's own list of tensors from before; units
 * of weights likewise. So forty steps of forty blocks cost forty times forty short lists.
 *
 * Times are indices of operations, counted over the whole request. */
#ifndef PLAN_TRACE_H
#define PLAN_TRACE_H

#include "base/heap.h"
#include "compute/run.h"
#include "plan/work.h"

/** Operand of a recorded operation: n >= 0 is the n-th tensor born in the segment, n < 0 the
 *  (-1 - n)-th entry of the segment's list of tensors from before. */
typedef int32_t TraceRef;
enum { TRACE_NO_OUT = INT32_MAX };

/** One operation of a template, compact. */
typedef struct TraceOp {
    uint8_t kind, n_in, n_units;
    int8_t in_place; /**< input whose whole place the output may take, -1 none */
    bool mutates;    /**< out is in[0], updated */
    TraceRef in[OP_MAX_IN];
    TraceRef out;                 /**< TRACE_NO_OUT: none */
    int32_t unit[OP_MAX_WEIGHTS]; /**< entries of the segment's list of units */
    uint64_t shapes; /**< hash of kind, operand shapes and views: run and plan must agree */
    OpWork work;     /**< what its speed depends on */
    size_t workspace_bytes;
    double flops, bytes; /**< bytes: operands and result, read or written once */
} TraceOp;

/** A tensor born inside a template; times relative to the segment's first operation. */
typedef struct TraceTensor {
    size_t bytes;
    int32_t born, dies; /**< dies: last operation of the same segment that touches it */
} TraceTensor;

/** Operations that segments share. */
typedef struct TraceTemplate {
    int32_t first_op, n_ops;         /**< into Trace.ops */
    int32_t first_tensor, n_tensors; /**< into Trace.tensors */
    int32_t n_before, n_units;       /**< lengths of the segment's lists */
    int32_t first_before_end;        /**< into Trace.before_end: last operation per entry */
    uint64_t hash;
} TraceTemplate;

/** A stretch of operations of the request. */
typedef struct TraceSegment {
    int32_t template_id, stage;
    int32_t first_op;     /**< of the request */
    int32_t first_tensor; /**< id of its first tensor */
    int32_t first_before; /**< into Trace.before */
    int32_t first_unit;   /**< into Trace.units */
} TraceSegment;

/** A tensor that is used in later segments than the one of its birth. */
typedef struct TraceCarried {
    int32_t id;
    int32_t born, dies; /**< operations of the request */
    size_t bytes;
    int32_t seen_segment, seen_entry; /**< while recording */
} TraceCarried;

typedef struct TraceStage {
    char name[48];
    int32_t first_segment, end_segment;
    int32_t first_op, end_op;
    int32_t steps; /**< steps announced inside, 0 none */
    int phase;     /**< of the request, 0: it has none */
} TraceStage;

/** Arrays double; fields beyond the tables are private to trace.c. */
typedef struct Trace {
    Heap *heap;
    TraceOp *ops;         /* of templates */
    TraceTensor *tensors; /* of templates */
    int32_t *before_end;  /* of templates */
    TraceTemplate *templates;
    TraceSegment *segments;
    TraceCarried *carried; /* in order of first use from another segment */
    int32_t *before;       /* of segments: indices into carried */
    int32_t *units;        /* of segments */
    TraceStage *stages;
    int32_t n_ops, n_tensors, n_segments, n_stages, n_carried; /**< of the request */
    int32_t n_templates;
    int32_t n_steps, all_steps; /**< steps recorded; steps the loops would have in full */
    double flops;
    int32_t n_template_ops, n_template_tensors, n_before_end, n_before, n_units;
    int32_t max_ops, max_tensors, max_before_end, max_templates, max_segments, max_carried,
        max_before, max_units, max_stages;
    int32_t *carried_slots; /* hash table: index into carried + 1, by id */
    int32_t n_carried_slots;
    int32_t *template_slots; /* hash table: template + 1, by hash */
    int32_t n_template_slots;
    bool open; /* a segment is being recorded; it is the last of `segments` and `templates` */
} Trace;

void trace_init(Trace *trace, Heap *heap);
void trace_release(Trace *trace);
/** Forget what was recorded, keep the memory for the next rehearsal. */
void trace_clear(Trace *trace);

/** Hooks that record into `trace`; the hooks borrow it. */
RunHooks trace_recorder(Trace *trace);
/** After the rehearsal, before anything is read from the trace. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus trace_end(Trace *trace, SnugError *err);

/** Hash that a recorded operation carries in `shapes`. */
uint64_t trace_op_hash(const Op *op);

static inline const TraceTemplate *trace_template(const Trace *t, const TraceSegment *s)
{
    return &t->templates[s->template_id];
}
/** Segment that holds an operation of the request. */
int32_t trace_segment_of(const Trace *trace, int32_t op);
/** Segment that a tensor was born in. */
int32_t trace_segment_of_tensor(const Trace *trace, int32_t id);
/** Stage of an operation. */
int32_t trace_stage_of(const Trace *trace, int32_t op);
/** Operation of the request as recorded in its template. */
const TraceOp *trace_op(const Trace *trace, int32_t op);

#endif
