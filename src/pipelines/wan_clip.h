/* wan_clip.h  The pictures of a request as the CLIP network of Wan2.1 image to video sees them.
 *
 * Two ways to prepare a picture: as the image processor of a diffusers folder says (8 bits, shortest
 * edge to 224 px, middle cut out), or, without one, as the original does (the whole picture squeezed
 * to a square, bicubic on floats). Both end in values normalised per channel. */
#ifndef PIPELINES_WAN_CLIP_H
#define PIPELINES_WAN_CLIP_H

#include "media/resize.h"
#include "models/clip_vision.h"

/** How a picture is prepared. */
typedef struct WanClipLook {
    bool original; /**< squeezed, on floats; what follows up to `factor` does not matter then */
    bool resize, crop;
    int shortest_px;         /**< 0: to width x height */
    int width_px, height_px; /**< of the resized picture */
    int crop_width, crop_height;
    ResizeFilter filter;
    double factor; /**< values are bytes times factor */
    float mean[3], std[3];
} WanClipLook;

typedef struct WanClip {
    ClipVision net;
    WanClipLook look;
    const char *path;                 /**< of the weights, for messages */
    int n_pictures;                   /**< first frame, last frame */
    float *pixels[CLIP_MAX_PICTURES]; /**< each [seen_px, seen_px, 3] */
} WanClip;

/**
 * Bind the network.
 * @param config     CLIPVisionConfig; absent: known from the tensors of the original file
 * @param processor  preprocessor_config.json; absent: prepared as the original does
 */
SNUG_MUST_USE SnugStatus wan_clip_bind(WanClip *clip, WeightTable *table, const Checkpoint *weights,
                                       Json config, Json processor, SnugError *err);
/** Read and prepare one more picture; memory from `heap`, given back by wan_clip_release. */
SNUG_MUST_USE SnugStatus wan_clip_look_at(WanClip *clip, Heap *heap, const char *path,
                                          SnugError *err);
void wan_clip_release(WanClip *clip, Heap *heap);

/** Rows of all pictures, one after the other: [n_pictures * tokens, dim]. */
Tensor wan_clip_encode(Run *r, WanClip *clip);

#endif
