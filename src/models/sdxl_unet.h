/* sdxl_unet.h  The UNet of SDXL: noisy latent in, predicted noise out.
 *
 * Reference: diffusers UNet2DConditionModel (0.42); golden: tools/oracle, tests/golden/sdxl_unet.
 * Latents are [1, H, W, C] of any size: odd sides are cut back on the way up as the reference does. */
#ifndef MODELS_SDXL_UNET_H
#define MODELS_SDXL_UNET_H

#include "models/unet.h"

typedef struct SdxlUnet {
    UnetTrunk trunk;
    UnetLevel up[UNET_MAX_LEVELS]; /**< in the order of running */
    NormWeights norm_out;
    Conv out;
} SdxlUnet;

/** Bind the weights; m->trunk.cfg is set (unet_config_read). */
void sdxl_unet_weights(SdxlUnet *m, Weights *w);

/**
 * One forward pass for each branch, block by block together.
 * @param step      row of the schedule that the contexts embed
 * @param input     [1, H, W, in_channels], one for all branches or one each (n_inputs 1 or n)
 * @param controls  one each, or NULL
 * @param out       out[i]: [1, H, W, out_channels]
 */
void sdxl_unet_forward(Run *r, const SdxlUnet *m, int step, int n_inputs, const Tensor *input,
                       int n, const UnetContext *const *contexts, const UnetControl *controls,
                       Tensor *out);

#endif
