/* json_scan.c  RFC 8259, one token at a time. Depth is bounded and there is no recursion: a file
 * of 100 MB of '[' costs nothing but the reading. */
#include "base/json_scan.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const char *const KIND_WORDS[] = { "nothing",  "null",     "a boolean", "a number",
                                          "a string", "an array", "an object" };

const char *json_kind_words(JsonKind kind)
{
    return KIND_WORDS[kind];
}

/* "weights.layers[3].shape" into place; cut when long, the beginning says most. */
static void describe_place(const JsonScan *scan, char *place, size_t size)
{
    int used = snprintf(place, size, "byte %zu", scan->at);
    for (int i = 0; i < scan->depth && (size_t)used < size; i++) {
        const struct JsonScanLevel *level = &scan->level[i];
        const char *lead = i ? "." : ", ";
        int shown = level->key.n > 80 ? 80 : (int)level->key.n;
        if (!level->object)
            used += snprintf(place + used, size - (size_t)used, "%s[%lld]", i ? "" : ", ",
                             (long long)(level->count ? level->count - 1 : 0));
        else if (level->count)
            used +=
                snprintf(place + used, size - (size_t)used, "%s%.*s", lead, shown, level->key.at);
    }
}

bool json_scan_fail(JsonScan *scan, Fault fault, const char *what, ...)
{
    char place[1024], text[512];
    if (scan->status != SNUG_OK) return false;
    describe_place(scan, place, sizeof place);
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    scan->status = fault_set(scan->err, fault, scan->file, scan->format, place, "%s", text);
    return false;
}

void json_scan_init(JsonScan *scan, const char *text, size_t n, const char *file,
                    const char *format, Arena *arena, SnugError *err)
{
    memset(scan, 0, sizeof *scan);
    scan->text = text;
    scan->n = n;
    scan->file = file;
    scan->format = format;
    scan->arena = arena;
    scan->err = err;
    scan->value_due = true;
    size_t good = text_utf8_check(text, n);
    if (good < n) {
        scan->at = good;
        (void)json_scan_fail(scan, FAULT_BAD_TEXT, "invalid UTF-8 (got byte 0x%02x)",
                             (unsigned)(unsigned char)text[good]);
    } else if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        (void)json_scan_fail(scan, FAULT_BAD_JSON, "begins with a byte order mark");
    }
}

