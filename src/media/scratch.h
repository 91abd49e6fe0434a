/* scratch.h  A nameless file for libav's muxers, which seek and read back what they wrote.
 *
 * It lies in the folder of the result (same disk, same quota) and has no name: whatever happens to
 * the process, nothing is left of it. When the muxer is done its bytes are copied to an OutFile. */
#ifndef MEDIA_SCRATCH_H
#define MEDIA_SCRATCH_H

#include "base/heap.h"
#include "base/outfile.h"
#include "snug/status.h"

struct AVFormatContext;

/** What a scratch file takes while open, without its content. */
enum { SCRATCH_BUFFER_BYTES = 32 * 1024 };

/** Create one beside `path`; *fd is closed by the caller, -1 after a failure. */
SNUG_MUST_USE SnugStatus scratch_open(int *fd, Heap *heap, const char *path, SnugError *err);

/** Let the muxer write to the descriptor; `fd` must outlive it. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus scratch_attach(struct AVFormatContext *format, int *fd, SnugError *err);
/** Undo scratch_attach; fine when it failed. Unwritten bytes are lost: see libav's avio_flush. */
void scratch_detach(struct AVFormatContext *format);

/** Append all of it. */
SNUG_MUST_USE SnugStatus scratch_copy(OutFile *out, int fd, const char *path, SnugError *err);

#endif
