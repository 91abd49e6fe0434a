/* gguf_write.c  Magic, counts, pairs, infos, padding. Numbers are little-endian, as the machine. */
#include "formats/gguf_write.h"

#include <string.h>

#include "base/error.h"
#include "base/outfile.h"
#include "base/size.h"
#include "base/sort.h"
#include "base/text.h"
#include "formats/gguf.h"

enum { ALIGN = 32, VALUE_U32 = 4, VALUE_STRING = 8, VERSION = 3, QUANTISATION = 2, OWN_PAIRS = 2 };

/** Where a tensor's data lie, counted from the beginning of all data. */
typedef struct Place {
    size_t offset, bytes;
} Place;

struct GgufWriter {
    Arena arena;
    OutFile *file;
    const char *path;
    Place *places;
    int32_t n;
    size_t data_at, data_bytes, all_bytes, written; /* all: with padding */
};

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to write it", path);
}

/* ---- what may be written -------------------------------------------------------------------- */

static SnugStatus place_item(GgufWriter *w, const SafetensorsItem *item, Place *to, SnugError *err)
{
    int64_t n;
    const int64_t row = item->rank > 0 ? item->dim[item->rank - 1] : 1;
    if (strlen(item->name) > GGUF_WRITE_MAX_NAME)
        return error_set(err, SNUG_ERR_ARG, "%s: the name %.200s is longer than %d bytes", w->path,
                         item->name, GGUF_WRITE_MAX_NAME);
    if (gguf_type_of(item->dtype) < 0)
        return error_set(err, SNUG_ERR_ARG, "%s: %s: GGUF cannot store %s", w->path, item->name,
                         dtype_name(item->dtype));
    if (item->rank > ENTRY_MAX_RANK || row % dtype_info(item->dtype)->block ||
        !entry_elements(item->dim, item->rank, &n) || !dtype_bytes(item->dtype, n, &to->bytes) ||
        !size_add(w->all_bytes, size_align(to->bytes, ALIGN), &to->offset) ||
        to->offset > INT64_MAX / 8)
        return error_set(err, SNUG_ERR_ARG, "%s: %s: its shape cannot be stored as %s", w->path,
                         item->name, dtype_name(item->dtype));
    to->offset = w->all_bytes;
    w->all_bytes += size_align(to->bytes, ALIGN);
    w->data_bytes += to->bytes;
    return SNUG_OK;
}

