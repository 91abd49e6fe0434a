/* tokenizer_json.c  Parts may come in any order but need each other: one pass bookmarks them, then
 * they are read in the order of need. Source: formats spec 9.1, 9.2. */
#include "text/tokenizer_json.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "text/bpe_json.h"
#include "text/part.h"

/* ---- the model ---- */

typedef struct Model {
    JsonScan vocab;
    bool has_vocab, byte_fallback;
    int64_t unk_id;
} Model;

/* The number that ends at `end` as serde_json reads it, without its feature float_roundtrip: all
 * digits as one whole number, then one division. For 17 digits that is off by a last bit now and
 * then, and that bit decides how "aaaaaaa" is cut. `exact`: where this is not worth following. */
static double serde_number(const char *end, double exact)
{
    const char *at = end;
    uint64_t digits = 0, more;
    int fraction = 0;
    bool point = false;
    while (memchr("0123456789.", at[-1], 11)) /* in an array there is a '[' or ',' before it */
        at--;
    if (at == end || memchr("eE+", at[-1], 3)) return exact;
    for (const char *c = at; c < end; c++) {
        if (*c == '.') {
            point = true;
            continue;
        }
        if (__builtin_mul_overflow(digits, 10, &more) ||
            __builtin_add_overflow(more, (uint64_t)(*c - '0'), &more)) {
            if (!point) return exact;
            break; /* the rest of the fraction is ignored */
        }
        digits = more;
        fraction += point;
    }
    double power = 1.0;
    if (fraction > 22) return exact; /* powers of ten up to here are exact */
    for (int i = 0; i < fraction; i++)
        power *= 10.0;
    return copysign((double)digits / power, exact);
}

/* One [piece, score]. */
static bool read_entry(JsonScan *scan, TextView *piece, double *score)
{
    (void)json_scan_array(scan);
    bool good = json_scan_item(scan) && json_scan_text(scan, piece) && json_scan_item(scan) &&
                json_scan_f64(scan, score);
    if (scan->status != SNUG_OK) return false;
    if (good) *score = serde_number(scan->text + scan->at, *score);
    if (!good || json_scan_item(scan))
        return json_scan_fail(scan, FAULT_BAD, "an entry that is not [piece, score]");
    if (piece->n == 0) return json_scan_fail(scan, FAULT_BAD, "empty piece");
    if (piece->n > VOCAB_MAX_PIECE_BYTES)
        return json_scan_fail(scan, FAULT_TOO_LARGE, "got a piece of %zu bytes, limit %d", piece->n,
                              VOCAB_MAX_PIECE_BYTES);
    return scan->status == SNUG_OK;
}

static bool survey(JsonScan scan, uint32_t *n, size_t *text_bytes, JsonScan *failed)
{
    TextView piece;
    double score;
    *n = 0;
    *text_bytes = 0;
    (void)json_scan_array(&scan);
    while (json_scan_item(&scan)) {
        if (*n == VOCAB_MAX_PIECES)
            (void)json_scan_fail(&scan, FAULT_TOO_LARGE, "more than %d pieces", VOCAB_MAX_PIECES);
        if (!read_entry(&scan, &piece, &score)) break;
        ++*n;
        *text_bytes += piece.n;
    }
    if (scan.status == SNUG_OK && *n == 0)
        (void)json_scan_fail(&scan, FAULT_MISSING, "the vocabulary is empty");
    if (scan.status != SNUG_OK) *failed = scan;
    return scan.status == SNUG_OK;
}

static bool read_vocab(TokenizerJson *json, JsonScan *scan, Arena *arena)
{
    uint32_t n;
    size_t text_bytes;
    double min = DBL_MAX, score;
    int32_t twin;
    if (!survey(*scan, &n, &text_bytes, scan)) return false;
    if (!vocab_init(&json->vocab, n, text_bytes, arena)) return part_no_memory(scan);
    (void)json_scan_array(scan);
    for (TextView piece; json_scan_item(scan) && read_entry(scan, &piece, &score);) {
        vocab_push(&json->vocab, piece, score, VOCAB_NORMAL);
        if (score < min) min = score;
    }
    if (scan->status != SNUG_OK) return false;
    if (!vocab_seal(&json->vocab, arena->heap, &twin)) return part_no_memory(scan);
    if (twin >= 0) {
        char shown[TEXT_ESCAPED];
        TextView piece = vocab_piece(&json->vocab, (uint32_t)twin);
        return json_scan_fail(scan, FAULT_DUPLICATE, "piece '%s' twice",
                              text_escape(shown, piece.at, piece.n));
    }
    json->unigram.unk_score = min - 10.0;
    return true;
}

