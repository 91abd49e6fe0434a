/* birefnet_file.h  The golden BiRefNet as a folder in the scratch: its values follow from their names
 * (tools/oracle/golden_birefnet.py). */
#ifndef TESTS_MODELS_BIREFNET_FILE_H
#define TESTS_MODELS_BIREFNET_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "test.h"

#include "formats/safetensors_write.h"

enum { BIREFNET_FILE_TENSORS = 512, BIREFNET_FILE_NAME = 128 };

typedef struct BirefnetFile {
    SafetensorsItem item[BIREFNET_FILE_TENSORS];
    char name[BIREFNET_FILE_TENSORS][BIREFNET_FILE_NAME];
    float mean[BIREFNET_FILE_TENSORS], width[BIREFNET_FILE_TENSORS];
    int32_t n;
} BirefnetFile;

/* golden_birefnet.py, `values`. */
static inline float birefnet_file_value(uint32_t seed, uint32_t i)
{
    uint32_t x = i * 0x9E3779B1u + seed;
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    x ^= x >> 16;
    return (float)(x >> 8) / (float)(1 << 23) - 1.0f;
}

static inline uint32_t birefnet_file_seed_of(const char *name)
{
    uint32_t seed = 2166136261u;
    for (; *name; name++)
        seed = (seed ^ (unsigned char)*name) * 16777619u;
    return seed;
}

static inline void birefnet_file_read_list(BirefnetFile *t)
{
    char line[256];
    FILE *f = fopen(test_path("golden/birefnet/tensors.txt"), "r");
    CHECK(f);
    for (t->n = 0; fgets(line, sizeof line, f); t->n++) {
        SafetensorsItem *item = &t->item[t->n];
        int used = 0;
        CHECK(t->n < BIREFNET_FILE_TENSORS);
        CHECK(sscanf(line, "%120s %f %f %n", t->name[t->n], &t->mean[t->n], &t->width[t->n],
                     &used) == 3);
        *item = (SafetensorsItem){ .name = t->name[t->n], .dtype = DT_F32 };
        for (char *at = line + used; *at && *at != '\n';)
            item->dim[item->rank++] = strtoll(at, &at, 10);
    }
    (void)fclose(f);
}

static inline void birefnet_file_write_values(SafetensorsWriter *w, const BirefnetFile *t,
                                              SnugError *err)
{
    for (int32_t i = 0; i < t->n; i++) {
        const SafetensorsItem *item = safetensors_item(w, i);
        const size_t bytes = safetensors_item_bytes(w, i);
        float *x = malloc(bytes);
        int32_t k = 0;
        const char *name = item->name, *plain = strncmp(name, "module.", 7) ? name : name + 7;
        while (strcmp(t->item[k].name, name) != 0)
            k++;
        for (uint32_t j = 0; j < bytes / sizeof *x; j++)
            x[j] = birefnet_file_value(birefnet_file_seed_of(plain), j) * t->width[k] + t->mean[k];
        CHECK_INT(safetensors_append(w, x, bytes, err), SNUG_OK);
        free(x);
    }
}

/* The last layer, before the sigmoid, times `by`, a power of two. */
static inline void birefnet_file_sharpen(BirefnetFile *t, float by)
{
    for (int32_t i = 0; i < t->n; i++)
        if (strncmp(t->name[i], "decoder.conv_out1.0.", 20) == 0) {
            t->mean[i] *= by;
            t->width[i] *= by;
        }
}

/* A folder with the weights; with `prefix` before every name; `cut` > 0: without the last ones; with
 * edges `sharp` times as steep. */
static inline const char *birefnet_file_make(const char *prefix, int cut, float sharp)
{
    static BirefnetFile t;
    static char folder[500];
    char path[600], with[BIREFNET_FILE_NAME];
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    SafetensorsWriter *w = NULL;
    birefnet_file_read_list(&t);
    t.n -= cut;
    birefnet_file_sharpen(&t, sharp);
    for (int32_t i = 0; i < t.n && *prefix; i++) {
        (void)snprintf(with, sizeof with, "%.8s%.118s", prefix, t.name[i]);
        memcpy(t.name[i], with, sizeof with);
    }
    (void)snprintf(folder, sizeof folder, "%s/birefnet%.8s%d_%.0f", test_scratch(), prefix, cut,
                   (double)sharp);
    (void)mkdir(folder, 0700);
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs("{}", f) >= 0 && fclose(f) == 0);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (safetensors_create(&w, heap, path, t.item, t.n, NULL, 0, &err)) fail_msg("%s", err.text);
    birefnet_file_write_values(w, &t, &err);
    CHECK_INT(safetensors_commit(w, &err), SNUG_OK);
    safetensors_close(w);
    heap_free(heap);
    return folder;
}

static inline const char *birefnet_file_write(const char *prefix, int cut)
{
    return birefnet_file_make(prefix, cut, 1.0f);
}

#endif
