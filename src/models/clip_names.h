/* clip_names.h  How OpenCLIP spells a CLIP text encoder, as in single files of SDXL.
 *
 * Its q, k and v are one matrix, and its projection is stored the other way round (ClipTextConfig,
 * `turned`). */
#ifndef MODELS_CLIP_NAMES_H
#define MODELS_CLIP_NAMES_H

#include "nn/name_map.h"

/** A tensor by which such files are told. */
#define CLIP_NAMES_OPEN_MARKER "transformer.resblocks.0.ln_1.weight"

extern const NameMap CLIP_NAMES_OPEN;

#endif
