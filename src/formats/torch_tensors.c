/* torch_tensors.c  Unwrap, check every view against its storage, gather what is not in C order. */
#include "formats/torch_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"

enum {
    MAX_UNWRAP = 64,
    MAX_EXPANSION = 16,      /* elements of a view for each of its storage */
    WINDOW_BYTES = 16 * 1024 /* read at once when gathering */
};
static const int64_t MAX_ELEMENTS = (int64_t)1 << 40;
static const char FORMAT[] = "torch";

typedef struct Reader {
    const File *file;
    Arena *arena;
    TorchStorages storages;
    SnugError *err;
} Reader;

/** Layout of an entry that is not in C order. */
typedef struct View {
    int32_t rank;
    size_t width;                   /* bytes of an element */
    int64_t size[ENTRY_MAX_RANK];   /* of the tensor */
    int64_t stride[ENTRY_MAX_RANK]; /* in the storage, elements */
    int64_t place[ENTRY_MAX_RANK];  /* in C order, elements */
    int32_t order[ENTRY_MAX_RANK];  /* dimensions, widest stride first: the storage's order */
} View;

static SnugStatus fail(const Reader *r, Fault fault, const char *where, const char *what)
{
    return fault_set(r->err, fault, file_path(r->file), FORMAT, where, "%s", what);
}

static SnugStatus no_memory(const Reader *r)
{
    return error_set(r->err, SNUG_ERR_MEMORY, "%s: %s: no memory for the tensors",
                     file_path(r->file), FORMAT);
}

/* ---- gathering ------------------------------------------------------------------------------ */

/** What a walk over a view in the order of its storage carries along. */
typedef struct Walk {
    const File *file;
    const Entry *entry;
    const View *view;
    size_t from, n; /* bytes wanted, of the tensor in C order */
    unsigned char *to;
    unsigned char window[WINDOW_BYTES];
    size_t window_at, window_n;
} Walk;

/* Bytes of one element; windows follow each other upwards through the storage. */
static SnugStatus element(Walk *w, int64_t index, const unsigned char **out, SnugError *err)
{
    const size_t width = w->view->width, at = w->entry->offset + (size_t)index * width;
    if (at < w->window_at || at + width > w->window_at + w->window_n) {
        const size_t left = file_bytes(w->file) - at;
        w->window_n = left < WINDOW_BYTES ? left : WINDOW_BYTES;
        w->window_at = at;
        TRY(file_pread_all(w->file, at, w->window, w->window_n, err));
    }
    *out = w->window + (at - w->window_at);
    return SNUG_OK;
}

/* The part of one element that was asked for, to its place. */
static void put(const Walk *w, int64_t place, const unsigned char *bytes)
{
    const size_t width = w->view->width, at = (size_t)place * width;
    for (size_t i = 0; i < width; i++)
        if (at + i >= w->from && at + i < w->from + w->n) w->to[at + i - w->from] = bytes[i];
}

/* Step the odometer whose last digit turns fastest; false after the last step. */
static bool step(const View *v, const int64_t *low, const int64_t *high, int64_t *digit)
{
    for (int32_t i = v->rank - 1; i >= 0; i--) {
        const int32_t k = v->order[i];
        if (++digit[k] < high[k]) return true;
        digit[k] = low[k];
    }
    return false;
}

static SnugStatus gather(const File *file, const Entry *entry, size_t from, size_t n, void *to,
                         SnugError *err)
{
    const View *v = entry->layout;
    Walk w = { .file = file, .entry = entry, .view = v, .from = from, .n = n, .to = to };
    int64_t low[ENTRY_MAX_RANK] = { 0 }, high[ENTRY_MAX_RANK], digit[ENTRY_MAX_RANK];
    if (n == 0) return SNUG_OK;
    memcpy(high, v->size, sizeof high);
    /* only the slices of the first dimension that the range touches */
    const size_t slice = (size_t)v->place[0] * v->width;
    low[0] = (int64_t)(from / slice);
    high[0] = (int64_t)((from + n - 1) / slice) + 1;
    memcpy(digit, low, sizeof digit);
    do {
        int64_t index = 0, place = 0;
        const unsigned char *bytes;
        for (int32_t k = 0; k < v->rank; k++) {
            index += digit[k] * v->stride[k];
            place += digit[k] * v->place[k];
        }
        TRY(element(&w, index, &bytes, err));
        put(&w, place, bytes);
    } while (step(v, low, high, digit));
    return SNUG_OK;
}

/* ---- one tensor ----------------------------------------------------------------------------- */

bool torch_tensors_key_ok(TextView key)
{
    for (size_t i = 0; i < key.n; i++)
        if (key.at[i] < '0' || key.at[i] > '9') return false;
    return key.n > 0 && key.n <= 20;
}

