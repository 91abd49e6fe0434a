/* flux_names.c  The tables. Trap: the VAE counts its decoder's levels from the picture, we from the
 * latent. */
#include "models/flux_names.h"

#include "base/size.h"

/* clang-format off */
static const NameRow TRANSFORMER[] = {
    { "x_embedder",                                   "img_in" },
    { "context_embedder",                             "txt_in" },
    { "time_text_embed.timestep_embedder.linear_1",   "time_in.in_layer" },
    { "time_text_embed.timestep_embedder.linear_2",   "time_in.out_layer" },
    { "time_text_embed.guidance_embedder.linear_1",   "guidance_in.in_layer" },
    { "time_text_embed.guidance_embedder.linear_2",   "guidance_in.out_layer" },
    { "time_text_embed.text_embedder.linear_1",       "vector_in.in_layer" },
    { "time_text_embed.text_embedder.linear_2",       "vector_in.out_layer" },
    { "transformer_blocks.#.norm1.linear",            "double_blocks.#.img_mod.lin" },
    { "transformer_blocks.#.norm1_context.linear",    "double_blocks.#.txt_mod.lin" },
    { "transformer_blocks.#.attn.to_q",               "double_blocks.#.img_attn.qkv@0/3" },
    { "transformer_blocks.#.attn.to_k",               "double_blocks.#.img_attn.qkv@1/3" },
    { "transformer_blocks.#.attn.to_v",               "double_blocks.#.img_attn.qkv@2/3" },
    { "transformer_blocks.#.attn.add_q_proj",         "double_blocks.#.txt_attn.qkv@0/3" },
    { "transformer_blocks.#.attn.add_k_proj",         "double_blocks.#.txt_attn.qkv@1/3" },
    { "transformer_blocks.#.attn.add_v_proj",         "double_blocks.#.txt_attn.qkv@2/3" },
    { "transformer_blocks.#.attn.norm_q.weight",      "double_blocks.#.img_attn.norm.query_norm.scale" },
    { "transformer_blocks.#.attn.norm_k.weight",      "double_blocks.#.img_attn.norm.key_norm.scale" },
    { "transformer_blocks.#.attn.norm_added_q.weight", "double_blocks.#.txt_attn.norm.query_norm.scale" },
    { "transformer_blocks.#.attn.norm_added_k.weight", "double_blocks.#.txt_attn.norm.key_norm.scale" },
    { "transformer_blocks.#.attn.to_out.0",           "double_blocks.#.img_attn.proj" },
    { "transformer_blocks.#.attn.to_add_out",         "double_blocks.#.txt_attn.proj" },
    { "transformer_blocks.#.ff.net.0.proj",           "double_blocks.#.img_mlp.0" },
    { "transformer_blocks.#.ff.net.2",                "double_blocks.#.img_mlp.2" },
    { "transformer_blocks.#.ff_context.net.0.proj",   "double_blocks.#.txt_mlp.0" },
    { "transformer_blocks.#.ff_context.net.2",        "double_blocks.#.txt_mlp.2" },
    { "single_transformer_blocks.#.norm.linear",      "single_blocks.#.modulation.lin" },
    { "single_transformer_blocks.#.attn.to_q",        "single_blocks.#.linear1@0/7" },
    { "single_transformer_blocks.#.attn.to_k",        "single_blocks.#.linear1@1/7" },
    { "single_transformer_blocks.#.attn.to_v",        "single_blocks.#.linear1@2/7" },
    { "single_transformer_blocks.#.proj_mlp",         "single_blocks.#.linear1@3+4/7" },
    { "single_transformer_blocks.#.attn.norm_q.weight", "single_blocks.#.norm.query_norm.scale" },
    { "single_transformer_blocks.#.attn.norm_k.weight", "single_blocks.#.norm.key_norm.scale" },
    { "single_transformer_blocks.#.proj_out",         "single_blocks.#.linear2" },
    { "norm_out.linear",                              "final_layer.adaLN_modulation.1" },
    { "proj_out",                                     "final_layer.linear" },
};

static const NameRow VAE[] = {
    { "decoder.up_blocks.0.resnets",            "decoder.up.3.block" },
    { "decoder.up_blocks.1.resnets",            "decoder.up.2.block" },
    { "decoder.up_blocks.2.resnets",            "decoder.up.1.block" },
    { "decoder.up_blocks.3.resnets",            "decoder.up.0.block" },
    { "decoder.up_blocks.0.upsamplers.0.conv",  "decoder.up.3.upsample.conv" },
    { "decoder.up_blocks.1.upsamplers.0.conv",  "decoder.up.2.upsample.conv" },
    { "decoder.up_blocks.2.upsamplers.0.conv",  "decoder.up.1.upsample.conv" },
    { "encoder.down_blocks.#.resnets",          "encoder.down.#.block" },
    { "encoder.down_blocks.#.downsamplers.0.conv", "encoder.down.#.downsample.conv" },
    { "decoder.mid_block.resnets.0",            "decoder.mid.block_1" },
    { "decoder.mid_block.resnets.1",            "decoder.mid.block_2" },
    { "encoder.mid_block.resnets.0",            "encoder.mid.block_1" },
    { "encoder.mid_block.resnets.1",            "encoder.mid.block_2" },
    { "decoder.mid_block.attentions.0.group_norm", "decoder.mid.attn_1.norm" },
    { "decoder.mid_block.attentions.0.to_q",    "decoder.mid.attn_1.q" },
    { "decoder.mid_block.attentions.0.to_k",    "decoder.mid.attn_1.k" },
    { "decoder.mid_block.attentions.0.to_v",    "decoder.mid.attn_1.v" },
    { "decoder.mid_block.attentions.0.to_out.0", "decoder.mid.attn_1.proj_out" },
    { "encoder.mid_block.attentions.0.group_norm", "encoder.mid.attn_1.norm" },
    { "encoder.mid_block.attentions.0.to_q",    "encoder.mid.attn_1.q" },
    { "encoder.mid_block.attentions.0.to_k",    "encoder.mid.attn_1.k" },
    { "encoder.mid_block.attentions.0.to_v",    "encoder.mid.attn_1.v" },
    { "encoder.mid_block.attentions.0.to_out.0", "encoder.mid.attn_1.proj_out" },
    { "decoder.conv_norm_out",                  "decoder.norm_out" },
    { "encoder.conv_norm_out",                  "encoder.norm_out" },
    { "decoder.conv_in",                        "decoder.conv_in" },
    { "decoder.conv_out",                       "decoder.conv_out" },
    { "encoder.conv_in",                        "encoder.conv_in" },
    { "encoder.conv_out",                       "encoder.conv_out" },
    { "quant_conv",                             "quant_conv" },
    { "post_quant_conv",                        "post_quant_conv" },
};

/* Behind the number of a residual block: "1.conv_shortcut". */
static const NameRow VAE_TAILS[] = {
    { "#.conv_shortcut", "#.nin_shortcut" },
    { "conv_shortcut",   "nin_shortcut" },
};
/* clang-format on */

const NameMap FLUX_NAMES_ORIGINAL = { .convention = "original FLUX names",
                                      .rows = TRANSFORMER,
                                      .n_rows = (int)COUNT(TRANSFORMER) };
const NameMap FLUX_NAMES_VAE = { .convention = "original VAE names",
                                 .rows = VAE,
                                 .n_rows = (int)COUNT(VAE),
                                 .tails = VAE_TAILS,
                                 .n_tails = (int)COUNT(VAE_TAILS) };
