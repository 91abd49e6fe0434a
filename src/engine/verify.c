/* verify.c  Read everything a model consists of, once, and compare what can be compared. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/now.h"
#include "base/size.h"
#include "base/sha256.h"
#include "base/text.h"
#include "engine/convert.h"
#include "formats/file_kind.h"
#include "formats/zip.h"
#include "pipelines/about.h"
#include "tensor/finite.h"

enum { PIECE_BYTES = 4 << 20, MAX_SUMS = 1 << 20, MAX_LINK = 4096, MAX_DEPTH = 3 };

typedef struct Verify {
    Heap *heap;
    Arena arena;
    unsigned char *piece;
    SnugVerified *out;
    ConvertProgress progress;
    const char **done; /* paths of weight files that were read */
    int n_done, max_done;
} Verify;

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory to verify");
}

static SnugStatus step(Verify *v, size_t bytes, SnugError *err)
{
    v->out->bytes += (double)bytes;
    convert_progress(&v->progress, (double)bytes);
    if (v->progress.cancel && *v->progress.cancel)
        return error_set(err, SNUG_ERR_CANCELLED, "cancelled");
    return SNUG_OK;
}

/* ---- tensors -------------------------------------------------------------------------------- */

/* Every piece as its file has it; what snug cannot compute with is read all the same. */
static SnugStatus read_tensor(Verify *v, const Checkpoint *c, const Entry *e, SnugError *err)
{
    const size_t size = e->dtype < DT_COUNT ? (size_t)dtype_info(e->dtype)->bytes : 1;
    const size_t step_bytes = PIECE_BYTES / size * size;
    for (size_t at = 0; at < e->bytes; at += step_bytes) {
        const size_t n = e->bytes - at < step_bytes ? e->bytes - at : step_bytes;
        TRY(checkpoint_read(c, e, at, n, v->piece, err));
        TRY(step(v, n, err));
        const int64_t bad = e->dtype < DT_COUNT ? finite_find(e->dtype, v->piece, n) : -1;
        if (bad < 0) continue;
        const bool block = dtype_info(e->dtype)->block > 1;
        return fault_set(err, FAULT_BAD, file_path(checkpoint_file(c, e->file)), "verify", e->name,
                         "NaN or infinity in %s %lld", block ? "the scales of block" : "element",
                         (long long)(at / size) + (long long)bad);
    }
    checkpoint_forget(c, e);
    v->out->tensors++;
    return SNUG_OK;
}

/* ---- checksums ------------------------------------------------------------------------------ */

static SnugStatus digest_of(Verify *v, const File *file, char text[SHA256_TEXT], SnugError *err)
{
    Sha256 sha;
    unsigned char digest[SHA256_BYTES];
    sha256_init(&sha);
    for (size_t at = 0; at < file_bytes(file); at += PIECE_BYTES) {
        const size_t left = file_bytes(file) - at, n = left < PIECE_BYTES ? left : PIECE_BYTES;
        TRY(file_pread_all(file, at, v->piece, n, err));
        file_forget(file, at, n);
        sha256_add(&sha, v->piece, n);
        v->progress.all_bytes += (double)n; /* read once more */
        TRY(step(v, n, err));
        v->out->bytes -= (double)n;
    }
    sha256_end(&sha, digest);
    (void)sha256_text(digest, text);
    return SNUG_OK;
}

static bool is_digest(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isxdigit((unsigned char)text[i])) return false;
    return n == SHA256_TEXT - 1;
}

/* The line of a file of sums that is for `name`; "digest  name" or "digest *name". */
static const char *find_sum(TextView sums, const char *name)
{
    for (const char *line = sums.at; *line;) {
        const size_t n = strcspn(line, "\r\n"), digits = strcspn(line, " \t\r\n");
        const char *file = line + digits;
        while (*file == ' ' || *file == '\t' || *file == '*')
            file++;
        const size_t length = (size_t)(line + n - file);
        const bool here = file > line + n || length == 0 ||
                          (length == strlen(name) && memcmp(file, name, length) == 0);
        if (is_digest(line, digits) && here) return line;
        line += n + strspn(line + n, "\r\n");
    }
    return NULL;
}