static bool read_model_fields(Model *model, JsonScan *scan)
{
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (text_is(key, "vocab")) {
            model->vocab = *scan;
            model->has_vocab = true;
        } else if (json_scan_peek(scan) == JSON_KIND_NULL) {
            (void)json_scan_null(scan);
        } else if (text_is(key, "unk_id")) {
            uint64_t id;
            if (json_scan_u64(scan, &id)) model->unk_id = id < INT32_MAX ? (int64_t)id : INT32_MAX;
        } else if (text_is(key, "byte_fallback")) {
            (void)json_scan_bool(scan, &model->byte_fallback);
        }
    }
    return scan->status == SNUG_OK;
}

/* Early BPE files have no type: merges tell. */
static bool has_merges(JsonScan scan)
{
    SnugError unused; /* the real reading reports */
    bool found = false;
    scan.err = &unused;
    (void)json_scan_object(&scan);
    for (TextView key; json_scan_key(&scan, &key);)
        if (text_is(key, "merges")) found = true;
    return found && scan.status == SNUG_OK;
}

static bool read_model(TokenizerJson *json, JsonScan *scan, Arena *arena)
{
    Model model = { .unk_id = -1 };
    TextView type;
    if (!part_type(scan, &type)) return false;
    JsonScan here = *scan;
    if (text_is(type, "BPE") || (type.n == 0 && has_merges(*scan))) {
        json->is_bpe = true;
        if (!bpe_json_read(&json->bpe, &json->vocab, scan, arena)) return false;
        json->unk_id = json->bpe.unk_id;
        return true;
    }
    if (!read_model_fields(&model, scan)) return false;
    /* files of early versions have no type; then the vocabulary's shape tells */
    bool untyped =
        type.n == 0 && model.has_vocab && json_scan_peek(&model.vocab) == JSON_KIND_ARRAY;
    if (!untyped && !text_is(type, "Unigram")) {
        *scan = here;
        return part_refuse(scan, "model", type);
    }
    if (!model.has_vocab) return json_scan_fail(scan, FAULT_MISSING, "model without a vocab");
    json->unigram = (Unigram){ .vocab = &json->vocab,
                               .byte_fallback = model.byte_fallback,
                               .unk_id = (int32_t)model.unk_id };
    if (!read_vocab(json, &model.vocab, arena)) {
        *scan = model.vocab;
        return false;
    }
    if (model.unk_id >= json->vocab.n)
        return json_scan_fail(scan, FAULT_BAD, "unk_id %lld of %u pieces", (long long)model.unk_id,
                              json->vocab.n);
    vocab_find_bytes(&json->vocab, json->unigram.byte_id);
    json->unk_id = json->unigram.unk_id;
    return true;
}

/* ---- the template ---- */

/* Ids of the special token `name`, from the "special_tokens" that `table` stands at. */
static bool special_ids(JsonScan table, TextView name, int32_t *ids, int *n, JsonScan *failed)
{
    bool found = false;
    (void)json_scan_object(&table);
    for (TextView key; json_scan_key(&table, &key);) {
        if (!text_equal(key, name)) continue;
        (void)json_scan_object(&table);
        for (TextView field; json_scan_key(&table, &field);) {
            if (!text_is(field, "ids")) continue;
            found = json_scan_array(&table);
            for (uint64_t id; json_scan_item(&table) && json_scan_u64(&table, &id);) {
                if (*n == TOKENIZER_JSON_MAX_SPECIALS || id > INT32_MAX)
                    (void)json_scan_fail(&table, FAULT_BAD, "too many or too great template ids");
                else
                    ids[(*n)++] = (int32_t)id;
            }
        }
    }
    if (!found && table.status == SNUG_OK) {
        char shown[TEXT_ESCAPED];
        (void)json_scan_fail(&table, FAULT_MISSING, "template: no ids for '%s'",
                             text_escape(shown, name.at, name.n));
    }
    if (table.status != SNUG_OK) *failed = table;
    return table.status == SNUG_OK;
}