/* Next character after white space, 0 at the end (a NUL in the text is an error either way). */
static char next_char(JsonScan *scan)
{
    while (scan->at < scan->n) {
        char c = scan->text[scan->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return c;
        scan->at++;
    }
    return 0;
}

static bool unexpected(JsonScan *scan, const char *wanted)
{
    if (scan->at >= scan->n)
        return json_scan_fail(scan, FAULT_BAD_JSON, "text ends early (expected %s)", wanted);
    char shown[TEXT_ESCAPED];
    return json_scan_fail(scan, FAULT_BAD_JSON, "unexpected character '%s' (expected %s)",
                          text_escape(shown, scan->text + scan->at, 1), wanted);
}

JsonKind json_scan_peek(JsonScan *scan)
{
    if (scan->status != SNUG_OK) return JSON_KIND_NONE;
    if (!scan->value_due) {
        (void)json_scan_fail(scan, FAULT_BAD_JSON, "no value here");
        return JSON_KIND_NONE;
    }
    char c = next_char(scan);
    if (c == '{') return JSON_KIND_OBJECT;
    if (c == '[') return JSON_KIND_ARRAY;
    if (c == '"') return JSON_KIND_TEXT;
    if (c == 't' || c == 'f') return JSON_KIND_BOOL;
    if (c == 'n') return JSON_KIND_NULL;
    if (c == '-' || (c >= '0' && c <= '9')) return JSON_KIND_NUMBER;
    (void)unexpected(scan, "a value");
    return JSON_KIND_NONE;
}

static bool expect(JsonScan *scan, JsonKind want)
{
    JsonKind got = json_scan_peek(scan);
    if (got == want) return true;
    if (got == JSON_KIND_NONE) return false;
    return json_scan_fail(scan, FAULT_BAD_JSON, "wrong type (got %s, expected %s)", KIND_WORDS[got],
                          KIND_WORDS[want]);
}

/* ---- containers ---- */

static bool enter(JsonScan *scan, JsonKind kind)
{
    if (!expect(scan, kind)) return false;
    if (scan->depth == JSON_SCAN_MAX_DEPTH)
        return json_scan_fail(scan, FAULT_TOO_DEEP, "nested too deeply (limit %d)",
                              JSON_SCAN_MAX_DEPTH);
    scan->at++;
    scan->value_due = false;
    scan->level[scan->depth++] = (struct JsonScanLevel){ .object = kind == JSON_KIND_OBJECT };
    return true;
}

bool json_scan_object(JsonScan *scan)
{
    return enter(scan, JSON_KIND_OBJECT);
}

bool json_scan_array(JsonScan *scan)
{
    return enter(scan, JSON_KIND_ARRAY);
}

/* Past the comma to where the next key or item begins; false at the closing bracket, too. */
static bool next_member(JsonScan *scan, bool object)
{
    const char close = object ? '}' : ']';
    if (scan->value_due && !json_scan_skip(scan)) return false;
    if (scan->status != SNUG_OK) return false;
    if (scan->depth == 0 || scan->level[scan->depth - 1].object != object)
        return json_scan_fail(scan, FAULT_BAD_JSON, "not inside %s",
                              KIND_WORDS[object ? JSON_KIND_OBJECT : JSON_KIND_ARRAY]);
    struct JsonScanLevel *level = &scan->level[scan->depth - 1];
    char c = next_char(scan);
    if (c == close) {
        scan->at++;
        scan->depth--;
        return false;
    }
    if (level->count > 0) {
        if (c != ',') return unexpected(scan, object ? "',' or '}'" : "',' or ']'");
        scan->at++;
        c = next_char(scan);
        if (c == close) return unexpected(scan, "a value after ','");
    }
    level->count++;
    scan->value_due = true;
    return true;
}

static bool string(JsonScan *scan, TextView *out, TextView *raw);

bool json_scan_key(JsonScan *scan, TextView *key)
{
    TextView raw;
    if (!next_member(scan, true)) return false;
    scan->level[scan->depth - 1].key = (TextView){ .at = "?", .n = 1 };
    if (next_char(scan) != '"') return unexpected(scan, "a key in quotes");
    if (!string(scan, key, &raw)) return false;
    scan->level[scan->depth - 1].key = raw;
    if (next_char(scan) != ':') return unexpected(scan, "':'");
    scan->at++;
    return true;
}

bool json_scan_item(JsonScan *scan)
{
    return next_member(scan, false);
}

/* ---- strings ---- */

static int hex4(const char *at)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* One escape at text[at] == '\\', `left` bytes up to the closing quote or the end of the text.
 * Returns bytes read, 0 if malformed; *code is the character. */
static size_t escape(const char *at, size_t left, uint32_t *code)
{
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    if (left < 2) return 0;
    const char *found = at[1] ? strchr(FROM, at[1]) : NULL;
    if (found) {
        *code = (unsigned char)TO[found - FROM];
        return 2;
    }
    int high = at[1] == 'u' && left >= 6 ? hex4(at + 2) : -1;
    if (high < 0) return 0;
    *code = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff) return 6;
    /* surrogates come in pairs, high first */
    int low = high < 0xdc00 && left >= 12 && at[6] == '\\' && at[7] == 'u' ? hex4(at + 8) : -1;
    if (low < 0xdc00 || low > 0xdfff) return 0;
    *code = 0x10000u + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return 12;
}

/* Decode escapes that were checked before; the result is never longer than the raw text. */
static bool unescape(JsonScan *scan, TextView raw, TextView *out)
{
    char *to = arena_take(scan->arena, raw.n);
    if (!to) {
        scan->status = error_set(scan->err, SNUG_ERR_MEMORY, "%s: %s: no memory for a string",
                                 scan->file, scan->format);
        return false;
    }
    *out = (TextView){ .at = to };
    for (size_t i = 0; i < raw.n;) {
        if (raw.at[i] != '\\') {
            to[out->n++] = raw.at[i++];
            continue;
        }
        uint32_t code = 0;
        i += escape(raw.at + i, raw.n - i, &code);
        out->n += (size_t)text_utf8_put(to + out->n, code);
    }
    return true;
}

