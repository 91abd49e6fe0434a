/* flux_dit.h  FLUX.1 transformer: packed noisy latent in, flow velocity out.
 *
 * Reference: diffusers FluxTransformer2DModel (0.42); golden: tools/oracle, tests/golden/flux_dit.
 * dev, schnell (no guidance embedding), Fill (more input channels) are configurations of one network. */
#ifndef MODELS_FLUX_DIT_H
#define MODELS_FLUX_DIT_H

#include "base/json.h"
#include "nn/layers.h"

enum { FLUX_MAX_DOUBLE = 64, FLUX_MAX_SINGLE = 128, FLUX_MAX_BRANCHES = 32, FLUX_MAX_STEPS = 1000 };

typedef struct FluxDitConfig {
    int64_t head_dim, in_channels, out_channels, text_dim, pooled_dim;
    RopeAxes axes; /**< pairs by index, row and column */
    int heads, n_double, n_single;
    bool guidance;    /**< the guidance scale is embedded beside the timestep */
    bool shift_first; /**< the head's vectors are shift, scale: the original's files */
} FluxDitConfig;

/** One of the two streams of a double block. */
typedef struct FluxStream {
    Linear q, k, v, o, up, down, mod;
    const Weight *norm_q, *norm_k;
} FluxStream;

typedef struct FluxDouble {
    FluxStream image, text;
} FluxDouble;

typedef struct FluxSingle {
    Linear q, k, v, up, out, mod;
    const Weight *norm_q, *norm_k;
} FluxSingle;

typedef struct FluxDit {
    FluxDitConfig cfg;
    Linear image_in, text_in, out, mod_out;
    Linear time1, time2, guidance1, guidance2, pooled1, pooled2;
    FluxDouble dbl[FLUX_MAX_DOUBLE];
    FluxSingle single[FLUX_MAX_SINGLE];
} FluxDit;

SNUG_MUST_USE SnugStatus flux_dit_config_read(FluxDitConfig *cfg, Json config, SnugError *err);
void flux_dit_weights(FluxDit *m, Weights *w);

/** Shift, scale and gate vectors of all blocks; rows are timesteps. They depend on the schedule, the
 *  guidance scale and the pooled prompt alone. */
typedef struct FluxModulation {
    Tensor image[FLUX_MAX_DOUBLE], text[FLUX_MAX_DOUBLE]; /**< [steps, 6, D] */
    Tensor single[FLUX_MAX_SINGLE];                       /**< [steps, 3, D] */
    Tensor out;                                           /**< [steps, 2, D] */
} FluxModulation;

/** What a prompt means to the transformer. */
typedef struct FluxContext {
    Tensor text; /**< [T, D] projected rows */
    Tensor time; /**< [steps, D] SiLU of the time vectors */
    FluxModulation mod;
    bool has_mod; /**< mod is computed for all steps */
} FluxContext;

/**
 * Project a prompt and embed the schedule. With knobs.cache_cross the modulation of every step is
 * computed here, block by block: the weights it takes, a quarter of the model, are then read once and
 * not needed while denoising. Else each step computes its own; the bits are the same.
 * @param text      [T, text_dim] rows of T5
 * @param pooled    [1, pooled_dim] of CLIP
 * @param t         [n] timesteps in 0..1000, valid during the call
 * @param guidance  the scale; ignored by networks without its embedding
 */
void flux_dit_context(Run *r, const FluxDit *m, Tensor text, Tensor pooled, const double *t, int n,
                      double guidance, FluxContext *out);

/**
 * One forward pass for each branch (pictures, prompts), block by block together.
 * @param step   row of the schedule
 * @param grid   tokens of the picture: { 1, rows, columns }
 * @param input  input[i]: [rows * columns, in_channels]
 * @param out    out[i]: [rows * columns, out_channels]
 */
void flux_dit_forward(Run *r, const FluxDit *m, int step, TokenGrid grid, int n_branches,
                      const Tensor *input, const FluxContext *const *contexts, Tensor *out);

#endif
