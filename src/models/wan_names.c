/* wan_names.c  The tables. Trap: norm2 and norm3 of a transformer block have swapped names. */
#include "models/wan_names.h"

#include <string.h>

#include "base/size.h"
#include "models/umt5_names.h"

/* clang-format off */
static const NameRow TRANSFORMER[] = {
    { "blocks.#.scale_shift_table",  "blocks.#.modulation" },
    { "blocks.#.attn1.to_q",         "blocks.#.self_attn.q" },
    { "blocks.#.attn1.to_k",         "blocks.#.self_attn.k" },
    { "blocks.#.attn1.to_v",         "blocks.#.self_attn.v" },
    { "blocks.#.attn1.to_out.0",     "blocks.#.self_attn.o" },
    { "blocks.#.attn1",              "blocks.#.self_attn" }, /* norm_q, norm_k */
    { "blocks.#.attn2.to_q",         "blocks.#.cross_attn.q" },
    { "blocks.#.attn2.to_k",         "blocks.#.cross_attn.k" },
    { "blocks.#.attn2.to_v",         "blocks.#.cross_attn.v" },
    { "blocks.#.attn2.to_out.0",     "blocks.#.cross_attn.o" },
    { "blocks.#.attn2.add_k_proj",   "blocks.#.cross_attn.k_img" },
    { "blocks.#.attn2.add_v_proj",   "blocks.#.cross_attn.v_img" },
    { "blocks.#.attn2.norm_added_k", "blocks.#.cross_attn.norm_k_img" },
    { "blocks.#.attn2",              "blocks.#.cross_attn" },
    { "blocks.#.norm2",              "blocks.#.norm3" },
    { "blocks.#.ffn.net.0.proj",     "blocks.#.ffn.0" },
    { "blocks.#.ffn.net.2",          "blocks.#.ffn.2" },
    { "blocks.#.cam_injector_layer1", "blocks.#.cam_injector_layer1" },
    { "blocks.#.cam_injector_layer2", "blocks.#.cam_injector_layer2" },
    { "blocks.#.cam_scale_layer",    "blocks.#.cam_scale_layer" },
    { "blocks.#.cam_shift_layer",    "blocks.#.cam_shift_layer" },
    { "condition_embedder.time_embedder.linear_1", "time_embedding.0" },
    { "condition_embedder.time_embedder.linear_2", "time_embedding.2" },
    { "condition_embedder.time_proj",              "time_projection.1" },
    { "condition_embedder.text_embedder.linear_1", "text_embedding.0" },
    { "condition_embedder.text_embedder.linear_2", "text_embedding.2" },
    { "condition_embedder.image_embedder.norm1",         "img_emb.proj.0" },
    { "condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1" },
    { "condition_embedder.image_embedder.ff.net.2",      "img_emb.proj.3" },
    { "condition_embedder.image_embedder.norm2",         "img_emb.proj.4" },
    { "condition_embedder.image_embedder.pos_embed",     "img_emb.emb_pos" },
    { "patch_embedding",             "patch_embedding" },
    { "proj_out",                    "head.head" },
    { "scale_shift_table",           "head.modulation" },
    { "patch_embedding_wancamctrl",  "patch_embedding_wancamctrl" },
    { "c2ws_hidden_states_layer1",   "c2ws_hidden_states_layer1" },
    { "c2ws_hidden_states_layer2",   "c2ws_hidden_states_layer2" },
    { "control_adapter",             "control_adapter" },
};

static const NameRow TEXT_ORIGINAL[] = {
    { "shared",                                  "token_embedding" },
    { "encoder.block.#.layer.0.SelfAttention.relative_attention_bias",
                                                 "blocks.#.pos_embedding.embedding" },
    { "encoder.block.#.layer.0.SelfAttention",   "blocks.#.attn" }, /* q, k, v, o */
    { "encoder.block.#.layer.0.layer_norm",      "blocks.#.norm1" },
    { "encoder.block.#.layer.1.layer_norm",      "blocks.#.norm2" },
    { "encoder.block.#.layer.1.DenseReluDense.wi_0", "blocks.#.ffn.gate.0" },
    { "encoder.block.#.layer.1.DenseReluDense.wi_1", "blocks.#.ffn.fc1" },
    { "encoder.block.#.layer.1.DenseReluDense.wo",   "blocks.#.ffn.fc2" },
    { "encoder.final_layer_norm",                "norm" },
};

/* Inside a residual block of the VAE. */
static const NameRow VAE_TAILS[] = {
    { "norm1",         "residual.0" },
    { "conv1",         "residual.2" },
    { "norm2",         "residual.3" },
    { "conv2",         "residual.6" },
    { "conv_shortcut", "shortcut" },
};

