/* file_kind.h  What kind of weight file is this? By content; the name decides nothing. */
#ifndef FORMATS_FILE_KIND_H
#define FORMATS_FILE_KIND_H

#include "base/file.h"

typedef enum FileKind {
    KIND_UNKNOWN,
    KIND_SAFETENSORS,
    KIND_NPY,
    KIND_GGUF,
    KIND_GGUF_BIG_ENDIAN,
    KIND_GGML_OLD,  /* before GGUF */
    KIND_ZIP_TORCH, /* torch.save since 1.6 */
    KIND_ZIP_NPZ,
    KIND_ZIP,           /* some other zip */
    KIND_TORCH_STACKED, /* torch.save 0.1.10 to 1.5 */
    KIND_TORCH_TAR,     /* torch.save before */
    KIND_TORCH_PREVIEW,
    KIND_PICKLE,
    KIND_COUNT
} FileKind;

/** Reads at most 512 bytes. */
SNUG_MUST_USE SnugStatus file_kind_find(const File *file, FileKind *out, SnugError *err);
/** "a GGUF file", for messages. */
const char *file_kind_words(FileKind kind);
/** Why a checkpoint cannot be read from that kind; names the kind. Always SNUG_ERR_FILE. */
SnugStatus file_kind_refuse(FileKind kind, const char *path, SnugError *err);

#endif
