/* fingerprint.c  Options to texts, files and folders to digests. */
#include "engine/fingerprint.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/size.h"
#include "base/text.h"
#include "engine/method.h"

enum {
    WHOLE_BYTES = 4 << 20, /* of a file that is read in full */
    SAMPLES = 64,          /* of a larger one */
    SAMPLE_BYTES = 4096,
    MAX_DEPTH = 3,
    MAX_OPTIONS = 128
};

typedef struct Digest {
    Arena *arena; /* for paths; released by the caller */
    Sha256 sha;
} Digest;

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for its fingerprint", path);
}

/* ---- files and folders ---------------------------------------------------------------------- */

static SnugStatus add_range(Digest *d, const File *file, size_t from, size_t n, SnugError *err)
{
    unsigned char bytes[SAMPLE_BYTES];
    while (n) {
        const size_t piece = n < sizeof bytes ? n : sizeof bytes;
        TRY(file_pread_all(file, from, bytes, piece, err));
        sha256_add(&d->sha, bytes, piece);
        from += piece;
        n -= piece;
    }
    return SNUG_OK;
}

static SnugStatus add_content(Digest *d, const File *file, SnugError *err)
{
    const size_t n = file_bytes(file);
    const uint64_t size = n;
    sha256_add(&d->sha, &size, sizeof size);
    if (n <= WHOLE_BYTES) return add_range(d, file, 0, n, err);
    const size_t stride = (n - SAMPLE_BYTES) / (SAMPLES - 1);
    for (size_t i = 0; i < SAMPLES; i++)
        TRY(add_range(d, file, i * stride, SAMPLE_BYTES, err));
    return SNUG_OK;
}

static SnugStatus add_file(Digest *d, const char *path, SnugError *err)
{
    File *file;
    TRY(file_open(&file, d->arena->heap, path, err));
    const SnugStatus status = add_content(d, file, err);
    file_close(file);
    return status;
}

/* What a model is made of; notes, pictures and results that lie beside it are not. */
static bool counts(const char *name)
{
    static const char *const ENDINGS[] = { ".safetensors", ".gguf", ".pth",   ".pt",  ".bin",
                                           ".ckpt",        ".json", ".model", ".txt", ".npy" };
    for (size_t i = 0; i < COUNT(ENDINGS); i++)
        if (text_ends(name, ENDINGS[i])) return name[0] != '.';
    return false;
}

