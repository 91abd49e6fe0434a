/* lora_bind.h  From a layer's name to what LoRA files change in it. */
#ifndef NN_LORA_BIND_H
#define NN_LORA_BIND_H

#include "nn/weights.h"

/** The chain of changes to prefix.name, in the order of the files; their weights join the unit in
 *  progress. kh, kw: kernel of a convolution, else 0. NULL: none. What does not fit is a problem of
 *  the builder. */
const LowRank *lora_bind_layer(Weights *w, const char *name, int64_t in, int64_t out, int kh,
                               int kw);
/** Changes to a small tensor itself: norms, biases, tables of modulation. */
void lora_bind_delta(Weights *w, BoundWeight *b, const char *name);

#endif
