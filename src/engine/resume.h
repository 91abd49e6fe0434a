/* resume.h  --checkpoint DIR: the state of a run, kept every few steps, and taken up again.
 *
 *     DIR/state.safetensors   latents of the step, their digest; metadata: the whole request
 *
 * Written beside and renamed, so that a killed run leaves the last whole one. A later run of the same
 * request goes on from there and gives the same bits; when it is done, the file is removed. A file
 * of another request is refused with what differs, a damaged one with where. */
#ifndef ENGINE_RESUME_H
#define ENGINE_RESUME_H

#include "engine/engine.h"

typedef struct Resume Resume;

/**
 * Look into the folder that the job names, if it names one; its state goes to job->context. Nothing
 * is written. Afterwards job->resume may be NULL.
 * @return SNUG_ERR_FILE: of another request, or damaged; SNUG_ERR_ARG; SNUG_ERR_IO; SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus resume_open(SnugJob *job, SnugError *err);
void resume_close(Resume *resume);

/* NULL is fine from here on. */

/** A run begins: the folder is made, and it is seen that a file can be written there. */
SNUG_MUST_USE SnugStatus resume_begin(Resume *resume, SnugError *err);
/** One tensor of the state that the recipe hands out; the last one makes the file visible. */
SNUG_MUST_USE SnugStatus resume_take(Resume *resume, const Op *op, const void *data,
                                     SnugError *err);
/** The run is done: the file is not needed any more. */
void resume_done(Resume *resume);

#endif
