/* unet.h  What the UNet of SDXL and its ControlNet have in common: the way down to the middle,
 * made of residual blocks and transformers that look at the prompt.
 *
 * Reference: diffusers UNet2DConditionModel and ControlNetModel (0.42). Pictures are [1, H, W, C].
 * Several branches (prompt, negative prompt) advance block by block together, so that each weight
 * is read once for all of them. */
#ifndef MODELS_UNET_H
#define MODELS_UNET_H

#include "base/json.h"
#include "nn/picture.h"

enum {
    UNET_MAX_LEVELS = 4,
    UNET_MAX_LAYERS = 4,
    UNET_MAX_DEPTH = 16,
    UNET_MAX_CROSS = 512, /**< transformer blocks in all */
    UNET_MAX_BRANCHES = 8,
    UNET_MAX_SKIPS = 1 + UNET_MAX_LEVELS * (UNET_MAX_LAYERS + 1),
    UNET_TIME_IDS = 6
};

typedef struct UnetConfig {
    int64_t in_channels, out_channels;
    int64_t channels[UNET_MAX_LEVELS]; /**< from the picture inwards */
    int64_t groups;                    /**< of every group norm */
    int64_t cross_dim;                 /**< of a prompt's rows */
    int64_t add_dim;    /**< sinusoids of each time id; 0: no time ids, no pooled row */
    int64_t pooled_dim; /**< of the pooled prompt */
    int64_t sample;     /**< the latent's usual side */
    int heads[UNET_MAX_LEVELS], depth[UNET_MAX_LEVELS]; /**< of the transformers; depth 0: none */
    int levels, layers;
    float eps;
} UnetConfig;

/** Residual block. */
typedef struct UnetRes {
    NormWeights norm1, norm2;
    Conv conv1, conv2, shortcut;
    Linear time;
    bool has_shortcut;
} UnetRes;

typedef struct UnetAttention {
    Linear q, k, v, o;
} UnetAttention;

/** Transformer block: looks at the picture, then at the prompt, then feeds forward. */
typedef struct UnetBlock {
    NormWeights norm[3];
    UnetAttention self, cross;
    Linear up, down; /**< up: values, then gates */
} UnetBlock;

typedef struct UnetTransformer {
    NormWeights norm;
    Linear in, out;
    UnetBlock block[UNET_MAX_DEPTH];
    int depth, heads;
    int first; /**< number of block[0] among all that look at the prompt */
} UnetTransformer;

typedef struct UnetLevel {
    UnetRes res[UNET_MAX_LAYERS + 1];
    UnetTransformer transformer[UNET_MAX_LAYERS + 1];
    Conv resample;
    int n_res, depth; /**< depth 0: no transformers */
    bool resamples;
} UnetLevel;

/** Embeddings, the way down, the middle. */
typedef struct UnetTrunk {
    UnetConfig cfg;
    Conv in;
    Linear time1, time2, add1, add2;
    UnetLevel down[UNET_MAX_LEVELS];
    UnetRes mid[2];
    UnetTransformer mid_transformer;
    int n_cross;                            /**< transformer blocks bound so far */
    const UnetBlock *cross[UNET_MAX_CROSS]; /**< all of them, in order of use */
} UnetTrunk;

/** config.json; every number is range-checked, what cannot be run is refused by name. */
SNUG_MUST_USE SnugStatus unet_config_read(UnetConfig *cfg, Json config, SnugError *err);

/** Bind what trunks share, and single parts for what a UNet has beside it. */
void unet_trunk_weights(UnetTrunk *t, Weights *w);
void unet_res_weights(const UnetTrunk *t, UnetRes *b, Weights *w, const char *name, int64_t in,
                      int64_t out);
void unet_transformer_weights(UnetTrunk *t, UnetTransformer *a, Weights *w, const char *name,
                              int level);

/** What a prompt and the schedule mean to the network. Computed once, read at each step. */
typedef struct UnetContext {
    Tensor text; /**< [rows, cross_dim] */
    Tensor time; /**< [steps, 4 channels[0]]: SiLU of the embedded times, ids and pooled row */
    Tensor k[UNET_MAX_CROSS], v[UNET_MAX_CROSS]; /**< [rows, C] of each block, when cached */
    bool cached;
} UnetContext;

/**
 * Embed the schedule, and with knobs.cache_cross project the prompt for every block at once: the
 * weights that does are then not needed any more.
 * @param text      [rows, cross_dim]
 * @param pooled    [1, pooled_dim], or NO_TENSOR for networks without time ids
 * @param time_ids  height, width, top, left, target height, target width [px]; then, too
 * @param t         [n] timesteps; both arrays are valid during the call
 */
void unet_context(Run *r, const UnetTrunk *t, Tensor text, Tensor pooled,
                  const double time_ids[UNET_TIME_IDS], const double *steps, int n,
                  UnetContext *out);

/** One branch on its way through. */
typedef struct UnetBranch {
    Tensor h; /**< [1, H, W, C] */
    Tensor skip[UNET_MAX_SKIPS];
    int n_skips;
    Tensor time; /**< [1, 4 channels[0]] of this step */
    const UnetContext *context;
} UnetBranch;

/** What a ControlNet gives and a UNet adds: to each skip and to the middle. */
typedef struct UnetControl {
    Tensor skip[UNET_MAX_SKIPS], mid;
    int n_skips; /**< 0: nothing is added */
} UnetControl;

/** Each branch through one part; run_block is told. */
void unet_res(Run *r, const UnetTrunk *t, const UnetRes *b, int n, UnetBranch *branches);
void unet_transformer(Run *r, const UnetTrunk *t, const UnetTransformer *a, int n,
                      UnetBranch *branches);
/** h through all levels and the middle, skips on the way. h: after the first convolution. */
void unet_trunk(Run *r, const UnetTrunk *t, int n, UnetBranch *branches);
/** Branches at a step, with h empty. */
void unet_branches(Run *r, int step, int n, const UnetContext *const *contexts,
                   UnetBranch *branches);

#endif
