/* cutout_net.c  A BiRefNet from a folder or file, and the numbers that go in and come out. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/file.h"
#include "pipelines/cutout.h"
#include "pipelines/identity.h"

static SnugStatus open_files(CutoutNet *n, PipelineContext *context, const char *path,
                             const Checkpoint **weights, SnugError *err)
{
    static const ComponentHints HINTS = { .library = "transformers", .class_name = "BiRefNet" };
    if (file_type(path) == FILE_ABSENT)
        return error_set(err, SNUG_ERR_FILE, "%s: there is no such file or folder", path);
    if (file_type(path) != FILE_DIRECTORY) {
        TRY(checkpoint_open(&n->file, context->heap, path, NULL, err));
        *weights = n->file;
        return SNUG_OK;
    }
    TRY(component_open(&n->folder, context->heap, path, &HINTS, err));
    *weights = n->folder->weights;
    if (*weights) return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE, "%s: no weights in this folder", path);
}

SnugStatus cutout_net_open(CutoutNet *n, PipelineContext *context, const char *path,
                           BirefnetPatches patches, SnugError *err)
{
    const Checkpoint *weights = NULL;
    char backbone[64];
    Weights w;
    *n = (CutoutNet){ .net.patches = patches };
    TRY(open_files(n, context, path, &weights, err));
    const char *prefix = birefnet_prefix(weights);
    if (!prefix) {
        Identity found;
        identity_find(&found, weights);
        return error_set(err, SNUG_ERR_FILE,
                         "%s: no BiRefNet with deformable branches in its decoder: it is %s", path,
                         found.words);
    }
    (void)snprintf(backbone, sizeof backbone, "%sbb.", prefix);
    TRY(swin_config_detect(&n->net.backbone.cfg, weights, backbone, err));
    n->names = (NameMap){ .convention = "names behind a trainer's prefix", .prefix = prefix };
    weights_begin(&w, context->weights, weights, "birefnet");
    if (*prefix) weights_names(&w, &n->names);
    birefnet_weights(&n->net, &w);
    return weights_end(&w, err);
}

void cutout_net_close(CutoutNet *n)
{
    component_close(n->folder);
    checkpoint_close(n->file);
    n->folder = NULL;
    n->file = NULL;
}

void cutout_values(float *values, const Image *picture)
{
    static const float MEAN[3] = { 0.485f, 0.456f, 0.406f }, SPREAD[3] = { 0.229f, 0.224f, 0.225f };
    const size_t n = image_bytes(picture->width, picture->height, 3);
    for (size_t i = 0; i < n; i++)
        values[i] = ((float)picture->pixels[i] / 255.0f - MEAN[i % 3]) / SPREAD[i % 3];
}

SnugStatus cutout_soft_map(Image *out, Heap *heap, const float *map, int width, int height,
                           SnugError *err)
{
    const size_t n = (size_t)width * (size_t)height;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(map[i])) {
            *out = (Image){ 0 };
            return error_set(err, SNUG_ERR_NUMERIC,
                             "the cut-out holds NaN: the weights may be damaged");
        }
    TRY(image_init(out, heap, width, height, 1, err));
    image_bytes_from_unit(out->pixels, map, n);
    return SNUG_OK;
}
