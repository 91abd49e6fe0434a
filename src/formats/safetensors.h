/* safetensors.h  Reader of .safetensors headers (writer: safetensors_write.h).
 *
 *     u64le N | N bytes of JSON | data          ranges in the JSON count from the data's first byte
 *     {"__metadata__": {key: text}, name: {"dtype": D, "shape": [...], "data_offsets": [b, e]}}
 *
 * Checked as the reference does: ranges tile the data exactly, sizes match shape and dtype. Checked
 * besides: duplicate names and keys, whole numbers only, text metadata only. Data may begin at an
 * odd place: never cast a pointer to it. */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H

#include "formats/entry.h"

enum { SAFETENSORS_MAX_HEADER = 100000000 /* bytes, the reference's constant */ };

/** Read and check a header. See FormatRead. */
SNUG_MUST_USE SnugStatus safetensors_read(const File *file, Arena *arena, EntryList *out,
                                          SnugError *err);

/** Element types by their names in the file. */
typedef struct SafetensorsType {
    const char *name;
    int bits;
    DType dtype; /**< DT_COUNT: can be listed only */
} SafetensorsType;

/** NULL for an unknown name. */
const SafetensorsType *safetensors_type(TextView name);
/** NULL for types that safetensors cannot store. The order of the table is the order of data in
 *  written files: smaller pointers first. */
const SafetensorsType *safetensors_type_of(DType dtype);

#endif
