/* clean.c  Source: wan spec 3.1; ftfy 6.3.1 ftfy/fixes.py and ftfy/chardata.py, CPython's
 * Lib/html/__init__.py, diffusers pipelines/wan/pipeline_wan.py (prompt_clean). */
#include "text/clean.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "text/entities.h"
#include "text/unicode.h"

static void add_code(TextBuilder *out, uint32_t code)
{
    char bytes[4];
    text_add(out, bytes, (size_t)text_utf8_put(bytes, code));
}

/* ---- one character to what it should be ---- */

static const struct {
    uint32_t code;
    const char *letters;
} LIGATURES[] = {
    { 0x132, "IJ" },         { 0x133, "ij" },        { 0x149, "\xca\xbcn" }, { 0x1c4, "D\xc5\xbd" },
    { 0x1c5, "D\xc5\xbe" },  { 0x1c6, "d\xc5\xbe" }, { 0x1c7, "LJ" },        { 0x1c8, "Lj" },
    { 0x1c9, "lj" },         { 0x1ca, "NJ" },        { 0x1cb, "Nj" },        { 0x1cc, "nj" },
    { 0x1f1, "DZ" },         { 0x1f2, "Dz" },        { 0x1f3, "dz" },        { 0xfb00, "ff" },
    { 0xfb01, "fi" },        { 0xfb02, "fl" },       { 0xfb03, "ffi" },      { 0xfb04, "ffl" },
    { 0xfb05, "\xc5\xbft" }, { 0xfb06, "st" },
};

static const char *ligature(uint32_t code)
{
    for (size_t i = 0; i < COUNT(LIGATURES); i++)
        if (LIGATURES[i].code == code) return LIGATURES[i].letters;
    return NULL;
}

/* The upper case of what an entity stands for; "&SZLIG;" and its like are meant as shouted. */
static void add_upper(TextBuilder *out, uint32_t code)
{
    const char *letters = code == 0xdf ? "ss" : ligature(code);
    if (!letters) {
        add_code(out, unicode_upper(code));
        return;
    }
    TextView text = { letters, strlen(letters) };
    for (size_t at = 0; at < text.n;)
        add_code(out, unicode_upper(text_utf8_next(text.at, text.n, &at)));
}

static uint32_t straight_quote(uint32_t code)
{
    if (code == 0x2bc || (code >= 0x2018 && code <= 0x201b)) return '\'';
    return code >= 0x201c && code <= 0x201f ? '"' : code;
}

static void add_narrow(TextBuilder *out, uint32_t code)
{
    char bytes[4];
    if (code == 0x3000)
        add_code(out, ' ');
    else if (code > 0xff00 && code < 0xfff0)
        unicode_normalize(out, (TextView){ bytes, (size_t)text_utf8_put(bytes, code) },
                          UNICODE_NFKC);
    else
        add_code(out, straight_quote(code));
}

/* C1 controls, ligatures, width, quotes, line breaks: none of them can make work for an earlier
 * one, so each character goes through all of them at once. */
static void fix_characters(TextView in, TextBuilder *out)
{
    for (size_t at = 0; at < in.n;) {
        uint32_t code = entities_c1(text_utf8_next(in.at, in.n, &at));
        const char *letters = ligature(code);
        if (code == '\r') {
            if (at < in.n && in.at[at] == '\n') at++;
            add_code(out, '\n');
        } else if (code == 0x2028 || code == 0x2029) {
            add_code(out, '\n');
        } else if (!letters) {
            add_narrow(out, code);
        } else {
            TextView text = { letters, strlen(letters) };
            for (size_t i = 0; i < text.n;)
                add_code(out, straight_quote(text_utf8_next(text.at, text.n, &i)));
        }
    }
}

/* ---- what nobody meant to type ---- */

static bool is_control(uint32_t code)
{
    return code < 0x09 || code == 0x0b || (code >= 0x0e && code < 0x20) || code == 0x7f ||
           (code >= 0x206a && code <= 0x206f) || code == 0xfeff ||
           (code >= 0xfff9 && code <= 0xfffc);
}

/* Bytes of a terminal escape at `at`: ESC [ digits and ; then a letter. 0: none. */
static size_t escape_at(TextView in, size_t at)
{
    size_t end = at + 2;
    if (in.n - at < 3 || in.at[at] != '\x1b' || in.at[at + 1] != '[') return 0;
    for (size_t next = end; next < in.n; end = next) {
        uint32_t code = text_utf8_next(in.at, in.n, &next);
        if (code != ';' && !unicode_is_digit(code)) break;
    }
    if (end >= in.n) return 0;
    const char letter = (char)(in.at[end] | 0x20);
    return letter >= 'a' && letter <= 'z' ? end + 1 - at : 0;
}

