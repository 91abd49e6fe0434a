/* words.h  The regular expressions that cut text into words before byte pairs are merged.
 *
 * tokenizer.json names them by their text; three are known, each a scanner of its own. All read from
 * left to right and take the first alternative that fits, as the regexes do. */
#ifndef TEXT_WORDS_H
#define TEXT_WORDS_H

#include <stdbool.h>

#include "base/text.h"

typedef enum WordPattern {
    WORDS_CLIP,          /**< 's 't 're 've 'm 'll 'd, letters, one number, runs of others */
    WORDS_CLIP_SPECIALS, /**< before these the texts of CLIP's two special tokens */
    WORDS_GPT2           /**< ByteLevel: a space may lead a word, spaces are kept */
} WordPattern;

/** The pattern with exactly this text; false when it is none of those. */
bool words_find(TextView regex, WordPattern *out);
/** The first match at or behind *at: moves *at to its begin, gives its length. False: no more. */
bool words_next(WordPattern pattern, TextView text, size_t *at, size_t *n);

#endif
