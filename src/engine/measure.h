/* measure.h  Measuring this machine for the profile: every class of work, memory, disk. */
#ifndef ENGINE_MEASURE_H
#define ENGINE_MEASURE_H

#include "engine/opbench.h"

enum { MEASURE_SLAB_BYTES = 224 << 20 };

/** Where the measuring stands: a word for people, and the part that is done. */
typedef void MeasureStep(void *context, const char *what, double fraction);

typedef struct Measure {
    SnugEngine *engine;
    OpBench bench;
    MachineProfile *out;
    MeasureStep *step; /**< may be NULL */
    void *context;
    double least_seconds; /**< per point; 0: one call */
    bool quick;           /**< smaller shapes */
    const atomic_bool *cancel;
} Measure;

/** Rates of all classes of operations (measure.c). */
SNUG_MUST_USE SnugStatus measure_work(Measure *m, SnugError *err);
/** Rates of the kinds that memory limits, and the cost of any operation (measure_move.c). */
SNUG_MUST_USE SnugStatus measure_moves(Measure *m, SnugError *err);
/** The profile's error: how far it is off on shapes that it was not made from. */
SNUG_MUST_USE SnugStatus measure_error(Measure *m, SnugError *err);
/** Reading `folder`'s disk, cold and warm, with a file that is removed again (measure_disk.c). */
SNUG_MUST_USE SnugStatus measure_disk(Measure *m, const char *folder, SnugError *err);

/** Announce what comes next; SNUG_ERR_CANCELLED when asked to stop. */
SNUG_MUST_USE SnugStatus measure_step(const Measure *m, const char *what, double fraction,
                                      SnugError *err);

#endif