static void drop_controls(TextView in, TextBuilder *out)
{
    for (size_t at = 0; at < in.n;) {
        size_t next = at, escape = escape_at(in, at);
        uint32_t code = text_utf8_next(in.at, in.n, &next);
        if (escape)
            next = at + escape;
        else if (!is_control(code))
            text_add(out, in.at + at, next - at);
        at = next;
    }
}

/* ---- HTML ---- */

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static int digit_of(char c, int base)
{
    int digit = c >= '0' && c <= '9'                     ? c - '0'
                : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                         : base;
    return digit < base ? digit : -1;
}

/* A number at text[at..] just behind "&#": its value (cut at 2^24), and where its digits end.
 * False when there is none. */
static bool number_at(TextView text, size_t at, uint32_t *value, size_t *end)
{
    int base = 10;
    if (at < text.n && (text.at[at] | 0x20) == 'x') {
        base = 16;
        at++;
    }
    const size_t from = at;
    *value = 0;
    for (int digit; at < text.n && (digit = digit_of(text.at[at], base)) >= 0; at++)
        if (*value < 1u << 24) *value = *value * (uint32_t)base + (uint32_t)digit;
    *end = at;
    return at > from;
}

static void add_entity(TextBuilder *out, const Entity *entity)
{
    add_code(out, entity->codes[0]);
    if (entity->codes[1]) add_code(out, entity->codes[1]);
}

/* "&NTILDE;": a name that is known in lower case only, shouted. */
static bool add_shouted(TextBuilder *out, TextView name)
{
    char lower[32];
    if (name.n > sizeof lower) return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.at[i] >= 'a') return false;
        lower[i] = (char)(name.at[i] >= 'A' ? name.at[i] | 0x20 : name.at[i]);
    }
    const Entity *entity = entities_find((TextView){ lower, name.n });
    if (!entity || entities_find_bare(name, name.n)) return false;
    add_upper(out, entity->codes[0]);
    if (entity->codes[1]) add_upper(out, entity->codes[1]);
    return true;
}

/* ftfy's cautious rule: only complete ones, "&" name or number ";". Returns bytes read, 0: none. */
static size_t decode_strict(TextView in, size_t at, TextBuilder *out)
{
    enum { LONGEST = 24 };
    const bool numbered = at + 1 < in.n && in.at[at + 1] == '#';
    const size_t from = at + 1 + numbered;
    size_t end = from;
    while (end < in.n && end - from < LONGEST && is_alnum(in.at[end]))
        end++;
    if (end == from || end >= in.n || in.at[end] != ';') return 0;
    const TextView name = { in.at + from, end - from };
    if (!numbered) {
        const Entity *entity = entities_find(name);
        if (entity) add_entity(out, entity);
        return entity || add_shouted(out, name) ? end + 1 - at : 0;
    }
    uint32_t value, code;
    size_t digits_end;
    /* ftfy takes a result with a ';' in it for a half-decoded one, so "&#59;" stays */
    if (!number_at(in, from, &value, &digits_end) || digits_end != end || value == ';') return 0;
    if (entities_number(value, &code)) add_code(out, code);
    return end + 1 - at;
}

/* Where the name behind "&" ends: at most 32 characters that can be in one. */
static size_t name_end(TextView in, size_t at)
{
    enum { LONGEST = 32 };
    for (int i = 0; i < LONGEST && at < in.n && !memchr("\t\n\f <&#;", in.at[at], 8); i++)
        (void)text_utf8_next(in.at, in.n, &at);
    return at;
}

/* html.unescape: numbers and old names also without ";". Returns bytes read, 0: none. */
static size_t decode_lenient(TextView in, size_t at, TextBuilder *out)
{
    uint32_t value, code;
    size_t end;
    if (at + 1 < in.n && in.at[at + 1] == '#') {
        if (!number_at(in, at + 2, &value, &end)) return 0;
        if (entities_number(value, &code)) add_code(out, code);
        return end + (end < in.n && in.at[end] == ';') - at;
    }
    end = name_end(in, at + 1);
    const TextView name = { in.at + at + 1, end - at - 1 };
    if (name.n == 0) return 0;
    const bool closed = end < in.n && in.at[end] == ';';
    const Entity *entity = closed ? entities_find(name) : NULL;
    if (entity) {
        add_entity(out, entity);
        return end + 1 - at;
    }
    entity = entities_find_bare(name, name.n);
    if (entity) add_entity(out, entity);
    const size_t used = entity ? strlen(entity->name) : 0;
    if (!entity) text_add(out, "&", 1);
    text_add(out, name.at + used, name.n - used); /* what follows a name is not looked at again */
    if (closed) text_add(out, ";", 1);
    return end + closed - at;
}

