/* engine.h  Inside the public API: what engine, job and plan hold. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/pool.h"
#include "base/text.h"
#include "compute/cpu/device.h"
#include "compute/sim/sim_device.h"
#include "engine/constraints.h"
#include "memory/ledger.h"
#include "pipelines/pipeline.h"
#include "plan/follow.h"
#include "plan/profile.h"
#include "snug/snug.h"

struct SnugEngine {
    Heap *heap;
    Pool *pool;
    int processors; /**< that this process may use */
    CpuDevice cpu;
    SimDevice sim;
    Device device;
    MachineProfile profile;            /* for forecasts */
    char profile_note[512];            /* why it holds defaults; "" when measured */
    char *profile_text, *profile_json; /* made when asked for */
    Ledger ledger;                     /* of the run in progress, or the last one */
    struct Kept *kept;                 /* weights of the last run, or NULL (kept.h) */
    size_t ram_bytes;
    size_t vram_bytes;     /* of a device with memory of its own */
    size_t base_rss_bytes; /* when the engine was opened */
};

/** Options every pipeline has. */
typedef struct CommonRequest {
    const char *output, *audio, *dtype, *save_latents, *taps, *preview, *report, *checkpoint;
    int64_t checkpoint_every;
    ConstraintRequest constraints;
} CommonRequest;
extern const Option JOB_OPTIONS[];

struct SnugJob {
    SnugEngine *engine;
    const Pipeline *pipeline;
    Arena request_arena; /* option values */
    void *request;       /* the pipeline's struct */
    CommonRequest common;
    Arithmetic arithmetic; /* --dtype */
    PlanConstraints constraints;
    const char *source;          /* the job file, or NULL; lives in request_arena */
    struct JobSetting *settings; /* what was set, in order; lives in request_arena */
    atomic_bool cancel;
    int version; /* counts snug_job_set: a plan belongs to one */
    /* while prepared */
    Arena arena;
    WeightTable weights;
    PipelineContext context;
    PipelineInfo info;
    struct Resume *resume; /* --checkpoint, else NULL */
    void *prepared;
    size_t *unit_bytes;
    const char *method; /* how the result is made other than plainly; NULL: plainly */
    double cached;      /* part of the weights in the page cache when it was prepared */
    /* of the last run */
    SnugFigures figures;
    char *memory_text, *curve_text;
    char degraded[512]; /* why its result is not what was asked for; "": it is */
};

struct SnugPlan {
    SnugJob *job;
    int version;
    Heap *heap;
    Arena arena;
    Trace trace;
    Placement placement;
    Clock clock;
    Schedule schedule;
    const size_t *unit_bytes; /* the job's, or what they would be in another form */
    RunKnobs knobs;
    size_t fixed_bytes;   /* of the process, beside the slab */
    size_t staging_bytes; /* in front of the host's slab */
    SnugFigures figures;
    size_t writer_bytes;          /* reserved for the output */
    struct StageVerdict *verdict; /* [n_stages + 1], verdict.h */
    char *text, *json;
};

/** Open the pipeline if it is not open yet: files, tokens, bindings. */
SNUG_MUST_USE SnugStatus job_prepare(SnugJob *job, SnugError *err);
/** Close what job_prepare opened. */
void job_unprepare(SnugJob *job);
/** Verdict, text and JSON of a finished plan (plan_text.c). */
SNUG_MUST_USE SnugStatus plan_describe(SnugPlan *plan, SnugError *err);
/** The JSON (plan_json.c). */
void plan_add_json(TextBuilder *to, const SnugPlan *plan);

/** A Run over the engine's device. */
Run engine_run(SnugEngine *engine, const RunHooks *hooks, SnugError *err);

#endif
