/* wan_names.h  How files spell the weights of the Wan networks, and by what to recognise them.
 *
 * | network     | diffusers / transformers ("ours") | original Wan | GGUF           |
 * |-------------|-----------------------------------|--------------|----------------|
 * | transformer | blocks.0.attn1.to_q               | blocks.0.self_attn.q | as original |
 * | text        | encoder.block.0.layer.0.SelfAttention.q | blocks.0.attn.q | enc.blk.0.attn_q |
 * | VAE         | decoder.up_blocks.0.resnets.0.norm1 | decoder.upsamples.0.residual.0 | -   |
 *
 * The original VAE numbers its blocks flat, so its table depends on the configuration. Repackaged
 * files put a prefix before every name. Camera tensors have one spelling only.
 * Source: diffusers loaders/single_file_utils.py (0.42), llama.cpp's T5 names; golden:
 * tests/golden/layouts. */
#ifndef MODELS_WAN_NAMES_H
#define MODELS_WAN_NAMES_H

#include "base/arena.h"
#include "nn/name_map.h"

typedef enum WanNetwork {
    WAN_NET_TRANSFORMER,
    WAN_NET_TEXT,
    WAN_NET_VAE,
    WAN_NET_IMAGE, /**< CLIP of Wan2.1; spells its names itself (models/clip_vision.h) */
    WAN_NETS
} WanNetwork;

/** A network under one convention. */
typedef struct WanSpelling {
    WanNetwork network;
    const char *marker; /**< the file holds a tensor of this name, perhaps behind a prefix */
    NameMap map;        /**< rows of the original VAE: only those that need no configuration */
} WanSpelling;

/** All spellings; the last has no marker. */
extern const WanSpelling WAN_NAMES_SPELLINGS[];

/** Complete the table of the original VAE; false without memory.
 *  @param residual  2.2: blocks are numbered by level and place, not flat */
bool wan_names_original_vae(NameMap *out, Arena *arena, int levels, int res_blocks, bool residual);

#endif