typedef size_t Decode(TextView in, size_t at, TextBuilder *out);

static void unescape(TextView in, Decode *decode, TextBuilder *out)
{
    for (size_t at = 0, plain = 0; at <= in.n;) {
        const char *found = at < in.n ? memchr(in.at + at, '&', in.n - at) : NULL;
        at = found ? (size_t)(found - in.at) : in.n;
        text_add(out, in.at + plain, at - plain);
        if (at == in.n) break;
        size_t used = decode(in, at, out);
        plain = at;
        if (used) plain = at + used;
        at = used ? plain : at + 1;
    }
}

/* ---- the whole ---- */

/** Two builders in turns: what was written last is read next. */
typedef struct Work {
    TextBuilder now, next;
    TextBuilder before; /* the line as the pass in progress found it */
} Work;

static TextView turn(Work *work)
{
    TextBuilder swap = work->now;
    work->now = work->next;
    work->next = swap;
    work->now.n = 0; /* to be written */
    return (TextView){ work->next.at, work->next.n };
}

/* One line through all of ftfy's fixers until none changes it; the result is in work->now. */
static void fix_line(Work *work, TextView line, bool html)
{
    TextBuilder *before = &work->before;
    work->now.n = 0;
    text_add(&work->now, line.at, line.n);
    for (int pass = 0; pass < CLEAN_MAX_PASSES; pass++) {
        before->n = 0;
        text_add(before, work->now.at, work->now.n);
        if (html) unescape(turn(work), decode_strict, &work->now);
        fix_characters(turn(work), &work->now);
        drop_controls(turn(work), &work->now);
        unicode_normalize(&work->now, turn(work), UNICODE_NFC);
        if (before->failed || work->now.failed || work->next.failed) break;
        const TextView was = { before->at, before->n }, is = { work->now.at, work->now.n };
        if (text_equal(was, is)) break;
    }
}

/* Python's str.isspace: White_Space and the four separators. */
static bool is_blank(uint32_t code)
{
    return unicode_is_space(code) || (code >= 0x1c && code <= 0x1f);
}

static void collapse(TextView in, TextBuilder *out)
{
    bool due = false;
    for (size_t at = 0; at < in.n;) {
        size_t from = at;
        if (is_blank(text_utf8_next(in.at, in.n, &at))) {
            due = out->n > 0;
            continue;
        }
        if (due) text_add(out, " ", 1);
        due = false;
        text_add(out, in.at + from, at - from);
    }
}

static void clean(TextView text, Work *work, TextBuilder *all)
{
    bool html = true; /* until the first '<': then it is HTML on purpose */
    for (size_t at = 0; at < text.n;) {
        const char *found = memchr(text.at + at, '\n', text.n - at);
        size_t end = found ? (size_t)(found - text.at) + 1 : text.n;
        TextView line = { text.at + at, end - at };
        if (memchr(line.at, '<', line.n)) html = false;
        fix_line(work, line, html);
        text_add(all, work->now.at, work->now.n);
        at = end;
    }
    work->now.n = work->next.n = 0;
    unescape((TextView){ all->at, all->n }, decode_lenient, &work->now);
    unescape(turn(work), decode_lenient, &work->now);
    all->n = 0;
    collapse((TextView){ work->now.at, work->now.n }, all);
}

SnugStatus clean_prompt(TextView text, Arena *arena, TextView *out, SnugError *err)
{
    if (text.n > CLEAN_MAX_TEXT_BYTES)
        return error_set(err, SNUG_ERR_ARG, "prompt: too large: got %zu bytes, limit %d", text.n,
                         CLEAN_MAX_TEXT_BYTES);
    size_t good = text_utf8_check(text.at, text.n);
    if (good < text.n)
        return error_set(err, SNUG_ERR_ARG, "prompt: invalid UTF-8 at byte %zu", good);
    Work work;
    TextBuilder all;
    text_init(&work.now, arena->heap, "text");
    text_init(&work.next, arena->heap, "text");
    text_init(&work.before, arena->heap, "text");
    text_init(&all, arena->heap, "text");
    clean(text, &work, &all);
    bool failed = work.now.failed || work.next.failed || work.before.failed || all.failed;
    const char *kept = failed ? NULL : arena_text(arena, all.n ? all.at : "", all.n);
    if (kept) *out = (TextView){ kept, all.n };
    text_release(&work.now);
    text_release(&work.next);
    text_release(&work.before);
    text_release(&all);
    return kept ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "prompt: no memory to clean it");
}
