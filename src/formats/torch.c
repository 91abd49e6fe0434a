/* torch.c  Both containers of torch.save: find the pickle, read it, find the storages. */
#include "formats/torch.h"

#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "base/sort.h"
#include "formats/torch_tensors.h"
#include "formats/zip.h"

static const char FORMAT[] = "torch";

typedef struct Reader {
    const File *file;
    Arena *arena, *scratch;
    SnugError *err;
    EntryList *out;
} Reader;

static SnugStatus fail(const Reader *r, Fault fault, const char *where, const char *what)
{
    return fault_set(r->err, fault, file_path(r->file), FORMAT, where, "%s", what);
}

static SnugStatus no_memory(const Reader *r)
{
    return error_set(r->err, SNUG_ERR_MEMORY, "%s: %s: no memory for the header",
                     file_path(r->file), FORMAT);
}

typedef SnugStatus ReadBody(Reader *r);

static SnugStatus read_with(ReadBody *body, const File *file, Arena *arena, EntryList *out,
                            SnugError *err)
{
    Arena scratch; /* the pickle and its values: entries keep nothing of them */
    arena_init(&scratch, arena->heap, "checkpoint headers");
    Reader r = { .file = file, .arena = arena, .scratch = &scratch, .err = err, .out = out };
    *out = (EntryList){ 0 };
    const SnugStatus status = body(&r);
    arena_release(&scratch);
    if (status != SNUG_OK) *out = (EntryList){ 0 };
    return status;
}

/* ---- zip ------------------------------------------------------------------------------------ */

/* A small member's bytes, with a NUL behind them; NULL in *out when it is not there. */
static SnugStatus read_member(const Reader *r, const ZipDirectory *zip, const char *top,
                              const char *name, size_t limit, TextView *out)
{
    const char *full = arena_printf(r->scratch, "%s/%s", top, name);
    *out = (TextView){ 0 };
    if (!full) return no_memory(r);
    const ZipMember *m = zip_find(zip, full);
    if (!m) return SNUG_OK;
    TRY(zip_require_stored(m, r->file, FORMAT, r->err));
    if (m->bytes > limit)
        return fault_set(r->err, FAULT_TOO_LARGE, file_path(r->file), FORMAT, full,
                         "got %zu bytes, limit %zu", m->bytes, limit);
    char *text = arena_take(r->scratch, m->bytes + 1);
    if (!text) return no_memory(r);
    TRY(file_pread_all(r->file, m->offset, text, m->bytes, r->err));
    *out = (TextView){ text, m->bytes };
    return SNUG_OK;
}

/* The folder that everything lies in: what stands before the first name's slash. */
static SnugStatus find_top(const Reader *r, const ZipDirectory *zip, const char **top)
{
    const char *slash = zip->first ? strchr(zip->first, '/') : NULL;
    if (!slash) return fail(r, FAULT_BAD_MAGIC, NULL, "a zip archive, but no torch checkpoint");
    *top = arena_text(r->scratch, zip->first, (size_t)(slash - zip->first));
    return *top ? SNUG_OK : no_memory(r);
}

static SnugStatus check_version(const Reader *r, TextView version)
{
    int64_t value = 0;
    while (version.n && (version.at[version.n - 1] == '\n' || version.at[version.n - 1] == '\r'))
        version.n--;
    for (size_t i = 0; i < version.n && i < 4; i++)
        value =
            version.at[i] >= '0' && version.at[i] <= '9' ? value * 10 + version.at[i] - '0' : 1000;
    if (version.at && (value < 1 || value > 10))
        return fail(r, FAULT_BAD_VERSION, "version", "expected 1 to 10");
    return SNUG_OK;
}

/* What the archive says about itself besides the pickle. */
static SnugStatus check_marks(const Reader *r, const ZipDirectory *zip, const char *top)
{
    enum { SMALL = 1 << 10 };
    TextView version, order;
    const char *constants = arena_printf(r->scratch, "%s/constants.pkl", top);
    const char *code = arena_printf(r->scratch, "%s/code/", top);
    if (!constants || !code) return no_memory(r);
    bool script = zip_find(zip, constants);
    for (int32_t i = 0; i < zip->n && !script; i++)
        script = text_starts(zip->members[i].name, code);
    if (script) return fail(r, FAULT_UNSUPPORTED, NULL, "a TorchScript archive: it is code");
    TRY(read_member(r, zip, top, "version", SMALL, &version));
    TRY(check_version(r, version));
    TRY(read_member(r, zip, top, "byteorder", SMALL, &order));
    if (order.at && !text_is(order, "little"))
        return fail(r, FAULT_UNSUPPORTED, "byteorder", "numbers in big-endian order");
    return SNUG_OK;
}

