/* words.c  Hand-written matchers of three regexes. Source: formats spec 9.3; huggingface/tokenizers
 * src/pre_tokenizers/byte_level.rs; openai/CLIP simple_tokenizer.py. */
#include "text/words.h"

#include <string.h>

#include "base/size.h"
#include "text/unicode.h"

static const struct {
    WordPattern pattern;
    const char *regex;
} KNOWN[] = {
    { WORDS_CLIP, "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
    { WORDS_CLIP_SPECIALS, "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|"
                           "[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
    { WORDS_GPT2, "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                  "\\s+(?!\\S)|\\s+" },
};

bool words_find(TextView regex, WordPattern *out)
{
    for (size_t i = 0; i < COUNT(KNOWN); i++) {
        if (!text_is(regex, KNOWN[i].regex)) continue;
        *out = KNOWN[i].pattern;
        return true;
    }
    return false;
}

typedef enum CharClass { LETTER, NUMBER, SPACE, OTHER } CharClass;

/* Class of the character at `at`, and where it ends. */
static CharClass class_at(TextView text, size_t at, size_t *end)
{
    *end = at;
    const uint32_t code = text_utf8_next(text.at, text.n, end);
    if (unicode_is_letter(code)) return LETTER;
    if (unicode_is_number(code)) return NUMBER;
    return unicode_is_space(code) ? SPACE : OTHER;
}

/* Where the run of `want` that begins at `at` ends. */
static size_t run_end(TextView text, size_t at, CharClass want)
{
    for (size_t end = at; at < text.n; at = end)
        if (class_at(text, at, &end) != want) break;
    return at;
}

/* Bytes of the first of `list` that stands at `at`, 0 if none does. */
static size_t literal(TextView text, size_t at, const char *const *list)
{
    for (; *list; list++) {
        const size_t n = strlen(*list);
        if (text.n - at >= n && memcmp(text.at + at, *list, n) == 0) return n;
    }
    return 0;
}

/* Bytes of the match that begins exactly at `at`; 0: none does. */
static size_t match_clip(TextView text, size_t at, bool specials)
{
    static const char *const SPECIALS[] = { "<|startoftext|>", "<|endoftext|>", NULL };
    static const char *const ENDINGS[] = { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", NULL };
    size_t n = specials ? literal(text, at, SPECIALS) : 0, end;
    if (!n) n = literal(text, at, ENDINGS);
    if (n) return n;
    const CharClass kind = class_at(text, at, &end);
    if (kind == SPACE) return 0;
    return (kind == NUMBER ? end : run_end(text, at, kind)) - at;
}

/* Spaces at `at`: all of them at the end of the text, else all but the last, which leads the word. */
static size_t match_spaces(TextView text, size_t at)
{
    size_t last = at, end = at;
    const size_t stop = run_end(text, at, SPACE);
    while (end < stop) {
        last = end;
        (void)class_at(text, last, &end);
    }
    return (stop == text.n || last == at ? stop : last) - at;
}

static size_t match_gpt2(TextView text, size_t at)
{
    static const char *const ENDINGS[] = { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", NULL };
    size_t n = literal(text, at, ENDINGS), end;
    if (n) return n;
    const size_t word = at + (text.at[at] == ' ');
    if (word < text.n) {
        const CharClass kind = class_at(text, word, &end);
        if (kind != SPACE) return run_end(text, word, kind) - at;
    }
    return match_spaces(text, at);
}

bool words_next(WordPattern pattern, TextView text, size_t *at, size_t *n)
{
    while (*at < text.n) {
        *n = pattern == WORDS_GPT2 ? match_gpt2(text, *at)
                                   : match_clip(text, *at, pattern == WORDS_CLIP_SPECIALS);
        if (*n) return true;
        (void)text_utf8_next(text.at, text.n, at); /* a space nobody takes */
    }
    return false;
}