static int key_against(const void *key, const void *storage)
{
    return text_compare(*(const TextView *)key, ((const TorchStorage *)storage)->key);
}

static const TorchStorage *find_storage(const TorchStorages *s, TextView key)
{
    if (s->n == 0) return NULL; /* bsearch wants an array even then */
    return bsearch(&key, s->at, (size_t)s->n, sizeof *s->at, key_against);
}

/* Where the tensor's storage lies and how many bytes of it there are. */
static SnugStatus place_storage(const Reader *r, const char *name, const PickleBox *id,
                                size_t *offset, size_t *bytes)
{
    const PickleValue *item = id->items;
    const TextView key = { item[2].as.text, item[2].n };
    const DType type = item[1].as.global->dtype;
    const int64_t width = type == DT_COUNT ? 1 : dtype_info(type)->bytes;
    char shown[TEXT_ESCAPED];
    const TorchStorage *s = find_storage(&r->storages, key);
    if (!torch_tensors_key_ok(key))
        return fault_set(r->err, FAULT_UNSAFE, file_path(r->file), FORMAT, name,
                         "storage key '%s' is no number", text_escape(shown, key.at, key.n));
    if (!s)
        return fault_set(r->err, FAULT_MISSING, file_path(r->file), FORMAT, name,
                         "storage %.*s is not in the file", (int)key.n, key.at);
    int64_t total, first = 0;
    bool fits = item[4].as.whole >= 0 && dim_mul(item[4].as.whole, width, &total) &&
                (uint64_t)total <= s->bytes;
    if (fits && id->n > 5 && item[5].kind == PICKLE_TUPLE) { /* stacked: a view of the storage */
        const PickleBox *view = item[5].as.box;
        int64_t begin = 0, size = 0;
        fits = view->n >= 3 && view->items[1].kind == PICKLE_INT &&
               view->items[2].kind == PICKLE_INT && view->items[1].as.whole >= 0 &&
               view->items[2].as.whole >= 0 && dim_mul(view->items[1].as.whole, width, &begin) &&
               dim_mul(view->items[2].as.whole, width, &size) && begin <= total &&
               size <= total - begin;
        first = begin;
        total = size;
    }
    if (!fits)
        return fault_set(r->err, FAULT_MISMATCH, file_path(r->file), FORMAT, name,
                         "storage %.*s of %lld elements does not fit its %zu bytes", (int)key.n,
                         key.at, (long long)item[4].as.whole, s->bytes);
    *offset = s->offset + (size_t)first;
    *bytes = (size_t)total;
    return SNUG_OK;
}

static SnugStatus read_dims(const Reader *r, const char *name, const PickleBox *box, int64_t *to)
{
    for (uint32_t i = 0; i < box->n; i++) {
        if (box->items[i].kind != PICKLE_INT || box->items[i].as.whole < 0)
            return fail(r, FAULT_MISMATCH, name, "a size or stride is no whole number from 0 up");
        to[i] = box->items[i].as.whole;
    }
    return SNUG_OK;
}

static SnugStatus read_shape(const Reader *r, const PickleValue *args, Entry *e, View *v)
{
    const PickleBox *size = args[2].as.box, *stride = args[3].as.box;
    if (size->n > ENTRY_MAX_RANK)
        return fault_set(r->err, FAULT_TOO_LARGE, file_path(r->file), FORMAT, e->name,
                         "%u dimensions, limit %d", size->n, ENTRY_MAX_RANK);
    if (size->n != stride->n)
        return fault_set(r->err, FAULT_MISMATCH, file_path(r->file), FORMAT, e->name,
                         "%u sizes, but %u strides", size->n, stride->n);
    TRY(read_dims(r, e->name, size, v->size));
    TRY(read_dims(r, e->name, stride, v->stride));
    e->rank = v->rank = (int32_t)size->n;
    memcpy(e->dim, v->size, sizeof e->dim);
    return SNUG_OK;
}

