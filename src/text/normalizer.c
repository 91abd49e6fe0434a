/* normalizer.c  Steps write from one builder into another, in turns.
 * Source: formats spec 9.1, 9.2; huggingface/tokenizers src/normalizers. */
#include "text/normalizer.h"

#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "text/part.h"
#include "text/unicode.h"

enum { CLUSTER_BYTES = 6 }; /* clusters shorter than this are looked up as a whole */

/* ---- reading ---- */

/* {"String": "..."} or {"Regex": "..."} of a Replace. */
static bool read_pattern(NormalizerStep *step, JsonScan *scan, Arena *arena)
{
    bool known = false;
    (void)json_scan_object(scan);
    for (TextView key, text; json_scan_key(scan, &key);) {
        bool regex = text_is(key, "Regex");
        if (!json_scan_text(scan, &text)) break;
        known = true;
        if (!regex && text_is(key, "String") && text.n) {
            step->kind = NORMALIZER_REPLACE;
            (void)part_keep(scan, arena, text, &step->pattern);
        } else if (regex && text_is(text, " {2,}")) {
            step->kind = NORMALIZER_REPLACE_SPACES;
        } else if (regex && text_is(text, "\\s+")) {
            step->kind = NORMALIZER_REPLACE_BLANKS;
        } else {
            return part_refuse(scan, "Replace with a pattern", text);
        }
    }
    return known || json_scan_fail(scan, FAULT_MISSING, "Replace without a pattern");
}

static bool read_charsmap(NormalizerStep *step, JsonScan *scan, Arena *arena)
{
    TextView base64;
    if (!json_scan_text(scan, &base64)) return false;
    char *room = arena_take(arena, CHARSMAP_ROOM(base64.n));
    if (!room) return part_no_memory(scan);
    const char *wrong = charsmap_init_base64(&step->map, base64, room);
    return !wrong || json_scan_fail(scan, FAULT_BAD, "%s", wrong);
}

/* The keys of one step; which of them must be there depends on its kind. */
static bool read_fields(NormalizerStep *step, JsonScan *scan, Arena *arena)
{
    bool left = false, right = false, pattern = false, content = false, map = false;
    TextView text;
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (step->kind == NORMALIZER_STRIP && text_is(key, "strip_left")) {
            left = json_scan_bool(scan, &step->left);
        } else if (step->kind == NORMALIZER_STRIP && text_is(key, "strip_right")) {
            right = json_scan_bool(scan, &step->right);
        } else if (step->kind == NORMALIZER_PRECOMPILED && text_is(key, "precompiled_charsmap")) {
            map = read_charsmap(step, scan, arena);
        } else if (text_is(key, "pattern")) {
            pattern = read_pattern(step, scan, arena);
        } else if (text_is(key, "content") || text_is(key, "prepend")) {
            content = json_scan_text(scan, &text) && part_keep(scan, arena, text, &step->content);
        }
    }
    if (scan->status != SNUG_OK) return false;
    switch (step->kind) {
    case NORMALIZER_STRIP:
        return (left && right) || json_scan_fail(scan, FAULT_MISSING, "Strip without its sides");
    case NORMALIZER_PRECOMPILED:
        return map || json_scan_fail(scan, FAULT_MISSING, "Precompiled without its table");
    case NORMALIZER_PREPEND:
        return content || json_scan_fail(scan, FAULT_MISSING, "Prepend without a text");
    case NORMALIZER_REPLACE:
    case NORMALIZER_REPLACE_SPACES:
    case NORMALIZER_REPLACE_BLANKS:
        return (pattern && content) ||
               json_scan_fail(scan, FAULT_MISSING, "Replace without pattern or content");
    case NORMALIZER_LOWERCASE:
    case NORMALIZER_FORM:
    default:
        return true;
    }
}

static bool read_sequence(Normalizer *normalizer, JsonScan *scan, Arena *arena)
{
    bool seen = false;
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (!text_is(key, "normalizers")) continue;
        seen = json_scan_array(scan);
        while (json_scan_item(scan))
            if (!normalizer_read(normalizer, scan, arena)) return false;
    }
    return seen || json_scan_fail(scan, FAULT_MISSING, "Sequence without its normalizers");
}

