/* clip_vision.h  CLIP vision transformer: a picture in, one row per patch (and one for all) out.
 *
 * Reference: transformers CLIPVisionModel (5.23), hidden_states[-2]; golden: tests/golden/clip_vision.
 * The Wan2.1 image-to-video networks look at a ViT-H/14 of it. The last block and the norm behind it
 * do not enter the result, so that they are neither bound nor read. */
#ifndef MODELS_CLIP_VISION_H
#define MODELS_CLIP_VISION_H

#include "base/json.h"
#include "nn/layers.h"

enum { CLIP_MAX_LAYERS = 128, CLIP_MAX_PICTURES = 2 };

typedef struct ClipVisionConfig {
    int64_t dim, ffn_dim;
    int heads, layers; /**< layers of the file; all but the last are run */
    int image_px, patch_px;
    bool quick_gelu; /**< x sigmoid(1.702 x) instead of the exact GELU */
    float eps;
} ClipVisionConfig;

typedef struct ClipVisionLayer {
    NormWeights norm1, norm2;
    Linear q, k, v, o, up, down;
    Linear qkv; /**< q, k and v in one matrix, as the original file has them; else unset */
} ClipVisionLayer;

typedef struct ClipVision {
    ClipVisionConfig cfg;
    Linear patch;
    const Weight *class_row, *positions;
    NormWeights pre_norm;
    ClipVisionLayer layer[CLIP_MAX_LAYERS];
} ClipVision;

/** From a CLIPVisionConfig, or from the vision part of a CLIPConfig. */
SNUG_MUST_USE SnugStatus clip_vision_config_read(ClipVisionConfig *cfg, Json config,
                                                 SnugError *err);
/** From the tensors alone: the original file of Wan2.1 ("visual.*", heads of 80) has no config. */
SNUG_MUST_USE SnugStatus clip_vision_config_guess(ClipVisionConfig *cfg,
                                                  const Checkpoint *checkpoint, SnugError *err);
/** Names of transformers, with or without "vision_model." in front, or the original ones. */
void clip_vision_weights(ClipVision *m, Weights *w);

/** Rows of the result: patches and the class row. */
int64_t clip_vision_tokens(const ClipVisionConfig *cfg);
/** Edge of the picture's upper left part that whole patches cover. */
int clip_vision_seen_px(const ClipVisionConfig *cfg);
/** n <= CLIP_MAX_PICTURES pictures, block by block together. `pixels`: each [1, seen_px, seen_px, 3],
 *  normalised -> [n * tokens, dim]. */
Tensor clip_vision_encode(Run *r, const ClipVision *m, int n, const Tensor *pixels);

#endif