static SnugStatus sum_in(Verify *v, const char *path, const char *name, const char **out,
                         SnugError *err)
{
    TextView text;
    if (!path) return no_memory(err);
    if (*out || file_type(path) != FILE_REGULAR) return SNUG_OK;
    TRY(file_read_text(&v->arena, path, MAX_SUMS, &text, err));
    *out = find_sum(text, name);
    return SNUG_OK;
}

/* What somebody says the digest is: beside the file, for its folder, or its name in a hub's cache. */
static SnugStatus known_sum(Verify *v, const char *path, const char **out, SnugError *err)
{
    static const char *const LISTS[] = { "SHA256SUMS", "sha256sums.txt", "SHA256SUMS.txt" };
    const char *name = file_basename(path), *folder = file_dirname(&v->arena, path);
    char link[MAX_LINK];
    *out = NULL;
    TRY(sum_in(v, arena_printf(&v->arena, "%s.sha256", path), name, out, err));
    for (size_t i = 0; folder && i < COUNT(LISTS); i++)
        TRY(sum_in(v, file_join(&v->arena, folder, LISTS[i]), name, out, err));
    const ssize_t n = *out ? -1 : readlink(path, link, sizeof link - 1);
    if (n <= 0) return SNUG_OK;
    link[n] = '\0';
    const char *blob = file_basename(link);
    if (strstr(link, "blobs/") && is_digest(blob, strlen(blob)))
        *out = arena_text(&v->arena, blob, strlen(blob));
    return SNUG_OK;
}

static SnugStatus check_sum(Verify *v, const File *file, SnugError *err)
{
    const char *want;
    char got[SHA256_TEXT];
    TRY(known_sum(v, file_path(file), &want, err));
    if (!want) return SNUG_OK;
    TRY(digest_of(v, file, got, err));
    for (int i = 0; i < SHA256_TEXT - 1; i++)
        if (tolower((unsigned char)want[i]) != got[i])
            return fault_set(err, FAULT_MISMATCH, file_path(file), "verify", NULL,
                             "its SHA-256 is %s, not %.64s", got, want);
    v->out->checksums++;
    return SNUG_OK;
}

static SnugStatus check_member(Verify *v, const File *file, const ZipMember *m, SnugError *err)
{
    uint32_t crc = 0;
    if (m->method != ZIP_STORED || m->encrypted) return SNUG_OK;
    for (size_t at = 0; at < m->bytes; at += PIECE_BYTES) {
        const size_t n = m->bytes - at < PIECE_BYTES ? m->bytes - at : PIECE_BYTES;
        TRY(file_pread_all(file, m->offset + at, v->piece, n, err));
        file_forget(file, m->offset + at, n);
        crc = crc32_add(crc, v->piece, n);
        v->progress.all_bytes += (double)n;
        TRY(step(v, n, err));
        v->out->bytes -= (double)n;
    }
    if (crc == m->crc) return SNUG_OK;
    return fault_set(err, FAULT_MISMATCH, file_path(file), "verify", m->name,
                     "its CRC-32 is %08x, not %08x", crc, m->crc);
}

static SnugStatus check_archive(Verify *v, const File *file, SnugError *err)
{
    FileKind kind;
    ZipDirectory zip;
    TRY(file_kind_find(file, &kind, err));
    if (kind != KIND_ZIP_TORCH) return SNUG_OK;
    TRY(zip_read(&zip, &v->arena, file, "verify", err));
    for (int32_t i = 0; i < zip.n; i++)
        TRY(check_member(v, file, &zip.members[i], err));
    v->out->checksums++;
    return SNUG_OK;
}

/* ---- files and folders ---------------------------------------------------------------------- */

static bool was_done(const Verify *v, const char *path)
{
    for (int i = 0; i < v->n_done; i++)
        if (strcmp(v->done[i], path) == 0) return true;
    return false;
}

static SnugStatus note_done(Verify *v, const char *path, SnugError *err)
{
    if (v->n_done == v->max_done) {
        const int max = v->max_done ? 2 * v->max_done : 64;
        const char **done = arena_array(&v->arena, (size_t)max, sizeof *done);
        if (!done) return no_memory(err);
        if (v->n_done) memcpy(done, v->done, (size_t)v->n_done * sizeof *done);
        v->done = done;
        v->max_done = max;
    }
    v->done[v->n_done] = arena_text(&v->arena, path, strlen(path));
    return v->done[v->n_done++] ? SNUG_OK : no_memory(err);
}

