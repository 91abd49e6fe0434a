/* safetensors_write.c  Header first, as all sizes are known, then the data in file order. */
#include "formats/safetensors_write.h"

#include <string.h>

#include "base/error.h"
#include "base/outfile.h"
#include "base/size.h"
#include "base/sort.h"
#include "base/text.h"
#include "formats/safetensors.h"

typedef struct Planned {
    SafetensorsItem item;
    const SafetensorsType *type;
    size_t bytes, offset; /* in the data */
} Planned;

struct SafetensorsWriter {
    Arena arena;
    OutFile *file;
    const char *path;
    const Planned **order; /* [n] in file order */
    int32_t n;
    size_t data_at, data_bytes, written;
};

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to write it", path);
}

static int file_order(const void *a, const void *b)
{
    const Planned *x = a, *y = b;
    if (x->type != y->type) return x->type < y->type ? -1 : 1;
    return strcmp(x->item.name, y->item.name);
}

static int name_order(const void *a, const void *b)
{
    return strcmp(((const Planned *)a)->item.name, ((const Planned *)b)->item.name);
}

static bool valid_name(const char *name)
{
    size_t n = strlen(name);
    return n <= ENTRY_MAX_NAME && text_utf8_check(name, n) == n &&
           strcmp(name, "__metadata__") != 0;
}

static SnugStatus plan_item(SafetensorsWriter *w, const SafetensorsItem *item, Planned *out,
                            SnugError *err)
{
    int64_t elements;
    char shown[TEXT_ESCAPED];
    const char *name = text_escape(shown, item->name, strlen(item->name));
    if (!valid_name(item->name))
        return error_set(err, SNUG_ERR_ARG, "%s: '%s' is no name for a tensor", w->path, name);
    out->item = *item;
    out->item.name = arena_text(&w->arena, item->name, strlen(item->name));
    out->type = safetensors_type_of(item->dtype);
    if (!out->item.name) return no_memory(w->path, err);
    if (!out->type)
        return error_set(err, SNUG_ERR_ARG, "%s: %s: safetensors cannot store %s", w->path, name,
                         item->dtype < DT_COUNT ? dtype_name(item->dtype) : "that type");
    bool fits = item->rank >= 0 && item->rank <= ENTRY_MAX_RANK;
    for (int32_t i = 0; fits && i < item->rank; i++)
        fits = item->dim[i] >= 0;
    if (!fits || !entry_elements(item->dim, item->rank, &elements) ||
        !dtype_bytes(item->dtype, elements, &out->bytes) ||
        !size_add(w->data_bytes, out->bytes, &w->data_bytes) || w->data_bytes > INT64_MAX / 8)
        return error_set(err, SNUG_ERR_ARG, "%s: %s: its shape cannot be stored", w->path, name);
    return SNUG_OK;
}

/* Copy, check for equal names, put in file order. */
static SnugStatus plan(SafetensorsWriter *w, const SafetensorsItem *items, int32_t n,
                       SnugError *err)
{
    const size_t room = (size_t)n + 1;
    Planned *planned = arena_array(&w->arena, room, sizeof *planned);
    const void **scratch = arena_array(&w->arena, room, sizeof *scratch);
    const void **order = arena_array(&w->arena, room, sizeof *order);
    if (!planned || !scratch || !order) return no_memory(w->path, err);
    for (int32_t i = 0; i < n; i++) {
        TRY(plan_item(w, &items[i], &planned[i], err));
        order[i] = &planned[i];
    }
    sort_pointers(order, scratch, (size_t)n, name_order);
    for (int32_t i = 1; i < n; i++)
        if (name_order(order[i - 1], order[i]) == 0)
            return error_set(err, SNUG_ERR_ARG, "%s: two tensors named '%.200s'", w->path,
                             ((const Planned *)order[i])->item.name);
    sort_pointers(order, scratch, (size_t)n, file_order);
    w->order = (const Planned **)order;
    w->n = n;
    return SNUG_OK;
}

static int key_order(const void *a, const void *b)
{
    return strcmp(((const EntryNote *)a)->key, ((const EntryNote *)b)->key);
}

/* What our reader would refuse must not be written. */
static SnugStatus check_notes(SafetensorsWriter *w, const EntryNote *notes, int32_t n,
                              SnugError *err)
{
    const void **order = arena_array(&w->arena, (size_t)n + 1, sizeof *order);
    const void **scratch = arena_array(&w->arena, (size_t)n + 1, sizeof *scratch);
    if (!order || !scratch) return no_memory(w->path, err);
    for (int32_t i = 0; i < n; i++) {
        size_t key = strlen(notes[i].key), text = strlen(notes[i].text);
        if (text_utf8_check(notes[i].key, key) < key || text_utf8_check(notes[i].text, text) < text)
            return error_set(err, SNUG_ERR_ARG, "%s: metadata is no UTF-8", w->path);
        order[i] = &notes[i];
    }
    sort_pointers(order, scratch, (size_t)n, key_order);
    for (int32_t i = 1; i < n; i++)
        if (key_order(order[i - 1], order[i]) == 0)
            return error_set(err, SNUG_ERR_ARG, "%s: metadata key '%.200s' given twice", w->path,
                             ((const EntryNote *)order[i])->key);
    return SNUG_OK;
}

static void add_notes(TextBuilder *t, const EntryNote *notes, int32_t n)
{
    if (n == 0) return;
    text_addf(t, "\"__metadata__\":{");
    for (int32_t i = 0; i < n; i++) {
        text_add_json(t, notes[i].key, strlen(notes[i].key));
        text_add(t, ":", 1);
        text_add_json(t, notes[i].text, strlen(notes[i].text));
        text_add(t, ",", i + 1 < n);
    }
    text_add(t, "}", 1);
}

