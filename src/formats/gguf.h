/* gguf.h  Reader of GGUF files, version 2 and 3, little-endian.
 *
 *     "GGUF" u32 version | u64 tensors | u64 pairs | pairs | infos | padding | data
 *     pair: key, u32 type, value       info: name, u32 rank, u64 dims (fastest first), u32 type,
 *     string: u64 length, bytes              u64 offset (from the data's first byte)
 *
 * Entries have torch's order of dimensions. A tensor that was cut into rows of 256 before it was
 * quantised has its own shape again (comfy.gguf.orig_shape.NAME); its blocks then straddle rows.
 * Strings and single numbers of the pairs become notes; of a vocabulary's arrays the places are kept. */
#ifndef FORMATS_GGUF_H
#define FORMATS_GGUF_H

#include "formats/entry.h"

enum {
    GGUF_MAX_PAIRS = 1 << 20,
    GGUF_MAX_KEY = 65535,         /* bytes */
    GGUF_MAX_STRING = 16 << 20,   /* bytes */
    GGUF_MAX_ARRAY = 1 << 24,     /* elements */
    GGUF_MAX_ALIGNMENT = 1 << 20, /* bytes */
    GGUF_DEFAULT_ALIGNMENT = 32
};

/** Read and check a header. See FormatRead. */
SNUG_MUST_USE SnugStatus gguf_read(const File *file, Arena *arena, EntryList *out, SnugError *err);

/** Number of a dtype in GGUF files; -1: it has none. */
int gguf_type_of(DType dtype);

#endif
