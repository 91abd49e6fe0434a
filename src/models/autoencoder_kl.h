/* autoencoder_kl.h  The image VAE of FLUX, SDXL and Stable Diffusion: pictures to latents and back.
 *
 * Reference: diffusers AutoencoderKL (0.42); golden: tools/oracle, tests/golden/autoencoder_kl.
 * Pictures and latents are [1, H, W, C]. All sums run in f32, whatever the weights' type, so that the
 * f16 weights of SDXL's VAE are safe. */
#ifndef MODELS_AUTOENCODER_KL_H
#define MODELS_AUTOENCODER_KL_H

#include "base/json.h"
#include "nn/picture.h"

enum { KL_MAX_LEVELS = 8, KL_MAX_RES = 9, KL_MAX_Z = 64 };

typedef struct KlConfig {
    int64_t z;                       /**< latent channels */
    int64_t channels[KL_MAX_LEVELS]; /**< from the picture inwards */
    int64_t groups;                  /**< of every norm */
    int levels, res;                 /**< res: blocks a level going in; one more going out */
    bool quant, post_quant;          /**< 1x1 convolutions around the latent */
    bool attention;                  /**< in the middle */
    float scale, shift;              /**< latent = (z - shift) * scale */
} KlConfig;

typedef struct KlRes {
    NormWeights norm1, norm2;
    Conv conv1, conv2, shortcut;
    bool has_shortcut;
} KlRes;

typedef struct KlAttention {
    NormWeights norm;
    Linear q, k, v, o;
} KlAttention;

typedef struct KlLevel {
    KlRes res[KL_MAX_RES];
    Conv resample;
    int n_res;
    bool resamples;
} KlLevel;

/** Encoder or decoder. Levels in the order of running. */
typedef struct KlCoder {
    Conv in, out;
    NormWeights norm_out;
    KlRes mid[2];
    KlAttention attention;
    KlLevel level[KL_MAX_LEVELS];
} KlCoder;

typedef struct AutoencoderKl {
    KlConfig cfg;
    KlCoder encoder, decoder;
    Conv quant, post_quant;
    float mul_in[KL_MAX_Z], add_in[KL_MAX_Z];   /* (z - shift) * scale */
    float mul_out[KL_MAX_Z], add_out[KL_MAX_Z]; /* z / scale + shift */
} AutoencoderKl;

/** config.json of the VAE; every number is range-checked. */
SNUG_MUST_USE SnugStatus autoencoder_kl_config_read(KlConfig *cfg, Json config, SnugError *err);
/** Bind the weights. `encodes`: the encoder is needed, too; else it is neither bound nor read. */
void autoencoder_kl_weights(AutoencoderKl *m, Weights *w, bool encodes);
/** Pixels per latent pixel and side: 8 for the published ones. */
int autoencoder_kl_factor(const KlConfig *cfg);

/** Picture in -1..1, sides multiples of the factor -> moments [1, h, w, 2 z]: mean and log variance,
 *  not normalised. */
Tensor autoencoder_kl_encode(Run *r, const AutoencoderKl *m, Tensor picture);
/** One draw of the distribution, normalised as the transformer sees it; `noise` [1, h, w, z]. */
Tensor autoencoder_kl_sample(Run *r, const AutoencoderKl *m, Tensor moments, Tensor noise);
/** The mean, normalised. */
Tensor autoencoder_kl_mean(Run *r, const AutoencoderKl *m, Tensor moments);
/** Normalised latent -> picture around -1..1, not clamped. */
Tensor autoencoder_kl_decode(Run *r, const AutoencoderKl *m, Tensor latent);

#endif
