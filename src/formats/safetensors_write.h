/* safetensors_write.h  Write .safetensors files as the reference does, tensor by tensor.
 *
 *     SafetensorsWriter *w;
 *     TRY(safetensors_create(&w, heap, path, items, n, notes, n_notes, err));
 *     for (int32_t i = 0; i < n; i++) {
 *         const SafetensorsItem *item = safetensors_item(w, i);   // in file order, not in yours
 *         ... safetensors_append(w, bytes, size, err) ...         // in pieces of any size
 *     }
 *     status = safetensors_commit(w, err);
 *     safetensors_close(w);                                       // uncommitted: nothing is left
 *
 * File order is dtype (widest first), then name by bytes. */
#ifndef FORMATS_SAFETENSORS_WRITE_H
#define FORMATS_SAFETENSORS_WRITE_H

#include "formats/entry.h"

typedef struct SafetensorsItem {
    const char *name; /**< valid UTF-8, at most ENTRY_MAX_NAME bytes, not "__metadata__" */
    DType dtype;      /**< one that safetensors knows: no block types */
    int32_t rank;
    int64_t dim[ENTRY_MAX_RANK];
    int32_t user; /**< yours: e.g. the index of the source */
} SafetensorsItem;

typedef struct SafetensorsWriter SafetensorsWriter;

/**
 * Lay out the file and write its header. Items and notes are copied.
 * @param notes  metadata; files for torch tools need { "format", "pt" }
 * @return SNUG_ERR_ARG: a duplicate or invalid name, a dtype or shape that cannot be stored
 */
SNUG_MUST_USE SnugStatus safetensors_create(SafetensorsWriter **out, Heap *heap, const char *path,
                                            const SafetensorsItem *items, int32_t n,
                                            const EntryNote *notes, int32_t n_notes,
                                            SnugError *err);
/** The i-th tensor in the order in which data must be appended. */
const SafetensorsItem *safetensors_item(const SafetensorsWriter *writer, int32_t i);
/** Bytes of that tensor. */
size_t safetensors_item_bytes(const SafetensorsWriter *writer, int32_t i);
/** Append data. More than all tensors together is SNUG_ERR_INTERNAL. */
SNUG_MUST_USE SnugStatus safetensors_append(SafetensorsWriter *writer, const void *bytes, size_t n,
                                            SnugError *err);
/** Put data of the i-th tensor in file order, from byte `from` of it on: each byte once, in any
 *  order; not together with safetensors_append. */
SNUG_MUST_USE SnugStatus safetensors_put(SafetensorsWriter *writer, int32_t i, size_t from,
                                         const void *bytes, size_t n, SnugError *err);
/** Make the file visible. SNUG_ERR_INTERNAL while data are missing. */
SNUG_MUST_USE SnugStatus safetensors_commit(SafetensorsWriter *writer, SnugError *err);
void safetensors_close(SafetensorsWriter *writer);

#endif