/* One {"Sequence": {"id": "A"}} or {"SpecialToken": {"id": "</s>"}} of "single". */
static bool read_template_piece(JsonScan *scan, TextView *kind, TextView *id)
{
    *kind = *id = (TextView){ .n = 0 };
    (void)json_scan_object(scan);
    while (json_scan_key(scan, kind)) {
        TextView key;
        (void)json_scan_object(scan);
        while (json_scan_key(scan, &key))
            if (text_is(key, "id")) (void)json_scan_text(scan, id);
    }
    return scan->status == SNUG_OK;
}

static bool read_single(TokenizerJson *json, JsonScan *scan, const JsonScan *specials)
{
    bool seen = false;
    TextView kind, id;
    (void)json_scan_array(scan);
    while (json_scan_item(scan) && read_template_piece(scan, &kind, &id)) {
        if (text_is(kind, "SpecialToken")) {
            int32_t *ids = seen ? json->after : json->before;
            int *n = seen ? &json->n_after : &json->n_before;
            if (!special_ids(*specials, id, ids, n, scan)) return false;
        } else if (!text_is(kind, "Sequence") || !text_is(id, "A") || seen) {
            return json_scan_fail(scan, FAULT_UNSUPPORTED, "template with other parts than one A");
        } else {
            seen = true;
        }
    }
    if (scan->status != SNUG_OK) return false;
    return seen || json_scan_fail(scan, FAULT_UNSUPPORTED, "template without the text itself");
}

/* ["</s>", 2] */
static bool read_special(JsonScan *scan, int32_t *ids, int *n)
{
    TextView text;
    uint64_t id = 0;
    bool good = json_scan_array(scan) && json_scan_item(scan) && json_scan_text(scan, &text) &&
                json_scan_item(scan) && json_scan_u64(scan, &id);
    if (scan->status != SNUG_OK) return false;
    if (!good || json_scan_item(scan) || id > INT32_MAX)
        return json_scan_fail(scan, FAULT_BAD, "a special token that is not [text, id]");
    ids[(*n)++] = (int32_t)id;
    return true;
}

/* cls before the text, sep behind it. */
static bool read_roberta(TokenizerJson *json, JsonScan *scan)
{
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (text_is(key, "cls") && json->n_before == 0)
            (void)read_special(scan, json->before, &json->n_before);
        else if (text_is(key, "sep") && json->n_after == 0)
            (void)read_special(scan, json->after, &json->n_after);
    }
    if (scan->status != SNUG_OK) return false;
    return (json->n_before && json->n_after) ||
           json_scan_fail(scan, FAULT_MISSING, "RobertaProcessing without cls or sep");
}

static bool read_template(TokenizerJson *json, JsonScan *scan)
{
    TextView type;
    JsonScan single, specials;
    bool has_single = false, has_specials = false;
    if (json_scan_peek(scan) == JSON_KIND_NULL) return json_scan_null(scan);
    if (!part_type(scan, &type)) return false;
    if (text_is(type, "ByteLevel")) return json_scan_skip(scan); /* offsets only */
    if (text_is(type, "RobertaProcessing")) return read_roberta(json, scan);
    if (!text_is(type, "TemplateProcessing")) return part_refuse(scan, "post_processor", type);
    (void)json_scan_object(scan);
    for (TextView key; json_scan_key(scan, &key);) {
        if (text_is(key, "single")) {
            single = *scan;
            has_single = true;
        } else if (text_is(key, "special_tokens")) {
            specials = *scan;
            has_specials = true;
        }
    }
    if (scan->status != SNUG_OK) return false;
    if (!has_single || !has_specials)
        return json_scan_fail(scan, FAULT_MISSING, "template without single or special_tokens");
    if (read_single(json, &single, &specials)) return true;
    *scan = single;
    return false;
}

