/* gguf_cursor.h  Reading a GGUF header from front to back, a window at a time. Errors are sticky. */
#ifndef FORMATS_GGUF_CURSOR_H
#define FORMATS_GGUF_CURSOR_H

#include "base/fault.h"
#include "base/text.h"
#include "formats/gguf.h"

enum { GGUF_WINDOW = 64 * 1024 };

typedef struct GgufCursor {
    const File *file;
    SnugError *err;
    SnugStatus status;
    size_t at; /**< next byte of the file */
    size_t window_at, window_n;
    unsigned char window[GGUF_WINDOW];
} GgufCursor;

/** "where" is escaped; returns false. The first complaint stays. */
__attribute__((format(printf, 4, 5))) bool
gguf_cursor_fail(GgufCursor *cursor, Fault fault, const char *where, const char *what, ...);
/** Bytes between the cursor and the end of the file. */
size_t gguf_cursor_left(const GgufCursor *cursor);
/** Copy the next n bytes; false and "truncated" past the end. */
bool gguf_cursor_bytes(GgufCursor *cursor, void *to, size_t n);
bool gguf_cursor_skip(GgufCursor *cursor, uint64_t n);
/** The next number of 1, 2, 4 or 8 bytes; 0 after a failure. */
uint64_t gguf_cursor_number(GgufCursor *cursor, int width);
/** A string of at most `limit` bytes into the arena, NUL behind it. */
bool gguf_cursor_text(GgufCursor *cursor, Arena *arena, size_t limit, const char *where,
                      TextView *out);

#endif
