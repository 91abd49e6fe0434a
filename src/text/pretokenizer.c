/* pretokenizer.c  Each step reads the pieces of the one before and writes its own.
 * Source: formats spec 9.1, 9.2; huggingface/tokenizers src/pre_tokenizers. */
#include "text/pretokenizer.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "text/part.h"
#include "text/unicode.h"

/* ---- reading ---- */

static bool read_sequence(Pretokenizer *pretokenizer, JsonScan *scan)
{
    bool seen = false;
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (!text_is(key, "pretokenizers")) continue;
        seen = json_scan_array(scan);
        while (json_scan_item(scan))
            if (!pretokenizer_read(pretokenizer, scan)) return false;
    }
    return seen || json_scan_fail(scan, FAULT_MISSING, "Sequence without its pretokenizers");
}

static bool read_scheme(PretokenizerStep *step, JsonScan *scan)
{
    TextView scheme;
    if (!json_scan_text(scan, &scheme)) return false;
    if (text_is(scheme, "always"))
        step->prefix = PREFIX_ALWAYS;
    else if (text_is(scheme, "first"))
        step->prefix = PREFIX_FIRST;
    else if (text_is(scheme, "never"))
        step->prefix = PREFIX_NEVER;
    else
        return part_refuse(scan, "Metaspace with a prepend_scheme", scheme);
    return true;
}

static bool read_mark(PretokenizerStep *step, JsonScan *scan)
{
    TextView mark;
    if (!json_scan_text(scan, &mark)) return false;
    size_t one = 0;
    if (mark.n) (void)text_utf8_next(mark.at, mark.n, &one);
    if (one == 0 || one != mark.n)
        return json_scan_fail(scan, FAULT_BAD, "Metaspace: the replacement is not one character");
    memcpy(step->mark, mark.at, mark.n);
    step->mark_bytes = mark.n;
    return true;
}

static bool read_metaspace(PretokenizerStep *step, JsonScan *scan)
{
    bool scheme = false, prefix_space = true;
    *step = (PretokenizerStep){ .kind = PRETOKENIZER_METASPACE, .split = true };
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (text_is(key, "replacement"))
            (void)read_mark(step, scan);
        else if (text_is(key, "prepend_scheme"))
            scheme = read_scheme(step, scan);
        else if (json_scan_peek(scan) == JSON_KIND_NULL)
            (void)json_scan_null(scan);
        else if (text_is(key, "split"))
            (void)json_scan_bool(scan, &step->split);
        else if (text_is(key, "add_prefix_space")) /* what older files have instead of a scheme */
            (void)json_scan_bool(scan, &prefix_space);
    }
    if (scan->status != SNUG_OK) return false;
    if (!step->mark_bytes)
        return json_scan_fail(scan, FAULT_MISSING, "Metaspace without a replacement");
    if (!prefix_space && scheme && step->prefix != PREFIX_NEVER)
        return json_scan_fail(scan, FAULT_BAD,
                              "Metaspace: add_prefix_space and prepend_scheme contradict");
    if (!prefix_space) step->prefix = PREFIX_NEVER;
    return true;
}

static bool read_whitespace(PretokenizerStep *step, JsonScan *scan)
{
    *step = (PretokenizerStep){ .kind = PRETOKENIZER_WHITESPACE };
    return json_scan_skip(scan);
}

static bool read_regex(PretokenizerStep *step, JsonScan *scan)
{
    bool known = false;
    (void)json_scan_object(scan);
    for (TextView key, text; json_scan_key(scan, &key);) {
        if (!json_scan_text(scan, &text)) break;
        known = text_is(key, "Regex") && words_find(text, &step->pattern);
        if (!known) return part_refuse(scan, "Split with a pattern", text);
    }
    return known || json_scan_fail(scan, FAULT_MISSING, "Split without a pattern");
}

static bool read_split(PretokenizerStep *step, JsonScan *scan)
{
    bool pattern = false, removed = false, invert = false;
    TextView behavior;
    *step = (PretokenizerStep){ .kind = PRETOKENIZER_WORDS };
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (text_is(key, "pattern"))
            pattern = read_regex(step, scan);
        else if (text_is(key, "behavior"))
            removed = json_scan_text(scan, &behavior) && text_is(behavior, "Removed");
        else if (text_is(key, "invert"))
            (void)json_scan_bool(scan, &invert);
    }
    if (scan->status != SNUG_OK) return false;
    if (!pattern) return json_scan_fail(scan, FAULT_MISSING, "Split without a pattern");
    return (removed && invert) ||
           json_scan_fail(scan, FAULT_UNSUPPORTED, "Split that does not keep its matches alone");
}

