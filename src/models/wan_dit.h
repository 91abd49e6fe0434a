/* wan_dit.h  Wan video transformer: noisy latent video in, flow velocity out.
 *
 * Reference: diffusers WanTransformer3DModel (0.42); golden: tools/oracle, tests/golden/wan_dit.
 * One network for Wan2.1 and 2.2, text or image to video, one or two timesteps per frame. */
#ifndef MODELS_WAN_DIT_H
#define MODELS_WAN_DIT_H

#include "base/json.h"
#include "nn/layers.h"

enum { WAN_MAX_LAYERS = 128, WAN_TEXT_ROWS = 512, WAN_MAX_BRANCHES = 2 };

typedef struct WanDitConfig {
    int64_t head_dim, in_channels, out_channels, text_dim, freq_dim, ffn_dim;
    int64_t image_dim;    /**< 0: no CLIP branch */
    int64_t image_tokens; /**< pos_embed_seq_len, 0: no position embedding */
    int heads, layers, pt, ph, pw;
    bool cross_norm;
    float eps;
} WanDitConfig;

typedef struct WanAttention {
    Linear q, k, v, o, image_k, image_v;
    const Weight *norm_q, *norm_k, *norm_image_k;
} WanAttention;

typedef struct WanBlock {
    const Weight *modulation; /* [1, 6, C] */
    const Weight *cross_norm_weight, *cross_norm_bias;
    WanAttention self, cross;
    Linear up, down;
} WanBlock;

typedef struct WanDit {
    WanDitConfig cfg;
    Linear patch, time1, time2, time_proj, text1, text2, image1, image2, head;
    const Weight *image_norm1[2], *image_norm2[2], *image_positions;
    const Weight *head_modulation; /* [1, 2, C] */
    WanBlock block[WAN_MAX_LAYERS];
} WanDit;

/** What a prompt means to one expert: projected text, and its keys and values where kept. */
typedef struct WanContext {
    Tensor text;     /**< [n + 1, C]: the real rows, then one padding row */
    Tensor key_bias; /**< [n + 1]: 0, and ln(512 - n) for the padding row */
    Tensor image;    /**< [tokens, C], or no tensor */
    bool has_image;
    bool cached; /**< k, v below are filled */
    Tensor k[WAN_MAX_LAYERS], v[WAN_MAX_LAYERS], image_k[WAN_MAX_LAYERS], image_v[WAN_MAX_LAYERS];
} WanContext;

SNUG_MUST_USE SnugStatus wan_dit_config_read(WanDitConfig *cfg, Json config, SnugError *err);
void wan_dit_weights(WanDit *m, Weights *w);

/** `text`: [n <= 512, text_dim] encoder rows; `image`: [tokens, image_dim] or NO_TENSOR. The
 *  context belongs to this expert alone: each has its own text projection. */
void wan_dit_context(Run *r, const WanDit *m, Tensor text, Tensor image, WanContext *out);

/** Timesteps of the tokens: all `t`, or the first `split_frames` frames at `t_first`. */
typedef struct WanTime {
    double t, t_first;
    int64_t split_frames; /**< 0: one timestep for all */
} WanTime;

/**
 * One forward pass for each of n_branches contexts on the same input, block by block together.
 * @param latent  [F, H, W, in_channels], sizes multiples of the patch
 * @param out     out[i]: [F, H, W, out_channels]
 */
void wan_dit_forward(Run *r, const WanDit *m, Tensor latent, WanTime time, int n_branches,
                     WanContext *const *contexts, Tensor *out);

#endif
