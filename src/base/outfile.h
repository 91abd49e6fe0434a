/* outfile.h  Files for writing that appear whole or not at all.
 *
 *     open -> write ... -> commit -> close      the file is there, complete and on disk
 *     open -> write ... ----------> close      nothing is left; an older file stays as it was
 *
 * Bytes go to a temporary name in the same folder; commit flushes them to disk and renames. Never
 * truncates in place: other processes may have the old file mapped. */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

#include <stddef.h>

#include "base/heap.h"
#include "snug/status.h"

typedef struct OutFile OutFile;

/** An existing regular file of that name will be replaced; anything else there is refused. */
SNUG_MUST_USE SnugStatus outfile_open(OutFile **out, Heap *heap, const char *path, SnugError *err);
/** Claim disk space for a file of that size now, so that a full disk is known before the work and
 *  not after. SNUG_OK where the file system cannot tell. */
SNUG_MUST_USE SnugStatus outfile_reserve(OutFile *file, size_t bytes, SnugError *err);
/** Append (buffered). After a failure the file stays failed. */
SNUG_MUST_USE SnugStatus outfile_write(OutFile *file, const void *bytes, size_t n, SnugError *err);
/** Put bytes anywhere behind what was appended, in any order; nothing is appended afterwards. What
 *  is never put reads as zeros, the file ends where the last byte was put. */
SNUG_MUST_USE SnugStatus outfile_put(OutFile *file, size_t offset, const void *bytes, size_t n,
                                     SnugError *err);
/** Bytes appended so far; with outfile_put, where the file ends so far. */
size_t outfile_bytes(const OutFile *file);
/** Make it durable and visible under its name. At most once, then only close. */
SNUG_MUST_USE SnugStatus outfile_commit(OutFile *file, SnugError *err);
/** Free; what was not committed is removed. NULL is fine. */
void outfile_close(OutFile *file);

#endif
