/* tokenizer.c  Finds the files, picks the flavour, cuts to length and adds the template. */
#include "text/tokenizer.h"

#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/json.h"
#include "text/bpe_files.h"
#include "text/spiece.h"
#include "text/tokenizer_json.h"

struct Tokenizer {
    Heap *heap;
    Arena arena;
    bool is_json; /* which of the two below is in use */
    TokenizerJson json;
    Spiece spiece;
    int32_t pad_id, eos_id, unk_id;
};

/* ---- opening ---- */

/** Files of a tokenizer folder, or of a single path: then `config` is NULL. */
typedef struct Paths {
    const char *model, *config;
    const char *merges; /**< with `model` as vocab.json */
} Paths;

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for the tokenizer", path);
}

/* The first of `names` that is a file in `folder`; NULL if none is. */
static SnugStatus pick(const char *folder, const char *const *names, Arena *arena, const char **out,
                       SnugError *err)
{
    *out = NULL;
    for (; *names && !*out; names++) {
        const char *path = file_join(arena, folder, *names);
        if (!path) return no_memory(folder, err);
        if (file_type(path) == FILE_REGULAR) *out = path;
    }
    return SNUG_OK;
}

static SnugStatus find_files(const char *path, Arena *arena, Paths *out, SnugError *err)
{
    static const char *const MODELS[] = { "tokenizer.json", "spiece.model", "tokenizer.model",
                                          NULL };
    static const char *const CONFIGS[] = { "tokenizer_config.json", "special_tokens_map.json",
                                           NULL };
    static const char *const VOCAB[] = { "vocab.json", NULL }, *const MERGES[] = { "merges.txt",
                                                                                   NULL };
    *out = (Paths){ .model = path };
    if (file_type(path) != FILE_DIRECTORY) return SNUG_OK;
    TRY(pick(path, MODELS, arena, &out->model, err));
    TRY(pick(path, CONFIGS, arena, &out->config, err));
    if (out->model) return SNUG_OK;
    TRY(pick(path, VOCAB, arena, &out->model, err));
    TRY(pick(path, MERGES, arena, &out->merges, err));
    if (out->model && out->merges) return SNUG_OK;
    return fault_set(err, FAULT_MISSING, path, "tokenizer", NULL,
                     "no tokenizer.json, no spiece.model, no vocab.json with merges.txt in this "
                     "folder");
}

static SnugStatus read_bytes(const char *path, Arena *arena, TextView *out, SnugError *err)
{
    File *file;
    TRY(file_open(&file, arena->heap, path, err));
    SnugStatus status = file_refuse_impostor(file, "tokenizer", err);
    file_close(file);
    if (status != SNUG_OK) return status;
    return file_read_text(arena, path, TOKENIZER_MAX_FILE_BYTES, out, err);
}

static bool looks_like_json(TextView bytes)
{
    size_t i = 0;
    while (i < bytes.n && (bytes.at[i] == ' ' || bytes.at[i] == '\n' || bytes.at[i] == '\r' ||
                           bytes.at[i] == '\t'))
        i++;
    return i < bytes.n && bytes.at[i] == '{';
}

static SnugStatus parse(Tokenizer *tokenizer, TextView bytes, const char *name, SnugError *err)
{
    tokenizer->is_json = looks_like_json(bytes);
    if (tokenizer->is_json)
        return tokenizer_json_read(&tokenizer->json, bytes, name, &tokenizer->arena, err);
    return spiece_read(&tokenizer->spiece, bytes, name, &tokenizer->arena, err);
}

static SnugStatus read_model(Tokenizer *tokenizer, const Paths *paths, Json config, Arena *scratch,
                             SnugError *err)
{
    TextView bytes;
    const char *path = paths->model;
    if (paths->merges) {
        const BpeFiles files = { path, paths->merges, config };
        TRY(bpe_files_retell(&files, scratch, &bytes, err));
    } else
        TRY(read_bytes(path, scratch, &bytes, err));
    return parse(tokenizer, bytes, path, err);
}

