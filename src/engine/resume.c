/* resume.c  One safetensors file: header first, tensors as they are handed out, their digest last. */
#include "engine/resume.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/outfile.h"
#include "base/sha256.h"
#include "engine/fingerprint.h"
#include "formats/safetensors_write.h"

/* "~": behind every name of a state, and of another type, so that it is the last in the file. */
static const char FORMAT[] = "state", DIGEST[] = "~sha256", STEP[] = "step";

struct Resume {
    Heap *heap;
    Arena arena;
    const char *folder, *path;
    EntryNote *notes; /* the request, and room for the step */
    int32_t n_notes;
    Checkpoint *state; /* of an earlier run, or NULL */
    PipelineKeep keep; /* what the recipe hands out now */
    SafetensorsWriter *writer;
    Sha256 sha;
    int n_taken;
};

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory for the checkpoint");
}

/* ---- reading -------------------------------------------------------------------------------- */

static const char *note_of(const Resume *s, const char *key)
{
    for (int32_t i = 0; i < s->n_notes; i++)
        if (strcmp(s->notes[i].key, key) == 0) return s->notes[i].text;
    return NULL;
}

/* A value for a message: digests of files say nothing to people. */
static const char *shown(const char *text, char out[TEXT_ESCAPED])
{
    if (!text) return "not given";
    if (strncmp(text, "sha256:", 7) == 0) return "another file";
    return text_escape(out, text, strlen(text) < 60 ? strlen(text) : 60);
}

static SnugStatus refuse(const Resume *s, const char *key, const char *there, SnugError *err)
{
    char a[TEXT_ESCAPED], b[TEXT_ESCAPED];
    const char *here = note_of(s, key);
    const bool option = strncmp(key, "option.", 7) == 0;
    return error_set(err, SNUG_ERR_FILE,
                     "%s: it is of another request: %s%s is %s there, %s here; go on with the same "
                     "request, or name another --checkpoint folder",
                     s->path, option ? "--" : "", option ? key + 7 : key, shown(there, a),
                     there && here && strncmp(here, "sha256:", 7) == 0 ? "this one"
                                                                       : shown(here, b));
}

/* Every note here must be there, and the other way round. */
static SnugStatus compare(const Resume *s, SnugError *err)
{
    int32_t n;
    const EntryNote *there = checkpoint_notes(s->state, 0, &n);
    for (int32_t i = 0; i < s->n_notes; i++) {
        const char *text = checkpoint_metadata(s->state, s->notes[i].key);
        if (!text || strcmp(text, s->notes[i].text) != 0)
            return refuse(s, s->notes[i].key, text, err);
    }
    for (int32_t i = 0; i < n; i++)
        if (strcmp(there[i].key, STEP) != 0 && !note_of(s, there[i].key))
            return refuse(s, there[i].key, there[i].text, err);
    return SNUG_OK;
}

static SnugStatus add_tensor(const Resume *s, Sha256 *sha, const Entry *e, SnugError *err)
{
    unsigned char bytes[16384];
    for (size_t at = 0; at < e->bytes; at += sizeof bytes) {
        const size_t n = e->bytes - at < sizeof bytes ? e->bytes - at : sizeof bytes;
        TRY(checkpoint_read(s->state, e, at, n, bytes, err));
        sha256_add(sha, bytes, n);
    }
    return SNUG_OK;
}

/* In the order of names, in which they were written. */
static SnugStatus check_digest(const Resume *s, SnugError *err)
{
    Sha256 sha;
    unsigned char want[SHA256_BYTES], got[SHA256_BYTES];
    const int32_t at = checkpoint_find(s->state, DIGEST);
    const Entry *e = at < 0 ? NULL : checkpoint_entry(s->state, at);
    if (!e || e->bytes != sizeof want)
        return fault_set(err, FAULT_MISSING, s->path, FORMAT, DIGEST, "no digest of the tensors");
    TRY(checkpoint_read(s->state, e, 0, sizeof want, want, err));
    sha256_init(&sha);
    for (int32_t i = 0; i < checkpoint_count(s->state); i++)
        if (i != at) TRY(add_tensor(s, &sha, checkpoint_entry(s->state, i), err));
    sha256_end(&sha, got);
    if (memcmp(want, got, sizeof want) == 0) return SNUG_OK;
    return fault_set(err, FAULT_MISMATCH, s->path, FORMAT, NULL,
                     "the tensors are not those that were written: the file is damaged");
}

static SnugStatus read_step(const Resume *s, int64_t *out, SnugError *err)
{
    const char *text = checkpoint_metadata(s->state, STEP);
    char *end = NULL;
    errno = 0;
    *out = text ? strtoll(text, &end, 10) : 0;
    if (text && end != text && !*end && !errno && *out >= 1) return SNUG_OK;
    return fault_set(err, FAULT_BAD, s->path, FORMAT, STEP, "no number of steps");
}

static SnugStatus read_state(Resume *s, SnugJob *job, SnugError *err)
{
    if (file_type(s->path) == FILE_ABSENT) return SNUG_OK;
    TRY(checkpoint_open(&s->state, s->heap, s->path, NULL, err));
    TRY(compare(s, err));
    TRY(read_step(s, &job->context.resumed_step, err));
    TRY(check_digest(s, err));
    job->context.resumed = s->state;
    return SNUG_OK;
}