static bool read_bytes(PretokenizerStep *step, JsonScan *scan)
{
    *step = (PretokenizerStep){ .kind = PRETOKENIZER_BYTES, .words = true, .lead = true };
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (json_scan_peek(scan) == JSON_KIND_NULL)
            (void)json_scan_null(scan);
        else if (text_is(key, "use_regex"))
            (void)json_scan_bool(scan, &step->words);
        else if (text_is(key, "add_prefix_space"))
            (void)json_scan_bool(scan, &step->lead);
    }
    return scan->status == SNUG_OK;
}

bool pretokenizer_read(Pretokenizer *pretokenizer, JsonScan *scan)
{
    static const struct {
        const char *type;
        bool (*read)(PretokenizerStep *step, JsonScan *scan);
    } KINDS[] = { { "Metaspace", read_metaspace },
                  { "WhitespaceSplit", read_whitespace },
                  { "Split", read_split },
                  { "ByteLevel", read_bytes } };
    TextView type;
    if (json_scan_peek(scan) == JSON_KIND_NULL) return json_scan_null(scan);
    if (!part_type(scan, &type)) return false;
    if (text_is(type, "Sequence")) return read_sequence(pretokenizer, scan);
    for (size_t i = 0; i < COUNT(KINDS); i++) {
        if (!text_is(type, KINDS[i].type)) continue;
        if (pretokenizer->n == PRETOKENIZER_MAX_STEPS)
            return json_scan_fail(scan, FAULT_TOO_LARGE, "more than %d pre_tokenizers",
                                  PRETOKENIZER_MAX_STEPS);
        return KINDS[i].read(&pretokenizer->step[pretokenizer->n++], scan);
    }
    return part_refuse(scan, "pre_tokenizer", type);
}

/* ---- steps ---- */

static void push(List *pieces, size_t at, size_t n, size_t start_end)
{
    Piece piece = { .at = at, .n = n, .start_bytes = start_end > at ? start_end - at : 0 };
    if (n) list_push(pieces, &piece);
}

static void whitespace(const char *in, Piece from, TextBuilder *text, List *pieces)
{
    const size_t base = text->n, start_end = base + from.start_bytes;
    size_t word = 0;
    text_add(text, in + from.at, from.n);
    for (size_t at = 0; at < from.n;) {
        size_t next = at;
        if (unicode_is_space(text_utf8_next(in + from.at, from.n, &next))) {
            push(pieces, base + word, at - word, start_end);
            word = next;
        }
        at = next;
    }
    push(pieces, base + word, from.n - word, start_end);
}

static bool begins(const PretokenizerStep *step, const char *at, size_t n)
{
    return n >= step->mark_bytes && memcmp(at, step->mark, step->mark_bytes) == 0;
}

/* A mark in front if the scheme says so, and one for every space; returns the start bytes. */
static size_t add_marked(const PretokenizerStep *step, const char *in, Piece from,
                         TextBuilder *text)
{
    const bool marked = in[from.at] == ' ' || begins(step, in + from.at, from.n);
    const bool here =
        step->prefix == PREFIX_ALWAYS || (step->prefix == PREFIX_FIRST && from.start_bytes > 0);
    size_t start = 0;
    if (here && !marked) {
        text_add(text, step->mark, step->mark_bytes);
        if (from.start_bytes) start = step->mark_bytes;
    }
    for (size_t i = 0; i < from.n; i++) {
        bool space = in[from.at + i] == ' ';
        text_add(text, space ? step->mark : in + from.at + i, space ? step->mark_bytes : 1);
        if (i < from.start_bytes) start += space ? step->mark_bytes : 1;
    }
    return start;
}

