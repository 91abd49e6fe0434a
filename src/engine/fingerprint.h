/* fingerprint.h  What a request asks for, as names and texts that can be compared one by one.
 *
 * Numbers and texts stand for themselves; a path for what lies there, not for its name, so that a
 * model may be moved but not exchanged. Small files count whole, of large ones size and samples
 * spread over them; of a folder the files of a model, two folders deep. */
#ifndef ENGINE_FINGERPRINT_H
#define ENGINE_FINGERPRINT_H

#include "engine/engine.h"
#include "formats/entry.h"

/**
 * The request of a job: options of its pipeline (of those common to all, which say where results
 * go, --dtype bf16, int8 alone), the pipeline, the version of snug.
 * @param notes  in `arena`; keys rise by bytes: "option.prompt", "pipeline", "snug"
 * @return SNUG_ERR_IO, SNUG_ERR_FILE: a path cannot be read
 */
SNUG_MUST_USE SnugStatus fingerprint_request(const SnugJob *job, Arena *arena, EntryNote **notes,
                                             int32_t *n, SnugError *err);

#endif