/* A string at the opening quote. out NULL: only check it. raw: as written, without quotes. */
static bool string(JsonScan *scan, TextView *out, TextView *raw)
{
    const size_t from = ++scan->at;
    bool escaped = false;
    while (scan->at < scan->n && scan->text[scan->at] != '"') {
        if ((unsigned char)scan->text[scan->at] < 0x20)
            return json_scan_fail(scan, FAULT_BAD_JSON, "control character inside a string");
        size_t step = 1;
        if (scan->text[scan->at] == '\\') {
            uint32_t code;
            step = escape(scan->text + scan->at, scan->n - scan->at, &code);
            if (!step) return json_scan_fail(scan, FAULT_BAD_JSON, "bad escape in a string");
            escaped = true;
        }
        scan->at += step;
    }
    if (scan->at >= scan->n) return unexpected(scan, "'\"'");
    *raw = (TextView){ .at = scan->text + from, .n = scan->at - from };
    scan->at++;
    if (!out) return true;
    *out = *raw;
    return !escaped || unescape(scan, *raw, out);
}

bool json_scan_text(JsonScan *scan, TextView *out)
{
    TextView raw;
    if (!expect(scan, JSON_KIND_TEXT) || !string(scan, out, &raw)) return false;
    scan->value_due = false;
    return true;
}

/* ---- words and numbers ---- */

static bool word(JsonScan *scan, const char *spelling)
{
    size_t n = strlen(spelling);
    if (scan->n - scan->at < n || memcmp(scan->text + scan->at, spelling, n) != 0)
        return unexpected(scan, spelling);
    scan->at += n;
    scan->value_due = false;
    return true;
}

bool json_scan_bool(JsonScan *scan, bool *out)
{
    if (!expect(scan, JSON_KIND_BOOL)) return false;
    bool value = scan->text[scan->at] == 't';
    if (!word(scan, value ? "true" : "false")) return false;
    *out = value;
    return true;
}

bool json_scan_null(JsonScan *scan)
{
    return expect(scan, JSON_KIND_NULL) && word(scan, "null");
}

static size_t digits(const JsonScan *scan, size_t at)
{
    size_t from = at;
    while (at < scan->n && scan->text[at] >= '0' && scan->text[at] <= '9')
        at++;
    return at - from;
}

static char char_at(const JsonScan *scan, size_t at)
{
    return at < scan->n ? scan->text[at] : '\0';
}

/* The characters of one number; *whole: it has neither fraction nor exponent. */
static bool number(JsonScan *scan, TextView *out, bool *whole)
{
    if (!expect(scan, JSON_KIND_NUMBER)) return false;
    const size_t from = scan->at;
    size_t at = from + (scan->text[from] == '-'), n = digits(scan, at);
    bool good = n == 1 || (n > 1 && scan->text[at] != '0'); /* no leading zeros */
    at += n;
    *whole = true;
    if (good && char_at(scan, at) == '.') {
        *whole = false;
        n = digits(scan, ++at);
        good = n > 0;
        at += n;
    }
    if (good && (char_at(scan, at) | 32) == 'e') {
        *whole = false;
        at++;
        if (char_at(scan, at) == '+' || char_at(scan, at) == '-') at++;
        n = digits(scan, at);
        good = n > 0;
        at += n;
    }
    if (!good) return json_scan_fail(scan, FAULT_BAD_JSON, "malformed number");
    if (at - from > JSON_SCAN_MAX_NUMBER)
        return json_scan_fail(scan, FAULT_BAD_JSON, "number of %zu characters (limit %d)",
                              at - from, JSON_SCAN_MAX_NUMBER);
    *out = (TextView){ .at = scan->text + from, .n = at - from };
    scan->at = at;
    scan->value_due = false;
    return true;
}

