/* tokenizer.h  Text to token ids, exactly as the reference libraries cut it.
 *
 *     Tokenizer *t;
 *     TRY(tokenizer_open(&t, heap, "model/tokenizer", err));
 *     TextView prompt = { text, strlen(text) };
 *     status = tokenizer_encode(t, prompt, 512, arena, &ids, &n, err);
 *     tokenizer_close(t);
 *
 * tokenizer.json (Hugging Face tokenizers) with a Unigram model (T5, umT5) or BPE (CLIP).
 * spiece.model (sentencepiece) and CLIP's vocab.json with merges.txt only where there is no
 * tokenizer.json; spiece's ids differ for rare text (spiece.h).
 * Clean the prompt first where the reference does (clean.h).
 * umT5's 256,300 pieces take about 8 MB. Unicode tables are those of the installed utf8proc. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"
#include "snug/status.h"

enum {
    TOKENIZER_MAX_FILE_BYTES = 64 * 1024 * 1024,
    TOKENIZER_MAX_TEXT_BYTES = 1024 * 1024 /* of one text to encode */
};

typedef struct Tokenizer Tokenizer;

/**
 * Load a tokenizer.
 * @param path  folder with tokenizer.json, spiece.model or vocab.json and merges.txt (its
 *              tokenizer_config.json or special_tokens_map.json names the special tokens), or one
 *              file of the first two kinds
 * @param out   owned by the caller (tokenizer_close); NULL after a failure
 * @return SNUG_OK; SNUG_ERR_FILE: absent, malformed, or with a part that is not implemented, which
 *         err names; SNUG_ERR_IO; SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus tokenizer_open(Tokenizer **out, Heap *heap, const char *path,
                                        SnugError *err);
/** The same from memory: a tokenizer.json or a spiece.model; special tokens have their usual names.
 *  @param name  for messages */
SNUG_MUST_USE SnugStatus tokenizer_read(Tokenizer **out, Heap *heap, TextView bytes,
                                        const char *name, SnugError *err);
void tokenizer_close(Tokenizer *tokenizer);

/**
 * Cut a text into ids and put the template's around them (T5: `</s>` behind).
 * @param text        UTF-8, at most TOKENIZER_MAX_TEXT_BYTES
 * @param max_length  most ids in all; longer texts lose their end, never the template. 0: no limit
 * @param ids, n      in `arena`; not padded
 * @return SNUG_OK; SNUG_ERR_ARG: invalid UTF-8, too long a text, max_length without room for the
 *         template, a character unknown to a tokenizer without an unknown token; SNUG_ERR_FILE: a
 *         broken normalisation table; SNUG_ERR_MEMORY
 * Threads: any, also together.
 */
SNUG_MUST_USE SnugStatus tokenizer_encode(const Tokenizer *tokenizer, TextView text,
                                          int64_t max_length, Arena *arena, int32_t **ids,
                                          int64_t *n, SnugError *err);
/** The same, but special tokens that stand in the text ("</s>", "<extra_id_0>") are just text.
 *  The references do not do that. */
SNUG_MUST_USE SnugStatus tokenizer_encode_plain(const Tokenizer *tokenizer, TextView text,
                                                int64_t max_length, Arena *arena, int32_t **ids,
                                                int64_t *n, SnugError *err);

/** Ids of the tokens with these roles; -1 where the tokenizer has none. */
int32_t tokenizer_pad_id(const Tokenizer *tokenizer);
int32_t tokenizer_eos_id(const Tokenizer *tokenizer);
int32_t tokenizer_unk_id(const Tokenizer *tokenizer);
/** The greatest id that can come out, plus one: an embedding needs that many rows. */
int32_t tokenizer_n_ids(const Tokenizer *tokenizer);

#endif
