/* safetensors.c  One pass of the pull parser over the header, then a look at the sorted ranges. */
#include "formats/safetensors.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/json_scan.h"
#include "base/size.h"
#include "base/sort.h"

static const char FORMAT[] = "safetensors";

/* Widest first, as the reference writes them: every tensor then begins at a multiple of its
 * element size. */
static const SafetensorsType TYPES[] = {
    { "U64", 64, DT_U64 },          { "I64", 64, DT_I64 },      { "F64", 64, DT_F64 },
    { "C64", 64, DT_COUNT },        { "F32", 32, DT_F32 },      { "U32", 32, DT_U32 },
    { "I32", 32, DT_I32 },          { "BF16", 16, DT_BF16 },    { "F16", 16, DT_F16 },
    { "U16", 16, DT_U16 },          { "I16", 16, DT_I16 },      { "F8_E5M2FNUZ", 8, DT_COUNT },
    { "F8_E4M3FNUZ", 8, DT_COUNT }, { "F8_E8M0", 8, DT_COUNT }, { "F8_E4M3", 8, DT_F8_E4M3 },
    { "F8_E5M2", 8, DT_F8_E5M2 },   { "I8", 8, DT_I8 },         { "U8", 8, DT_U8 },
    { "F6_E3M2", 6, DT_COUNT },     { "F6_E2M3", 6, DT_COUNT }, { "F4", 4, DT_COUNT },
    { "BOOL", 8, DT_BOOL },
};

const SafetensorsType *safetensors_type(TextView name)
{
    for (size_t i = 0; i < COUNT(TYPES); i++)
        if (text_is(name, TYPES[i].name)) return &TYPES[i];
    return NULL;
}

const SafetensorsType *safetensors_type_of(DType dtype)
{
    for (size_t i = 0; i < COUNT(TYPES); i++)
        if (TYPES[i].dtype == dtype && dtype != DT_COUNT) return &TYPES[i];
    return NULL;
}

typedef struct Reader {
    const File *file;
    Arena *arena;
    EntryList *out;
    SnugError *err;
    JsonScan scan;
    size_t data_from, data_bytes;
    int32_t room; /* entries that fit out->entries */
    bool notes_seen;
} Reader;

static SnugStatus no_memory(const Reader *r)
{
    return error_set(r->err, SNUG_ERR_MEMORY, "%s: %s: no memory for the header",
                     file_path(r->file), FORMAT);
}

/* A parser's failure that is not about the text. */
static bool out_of_memory(Reader *r)
{
    if (r->scan.status == SNUG_OK) r->scan.status = no_memory(r);
    return false;
}

/* Copy a name or text into the arena as a C string. */
static bool keep_text(Reader *r, TextView view, const char **out)
{
    if (view.n && memchr(view.at, 0, view.n))
        return json_scan_fail(&r->scan, FAULT_BAD_TEXT, "a NUL character in a name or text");
    *out = arena_text(r->arena, view.at, view.n);
    return *out || out_of_memory(r);
}

/* ---- one tensor ---- */

static bool read_type(Reader *r, Entry *entry, int *bits)
{
    TextView name;
    char shown[TEXT_ESCAPED];
    if (!json_scan_text(&r->scan, &name)) return false;
    const SafetensorsType *type = safetensors_type(name);
    if (!type)
        return json_scan_fail(&r->scan, FAULT_UNSUPPORTED, "unknown dtype '%s'",
                              text_escape(shown, name.at, name.n));
    entry->dtype = type->dtype;
    entry->type_name = type->name;
    *bits = type->bits;
    return true;
}

static bool read_shape(Reader *r, Entry *entry)
{
    JsonScan *s = &r->scan;
    uint64_t dim;
    if (!json_scan_array(s)) return false;
    while (json_scan_item(s)) {
        if (entry->rank == ENTRY_MAX_RANK)
            return json_scan_fail(s, FAULT_TOO_LARGE, "too many dimensions (limit %d)",
                                  ENTRY_MAX_RANK);
        if (!json_scan_u64(s, &dim)) return false;
        if (dim > INT64_MAX)
            return json_scan_fail(s, FAULT_OVERFLOW, "dimension does not fit 63 bits");
        entry->dim[entry->rank++] = (int64_t)dim;
    }
    return s->status == SNUG_OK;
}

