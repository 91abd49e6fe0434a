/* checkpoint.c  Open every file, let its format list it, join the lists by name. */
#include "formats/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "formats/file_kind.h"
#include "formats/gguf.h"
#include "formats/join.h"
#include "formats/npz.h"
#include "formats/safetensors.h"
#include "formats/shard_index.h"
#include "formats/torch.h"

static const struct {
    FileKind kind;
    FormatRead *read;
} FORMATS[] = {
    { KIND_SAFETENSORS, safetensors_read },
    { KIND_GGUF, gguf_read },
    { KIND_ZIP_NPZ, npz_read },
    { KIND_ZIP_TORCH, torch_read_zip },
    { KIND_TORCH_STACKED, torch_read_stacked },
};

typedef struct Part {
    File *file;
    EntryList list;
} Part;

struct Checkpoint {
    Arena arena;
    const char *path, *warnings;
    Part *parts;
    int32_t n_parts, n, n_pieces;
    const Entry **sorted; /* [n] by name, quantised weights joined */
    const Entry **pieces; /* [n_pieces] by name, as the files have them */
};

static const char LABEL[] = "checkpoint headers";

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
}

/* ---- one file ---- */

static SnugStatus read_part(Checkpoint *c, Part *part, SnugError *err)
{
    FileKind kind;
    const char *path = file_path(part->file);
    TRY(file_refuse_impostor(part->file, "checkpoint", err));
    TRY(file_kind_find(part->file, &kind, err));
    /* too broken to recognise: the reader of what the name promises says best why */
    if (kind == KIND_UNKNOWN && text_ends(path, ".safetensors")) kind = KIND_SAFETENSORS;
    for (size_t i = 0; i < COUNT(FORMATS); i++) {
        if (FORMATS[i].kind != kind) continue;
        TRY(FORMATS[i].read(part->file, &c->arena, &part->list, err));
        for (int32_t k = 0; k < part->list.n; k++)
            part->list.entries[k].file = (int32_t)(part - c->parts);
        return SNUG_OK;
    }
    return file_kind_refuse(kind, path, err);
}

static SnugStatus open_part(Checkpoint *c, const char *path, const ModelRoot *root, SnugError *err)
{
    Part *part = &c->parts[c->n_parts];
    TRY(model_root_check(root, path, err));
    TRY(file_open(&part->file, c->arena.heap, path, err));
    c->n_parts++;
    return read_part(c, part, err);
}

/* Sort all pieces by name. */
static SnugStatus sort_pieces(Checkpoint *c, SnugError *err)
{
    int64_t n = 0;
    for (int32_t i = 0; i < c->n_parts; i++)
        n += c->parts[i].list.n;
    if (n > ENTRY_MAX_COUNT)
        return fault_set(err, FAULT_TOO_LARGE, c->path, "checkpoint", NULL,
                         "got %lld tensors, limit %d", (long long)n, ENTRY_MAX_COUNT);
    Arena scratch_arena;
    arena_init(&scratch_arena, c->arena.heap, LABEL);
    const Entry **scratch = arena_array(&scratch_arena, (size_t)n + 1, sizeof *scratch);
    c->pieces = arena_array(&c->arena, (size_t)n + 1, sizeof *c->pieces);
    SnugStatus status = scratch && c->pieces ? SNUG_OK : no_memory(c->path, err);
    for (int32_t i = 0; status == SNUG_OK && i < c->n_parts; i++)
        for (int32_t k = 0; k < c->parts[i].list.n; k++)
            c->pieces[c->n_pieces++] = &c->parts[i].list.entries[k];
    const Entry *twice =
        status == SNUG_OK ? entry_sort(c->pieces, scratch, (size_t)c->n_pieces) : NULL;
    if (twice)
        status = fault_set(err, FAULT_DUPLICATE, c->path, "checkpoint", twice->name,
                           "the tensor is in two files");
    arena_release(&scratch_arena);
    return status;
}

