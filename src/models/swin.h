/* swin.h  Swin transformer as a backbone: a picture in, features of four levels out.
 *
 * Reference: BiRefNet's swin_v1 (github.com/ZhengPeng7/BiRefNet), arXiv:2103.14030; golden:
 * tests/golden/birefnet. Its shape is told by its tensors; files carry no configuration. */
#ifndef MODELS_SWIN_H
#define MODELS_SWIN_H

#include "nn/picture.h"

enum { SWIN_STAGES = 4, SWIN_MAX_DEPTH = 64, SWIN_PATCH = 4, SWIN_MAX_PICTURES = 2 };

typedef struct SwinConfig {
    int64_t embed; /**< channels of the first stage; doubled by each further one */
    int heads[SWIN_STAGES], depth[SWIN_STAGES];
    int window;
} SwinConfig;

typedef struct SwinBlock {
    NormWeights norm1, norm2;
    const Weight *table; /**< [(2 window - 1)^2, heads] */
    Linear qkv, proj, up, down;
} SwinBlock;

typedef struct SwinStage {
    SwinBlock block[SWIN_MAX_DEPTH];
    NormWeights norm_out, merge_norm;
    Linear merge;
} SwinStage;

typedef struct Swin {
    SwinConfig cfg;
    Linear patch;
    NormWeights patch_norm;
    SwinStage stage[SWIN_STAGES];
} Swin;

/** Shape of the network whose names begin with `prefix` ("bb."). SNUG_ERR_FILE names what does not
 *  make a Swin transformer. */
SNUG_MUST_USE SnugStatus swin_config_detect(SwinConfig *cfg, const Checkpoint *weights,
                                            const char *prefix, SnugError *err);
/** Bind the weights below `name` ("bb"). */
void swin_weights(Swin *m, Weights *w, const char *name);
/** Channels of level i. */
static inline int64_t swin_channels(const SwinConfig *cfg, int i)
{
    return cfg->embed << i;
}

/**
 * Features of n <= SWIN_MAX_PICTURES pictures [1, H, W, 3], block by block together.
 * @param out  out[k][i]: [1, h, w, C of level i], sides of the picture / 4, 8, 16, 32, rounded up
 */
void swin_forward(Run *r, const Swin *m, int n, const Tensor *pictures, Tensor out[][SWIN_STAGES]);

#endif
