/* run.h  A Run carries a recipe through rehearsal or execution; its errors are sticky. */
#ifndef COMPUTE_RUN_H
#define COMPUTE_RUN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "compute/op.h"

/** Memory of a device's own, filled by explicit copies. */
typedef struct DeviceMemory {
    size_t bytes;            /**< that the device has */
    double bytes_per_second; /**< of copies from the host */
    bool in_process; /**< made of this process's memory, all of it resident once it is open */
    SnugStatus (*open)(void *self, size_t bytes, unsigned char **base, SnugError *err);
    void (*close)(void *self, unsigned char *base, size_t bytes);
    /** Host to device; returns when the data are there. Threads: one. */
    SnugStatus (*copy)(void *self, void *to, const void *from, size_t bytes, SnugError *err);
} DeviceMemory;

/**
 * A device executes operations on addresses it is given. Implementations fill this table; all
 * members but `memory` are required. Devices hold no model state.
 */
typedef struct Device {
    const char *name; /**< "cpu" */
    void *self;
    /** Scratch bytes this operation needs, from shapes alone. */
    size_t (*workspace_bytes)(const void *self, const Op *op);
    const DeviceMemory *memory; /**< NULL: it works in host memory */
    /** Compute. Never called in rehearsal. With memory of its own, OP_INPUT and OP_EMBED are made in
     *  places->staging and copied, OP_OUTPUT is copied to places->staging. */
    SnugStatus (*execute)(void *self, const Op *op, const OpPlaces *places, SnugError *err);
} Device;

/** What the recipe tells the outside; `index`: phase of a stage, step or item, -1 none. */
typedef enum RunNote { RUN_STAGE, RUN_STEP, RUN_BLOCK } RunNote;

/**
 * The plan's side of a run. Rehearsal: `op` records. Execution: `op` checks the operation against
 * the trace, waits for its weights and fills `places`.
 */
typedef struct RunHooks {
    void *self;
    SnugStatus (*op)(void *self, const Op *op, OpPlaces *places, SnugError *err);
    void (*op_done)(void *self, const Op *op);
    SnugStatus (*note)(void *self, RunNote note, const char *text, int index, int count,
                       SnugError *err);
    /** OP_OUTPUT in execution: `data` are the tensor's elements in host memory. */
    SnugStatus (*output)(void *self, const Op *op, const void *data, SnugError *err);
} RunHooks;

/** Choices of the plan that a recipe asks for; none changes a bit of the result. */
typedef struct RunKnobs {
    int64_t chunk_rows; /**< rows of a transformer block handled at once; 0: all */
    int head_groups;    /**< self-attention of a transformer block in so many groups of heads, keys
                               and values of one group at a time; 0, 1: all heads at once */
    int64_t band_rows;  /**< rows of a VAE's frames computed at once, at every level; 0: all */
    int64_t group_frames; /**< latent frames a video VAE decodes at once; 0: frame by frame at every
                               level, the least in flight */
    bool lock_step;       /**< guidance branches advance block by block together */
    bool cache_cross;     /**< cross-attention K and V kept over the steps */
    bool keep_camera;     /**< what all tokens take from the camera kept over the steps */
    bool join_branches; /**< with lock_step: keys of all branches live at once, so that what a block
                             takes from the camera is computed once for all */
} RunKnobs;

typedef struct Run {
    const Device *device;
    const RunHooks *hooks;
    RunKnobs knobs;
    bool rehearse;
    Arithmetic arithmetic;     /**< of layers that bear a coarse one (op_linear_coarse) */
    int sketch_steps;          /**< rehearsal only: each loop ends after so many steps; 0: all */
    int steps_in_loop;         /**< steps begun since the last stage */
    int steps_before;          /**< steps that an earlier run took: of no account to the plan */
    bool taps;                 /**< run_tap records an output */
    const atomic_bool *cancel; /**< may be NULL */
    int phase;                 /**< of the request, as run_phase said; 0: it has none */
    int32_t n_tensors;         /**< next tensor id */
    SnugStatus status;
    SnugError *err; /**< first failure; never NULL */
} Run;

/** True while nothing failed and nobody cancelled. */
bool run_ok(Run *r);
/** Mark the run failed (first failure wins). Returns NO_TENSOR. */
__attribute__((format(printf, 3, 4))) Tensor run_fail(Run *r, SnugStatus status, const char *format,
                                                      ...);
/** Execute or record; gives op->out its id. Returns the output, NO_TENSOR after a failure. */
Tensor run_op(Run *r, Op *op);

/** The stages that follow belong to that part of the request, 1..: what --auto-unload gives up at its
 *  end are the weights it used. Recipes without parts do so at the end of every stage. */
void run_phase(Run *r, int phase);
/** Name what follows: progress, ledger, plan; weights are placed per stage. */
void run_stage(Run *r, const char *name);
/** Loop header: `for (int i = 0; run_step(r, i, n); i++)`; false at the end, on failure, cancel. */
bool run_step(Run *r, int i, int n);

/** A repeated part begins (a transformer block, a video frame): equal parts share one placement,
 *  which keeps planning fast. Changes nothing else. */
void run_block(Run *r);

/** Host data into a new f32 tensor; `context` must live until the run ends. */
Tensor run_input(Run *r, Shape shape, InputFill *fill, void *context);
/** Hand a tensor to the outside under a static name. */
void run_output(Run *r, const char *name, int64_t index, Tensor t);
/** Hand a tensor back to the recipe's owner: `take` is called at once, but never in rehearsal. What
 *  it leaves behind may come back by run_input; shapes must not depend on it. */
void run_take(Run *r, Tensor t, OutputTake *take, void *context);
/** Hand out an intermediate for golden tests and --taps; nothing unless taps are on. */
void run_tap(Run *r, const char *name, int64_t index, Tensor t);

#endif
