/* unicode.c  utf8proc works in buffers of ours: its own convenience calls would malloc. */
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "base/size.h"

enum { MAX_DECOMPOSED = 32 }; /* the longest is U+FDFA with 18 */

bool unicode_is_space(uint32_t code)
{
    return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

bool unicode_is_word(uint32_t code)
{
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default: /* the joiners, and the circled and squared letters: symbols, yet Alphabetic */
        return code == 0x200c || code == 0x200d || (code >= 0x24b6 && code <= 0x24e9) ||
               (code >= 0x1f130 && code <= 0x1f149) || (code >= 0x1f150 && code <= 0x1f169) ||
               (code >= 0x1f170 && code <= 0x1f189);
    }
}

bool unicode_is_letter(uint32_t code)
{
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return true;
    default:
        return false;
    }
}

bool unicode_is_number(uint32_t code)
{
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return true;
    default:
        return false;
    }
}

bool unicode_is_digit(uint32_t code)
{
    return utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_ND;
}

uint32_t unicode_upper(uint32_t code)
{
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)code);
}

static void add_code(TextBuilder *out, uint32_t code)
{
    char bytes[4];
    text_add(out, bytes, (size_t)text_utf8_put(bytes, code));
}

void unicode_lowercase(TextBuilder *out, TextView text)
{
    for (size_t at = 0; at < text.n;) {
        uint32_t code = text_utf8_next(text.at, text.n, &at);
        if (code == 0x130) /* the only letter whose lower case is two */
            text_add(out, "i\xcc\x87", 3);
        else
            add_code(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)code));
    }
}

size_t unicode_cluster_end(TextView text, size_t at)
{
    utf8proc_int32_t state = 0;
    uint32_t before = text_utf8_next(text.at, text.n, &at);
    while (at < text.n) {
        size_t next = at;
        uint32_t code = text_utf8_next(text.at, text.n, &next);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)code,
                                             &state))
            break;
        before = code;
        at = next;
    }
    return at;
}

/* ---- normal forms ---- */

/* Decompose all of text into codes (NULL: only count); returns how many there are. */
static size_t decompose(TextView text, utf8proc_option_t options, utf8proc_int32_t *codes)
{
    utf8proc_int32_t few[MAX_DECOMPOSED];
    size_t n = 0;
    for (size_t at = 0; at < text.n;) {
        int unused = 0;
        uint32_t code = text_utf8_next(text.at, text.n, &at);
        utf8proc_ssize_t got =
            utf8proc_decompose_char((utf8proc_int32_t)code, few, MAX_DECOMPOSED, options, &unused);
        if (got < 0 || got > MAX_DECOMPOSED) { /* cannot be: keep the character */
            few[0] = (utf8proc_int32_t)code;
            got = 1;
        }
        if (codes) memcpy(codes + n, few, (size_t)got * sizeof *few);
        n += (size_t)got;
    }
    return n;
}

static int combining_class(utf8proc_int32_t code)
{
    return code < 0x300 ? 0 : utf8proc_get_property(code)->combining_class & 0xff;
}

/* Stable order of one run of combining marks by class: a counting sort, so that a million marks
 * cost a million steps. */
static void order_run(utf8proc_int32_t *codes, size_t n, utf8proc_int32_t *spare)
{
    size_t start[257] = { 0 };
    for (size_t i = 0; i < n; i++)
        start[combining_class(codes[i]) + 1]++;
    for (int c = 0; c < 256; c++)
        start[c + 1] += start[c];
    for (size_t i = 0; i < n; i++)
        spare[start[combining_class(codes[i])]++] = codes[i];
    memcpy(codes, spare, n * sizeof *codes);
}

static void order_marks(utf8proc_int32_t *codes, size_t n, utf8proc_int32_t *spare)
{
    for (size_t i = 0; i < n;) {
        size_t end = i;
        bool sorted = true;
        for (int last = 0, c; end < n && (c = combining_class(codes[end])) != 0; end++) {
            if (c < last) sorted = false;
            last = c;
        }
        if (!sorted) order_run(codes + i, end - i, spare);
        i = end + 1;
    }
}

static bool is_ascii(TextView text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.at[i] >= 0x80) return false;
    return true;
}

void unicode_normalize(TextBuilder *out, TextView text, UnicodeForm form)
{
    static const utf8proc_option_t OPTIONS[] = {
        [UNICODE_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [UNICODE_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [UNICODE_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [UNICODE_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    if (is_ascii(text)) {
        text_add(out, text.at, text.n);
        return;
    }
    size_t n = decompose(text, OPTIONS[form], NULL), bytes;
    utf8proc_int32_t *codes = NULL;
    if (size_mul(n, 2 * sizeof *codes, &bytes)) codes = heap_take(out->heap, bytes, "text");
    if (!codes) {
        out->failed = true;
        return;
    }
    (void)decompose(text, OPTIONS[form], codes);
    order_marks(codes, n, codes + n);
    if (form == UNICODE_NFC || form == UNICODE_NFKC)
        n = (size_t)utf8proc_normalize_utf32(codes, (utf8proc_ssize_t)n,
                                             UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (size_t i = 0; i < n; i++)
        add_code(out, (uint32_t)codes[i]);
    heap_give(out->heap, codes);
}
