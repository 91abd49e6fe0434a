/* gguf_write.h  Write GGUF version 3: header at once, tensor data in any order.
 *
 * Tensors lie in the order given, each padded to 32 bytes; dimensions are turned round (ggml counts
 * the fastest first). Strings are the only pairs but for the two that quantisation needs. */
#ifndef FORMATS_GGUF_WRITE_H
#define FORMATS_GGUF_WRITE_H

#include "formats/safetensors_write.h"

enum { GGUF_WRITE_MAX_NAME = 127 /* bytes: what ggml's patched builds read */ };

typedef struct GgufWriter GgufWriter;

/**
 * @param items      `user` is not used; a dtype with a number in ggml
 * @param notes      pairs of strings; "general.architecture" should be one
 * @param file_type  value of general.file_type, advisory
 * @return SNUG_ERR_ARG: a duplicate or long name, a dtype or shape that cannot be stored
 */
SNUG_MUST_USE SnugStatus gguf_write_create(GgufWriter **out, Heap *heap, const char *path,
                                           const SafetensorsItem *items, int32_t n,
                                           const EntryNote *notes, int32_t n_notes,
                                           uint32_t file_type, SnugError *err);
/** Put data of the i-th item, from byte `from` of it on: each byte once, in any order. */
SNUG_MUST_USE SnugStatus gguf_write_put(GgufWriter *writer, int32_t i, size_t from,
                                        const void *bytes, size_t n, SnugError *err);
/** Make the file visible. SNUG_ERR_INTERNAL while data are missing. */
SNUG_MUST_USE SnugStatus gguf_write_commit(GgufWriter *writer, SnugError *err);
/** NULL is fine; what was not committed is removed. */
void gguf_write_close(GgufWriter *writer);

#endif
