/* unicode.h  What the Unicode tables say about characters: the only door to utf8proc.
 * All text is valid UTF-8 (text_utf8_check at the boundary). */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/** White_Space, as Rust's char::is_whitespace and \s of the tokenizers' regexes. */
bool unicode_is_space(uint32_t code);
/** \w of the tokenizers' regexes: Alphabetic, marks, decimal digits, connectors, joiners. */
bool unicode_is_word(uint32_t code);
/** \p{L} and \p{N} of the tokenizers' regexes. */
bool unicode_is_letter(uint32_t code);
bool unicode_is_number(uint32_t code);
/** Nd: a decimal digit of any script. */
bool unicode_is_digit(uint32_t code);

/** The simple (one to one) mapping. */
uint32_t unicode_upper(uint32_t code);
/** Append the full lower case, character by character (no final-sigma rule). */
void unicode_lowercase(TextBuilder *out, TextView text);

/** Where the extended grapheme cluster that begins at `at` ends. */
size_t unicode_cluster_end(TextView text, size_t at);

typedef enum UnicodeForm { UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD } UnicodeForm;
/** Append the normalised text. Time is linear whatever the text (combining marks are counted,
 *  not bubbled, into order). */
void unicode_normalize(TextBuilder *out, TextView text, UnicodeForm form);

#endif
