/* program.h  Random recipes on a device that checks memory: every tensor and unit holds a pattern of
 * its own, every operation looks whether its operands still hold theirs.
 *
 * A recipe is a seed: the same seed gives the same operations, in rehearsal and in execution. */
#ifndef TESTS_PLAN_PROGRAM_H
#define TESTS_PLAN_PROGRAM_H

#include "test.h"

#include "base/size.h"
#include "plan/follow.h"

enum { PROGRAM_UNITS = 12, PROGRAM_WEIGHTS = 5, PROGRAM_TENSORS = 4096, PROGRAM_LIVE = 6 };

typedef struct Program {
    uint64_t seed;
    int n_units;
    bool streams; /* steps repeat: units are used again and again */
    Weight weight[PROGRAM_UNITS][PROGRAM_WEIGHTS];
    int n_weights[PROGRAM_UNITS];
    size_t unit_bytes[PROGRAM_UNITS];
    int version[PROGRAM_TENSORS];  /* of the contents: counts mutations */
    size_t bytes[PROGRAM_TENSORS]; /* of whole buffers */
    int n_wrong;                   /* operands found overwritten */
    int n_executed;
    int stop_after; /* operations; 0: run to the end */
} Program;

typedef struct Dice {
    uint64_t state;
} Dice;

static inline int64_t dice(Dice *d, int64_t n)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((d->state >> 33) % (uint64_t)n);
}

/* Cut a unit into weights, each a multiple of 64 bytes. */
static inline void program_cut(Program *p, Dice *d, int unit)
{
    const size_t all = p->unit_bytes[unit];
    size_t at = 0;
    int n = 0;
    while (at < all) {
        const size_t left = all - at;
        const bool last = n == PROGRAM_WEIGHTS - 1 || dice(d, 4) == 0;
        const size_t bytes = last ? left : 64 * (size_t)(1 + dice(d, (int64_t)(left / 64)));
        p->weight[unit][n++] =
            (Weight){ .name = "w", .bytes = bytes, .unit = unit, .unit_offset = at };
        at += bytes;
    }
    p->n_weights[unit] = n;
}

static inline void program_init(Program *p, uint64_t seed)
{
    *p = (Program){ .seed = seed };
    Dice d = { seed * 0x9e3779b97f4a7c15u + 7 };
    p->n_units = 1 + (int)dice(&d, PROGRAM_UNITS);
    p->streams = dice(&d, 2) == 0;
    const bool equal = dice(&d, 2) == 0;
    for (int i = 0; i < p->n_units; i++) {
        p->unit_bytes[i] = i && equal ? p->unit_bytes[0] : 64 * (size_t)(1 + dice(&d, 60));
        program_cut(p, &d, i);
    }
}

/* ---- the device ----------------------------------------------------------------------------- */

static inline uint32_t program_value(int64_t id, int version, size_t at)
{
    return (uint32_t)(id * 2654435761u) ^ (uint32_t)version * 40503u ^ (uint32_t)at * 2246822519u;
}

static inline void program_fill(void *to, size_t bytes, int64_t id, int version, size_t first)
{
    uint32_t *words = to;
    for (size_t i = 0; i < bytes / 4; i++)
        words[i] = program_value(id, version, first + i);
}

static inline bool program_holds(const void *at, size_t bytes, int64_t id, int version,
                                 size_t first)
{
    const uint32_t *words = at;
    for (size_t i = 0; i < bytes / 4; i++)
        if (words[i] != program_value(id, version, first + i)) return false;
    return true;
}

static inline size_t program_workspace(const void *self, const Op *op)
{
    (void)self;
    return op->kind == OP_LINEAR ? (size_t)op->arg.conv.groups * 100 : 0;
}

