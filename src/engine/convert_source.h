/* convert_source.h  Any stored tensor as f32, piece by piece: scales whole, data in chunks. */
#ifndef ENGINE_CONVERT_SOURCE_H
#define ENGINE_CONVERT_SOURCE_H

#include "compute/cpu/stored.h"
#include "formats/checkpoint.h"

/** Elements of a chunk: a multiple of every block, of 256 blocks of scales, and of a stretch. */
enum { CONVERT_CHUNK = 1 << 22, CONVERT_STRETCH = 1 << 16 };

typedef struct ConvertSource {
    const Checkpoint *checkpoint;
    const Entry *entry;
    int64_t count, cols; /**< cols: of a row, where scales are by row */
    unsigned char *raw;  /**< the chunk, as stored */
    unsigned char *scales;
    size_t scales_at; /**< place of `scales` in the entry's bytes */
    int64_t first;    /**< of the chunk */
    Stored stored;    /**< the chunk as one row; block and 4-bit types */
} ConvertSource;

/** @param arena  for its scales; @param raw  room for CONVERT_CHUNK elements of the widest type */
SNUG_MUST_USE SnugStatus convert_source_open(ConvertSource *source, Arena *arena,
                                             const Checkpoint *checkpoint, const Entry *entry,
                                             unsigned char *raw, SnugError *err);
/** Read the chunk that begins at `first`, a multiple of CONVERT_CHUNK. */
SNUG_MUST_USE SnugStatus convert_source_read(ConvertSource *source, int64_t first, SnugError *err);
/** Elements of the chunk that was read. */
int64_t convert_source_elements(const ConvertSource *source);
/** n values from element `at` of the chunk on, a multiple of CONVERT_STRETCH. Threads: any. */
void convert_source_widen(const ConvertSource *source, int64_t at, int64_t n, float *to);

#endif
