/* gguf_words.h  The vocabulary that llama.cpp puts into a text encoder's file: arrays of pieces, scores
 * and kinds among the metadata, retold as the model file that sentencepiece would have written. */
#ifndef FORMATS_GGUF_WORDS_H
#define FORMATS_GGUF_WORDS_H

#include "base/text.h"
#include "formats/checkpoint.h"

enum {
    GGUF_WORDS_MAX = 1 << 21,        /* pieces */
    GGUF_WORDS_MAX_BYTES = 64 << 20, /* of the model file */
    GGUF_WORDS_MAX_PIECE = 1024      /* bytes */
};

/** Is there one, of the kind that T5 takes (tokenizer.ggml.model "t5")? */
bool gguf_words_has(const Checkpoint *checkpoint);
/** Retell it into the arena. SNUG_ERR_FILE: malformed, or an array missing; SNUG_ERR_IO. */
SNUG_MUST_USE SnugStatus gguf_words_retell(const Checkpoint *checkpoint, Arena *arena,
                                           TextView *out, SnugError *err);

#endif
