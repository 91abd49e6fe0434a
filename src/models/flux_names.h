/* flux_names.h  How files spell the networks of FLUX.1 other than diffusers does.
 *
 * | network     | diffusers ("ours")                 | original, ComfyUI, GGUF               |
 * |-------------|------------------------------------|---------------------------------------|
 * | transformer | transformer_blocks.0.attn.to_q     | double_blocks.0.img_attn.qkv, rows 0/3 |
 * | VAE         | decoder.up_blocks.0.resnets.1.conv1 | decoder.up.3.block.1.conv1            |
 *
 * The original keeps q, k and v in one matrix, in single blocks the first matrix of the MLP behind
 * them; rows are addressed there, nothing is taken apart. Its head says shift, then scale.
 * Source: diffusers scripts/convert_flux_to_diffusers.py, loaders/single_file_utils.py (0.42). */
#ifndef MODELS_FLUX_NAMES_H
#define MODELS_FLUX_NAMES_H

#include "nn/name_map.h"

/** Tensors by which files are told. */
#define FLUX_NAMES_ORIGINAL_MARKER "double_blocks.0.img_attn.norm.key_norm.scale"
#define FLUX_NAMES_OURS_MARKER     "transformer_blocks.0.attn.add_q_proj.weight"
#define FLUX_NAMES_VAE_MARKER      "decoder.mid.block_1.conv1.weight"

/** The original transformer, without what stands before all names. */
extern const NameMap FLUX_NAMES_ORIGINAL;
/** The original VAE: four levels. */
extern const NameMap FLUX_NAMES_VAE;

#endif