static inline SnugStatus program_execute(void *self, const Op *op, const OpPlaces *places,
                                         SnugError *err)
{
    Program *p = self;
    (void)err;
    for (int i = 0; i < op->n_in; i++)
        p->n_wrong += !program_holds(places->in[i], tensor_bytes(op->in[i]), op->in[i].id,
                                     p->version[op->in[i].id], (size_t)op->in[i].first);
    for (int i = 0; i < op->n_weights; i++)
        p->n_wrong += !program_holds(places->weight[i], op->weight[i]->bytes,
                                     -1 - op->weight[i]->unit, 0, op->weight[i]->unit_offset / 4);
    if (op->workspace_bytes) memset(places->workspace, 0xee, op->workspace_bytes);
    if (op->mutates) p->version[op->out.id]++;
    program_fill(places->out, tensor_bytes(op->out), op->out.id, p->version[op->out.id], 0);
    for (int i = 0; i < op->n_weights; i++) /* still there when the work is done */
        p->n_wrong += !program_holds(places->weight[i], op->weight[i]->bytes,
                                     -1 - op->weight[i]->unit, 0, op->weight[i]->unit_offset / 4);
    p->n_executed++;
    return SNUG_OK;
}

static inline Device program_device(Program *p)
{
    return (Device){ .name = "checks",
                     .self = p,
                     .workspace_bytes = program_workspace,
                     .execute = program_execute };
}

/* ---- the recipe ----------------------------------------------------------------------------- */

static inline const Weight *program_weight(const Program *p, Dice *d, int64_t unit)
{
    return &p->weight[unit][dice(d, p->n_weights[unit])];
}

/* One operation on one or two of the live tensors, with none to two units; its result takes a live place. */
static inline void program_op(Run *r, Program *p, Dice *d, Tensor *live, int64_t unit)
{
    const int64_t a = dice(d, PROGRAM_LIVE), b = dice(d, PROGRAM_LIVE), to = dice(d, PROGRAM_LIVE);
    Op op = {
        .kind = OP_LINEAR, .in_place = -1, .n_in = 1 + (int)dice(d, 2), .in = { live[a], live[b] }
    };
    op.arg.conv.groups = dice(d, 3) ? 0 : 1 + (int)dice(d, 40);
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(1 + dice(d, 4), 16 * (1 + dice(d, 30))) };
    const int64_t form = dice(d, 6);
    if (form < 2) { /* the shape of its input, in its place if that ends here */
        op.out.shape = live[a].shape;
        op.in_place = 0;
    } else if (form == 2 && op.in[0].shape.dim[0] > 1) { /* reads a part */
        op.in[0].shape.dim[0]--;
        op.in[0].first = op.in[0].shape.dim[1];
    } else if (form == 3) {
        op.mutates = true;
        op.out = live[a];
    }
    if (unit >= 0) op.weight[op.n_weights++] = program_weight(p, d, unit % p->n_units);
    if (unit >= 0 && dice(d, 4) == 0)
        op.weight[op.n_weights++] = program_weight(p, d, dice(d, p->n_units));
    op.flops = 1;
    const Tensor out = run_op(r, &op);
    if (!tensor_exists(out)) return;
    if (!op.mutates) live[to] = out;
    if (p->stop_after && r->n_tensors >= p->stop_after)
        (void)run_fail(r, SNUG_ERR_CANCELLED, "stopped by the test");
}

static inline void program_part(Run *r, Program *p, Tensor *live, uint64_t seed)
{
    Dice d = { seed };
    const int64_t n = 1 + dice(&d, 6);
    const int64_t own = dice(&d, 2) ? (int64_t)(seed % (uint64_t)p->n_units) : -1;
    for (int64_t i = 0; i < n; i++) /* some blocks have a unit of their own, as in networks */
        program_op(r, p, &d, live, own >= 0 ? own : dice(&d, 3) ? dice(&d, p->n_units) : -1);
}

/* A stage: steps of blocks; a block's operations follow from its own seed, so that many are equal. */
static inline void program_stage(Run *r, Program *p, Dice *d, Tensor *live)
{
    const int steps = p->streams ? 2 + (int)dice(d, 3) : 1, blocks = 1 + (int)dice(d, 6);
    const uint64_t kinds = 1 + (uint64_t)dice(d, 3), base = (uint64_t)dice(d, 1 << 30);
    for (int s = 0; run_step(r, s, steps); s++)
        for (int b = 0; b < blocks; b++) {
            run_block(r);
            program_part(r, p, live, base + (uint64_t)b % kinds);
        }
}