static void add_item(TextBuilder *t, const Planned *planned, size_t offset)
{
    const SafetensorsItem *item = &planned->item;
    text_add_json(t, item->name, strlen(item->name));
    text_addf(t, ":{\"dtype\":\"%s\",\"shape\":[", planned->type->name);
    for (int32_t i = 0; i < item->rank; i++)
        text_addf(t, "%s%lld", i ? "," : "", (long long)item->dim[i]);
    text_addf(t, "],\"data_offsets\":[%zu,%zu]}", offset, offset + planned->bytes);
}

/* Length, JSON, spaces up to a multiple of 8. */
static SnugStatus write_header(SafetensorsWriter *w, const EntryNote *notes, int32_t n_notes,
                               SnugError *err)
{
    TextBuilder t;
    size_t offset = 0;
    text_init(&t, w->arena.heap, "checkpoint headers");
    text_add(&t, "{", 1);
    add_notes(&t, notes, n_notes);
    for (int32_t i = 0; i < w->n; offset += w->order[i++]->bytes) {
        ((Planned *)(uintptr_t)w->order[i])->offset = offset;
        text_add(&t, ",", i > 0 || n_notes > 0);
        add_item(&t, w->order[i], offset);
    }
    text_add(&t, "}", 1);
    text_add(&t, "        ", (8 - t.n % 8) % 8);
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(t.n >> 8 * i & 255);
    SnugStatus status = SNUG_OK;
    if (t.failed)
        status = no_memory(w->path, err);
    else if (t.n > SAFETENSORS_MAX_HEADER)
        status = error_set(err, SNUG_ERR_ARG, "%s: a header of %zu bytes, limit %d", w->path, t.n,
                           SAFETENSORS_MAX_HEADER);
    size_t total;
    if (status == SNUG_OK && size_add(w->data_bytes, 8 + t.n, &total))
        status = outfile_reserve(w->file, total, err);
    if (status == SNUG_OK) status = outfile_write(w->file, length, sizeof length, err);
    if (status == SNUG_OK) status = outfile_write(w->file, t.at, t.n, err);
    w->data_at = 8 + t.n;
    text_release(&t);
    return status;
}

static SnugStatus begin(SafetensorsWriter *w, const char *path, const SafetensorsItem *items,
                        int32_t n, const EntryNote *notes, int32_t n_notes, SnugError *err)
{
    w->path = arena_text(&w->arena, path, strlen(path));
    if (!w->path) return no_memory(path, err);
    if (n < 0 || n > ENTRY_MAX_COUNT || n_notes < 0 || n_notes > ENTRY_MAX_NOTES)
        return error_set(err, SNUG_ERR_ARG, "%s: %d tensors or %d notes cannot be stored", path,
                         (int)n, (int)n_notes);
    TRY(plan(w, items, n, err));
    TRY(check_notes(w, notes, n_notes, err));
    TRY(outfile_open(&w->file, w->arena.heap, path, err));
    return write_header(w, notes, n_notes, err);
}

SnugStatus safetensors_create(SafetensorsWriter **out, Heap *heap, const char *path,
                              const SafetensorsItem *items, int32_t n, const EntryNote *notes,
                              int32_t n_notes, SnugError *err)
{
    *out = NULL;
    SafetensorsWriter *w = heap_take(heap, sizeof *w, "checkpoint headers");
    if (!w) return no_memory(path, err);
    arena_init(&w->arena, heap, "checkpoint headers");
    SnugStatus status = begin(w, path, items, n, notes, n_notes, err);
    if (status == SNUG_OK)
        *out = w;
    else
        safetensors_close(w);
    return status;
}

const SafetensorsItem *safetensors_item(const SafetensorsWriter *w, int32_t i)
{
    return &w->order[i]->item;
}

size_t safetensors_item_bytes(const SafetensorsWriter *w, int32_t i)
{
    return w->order[i]->bytes;
}

SnugStatus safetensors_append(SafetensorsWriter *w, const void *bytes, size_t n, SnugError *err)
{
    if (n > w->data_bytes - w->written)
        return error_set(err, SNUG_ERR_INTERNAL, "%s: %zu bytes more than its tensors take",
                         w->path, n - (w->data_bytes - w->written));
    TRY(outfile_write(w->file, bytes, n, err));
    w->written += n;
    return SNUG_OK;
}

SnugStatus safetensors_put(SafetensorsWriter *w, int32_t i, size_t from, const void *bytes,
                           size_t n, SnugError *err)
{
    const Planned *p = w->order[i];
    if (from > p->bytes || n > p->bytes - from || n > w->data_bytes - w->written)
        return error_set(err, SNUG_ERR_INTERNAL, "%s: %s: %zu bytes at %zu are more than it takes",
                         w->path, p->item.name, n, from);
    TRY(outfile_put(w->file, w->data_at + p->offset + from, bytes, n, err));
    w->written += n;
    return SNUG_OK;
}

SnugStatus safetensors_commit(SafetensorsWriter *w, SnugError *err)
{
    if (w->written != w->data_bytes)
        return error_set(err, SNUG_ERR_INTERNAL, "%s: %zu of %zu bytes of data were written",
                         w->path, w->written, w->data_bytes);
    return outfile_commit(w->file, err);
}

void safetensors_close(SafetensorsWriter *w)
{
    if (!w) return;
    Heap *heap = w->arena.heap;
    outfile_close(w->file);
    arena_release(&w->arena);
    heap_give(heap, w);
}
