/* bpe_files.c  The fixed parts are those of transformers 5.23, CLIPTokenizer; the vocabulary is put in
 * as it stands, merges line by line. Source: formats spec 9.3. */
#include "text/bpe_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/size.h"

static const char PARTS[] =
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":"
    "\"Replace\","
    "\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"},{\"type\":\"Lowercase\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
    "{\"Regex\":\"<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+"
    "|"
    "[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+\"},\"behavior\":\"Removed\",\"invert\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}]},";

/** What is gathered before it is written. */
typedef struct Retelling {
    const BpeFiles *files;
    Arena *arena;
    TextView vocab, merges;
    TextBuilder out;
    int n_added;
    SnugError *err;
} Retelling;

static SnugStatus no_memory(const Retelling *r)
{
    return error_set(r->err, SNUG_ERR_MEMORY, "%s: no memory for the tokenizer", r->files->vocab);
}

static void add(Retelling *r, const char *text)
{
    text_add(&r->out, text, strlen(text));
}

/* Id of a piece in vocab.json. */
static SnugStatus id_of(const Retelling *r, const char *piece, uint64_t *id)
{
    JsonScan scan;
    bool found = false;
    json_scan_init(&scan, r->vocab.at, r->vocab.n, r->files->vocab, "vocab.json", r->arena, r->err);
    (void)json_scan_object(&scan);
    for (TextView key; json_scan_key(&scan, &key);)
        if (text_is(key, piece)) found = json_scan_u64(&scan, id);
    TRY(json_scan_end(&scan));
    if (found) return SNUG_OK;
    return fault_set(r->err, FAULT_MISSING, r->files->vocab, "vocab.json", piece,
                     "a special token that the vocabulary lacks");
}

/* A token of a role: a text, or an object with its content. */
static SnugStatus role_text(Json value, const char *otherwise, const char **out, SnugError *err)
{
    *out = otherwise;
    if (json_kind(value) == JSON_KIND_OBJECT) return json_text(value, "content", NULL, out, err);
    if (json_kind(value) == JSON_KIND_TEXT) return json_as_text(value, out, err);
    return SNUG_OK;
}

/* One added token; `value` may be an object with its flags. */
static SnugStatus add_token(Retelling *r, uint64_t id, const char *content, Json value)
{
    static const char *const FLAGS[] = { "single_word", "lstrip", "rstrip", "normalized" };
    text_addf(&r->out, "%s{\"id\":%llu,\"special\":true,\"content\":", r->n_added++ ? "," : "",
              (unsigned long long)id);
    text_add_json(&r->out, content, strlen(content));
    for (size_t i = 0; i < COUNT(FLAGS); i++) {
        bool flag = false;
        if (json_kind(value) == JSON_KIND_OBJECT)
            TRY(json_bool(value, FLAGS[i], false, &flag, r->err));
        text_addf(&r->out, ",\"%s\":%s", FLAGS[i], flag ? "true" : "false");
    }
    add(r, "}");
    return SNUG_OK;
}

/* "added_tokens_decoder": { "49406": { "content": ..., flags } } */
static SnugStatus add_listed(Retelling *r, Json listed)
{
    for (JsonMember m = { 0 }; json_next(listed, &m);) {
        char *end;
        const char *content = NULL;
        const unsigned long long id = strtoull(m.key, &end, 10);
        if (*end || end == m.key)
            return json_fault(m.value, r->err, FAULT_BAD, "an added token without a number");
        TRY(json_text(m.value, "content", NULL, &content, r->err));
        if (!content) return json_fault(m.value, r->err, FAULT_MISSING, "content");
        TRY(add_token(r, id, content, m.value));
    }
    return SNUG_OK;
}

/* Without a list the tokens with a role are the special ones. */
static SnugStatus add_roles(Retelling *r, const char *bos, const char *eos)
{
    static const char *const ROLES[] = { "bos_token", "eos_token", "unk_token", "pad_token" };
    const char *seen[COUNT(ROLES)] = { bos, eos, NULL, NULL };
    for (size_t i = 0; i < COUNT(ROLES); i++) {
        uint64_t id;
        const Json value = json_get(r->files->config, ROLES[i]);
        TRY(role_text(value, seen[i], &seen[i], r->err));
        bool twice = !seen[i];
        for (size_t k = 0; k < i && !twice; k++)
            twice = seen[k] && strcmp(seen[k], seen[i]) == 0;
        if (twice) continue;
        TRY(id_of(r, seen[i], &id));
        TRY(add_token(r, id, seen[i], value));
    }
    return SNUG_OK;
}

static SnugStatus add_specials(Retelling *r)
{
    const Json config = r->files->config;
    const char *bos, *eos;
    uint64_t bos_id, eos_id;
    Json listed;
    TRY(role_text(json_get(config, "bos_token"), "<|startoftext|>", &bos, r->err));
    TRY(role_text(json_get(config, "eos_token"), "<|endoftext|>", &eos, r->err));
    TRY(id_of(r, bos, &bos_id));
    TRY(id_of(r, eos, &eos_id));
    add(r, "\"post_processor\":{\"type\":\"RobertaProcessing\",\"cls\":[");
    text_add_json(&r->out, bos, strlen(bos));
    text_addf(&r->out, ",%llu],\"sep\":[", (unsigned long long)bos_id);
    text_add_json(&r->out, eos, strlen(eos));
    text_addf(&r->out, ",%llu]},\"added_tokens\":[", (unsigned long long)eos_id);
    TRY(json_get_object(config, "added_tokens_decoder", &listed, r->err));
    if (json_length(listed))
        TRY(add_listed(r, listed));
    else
        TRY(add_roles(r, bos, eos));
    add(r, "],");
    return SNUG_OK;
}

/* Lines "a b" after a first line "#version"; empty ones do not count. */
static void add_merges(Retelling *r)
{
    const TextView m = r->merges;
    size_t at = 0, n = 0;
    while (at < m.n) {
        const char *end = memchr(m.at + at, '\n', m.n - at);
        size_t stop = end ? (size_t)(end - m.at) : m.n, next = stop + 1;
        if (stop > at && m.at[stop - 1] == '\r') stop--;
        const bool version = at == 0 && m.n >= 8 && memcmp(m.at, "#version", 8) == 0;
        if (stop > at && !version) {
            if (n++) add(r, ",");
            text_add_json(&r->out, m.at + at, stop - at);
        }
        at = next;
    }
}

static SnugStatus refuse_others(const Retelling *r)
{
    const char *kind = NULL;
    TRY(json_text(r->files->config, "tokenizer_class", "CLIPTokenizer", &kind, r->err));
    if (strcmp(kind, "CLIPTokenizer") == 0 || strcmp(kind, "CLIPTokenizerFast") == 0)
        return SNUG_OK;
    return json_fault(json_get(r->files->config, "tokenizer_class"), r->err, FAULT_UNSUPPORTED,
                      "vocab.json and merges.txt of a %s (a tokenizer.json would do)", kind);
}

static SnugStatus retell(Retelling *r)
{
    TRY(refuse_others(r));
    TRY(file_read_text(r->arena, r->files->vocab, BPE_FILES_MAX_BYTES, &r->vocab, r->err));
    TRY(file_read_text(r->arena, r->files->merges, BPE_FILES_MAX_BYTES, &r->merges, r->err));
    if (text_utf8_check(r->merges.at, r->merges.n) < r->merges.n)
        return fault_set(r->err, FAULT_BAD_TEXT, r->files->merges, "merges.txt", NULL,
                         "invalid UTF-8");
    add(r, "{\"version\":\"1.0\",");
    add(r, PARTS);
    TRY(add_specials(r));
    add(r, "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<|endoftext|>\","
           "\"end_of_word_suffix\":\"</w>\",\"vocab\":");
    text_add(&r->out, r->vocab.at, r->vocab.n);
    add(r, ",\"merges\":[");
    add_merges(r);
    add(r, "]}}");
    return r->out.failed ? no_memory(r) : SNUG_OK;
}

SnugStatus bpe_files_retell(const BpeFiles *files, Arena *arena, TextView *out, SnugError *err)
{
    Retelling r = { .files = files, .arena = arena, .err = err };
    text_init(&r.out, arena->heap, "text");
    SnugStatus status = retell(&r);
    if (status == SNUG_OK) {
        *out = (TextView){ arena_text(arena, r.out.at, r.out.n), r.out.n };
        if (!out->at) status = no_memory(&r);
    }
    text_release(&r.out);
    return status;
}
