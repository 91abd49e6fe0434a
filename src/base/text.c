/* text.c  UTF-8 by the table of RFC 3629; everything here works on bytes with a length. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

bool text_is(TextView view, const char *literal)
{
    return strlen(literal) == view.n && (view.n == 0 || memcmp(view.at, literal, view.n) == 0);
}

bool text_equal(TextView a, TextView b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

int text_compare(TextView a, TextView b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.at, b.at, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool text_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

/* Length of the valid sequence at u[0..n-1], 0 if there is none. The second byte's range depends
 * on the first: that is what keeps out overlong forms, surrogates and values past U+10FFFF. */
static int sequence(const unsigned char *u, size_t n)
{
    if (u[0] < 0x80) return 1;
    if (u[0] < 0xc2 || u[0] > 0xf4) return 0;
    int length = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    if (n < (size_t)length) return 0;
    unsigned char low = 0x80, high = 0xbf;
    if (u[0] == 0xe0) low = 0xa0;
    if (u[0] == 0xed) high = 0x9f;
    if (u[0] == 0xf0) low = 0x90;
    if (u[0] == 0xf4) high = 0x8f;
    if (u[1] < low || u[1] > high) return 0;
    for (int i = 2; i < length; i++)
        if (u[i] < 0x80 || u[i] > 0xbf) return 0;
    return length;
}

size_t text_utf8_check(const char *bytes, size_t n)
{
    const unsigned char *u = (const unsigned char *)bytes;
    size_t i = 0;
    while (i < n) {
        uint64_t eight; /* most text is ASCII: take it eight bytes at a time */
        if (n - i >= sizeof eight) {
            memcpy(&eight, u + i, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        int length = sequence(u + i, n - i);
        if (!length) return i;
        i += (size_t)length;
    }
    return n;
}

uint32_t text_utf8_next(const char *bytes, size_t n, size_t *at)
{
    const unsigned char *u = (const unsigned char *)bytes + *at;
    int length = sequence(u, n - *at);
    if (length < 2) {
        *at += 1;
        return length ? u[0] : 0xfffd;
    }
    uint32_t code = u[0] & (0xffu >> (length + 1));
    for (int i = 1; i < length; i++)
        code = code << 6 | (u[i] & 0x3fu);
    *at += (size_t)length;
    return code;
}

int text_utf8_put(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    int length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00u >> length & 0xff) | code);
    return length;
}

/* Characters that would let a file name lie on a terminal: controls, invisible and reordering. */
static bool hides(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff || code == 0xfffd;
}

const char *text_escape(char out[TEXT_ESCAPED], const char *bytes, size_t n)
{
    size_t used = 0, i = 0;
    while (i < n) {
        size_t next = i;
        bool plain = !hides(text_utf8_next(bytes, n, &next));
        size_t need = plain ? next - i : 4 * (next - i);
        if (used + need > TEXT_SHOWN) break;
        if (plain) memcpy(out + used, bytes + i, need);
        for (size_t k = 0; !plain && k < next - i; k++)
            (void)snprintf(out + used + 4 * k, 5, "\\x%02x", (unsigned)(unsigned char)bytes[i + k]);
        used += need;
        i = next;
    }
    memcpy(out + used, i < n ? "..." : "", i < n ? 4 : 1);
    return out;
}

void text_init(TextBuilder *builder, Heap *heap, const char *label)
{
    *builder = (TextBuilder){ .heap = heap, .label = label };
}

void text_release(TextBuilder *builder)
{
    heap_give(builder->heap, builder->at);
    *builder = (TextBuilder){ .heap = builder->heap, .label = builder->label };
}

/* Room for n more bytes and the terminator. */
static bool grow(TextBuilder *builder, size_t n)
{
    size_t need;
    if (builder->failed) return false;
    if (size_add(builder->n, n, &need) && size_add(need, 1, &need)) {
        if (need <= builder->room) return true;
        size_t room = builder->room < 256 ? 256 : builder->room;
        while (room < need)
            room = room > SIZE_MAX / 2 ? need : 2 * room;
        char *bigger = heap_take(builder->heap, room, builder->label);
        if (bigger) {
            if (builder->n) memcpy(bigger, builder->at, builder->n);
            heap_give(builder->heap, builder->at);
            builder->at = bigger;
            builder->room = room;
            return true;
        }
    }
    builder->failed = true;
    return false;
}

void text_add(TextBuilder *builder, const char *bytes, size_t n)
{
    if (!grow(builder, n)) return;
    if (n) memcpy(builder->at + builder->n, bytes, n);
    builder->n += n;
    builder->at[builder->n] = '\0';
}

void text_addf(TextBuilder *builder, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && grow(builder, (size_t)n)) {
        (void)vsnprintf(builder->at + builder->n, (size_t)n + 1, format, again);
        builder->n += (size_t)n;
    }
    va_end(again);
}

void text_add_json(TextBuilder *builder, const char *bytes, size_t n)
{
    static const char NAMED[] = "\"\\\b\f\n\r\t", LETTER[] = "\"\\bfnrt";
    size_t from = 0;
    text_add(builder, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        text_add(builder, bytes + from, i - from);
        from = i + 1;
        const char *named = c ? strchr(NAMED, c) : NULL;
        if (named)
            text_addf(builder, "\\%c", LETTER[named - NAMED]);
        else
            text_addf(builder, "\\u%04x", (unsigned)c);
    }
    text_add(builder, bytes + from, n - from);
    text_add(builder, "\"", 1);
}