static bool read_range(Reader *r, uint64_t range[2])
{
    JsonScan *s = &r->scan;
    int n = 0;
    if (!json_scan_array(s)) return false;
    while (json_scan_item(s)) {
        if (n == 2) return json_scan_fail(s, FAULT_BAD_JSON, "more than two offsets");
        if (!json_scan_u64(s, &range[n++])) return false;
    }
    if (s->status == SNUG_OK && n < 2)
        return json_scan_fail(s, FAULT_BAD_JSON, "fewer than two offsets");
    return s->status == SNUG_OK;
}

/* Shape times dtype must be the range, and the range inside the data. */
static bool check_range(Reader *r, Entry *entry, int bits, const uint64_t range[2])
{
    JsonScan *s = &r->scan;
    char shape[SHAPE_TEXT];
    int64_t elements, all_bits;
    if (!entry_elements(entry->dim, entry->rank, &elements) || !dim_mul(elements, bits, &all_bits))
        return json_scan_fail(s, FAULT_OVERFLOW, "the size of shape %s does not fit 63 bits",
                              entry_shape_text(entry, shape, sizeof shape));
    if (range[0] > range[1])
        return json_scan_fail(s, FAULT_OVERLAP, "it begins at %llu, after its end at %llu",
                              (unsigned long long)range[0], (unsigned long long)range[1]);
    if (all_bits % 8 != 0)
        return json_scan_fail(s, FAULT_MISMATCH, "shape %s of %s is no whole number of bytes",
                              entry_shape_text(entry, shape, sizeof shape), entry->type_name);
    if ((uint64_t)all_bits / 8 != range[1] - range[0])
        return json_scan_fail(s, FAULT_MISMATCH,
                              "shape %s of %s takes %lld bytes, data_offsets give %llu",
                              entry_shape_text(entry, shape, sizeof shape), entry->type_name,
                              (long long)(all_bits / 8), (unsigned long long)(range[1] - range[0]));
    if (range[1] > r->data_bytes)
        return json_scan_fail(s, FAULT_TRUNCATED, "it ends at %llu, the data at %zu",
                              (unsigned long long)range[1], r->data_bytes);
    entry->offset = r->data_from + (size_t)range[0];
    entry->bytes = (size_t)(range[1] - range[0]);
    return true;
}

static bool read_tensor(Reader *r, TextView name)
{
    enum { DTYPE = 1, SHAPE = 2, RANGE = 4 };
    JsonScan *s = &r->scan;
    EntryList *out = r->out;
    uint64_t range[2] = { 0, 0 };
    int seen = 0, bits = 0;
    if (name.n > ENTRY_MAX_NAME)
        return json_scan_fail(s, FAULT_TOO_LARGE, "a name of %zu bytes (limit %d)", name.n,
                              ENTRY_MAX_NAME);
    if (out->n == r->room)
        return json_scan_fail(s, FAULT_TOO_LARGE, "too many tensors (limit %d)", ENTRY_MAX_COUNT);
    Entry *entry = &out->entries[out->n];
    if (!keep_text(r, name, &entry->name) || !json_scan_object(s)) return false;
    for (TextView key; json_scan_key(s, &key);) {
        int which = text_is(key, "dtype")          ? DTYPE
                    : text_is(key, "shape")        ? SHAPE
                    : text_is(key, "data_offsets") ? RANGE
                                                   : 0;
        if (seen & which) return json_scan_fail(s, FAULT_DUPLICATE, "key given twice");
        seen |= which;
        bool fine = which == DTYPE   ? read_type(r, entry, &bits)
                    : which == SHAPE ? read_shape(r, entry)
                    : which == RANGE ? read_range(r, range)
                                     : json_scan_skip(s);
        if (!fine) return false;
    }
    if (s->status == SNUG_OK && seen != (DTYPE | SHAPE | RANGE))
        return json_scan_fail(s, FAULT_BAD_JSON, "%s is missing",
                              seen & DTYPE ? seen & SHAPE ? "data_offsets" : "shape" : "dtype");
    if (s->status != SNUG_OK || !check_range(r, entry, bits, range)) return false;
    out->n++;
    return true;
}