/* The token a config names for a role: a text, or an object with its content. */
static SnugStatus read_role(Json config, const char *role, const char *otherwise, const char **out,
                            SnugError *err)
{
    Json token = json_get(config, role);
    if (json_kind(token) != JSON_KIND_OBJECT) return json_text(config, role, otherwise, out, err);
    return json_text(token, "content", otherwise, out, err);
}

static SnugStatus settle_json(Tokenizer *tokenizer, Json config, SnugError *err)
{
    const char *pad, *eos;
    TRY(read_role(config, "pad_token", "<pad>", &pad, err));
    TRY(read_role(config, "eos_token", "</s>", &eos, err));
    const TokenizerJson *json = &tokenizer->json;
    tokenizer->pad_id = tokenizer_json_find(json, (TextView){ pad, strlen(pad) });
    tokenizer->eos_id = tokenizer_json_find(json, (TextView){ eos, strlen(eos) });
    tokenizer->unk_id = json->unk_id;
    return SNUG_OK;
}

static SnugStatus settle_roles(Tokenizer *tokenizer, Json config, SnugError *err)
{
    if (tokenizer->is_json) return settle_json(tokenizer, config, err);
    tokenizer->pad_id = tokenizer->spiece.pad_id;
    tokenizer->eos_id = tokenizer->spiece.eos_id;
    tokenizer->unk_id = tokenizer->spiece.unk_id;
    return SNUG_OK;
}

static SnugStatus open_files(Tokenizer *tokenizer, const char *path, Arena *scratch, SnugError *err)
{
    Paths paths;
    JsonDoc *doc = NULL;
    TRY(find_files(path, scratch, &paths, err));
    if (paths.config) TRY(json_open(&doc, tokenizer->heap, paths.config, err));
    const Json config = doc ? json_root(doc) : (Json){ .doc = NULL };
    SnugStatus status = read_model(tokenizer, &paths, config, scratch, err);
    if (status == SNUG_OK) status = settle_roles(tokenizer, config, err);
    json_close(doc);
    return status;
}

static SnugStatus create(Tokenizer **out, Heap *heap, const char *name, SnugError *err)
{
    *out = heap_take(heap, sizeof **out, "tokenizer");
    if (!*out) return no_memory(name, err);
    (*out)->heap = heap;
    arena_init(&(*out)->arena, heap, "tokenizer");
    return SNUG_OK;
}

/* The new tokenizer on success, else nothing. */
static SnugStatus settle(Tokenizer **out, SnugStatus status)
{
    if (status == SNUG_OK) return status;
    tokenizer_close(*out);
    *out = NULL;
    return status;
}

SnugStatus tokenizer_open(Tokenizer **out, Heap *heap, const char *path, SnugError *err)
{
    Arena scratch;
    TRY(create(out, heap, path, err));
    arena_init(&scratch, heap, "text");
    const SnugStatus status = open_files(*out, path, &scratch, err);
    arena_release(&scratch);
    return settle(out, status);
}

SnugStatus tokenizer_read(Tokenizer **out, Heap *heap, TextView bytes, const char *name,
                          SnugError *err)
{
    TRY(create(out, heap, name, err));
    SnugStatus status = parse(*out, bytes, name, err);
    if (status == SNUG_OK) status = settle_roles(*out, (Json){ .doc = NULL }, err);
    return settle(out, status);
}

void tokenizer_close(Tokenizer *tokenizer)
{
    if (!tokenizer) return;
    arena_release(&tokenizer->arena);
    heap_give(tokenizer->heap, tokenizer);
}

/* ---- encoding ---- */

/** Ids around every text. */
typedef struct Frame {
    const int32_t *before, *after;
    size_t n_before, n_after;
} Frame;

