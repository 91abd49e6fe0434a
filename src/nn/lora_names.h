/* lora_names.h  What a tensor of a LoRA file is, by its name: endings and beginnings in use.
 *
 * | written by             | a name                                                          |
 * |------------------------|-----------------------------------------------------------------|
 * | PEFT, diffusers        | transformer.blocks.0.attn1.to_q.lora_A.weight                   |
 * | older diffusers        | unet.mid_block....attn1.processor.to_q_lora.down.weight         |
 * | kohya and its kin      | lora_unet_blocks_0_self_attn_q.lora_down.weight, .alpha         |
 * | ComfyUI, original names | diffusion_model.blocks.0.self_attn.q.lora_A.weight, .diff, .diff_b |
 * | OneTrainer, LyCORIS    | lora_transformer_..., lycoris_...                               |
 * Source: formats.md 10.1. */
#ifndef NN_LORA_NAMES_H
#define NN_LORA_NAMES_H

#include "base/text.h"
#include "nn/lora.h"

/** A name taken apart; views of it. */
typedef struct LoraName {
    TextView module; /**< without beginning and ending */
    bool output;     /**< an older diffusers name that means the module's ".0" */
    LoraPart part;
    LoraNetwork network;
    unsigned experts;
    const char *component; /**< "transformer": in metadata; NULL: unknown */
    const char *refused;   /**< not NULL: a convention that is not applied, in words */
} LoraName;

/** False: no tensor of a LoRA. */
bool lora_names_read(LoraName *out, const char *name);
/** The module's name with '_' for '.', and without ".processor"; `to` has room for the name + 3. */
void lora_names_key(char *to, const LoraName *name);
/** The same for a layer's own name. */
void lora_names_key_of(char *to, size_t size, const char *name);

#endif
