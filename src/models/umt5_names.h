/* umt5_names.h  How llama.cpp spells a T5 or umT5 text encoder in GGUF files. */
#ifndef MODELS_UMT5_NAMES_H
#define MODELS_UMT5_NAMES_H

#include "nn/name_map.h"

/** A tensor by which such files are told. */
#define UMT5_NAMES_GGUF_MARKER "enc.blk.0.attn_q.weight"

enum { UMT5_NAMES_GGUF_ROWS = 13 };
extern const NameRow UMT5_NAMES_GGUF[UMT5_NAMES_GGUF_ROWS];

#endif