/* Number of elements; the last one touched must lie in the storage of `room` elements. */
static SnugStatus check_extent(const Reader *r, const Entry *e, const View *v, int64_t first,
                               int64_t room, int64_t *count)
{
    int64_t last = first;
    bool expanded = false;
    if (!entry_elements(e->dim, e->rank, count))
        return fail(r, FAULT_OVERFLOW, e->name, "the product of its sizes does not fit 63 bits");
    if (*count == 0) return SNUG_OK;
    for (int32_t i = 0; i < v->rank; i++) {
        int64_t reach;
        if (!dim_mul(v->size[i] - 1, v->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return fail(r, FAULT_OVERFLOW, e->name, "its strides do not fit 63 bits");
        expanded |= v->size[i] > 1 && v->stride[i] == 0;
    }
    if (first < 0 || last >= room)
        return fault_set(r->err, FAULT_MISMATCH, file_path(r->file), FORMAT, e->name,
                         "it reaches element %lld of a storage of %lld", (long long)last,
                         (long long)room);
    /* overlapping strides can blow up a small file as much as zero strides do */
    const bool blown = *count > room && *count / MAX_EXPANSION > room;
    if (*count > MAX_ELEMENTS || blown)
        return fault_set(r->err, FAULT_TOO_LARGE, file_path(r->file), FORMAT, e->name,
                         "%lld elements%s from a storage of %lld", (long long)*count,
                         expanded ? ", repeated," : "", (long long)room);
    return SNUG_OK;
}

/* Strides of C order; true when they are the tensor's own. */
static bool c_order(View *v)
{
    int64_t place = 1;
    bool same = true;
    for (int32_t i = v->rank - 1; i >= 0; i--) {
        v->place[i] = place;
        same &= v->size[i] == 1 || v->stride[i] == place;
        place *= v->size[i];
    }
    return same;
}

/* Dimensions by stride, widest first; insertion keeps equal ones in order. */
static void order_dims(View *v)
{
    for (int32_t i = 0; i < v->rank; i++) {
        int32_t at = i;
        for (; at > 0 && v->stride[v->order[at - 1]] < v->stride[i]; at--)
            v->order[at] = v->order[at - 1];
        v->order[at] = i;
    }
}

static SnugStatus finish_layout(const Reader *r, Entry *e, View *v)
{
    if (e->bytes == 0 || c_order(v)) return SNUG_OK;
    order_dims(v);
    View *kept = arena_take(r->arena, sizeof *kept);
    if (!kept) return no_memory(r);
    *kept = *v;
    e->layout = kept;
    e->read = gather;
    return SNUG_OK;
}

static SnugStatus read_tensor(const Reader *r, PickleValue tensor, Entry *e)
{
    const PickleValue *args = tensor.as.box->items;
    const PickleBox *id = args[0].as.box;
    View v = { 0 };
    size_t offset = 0, bytes = 0, skip;
    int64_t count = 0;
    const DType type = tensor.n ? args[6].as.global->dtype : id->items[1].as.global->dtype;
    v.width = (size_t)dtype_info(type)->bytes;
    e->dtype = type;
    e->type_name = dtype_name(type);
    TRY(place_storage(r, e->name, id, &offset, &bytes));
    TRY(read_shape(r, args, e, &v));
    TRY(check_extent(r, e, &v, args[1].as.whole, (int64_t)(bytes / v.width), &count));
    if (!dtype_bytes(type, count, &e->bytes))
        return fail(r, FAULT_OVERFLOW, e->name, "its size in bytes does not fit 64 bits");
    e->offset = offset;
    if (count > 0 && size_mul((size_t)args[1].as.whole, v.width, &skip)) e->offset += skip;
    return finish_layout(r, e, &v);
}

/* ---- the dictionary ------------------------------------------------------------------------- */

/* Values of a kind in a dictionary. */
static uint32_t count_kind(const PickleBox *dict, PickleKind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 1; i < dict->n; i += 2)
        n += dict->items[i].kind == kind;
    return n;
}

/* The dictionary inside a wrapper, NULL if this is none. */
static const PickleValue *unwrap(PickleValue dict, const char **key)
{
    static const char *const KEYS[] = { "state_dict", "model", "module", "params_ema",
                                        "params",     "ema",   "net" };
    for (size_t i = 0; i < COUNT(KEYS); i++) {
        const PickleValue *inner = pickle_get(dict, KEYS[i]);
        if (!inner || inner->kind != PICKLE_DICT) continue;
        if (!count_kind(inner->as.box, PICKLE_TENSOR) && !count_kind(inner->as.box, PICKLE_DICT))
            continue;
        *key = KEYS[i];
        return inner;
    }
    *key = "(its only key)";
    if (dict.as.box->n != 2 || dict.as.box->items[1].kind != PICKLE_DICT) return NULL;
    return &dict.as.box->items[1];
}

static SnugStatus find_dict(const Reader *r, PickleValue *dict, const char **path)
{
    const PickleValue *inner;
    const char *key;
    *path = "";
    if (dict->kind != PICKLE_DICT)
        return fail(r, FAULT_UNSUPPORTED, NULL,
                    dict->kind == PICKLE_TENSOR ? "it holds a single tensor, not a state dict"
                                                : "it holds no dictionary of tensors");
    for (int i = 0; (inner = unwrap(*dict, &key)); i++) {
        if (i == MAX_UNWRAP)
            return fail(r, FAULT_TOO_DEEP, NULL, "dictionaries inside dictionaries");
        *path = arena_printf(r->arena, "%s%s%s", *path, (*path)[0] ? "." : "", key);
        if (!*path) return no_memory(r);
        *dict = *inner;
    }
    return SNUG_OK;
}

static SnugStatus keep_name(const Reader *r, PickleValue key, const char **out)
{
    char shown[TEXT_ESCAPED];
    if (key.n > ENTRY_MAX_NAME)
        return fault_set(r->err, FAULT_TOO_LARGE, file_path(r->file), FORMAT, NULL,
                         "a name of %u bytes (limit %d)", key.n, ENTRY_MAX_NAME);
    if (memchr(key.as.text, 0, key.n) || text_utf8_check(key.as.text, key.n) < key.n)
        return fail(r, FAULT_BAD_TEXT, text_escape(shown, key.as.text, key.n),
                    "this is no name for a tensor");
    *out = arena_text(r->arena, key.as.text, key.n);
    return *out ? SNUG_OK : no_memory(r);
}

static SnugStatus read_entries(const Reader *r, const PickleBox *dict, EntryList *out)
{
    const uint32_t n = count_kind(dict, PICKLE_TENSOR);
    if (n == 0) return fail(r, FAULT_MISSING, NULL, "there is no tensor in it");
    if (n > ENTRY_MAX_COUNT)
        return fault_set(r->err, FAULT_TOO_LARGE, file_path(r->file), FORMAT, NULL,
                         "%u tensors, limit %d", n, ENTRY_MAX_COUNT);
    out->entries = arena_array(r->arena, n, sizeof *out->entries);
    if (!out->entries) return no_memory(r);
    for (uint32_t i = 0; i < dict->n; i += 2) {
        if (dict->items[i + 1].kind != PICKLE_TENSOR || dict->items[i].kind != PICKLE_TEXT)
            continue;
        Entry *e = &out->entries[out->n];
        TRY(keep_name(r, dict->items[i], &e->name));
        TRY(read_tensor(r, dict->items[i + 1], e));
        out->n++;
    }
    return SNUG_OK;
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool strip(EntryList *list, const char *prefix)
{
    const size_t n = strlen(prefix);
    for (int32_t i = 0; i < list->n; i++)
        if (!text_starts(list->entries[i].name, prefix) || !list->entries[i].name[n]) return false;
    for (int32_t i = 0; i < list->n; i++)
        list->entries[i].name += n;
    return list->n > 0;
}

/* What training puts in front of every name. "model." only inside a wrapper, where training
 * frameworks put it: in a flat file it is the network's own name for its part. */
static void strip_prefixes(EntryList *list, bool wrapped)
{
    while (strip(list, "module.") || strip(list, "_orig_mod.") ||
           (wrapped && strip(list, "model."))) {
    }
}

static SnugStatus check_names(const Reader *r, const EntryList *list)
{
    Arena scratch;
    arena_init(&scratch, r->arena->heap, "checkpoint headers");
    const Entry **order = arena_array(&scratch, (size_t)list->n, sizeof *order);
    const Entry **spare = arena_array(&scratch, (size_t)list->n, sizeof *spare);
    SnugStatus status = order && spare ? SNUG_OK : no_memory(r);
    for (int32_t i = 0; status == SNUG_OK && i < list->n; i++)
        order[i] = &list->entries[i];
    const Entry *twice = status == SNUG_OK ? entry_sort(order, spare, (size_t)list->n) : NULL;
    if (twice) status = fail(r, FAULT_DUPLICATE, twice->name, "two tensors of that name");
    arena_release(&scratch);
    return status;
}

static SnugStatus add_note(const Reader *r, EntryList *out, const char *path)
{
    if (!path[0]) return SNUG_OK;
    out->notes = arena_take(r->arena, sizeof *out->notes);
    if (!out->notes) return no_memory(r);
    out->notes[0] = (EntryNote){ .key = "torch.unwrapped", .text = path };
    out->n_notes = 1;
    return SNUG_OK;
}

SnugStatus torch_tensors_list(EntryList *out, Arena *arena, const File *file, PickleValue root,
                              TorchStorages storages, SnugError *err)
{
    const Reader r = { .file = file, .arena = arena, .storages = storages, .err = err };
    const char *path;
    *out = (EntryList){ 0 };
    TRY(find_dict(&r, &root, &path));
    TRY(read_entries(&r, root.as.box, out));
    strip_prefixes(out, path[0] != '\0');
    TRY(check_names(&r, out));
    return add_note(&r, out, path);
}
