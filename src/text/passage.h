/* passage.h  A text on its way through normalizer and pre-tokenizer, and where it came from.
 *
 * The reference keeps for every byte where it stood in the user's text. One use of that decides
 * ids: Metaspace with the scheme "first" marks only a piece that comes from the very beginning.
 * Bytes from there are always the first ones, so their number is all that has to be kept. */
#ifndef TEXT_PASSAGE_H
#define TEXT_PASSAGE_H

#include "base/text.h"
#include "text/list.h"

/** Text of one stretch between added tokens, in progress. */
typedef struct Passage {
    TextBuilder text;
    size_t start_bytes; /**< leading bytes that come from byte 0 of the user's text */
} Passage;

/** A part of some text; List of these are what pre-tokenizers pass on. */
typedef struct Piece {
    size_t at, n;
    size_t start_bytes;
} Piece;

#endif
