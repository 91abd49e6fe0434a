/* bpe.h  Byte pair encoding: a word is cut into characters, then the pair that was learnt first is
 * merged, again and again, until no pair of neighbours is in the list. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include <stdint.h>

#include "snug/status.h"
#include "text/list.h"
#include "text/vocab.h"

/** A rule: neighbours left, right become `id`. */
typedef struct BpeMerge {
    int32_t left, right, id;
    uint32_t rank; /**< lower ones first */
} BpeMerge;

typedef struct Bpe {
    const Vocab *vocab;
    const BpeMerge *merge; /**< [n_merges] sorted by left, right; no pair twice */
    uint32_t n_merges;
    TextView suffix;    /**< behind the last character of a word ("</w>"); may be empty */
    int32_t unk_id;     /**< of characters that the vocabulary lacks; -1: they are left out */
    bool fuse_unk;      /**< neighbouring unknown characters give one id */
    bool ignore_merges; /**< a word that is in the vocabulary is taken as it is */
} Bpe;

enum { BPE_MAX_SUFFIX = 32 };

/** Append the ids of one word to `ids` (List of int32_t). Time n log n in its characters.
 *  @return SNUG_OK or SNUG_ERR_MEMORY */
SNUG_MUST_USE SnugStatus bpe_encode(const Bpe *bpe, TextView word, List *ids, SnugError *err);

#endif
