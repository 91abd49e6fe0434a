/* held.h  What a plan holds when: bytes of tensors at each operation, and how long each load of
 * weights is needed. For the ledger, the memory log and reports; planning does not use it.
 *
 * A part is a network of the request ("transformer"). A span is a stretch of the request in which
 * weights of one part are held: from the first of its loads to the last use. Spans end at stage
 * borders where nothing is kept over them. */
#ifndef PLAN_HELD_H
#define PLAN_HELD_H

#include "plan/schedule.h"

typedef struct HeldSpan {
    int32_t part;
    int32_t n_loads;
    int32_t first_op, last_op; /**< first need, last use */
} HeldSpan;

typedef struct Held {
    const Trace *trace;
    const Lives *lives;
    Arena arena;
    int64_t *local;   /* per class and operation, as Lives.workspace */
    int32_t *by_born; /* [n_groups] */
    int32_t *by_dies;
    int32_t *last_op;    /**< [loads] last operation that needs the load */
    int32_t *by_last_op; /**< [loads] indices in order of last_op */
    int32_t *span_of;    /**< [loads] */
    HeldSpan *spans;
    int32_t n_loads, n_spans;
    int32_t *host_last;    /**< [host loads] last device load that needs it */
    int32_t *by_host_last; /**< [host loads] */
    int32_t n_host_loads;
} Held;

/**
 * @param part_of [n_units] index of the unit's part
 * All arguments but `part_of` must outlive `out`. SNUG_ERR_MEMORY.
 */
SNUG_MUST_USE SnugStatus held_make(Held *out, const Trace *trace, const Placement *placement,
                                   const Schedule *schedule, const int32_t *part_of,
                                   int32_t n_units, SnugError *err);
void held_release(Held *held);

/** A place in the request; zeroed: its start. */
typedef struct HeldCursor {
    int32_t segment, n_born, n_dead;
    int64_t groups; /* bytes of those alive */
} HeldCursor;

/** Bytes of tensors and workspaces alive at `op`, which must not fall from call to call. */
size_t held_tensors(const Held *held, HeldCursor *cursor, int32_t op);

#endif
