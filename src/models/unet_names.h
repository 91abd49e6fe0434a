/* unet_names.h  How single files of the original repositories spell the weights of UNets and
 * ControlNets.
 *
 * | diffusers ("ours")          | original                                |
 * |-----------------------------|-----------------------------------------|
 * | down_blocks.1.resnets.0     | input_blocks.4.0, its parts in_layers.0 |
 * | down_blocks.1.attentions.0  | input_blocks.4.1                        |
 * | mid_block.resnets.1         | middle_block.2                          |
 * | up_blocks.0.upsamplers.0    | output_blocks.2.2                       |
 *
 * The original numbers its blocks flat, so the table depends on the configuration.
 * Golden: tests/golden/sdxl_unet/original. */
#ifndef MODELS_UNET_NAMES_H
#define MODELS_UNET_NAMES_H

#include "base/arena.h"
#include "models/unet.h"
#include "nn/name_map.h"

/** What begins the names in files that hold other networks, too. */
#define UNET_ORIGINAL_PREFIX   "model.diffusion_model."
#define UNET_CONTROLNET_PREFIX "control_model."

/** The table for this configuration, ControlNet's own parts included, without a prefix; false
 *  without memory. */
bool unet_names_original(NameMap *out, Arena *arena, const UnetConfig *cfg);

#endif
