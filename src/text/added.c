/* added.c  Leftmost, then longest. Source: formats spec 9.1; huggingface/tokenizers
 * src/tokenizer/added_vocabulary.rs, whose order of searching and stripping this follows. */
#include "text/added.h"

#include <string.h>

#include "base/error.h"
#include "text/part.h"
#include "text/unicode.h"

/* ---- reading ---- */

static uint32_t count_items(const JsonScan *scan)
{
    JsonScan ahead = *scan;
    SnugError unused; /* the real reading reports */
    uint32_t n = 0;
    ahead.err = &unused;
    (void)json_scan_array(&ahead);
    while (n <= VOCAB_MAX_PIECES && json_scan_item(&ahead))
        n++;
    return n;
}

static bool read_token(AddedToken *token, JsonScan *scan, Arena *arena)
{
    struct {
        const char *key;
        bool *flag;
    } flags[] = { { "single_word", &token->single_word },
                  { "lstrip", &token->lstrip },
                  { "rstrip", &token->rstrip },
                  { "normalized", &token->normalized },
                  { "special", &token->special } };
    uint64_t id = UINT64_MAX;
    TextView content = { .n = 0 };
    token->normalized = true;
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (text_is(key, "id")) (void)json_scan_u64(scan, &id);
        if (text_is(key, "content")) (void)json_scan_text(scan, &content);
        for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
            if (text_is(key, flags[i].key)) (void)json_scan_bool(scan, flags[i].flag);
    }
    if (scan->status != SNUG_OK) return false;
    if (content.n == 0) return json_scan_fail(scan, FAULT_BAD, "added token without content");
    if (content.n > VOCAB_MAX_PIECE_BYTES)
        return json_scan_fail(scan, FAULT_TOO_LARGE, "added token of %zu bytes (limit %d)",
                              content.n, VOCAB_MAX_PIECE_BYTES);
    if (id >= 2 * (uint64_t)VOCAB_MAX_PIECES)
        return json_scan_fail(scan, FAULT_BAD, "added token without a possible id");
    token->id = (int32_t)id;
    return part_keep(scan, arena, content, &token->content);
}

/* The id must be the one that the reference would give. */
static bool check_id(const AddedToken *token, JsonScan *scan, const Vocab *vocab, uint32_t *next)
{
    char shown[TEXT_ESCAPED];
    const int32_t known = vocab_find(vocab, token->content);
    const int32_t want = known >= 0 ? known : (int32_t)*next;
    if (known < 0) (*next)++;
    if (token->id == want) return true;
    return json_scan_fail(scan, FAULT_MISMATCH, "added token '%s' has id %d (expected %d, %s)",
                          text_escape(shown, token->content.at, token->content.n), token->id, want,
                          known >= 0 ? "as in the vocabulary" : "the next free one");
}

/* What the tokens of one stage look like there, one after the other. */
typedef struct Patterns {
    TextBuilder all;
    List ends; /* size_t: where each pattern ends in `all` */
} Patterns;

static SnugStatus gather(Patterns *patterns, const Added *added, bool normalized, JsonScan *scan,
                         const Normalizer *normalizer)
{
    Passage form = { .start_bytes = 0 };
    SnugStatus status = SNUG_OK;
    text_init(&form.text, patterns->all.heap, "text");
    for (uint32_t i = 0; i < added->n && status == SNUG_OK; i++) {
        const AddedToken *token = &added->token[i];
        if (token->normalized != normalized) continue;
        TextView pattern = token->content;
        if (normalized) {
            status = normalizer_run(normalizer, pattern, 0, &form, scan->err);
            if (status != SNUG_OK) break;
            pattern = (TextView){ form.text.at, form.text.n };
        }
        if (pattern.n == 0 || pattern.n > VOCAB_MAX_PIECE_BYTES) {
            (void)json_scan_fail(scan, FAULT_BAD, "added token %d once normalised has %zu bytes",
                                 token->id, pattern.n);
            status = scan->status;
        }
        text_add(&patterns->all, pattern.at, pattern.n);
        list_push(&patterns->ends, &patterns->all.n);
    }
    text_release(&form.text);
    if (scan->status == SNUG_OK) scan->status = status;
    if (patterns->all.failed || patterns->ends.failed) (void)part_no_memory(scan);
    return scan->status;
}

static SnugStatus fill(AddedSet *set, const Patterns *patterns, const Added *added, bool normalized,
                       JsonScan *scan, Arena *arena)
{
    const size_t *end = patterns->ends.at;
    const size_t n = patterns->ends.n;
    int32_t twin = -1;
    set->token = arena_array(arena, n, sizeof *set->token);
    if (!set->token || !vocab_init(&set->patterns, (uint32_t)n, patterns->all.n, arena)) {
        (void)part_no_memory(scan);
        return scan->status;
    }
    size_t at = 0;
    for (uint32_t i = 0, k = 0; i < added->n; i++) {
        if (added->token[i].normalized != normalized) continue;
        set->token[k] = &added->token[i];
        TextView pattern = { patterns->all.at + at, end[k] - at };
        vocab_push(&set->patterns, pattern, 0, VOCAB_NORMAL);
        at = end[k++];
    }
    if (!vocab_seal(&set->patterns, arena->heap, &twin))
        (void)part_no_memory(scan);
    else if (twin >= 0)
        (void)json_scan_fail(scan, FAULT_DUPLICATE, "two added tokens look the same (one is %d)",
                             set->token[twin]->id);
    return scan->status;
}