static SnugStatus list_zip_storages(const Reader *r, const ZipDirectory *zip, const char *top,
                                    TorchStorages *out)
{
    TorchStorage *at = arena_array(r->scratch, (size_t)zip->n + 1, sizeof *at);
    const char *folder = arena_printf(r->scratch, "%s/data/", top);
    if (!at || !folder) return no_memory(r);
    for (int32_t i = 0; i < zip->n; i++) { /* sorted by name, and so by key */
        const ZipMember *m = &zip->members[i];
        if (!text_starts(m->name, folder)) continue;
        TRY(zip_require_stored(m, r->file, FORMAT, r->err));
        const char *key = m->name + strlen(folder);
        at[out->n++] = (TorchStorage){ { key, strlen(key) }, m->offset, m->bytes };
    }
    out->at = at;
    return SNUG_OK;
}

static SnugStatus read_zip(Reader *r)
{
    ZipDirectory zip;
    TorchStorages storages = { 0 };
    const char *top;
    TextView text;
    PickleValue root;
    size_t used;
    TRY(zip_read(&zip, r->scratch, r->file, FORMAT, r->err));
    TRY(find_top(r, &zip, &top));
    TRY(check_marks(r, &zip, top));
    TRY(read_member(r, &zip, top, "data.pkl", PICKLE_MAX_BYTES, &text));
    if (!text.at) return fail(r, FAULT_MISSING, "data.pkl", "not a torch checkpoint");
    TRY(list_zip_storages(r, &zip, top, &storages));
    const PickleSource source = { .path = file_path(r->file),
                                  .bytes = (const unsigned char *)text.at,
                                  .n = text.n,
                                  .arena = r->scratch };
    TRY(pickle_read(&source, &root, &used, r->err));
    return torch_tensors_list(r->out, r->arena, r->file, root, storages, r->err);
}

SnugStatus torch_read_zip(const File *file, Arena *arena, EntryList *out, SnugError *err)
{
    return read_with(read_zip, file, arena, out, err);
}

/* ---- stacked pickles ------------------------------------------------------------------------ */

enum { MAGIC_BYTES = 15, FIRST_WINDOW = 1 << 20 };

/** The five pickles in front of the storages. */
typedef struct Stack {
    PickleValue version, system, root, keys;
    PickleBox storages; /* every storage mentioned */
    size_t end;         /* of what was read of them */
} Stack;

static SnugStatus read_stack(const Reader *r, const unsigned char *bytes, size_t n, Stack *out)
{
    PickleValue *const to[] = { &out->version, &out->system, &out->root, &out->keys };
    size_t at = MAGIC_BYTES; /* the magic number is the first pickle */
    for (size_t i = 0; i < COUNT(to); i++) {
        const PickleSource source = { .path = file_path(r->file),
                                      .bytes = bytes + at,
                                      .n = n - at,
                                      .stacked = true,
                                      .storages = &out->storages,
                                      .arena = r->scratch };
        size_t used;
        const SnugStatus status = pickle_read(&source, to[i], &used, r->err);
        at += used;
        out->end = at;
        TRY(status);
    }
    return SNUG_OK;
}

/* Nobody says how long the pickles are: read a window, and a larger one when it was too short. */
static SnugStatus read_stack_growing(const Reader *r, Stack *out)
{
    const size_t bytes = file_bytes(r->file);
    for (size_t n = FIRST_WINDOW;; n *= 4) {
        if (n > bytes) n = bytes;
        arena_release(r->scratch);
        *out = (Stack){ 0 };
        unsigned char *text = arena_take(r->scratch, n);
        if (!text) return no_memory(r);
        TRY(file_pread_all(r->file, 0, text, n, r->err));
        const SnugStatus status = read_stack(r, text, n, out);
        const bool cut = status == SNUG_ERR_FILE && out->end == n;
        if (!cut || n == bytes || n >= PICKLE_MAX_BYTES) return status;
    }
}

static SnugStatus check_stack(const Reader *r, const Stack *s)
{
    const PickleValue *little = pickle_get(s->system, "little_endian");
    if (s->version.kind != PICKLE_INT || s->version.as.whole != 1001)
        return fail(r, FAULT_BAD_VERSION, NULL, "expected protocol 1001");
    if (little && little->kind == PICKLE_BOOL && !little->as.whole)
        return fail(r, FAULT_UNSUPPORTED, "little_endian", "numbers in big-endian order");
    if (s->keys.kind != PICKLE_LIST) return fail(r, FAULT_BAD, NULL, "no list of storages");
    return SNUG_OK;
}

/** A storage as the pickle describes it. */
typedef struct Described {
    TextView key;
    const PickleValue *id;
} Described;

static int by_key(const void *a, const void *b)
{
    return text_compare(((const Described *)a)->key, ((const Described *)b)->key);
}