/* ---- the file ---- */

enum { NORMALIZER, PRETOKENIZER, POSTPROCESSOR, MODEL, ADDED, N_PARTS };

static const char *const PART_KEYS[N_PARTS] = { [NORMALIZER] = "normalizer",
                                                [PRETOKENIZER] = "pre_tokenizer",
                                                [POSTPROCESSOR] = "post_processor",
                                                [MODEL] = "model",
                                                [ADDED] = "added_tokens" };

/** Where the parts begin. */
typedef struct Bookmarks {
    JsonScan part[N_PARTS];
    bool has[N_PARTS];
} Bookmarks;

static bool find_parts(Bookmarks *marks, JsonScan *scan)
{
    (void)json_scan_object(scan);
    for (TextView key, version; json_scan_key(scan, &key);) {
        if (text_is(key, "version") && json_scan_text(scan, &version) && !text_is(version, "1.0")) {
            char shown[TEXT_ESCAPED];
            return json_scan_fail(scan, FAULT_BAD_VERSION, "got '%s', expected '1.0'",
                                  text_escape(shown, version.at, version.n));
        }
        for (int i = 0; i < N_PARTS; i++) {
            if (!text_is(key, PART_KEYS[i])) continue;
            if (marks->has[i])
                return json_scan_fail(scan, FAULT_DUPLICATE, "a part is there twice");
            marks->part[i] = *scan;
            marks->has[i] = true;
        }
    }
    if (json_scan_end(scan) != SNUG_OK) return false;
    return marks->has[MODEL] || json_scan_fail(scan, FAULT_MISSING, "no model");
}

/* The template's ids must exist; special pieces are marked, for plain text. */
static bool settle(TokenizerJson *json, JsonScan *scan)
{
    const int32_t n_ids = tokenizer_json_n_ids(json);
    for (int i = 0; i < json->n_before; i++)
        if (json->before[i] >= n_ids)
            return json_scan_fail(scan, FAULT_BAD, "template id %d of %d", json->before[i], n_ids);
    for (int i = 0; i < json->n_after; i++)
        if (json->after[i] >= n_ids)
            return json_scan_fail(scan, FAULT_BAD, "template id %d of %d", json->after[i], n_ids);
    for (uint32_t i = 0; i < json->added.n; i++) {
        const AddedToken *token = &json->added.token[i];
        if (token->special && (uint32_t)token->id < json->vocab.n)
            json->vocab.kind[token->id] = VOCAB_SPECIAL;
    }
    return true;
}

static SnugStatus read_parts(TokenizerJson *json, Bookmarks *marks, JsonScan *top, Arena *arena)
{
    JsonScan *part = marks->part;
    if (!find_parts(marks, top)) return top->status;
    if (marks->has[NORMALIZER] && !normalizer_read(&json->normalizer, &part[NORMALIZER], arena))
        return part[NORMALIZER].status;
    if (marks->has[PRETOKENIZER] && !pretokenizer_read(&json->pretokenizer, &part[PRETOKENIZER]))
        return part[PRETOKENIZER].status;
    if (!read_model(json, &part[MODEL], arena)) return part[MODEL].status;
    if (marks->has[ADDED] &&
        !added_read(&json->added, &part[ADDED], &json->vocab, &json->normalizer, arena))
        return part[ADDED].status;
    if (marks->has[POSTPROCESSOR] && !read_template(json, &part[POSTPROCESSOR]))
        return part[POSTPROCESSOR].status;
    (void)settle(json, top);
    return top->status;
}

SnugStatus tokenizer_json_read(TokenizerJson *json, TextView bytes, const char *file, Arena *arena,
                               SnugError *err)
{
    Arena scratch; /* texts with escapes, and the bookmarks (each some 2 kB) */
    JsonScan top;
    *json = (TokenizerJson){ .n_before = 0 };
    arena_init(&scratch, arena->heap, "text");
    json_scan_init(&top, bytes.at, bytes.n, file, "tokenizer.json", &scratch, err);
    Bookmarks *marks = arena_take(&scratch, sizeof *marks);
    SnugStatus status = marks ? read_parts(json, marks, &top, arena)
                              : error_set(err, SNUG_ERR_MEMORY, "%s: no memory", file);
    arena_release(&scratch);
    return status;
}

