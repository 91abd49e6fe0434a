/* lora.c  Tensors of LoRA files, sorted into modules. */
#include "nn/lora.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "base/sort.h"
#include "nn/lora_names.h"
#include "nn/lora_scale.h"

typedef struct LoraFile {
    Checkpoint *checkpoint;
    const LoraRequest *request;
    LoraModule **modules; /* by network, key, experts */
    int n_modules;
    const char *strange; /* first of the tensors that belong to no LoRA */
    int n_strange;
} LoraFile;

struct LoraSet {
    Arena arena;
    LoraFile *files;
    int n;
};

static const char LABEL[] = "LoRA";
enum { MAX_KEY = ENTRY_MAX_NAME + 3, LISTED = 10 };

/** A tensor and what its name says. */
typedef struct Piece {
    const Entry *entry;
    const char *key;
    LoraName name;
} Piece;

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for a LoRA", path);
}

static SnugStatus fail(const LoraFile *f, Fault fault, const Entry *entry, const char *what,
                       SnugError *err)
{
    return fault_set(err, fault, checkpoint_path(f->checkpoint), "LoRA", entry->name, "%s", what);
}

/* ---- tensors to modules --------------------------------------------------------------------- */

static int compare(LoraNetwork network_a, LoraNetwork network_b, const char *key_a,
                   const char *key_b)
{
    return network_a != network_b ? (int)network_a - (int)network_b : strcmp(key_a, key_b);
}

static int by_module(const void *a, const void *b)
{
    const Piece *p = a, *q = b;
    const int order = compare(p->name.network, q->name.network, p->key, q->key);
    return order ? order : (int)p->name.experts - (int)q->name.experts;
}

/* All tensors that a LoRA may have; *n of them. */
static SnugStatus list_pieces(LoraSet *s, LoraFile *f, Arena *scratch, const Piece ***out, int *n,
                              SnugError *err)
{
    const int32_t count = checkpoint_count(f->checkpoint);
    const Piece **list = arena_array(scratch, (size_t)count + 1, sizeof *list);
    char key[MAX_KEY];
    *n = 0;
    *out = list;
    for (int32_t i = 0; list && i < count; i++) {
        Piece *p = arena_take(scratch, sizeof *p);
        if (!p) return no_memory(checkpoint_path(f->checkpoint), err);
        p->entry = checkpoint_entry(f->checkpoint, i);
        if (!lora_names_read(&p->name, p->entry->name)) {
            if (!f->n_strange++) f->strange = p->entry->name;
            continue;
        }
        if (p->name.refused) return fail(f, FAULT_UNSUPPORTED, p->entry, p->name.refused, err);
        lora_names_key(key, &p->name);
        p->key = arena_text(&s->arena, key, strlen(key));
        if (!p->key) return no_memory(checkpoint_path(f->checkpoint), err);
        list[(*n)++] = p;
    }
    return list ? SNUG_OK : no_memory(checkpoint_path(f->checkpoint), err);
}

static SnugStatus add_module(LoraSet *s, LoraFile *f, const Piece *p, bool two, LoraModule **out,
                             SnugError *err)
{
    LoraModule *m = arena_take(&s->arena, sizeof *m);
    *out = m;
    if (!m) return no_memory(checkpoint_path(f->checkpoint), err);
    m->key = p->key;
    m->name = arena_text(&s->arena, p->name.module.at, p->name.module.n);
    m->network = p->name.network;
    m->experts = p->name.experts ? p->name.experts : two ? LORA_HIGH : LORA_BOTH;
    m->experts &= f->request->experts;
    f->modules[f->n_modules++] = m;
    return m->name ? SNUG_OK : no_memory(checkpoint_path(f->checkpoint), err);
}

static SnugStatus sort_modules(LoraSet *s, LoraFile *f, const Piece *const *pieces, int n,
                               SnugError *err)
{
    bool two = false; /* the file tells the experts apart */
    LoraModule *m = NULL;
    for (int i = 0; i < n; i++)
        two |= pieces[i]->name.experts != 0;
    for (int i = 0; i < n; i++) {
        const Piece *p = pieces[i];
        if (i == 0 || by_module(pieces[i - 1], p) != 0) TRY(add_module(s, f, p, two, &m, err));
        if (m->part[p->name.part])
            return fail(f, FAULT_DUPLICATE, p->entry, "this module has two of them", err);
        m->part[p->name.part] = p->entry;
    }
    return SNUG_OK;
}

/* ---- ranks and scales ----------------------------------------------------------------------- */

static bool plain(const Entry *e)
{
    return e->dtype == DT_F32 || e->dtype == DT_F16 || e->dtype == DT_BF16 ||
           ((e->dtype == DT_F8_E4M3 || e->dtype == DT_F8_E5M2) && !e->scaling);
}

