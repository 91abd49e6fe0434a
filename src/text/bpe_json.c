/* bpe_json.c  Vocabulary and merges may come in any order but the merges need the vocabulary: both
 * are bookmarked first. Ids must be 0 .. n - 1, each once. Source: formats spec 9.3, 9.5. */
#include "text/bpe_json.h"

#include <string.h>

#include "base/size.h"
#include "base/sort.h"
#include "text/part.h"

typedef struct Model {
    JsonScan vocab, merges;
    bool has_vocab, has_merges;
    TextView unk;
} Model;

/* ---- vocabulary ---- */

static bool read_piece(JsonScan *scan, TextView key, uint64_t *id)
{
    if (!json_scan_u64(scan, id)) return false;
    if (key.n == 0) return json_scan_fail(scan, FAULT_BAD, "empty piece");
    if (key.n > VOCAB_MAX_PIECE_BYTES)
        return json_scan_fail(scan, FAULT_TOO_LARGE, "got a piece of %zu bytes, limit %d", key.n,
                              VOCAB_MAX_PIECE_BYTES);
    return true;
}

static bool survey(JsonScan *scan, uint32_t *n, size_t *text_bytes)
{
    JsonScan ahead = *scan;
    uint64_t id;
    *n = 0;
    *text_bytes = 0;
    (void)json_scan_object(&ahead);
    for (TextView key; json_scan_key(&ahead, &key);) {
        if (*n == VOCAB_MAX_PIECES)
            (void)json_scan_fail(&ahead, FAULT_TOO_LARGE, "more than %d pieces", VOCAB_MAX_PIECES);
        if (!read_piece(&ahead, key, &id)) break;
        ++*n;
        *text_bytes += key.n;
    }
    if (ahead.status == SNUG_OK && *n == 0)
        (void)json_scan_fail(&ahead, FAULT_MISSING, "the vocabulary is empty");
    if (ahead.status != SNUG_OK) *scan = ahead;
    return scan->status == SNUG_OK;
}

/* The pieces by id, in the scan's own arena. */
static TextView *by_id(JsonScan *scan, uint32_t n)
{
    uint64_t id;
    TextView *piece = arena_array(scan->arena, n, sizeof *piece);
    if (!piece) (void)part_no_memory(scan);
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (!read_piece(scan, key, &id)) break;
        if (id >= n)
            (void)json_scan_fail(scan, FAULT_BAD, "id %llu of %u pieces: the ids have gaps",
                                 (unsigned long long)id, n);
        else if (piece[id].n)
            (void)json_scan_fail(scan, FAULT_DUPLICATE, "id %llu twice", (unsigned long long)id);
        else
            piece[id] = key;
    }
    return scan->status == SNUG_OK ? piece : NULL;
}

static bool read_vocab(Vocab *vocab, JsonScan *scan, Arena *arena)
{
    uint32_t n;
    size_t text_bytes;
    int32_t twin;
    if (!survey(scan, &n, &text_bytes)) return false;
    const TextView *piece = by_id(scan, n);
    if (!piece) return false;
    if (!vocab_init(vocab, n, text_bytes, arena)) return part_no_memory(scan);
    for (uint32_t i = 0; i < n; i++)
        vocab_push(vocab, piece[i], 0, VOCAB_NORMAL);
    if (!vocab_seal(vocab, arena->heap, &twin)) return part_no_memory(scan);
    if (twin < 0) return true;
    char shown[TEXT_ESCAPED];
    return json_scan_fail(scan, FAULT_DUPLICATE, "piece '%s' twice",
                          text_escape(shown, piece[twin].at, piece[twin].n));
}

/* ---- merges ---- */

/* "a b", or ["a", "b"] in newer files. */
static bool read_pair(JsonScan *scan, TextView *a, TextView *b)
{
    if (json_scan_peek(scan) == JSON_KIND_ARRAY) {
        const bool good = json_scan_array(scan) && json_scan_item(scan) &&
                          json_scan_text(scan, a) && json_scan_item(scan) &&
                          json_scan_text(scan, b);
        if (good && !json_scan_item(scan)) return scan->status == SNUG_OK;
        return json_scan_fail(scan, FAULT_BAD, "a merge that is not [left, right]");
    }
    if (!json_scan_text(scan, a)) return false;
    const char *space = memchr(a->at, ' ', a->n);
    if (!space || memchr(space + 1, ' ', a->n - (size_t)(space + 1 - a->at)))
        return json_scan_fail(scan, FAULT_BAD, "a merge without exactly one space");
    *b = (TextView){ space + 1, a->n - (size_t)(space + 1 - a->at) };
    a->n = (size_t)(space - a->at);
    return true;
}

static bool resolve(JsonScan *scan, const Vocab *vocab, TextView a, TextView b, BpeMerge *out)
{
    char both[2 * VOCAB_MAX_PIECE_BYTES], shown[TEXT_ESCAPED];
    TextView whole = { both, a.n + b.n }, missing = whole;
    if (a.n > VOCAB_MAX_PIECE_BYTES || b.n > VOCAB_MAX_PIECE_BYTES)
        return json_scan_fail(scan, FAULT_TOO_LARGE, "a merge of more than %d bytes",
                              VOCAB_MAX_PIECE_BYTES);
    memcpy(both, a.at, a.n);
    memcpy(both + a.n, b.at, b.n);
    out->left = vocab_find(vocab, a);
    out->right = vocab_find(vocab, b);
    out->id = vocab_find(vocab, whole);
    if (out->left >= 0 && out->right >= 0 && out->id >= 0) return true;
    if (out->left < 0)
        missing = a;
    else if (out->right < 0)
        missing = b;
    return json_scan_fail(scan, FAULT_BAD, "a merge of '%s', which is not in the vocabulary",
                          text_escape(shown, missing.at, missing.n));
}

