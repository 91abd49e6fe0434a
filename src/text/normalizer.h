/* normalizer.h  The "normalizer" of tokenizer.json: Sequence, Precompiled, Strip, Replace, Prepend,
 * Lowercase, NFC, NFD, NFKC, NFKD. Any other type is refused by name when the file is read. */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H

#include "base/json_scan.h"
#include "text/charsmap.h"
#include "text/passage.h"

enum { NORMALIZER_MAX_STEPS = 32 };

typedef enum NormalizerKind {
    NORMALIZER_PRECOMPILED,
    NORMALIZER_STRIP,
    NORMALIZER_REPLACE,        /**< every `pattern` by `content` */
    NORMALIZER_REPLACE_SPACES, /**< every run of two or more ' ' by `content` */
    NORMALIZER_REPLACE_BLANKS, /**< every run of white space by `content` */
    NORMALIZER_PREPEND,
    NORMALIZER_LOWERCASE,
    NORMALIZER_FORM
} NormalizerKind;

typedef struct NormalizerStep {
    NormalizerKind kind;
    bool left, right; /**< STRIP */
    int form;         /**< FORM: UnicodeForm */
    TextView pattern, content;
    Charsmap map;
} NormalizerStep;

/** Steps in order; none for null. */
typedef struct Normalizer {
    int n;
    NormalizerStep step[NORMALIZER_MAX_STEPS];
} Normalizer;

/** Read the value `scan` stands at. Texts go into `arena`, which must outlive the normalizer.
 *  A failure is the scan's. */
bool normalizer_read(Normalizer *normalizer, JsonScan *scan, Arena *arena);

/** Normalise `in` into out->text (emptied first). `start_bytes` is that of `in`.
 *  @return SNUG_ERR_FILE: a broken Precompiled table; SNUG_ERR_MEMORY */
SNUG_MUST_USE SnugStatus normalizer_run(const Normalizer *normalizer, TextView in,
                                        size_t start_bytes, Passage *out, SnugError *err);

#endif
