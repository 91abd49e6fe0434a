/* wan_tokenizer.h  The tokenizer of a model: files beside it, or inside the text encoder's file.
 *
 * Repackaged encoders bring it along: safetensors as a tensor of bytes "spiece_model", GGUF as arrays
 * of the metadata. Files of its own are preferred (tokenizer.json is what the references take). */
#ifndef PIPELINES_WAN_TOKENIZER_H
#define PIPELINES_WAN_TOKENIZER_H

#include "pipelines/wan_layout.h"
#include "text/tokenizer.h"

/** Does the text encoder's file hold one? */
bool wan_tokenizer_inside(const Checkpoint *text_encoder);
/** Open the one that the layout found. */
SNUG_MUST_USE SnugStatus wan_tokenizer_open(Tokenizer **out, Heap *heap, const WanLayout *layout,
                                            SnugError *err);

#endif
