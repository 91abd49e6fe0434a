/* added.h  The "added_tokens" of tokenizer.json: texts that become one id wherever they stand.
 *
 * A user who types "</s>" gets the end token: that is what the references do. Callers who do not
 * want it pass `plain`. */
#ifndef TEXT_ADDED_H
#define TEXT_ADDED_H

#include "base/json_scan.h"
#include "text/normalizer.h"
#include "text/vocab.h"

typedef struct AddedToken {
    TextView content;
    int32_t id;
    bool single_word;    /**< only where no word character touches it */
    bool lstrip, rstrip; /**< swallows white space beside it */
    bool normalized;     /**< looked for after normalising, in its own normalised form */
    bool special;
} AddedToken;

/** Tokens looked for at one stage; patterns.n may be 0. */
typedef struct AddedSet {
    Vocab patterns;
    const AddedToken **token; /**< of patterns' ids */
} AddedSet;

typedef struct Added {
    uint32_t n;
    AddedToken *token;
    AddedSet raw;        /**< in the user's text */
    AddedSet normalized; /**< in the normalised text */
} Added;

/** Read the array `scan` stands at. Ids must be those of `vocab`'s equal pieces, or follow on
 *  from its last one: others would be renumbered by the reference. A failure is the scan's. */
bool added_read(Added *added, JsonScan *scan, const Vocab *vocab, const Normalizer *normalizer,
                Arena *arena);

/** The token with exactly this content, NULL if there is none. */
const AddedToken *added_find(const Added *added, TextView content);

/** A text cut at the tokens it holds. Fields are private. */
typedef struct AddedScan {
    const AddedSet *set;
    TextView text;
    bool plain;
    size_t search, done;       /* where to look on; what was handed out */
    const AddedToken *waiting; /* found behind the stretch handed out last */
    size_t waiting_end;
} AddedScan;

/** `plain`: special tokens are not looked for. */
AddedScan added_scan(const AddedSet *set, TextView text, bool plain);
/** The next part: a token, or (*token NULL) a stretch of text [*at, *at + *n). False at the end. */
bool added_next(AddedScan *scan, const AddedToken **token, size_t *at, size_t *n);

#endif