static SnugStatus add_warning(Checkpoint *c, const char *line, SnugError *err)
{
    if (!line) return no_memory(c->path, err);
    c->warnings = arena_printf(&c->arena, "%s%s\n", c->warnings, line);
    return c->warnings ? SNUG_OK : no_memory(c->path, err);
}

/* Quantised weights become one entry each. Needs the pieces sorted. */
static SnugStatus join_weights(Checkpoint *c, SnugError *err)
{
    const Entry **joined = arena_array(&c->arena, (size_t)c->n_pieces + 1, sizeof *joined);
    if (!joined) return no_memory(c->path, err);
    if (c->n_pieces) memcpy(joined, c->pieces, (size_t)c->n_pieces * sizeof *joined);
    const char *warning = NULL;
    TRY(join_quantised(c, &c->arena, joined, &warning, err));
    for (int32_t i = 0; i < c->n_pieces; i++)
        if (joined[i]) joined[c->n++] = joined[i];
    c->sorted = joined;
    return warning ? add_warning(c, warning, err) : SNUG_OK;
}

/* ---- shards ---- */

/* Entries that are not used: how many, and the first ten names. */
static int32_t list_unused(const Entry *const *entries, int32_t count, const bool *used, char *text,
                           size_t size)
{
    enum { SHOWN = 10 };
    int32_t n = 0;
    size_t at = 0;
    if (size) text[0] = '\0';
    for (int32_t i = 0; i < count; i++) {
        if (used[i]) continue;
        if (n < SHOWN && at < size) {
            char name[TEXT_ESCAPED];
            at += (size_t)snprintf(text + at, size - at, "%s%s", n ? ", " : "",
                                   text_escape(name, entries[i]->name, strlen(entries[i]->name)));
        }
        n++;
    }
    if (n > SHOWN && at < size) (void)snprintf(text + at, size - at, ", ...");
    return n;
}

static SnugStatus open_shards(Checkpoint *c, const ShardIndex *index, const ModelRoot *root,
                              SnugError *err)
{
    const char *dir = file_dirname(&c->arena, c->path);
    c->parts = arena_array(&c->arena, (size_t)index->n_shards + 1, sizeof *c->parts);
    if (!dir || !c->parts) return no_memory(c->path, err);
    for (int32_t i = 0; i < index->n_shards; i++) {
        const char *path = file_join(&c->arena, dir, index->shards[i]);
        if (!path) return no_memory(c->path, err);
        if (file_type(path) == FILE_ABSENT)
            return fault_set(err, FAULT_MISSING, c->path, "shard index", index->shards[i],
                             "the shard is not there (%d shards expected)", (int)index->n_shards);
        TRY(open_part(c, path, root, err));
    }
    return sort_pieces(c, err);
}

/* Every claim of the index must be true; tensors it does not mention are only odd. */
static SnugStatus check_claims(Checkpoint *c, const ShardIndex *index, Arena *scratch,
                               SnugError *err)
{
    bool *claimed = arena_array(scratch, (size_t)c->n_pieces + 1, sizeof *claimed);
    if (!claimed) return no_memory(c->path, err);
    for (int32_t i = 0; i < index->n; i++) {
        const ShardClaim *claim = &index->claims[i];
        int32_t at = entry_find(c->pieces, c->n_pieces, claim->name);
        if (at < 0 || c->pieces[at]->file != claim->shard)
            return fault_set(err, FAULT_MISSING, c->path, "shard index", claim->name,
                             "the tensor is not in %s", index->shards[claim->shard]);
        if (claimed[at])
            return fault_set(err, FAULT_DUPLICATE, c->path, "shard index", claim->name,
                             "the tensor is listed twice");
        claimed[at] = true;
    }
    char names[1024];
    int32_t n = list_unused(c->pieces, c->n_pieces, claimed, names, sizeof names);
    if (n == 0) return SNUG_OK;
    return add_warning(c,
                       arena_printf(scratch,
                                    "%s: %d tensors of its shards are not in the index: %s",
                                    c->path, (int)n, names),
                       err);
}