static void metaspace(const PretokenizerStep *step, const char *in, Piece from, TextBuilder *text,
                      List *pieces)
{
    const size_t base = text->n;
    const size_t start_end = base + add_marked(step, in, from, text);
    if (text->failed) return;
    size_t word = base;
    for (size_t at = base; step->split && at < text->n; at++) {
        if (!begins(step, text->at + at, text->n - at)) continue;
        push(pieces, word, at - word, start_end);
        word = at;
    }
    push(pieces, word, text->n - word, start_end);
}

static void words(const PretokenizerStep *step, const char *in, Piece from, TextBuilder *text,
                  List *pieces)
{
    const size_t base = text->n, start_end = base + from.start_bytes;
    const TextView view = { in + from.at, from.n };
    size_t n;
    text_add(text, view.at, view.n);
    for (size_t at = 0; words_next(step->pattern, view, &at, &n); at += n)
        push(pieces, base + at, n, start_end);
}

/* GPT-2's alphabet: visible Latin-1 stands for itself, the 68 others for U+0100 and on. */
static uint32_t visible(unsigned char byte)
{
    if (byte < 33) return 0x100u + byte;
    if (byte >= 127 && byte <= 160) return 0x100u + 33u + (byte - 127u);
    return byte == 173 ? 0x100u + 67u : byte;
}

static void add_visible(const char *bytes, size_t n, TextBuilder *text, List *pieces)
{
    const size_t begin = text->n;
    for (size_t i = 0; i < n; i++) {
        char code[4];
        const int length = text_utf8_put(code, visible((unsigned char)bytes[i]));
        text_add(text, code, (size_t)length);
    }
    push(pieces, begin, text->n - begin, 0);
}

/* Where a byte came from is not carried on: only Metaspace asks, and none follows a ByteLevel. */
static void byte_level(const PretokenizerStep *step, const char *in, Piece from, TextBuilder *text,
                       List *pieces)
{
    TextBuilder led;
    TextView view = { in + from.at, from.n };
    text_init(&led, text->heap, text->label);
    if (step->lead && view.at[0] != ' ') {
        text_add(&led, " ", 1);
        text_add(&led, view.at, view.n);
        view = (TextView){ led.at, led.n };
    }
    size_t n;
    if (led.failed)
        text->failed = true;
    else if (!step->words)
        add_visible(view.at, view.n, text, pieces);
    else
        for (size_t at = 0; words_next(WORDS_GPT2, view, &at, &n); at += n)
            add_visible(view.at + at, n, text, pieces);
    text_release(&led);
}

static void run_step(const PretokenizerStep *step, const char *in, Piece from, TextBuilder *text,
                     List *pieces)
{
    switch (step->kind) {
    case PRETOKENIZER_WHITESPACE:
        whitespace(in, from, text, pieces);
        break;
    case PRETOKENIZER_WORDS:
        words(step, in, from, text, pieces);
        break;
    case PRETOKENIZER_BYTES:
        byte_level(step, in, from, text, pieces);
        break;
    case PRETOKENIZER_METASPACE:
    default:
        metaspace(step, in, from, text, pieces);
    }
}

SnugStatus pretokenizer_run(const Pretokenizer *pretokenizer, TextView in, size_t start_bytes,
                            TextBuilder *text, List *pieces, SnugError *err)
{
    TextBuilder text_before; /* what the step in progress reads */
    List pieces_before;
    text_init(&text_before, text->heap, text->label);
    list_init(&pieces_before, pieces->heap, sizeof(Piece));
    text->n = pieces->n = 0;
    text_add(text, in.at, in.n);
    push(pieces, 0, in.n, start_bytes);
    for (int i = 0; i < pretokenizer->n && !text->failed && !pieces->failed; i++) {
        const PretokenizerStep *step = &pretokenizer->step[i];
        TextBuilder swap_text = text_before;
        List swap_pieces = pieces_before;
        text_before = *text;
        pieces_before = *pieces;
        *text = swap_text;
        *pieces = swap_pieces;
        text->n = pieces->n = 0;
        const Piece *from = pieces_before.at;
        for (size_t k = 0; k < pieces_before.n; k++)
            run_step(step, text_before.at, from[k], text, pieces);
    }
    text_release(&text_before);
    list_release(&pieces_before);
    if (text->failed || pieces->failed)
        return error_set(err, SNUG_ERR_MEMORY, "tokenizer: no memory for text");
    return SNUG_OK;
}
