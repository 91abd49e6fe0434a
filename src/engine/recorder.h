/* recorder.h  Keeps the ledger and the timeline of a run, and tells when networks come and go.
 *
 * It stands between the recipe and the plan's follower: every operation passes by, so does the begin
 * and end of every load. Loads are booked on the threads that move them, from the first byte on;
 * they are booked out when the last operation that needs them is done, before the follower hears of
 * it: what is booked is never less than what is held. */
#ifndef ENGINE_RECORDER_H
#define ENGINE_RECORDER_H

#include "engine/engine.h"
#include "engine/phase_lines.h"
#include "memory/timeline.h"
#include "plan/held.h"

enum { RECORDER_PARTS = 16, RECORDER_QUEUE = 64, RECORDER_TIERS = 2 };

/** Something to tell: "before load transformer", with the figures of that moment. */
typedef struct RecorderNews {
    char label[96];
    double seconds;
    SnugTierUse tiers[RECORDER_TIERS];
    int n_tiers;
    bool phase; /**< one of a pipeline's own lines, about the device alone */
} RecorderNews;

/** Loads of a span so far. */
typedef struct SpanState {
    int32_t n_begun, n_ended;
    bool told; /* that it is loaded */
} SpanState;

/** Operations of one class of work (work.h), those that memory limits by their kind. */
typedef struct OpTotals {
    int64_t n;
    double flops, bytes;
    double planned_seconds, seconds; /**< waiting for weights left out */
} OpTotals;
enum { RECORDER_WORK = WORK_COUNT + OP_COUNT };

typedef struct Recorder {
    SnugJob *job;
    const SnugPlan *plan;
    Arena arena;
    Held held;
    PhaseLines lines;
    double opened;
    const char *parts[RECORDER_PARTS]; /* names, in the arena */
    int n_parts;
    int32_t *part_of; /* [units] */
    int row[RECORDER_PARTS][LEDGER_TIERS];
    int tensor_row, staging_row;
    size_t device_in_process; /* bytes of an open device's slab that are this process's memory */
    LoadTime *times[LEDGER_TIERS]; /* [loads of the tier], seconds since opened */
    Timeline timeline;
    /* compute thread only */
    RunHooks inner; /* the follower's */
    HeldCursor cursor;
    int32_t op, n_released;
    double op_began; /* seconds */
    OpTotals work[RECORDER_WORK];
    double rss_at;
    size_t rss;
    /* under the lock */
    pthread_mutex_t lock;
    SpanState *spans;
    int32_t n_host_released;
    RecorderNews queue[RECORDER_QUEUE];
    int n_news;
} Recorder;

/** `opened`: the clock's time at the run's start. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus recorder_open(Recorder *recorder, SnugJob *job, const SnugPlan *plan,
                                       double opened, SnugError *err);
void recorder_close(Recorder *recorder);

/** "gemm", "layer_norm"; NULL beside the end. */
const char *recorder_work_name(int index);

/** Hooks for the Run around the follower's. */
RunHooks recorder_hooks(Recorder *recorder, RunHooks inner);
/** The slabs are open from now on. */
void recorder_slabs(Recorder *recorder);
/** Resident bytes of the process without what stands for a device's memory: now, at most. */
size_t recorder_rss(const Recorder *recorder);
size_t recorder_peak_rss(const Recorder *recorder);
/** For FollowOptions.moving. */
void recorder_moving(Recorder *recorder, bool host, int32_t load, bool ended);

/** What the tiers hold now; returns how many there are. */
int recorder_tiers(const Recorder *recorder, SnugTierUse out[RECORDER_TIERS]);
/** Take the oldest news; false when there are none. */
bool recorder_next(Recorder *recorder, RecorderNews *out);
/** Put in a label of the caller's ("stage denoise") with the figures of now. */
void recorder_tell(Recorder *recorder, const char *verb, const char *name);

#endif
