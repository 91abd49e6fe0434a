/* entities.h  Named and numbered characters of HTML, decoded as Python's html module does. */
#ifndef TEXT_ENTITIES_H
#define TEXT_ENTITIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

typedef struct Entity {
    const char *name;  /**< without & and ; */
    bool bare;         /**< also known without ; */
    uint32_t codes[2]; /**< the second is 0 unless there are two */
} Entity;

/** By exact name, without & and ;. NULL if unknown. */
const Entity *entities_find(TextView name);
/** The longest proper or whole prefix of `text` (>= 2 bytes) that is a name known without ;. */
const Entity *entities_find_bare(TextView text, size_t longest);

/** What windows-1252 has at the places of the C1 controls; other codes come back as they are. */
uint32_t entities_c1(uint32_t code);
/** What "&#number;" means: *code, or false where it means nothing (an invalid character). */
bool entities_number(uint32_t number, uint32_t *code);

#endif
