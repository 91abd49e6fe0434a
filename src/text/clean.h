/* clean.h  A prompt as the Wan pipelines clean it before it is cut into tokens:
 * ftfy.fix_text, html.unescape twice, white space collapsed (diffusers: prompt_clean).
 *
 * Of ftfy 6.3 everything runs that changes sane text: HTML entities, C1 controls, Latin ligatures,
 * full and half width, curly quotes, line breaks, terminal escapes, control characters, NFC; line
 * by line, repeated until nothing changes. It decides ids: the commas of a Chinese prompt become
 * ASCII. What is left out is the repair of mojibake (UTF-8 read as another encoding, "schÃ¶n"):
 * a prompt is not guessed at. After CLEAN_MAX_PASSES a line nested deeper than that ("&amp;amp;...")
 * stays as it then is; ftfy would go on. */
#ifndef TEXT_CLEAN_H
#define TEXT_CLEAN_H

#include "base/arena.h"
#include "base/text.h"
#include "snug/status.h"

enum { CLEAN_MAX_TEXT_BYTES = 1024 * 1024, CLEAN_MAX_PASSES = 64 };

/** @param text  UTF-8, at most CLEAN_MAX_TEXT_BYTES
 *  @param out   in `arena`, also terminated with a NUL; holds none
 *  @return SNUG_ERR_ARG: invalid UTF-8 or too long; SNUG_ERR_MEMORY */
SNUG_MUST_USE SnugStatus clean_prompt(TextView text, Arena *arena, TextView *out, SnugError *err);

#endif
