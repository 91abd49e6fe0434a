/* clip_names.c  The table. */
#include "models/clip_names.h"

#include "base/size.h"

/* clang-format off */
static const NameRow OPEN[] = {
    { "text_model.embeddings.token_embedding.weight",    "token_embedding.weight" },
    { "text_model.embeddings.position_embedding.weight", "positional_embedding" },
    { "text_model.encoder.layers.#.layer_norm1",         "transformer.resblocks.#.ln_1" },
    { "text_model.encoder.layers.#.layer_norm2",         "transformer.resblocks.#.ln_2" },
    { "text_model.encoder.layers.#.self_attn.q_proj.weight", "transformer.resblocks.#.attn.in_proj_weight@0/3" },
    { "text_model.encoder.layers.#.self_attn.k_proj.weight", "transformer.resblocks.#.attn.in_proj_weight@1/3" },
    { "text_model.encoder.layers.#.self_attn.v_proj.weight", "transformer.resblocks.#.attn.in_proj_weight@2/3" },
    { "text_model.encoder.layers.#.self_attn.q_proj.bias", "transformer.resblocks.#.attn.in_proj_bias@0/3" },
    { "text_model.encoder.layers.#.self_attn.k_proj.bias", "transformer.resblocks.#.attn.in_proj_bias@1/3" },
    { "text_model.encoder.layers.#.self_attn.v_proj.bias", "transformer.resblocks.#.attn.in_proj_bias@2/3" },
    { "text_model.encoder.layers.#.self_attn.out_proj",  "transformer.resblocks.#.attn.out_proj" },
    { "text_model.encoder.layers.#.mlp.fc1",             "transformer.resblocks.#.mlp.c_fc" },
    { "text_model.encoder.layers.#.mlp.fc2",             "transformer.resblocks.#.mlp.c_proj" },
    { "text_model.final_layer_norm",                     "ln_final" },
    { "text_projection.weight",                          "text_projection" },
};
/* clang-format on */

const NameMap CLIP_NAMES_OPEN = { .convention = "OpenCLIP names",
                                  .rows = OPEN,
                                  .n_rows = (int)COUNT(OPEN) };