/* Sign and size of a whole number; fails at the number's own place. */
static bool whole_number(JsonScan *scan, bool *negative, uint64_t *out)
{
    TextView text;
    bool whole;
    if (!number(scan, &text, &whole)) return false;
    uint64_t value = 0;
    bool fits = whole;
    *negative = text.at[0] == '-';
    for (size_t i = *negative; fits && i < text.n; i++)
        fits = !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value);
    *out = value;
    if (fits) return true;
    scan->at -= text.n;
    return json_scan_fail(scan, FAULT_BAD_JSON, "%s (got %.*s)",
                          whole ? "whole number does not fit 64 bits" : "not a whole number",
                          text.n > 40 ? 40 : (int)text.n, text.at);
}

bool json_scan_u64(JsonScan *scan, uint64_t *out)
{
    bool negative;
    uint64_t value;
    if (!whole_number(scan, &negative, &value)) return false;
    if (negative) return json_scan_fail(scan, FAULT_BAD_JSON, "negative number");
    *out = value;
    return true;
}

bool json_scan_i64(JsonScan *scan, int64_t *out)
{
    bool negative;
    uint64_t value;
    if (!whole_number(scan, &negative, &value)) return false;
    if (value > (uint64_t)INT64_MAX + negative)
        return json_scan_fail(scan, FAULT_BAD_JSON, "whole number does not fit 64 bits");
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

bool json_scan_f64(JsonScan *scan, double *out)
{
    TextView text;
    bool whole;
    char copy[JSON_SCAN_MAX_NUMBER + 1];
    if (!number(scan, &text, &whole)) return false;
    memcpy(copy, text.at, text.n);
    copy[text.n] = '\0';
    /* strtod would follow the host program's locale and may want a decimal comma */
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double value = plain ? strtod_l(copy, NULL, plain) : strtod(copy, NULL);
    if (plain) freelocale(plain);
    if (value - value != 0.0) return json_scan_fail(scan, FAULT_BAD_JSON, "number out of range");
    *out = value;
    return true;
}

/* ---- skipping ---- */

/* Read over a scalar, or enter a container. */
static bool step_in(JsonScan *scan)
{
    TextView raw;
    bool unused;
    switch (json_scan_peek(scan)) {
    case JSON_KIND_OBJECT:
    case JSON_KIND_ARRAY:
        return enter(scan, scan->text[scan->at] == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY);
    case JSON_KIND_BOOL:
        return json_scan_bool(scan, &unused);
    case JSON_KIND_NULL:
        return json_scan_null(scan);
    case JSON_KIND_NUMBER:
        return number(scan, &raw, &unused);
    case JSON_KIND_TEXT:
        if (!string(scan, NULL, &raw)) return false;
        scan->value_due = false;
        return true;
    case JSON_KIND_NONE:
    default:
        return false;
    }
}

/* As json_scan_key, without decoding the key. */
static bool skip_key(JsonScan *scan)
{
    TextView raw;
    if (!next_member(scan, true)) return false;
    if (next_char(scan) != '"') return unexpected(scan, "a key in quotes");
    if (!string(scan, NULL, &raw)) return false;
    scan->level[scan->depth - 1].key = raw;
    if (next_char(scan) != ':') return unexpected(scan, "':'");
    scan->at++;
    return true;
}

bool json_scan_skip(JsonScan *scan)
{
    const int floor = scan->depth;
    if (!step_in(scan)) return false;
    while (scan->depth > floor) {
        bool more = scan->level[scan->depth - 1].object ? skip_key(scan) : json_scan_item(scan);
        if (scan->status != SNUG_OK || (more && !step_in(scan))) return false;
    }
    return true;
}

size_t json_scan_place(const JsonScan *s)
{
    return s->at;
}

SnugStatus json_scan_end(JsonScan *scan)
{
    if (scan->status == SNUG_OK && scan->value_due) (void)json_scan_skip(scan);
    if (scan->status != SNUG_OK) return scan->status;
    if (scan->depth > 0)
        (void)json_scan_fail(
            scan, FAULT_BAD_JSON, "stopped inside %s",
            KIND_WORDS[scan->level[scan->depth - 1].object ? JSON_KIND_OBJECT : JSON_KIND_ARRAY]);
    else if (next_char(scan) || scan->at < scan->n)
        (void)unexpected(scan, "nothing after the value");
    return scan->status;
}
