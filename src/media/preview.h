/* preview.h  The picture of a running job (`--preview FILE.png`), rewritten after each step. */
#ifndef MEDIA_PREVIEW_H
#define MEDIA_PREVIEW_H

#include "base/heap.h"
#include "snug/status.h"

/**
 * Replace the file at once: whoever opens it sees the old picture or the new one, never a part.
 * @param rgb   [height, width, 3], 0..1, clamped
 * @param zoom  1..16: each value becomes a square of so many pixels (latents are small)
 * @return SNUG_ERR_IO: path unwritable, disk full; SNUG_ERR_ARG: sizes; SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus preview_write(const char *path, Heap *heap, const float *rgb, int width,
                                       int height, int zoom, SnugError *err);

#endif
