/* gguf_cursor.c  Windows of the file; lengths are compared with what is left before they count. */
#include "formats/gguf_cursor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

bool gguf_cursor_fail(GgufCursor *c, Fault fault, const char *where, const char *what, ...)
{
    char text[512];
    if (c->status != SNUG_OK) return false;
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    c->status = fault_set(c->err, fault, file_path(c->file), "gguf", where, "%s", text);
    return false;
}

size_t gguf_cursor_left(const GgufCursor *c)
{
    return file_bytes(c->file) - c->at;
}

static bool fill(GgufCursor *c)
{
    const size_t left = gguf_cursor_left(c);
    c->window_at = c->at;
    c->window_n = left < GGUF_WINDOW ? left : GGUF_WINDOW;
    c->status = file_pread_all(c->file, c->at, c->window, c->window_n, c->err);
    return c->status == SNUG_OK;
}

bool gguf_cursor_bytes(GgufCursor *c, void *to, size_t n)
{
    unsigned char *out = to;
    if (c->status != SNUG_OK) return false;
    if (n > gguf_cursor_left(c))
        return gguf_cursor_fail(c, FAULT_TRUNCATED, "header", "%zu bytes expected, %zu are left", n,
                                gguf_cursor_left(c));
    while (n > 0) {
        if (c->at < c->window_at || c->at >= c->window_at + c->window_n)
            if (!fill(c)) return false;
        const size_t from = c->at - c->window_at, have = c->window_n - from;
        const size_t part = n < have ? n : have;
        memcpy(out, c->window + from, part);
        out += part;
        c->at += part;
        n -= part;
    }
    return true;
}

bool gguf_cursor_skip(GgufCursor *c, uint64_t n)
{
    if (c->status != SNUG_OK) return false;
    if (n > gguf_cursor_left(c))
        return gguf_cursor_fail(c, FAULT_TRUNCATED, "header", "%llu bytes expected, %zu are left",
                                (unsigned long long)n, gguf_cursor_left(c));
    c->at += (size_t)n;
    return true;
}

uint64_t gguf_cursor_number(GgufCursor *c, int width)
{
    unsigned char raw[8];
    uint64_t value = 0;
    if (!gguf_cursor_bytes(c, raw, (size_t)width)) return 0;
    for (int i = width - 1; i >= 0; i--)
        value = value << 8 | raw[i];
    return value;
}

bool gguf_cursor_text(GgufCursor *c, Arena *arena, size_t limit, const char *where, TextView *out)
{
    const uint64_t n = gguf_cursor_number(c, 8);
    if (c->status != SNUG_OK) return false;
    if (n > gguf_cursor_left(c))
        return gguf_cursor_fail(c, FAULT_TRUNCATED, where,
                                "a string of %llu bytes, %zu are left in the file",
                                (unsigned long long)n, gguf_cursor_left(c));
    if (n > limit)
        return gguf_cursor_fail(c, FAULT_TOO_LARGE, where, "a string of %llu bytes, limit %zu",
                                (unsigned long long)n, limit);
    char *text = arena_take(arena, (size_t)n + 1);
    if (!text) {
        c->status =
            error_set(c->err, SNUG_ERR_MEMORY, "%s: no memory for its header", file_path(c->file));
        return false;
    }
    *out = (TextView){ text, (size_t)n };
    return gguf_cursor_bytes(c, text, (size_t)n);
}
