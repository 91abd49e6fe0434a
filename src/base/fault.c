/* fault.c  One shape for every complaint about a file. */
#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

static const char *const WORDS[FAULT_COUNT] = {
    [FAULT_TRUNCATED] = "truncated",
    [FAULT_BAD_MAGIC] = "wrong kind of file",
    [FAULT_BAD_VERSION] = "bad version",
    [FAULT_TOO_LARGE] = "too large",
    [FAULT_OVERFLOW] = "overflow",
    [FAULT_BAD_TEXT] = "bad text",
    [FAULT_BAD_JSON] = "bad JSON",
    [FAULT_BAD] = "bad value",
    [FAULT_DUPLICATE] = "duplicate",
    [FAULT_OVERLAP] = "overlap",
    [FAULT_HOLE] = "hole",
    [FAULT_MISMATCH] = "mismatch",
    [FAULT_MISSING] = "missing",
    [FAULT_UNSUPPORTED] = "not supported",
    [FAULT_UNSAFE] = "unsafe",
    [FAULT_TOO_DEEP] = "too deep",
};

const char *fault_word(Fault fault)
{
    return WORDS[fault];
}

SnugStatus fault_set(SnugError *err, Fault fault, const char *file, const char *format,
                     const char *where, const char *what, ...)
{
    char text[768], place[TEXT_ESCAPED] = "";
    if (!err) return SNUG_ERR_FILE;
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    if (where) (void)text_escape(place, where, strlen(where));
    return error_set(err, SNUG_ERR_FILE, "%s: %s: %s%s%s: %s", file, format, place,
                     where ? ": " : "", WORDS[fault], text);
}
