/* text.h  Pieces of text with a length: UTF-8, escaping for messages and JSON, a string builder. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"

/** Bytes somebody else owns; not terminated, may hold NUL. */
typedef struct TextView {
    const char *at;
    size_t n;
} TextView;

/** Is the view exactly these bytes? */
bool text_is(TextView view, const char *literal);
bool text_equal(TextView a, TextView b);
/** Byte order, as memcmp; a prefix comes first. */
int text_compare(TextView a, TextView b);
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);

/** Offset of the first byte that is no valid UTF-8 (overlong forms, surrogates and values past
 *  U+10FFFF are invalid); n when all is well. */
size_t text_utf8_check(const char *bytes, size_t n);
/** Code point at bytes[*at] of VALID UTF-8; moves *at past it. */
uint32_t text_utf8_next(const char *bytes, size_t n, size_t *at);
/** Encode one code point (<= U+10FFFF); returns how many bytes were written, 1..4. */
int text_utf8_put(char out[4], uint32_t code);

enum { TEXT_SHOWN = 200, TEXT_ESCAPED = TEXT_SHOWN + 8 };
/** The first TEXT_SHOWN bytes' worth of text for a message: control characters, invalid UTF-8 and
 *  characters that reorder or hide text become \xNN, a cut shows as "...". Returns `out`. */
const char *text_escape(char out[TEXT_ESCAPED], const char *bytes, size_t n);

/** String builder. It remembers its first failure, later calls do nothing: check `failed` once. */
typedef struct TextBuilder {
    Heap *heap;
    const char *label;
    char *at; /**< terminated once anything was added */
    size_t n, room;
    bool failed; /**< memory was refused */
} TextBuilder;

void text_init(TextBuilder *builder, Heap *heap, const char *label);
void text_release(TextBuilder *builder);
void text_add(TextBuilder *builder, const char *bytes, size_t n);
__attribute__((format(printf, 2, 3))) void text_addf(TextBuilder *builder, const char *format, ...);
/** Add a JSON string with its quotes; the bytes must be valid UTF-8. */
void text_add_json(TextBuilder *builder, const char *bytes, size_t n);

#endif