/* ---- metadata ---- */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const EntryNote *)a)->key, ((const EntryNote *)b)->key);
}

static bool sort_notes(Reader *r, EntryNote *notes, int32_t n)
{
    const size_t room = (size_t)n + 1; /* never 0 */
    const void **order = arena_array(r->arena, room, sizeof *order);
    const void **scratch = arena_array(r->arena, room, sizeof *scratch);
    EntryNote *sorted = arena_array(r->arena, room, sizeof *sorted);
    if (!order || !scratch || !sorted) return out_of_memory(r);
    for (int32_t i = 0; i < n; i++)
        order[i] = &notes[i];
    sort_pointers(order, scratch, (size_t)n, by_key);
    for (int32_t i = 0; i < n; i++) {
        sorted[i] = *(const EntryNote *)order[i];
        if (i > 0 && strcmp(sorted[i - 1].key, sorted[i].key) == 0)
            return json_scan_fail(&r->scan, FAULT_DUPLICATE, "metadata key '%.200s' given twice",
                                  sorted[i].key);
    }
    r->out->notes = sorted;
    r->out->n_notes = n;
    return true;
}

/* First count the pairs on a copy of the parser, then read them. */
static bool read_notes(Reader *r)
{
    JsonScan *s = &r->scan;
    if (r->notes_seen) return json_scan_fail(s, FAULT_DUPLICATE, "key given twice");
    r->notes_seen = true;
    if (!json_scan_object(s)) return false;
    const JsonScan start = *s;
    TextView key, text;
    int32_t n = 0, used = 0;
    while (json_scan_key(s, &key))
        if (++n > ENTRY_MAX_NOTES)
            return json_scan_fail(s, FAULT_TOO_LARGE, "too many pairs (limit %d)", ENTRY_MAX_NOTES);
    if (s->status != SNUG_OK) return false;
    *s = start;
    EntryNote *notes = arena_array(r->arena, (size_t)n + 1, sizeof *notes);
    if (!notes) return out_of_memory(r);
    for (; json_scan_key(s, &key); used++) {
        if (!json_scan_text(s, &text)) return false;
        if (!keep_text(r, key, &notes[used].key) || !keep_text(r, text, &notes[used].text))
            return false;
    }
    return s->status == SNUG_OK && sort_notes(r, notes, n);
}

/* ---- the whole ---- */

