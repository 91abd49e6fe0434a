/* unet_names.c  Rows for every block, from the way diffusers counts to the way the original does. */
#include "models/unet_names.h"

#include "base/size.h"

/* clang-format off */
static const NameRow FIXED[] = {
    { "conv_in",                   "input_blocks.0.0" },
    { "time_embedding.linear_1",   "time_embed.0" },
    { "time_embedding.linear_2",   "time_embed.2" },
    { "add_embedding.linear_1",    "label_emb.0.0" },
    { "add_embedding.linear_2",    "label_emb.0.2" },
    { "conv_norm_out",             "out.0" },
    { "conv_out",                  "out.2" },
    { "mid_block.resnets.0",       "middle_block.0" },
    { "mid_block.attentions.0",    "middle_block.1" },
    { "mid_block.resnets.1",       "middle_block.2" },
    { "controlnet_cond_embedding.conv_in",  "input_hint_block.0" },
    { "controlnet_cond_embedding.blocks.0", "input_hint_block.2" },
    { "controlnet_cond_embedding.blocks.1", "input_hint_block.4" },
    { "controlnet_cond_embedding.blocks.2", "input_hint_block.6" },
    { "controlnet_cond_embedding.blocks.3", "input_hint_block.8" },
    { "controlnet_cond_embedding.blocks.4", "input_hint_block.10" },
    { "controlnet_cond_embedding.blocks.5", "input_hint_block.12" },
    { "controlnet_cond_embedding.conv_out", "input_hint_block.14" },
    { "controlnet_down_blocks.#",  "zero_convs.#.0" },
    { "controlnet_mid_block",      "middle_block_out.0" },
};

/* Inside a residual block; what is inside a transformer has the same names. */
static const NameRow TAILS[] = {
    { "norm1",         "in_layers.0" },
    { "conv1",         "in_layers.2" },
    { "time_emb_proj", "emb_layers.1" },
    { "norm2",         "out_layers.0" },
    { "conv2",         "out_layers.3" },
    { "conv_shortcut", "skip_connection" },
};
/* clang-format on */

/* Layer j of level i, on the way down or up, is block n. */
static void add_layer(NameMapRows *rows, const char *way, int i, int j, int n)
{
    const char *theirs = way[0] == 'd' ? "input" : "output";
    name_map_add(rows, arena_printf(rows->arena, "%s_blocks.%d.resnets.%d", way, i, j),
                 arena_printf(rows->arena, "%s_blocks.%d.0", theirs, n));
    name_map_add(rows, arena_printf(rows->arena, "%s_blocks.%d.attentions.%d", way, i, j),
                 arena_printf(rows->arena, "%s_blocks.%d.1", theirs, n));
}

static void add_levels(NameMapRows *rows, const UnetConfig *cfg)
{
    int in = 1, out = 0; /* input block 0 is the first convolution */
    for (int i = 0; i < cfg->levels; i++) {
        for (int j = 0; j < cfg->layers; j++)
            add_layer(rows, "down", i, j, in++);
        name_map_add(rows, arena_printf(rows->arena, "down_blocks.%d.downsamplers.0.conv", i),
                     arena_printf(rows->arena, "input_blocks.%d.0.op", in++));
        for (int j = 0; j <= cfg->layers; j++)
            add_layer(rows, "up", i, j, out++);
        const int behind = cfg->depth[cfg->levels - 1 - i] > 0 ? 2 : 1; /* a transformer, if any */
        name_map_add(rows, arena_printf(rows->arena, "up_blocks.%d.upsamplers.0", i),
                     arena_printf(rows->arena, "output_blocks.%d.%d", out - 1, behind));
    }
}

bool unet_names_original(NameMap *out, Arena *arena, const UnetConfig *cfg)
{
    const size_t room = COUNT(FIXED) + (size_t)cfg->levels * (4 * ((size_t)cfg->layers + 1) + 2);
    NameMapRows rows = { .arena = arena, .at = arena_array(arena, room, sizeof(NameRow)) };
    if (!rows.at) return false;
    for (size_t i = 0; i < COUNT(FIXED); i++)
        rows.at[rows.n++] = FIXED[i];
    add_levels(&rows, cfg);
    *out = (NameMap){ .convention = "names of the original repository",
                      .rows = rows.at,
                      .n_rows = rows.n,
                      .tails = TAILS,
                      .n_tails = (int)COUNT(TAILS) };
    return !rows.failed;
}
