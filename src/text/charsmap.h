/* charsmap.h  sentencepiece's precompiled normalisation table: a double array and a string pool.
 * Layout: u32le bytes of the array, the array (u32le units), the pool (UTF-8 ended by NULs). */
#ifndef TEXT_CHARSMAP_H
#define TEXT_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/** A view of a blob that outlives it. Fields are private. */
typedef struct Charsmap {
    const unsigned char *units;
    size_t n_units;
    TextView pool;
} Charsmap;

/** NULL when the blob is well formed, else what is wrong with it. */
const char *charsmap_init(Charsmap *map, TextView blob);
/** Bytes that n characters of base64 may need. */
#define CHARSMAP_ROOM(n) ((n) / 4 * 3 + 3)
/** The same from base64, decoded into `room`, which must stay as long as the map. */
const char *charsmap_init_base64(Charsmap *map, TextView base64, char *room);

typedef enum CharsmapRule {
    CHARSMAP_SHORTEST, /**< Hugging Face tokenizers */
    CHARSMAP_LONGEST   /**< sentencepiece */
} CharsmapRule;

typedef enum CharsmapHit {
    CHARSMAP_MISS,
    CHARSMAP_HIT,
    CHARSMAP_BROKEN /**< the array leads out of itself or of the pool: a malformed file */
} CharsmapHit;

/** Does the table replace what `text` begins with? *from: bytes replaced, *to: by what. */
CharsmapHit charsmap_match(const Charsmap *map, TextView text, CharsmapRule rule, size_t *from,
                           TextView *to);

#endif