static SnugStatus add_path(Digest *d, const char *path, int depth, SnugError *err)
{
    const char *const *names;
    size_t n;
    if (file_type(path) != FILE_DIRECTORY) return add_file(d, path, err);
    TRY(file_list(d->arena, path, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const char *below = file_join(d->arena, path, names[i]);
        if (!below) return no_memory(path, err);
        const FileType type = file_type(below);
        const bool deeper = type == FILE_DIRECTORY && depth < MAX_DEPTH && names[i][0] != '.';
        if (!deeper && !(type == FILE_REGULAR && counts(names[i]))) continue;
        sha256_add(&d->sha, names[i], strlen(names[i]) + 1);
        TRY(add_path(d, below, depth + 1, err));
    }
    return SNUG_OK;
}

static SnugStatus digest_path(Arena *arena, const char *path, const char **out, SnugError *err)
{
    Arena scratch;
    Digest d = { .arena = &scratch };
    unsigned char digest[SHA256_BYTES];
    char text[SHA256_TEXT];
    arena_init(&scratch, arena->heap, "fingerprint");
    sha256_init(&d.sha);
    const SnugStatus status = add_path(&d, path, 0, err);
    arena_release(&scratch);
    if (status != SNUG_OK) return status;
    sha256_end(&d.sha, digest);
    *out = arena_printf(arena, "sha256:%s", sha256_text(digest, text));
    return *out ? SNUG_OK : no_memory(path, err);
}

/* ---- options -------------------------------------------------------------------------------- */

/* A line "FILE:settings" of a list: the file's digest, then the settings. */
static SnugStatus add_line(Arena *arena, const char *line, size_t n, const char **out,
                           SnugError *err)
{
    char *path = arena_text(arena, line, n);
    const char *digest = "", *before = *out;
    size_t end = n;
    while (path && end && file_type(path) == FILE_ABSENT) { /* cut at colons, from the right */
        do
            end--;
        while (end && line[end] != ':');
        path[end] = '\0';
    }
    if (path && end) TRY(digest_path(arena, path, &digest, err));
    *out =
        path ? arena_printf(arena, "%s%s%.*s\n", before, digest, (int)(n - end), line + end) : NULL;
    return *out ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for a fingerprint");
}

static SnugStatus list_text(const char *lines, Arena *arena, const char **out, SnugError *err)
{
    *out = "";
    while (lines && *lines) {
        const size_t n = strcspn(lines, "\n");
        TRY(add_line(arena, lines, n, out, err));
        lines += n + (lines[n] == '\n');
    }
    return SNUG_OK;
}

static SnugStatus value_text(const Option *o, const void *request, Arena *arena, const char **out,
                             SnugError *err)
{
    const void *at = (const char *)request + o->offset;
    const OptionSize *size = at;
    const char *const *text = at;
    switch (o->public_part.kind) {
    case SNUG_OPTION_INT:
        *out = arena_printf(arena, "%lld", (long long)*(const int64_t *)at);
        break;
    case SNUG_OPTION_FLOAT:
        *out = arena_printf(arena, "%.17g", *(const double *)at);
        break;
    case SNUG_OPTION_SIZE:
        *out = arena_printf(arena, "%dx%d", size->width, size->height);
        break;
    case SNUG_OPTION_FLAG:
        *out = *(const bool *)at ? "true" : "false";
        break;
    case SNUG_OPTION_PATH:
    case SNUG_OPTION_PICTURE:
        *out = "";
        if (!*text) break;
        /* what lies nowhere may be words: --camera pan-left */
        if (file_type(*text) != FILE_ABSENT) return digest_path(arena, *text, out, err);
        *out = arena_printf(arena, "\"%s\"", *text);
        break;
    case SNUG_OPTION_LIST:
        return list_text(*text, arena, out, err);
    case SNUG_OPTION_TEXT:
    default:
        *out = *text ? arena_printf(arena, "\"%s\"", *text) : "";
        break;
    }
    return *out ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for a fingerprint");
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const EntryNote *)a)->key, ((const EntryNote *)b)->key);
}

SnugStatus fingerprint_request(const SnugJob *job, Arena *arena, EntryNote **notes, int32_t *n,
                               SnugError *err)
{
    EntryNote *list = arena_array(arena, MAX_OPTIONS + 3, sizeof *list);
    *n = 0;
    if (!list) return error_set(err, SNUG_ERR_MEMORY, "no memory for a fingerprint");
    for (const Option *o = job->pipeline->options; o->public_part.name; o++) {
        EntryNote *note = &list[*n];
        if (*n == MAX_OPTIONS) return error_set(err, SNUG_ERR_INTERNAL, "too many options");
        note->key = arena_printf(arena, "option.%s", o->public_part.name);
        if (!note->key) return error_set(err, SNUG_ERR_MEMORY, "no memory for a fingerprint");
        TRY(value_text(o, job->request, arena, &note->text, err));
        if (note->text[0]) ++*n; /* not given: not mentioned */
    }
    if (job->arithmetic != ARITHMETIC_F32) {
        const char *dtype = arena_printf(arena, "\"%s\"", method_dtype(job));
        if (!dtype) return error_set(err, SNUG_ERR_MEMORY, "no memory for a fingerprint");
        list[(*n)++] = (EntryNote){ "option.dtype", dtype };
    }
    list[(*n)++] = (EntryNote){ "pipeline", job->pipeline->name };
    list[(*n)++] = (EntryNote){ "snug", snug_version() };
    qsort(list, (size_t)*n, sizeof *list, by_key);
    *notes = list;
    return SNUG_OK;
}