static SnugStatus read_alpha(const LoraFile *f, const Entry *e, double *out, SnugError *err)
{
    unsigned char raw[8];
    float value;
    int64_t n;
    if (!entry_elements(e->dim, e->rank, &n) || n != 1)
        return fail(f, FAULT_BAD, e, "an alpha that is not a single number", err);
    if (e->dtype == DT_COUNT || e->bytes > sizeof raw || dtype_info(e->dtype)->block != 1)
        return fail(f, FAULT_UNSUPPORTED, e, "an alpha of this type", err);
    TRY(checkpoint_read(f->checkpoint, e, 0, e->bytes, raw, err));
    (void)dtype_widen(e->dtype, raw, &value, 1);
    if (!isfinite(value) || value < 0.0f)
        return fail(f, FAULT_BAD, e, "an alpha that is negative or no number", err);
    *out = (double)value;
    return SNUG_OK;
}

/* Rank by the first dimension of down, which is the second of up. */
static SnugStatus check_matrices(const LoraFile *f, LoraModule *m, SnugError *err)
{
    const Entry *down = m->part[LORA_DOWN], *up = m->part[LORA_UP];
    if (!down != !up)
        return fail(f, FAULT_MISSING, down ? down : up,
                    down ? "the matrix that leads up from it" : "the matrix that leads down to it",
                    err);
    if (!down) {
        if (m->part[LORA_DIFF] || m->part[LORA_DIFF_BIAS]) return SNUG_OK;
        const Entry *rest = m->part[LORA_ALPHA] ? m->part[LORA_ALPHA] : m->part[LORA_UP_BIAS];
        return fail(f, FAULT_MISSING, rest, "the matrices it belongs to", err);
    }
    if (down->rank < 2 || up->rank < 2 || down->dim[0] != up->dim[1])
        return fail(f, FAULT_MISMATCH, up, "its second dimension is not the rank of its pair", err);
    if (down->dim[0] < 1) return fail(f, FAULT_BAD, down, "a rank of 0", err);
    m->rank = down->dim[0];
    return SNUG_OK;
}

static SnugStatus finish_module(const LoraFile *f, LoraModule *m, const LoraScale *scales,
                                const char *component, SnugError *err)
{
    double alpha = 0.0, scale = 1.0;
    for (int i = 0; i < LORA_PARTS; i++)
        if (m->part[i] && i != LORA_ALPHA && !plain(m->part[i]))
            return fail(f, FAULT_UNSUPPORTED, m->part[i], "a change stored in this type", err);
    TRY(check_matrices(f, m, err));
    if (m->part[LORA_ALPHA]) {
        TRY(read_alpha(f, m->part[LORA_ALPHA], &alpha, err));
        if (alpha > 0.0 && m->rank) scale = alpha / (double)m->rank;
        m->used[LORA_ALPHA] = true;
    } else
        TRY(lora_scale_find(scales, component, m->name, m->rank, &scale, err));
    m->scale = (float)(scale * f->request->strength);
    if (isfinite(m->scale)) return SNUG_OK;
    return fail(f, FAULT_BAD, m->part[LORA_ALPHA], "a scale past all bounds", err);
}

static const char *component_of(const Piece *const *pieces, int n, const LoraModule *m)
{
    for (int i = 0; i < n; i++)
        if (pieces[i]->key == m->key) return pieces[i]->name.component;
    return NULL;
}

static SnugStatus finish_modules(LoraSet *s, LoraFile *f, const Piece *const *pieces, int n,
                                 SnugError *err)
{
    LoraScale scales;
    SnugStatus status = lora_scale_open(&scales, s->arena.heap, f->checkpoint, err);
    for (int i = 0, at = 0; status == SNUG_OK && i < f->n_modules; i++) {
        while (at < n && pieces[at]->key != f->modules[i]->key)
            at++; /* modules are in the order of their first pieces */
        status = finish_module(f, f->modules[i], &scales,
                               component_of(pieces + at, n - at, f->modules[i]), err);
    }
    lora_scale_close(&scales);
    if (status == SNUG_ERR_FILE && err && !strstr(err->text, checkpoint_path(f->checkpoint)))
        return error_wrap(err, status, "%s: ", checkpoint_path(f->checkpoint));
    return status;
}

static SnugStatus read_file(LoraSet *s, LoraFile *f, Arena *scratch, SnugError *err)
{
    const Piece **pieces;
    int n;
    TRY(list_pieces(s, f, scratch, &pieces, &n, err));
    if (n == 0)
        return fault_set(err, FAULT_BAD_MAGIC, checkpoint_path(f->checkpoint), "LoRA", NULL,
                         "it holds no tensor of a LoRA (such as lora_A and lora_B)");
    const void **room = arena_array(scratch, (size_t)n, sizeof *room);
    f->modules = arena_array(&s->arena, (size_t)n, sizeof(LoraModule *));
    if (!room || !f->modules) return no_memory(checkpoint_path(f->checkpoint), err);
    sort_pointers((const void **)pieces, room, (size_t)n, by_module);
    TRY(sort_modules(s, f, pieces, n, err));
    return finish_modules(s, f, pieces, n, err);
}

/* ---- the set -------------------------------------------------------------------------------- */

static SnugStatus open_file(LoraSet *s, LoraFile *f, const LoraRequest *request, SnugError *err)
{
    Arena scratch;
    f->request = request;
    TRY(checkpoint_open(&f->checkpoint, s->arena.heap, request->path, NULL, err));
    arena_init(&scratch, s->arena.heap, LABEL);
    const SnugStatus status = read_file(s, f, &scratch, err);
    arena_release(&scratch);
    return status;
}