static bool read_step(Normalizer *normalizer, JsonScan *scan, Arena *arena, TextView type)
{
    static const struct {
        const char *type;
        NormalizerKind kind;
        int form;
    } KINDS[] = {
        { "Precompiled", NORMALIZER_PRECOMPILED, 0 }, { "Strip", NORMALIZER_STRIP, 0 },
        { "Replace", NORMALIZER_REPLACE, 0 },         { "Prepend", NORMALIZER_PREPEND, 0 },
        { "Lowercase", NORMALIZER_LOWERCASE, 0 },     { "NFC", NORMALIZER_FORM, UNICODE_NFC },
        { "NFD", NORMALIZER_FORM, UNICODE_NFD },      { "NFKC", NORMALIZER_FORM, UNICODE_NFKC },
        { "NFKD", NORMALIZER_FORM, UNICODE_NFKD },
    };
    for (size_t i = 0; i < COUNT(KINDS); i++) {
        if (!text_is(type, KINDS[i].type)) continue;
        if (normalizer->n == NORMALIZER_MAX_STEPS)
            return json_scan_fail(scan, FAULT_TOO_LARGE, "more than %d normalizers",
                                  NORMALIZER_MAX_STEPS);
        NormalizerStep *step = &normalizer->step[normalizer->n++];
        *step = (NormalizerStep){ .kind = KINDS[i].kind, .form = KINDS[i].form };
        return read_fields(step, scan, arena);
    }
    return part_refuse(scan, "normalizer", type);
}

bool normalizer_read(Normalizer *normalizer, JsonScan *scan, Arena *arena)
{
    TextView type;
    if (json_scan_peek(scan) == JSON_KIND_NULL) return json_scan_null(scan);
    if (!part_type(scan, &type)) return false;
    if (text_is(type, "Sequence")) return read_sequence(normalizer, scan, arena);
    return read_step(normalizer, scan, arena, type);
}

/* ---- steps: from `in` into out->text, out->start_bytes carried along ---- */

/* Append what the table makes of `unit`, if it has something for it. */
static CharsmapHit substitute(const NormalizerStep *step, TextView unit, TextBuilder *out)
{
    size_t from;
    TextView to;
    CharsmapHit hit = charsmap_match(&step->map, unit, CHARSMAP_SHORTEST, &from, &to);
    if (hit == CHARSMAP_HIT) text_add(out, to.at, to.n); /* for the whole unit, matched or not */
    return hit;
}

static bool precompiled(const NormalizerStep *step, TextView in, Passage *out)
{
    const bool start = out->start_bytes > 0;
    out->start_bytes = 0;
    for (size_t at = 0, end = 0; at < in.n;) {
        CharsmapHit hit = CHARSMAP_MISS;
        bool first = out->text.n == 0; /* what was deleted leaves no trace: the next inherits */
        if (at == end) {
            end = unicode_cluster_end(in, at);
            TextView cluster = { in.at + at, end - at };
            if (cluster.n < CLUSTER_BYTES) hit = substitute(step, cluster, &out->text);
        }
        size_t next = end;
        if (hit == CHARSMAP_MISS) {
            next = at;
            (void)text_utf8_next(in.at, in.n, &next);
            hit = substitute(step, (TextView){ in.at + at, next - at }, &out->text);
        }
        if (hit == CHARSMAP_MISS) text_add(&out->text, in.at + at, next - at);
        if (hit == CHARSMAP_BROKEN) return false;
        if (start && first) out->start_bytes = out->text.n;
        at = next;
    }
    return true;
}

static void strip(const NormalizerStep *step, TextView in, Passage *out)
{
    size_t low = 0, high = 0;
    for (size_t at = 0; at < in.n;) {
        bool space = unicode_is_space(text_utf8_next(in.at, in.n, &at));
        if (!space) high = at;
        if (space && high == 0) low = at;
    }
    if (!step->right) high = in.n;
    if (!step->left || low > high) low = step->left ? high : 0;
    text_add(&out->text, in.at + low, high - low);
    out->start_bytes = out->start_bytes > low ? out->start_bytes - low : 0;
}