static int by_range(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The sorted ranges must tile the data: no byte twice, none left out. */
static SnugStatus check_tiling(const Reader *r, const Entry **order, const Entry **scratch)
{
    const int32_t n = r->out->n;
    const char *path = file_path(r->file);
    size_t end = r->data_from;
    sort_pointers((const void **)order, (const void **)scratch, (size_t)n, by_range);
    for (int32_t i = 0; i < n; i++) {
        const Entry *e = order[i];
        if (e->offset < end)
            return fault_set(r->err, FAULT_OVERLAP, path, FORMAT, e->name,
                             "it shares data with the tensor before it (begins at %zu, expected "
                             "%zu)",
                             e->offset - r->data_from, end - r->data_from);
        if (e->offset > end)
            return fault_set(r->err, FAULT_HOLE, path, FORMAT, e->name,
                             "unused data before it (begins at %zu, expected %zu)",
                             e->offset - r->data_from, end - r->data_from);
        end = e->offset + e->bytes;
    }
    if (end != r->data_from + r->data_bytes)
        return fault_set(r->err, FAULT_HOLE, path, FORMAT, NULL, "%zu bytes after the last tensor",
                         r->data_from + r->data_bytes - end);
    return SNUG_OK;
}

static SnugStatus check_entries(const Reader *r, Arena *scratch_arena)
{
    const size_t n = (size_t)r->out->n;
    const Entry **order = arena_array(scratch_arena, n + 1, sizeof *order);
    const Entry **scratch = arena_array(scratch_arena, n + 1, sizeof *scratch);
    if (!order || !scratch) return no_memory(r);
    for (size_t i = 0; i < n; i++)
        order[i] = &r->out->entries[i];
    const Entry *twice = entry_sort(order, scratch, n);
    if (twice)
        return fault_set(r->err, FAULT_DUPLICATE, file_path(r->file), FORMAT, twice->name,
                         "two tensors of that name");
    return check_tiling(r, order, scratch);
}

/* Room for the entries: each has its own '{' and takes at least MIN_RECORD bytes of text. */
static bool make_room(Reader *r, const char *text, size_t n)
{
    enum { MIN_RECORD = 48 }; /* "":{"dtype":"F4","shape":[],"data_offsets":[0,0]} */
    size_t room = 0;
    for (const char *at = text; (at = memchr(at, '{', n - (size_t)(at - text))); at++)
        room++;
    if (room > n / MIN_RECORD + 1) room = n / MIN_RECORD + 1;
    if (room > ENTRY_MAX_COUNT) room = ENTRY_MAX_COUNT;
    r->room = (int32_t)room;
    r->out->entries = arena_array(r->arena, room + 1, sizeof(Entry));
    return r->out->entries != NULL;
}

static SnugStatus parse(Reader *r, const char *text, size_t n, Arena *scratch)
{
    JsonScan *s = &r->scan;
    if (!make_room(r, text, n)) return no_memory(r);
    json_scan_init(s, text, n, file_path(r->file), FORMAT, scratch, r->err);
    if (json_scan_object(s)) {
        for (TextView key; json_scan_key(s, &key);)
            if (text_is(key, "__metadata__") ? !read_notes(r) : !read_tensor(r, key)) break;
    }
    TRY(json_scan_end(s));
    return check_entries(r, scratch);
}

static SnugStatus read_length(const File *file, uint64_t *out, SnugError *err)
{
    unsigned char raw[8];
    const char *path = file_path(file);
    if (file_bytes(file) < sizeof raw)
        return fault_set(err, FAULT_TRUNCATED, path, FORMAT, NULL,
                         "got %zu bytes, the header's length alone takes 8", file_bytes(file));
    TRY(file_pread_all(file, 0, raw, sizeof raw, err));
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | raw[i];
    if (n > SAFETENSORS_MAX_HEADER)
        return fault_set(err, FAULT_TOO_LARGE, path, FORMAT, "header", "got %llu bytes, limit %d",
                         (unsigned long long)n, SAFETENSORS_MAX_HEADER);
    if (n > file_bytes(file) - sizeof raw)
        return fault_set(err, FAULT_TRUNCATED, path, FORMAT, "header",
                         "it takes %llu bytes, the file has %zu after its length",
                         (unsigned long long)n, file_bytes(file) - sizeof raw);
    *out = n;
    return SNUG_OK;
}

SnugStatus safetensors_read(const File *file, Arena *arena, EntryList *out, SnugError *err)
{
    uint64_t n = 0;
    *out = (EntryList){ 0 };
    TRY(file_refuse_impostor(file, FORMAT, err));
    TRY(read_length(file, &n, err));

    Arena scratch; /* the header's text and what only parsing needs */
    arena_init(&scratch, arena->heap, "checkpoint headers");
    Reader *r = arena_take(&scratch, sizeof *r);
    char *text = arena_take(&scratch, (size_t)n);
    SnugStatus status;
    if (r && text) {
        *r = (Reader){ .file = file, .arena = arena, .out = out, .err = err };
        r->data_from = 8 + (size_t)n;
        r->data_bytes = file_bytes(file) - r->data_from;
        status = file_pread_all(file, 8, text, (size_t)n, err);
        if (status == SNUG_OK) status = parse(r, text, (size_t)n, &scratch);
    } else {
        status = error_set(err, SNUG_ERR_MEMORY, "%s: %s: no memory for %llu bytes of header",
                           file_path(file), FORMAT, (unsigned long long)n);
    }
    arena_release(&scratch);
    if (status != SNUG_OK) *out = (EntryList){ 0 };
    return status;
}