static int compare(const void *a, const void *b)
{
    const BpeMerge *x = a, *y = b;
    if (x->left != y->left) return x->left < y->left ? -1 : 1;
    if (x->right != y->right) return x->right < y->right ? -1 : 1;
    return 0;
}

/* Sorted copy; of a pair that is there twice the later one counts, as in the reference. */
static bool sort_merges(Bpe *bpe, JsonScan *scan, const BpeMerge *raw, size_t n, Arena *arena)
{
    const void **order = arena_array(scan->arena, n + 1, sizeof *order);
    const void **spare = arena_array(scan->arena, n + 1, sizeof *spare);
    BpeMerge *merge = arena_array(arena, n + 1, sizeof *merge);
    if (!order || !spare || !merge) return part_no_memory(scan);
    for (size_t i = 0; i < n; i++)
        order[i] = &raw[i];
    sort_pointers(order, spare, n, compare);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && compare(order[i], order[i + 1]) == 0) continue;
        merge[bpe->n_merges++] = *(const BpeMerge *)order[i];
    }
    bpe->merge = merge;
    return true;
}

static bool read_merges(Bpe *bpe, JsonScan *scan, Arena *arena)
{
    List raw;
    TextView a, b;
    bool good = true;
    list_init(&raw, arena->heap, sizeof(BpeMerge));
    (void)json_scan_array(scan);
    while (good && json_scan_item(scan)) {
        BpeMerge m = { .rank = (uint32_t)raw.n };
        if (raw.n == VOCAB_MAX_PIECES)
            good = json_scan_fail(scan, FAULT_TOO_LARGE, "more than %d merges", VOCAB_MAX_PIECES);
        good = good && read_pair(scan, &a, &b) && resolve(scan, bpe->vocab, a, b, &m);
        if (good) list_push(&raw, &m);
    }
    good = good && scan->status == SNUG_OK;
    if (good)
        good = raw.failed ? part_no_memory(scan) : sort_merges(bpe, scan, raw.at, raw.n, arena);
    list_release(&raw);
    return good;
}

/* ---- the model ---- */

static bool refuse_text(JsonScan *scan, const char *what)
{
    TextView text;
    if (!json_scan_text(scan, &text)) return false;
    return text.n == 0 || json_scan_fail(scan, FAULT_UNSUPPORTED, "%s", what);
}

static bool read_suffix(Bpe *bpe, JsonScan *scan, Arena *arena)
{
    TextView text;
    if (!json_scan_text(scan, &text)) return false;
    if (text.n > BPE_MAX_SUFFIX)
        return json_scan_fail(scan, FAULT_TOO_LARGE, "a suffix of %zu bytes, limit %d", text.n,
                              BPE_MAX_SUFFIX);
    return part_keep(scan, arena, text, &bpe->suffix);
}

static bool refuse_flag(JsonScan *scan, const char *what)
{
    bool flag;
    if (!json_scan_bool(scan, &flag)) return false;
    return !flag || json_scan_fail(scan, FAULT_UNSUPPORTED, "%s", what);
}

static bool refuse_dropout(JsonScan *scan)
{
    double dropout;
    if (!json_scan_f64(scan, &dropout)) return false;
    return dropout == 0.0 || json_scan_fail(scan, FAULT_UNSUPPORTED, "dropout");
}

static bool read_field(Bpe *bpe, Model *model, JsonScan *scan, Arena *arena, TextView key)
{
    if (text_is(key, "vocab")) {
        model->vocab = *scan;
        return model->has_vocab = true;
    }
    if (text_is(key, "merges")) {
        model->merges = *scan;
        return model->has_merges = true;
    }
    if (json_scan_peek(scan) == JSON_KIND_NULL) return json_scan_null(scan);
    if (text_is(key, "unk_token")) return json_scan_text(scan, &model->unk);
    if (text_is(key, "end_of_word_suffix")) return read_suffix(bpe, scan, arena);
    if (text_is(key, "fuse_unk")) return json_scan_bool(scan, &bpe->fuse_unk);
    if (text_is(key, "ignore_merges")) return json_scan_bool(scan, &bpe->ignore_merges);
    if (text_is(key, "byte_fallback")) return refuse_flag(scan, "BPE with byte_fallback");
    if (text_is(key, "dropout")) return refuse_dropout(scan);
    if (text_is(key, "continuing_subword_prefix"))
        return refuse_text(scan, "BPE with a prefix of continued pieces");
    return json_scan_skip(scan);
}

bool bpe_json_read(Bpe *bpe, Vocab *vocab, JsonScan *scan, Arena *arena)
{
    *bpe = (Bpe){ .vocab = vocab, .unk_id = -1 };
    Model *model = arena_take(scan->arena, sizeof *model);
    if (!model) return part_no_memory(scan);
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);)
        if (!read_field(bpe, model, scan, arena, key)) break;
    if (scan->status != SNUG_OK) return false;
    if (!model->has_vocab || !model->has_merges)
        return json_scan_fail(scan, FAULT_MISSING, "model without vocab or merges");
    if (!read_vocab(vocab, &model->vocab, arena)) {
        *scan = model->vocab;
        return false;
    }
    if (!read_merges(bpe, &model->merges, arena)) {
        *scan = model->merges;
        return false;
    }
    if (model->unk.n == 0) return true;
    bpe->unk_id = vocab_find(vocab, model->unk);
    return bpe->unk_id >= 0 ||
           json_scan_fail(scan, FAULT_BAD, "unk_token is not in the vocabulary");
}