static SnugStatus open_index(Checkpoint *c, const ModelRoot *root, SnugError *err)
{
    Arena scratch;
    ShardIndex index;
    TextView text;
    File *file;
    TRY(model_root_check(root, c->path, err));
    TRY(file_open(&file, c->arena.heap, c->path, err));
    SnugStatus status = file_refuse_impostor(file, "shard index", err);
    file_close(file);
    TRY(status);
    arena_init(&scratch, c->arena.heap, LABEL);
    status = file_read_text(&scratch, c->path, CHECKPOINT_MAX_INDEX, &text, err);
    if (status == SNUG_OK) status = shard_index_parse(&index, &scratch, text, c->path, err);
    if (status == SNUG_OK) status = open_shards(c, &index, root, err);
    if (status == SNUG_OK) status = check_claims(c, &index, &scratch, err);
    if (status == SNUG_OK) status = join_weights(c, err);
    arena_release(&scratch);
    return status;
}

/* ---- opening ---- */

static SnugStatus open_all(Checkpoint *c, const char *path, const ModelRoot *root, SnugError *err)
{
    c->path = arena_text(&c->arena, path, strlen(path));
    c->warnings = "";
    if (!c->path) return no_memory(path, err);
    if (text_ends(path, ".json")) return open_index(c, root, err);
    c->parts = arena_array(&c->arena, 1, sizeof *c->parts);
    if (!c->parts) return no_memory(path, err);
    TRY(open_part(c, path, root, err));
    TRY(sort_pieces(c, err));
    return join_weights(c, err);
}

SnugStatus checkpoint_open(Checkpoint **out, Heap *heap, const char *path, const ModelRoot *root,
                           SnugError *err)
{
    *out = NULL;
    Checkpoint *c = heap_take(heap, sizeof *c, LABEL);
    if (!c) return no_memory(path, err);
    arena_init(&c->arena, heap, LABEL);
    SnugStatus status = open_all(c, path, root, err);
    if (status == SNUG_OK)
        *out = c;
    else
        checkpoint_close(c);
    return status;
}

void checkpoint_close(Checkpoint *c)
{
    if (!c) return;
    Heap *heap = c->arena.heap;
    for (int32_t i = 0; i < c->n_parts; i++)
        file_close(c->parts[i].file);
    arena_release(&c->arena);
    heap_give(heap, c);
}

/* ---- asking ---- */

const char *checkpoint_path(const Checkpoint *c)
{
    return c->path;
}

int32_t checkpoint_count(const Checkpoint *c)
{
    return c->n;
}

const Entry *checkpoint_entry(const Checkpoint *c, int32_t index)
{
    return c->sorted[index];
}

int32_t checkpoint_find(const Checkpoint *c, const char *name)
{
    return entry_find(c->sorted, c->n, name);
}

size_t checkpoint_bytes(const Checkpoint *c)
{
    size_t sum = 0; /* views of shared storages may repeat bytes: saturate */
    for (int32_t i = 0; i < c->n_pieces; i++)
        if (!size_add(sum, c->pieces[i]->bytes, &sum)) return SIZE_MAX;
    return sum;
}

int32_t checkpoint_n_pieces(const Checkpoint *c)
{
    return c->n_pieces;
}

const Entry *checkpoint_piece(const Checkpoint *c, int32_t index)
{
    return c->pieces[index];
}

const Entry *checkpoint_find_piece(const Checkpoint *c, const char *name)
{
    const int32_t at = entry_find(c->pieces, c->n_pieces, name);
    return at < 0 ? NULL : c->pieces[at];
}

int32_t checkpoint_n_files(const Checkpoint *c)
{
    return c->n_parts;
}

const File *checkpoint_file(const Checkpoint *c, int32_t file)
{
    return c->parts[file].file;
}

