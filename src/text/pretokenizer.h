/* pretokenizer.h  The "pre_tokenizer" of tokenizer.json: Sequence, WhitespaceSplit, Metaspace,
 * Split (by the patterns of words.h), ByteLevel. Any other is refused by name when the file is read. */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include "base/json_scan.h"
#include "text/passage.h"
#include "text/words.h"

enum { PRETOKENIZER_MAX_STEPS = 16 };

typedef enum PretokenizerKind {
    PRETOKENIZER_WHITESPACE,
    PRETOKENIZER_METASPACE,
    PRETOKENIZER_WORDS, /**< Split: matches stay, what lies between goes */
    PRETOKENIZER_BYTES  /**< ByteLevel: every byte becomes a visible character */
} PretokenizerKind;

typedef enum PretokenizerPrefix { PREFIX_ALWAYS, PREFIX_FIRST, PREFIX_NEVER } PretokenizerPrefix;

typedef struct PretokenizerStep {
    PretokenizerKind kind;
    PretokenizerPrefix prefix; /**< METASPACE: which pieces get a mark in front */
    bool split;                /**< METASPACE: cut before every mark */
    char mark[4];              /**< METASPACE: what stands for a space, one character */
    size_t mark_bytes;
    WordPattern pattern; /**< WORDS */
    bool words;          /**< BYTES: cut by WORDS_GPT2 first */
    bool lead;           /**< BYTES: a space in front if there is none */
} PretokenizerStep;

/** Steps in order; none for null. */
typedef struct Pretokenizer {
    int n;
    PretokenizerStep step[PRETOKENIZER_MAX_STEPS];
} Pretokenizer;

/** Read the value `scan` stands at. A failure is the scan's. */
bool pretokenizer_read(Pretokenizer *pretokenizer, JsonScan *scan);

/** Cut a text: the pieces are parts of `text`, both emptied first. None of them is empty.
 *  @param pieces  List of Piece */
SNUG_MUST_USE SnugStatus pretokenizer_run(const Pretokenizer *pretokenizer, TextView in,
                                          size_t start_bytes, TextBuilder *text, List *pieces,
                                          SnugError *err);

#endif