static int by_storage_key(const void *a, const void *b)
{
    return text_compare(((const TorchStorage *)a)->key, ((const TorchStorage *)b)->key);
}

/* Descriptions sorted by key. */
static SnugStatus sort_described(const Reader *r, const PickleBox *storages, const Described ***out)
{
    const size_t n = storages->n;
    Described *all = arena_array(r->scratch, n + 1, sizeof *all);
    const Described **order = arena_array(r->scratch, n + 1, sizeof *order);
    const void **spare = arena_array(r->scratch, n + 1, sizeof *spare);
    if (!all || !order || !spare) return no_memory(r);
    for (size_t i = 0; i < n; i++) {
        const PickleValue *id = storages->items[i].as.box->items;
        all[i] = (Described){ { id[2].as.text, id[2].n }, id };
        order[i] = &all[i];
    }
    sort_pointers((const void **)order, spare, n, by_key);
    *out = order;
    return SNUG_OK;
}

static const Described *find_described(const Described *const *order, size_t n, TextView key)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (text_compare(order[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && text_equal(order[low]->key, key) ? order[low] : NULL;
}

/* One storage at *at: i64 number of elements, then its bytes. */
static SnugStatus place_stacked(const Reader *r, const Described *d, size_t *at, TorchStorage *out)
{
    unsigned char raw[8];
    uint64_t count = 0;
    size_t bytes;
    const DType type = d->id[1].as.global->dtype;
    TRY(file_pread_all(r->file, *at, raw, sizeof raw, r->err));
    for (int i = 7; i >= 0; i--)
        count = count << 8 | raw[i];
    *at += sizeof raw;
    const size_t width = type == DT_COUNT ? 1 : (size_t)dtype_info(type)->bytes;
    if (!size_mul((size_t)count, width, &bytes) || bytes > file_bytes(r->file) - *at)
        return fault_set(r->err, FAULT_TRUNCATED, file_path(r->file), FORMAT, "storages",
                         "storage %.*s has %llu elements, the file %zu bytes", (int)d->key.n,
                         d->key.at, (unsigned long long)count, file_bytes(r->file) - *at);
    *out = (TorchStorage){ d->key, *at, bytes };
    *at += bytes;
    return SNUG_OK;
}

static SnugStatus list_stacked(const Reader *r, const Stack *s, TorchStorages *out)
{
    const PickleBox *keys = s->keys.as.box;
    const Described **described = NULL;
    TorchStorage *places = arena_array(r->scratch, (size_t)keys->n + 1, sizeof *places);
    TorchStorage *sorted = arena_array(r->scratch, (size_t)keys->n + 1, sizeof *sorted);
    const void **order = arena_array(r->scratch, (size_t)keys->n + 1, sizeof *order);
    const void **spare = arena_array(r->scratch, (size_t)keys->n + 1, sizeof *spare);
    size_t at = s->end;
    if (!places || !sorted || !order || !spare) return no_memory(r);
    TRY(sort_described(r, &s->storages, &described));
    for (uint32_t i = 0; i < keys->n; i++) {
        const TextView key = { keys->items[i].as.text, keys->items[i].n };
        if (keys->items[i].kind != PICKLE_TEXT || !torch_tensors_key_ok(key))
            return fail(r, FAULT_UNSAFE, "storages", "a storage key that is no number");
        const Described *d = find_described(described, s->storages.n, key);
        if (!d) return fail(r, FAULT_BAD, "storages", "a storage of unknown type");
        TRY(place_stacked(r, d, &at, &places[i]));
        order[i] = &places[i];
    }
    sort_pointers(order, spare, keys->n, by_storage_key);
    for (uint32_t i = 0; i < keys->n; i++) {
        sorted[i] = *(const TorchStorage *)order[i];
        if (i > 0 && text_equal(sorted[i - 1].key, sorted[i].key))
            return fail(r, FAULT_DUPLICATE, "storages", "a storage is listed twice");
    }
    *out = (TorchStorages){ sorted, (int32_t)keys->n };
    return SNUG_OK;
}

static SnugStatus read_stacked(Reader *r)
{
    Stack stack;
    TorchStorages storages = { 0 };
    if (file_bytes(r->file) < MAGIC_BYTES) return fail(r, FAULT_TRUNCATED, NULL, "too short");
    TRY(read_stack_growing(r, &stack));
    TRY(check_stack(r, &stack));
    TRY(list_stacked(r, &stack, &storages));
    return torch_tensors_list(r->out, r->arena, r->file, stack.root, storages, r->err);
}

SnugStatus torch_read_stacked(const File *file, Arena *arena, EntryList *out, SnugError *err)
{
    return read_with(read_stacked, file, arena, out, err);
}
