/* verdict.h  What a plan says about each stage, beyond what residency and placement keep: where the
 * peak is, what streams, when it begins. For `snug plan` and reports. */
#ifndef ENGINE_VERDICT_H
#define ENGINE_VERDICT_H

#include "engine/engine.h"

enum { VERDICT_WHERE = 96 };

typedef struct StageVerdict {
    double begin_seconds; /**< from the request's start */
    int32_t peak_op;      /**< operation with most tensors and weights held; -1: an empty stage */
    size_t peak_tensors, peak_weights; /**< bytes held by it */
    size_t slab_bytes;                 /**< the slab's end in use: what the stage takes of it */
    size_t host_bytes;                 /**< the same in the host's slab; 0 with one tier */
    double flops;
    const char *streamed; /**< names of units that are loaded more than once, "" for none */
    int n_streamed;       /**< how many there are */
} StageVerdict;

/** Fill plan->verdict [n_stages + 1]; the last holds only begin_seconds, the end. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus verdict_make(SnugPlan *plan, SnugError *err);

/** "conv in vae.decoder.up_blocks.2": kind of an operation and whose weights it is about. */
const char *verdict_where(const SnugPlan *plan, int32_t op, char to[VERDICT_WHERE]);

#endif
