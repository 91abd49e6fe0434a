/* controlnet.h  ControlNet of SDXL: a picture's edges, depth or pose in, what the UNet adds out.
 *
 * Reference: diffusers ControlNetModel (0.42); golden: tools/oracle, tests/golden/controlnet. It needs
 * no weight of the UNet, so it can run before it in each step. What it sees of the picture does not
 * change with the steps and is embedded once. */
#ifndef MODELS_CONTROLNET_H
#define MODELS_CONTROLNET_H

#include "models/unet.h"

enum { CONTROLNET_MAX_LEVELS = 8 };

typedef struct ControlnetConfig {
    UnetConfig unet;
    int64_t picture_channels;
    int64_t channels[CONTROLNET_MAX_LEVELS]; /**< of the picture's way to the latent's size */
    int levels;
    bool reversed; /**< trained on blue, green, red */
} ControlnetConfig;

typedef struct Controlnet {
    ControlnetConfig cfg;
    UnetTrunk trunk;
    Conv hint_in, hint[2 * CONTROLNET_MAX_LEVELS], hint_out;
    Conv skip[UNET_MAX_SKIPS], mid;
    int n_skips;
} Controlnet;

SNUG_MUST_USE SnugStatus controlnet_config_read(ControlnetConfig *cfg, Json config, SnugError *err);
void controlnet_weights(Controlnet *m, Weights *w);
/** Pixels per latent pixel and side. */
int controlnet_factor(const ControlnetConfig *cfg);

/** The picture [1, H, W, channels] in 0..1 -> [1, h, w, C], for all steps and branches. */
Tensor controlnet_hint(Run *r, const Controlnet *m, Tensor picture);

/**
 * One forward pass for each branch, block by block together.
 * @param step      row of the schedule that the contexts embed (unet_context of m->trunk)
 * @param input     [1, h, w, in_channels], one for all branches or one each (n_inputs 1 or n)
 * @param hint      of controlnet_hint
 * @param scale     of what is added
 * @param out       out[i]: for sdxl_unet_forward; `add` to what it holds, for several ControlNets
 */
void controlnet_forward(Run *r, const Controlnet *m, int step, int n_inputs, const Tensor *input,
                        Tensor hint, float scale, int n, const UnetContext *const *contexts,
                        bool add, UnetControl *out);

#endif
