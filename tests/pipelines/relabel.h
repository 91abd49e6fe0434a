/* relabel.h  Model folders in other layouts, made from the golden pipelines: the same tensors under the
 * names that the reference lists give them (tests/golden/layouts/names.json). */
#ifndef TESTS_PIPELINES_RELABEL_H
#define TESTS_PIPELINES_RELABEL_H

#include <sys/stat.h>

#include "pipelines/request.h"

#include "formats/checkpoint.h"
#include "formats/safetensors_write.h"

enum { RELABEL_MAX = 1024 };

/** One source of tensors for a written file. */
typedef struct RelabelPart {
    const char *component; /**< "t2v/model/transformer" below golden/pipelines */
    const char *list;      /**< of names.json; NULL: names stay */
    const char *prefix;    /**< before the names in the written file */
} RelabelPart;

/** Text into a file below the scratch folder; folders on the way are made. */
static inline void relabel_text(const char *name, const char *text)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s", request_scratch(name));
    for (char *at = strchr(path + strlen(test_scratch()) + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/** A file below tests/golden/pipelines copied to a place below the scratch folder. */
static inline void relabel_copy(const char *to, const char *from)
{
    char path[1024];
    size_t n;
    (void)snprintf(path, sizeof path, "%s/%s", test_path("golden/pipelines"), from);
    char *bytes = request_bytes(path, &n);
    relabel_text(to, "");
    FILE *file = fopen(request_scratch(to), "wb");
    CHECK(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
    free(bytes);
}

static inline const char *relabel_spell(Json pairs, const char *ours)
{
    const char *a = NULL, *b = NULL;
    /* those of camera networks are the original's own */
    if (json_length(pairs) == 0 || strstr(ours, "cam") || strstr(ours, "c2ws")) return ours;
    for (int64_t i = 0; i < json_length(pairs); i++) {
        CHECK(json_as_text(json_item(json_item(pairs, i), 0), &a, NULL) == SNUG_OK);
        CHECK(json_as_text(json_item(json_item(pairs, i), 1), &b, NULL) == SNUG_OK);
        if (strcmp(a, ours) == 0) return b;
    }
    fail_msg("no other name for %s", ours);
    return NULL;
}

typedef struct RelabelFile {
    Arena arena;
    Checkpoint *from[8];
    SafetensorsItem items[RELABEL_MAX];
    int part_of[RELABEL_MAX]; /* by items[].user */
    const Entry *entry[RELABEL_MAX];
    int32_t n;
} RelabelFile;

static inline void relabel_list(RelabelFile *f, int part, const RelabelPart *p, Json names)
{
    char path[1024];
    SnugError err = { { 0 } };
    Json pairs = { 0 };
    static const char *const FILES[] = { "diffusion_pytorch_model.safetensors",
                                         "model.safetensors" };
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s/%s", test_path("golden/pipelines"), p->component,
                       FILES[i]);
        if (file_type(path) == FILE_REGULAR) break;
    }
    REQUIRE_OK(checkpoint_open(&f->from[part], f->arena.heap, path, NULL, &err), &err);
    if (p->list) REQUIRE_OK(json_get_array(names, p->list, &pairs, &err), &err);
    for (int32_t i = 0; i < checkpoint_count(f->from[part]); i++) {
        const Entry *e = checkpoint_entry(f->from[part], i);
        SafetensorsItem *item = &f->items[f->n];
        CHECK(f->n < RELABEL_MAX);
        item->name = arena_printf(&f->arena, "%s%s", p->prefix ? p->prefix : "",
                                  relabel_spell(pairs, e->name));
        item->dtype = e->dtype;
        item->rank = e->rank;
        memcpy(item->dim, e->dim, sizeof item->dim);
        item->user = f->n;
        f->part_of[f->n] = part;
        f->entry[f->n++] = e;
    }
}

static inline void relabel_data(RelabelFile *f, SafetensorsWriter *w)
{
    SnugError err = { { 0 } };
    for (int32_t i = 0; i < f->n; i++) {
        const int32_t k = safetensors_item(w, i)->user;
        void *data = heap_take(f->arena.heap, f->entry[k]->bytes, "test");
        REQUIRE_OK(
            checkpoint_read(f->from[f->part_of[k]], f->entry[k], 0, f->entry[k]->bytes, data, &err),
            &err);
        REQUIRE_OK(safetensors_append(w, data, f->entry[k]->bytes, &err), &err);
        heap_give(f->arena.heap, data);
    }
}

/** Write a safetensors file below the scratch folder from one or several components. */
static inline void relabel(const char *to, const RelabelPart *parts, int n_parts)
{
    static RelabelFile file;
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    SnugError err = { { 0 } };
    SafetensorsWriter *w = NULL;
    memset(&file, 0, sizeof file);
    arena_init(&file.arena, heap, "test");
    REQUIRE_OK(json_open(&doc, heap, test_path("golden/layouts/names.json"), &err), &err);
    for (int i = 0; i < n_parts; i++)
        relabel_list(&file, i, &parts[i], json_root(doc));
    relabel_text(to, "");
    REQUIRE_OK(safetensors_create(&w, heap, request_scratch(to), file.items, file.n, NULL, 0, &err),
               &err);
    relabel_data(&file, w);
    REQUIRE_OK(safetensors_commit(w, &err), &err);
    safetensors_close(w);
    for (int i = 0; i < n_parts; i++)
        checkpoint_close(file.from[i]);
    json_close(doc);
    arena_release(&file.arena);
    heap_free(heap);
}

#endif