/** NetRecipe-like: the whole program. */
static inline void program_run(Run *r, Program *p)
{
    Dice d = { p->seed ^ 0x51ed270b };
    Tensor live[PROGRAM_LIVE];
    const int stages = 1 + (int)dice(&d, 3);
    run_stage(r, "begin");
    for (int i = 0; i < PROGRAM_LIVE; i++) {
        Op op = { .kind = OP_INPUT, .in_place = -1 };
        op.out =
            (Tensor){ .dtype = DT_F32, .shape = SHAPE(1 + dice(&d, 3), 16 * (1 + dice(&d, 9))) };
        live[i] = run_op(r, &op);
    }
    for (int i = 0; i < stages; i++) {
        run_stage(r, "stage");
        program_stage(r, p, &d, live);
    }
}

/** Rehearse into a trace that is initialised. */
static inline void program_rehearse(Program *p, Trace *trace)
{
    SnugError err = { { 0 } };
    const Device device = program_device(p);
    const RunHooks hooks = trace_recorder(trace);
    Run r = { .device = &device, .hooks = &hooks, .rehearse = true, .err = &err };
    program_run(&r, p);
    if (r.status != SNUG_OK) fail_msg("%s", err.text);
    CHECK(trace_end(trace, &err) == SNUG_OK);
}

/* ---- planned -------------------------------------------------------------------------------- */

/** A program and what planning made of it; the schedule is made apart. */
typedef struct ProgramPlan {
    Heap *heap;
    Program program;
    Trace trace;
    Placement placement;
    Uses uses;
    Clock clock;
    Schedule schedule;
} ProgramPlan;

static inline double program_seconds(const void *self, const TraceOp *op)
{
    (void)self;
    return 1e-6 * (1.0 + (double)(op->shapes % 7));
}

static const Costs PROGRAM_COSTS = { .op_seconds = program_seconds,
                                     .first_bytes_per_second = 1e9,
                                     .again_bytes_per_second = 4e9,
                                     .copy_bytes_per_second = 8e9 };

static inline void program_plan_open(ProgramPlan *p, uint64_t seed)
{
    SnugError err = { { 0 } };
    *p = (ProgramPlan){ .heap = heap_create() };
    trace_init(&p->trace, p->heap);
    program_init(&p->program, seed);
    program_rehearse(&p->program, &p->trace);
    CHECK(placement_make(&p->placement, &p->trace, false, &err) == SNUG_OK);
    CHECK(uses_of_trace(&p->uses, &p->trace, p->program.n_units, &err) == SNUG_OK);
    CHECK(clock_make(&p->clock, &p->trace, &PROGRAM_COSTS, &err) == SNUG_OK);
}

static inline SnugStatus program_plan_schedule(ProgramPlan *p, size_t device_bytes,
                                               size_t host_bytes, bool two_tiers, SnugError *err)
{
    const ScheduleTask task = { .trace = &p->trace,
                                .placement = &p->placement,
                                .uses = &p->uses,
                                .clock = &p->clock,
                                .costs = &PROGRAM_COSTS,
                                .unit_bytes = p->program.unit_bytes,
                                .n_units = p->program.n_units,
                                .device_bytes = device_bytes,
                                .two_tiers = two_tiers,
                                .host_bytes = host_bytes };
    return schedule_make(&p->schedule, &task, err);
}

static inline void program_plan_close(ProgramPlan *p)
{
    schedule_release(&p->schedule);
    clock_release(&p->clock);
    uses_release(&p->uses);
    placement_release(&p->placement);
    trace_release(&p->trace);
    CHECK_INT(heap_now_bytes(p->heap), 0);
    heap_free(p->heap);
}

#endif
