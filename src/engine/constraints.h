/* constraints.h  The switches other tools are known for, as what they demand of the plan. */
#ifndef ENGINE_CONSTRAINTS_H
#define ENGINE_CONSTRAINTS_H

#include <stddef.h>

#include "base/error.h"
#include "plan/constraints.h"

/** The words as given; NULL or "auto": not given. */
typedef struct ConstraintRequest {
    const char *memory_mode, *auto_unload, *offload;
    const char *vae_tiling, *vae_slicing, *attention_slicing;
    const char *text_encoder_device;
    const char *auto_unload_threshold;
} ConstraintRequest;

/** SNUG_ERR_ARG names an unknown word with those there are, or two switches that contradict. */
SNUG_MUST_USE SnugStatus constraints_parse(PlanConstraints *out, const ConstraintRequest *request,
                                           SnugError *err);

/** The words of a pipeline's phases, [1..n]; NULL: as --auto-unload says. SNUG_ERR_ARG. */
SNUG_MUST_USE SnugStatus constraints_phases(PlanConstraints *out, const char *const *words, int n,
                                            SnugError *err);
/** Does nothing say what weights do? */
bool constraints_open(const PlanConstraints *constraints);

/** "with --offload none, --vae-tiling=off: " for those that ask for memory, "" without; returns `to`. */
const char *constraints_costly(const PlanConstraints *constraints, char *to, size_t room);

#endif