/* Index the tokens of one stage. */
static bool build_set(AddedSet *set, const Added *added, bool normalized, JsonScan *scan,
                      const Normalizer *normalizer, Arena *arena)
{
    Patterns patterns;
    text_init(&patterns.all, arena->heap, "text");
    list_init(&patterns.ends, arena->heap, sizeof(size_t));
    SnugStatus status = gather(&patterns, added, normalized, scan, normalizer);
    if (status == SNUG_OK) status = fill(set, &patterns, added, normalized, scan, arena);
    text_release(&patterns.all);
    list_release(&patterns.ends);
    return status == SNUG_OK;
}

bool added_read(Added *added, JsonScan *scan, const Vocab *vocab, const Normalizer *normalizer,
                Arena *arena)
{
    const uint32_t n = count_items(scan);
    uint32_t next = vocab->n;
    if (n > VOCAB_MAX_PIECES)
        return json_scan_fail(scan, FAULT_TOO_LARGE, "more than %d added tokens", VOCAB_MAX_PIECES);
    *added = (Added){ .token = arena_array(arena, n, sizeof *added->token) };
    if (!added->token) return part_no_memory(scan);
    (void)json_scan_array(scan);
    while (json_scan_item(scan) && added->n < n) {
        AddedToken *token = &added->token[added->n];
        if (!read_token(token, scan, arena) || !check_id(token, scan, vocab, &next)) return false;
        added->n++;
    }
    return scan->status == SNUG_OK &&
           build_set(&added->raw, added, false, scan, normalizer, arena) &&
           build_set(&added->normalized, added, true, scan, normalizer, arena);
}

const AddedToken *added_find(const Added *added, TextView content)
{
    for (uint32_t i = 0; i < added->n; i++)
        if (text_equal(added->token[i].content, content)) return &added->token[i];
    return NULL;
}

/* ---- searching ---- */

AddedScan added_scan(const AddedSet *set, TextView text, bool plain)
{
    return (AddedScan){ .set = set, .text = text, .plain = plain };
}

/* Leftmost-longest from scan->search on; moves it behind the match. */
static const AddedToken *find(AddedScan *scan, size_t *at, size_t *end)
{
    const Vocab *patterns = &scan->set->patterns;
    const TextView text = scan->text;
    if (patterns->n == 0) return NULL;
    for (size_t i = scan->search; i < text.n; i++) {
        VocabWalk walk = vocab_walk(patterns);
        int32_t id, best = -1;
        for (size_t k = i; k < text.n; k++) {
            if (!vocab_step(patterns, &walk, (unsigned char)text.at[k], &id)) break;
            if (id < 0) continue;
            best = id;
            *end = k + 1;
        }
        if (best < 0) continue;
        *at = i;
        scan->search = *end;
        return scan->set->token[best];
    }
    scan->search = text.n;
    return NULL;
}

/* Where the character that ends at `end` begins. */
static size_t back(TextView text, size_t end)
{
    while (end > 0 && ((unsigned char)text.at[--end] & 0xc0) == 0x80) {
    }
    return end;
}

static bool touches_word(TextView text, size_t at, size_t end)
{
    size_t before = back(text, at), after = end;
    if (at > 0 && unicode_is_word(text_utf8_next(text.at, text.n, &before))) return true;
    return end < text.n && unicode_is_word(text_utf8_next(text.at, text.n, &after));
}

static size_t spaces_left(TextView text, size_t at)
{
    while (at > 0) {
        size_t before = back(text, at), next = before;
        if (!unicode_is_space(text_utf8_next(text.at, text.n, &next))) break;
        at = before;
    }
    return at;
}

static size_t spaces_right(TextView text, size_t at)
{
    for (size_t next = at; next < text.n; at = next)
        if (!unicode_is_space(text_utf8_next(text.at, text.n, &next))) break;
    return at;
}

static bool hand_out(AddedScan *scan, const AddedToken **token)
{
    *token = scan->waiting;
    scan->waiting = NULL;
    scan->done = scan->waiting_end;
    return true;
}

bool added_next(AddedScan *scan, const AddedToken **token, size_t *at, size_t *n)
{
    const TextView text = scan->text;
    size_t start = 0, end = 0;
    *at = *n = 0;
    if (scan->waiting) return hand_out(scan, token);
    for (const AddedToken *found; (found = find(scan, &start, &end));) {
        if (scan->plain && found->special) continue;
        if (found->single_word && touches_word(text, start, end)) continue;
        if (found->lstrip) start = spaces_left(text, start);
        if (start < scan->done && found->lstrip) start = scan->done;
        if (found->rstrip) end = spaces_right(text, end);
        scan->waiting = found;
        scan->waiting_end = end;
        if (start <= scan->done) return hand_out(scan, token);
        *token = NULL;
        *at = scan->done;
        *n = start - scan->done;
        return true;
    }
    *token = NULL;
    *at = scan->done;
    *n = text.n > scan->done ? text.n - scan->done : 0;
    scan->done = text.n;
    return *n > 0;
}