/* What holds for every VAE; the blocks of 2.2 come first: they are numbered twice. */
static const NameRow VAE_FIXED[] = {
    { "encoder.down_blocks.#.resnets.#", "encoder.downsamples.#.downsamples.#" },
    { "decoder.up_blocks.#.resnets.#",   "decoder.upsamples.#.upsamples.#" },
    { "encoder.down_blocks.#",           "encoder.downsamples.#" }, /* 2.1: flat on both sides */
    { "encoder.mid_block.resnets.0",     "encoder.middle.0" },
    { "encoder.mid_block.attentions.0",  "encoder.middle.1" },
    { "encoder.mid_block.resnets.1",     "encoder.middle.2" },
    { "decoder.mid_block.resnets.0",     "decoder.middle.0" },
    { "decoder.mid_block.attentions.0",  "decoder.middle.1" },
    { "decoder.mid_block.resnets.1",     "decoder.middle.2" },
    { "encoder.conv_in",                 "encoder.conv1" },
    { "decoder.conv_in",                 "decoder.conv1" },
    { "encoder.norm_out",                "encoder.head.0" },
    { "encoder.conv_out",                "encoder.head.2" },
    { "decoder.norm_out",                "decoder.head.0" },
    { "decoder.conv_out",                "decoder.head.2" },
    { "quant_conv",                      "conv1" },
    { "post_quant_conv",                 "conv2" },
};

#define ROWS(table) .rows = table, .n_rows = (int)COUNT(table)
static const char ORIGINAL[] = "original Wan names", OURS[] = "diffusers names",
                  TRANSFORMERS[] = "transformers names", GGUF[] = "llama.cpp names";

const WanSpelling WAN_NAMES_SPELLINGS[] = {
    { WAN_NET_TRANSFORMER, "head.modulation", { .convention = ORIGINAL, ROWS(TRANSFORMER) } },
    { WAN_NET_TRANSFORMER, "condition_embedder.time_embedder.linear_1.weight", { .convention = OURS } },
    { WAN_NET_TEXT, "encoder.block.0.layer.0.SelfAttention.q.weight", { .convention = TRANSFORMERS } },
    { WAN_NET_TEXT, UMT5_NAMES_GGUF_MARKER, { .convention = GGUF, ROWS(UMT5_NAMES_GGUF) } },
    { WAN_NET_TEXT, "blocks.0.attn.q.weight", { .convention = ORIGINAL, ROWS(TEXT_ORIGINAL) } },
    { WAN_NET_VAE, "decoder.middle.0.residual.0.gamma",
      { .convention = ORIGINAL, ROWS(VAE_FIXED), .tails = VAE_TAILS, .n_tails = (int)COUNT(VAE_TAILS) } },
    { WAN_NET_VAE, "decoder.mid_block.resnets.0.norm1.gamma", { .convention = OURS } },
    { WAN_NET_IMAGE, "embeddings.patch_embedding.weight", { .convention = TRANSFORMERS } },
    { WAN_NET_IMAGE, "visual.transformer.0.attn.to_qkv.weight", { .convention = ORIGINAL } },
    { .network = WAN_NETS },
};
/* clang-format on */

/* ---- the VAE's numbered blocks ------------------------------------------------------------- */

/* 2.2: the resampling of a level stands behind its residual blocks. */
static void number_by_level(NameMapRows *rows, int levels, int res_blocks)
{
    for (int i = 0; i + 1 < levels; i++) {
        name_map_add(
            rows, arena_printf(rows->arena, "encoder.down_blocks.%d.downsampler", i),
            arena_printf(rows->arena, "encoder.downsamples.%d.downsamples.%d", i, res_blocks));
        name_map_add(
            rows, arena_printf(rows->arena, "decoder.up_blocks.%d.upsampler", i),
            arena_printf(rows->arena, "decoder.upsamples.%d.upsamples.%d", i, res_blocks + 1));
    }
}

/* 2.1: the decoder counts residual blocks and resampling through all levels. */
static void number_flat(NameMapRows *rows, int levels, int res_blocks)
{
    int k = 0;
    for (int i = 0; i < levels; i++) {
        for (int j = 0; j <= res_blocks; j++)
            name_map_add(rows, arena_printf(rows->arena, "decoder.up_blocks.%d.resnets.%d", i, j),
                         arena_printf(rows->arena, "decoder.upsamples.%d", k++));
        if (i + 1 < levels)
            name_map_add(rows, arena_printf(rows->arena, "decoder.up_blocks.%d.upsamplers.0", i),
                         arena_printf(rows->arena, "decoder.upsamples.%d", k++));
    }
}

bool wan_names_original_vae(NameMap *out, Arena *arena, int levels, int res_blocks, bool residual)
{
    const int n_fixed = (int)COUNT(VAE_FIXED), skip = residual ? 0 : 2;
    const size_t room = COUNT(VAE_FIXED) + (size_t)levels * ((size_t)res_blocks + 2);
    NameMapRows rows = { .arena = arena, .at = arena_array(arena, room, sizeof(NameRow)) };
    if (!rows.at) return false;
    if (residual)
        number_by_level(&rows, levels, res_blocks);
    else
        number_flat(&rows, levels, res_blocks);
    for (int i = skip; i < n_fixed; i++)
        rows.at[rows.n++] = VAE_FIXED[i];
    out->convention = ORIGINAL;
    out->rows = rows.at;
    out->n_rows = rows.n;
    out->tails = VAE_TAILS;
    out->n_tails = (int)COUNT(VAE_TAILS);
    return !rows.failed;
}
