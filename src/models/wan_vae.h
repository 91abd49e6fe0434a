/* wan_vae.h  Wan video VAE 2.1 and 2.2: causal in time, so video passes through frame by frame.
 *
 * Reference: diffusers AutoencoderKLWan (0.42); golden: tools/oracle, tests/golden/wan_vae.
 * Only the convolutions' last two input frames are kept between frames (spec/wan.md 4.2). */
#ifndef MODELS_WAN_VAE_H
#define MODELS_WAN_VAE_H

#include "base/json.h"
#include "nn/layers.h"

enum { VAE_MAX_LEVELS = 6, VAE_MAX_RES = 6, VAE_MAX_Z = 256 };

typedef struct WanVaeConfig {
    int64_t encoder_dim, decoder_dim, z, in_channels, out_channels;
    int64_t mult[VAE_MAX_LEVELS];
    bool temporal[VAE_MAX_LEVELS]; /**< [levels - 1], encoder order */
    int levels, res_blocks, patch; /**< patch: pixels folded into channels, 1 or 2.. */
    bool residual;                 /**< 2.2: parameter-free shortcuts around every level */
    float mean[VAE_MAX_Z], std[VAE_MAX_Z];
    float decode_mul[VAE_MAX_Z], decode_add[VAE_MAX_Z]; /**< latent -> z */
    float encode_mul[VAE_MAX_Z], encode_add[VAE_MAX_Z]; /**< mu -> latent */
    int time_factor, space_factor;
} WanVaeConfig;

typedef struct VaeRes {
    const Weight *norm1, *norm2;
    Conv conv1, conv2, shortcut;
    bool has_shortcut;
} VaeRes;

typedef struct VaeAttention {
    const Weight *norm;
    Linear qkv, proj;
} VaeAttention;

typedef struct VaeLevel {
    int64_t in, out;
    VaeRes res[VAE_MAX_RES];
    int n_res;
    bool resamples, temporal;
    Conv conv, time;
} VaeLevel;

/** Encoder or decoder: levels in the order data passes them. */
typedef struct VaeCoder {
    Conv in, out;
    VaeRes mid[2];
    VaeAttention attention;
    VaeLevel level[VAE_MAX_LEVELS];
    const Weight *norm_out;
} VaeCoder;

typedef struct WanVae {
    WanVaeConfig cfg;
    VaeCoder encoder, decoder;
    Linear quant, post_quant;
} WanVae;

SNUG_MUST_USE SnugStatus wan_vae_config_read(WanVaeConfig *cfg, Json config, SnugError *err);
void wan_vae_weights(WanVae *m, Weights *w);

/** Receives decoded frame `index`: [1, H, W, 3] in -1..1. */
typedef void WanVaeFrame(void *context, Run *r, int64_t index, Tensor rgb);
/** Normalised latent [T, h, w, z] -> 4 (T - 1) + 1 frames (for two temporal levels), one by one. */
void wan_vae_decode(Run *r, const WanVae *m, Tensor latent, WanVaeFrame *frame, void *context);

/** Gives video frame `index` as [1, H, W, 3] in -1..1, or NO_TENSOR: equal to the one before. */
typedef Tensor WanVaeSource(void *context, Run *r, int64_t index);
/** n_frames (4n + 1) frames -> normalised latent mean [T, h, w, z]. Frames are asked for one by one,
 *  as they are needed; repeated ones are computed only as long as their results still change. */
Tensor wan_vae_encode(Run *r, const WanVae *m, int64_t n_frames, WanVaeSource *source,
                      void *context);

#endif