static Frame frame_of(const Tokenizer *tokenizer)
{
    const TokenizerJson *json = &tokenizer->json;
    if (tokenizer->is_json)
        return (Frame){ json->before, json->after, (size_t)json->n_before, (size_t)json->n_after };
    return (Frame){ NULL, &tokenizer->spiece.eos_id, 0, tokenizer->spiece.eos_id >= 0 };
}

static SnugStatus check_text(TextView text, int64_t max_length, Frame frame, SnugError *err)
{
    if (text.n > TOKENIZER_MAX_TEXT_BYTES)
        return error_set(err, SNUG_ERR_ARG, "prompt: too large: got %zu bytes, limit %d", text.n,
                         TOKENIZER_MAX_TEXT_BYTES);
    size_t good = text_utf8_check(text.at, text.n);
    if (good < text.n)
        return error_set(err, SNUG_ERR_ARG, "prompt: invalid UTF-8 at byte %zu", good);
    if (max_length < 0 || (max_length && (size_t)max_length < frame.n_before + frame.n_after))
        return error_set(err, SNUG_ERR_ARG,
                         "prompt: a length of %lld has no room for the %zu special tokens",
                         (long long)max_length, frame.n_before + frame.n_after);
    return SNUG_OK;
}

static SnugStatus assemble(const List *content, size_t n_content, Frame frame, Arena *arena,
                           int32_t **ids, int64_t *n, SnugError *err)
{
    const size_t total = frame.n_before + n_content + frame.n_after;
    int32_t *out = arena_array(arena, total, sizeof *out);
    if (!out) return error_set(err, SNUG_ERR_MEMORY, "tokenizer: no memory for the ids");
    if (frame.n_before) memcpy(out, frame.before, frame.n_before * sizeof *out);
    if (n_content) memcpy(out + frame.n_before, content->at, n_content * sizeof *out);
    if (frame.n_after)
        memcpy(out + frame.n_before + n_content, frame.after, frame.n_after * sizeof *out);
    *ids = out;
    *n = (int64_t)total;
    return SNUG_OK;
}

static SnugStatus encode(const Tokenizer *tokenizer, TextView text, int64_t max_length, bool plain,
                         Arena *arena, int32_t **ids, int64_t *n, SnugError *err)
{
    const Frame frame = frame_of(tokenizer);
    TRY(check_text(text, max_length, frame, err));
    size_t limit = SIZE_MAX;
    if (max_length) limit = (size_t)max_length - frame.n_before - frame.n_after;
    List content;
    list_init(&content, tokenizer->heap, sizeof(int32_t));
    SnugStatus status;
    if (tokenizer->is_json)
        status = tokenizer_json_encode(&tokenizer->json, text, limit, plain, &content, err);
    else
        status = spiece_encode(&tokenizer->spiece, text, &content, err);
    if (status == SNUG_OK)
        status =
            assemble(&content, content.n < limit ? content.n : limit, frame, arena, ids, n, err);
    list_release(&content);
    return status;
}

SnugStatus tokenizer_encode(const Tokenizer *tokenizer, TextView text, int64_t max_length,
                            Arena *arena, int32_t **ids, int64_t *n, SnugError *err)
{
    return encode(tokenizer, text, max_length, false, arena, ids, n, err);
}

SnugStatus tokenizer_encode_plain(const Tokenizer *tokenizer, TextView text, int64_t max_length,
                                  Arena *arena, int32_t **ids, int64_t *n, SnugError *err)
{
    return encode(tokenizer, text, max_length, true, arena, ids, n, err);
}

int32_t tokenizer_pad_id(const Tokenizer *tokenizer)
{
    return tokenizer->pad_id;
}

int32_t tokenizer_eos_id(const Tokenizer *tokenizer)
{
    return tokenizer->eos_id;
}

int32_t tokenizer_unk_id(const Tokenizer *tokenizer)
{
    return tokenizer->unk_id;
}

int32_t tokenizer_n_ids(const Tokenizer *tokenizer)
{
    if (tokenizer->is_json) return tokenizer_json_n_ids(&tokenizer->json);
    return (int32_t)tokenizer->spiece.vocab.n;
}
