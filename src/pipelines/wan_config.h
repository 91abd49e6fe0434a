/* wan_config.h  The configuration of a network that comes without one in diffusers' words.
 *
 * Whatever the file is, the result is a parsed JSON object as diffusers or transformers would have
 * written it, so that a network reads its configuration in one way. Sizes come from the shapes of
 * the tensors; an original config.json adds what shapes do not tell (heads, eps) and must agree
 * with them. Without it, heads are 128 wide, as in all published Wan networks. */
#ifndef PIPELINES_WAN_CONFIG_H
#define PIPELINES_WAN_CONFIG_H

#include "base/json.h"
#include "formats/checkpoint.h"
#include "models/wan_names.h"

/** Whose configuration a parsed config.json is, and in whose words. */
typedef enum WanConfigKind {
    WAN_CONFIG_FOREIGN,  /**< of some other network */
    WAN_CONFIG_OURS,     /**< diffusers or transformers */
    WAN_CONFIG_ORIGINAL, /**< the original Wan transformer's */
} WanConfigKind;
WanConfigKind wan_config_kind(Json config, WanNetwork network);

/** A network in a file. */
typedef struct WanTensors {
    const Checkpoint *weights;
    const NameMap *names; /**< ours to the file's; of the VAE: what holds for its encoder */
} WanTensors;

/** Dimensions of a VAE that decide how the original names its tensors. */
typedef struct WanVaeLevels {
    int levels, res_blocks;
    bool residual;
} WanVaeLevels;

/**
 * Derive a configuration.
 * @param original  WAN_CONFIG_ORIGINAL, or an absent view
 * @param out       to be closed by the caller; NULL after a failure
 * @return SNUG_ERR_FILE: a tensor that tells the sizes is missing or of impossible shape, or
 *         contradicts `original`
 */
SNUG_MUST_USE SnugStatus wan_config_transformer(JsonDoc **out, Heap *heap, WanTensors tensors,
                                                Json original, SnugError *err);
SNUG_MUST_USE SnugStatus wan_config_text(JsonDoc **out, Heap *heap, WanTensors tensors,
                                         SnugError *err);
SNUG_MUST_USE SnugStatus wan_config_vae(JsonDoc **out, Heap *heap, WanTensors tensors,
                                        WanVaeLevels *levels, SnugError *err);

#endif
