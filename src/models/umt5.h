/* umt5.h  umT5 and T5 text encoders: tokens in, one vector per token out.
 *
 * Reference: transformers UMT5EncoderModel (5.23); golden: tools/oracle, tests/golden/umt5.
 * Paper: arXiv:2010.11934 (mT5). umT5 has a relative bias of its own in every layer; T5 one in the
 * first layer that all share. */
#ifndef MODELS_UMT5_H
#define MODELS_UMT5_H

#include "base/json.h"
#include "nn/layers.h"

enum { UMT5_MAX_LAYERS = 64 };

typedef struct Umt5Config {
    int64_t vocab, dim, head_dim, ffn_dim;
    int layers, heads, buckets, max_distance;
    float eps;
    bool shared_bias; /* T5: only layer 0 has a bias table */
    bool gated;       /* feed_forward_proj "gated-...": two input projections */
    Activation activation;
} Umt5Config;

typedef struct Umt5Layer {
    const Weight *norm1, *norm2, *bias_table;
    Linear q, k, v, o, gate, up, down;
} Umt5Layer;

typedef struct Umt5 {
    Umt5Config cfg;
    const Weight *embedding, *final_norm;
    Umt5Layer layer[UMT5_MAX_LAYERS];
} Umt5;

/** config.json of the text encoder; every number is range-checked. */
SNUG_MUST_USE SnugStatus umt5_config_read(Umt5Config *cfg, Json config, SnugError *err);
/** Bind the weights; problems are reported by weights_end. */
void umt5_weights(Umt5 *m, Weights *w);
/**
 * Encode prompts together, layer by layer: weights are read once for all of them.
 * @param ids       ids[i]: n[i] token ids incl. eos, no padding (padding never changes them);
 *                  must outlive the run
 * @param out       out[i]: [n[i], dim]
 */
void umt5_encode(Run *r, const Umt5 *m, int n_prompts, const int32_t *const *ids, const int64_t *n,
                 Tensor *out);

enum { UMT5_MAX_PROMPTS = 8 };

#endif