int32_t tokenizer_json_find(const TokenizerJson *json, TextView content)
{
    const AddedToken *token = added_find(&json->added, content);
    return token ? token->id : vocab_find(&json->vocab, content);
}

int32_t tokenizer_json_n_ids(const TokenizerJson *json)
{
    int32_t n = (int32_t)json->vocab.n;
    for (uint32_t i = 0; i < json->added.n; i++)
        if (json->added.token[i].id >= n) n = json->added.token[i].id + 1;
    return n;
}

/* ---- encoding ---- */

/** What one call works in. */
typedef struct Work {
    const TokenizerJson *json;
    size_t limit;
    bool plain;
    Passage passage;
    TextBuilder text;
    List pieces; /* Piece */
    List *ids;
    SnugError *err;
} Work;

/* A stretch of normalised text without added tokens. */
static SnugStatus encode_stretch(Work *work, TextView text, size_t start_bytes)
{
    const TokenizerJson *json = work->json;
    TRY(pretokenizer_run(&json->pretokenizer, text, start_bytes, &work->text, &work->pieces,
                         work->err));
    const Piece *piece = work->pieces.at;
    for (size_t i = 0; i < work->pieces.n && work->ids->n < work->limit; i++) {
        TextView view = { work->text.at + piece[i].at, piece[i].n };
        if (json->is_bpe) {
            TRY(bpe_encode(&json->bpe, view, work->ids, work->err));
            continue;
        }
        TRY(unigram_encode(&json->unigram, view, work->plain ? 1u << VOCAB_SPECIAL : 0, work->ids,
                           work->err));
    }
    return SNUG_OK;
}

/* A stretch of the user's text without raw added tokens. */
static SnugStatus encode_raw(Work *work, TextView text, size_t start_bytes)
{
    const TokenizerJson *json = work->json;
    const AddedToken *token;
    size_t at, n;
    TRY(normalizer_run(&json->normalizer, text, start_bytes, &work->passage, work->err));
    const TextView normal = { work->passage.text.at, work->passage.text.n };
    AddedScan scan = added_scan(&json->added.normalized, normal, work->plain);
    while (work->ids->n < work->limit && added_next(&scan, &token, &at, &n)) {
        size_t start = work->passage.start_bytes > at ? work->passage.start_bytes - at : 0;
        if (token)
            list_push(work->ids, &token->id);
        else
            TRY(encode_stretch(work, (TextView){ normal.at + at, n }, start));
    }
    return SNUG_OK;
}

static SnugStatus encode_all(Work *work, TextView text)
{
    const AddedToken *token;
    size_t at, n;
    AddedScan scan = added_scan(&work->json->added.raw, text, work->plain);
    while (work->ids->n < work->limit && added_next(&scan, &token, &at, &n)) {
        size_t start = 0;
        if (!token && at == 0) (void)text_utf8_next(text.at, text.n, &start);
        if (token)
            list_push(work->ids, &token->id);
        else
            TRY(encode_raw(work, (TextView){ text.at + at, n }, start));
    }
    return SNUG_OK;
}

SnugStatus tokenizer_json_encode(const TokenizerJson *json, TextView text, size_t limit, bool plain,
                                 List *ids, SnugError *err)
{
    Heap *heap = ids->heap;
    Work work = { .json = json, .limit = limit, .plain = plain, .ids = ids, .err = err };
    text_init(&work.passage.text, heap, "text");
    text_init(&work.text, heap, "text");
    list_init(&work.pieces, heap, sizeof(Piece));
    SnugStatus status = encode_all(&work, text);
    if (status == SNUG_OK && ids->failed)
        status = error_set(err, SNUG_ERR_MEMORY, "tokenizer: no memory for the ids");
    text_release(&work.passage.text);
    text_release(&work.text);
    list_release(&work.pieces);
    return status;
}