static SnugStatus verify_open(Verify *v, const Checkpoint *c, SnugError *err)
{
    v->progress.all_bytes += (double)checkpoint_bytes(c);
    for (int32_t i = 0; i < checkpoint_n_pieces(c); i++)
        TRY(read_tensor(v, c, checkpoint_piece(c, i), err));
    for (int32_t i = 0; i < checkpoint_n_files(c); i++) {
        const File *file = checkpoint_file(c, i);
        TRY(check_archive(v, file, err));
        TRY(check_sum(v, file, err));
        TRY(file_check_unchanged(file, err));
        TRY(note_done(v, file_path(file), err));
        v->out->files++;
    }
    return SNUG_OK;
}

static SnugStatus verify_file(Verify *v, const char *path, SnugError *err)
{
    Checkpoint *c;
    if (was_done(v, path)) return SNUG_OK;
    TRY(checkpoint_open(&c, v->heap, path, NULL, err));
    const SnugStatus status = verify_open(v, c, err);
    checkpoint_close(c);
    return status;
}

static bool is_weights(const char *name, bool index)
{
    static const char *const ENDINGS[] = { ".safetensors", ".gguf", ".pth", ".pt", ".ckpt" };
    if (text_ends(name, ".bin"))
        return !index && strstr(name, "pytorch_model"); /* else: anything */
    if (index) return text_ends(name, ".index.json");
    for (size_t i = 0; i < COUNT(ENDINGS); i++)
        if (text_ends(name, ENDINGS[i])) return true;
    return false;
}

/* Indices first: they say which shards there must be. */
static SnugStatus verify_folder(Verify *v, const char *path, int depth, SnugError *err)
{
    const char *const *names;
    size_t n;
    TRY(file_list(&v->arena, path, &names, &n, err));
    for (int index = 1; index >= 0; index--)
        for (size_t i = 0; i < n; i++) {
            const char *below = file_join(&v->arena, path, names[i]);
            if (!below) return no_memory(err);
            const FileType type = file_type(below);
            if (type == FILE_REGULAR && is_weights(names[i], index))
                TRY(verify_file(v, below, err));
            if (type == FILE_DIRECTORY && !index && depth < MAX_DEPTH && names[i][0] != '.')
                TRY(verify_folder(v, below, depth + 1, err));
        }
    return SNUG_OK;
}

static SnugStatus verify(Verify *v, const char *path, SnugError *err)
{
    v->piece = arena_take(&v->arena, PIECE_BYTES);
    if (!v->piece) return no_memory(err);
    if (file_type(path) != FILE_DIRECTORY) return verify_file(v, path, err);
    TRY(verify_folder(v, path, 0, err));
    return v->out->files ? SNUG_OK : error_set(err, SNUG_ERR_FILE, "%s: it holds no weights", path);
}

/* What the headers say it is; a model that lacks something is called by its name all the same. */
static void name_it(Verify *v, const char *path)
{
    About about;
    const char *what = NULL;
    if (about_init(&about, v->heap, path, NULL) == SNUG_OK)
        what = about.model ? about.model : about.n_parts == 1 ? about.part[0].words : NULL;
    (void)snprintf(v->out->what, sizeof v->out->what, "%s", what ? what : "");
    about_release(&about);
}

SnugStatus snug_models_verify(SnugVerified *out, const char *path, SnugEventFunction *on_event,
                              void *context, const volatile int *cancel, SnugError *err)
{
    SnugVerified found = { 0 };
    Verify v = { .heap = heap_create(), .out = out ? out : &found };
    if (!v.heap) return error_set(err, SNUG_ERR_MEMORY, "no memory");
    *v.out = (SnugVerified){ 0 };
    v.progress = (ConvertProgress){ .on_event = on_event,
                                    .context = context,
                                    .stage = "verify",
                                    .begin = now_seconds(),
                                    .cancel = cancel };
    arena_init(&v.arena, v.heap, "verify");
    SnugStatus status = verify(&v, path, err);
    if (status == SNUG_ERR_IO) status = SNUG_ERR_FILE; /* what cannot be read is wrong */
    if (status == SNUG_OK) name_it(&v, path);
    arena_release(&v.arena);
    heap_free(v.heap);
    return status;
}
