/* tokenizer_json.h  A tokenizer as Hugging Face's library saves it (tokenizer.json).
 *
 * Read: Unigram (T5) and BPE (CLIP) models with the parts named in normalizer.h and pretokenizer.h,
 * added tokens, a TemplateProcessing or RobertaProcessing. Other parts are refused by name.
 * "decoder", "truncation" and "padding" are ignored: text is only encoded here, and how long it may
 * be is the caller's decision. */
#ifndef TEXT_TOKENIZER_JSON_H
#define TEXT_TOKENIZER_JSON_H

#include "text/added.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/unigram.h"

enum { TOKENIZER_JSON_MAX_SPECIALS = 64 };

typedef struct TokenizerJson {
    Normalizer normalizer;
    Pretokenizer pretokenizer;
    Vocab vocab;
    bool is_bpe; /**< which of the two models below is in use */
    Unigram unigram;
    Bpe bpe;
    int32_t unk_id;
    Added added;
    int n_before, n_after; /**< ids the template puts around a text */
    int32_t before[TOKENIZER_JSON_MAX_SPECIALS], after[TOKENIZER_JSON_MAX_SPECIALS];
} TokenizerJson;

/** Read from memory. Tables go into `arena`; `bytes` may go afterwards. The struct must not move.
 *  @param file  for messages
 *  @return SNUG_ERR_FILE: malformed, or a part that is not implemented; SNUG_ERR_MEMORY */
SNUG_MUST_USE SnugStatus tokenizer_json_read(TokenizerJson *json, TextView bytes, const char *file,
                                             Arena *arena, SnugError *err);

/** Append the ids of `text`, without the template's, to `ids` (List of int32_t). Stops early, on a
 *  whole piece, once there are at least `limit`. `plain`: special tokens in it are just text. */
SNUG_MUST_USE SnugStatus tokenizer_json_encode(const TokenizerJson *json, TextView text,
                                               size_t limit, bool plain, List *ids, SnugError *err);

/** Id of an added token or a piece, -1 if there is none. */
int32_t tokenizer_json_find(const TokenizerJson *json, TextView content);
/** The greatest id, plus one. */
int32_t tokenizer_json_n_ids(const TokenizerJson *json);

#endif
