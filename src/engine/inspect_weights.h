/* inspect_weights.h  A set of weights as lines of text or members of a JSON object. */
#ifndef ENGINE_INSPECT_WEIGHTS_H
#define ENGINE_INSPECT_WEIGHTS_H

#include "base/text.h"
#include "formats/checkpoint.h"

/** How to write. */
typedef struct InspectStyle {
    bool json;
    bool tensors; /**< list every tensor */
} InspectStyle;

/** Text of files, whole or cut as text_escape does: nothing in it moves a terminal's cursor. */
void inspect_add_name(TextBuilder *b, const char *name);
/** "key":"text", with a comma before it unless it is `first`; NULL: null. */
void inspect_add_member(TextBuilder *b, const char *key, const char *text, bool first);
/** A copy for the caller, who frees it with snug_text_free, and release the text. NULL after a failure:
 *  SNUG_ERR_MEMORY, or `status` where that is one already. */
SNUG_MUST_USE SnugStatus inspect_hand_out(char **out, TextBuilder *b, SnugStatus status,
                                          SnugError *err);
/** Files, tensors, bytes, stored types; JSON: members without braces, no comma before the first. */
void inspect_add_weights(TextBuilder *b, const Checkpoint *c, InspectStyle style);

#endif