static SnugStatus open_all(Resume *s, SnugJob *job, SnugError *err)
{
    const char *folder = job->common.checkpoint;
    s->folder = arena_text(&s->arena, folder, strlen(folder));
    s->path = file_join(&s->arena, folder, "state.safetensors");
    if (!s->folder || !s->path) return no_memory(err);
    if (file_type(folder) != FILE_ABSENT && file_type(folder) != FILE_DIRECTORY)
        return error_set(err, SNUG_ERR_ARG, "--checkpoint: %s is no folder", folder);
    TRY(fingerprint_request(job, &s->arena, &s->notes, &s->n_notes, err));
    TRY(read_state(s, job, err));
    job->context.keep = &s->keep;
    job->context.keep_every = job->common.checkpoint_every;
    return SNUG_OK;
}

SnugStatus resume_open(SnugJob *job, SnugError *err)
{
    job->resume = NULL;
    if (!job->common.checkpoint) return SNUG_OK;
    Resume *s = heap_take(job->engine->heap, sizeof *s, "checkpoint");
    if (!s) return no_memory(err);
    s->heap = job->engine->heap;
    arena_init(&s->arena, s->heap, "checkpoint");
    const SnugStatus status = open_all(s, job, err);
    if (status == SNUG_OK)
        job->resume = s;
    else
        resume_close(s);
    return status;
}

void resume_close(Resume *s)
{
    if (!s) return;
    Heap *heap = s->heap;
    safetensors_close(s->writer);
    checkpoint_close(s->state);
    arena_release(&s->arena);
    heap_give(heap, s);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* What runs that were killed while writing left: files named after processes that are no more. */
static SnugStatus sweep(const Resume *s, SnugError *err)
{
    static const char BEGIN[] = ".state.safetensors.";
    const char *const *names;
    size_t n;
    Arena scratch;
    arena_init(&scratch, s->heap, "checkpoint");
    SnugStatus status = file_list(&scratch, s->folder, &names, &n, err);
    for (size_t i = 0; status == SNUG_OK && i < n; i++) {
        if (!text_starts(names[i], BEGIN) || !text_ends(names[i], ".tmp")) continue;
        const long process = strtol(names[i] + sizeof BEGIN - 1, NULL, 10);
        const char *path = file_join(&scratch, s->folder, names[i]);
        if (process > 0 && path && kill((pid_t)process, 0) != 0 && errno == ESRCH)
            (void)unlink(path);
    }
    arena_release(&scratch);
    return status;
}

SnugStatus resume_begin(Resume *s, SnugError *err)
{
    OutFile *file = NULL;
    if (!s) return SNUG_OK;
    if (mkdir(s->folder, 0777) != 0 && errno != EEXIST)
        return error_set(err, SNUG_ERR_IO, "--checkpoint: %s: cannot make this folder: %s",
                         s->folder, strerror(errno));
    SnugStatus status = sweep(s, err);
    if (status == SNUG_OK) status = outfile_open(&file, s->heap, s->path, err);
    outfile_close(file);
    return error_wrap(err, status, "--checkpoint: ");
}

static SnugStatus start_file(Resume *s, const Op *op, SnugError *err)
{
    SafetensorsItem items[PIPELINE_MAX_KEPT + 1];
    const Shape *shape = &op->in[0].shape;
    char step[32];
    (void)snprintf(step, sizeof step, "%lld", (long long)s->keep.step);
    for (int i = 0; i < s->keep.n; i++) {
        items[i] = (SafetensorsItem){ .name = s->keep.names[i], .dtype = DT_F32 };
        items[i].rank = shape->rank;
        memcpy(items[i].dim, shape->dim, sizeof shape->dim[0] * (size_t)shape->rank);
    }
    items[s->keep.n] =
        (SafetensorsItem){ .name = DIGEST, .dtype = DT_U8, .rank = 1, .dim = { SHA256_BYTES } };
    Arena scratch;
    arena_init(&scratch, s->heap, "checkpoint");
    EntryNote *notes = arena_array(&scratch, (size_t)s->n_notes + 1, sizeof *notes);
    SnugStatus status = notes ? SNUG_OK : no_memory(err);
    if (notes) {
        memcpy(notes, s->notes, (size_t)s->n_notes * sizeof *notes);
        notes[s->n_notes] = (EntryNote){ STEP, step };
        status = safetensors_create(&s->writer, s->heap, s->path, items, s->keep.n + 1, notes,
                                    s->n_notes + 1, err);
    }
    arena_release(&scratch);
    sha256_init(&s->sha);
    s->n_taken = 0;
    return status;
}

static SnugStatus end_file(Resume *s, SnugError *err)
{
    unsigned char digest[SHA256_BYTES];
    sha256_end(&s->sha, digest);
    SnugStatus status = safetensors_append(s->writer, digest, sizeof digest, err);
    if (status == SNUG_OK) status = safetensors_commit(s->writer, err);
    safetensors_close(s->writer);
    s->writer = NULL;
    return status;
}

SnugStatus resume_take(Resume *s, const Op *op, const void *data, SnugError *err)
{
    const size_t bytes = tensor_bytes(op->in[0]);
    if (!s) return SNUG_OK;
    SnugStatus status = s->writer ? SNUG_OK : start_file(s, op, err);
    if (status == SNUG_OK) status = safetensors_append(s->writer, data, bytes, err);
    if (status == SNUG_OK) {
        sha256_add(&s->sha, data, bytes);
        if (++s->n_taken == s->keep.n) status = end_file(s, err);
    }
    return error_wrap(err, status, "--checkpoint: ");
}

void resume_done(Resume *s)
{
    if (s) (void)unlink(s->path);
}
