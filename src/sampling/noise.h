/* noise.h  Seeded noise as an input of a Run: torch draws [C, ...] in memory order, whatever the
 * order of our tensors is. */
#ifndef SAMPLING_NOISE_H
#define SAMPLING_NOISE_H

#include "base/philox.h"
#include "base/random.h"

/** Context of noise_fill: one draw of torch.randn. */
typedef struct Noise {
    Random *random;   /**< advanced by every fill */
    int64_t channels; /**< C; our tensor is [..., C]. 0 or 1: same order as drawn */
    Philox *card;     /**< drawn as on a CUDA card instead; goes on by one draw. NULL: `random` */
} Noise;

/** An InputFill. count is a multiple of the channels; no second copy of the noise is made. */
void noise_fill(void *noise, float *to, int64_t count);

#endif