SnugStatus lora_open(LoraSet **out, Heap *heap, const LoraRequest *requests, int n, SnugError *err)
{
    *out = NULL;
    LoraSet *s = heap_take(heap, sizeof *s, LABEL);
    if (!s) return error_set(err, SNUG_ERR_MEMORY, "no memory for LoRAs");
    arena_init(&s->arena, heap, LABEL);
    s->files = arena_array(&s->arena, (size_t)n + 1, sizeof *s->files);
    LoraRequest *kept = arena_array(&s->arena, (size_t)n + 1, sizeof *kept);
    SnugStatus status =
        s->files && kept ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for LoRAs");
    for (int i = 0; status == SNUG_OK && i < n; i++) {
        kept[i] = requests[i];
        status = open_file(s, &s->files[s->n++], &kept[i], err);
    }
    if (status == SNUG_OK)
        *out = s;
    else
        lora_close(s);
    return status;
}

void lora_close(LoraSet *s)
{
    if (!s) return;
    Heap *heap = s->arena.heap;
    for (int i = 0; i < s->n; i++)
        checkpoint_close(s->files[i].checkpoint);
    arena_release(&s->arena);
    heap_give(heap, s);
}

int lora_n_files(const LoraSet *s)
{
    return s->n;
}

const Checkpoint *lora_file(const LoraSet *s, int file)
{
    return s->files[file].checkpoint;
}

/* ---- looking up ----------------------------------------------------------------------------- */

/* First module of that key, then those of the other expert: they lie side by side. */
static LoraModule *find(const LoraFile *f, LoraNetwork network, unsigned expert, const char *name)
{
    char key[MAX_KEY];
    int low = 0, high = f->n_modules;
    lora_names_key_of(key, sizeof key, name);
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (compare(f->modules[middle]->network, network, f->modules[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < f->n_modules; low++) {
        LoraModule *m = f->modules[low];
        if (m->network != network || strcmp(m->key, key) != 0) return NULL;
        if (m->experts & expert) return m;
    }
    return NULL;
}

SnugStatus lora_find(LoraSet *s, int file, LoraNetwork network, unsigned expert, const char *name,
                     const char *other, LoraModule **out, SnugError *err)
{
    const LoraFile *f = &s->files[file];
    *out = NULL;
    if (f->request->strength == 0.0) return SNUG_OK;
    LoraModule *a = find(f, network, expert, name);
    LoraModule *b = other && strcmp(name, other) != 0 ? find(f, network, expert, other) : NULL;
    *out = a ? a : b;
    if (!a || !b || a == b) return SNUG_OK;
    return fault_set(err, FAULT_DUPLICATE, checkpoint_path(f->checkpoint), "LoRA", a->name,
                     "the module also goes by %s", b->name);
}

/* ---- what is left --------------------------------------------------------------------------- */

static void add_name(char *names, size_t size, const char *name, int so_far)
{
    const size_t n = strlen(names);
    char shown[TEXT_ESCAPED];
    if (so_far < LISTED)
        (void)snprintf(names + n, size - n, "%s%s", so_far ? ", " : "",
                       text_escape(shown, name, strlen(name)));
    else if (so_far == LISTED)
        (void)snprintf(names + n, size - n, ", ...");
}

static SnugStatus check_file(const LoraFile *f, bool strict, char *warnings, size_t size,
                             SnugError *err)
{
    char names[600] = "";
    int used = 0, unused = 0;
    for (int i = 0; i < f->n_modules; i++)
        for (int k = 0; k < LORA_PARTS; k++) {
            const LoraModule *m = f->modules[i];
            if (!m->part[k] || k == LORA_ALPHA) continue;
            used += m->used[k];
            if (!m->used[k]) add_name(names, sizeof names, m->part[k]->name, unused++);
        }
    if (f->request->strength == 0.0) return SNUG_OK;
    if (f->n_strange) add_name(names, sizeof names, f->strange, unused);
    unused += f->n_strange;
    if (!used)
        return fault_set(err, FAULT_MISMATCH, checkpoint_path(f->checkpoint), "LoRA", NULL,
                         "no layer of the model has a name it knows (%s)", names);
    if (!unused) return SNUG_OK;
    if (strict)
        return fault_set(err, FAULT_MISMATCH, checkpoint_path(f->checkpoint), "LoRA", NULL,
                         "%d tensors fit nothing in the model: %s", unused, names);
    const size_t n = strlen(warnings);
    (void)snprintf(warnings + n, size - n, "%s: %d tensors fit nothing in the model: %s\n",
                   checkpoint_path(f->checkpoint), unused, names);
    return SNUG_OK;
}

SnugStatus lora_check(const LoraSet *s, bool strict, char *warnings, size_t size, SnugError *err)
{
    for (int i = 0; i < s->n; i++)
        TRY(check_file(&s->files[i], strict, warnings, size, err));
    return SNUG_OK;
}
