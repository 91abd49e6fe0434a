/* wan_vae_coder.h  What the Wan VAE's encoder and decoder share: residual blocks, the middle, and
 * what they remember between frames and between bands of rows. */
#ifndef MODELS_WAN_VAE_CODER_H
#define MODELS_WAN_VAE_CODER_H

#include "models/wan_vae.h"
#include "nn/bands.h"

typedef struct VaeResState {
    BandConv conv1, conv2;
    BandKeep skip; /**< rows of the input that the result lags behind */
} VaeResState;

/** Rows of the result that are ready when `in_end` rows of the block's input are there. */
int64_t wan_vae_coder_ready(int n_blocks, int64_t in_end, int64_t height);
/** Residual block on a band; the result may be empty. */
Band wan_vae_coder_res(Run *r, const VaeRes *b, VaeResState *s, Frames f, Band x);
/** Residual block, attention inside every frame, residual block; on whole frames. */
Band wan_vae_coder_mid(Run *r, const VaeCoder *c, VaeResState s[2], Frames f, Band x);
/** Rows of a band by the run's knob, a multiple of CONV_BAND. */
int64_t wan_vae_coder_rows(const Run *r);

#endif
