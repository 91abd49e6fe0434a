/* clip_text.h  CLIP text encoders: token ids in, one row per token and one for the whole prompt out.
 *
 * Reference: transformers CLIPTextModel and CLIPTextModelWithProjection (5.23); golden:
 * tests/golden/clip_text. CLIP-L (FLUX, SDXL) and OpenCLIP's bigG (SDXL) are two configurations. */
#ifndef MODELS_CLIP_TEXT_H
#define MODELS_CLIP_TEXT_H

#include "base/json.h"
#include "nn/layers.h"

enum { CLIP_TEXT_MAX_LAYERS = 128, CLIP_TEXT_MAX_PROMPTS = 8 };

typedef struct ClipTextConfig {
    int64_t vocab, dim, ffn_dim, positions;
    int64_t projection_dim; /**< of CLIPTextModelWithProjection; 0: none */
    int64_t eos;            /**< as the file says it: 2 means "the greatest id" */
    bool turned;            /**< the projection is stored [dim, projection_dim], as OpenCLIP does */
    int heads, layers;
    Activation activation;
    float eps;
} ClipTextConfig;

typedef struct ClipTextLayer {
    NormWeights norm1, norm2;
    Linear q, k, v, o, up, down;
} ClipTextLayer;

typedef struct ClipText {
    ClipTextConfig cfg;
    const Weight *embedding, *positions;
    NormWeights final_norm;
    Linear projection;
    const Weight *turned; /**< the same, as OpenCLIP stores it */
    ClipTextLayer layer[CLIP_TEXT_MAX_LAYERS];
} ClipText;

/** config.json of the text encoder. `projected`: it is a CLIPTextModelWithProjection. */
SNUG_MUST_USE SnugStatus clip_text_config_read(ClipTextConfig *cfg, Json config, bool projected,
                                               SnugError *err);
/** Bind the weights, with or without "text_model." in front of their names. */
void clip_text_weights(ClipText *m, Weights *w);

/** Which row stands for the whole prompt: the first end token, as the reference looks for it. */
int64_t clip_text_pooled_row(const ClipTextConfig *cfg, const int32_t *ids, int64_t n);

/** What is asked of one prompt. */
typedef struct ClipTextPrompt {
    const int32_t *ids; /**< [n]; must outlive the run */
    int64_t n;          /**< 1..positions: padding included where its rows are looked at */
    Tensor penultimate; /**< out: [n, dim] output of the last layer but one, not normalised */
    Tensor last;        /**< out: [n, dim] output of the last layer, not normalised */
    Tensor pooled;      /**< out: [1, dim], the final norm of the pooled row; [1, projection_dim] */
} ClipTextPrompt;

/** Encode prompts together, layer by layer: weights are read once for all of them. */
void clip_text_encode(Run *r, const ClipText *m, int n_prompts, ClipTextPrompt *prompts);

#endif