const char *checkpoint_metadata(const Checkpoint *c, const char *key)
{
    for (int32_t i = 0; i < c->n_parts; i++)
        for (int32_t k = 0; k < c->parts[i].list.n_notes; k++)
            if (strcmp(c->parts[i].list.notes[k].key, key) == 0)
                return c->parts[i].list.notes[k].text;
    return NULL;
}

const EntryArray *checkpoint_array(const Checkpoint *c, const char *key, const File **file)
{
    for (int32_t i = 0; i < c->n_parts; i++)
        for (int32_t k = 0; k < c->parts[i].list.n_arrays; k++) {
            if (strcmp(c->parts[i].list.array[k].key, key) != 0) continue;
            *file = c->parts[i].file;
            return &c->parts[i].list.array[k];
        }
    return NULL;
}

const EntryNote *checkpoint_notes(const Checkpoint *c, int32_t file, int32_t *n)
{
    *n = c->parts[file].list.n_notes;
    return c->parts[file].list.notes;
}

const char *checkpoint_warnings(const Checkpoint *c)
{
    return c->warnings;
}

/* The stretches of each part that the range touches, zeros between them. */
static SnugStatus read_parts(const Checkpoint *c, const Entry *entry, size_t from, size_t n,
                             unsigned char *to, SnugError *err)
{
    memset(to, 0, n);
    for (int32_t i = 0; i < entry->n_parts; i++) {
        const EntryPart *part = &entry->parts[i];
        const size_t part_end = part->at + part->from->bytes;
        const size_t first = from > part->at ? from : part->at;
        const size_t end = from + n < part_end ? from + n : part_end;
        if (first >= end) continue;
        TRY(checkpoint_read(c, part->from, first - part->at, end - first, to + (first - from),
                            err));
    }
    return SNUG_OK;
}

SnugStatus checkpoint_read(const Checkpoint *c, const Entry *entry, size_t from, size_t n, void *to,
                           SnugError *err)
{
    const File *file = c->parts[entry->file].file;
    if (from > entry->bytes || n > entry->bytes - from)
        return error_set(err, SNUG_ERR_INTERNAL, "%s: %s: read of %zu bytes at %zu, it has %zu",
                         file_path(file), entry->name, n, from, entry->bytes);
    if (entry->parts) return n ? read_parts(c, entry, from, n, to, err) : SNUG_OK;
    SnugStatus status = entry->read ? entry->read(file, entry, from, n, to, err)
                                    : file_pread_all(file, entry->offset + from, to, n, err);
    return error_wrap(err, status, "%s: ", entry->name);
}

bool checkpoint_in_cache(const Checkpoint *c, const Entry *entry)
{
    while (entry->n_parts > 0)
        entry = entry->parts[entry->n_parts / 2].from;
    return file_in_cache(c->parts[entry->file].file, entry->offset + entry->bytes / 2);
}

void checkpoint_forget(const Checkpoint *c, const Entry *entry)
{
    for (int32_t i = 0; i < entry->n_parts; i++)
        checkpoint_forget(c, entry->parts[i].from);
    if (!entry->parts) file_forget(c->parts[entry->file].file, entry->offset, entry->bytes);
}

SnugStatus checkpoint_expect_shape(const Checkpoint *c, const Entry *entry, Shape want,
                                   SnugError *err)
{
    Shape have;
    char has[256], needs[SHAPE_TEXT];
    if (entry_shape(entry, &have) && shape_equal(have, want)) return SNUG_OK;
    return fault_set(err, FAULT_MISMATCH, file_path(c->parts[entry->file].file), "checkpoint",
                     entry->name, "file has %s, network needs %s",
                     entry_shape_text(entry, has, sizeof has),
                     shape_text(want, needs, sizeof needs));
}

int32_t checkpoint_unused(const Checkpoint *c, const bool *used, char *text, size_t size)
{
    return list_unused(c->sorted, c->n, used, text, size);
}
