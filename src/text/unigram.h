/* unigram.h  The likeliest cut of a text into pieces (Viterbi), in the arithmetic of either
 * reference: Hugging Face tokenizers sums in f64, sentencepiece (0.2.3) in f32. Repetitive text has
 * many cuts of equal likelihood, and rounding decides between them, so both are needed. */
#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H

#include "snug/status.h"
#include "text/list.h"
#include "text/vocab.h"

typedef struct Unigram {
    const Vocab *vocab;
    bool sentencepiece; /**< f32 sums */
    bool byte_fallback; /**< an unknown character becomes its bytes' pieces */
    int32_t unk_id;     /**< -1: the file has none, and unknown characters are an error */
    double unk_score;   /**< of one unknown character */
    uint32_t skip;      /**< bit k set: pieces of VocabKind k never match */
    int32_t byte_id[256];
} Unigram;

/** Append the ids of one piece of text to `ids` (List of int32_t). `more_skip` adds to
 *  unigram->skip for this call. Time: bytes * longest piece.
 *  @return SNUG_ERR_ARG: an unknown character and no unk_id; SNUG_ERR_MEMORY */
SNUG_MUST_USE SnugStatus unigram_encode(const Unigram *unigram, TextView text, uint32_t more_skip,
                                        List *ids, SnugError *err);

#endif
