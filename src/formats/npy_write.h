/* npy_write.h  Write .npy arrays of f32, rows appended as they come; appears whole or not at all.
 *
 *     TRY(npy_create(&w, heap, path, (int64_t[]){ frames, 4, 4 }, 3, err));
 *     for each frame: status = npy_append(w, frame, 16, err);
 *     status = npy_commit(w, err);
 *     npy_close(w); */
#ifndef FORMATS_NPY_WRITE_H
#define FORMATS_NPY_WRITE_H

#include <stdint.h>

#include "base/heap.h"
#include "snug/status.h"

typedef struct NpyWriter NpyWriter;

/** rank <= NPY_MAX_RANK; dimensions >= 0; rank 0 is a single number. The bytes are those numpy.save
 *  would write. */
SNUG_MUST_USE SnugStatus npy_create(NpyWriter **out, Heap *heap, const char *path,
                                    const int64_t *dim, int rank, SnugError *err);
/** Append n numbers in C order, in pieces of any size. */
SNUG_MUST_USE SnugStatus npy_append(NpyWriter *writer, const float *values, int64_t n,
                                    SnugError *err);
/** Make the file visible. SNUG_ERR_INTERNAL while numbers are missing. */
SNUG_MUST_USE SnugStatus npy_commit(NpyWriter *writer, SnugError *err);
void npy_close(NpyWriter *writer);

/** All at once. */
SNUG_MUST_USE SnugStatus npy_write_f32(Heap *heap, const char *path, const float *values,
                                       const int64_t *dim, int rank, SnugError *err);

#endif
