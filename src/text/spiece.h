/* spiece.h  sentencepiece's own model file (spiece.model): a protobuf with pieces, scores and
 * normalisation rules. Unigram models only. Used when a folder has no tokenizer.json.
 *
 * It does not give the same ids as tokenizer.json made from it: here the longest rule of the table
 * wins, control pieces never match text, sums are f32. `</s>` is appended as T5 does. */
#ifndef TEXT_SPIECE_H
#define TEXT_SPIECE_H

#include "text/charsmap.h"
#include "text/unigram.h"

typedef struct Spiece {
    Vocab vocab;
    Unigram unigram;
    bool has_map, has_users;
    Charsmap map;
    Vocab users; /**< user-defined symbols: not normalised */
    bool dummy_prefix, remove_extra, escape, suffix;
    int32_t unk_id, eos_id, pad_id; /**< -1: none */
} Spiece;

/** Read a model from memory. Tables go into `arena`; `bytes` may go afterwards.
 *  @param file  for messages
 *  @return SNUG_ERR_FILE, SNUG_ERR_MEMORY */
SNUG_MUST_USE SnugStatus spiece_read(Spiece *spiece, TextView bytes, const char *file, Arena *arena,
                                     SnugError *err);

/** Append the ids of `text`, without `</s>`, to `ids` (List of int32_t). */
SNUG_MUST_USE SnugStatus spiece_encode(const Spiece *spiece, TextView text, List *ids,
                                       SnugError *err);

#endif