static SnugStatus check_names(const GgufWriter *w, Arena *scratch, const SafetensorsItem *items,
                              int32_t n, SnugError *err)
{
    const void **names = arena_array(scratch, (size_t)n + 1, sizeof *names);
    const void **room = arena_array(scratch, (size_t)n + 1, sizeof *room);
    if (!names || !room) return no_memory(w->path, err);
    for (int32_t i = 0; i < n; i++)
        names[i] = items[i].name;
    sort_pointers(names, room, (size_t)n, sort_by_text);
    for (int32_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return error_set(err, SNUG_ERR_ARG, "%s: two tensors named '%.200s'", w->path,
                             (const char *)names[i]);
    return SNUG_OK;
}

/* ---- the header ----------------------------------------------------------------------------- */

static void add_number(TextBuilder *t, uint64_t value, int width)
{
    char bytes[8];
    for (int i = 0; i < width; i++)
        bytes[i] = (char)(value >> 8 * i & 255);
    text_add(t, bytes, (size_t)width);
}

static void add_string(TextBuilder *t, const char *text)
{
    add_number(t, strlen(text), 8);
    text_add(t, text, strlen(text));
}

static void add_u32(TextBuilder *t, const char *key, uint32_t value)
{
    add_string(t, key);
    add_number(t, VALUE_U32, 4);
    add_number(t, value, 4);
}

static void add_info(TextBuilder *t, const SafetensorsItem *item, const Place *place)
{
    add_string(t, item->name);
    add_number(t, (uint64_t)item->rank, 4);
    for (int32_t i = item->rank - 1; i >= 0; i--)
        add_number(t, (uint64_t)item->dim[i], 8);
    add_number(t, (uint64_t)gguf_type_of(item->dtype), 4);
    add_number(t, place->offset, 8);
}

static SnugStatus write_header(GgufWriter *w, const SafetensorsItem *items, const EntryNote *notes,
                               int32_t n_notes, uint32_t file_type, SnugError *err)
{
    static const char ZEROS[ALIGN] = { 0 };
    TextBuilder t;
    text_init(&t, w->arena.heap, "checkpoint headers");
    text_add(&t, "GGUF", 4);
    add_number(&t, VERSION, 4);
    add_number(&t, (uint64_t)w->n, 8);
    add_number(&t, (uint64_t)n_notes + OWN_PAIRS, 8);
    for (int32_t i = 0; i < n_notes; i++) {
        add_string(&t, notes[i].key);
        add_number(&t, VALUE_STRING, 4);
        add_string(&t, notes[i].text);
    }
    add_u32(&t, "general.quantization_version", QUANTISATION);
    add_u32(&t, "general.file_type", file_type);
    for (int32_t i = 0; i < w->n; i++)
        add_info(&t, &items[i], &w->places[i]);
    text_add(&t, ZEROS, (ALIGN - t.n % ALIGN) % ALIGN);
    size_t total;
    SnugStatus status = t.failed ? no_memory(w->path, err) : SNUG_OK;
    w->data_at = t.n;
    if (status == SNUG_OK && size_add(t.n, w->all_bytes, &total))
        status = outfile_reserve(w->file, total, err);
    if (status == SNUG_OK) status = outfile_write(w->file, t.at, t.n, err);
    /* the last tensor's padding, so that every reader finds what it counts with */
    const Place *last = w->n ? &w->places[w->n - 1] : NULL;
    if (status == SNUG_OK && last && last->bytes % ALIGN)
        status = outfile_put(w->file, w->data_at + last->offset + last->bytes, ZEROS,
                             ALIGN - last->bytes % ALIGN, err);
    text_release(&t);
    return status;
}

static SnugStatus begin(GgufWriter *w, const char *path, const SafetensorsItem *items, int32_t n,
                        const EntryNote *notes, int32_t n_notes, uint32_t file_type, SnugError *err)
{
    Arena scratch;
    w->path = arena_text(&w->arena, path, strlen(path));
    if (!w->path) return no_memory(path, err);
    if (n < 0 || n > ENTRY_MAX_COUNT)
        return error_set(err, SNUG_ERR_ARG, "%s: %d tensors cannot be stored", path, (int)n);
    w->places = arena_array(&w->arena, (size_t)n + 1, sizeof *w->places);
    if (!w->places) return no_memory(path, err);
    arena_init(&scratch, w->arena.heap, "checkpoint headers");
    SnugStatus status = check_names(w, &scratch, items, n, err);
    arena_release(&scratch);
    for (; status == SNUG_OK && w->n < n; w->n++)
        status = place_item(w, &items[w->n], &w->places[w->n], err);
    if (status != SNUG_OK) return status;
    TRY(outfile_open(&w->file, w->arena.heap, path, err));
    return write_header(w, items, notes, n_notes, file_type, err);
}

SnugStatus gguf_write_create(GgufWriter **out, Heap *heap, const char *path,
                             const SafetensorsItem *items, int32_t n, const EntryNote *notes,
                             int32_t n_notes, uint32_t file_type, SnugError *err)
{
    *out = NULL;
    GgufWriter *w = heap_take(heap, sizeof *w, "checkpoint headers");
    if (!w) return no_memory(path, err);
    arena_init(&w->arena, heap, "checkpoint headers");
    const SnugStatus status = begin(w, path, items, n, notes, n_notes, file_type, err);
    if (status == SNUG_OK)
        *out = w;
    else
        gguf_write_close(w);
    return status;
}

SnugStatus gguf_write_put(GgufWriter *w, int32_t i, size_t from, const void *bytes, size_t n,
                          SnugError *err)
{
    const Place *p = &w->places[i];
    if (from > p->bytes || n > p->bytes - from || n > w->data_bytes - w->written)
        return error_set(err, SNUG_ERR_INTERNAL,
                         "%s: %zu bytes at %zu are more than tensor %d takes", w->path, n, from,
                         (int)i);
    TRY(outfile_put(w->file, w->data_at + p->offset + from, bytes, n, err));
    w->written += n;
    return SNUG_OK;
}

SnugStatus gguf_write_commit(GgufWriter *w, SnugError *err)
{
    if (w->written != w->data_bytes)
        return error_set(err, SNUG_ERR_INTERNAL, "%s: %zu of %zu bytes of data were written",
                         w->path, w->written, w->data_bytes);
    return outfile_commit(w->file, err);
}

void gguf_write_close(GgufWriter *w)
{
    if (!w) return;
    Heap *heap = w->arena.heap;
    outfile_close(w->file);
    arena_release(&w->arena);
    heap_give(heap, w);
}
