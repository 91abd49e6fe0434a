/* convert.h  Inside a conversion: the tensor in hand, its buffers, and who is told of progress. */
#ifndef ENGINE_CONVERT_H
#define ENGINE_CONVERT_H

#include <stdatomic.h>

#include "base/pool.h"
#include "engine/convert_sink.h"
#include "engine/convert_source.h"
#include "snug/snug.h"

/** Bytes read so far, of all that will be read. */
typedef struct ConvertProgress {
    SnugEventFunction *on_event; /**< or NULL */
    void *context;
    const char *stage;
    double begin, told; /**< [s] */
    double done_bytes, all_bytes;
    const volatile int *cancel; /**< or NULL */
} ConvertProgress;

void convert_progress(ConvertProgress *progress, double bytes);

/** Buffers and threads, whatever the tensor. */
typedef struct ConvertWork {
    const Checkpoint *checkpoint;
    Heap *heap;
    Pool *pool;
    unsigned char *raw, *out; /**< a chunk as stored, as written */
    float *wide;              /**< a chunk as values */
    ConvertProgress progress;
    ConvertSink sink;
} ConvertWork;

/** The one weight file or index that a folder holds, or the path itself; in the arena. */
SNUG_MUST_USE SnugStatus convert_find_input(const char **out, Arena *arena, const char *path,
                                            SnugError *err);
/** First reading of a tensor that becomes NESTED: tensor->offset. */
SNUG_MUST_USE SnugStatus convert_tensor_scan(ConvertWork *work, ConvertTensor *tensor,
                                             SnugError *err);
/** Read, convert and put one tensor. SNUG_ERR_FILE: NaN or infinity in it, or too large values. */
SNUG_MUST_USE SnugStatus convert_tensor(ConvertWork *work, const ConvertTensor *tensor,
                                        SnugError *err);

#endif