/* Bytes of a match at in[at..], 0 if there is none. */
static size_t match(const NormalizerStep *step, TextView in, size_t at)
{
    size_t end = at;
    switch (step->kind) {
    case NORMALIZER_REPLACE_SPACES:
        while (end < in.n && in.at[end] == ' ')
            end++;
        return end - at >= 2 ? end - at : 0;
    case NORMALIZER_REPLACE_BLANKS:
        for (size_t next = at; next < in.n; end = next)
            if (!unicode_is_space(text_utf8_next(in.at, in.n, &next))) break;
        return end - at;
    default:
        return in.n - at >= step->pattern.n && in.at[at] == step->pattern.at[0] &&
                       memcmp(in.at + at, step->pattern.at, step->pattern.n) == 0
                   ? step->pattern.n
                   : 0;
    }
}

static void replace(const NormalizerStep *step, TextView in, Passage *out)
{
    const size_t start_bytes = out->start_bytes;
    size_t start_now = 0;
    for (size_t at = 0; at < in.n;) {
        size_t n = match(step, in, at), next = at + n;
        TextView to = step->content;
        if (!n) {
            (void)text_utf8_next(in.at, in.n, &next);
            to = (TextView){ in.at + at, next - at };
        }
        text_add(&out->text, to.at, to.n);
        /* replaced text takes the place of the last byte it replaces */
        if (next <= start_bytes) start_now += to.n;
        at = next;
    }
    out->start_bytes = start_now;
}

static void change_into(const NormalizerStep *step, TextView in, TextBuilder *out)
{
    if (step->kind == NORMALIZER_LOWERCASE)
        unicode_lowercase(out, in);
    else
        unicode_normalize(out, in, (UnicodeForm)step->form);
}

/* Change of form or case. What becomes of the start on its own comes from the start; where that
 * is not what stands in front afterwards (marks were composed or reordered), the first character
 * does. */
static void change(const NormalizerStep *step, TextView in, Passage *out)
{
    const size_t start_bytes = out->start_bytes;
    size_t n = 0;
    out->start_bytes = 0;
    if (start_bytes && start_bytes <= in.n) {
        change_into(step, (TextView){ in.at, start_bytes }, &out->text);
        n = out->text.n; /* in front for now, cut off below */
    }
    change_into(step, in, &out->text);
    if (out->text.failed || n == 0) return;
    const char *whole = out->text.at + n;
    const size_t whole_n = out->text.n - n;
    if (n <= whole_n && memcmp(out->text.at, whole, n) == 0)
        out->start_bytes = n;
    else
        (void)text_utf8_next(whole, whole_n, &out->start_bytes);
    memmove(out->text.at, whole, whole_n);
    out->text.n = whole_n;
}

static bool run_step(const NormalizerStep *step, TextView in, Passage *out)
{
    switch (step->kind) {
    case NORMALIZER_PRECOMPILED:
        return precompiled(step, in, out);
    case NORMALIZER_STRIP:
        strip(step, in, out);
        return true;
    case NORMALIZER_REPLACE:
    case NORMALIZER_REPLACE_SPACES:
    case NORMALIZER_REPLACE_BLANKS:
        replace(step, in, out);
        return true;
    case NORMALIZER_PREPEND:
        if (in.n) text_add(&out->text, step->content.at, step->content.n);
        text_add(&out->text, in.at, in.n);
        if (out->start_bytes) out->start_bytes += step->content.n;
        return true;
    case NORMALIZER_LOWERCASE:
    case NORMALIZER_FORM:
    default:
        change(step, in, out);
        return true;
    }
}

SnugStatus normalizer_run(const Normalizer *normalizer, TextView in, size_t start_bytes,
                          Passage *out, SnugError *err)
{
    TextBuilder before; /* what the step in progress reads */
    bool good = true;
    text_init(&before, out->text.heap, out->text.label);
    out->text.n = 0;
    out->start_bytes = start_bytes;
    text_add(&out->text, in.at, in.n);
    for (int i = 0; i < normalizer->n && good && !out->text.failed; i++) {
        TextBuilder swap = before;
        before = out->text;
        out->text = swap;
        out->text.n = 0;
        good = run_step(&normalizer->step[i], (TextView){ before.at, before.n }, out);
    }
    text_release(&before);
    if (!good)
        return error_set(err, SNUG_ERR_FILE,
                         "tokenizer: the normalisation table leads out of itself");
    if (out->text.failed) return error_set(err, SNUG_ERR_MEMORY, "tokenizer: no memory for text");
    return SNUG_OK;
}
