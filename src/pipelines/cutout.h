/* cutout.h  BiRefNet behind `cutout`, and for pipelines that cut out on their way.
 *
 *     cutout_net_open(&net, context, path, patches, err)      weights bound, headers only
 *     cutout_values(values, picture)                          picture of the network's size -> input
 *     sigmoid of birefnet_forward                             in a recipe
 *     cutout_soft_map(&map, ...)                              -> grey picture, as torchvision rounds it */
#ifndef PIPELINES_CUTOUT_H
#define PIPELINES_CUTOUT_H

#include "formats/component.h"
#include "media/image.h"
#include "models/birefnet.h"
#include "pipelines/pipeline.h"

enum { CUTOUT_SIDE_PX = 1024 }; /**< what the published weights were trained on */

/** A BiRefNet and its files. */
typedef struct CutoutNet {
    Birefnet net;
    NameMap names;
    Component *folder; /**< one of the two */
    Checkpoint *file;
} CutoutNet;

/**
 * @param path  a folder with config.json and weights, or a weight file
 * @return SNUG_ERR_FILE: no BiRefNet, or one that lacks something. Close in any case.
 */
SNUG_MUST_USE SnugStatus cutout_net_open(CutoutNet *net, PipelineContext *context, const char *path,
                                         BirefnetPatches patches, SnugError *err);
void cutout_net_close(CutoutNet *net);

/** Bytes of an RGB picture to the network's input [height, width, 3]. */
void cutout_values(float *values, const Image *picture);
/** What stands in front, 0..1 -> grey picture, the fraction cut off. SNUG_ERR_NUMERIC: a NaN. */
SNUG_MUST_USE SnugStatus cutout_soft_map(Image *out, Heap *heap, const float *map, int width,
                                         int height, SnugError *err);

#endif
