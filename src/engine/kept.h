/* kept.h  Weights that stay in memory from one run of an engine to the next (--auto-unload=off).
 *
 *     run opens  -> kept_begin: the slabs of the run before, if they are as large; which units are there
 *     run ends   -> kept_end:   slabs and what is in them now; or nothing, after a failure
 *
 * Only plans that give every unit a place of its own (Residency.holds) keep anything. A unit is known
 * by its files (device, inode, size, time of change) and places in them, not by the job that read it.
 * Any other run gives up what is kept before it takes memory of its own. */
#ifndef ENGINE_KEPT_H
#define ENGINE_KEPT_H

#include "engine/engine.h"
#include "memory/slab.h"

/** A unit in the device's slab (one tier: the slab). */
typedef struct KeptUnit {
    size_t offset;
    unsigned char digest[32];
} KeptUnit;

typedef struct Kept {
    Slab slab;
    unsigned char *device; /**< a device's own slab, or NULL */
    size_t device_bytes;
    KeptUnit *units;
    int32_t n_units;
} Kept;

/** What a run found: its slabs, when there were some that fit, and the units that need no reading. */
typedef struct KeptFound {
    Slab slab;
    unsigned char *device;
    KeptUnit *units; /**< [n_units] of the plan; digests of all */
    bool *there;     /**< [n_units] */
    int32_t n_units;
    size_t resident_bytes; /**< of the process that the slabs are */
} KeptFound;

/** Bytes of this process that the engine keeps; 0: nothing is kept. */
size_t kept_resident_bytes(const SnugEngine *engine);
/** Give up what is kept. */
void kept_drop(SnugEngine *engine);
/** Take over what fits the plan, drop the rest. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus kept_begin(KeptFound *out, SnugJob *job, const SnugPlan *plan,
                                    SnugError *err);
/** Keep the slabs of a run that went well; they are the engine's from now on. */
void kept_end(KeptFound *found, SnugEngine *engine, const SnugPlan *plan, Slab slab,
              unsigned char *device);
void kept_release(KeptFound *found, SnugEngine *engine);

#endif
