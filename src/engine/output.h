/* output.h  Where results go: video, arrays, taps, preview. Nothing half-written under a name. */
#ifndef ENGINE_OUTPUT_H
#define ENGINE_OUTPUT_H

#include "engine/engine.h"

typedef struct Output Output;

/** Upper bound of what writing the job's results takes beside the slab; checks the suffix. */
SNUG_MUST_USE SnugStatus output_memory_bytes(SnugJob *job, size_t *out, SnugError *err);

/** Open the files of a run. Frames come in order. */
SNUG_MUST_USE SnugStatus output_open(Output **out, SnugJob *job, SnugError *err);
/** One tensor handed out by the recipe. SNUG_ERR_NUMERIC when a frame holds NaN. */
SNUG_MUST_USE SnugStatus output_take(Output *output, const Op *op, const void *data,
                                     SnugError *err);
/** The picture of a run that failed before it handed one out (Pipeline.rescue); what it says of its
 *  making says why. SNUG_ERR_ARG: there is a picture already, or no place for one. */
SNUG_MUST_USE SnugStatus output_rescue(Output *output, const Image *image, const char *why,
                                       SnugError *err);
/** Give everything its final name. */
SNUG_MUST_USE SnugStatus output_commit(Output *output, SnugError *err);
/** After a failure too; what was not committed leaves nothing. NULL is fine. */
void output_close(Output *output);

#endif
