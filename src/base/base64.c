/* base64.c  Groups of four characters to three bytes. The last group's spare bits must be zero, so that
 * no two texts mean the same bytes. */
#include "base/base64.h"

#include "base/error.h"

enum { SKIP = -2, BAD = -1 };

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return c == '\n' || c == '\r' || c == ' ' || c == '\t' ? SKIP : BAD;
}

/* What a scan of the text found. */
typedef struct Scan {
    size_t digits, pads;
    size_t bad; /* place of the first character that does not belong; n: none */
} Scan;

static Scan scan(const char *text, size_t n)
{
    Scan s = { .bad = n };
    for (size_t i = 0; i < n; i++) {
        const int d = digit_of(text[i]);
        if (d == SKIP) continue;
        if (text[i] == '=' && s.pads < 2)
            s.pads++;
        else if (d >= 0 && !s.pads)
            s.digits++;
        else {
            s.bad = i;
            break;
        }
    }
    return s;
}

static bool whole(const Scan *s)
{
    return s->digits > 0 && (s->digits + s->pads) % 4 == 0;
}

bool base64_looks(const char *text, size_t n)
{
    const Scan s = scan(text, n);
    return s.bad == n && whole(&s);
}

static bool put(unsigned char *to, size_t *n_out, const char *text, size_t n)
{
    unsigned bits = 0;
    int have = 0;
    for (size_t i = 0; i < n; i++) {
        const int d = digit_of(text[i]);
        if (d < 0) continue;
        bits = bits << 6 | (unsigned)d;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        to[(*n_out)++] = (unsigned char)(bits >> have);
        bits &= (1u << have) - 1;
    }
    return bits == 0;
}

SnugStatus base64_decode(unsigned char **out, size_t *n_out, Heap *heap, const char *text, size_t n,
                         SnugError *err)
{
    const Scan s = scan(text, n);
    *out = NULL;
    *n_out = 0;
    if (s.bad < n)
        return error_set(err, SNUG_ERR_FILE, "base64: character %zu does not belong there", s.bad);
    if (!whole(&s))
        return error_set(err, SNUG_ERR_FILE, "base64: empty, or cut off: %zu characters",
                         s.digits + s.pads);
    *out = heap_take(heap, s.digits / 4 * 3 + 3, "base64");
    if (!*out) return error_set(err, SNUG_ERR_MEMORY, "no memory for a picture");
    if (put(*out, n_out, text, n)) return SNUG_OK;
    heap_give(heap, *out);
    *out = NULL;
    return error_set(err, SNUG_ERR_FILE, "base64: bits are left over at its end");
}
