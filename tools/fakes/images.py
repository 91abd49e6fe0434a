"""The tensors of image networks: rows as in networks.py, names as diffusers and transformers have them.

A row may end with its parts, [(key, shape)]: its values are theirs one after the other, so that files that join or swap
matrices hold the same values as those that keep them apart.
"""

from .networks import Tensors, clip_layers

# ---- FLUX.1 ---------------------------------------------------------------------------------------------------------


def _swappable(t, name, dim):
    """A modulation of two halves, [scale | shift]: the original has them the other way round."""
    t.linear(name, dim, 2 * dim)
    for i in (-2, -1):
        row = t.rows[i]
        half = (dim, *row[1][1:])
        t.rows[i] = (*row, [(row[0] + "/scale", half), (row[0] + "/shift", half)])


def _double_block(t, prefix, dim, head):
    t.at(prefix)
    for name in ("norm1.linear", "norm1_context.linear"):
        t.linear(name, dim, 6 * dim)
    for name in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"):
        t.linear("attn." + name, dim, dim)
    for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
        t.norm("attn." + name, head)
    for name in ("ff", "ff_context"):
        t.linear(name + ".net.0.proj", dim, 4 * dim)
        t.linear(name + ".net.2", 4 * dim, dim)


def _single_block(t, prefix, dim, head):
    t.at(prefix).linear("norm.linear", dim, 3 * dim)
    for name in ("to_q", "to_k", "to_v"):
        t.linear("attn." + name, dim, dim)
    t.norm("attn.norm_q", head)
    t.norm("attn.norm_k", head)
    t.linear("proj_mlp", dim, 4 * dim)
    t.linear("proj_out", 5 * dim, dim)


def flux(cfg):
    """FluxTransformer2DModel."""
    t = Tensors()
    head = cfg["attention_head_dim"]
    dim = cfg["num_attention_heads"] * head
    t.linear("x_embedder", cfg["in_channels"], dim)
    t.linear("context_embedder", cfg["joint_attention_dim"], dim)
    guided = ["guidance_embedder"] if cfg["guidance_embeds"] else []
    for name, inputs in [("timestep_embedder", 256), *((g, 256) for g in guided), ("text_embedder", cfg["pooled_projection_dim"])]:
        t.at("time_text_embed." + name).linear("linear_1", inputs, dim)
        t.linear("linear_2", dim, dim)
    for i in range(cfg["num_layers"]):
        _double_block(t, f"transformer_blocks.{i}", dim, head)
    for i in range(cfg["num_single_layers"]):
        _single_block(t, f"single_transformer_blocks.{i}", dim, head)
    _swappable(t.at(""), "norm_out.linear", dim)
    t.linear("proj_out", dim, cfg.get("out_channels") or cfg["in_channels"])
    return t.rows


# ---- AutoencoderKL --------------------------------------------------------------------------------------------------


def _vae_res(t, prefix, inputs, outputs):
    t.at(prefix).norm("norm1", inputs, bias=True)
    t.conv("conv1", inputs, outputs, 3, 3)
    t.norm("norm2", outputs, bias=True)
    t.conv("conv2", outputs, outputs, 3, 3)
    if inputs != outputs:
        t.conv("conv_shortcut", inputs, outputs, 1, 1)


def _vae_middle(t, coder, dim):
    _vae_res(t, f"{coder}.mid_block.resnets.0", dim, dim)
    t.at(f"{coder}.mid_block.attentions.0").norm("group_norm", dim, bias=True)
    for name in ("to_q", "to_k", "to_v", "to_out.0"):
        t.linear(name, dim, dim)
    _vae_res(t, f"{coder}.mid_block.resnets.1", dim, dim)


def _vae_encoder(t, cfg):
    dim = cfg["block_out_channels"][0]
    t.at("encoder").conv("conv_in", cfg["in_channels"], dim, 3, 3)
    for i, out in enumerate(cfg["block_out_channels"]):
        for j in range(cfg["layers_per_block"]):
            _vae_res(t, f"encoder.down_blocks.{i}.resnets.{j}", dim, out)
            dim = out
        if i + 1 < len(cfg["block_out_channels"]):
            t.at(f"encoder.down_blocks.{i}.downsamplers.0").conv("conv", dim, dim, 3, 3)
    _vae_middle(t, "encoder", dim)
    t.at("encoder").norm("conv_norm_out", dim, bias=True)
    t.conv("conv_out", dim, 2 * cfg["latent_channels"], 3, 3)


def _vae_decoder(t, cfg):
    widths = cfg["block_out_channels"][::-1]
    dim = widths[0]
    t.at("decoder").conv("conv_in", cfg["latent_channels"], dim, 3, 3)
    _vae_middle(t, "decoder", dim)
    for i, out in enumerate(widths):
        for j in range(cfg["layers_per_block"] + 1):
            _vae_res(t, f"decoder.up_blocks.{i}.resnets.{j}", dim, out)
            dim = out
        if i + 1 < len(widths):
            t.at(f"decoder.up_blocks.{i}.upsamplers.0").conv("conv", dim, dim, 3, 3)
    t.at("decoder").norm("conv_norm_out", dim, bias=True)
    t.conv("conv_out", dim, cfg["out_channels"], 3, 3)


def autoencoder_kl(cfg):
    t = Tensors()
    _vae_encoder(t, cfg)
    z = cfg["latent_channels"]
    if cfg.get("use_quant_conv", True):
        t.at("").conv("quant_conv", 2 * z, 2 * z, 1, 1)
    if cfg.get("use_post_quant_conv", True):
        t.at("").conv("post_quant_conv", z, z, 1, 1)
    _vae_decoder(t, cfg)
    return t.rows


# ---- UNet and ControlNet --------------------------------------------------------------------------------------------


def _per_level(cfg, key, fallback):
    value = cfg.get(key, fallback)
    return list(value) if isinstance(value, (list, tuple)) else [value] * len(cfg["block_out_channels"])


def _res(t, prefix, inputs, outputs, time):
    t.at(prefix).norm("norm1", inputs, bias=True)
    t.conv("conv1", inputs, outputs, 3, 3)
    t.linear("time_emb_proj", time, outputs)
    t.norm("norm2", outputs, bias=True)
    t.conv("conv2", outputs, outputs, 3, 3)
    if inputs != outputs:
        t.conv("conv_shortcut", inputs, outputs, 1, 1)


def _cross(t, prefix, dim, depth, cfg):
    text, linear = cfg["cross_attention_dim"], cfg.get("use_linear_projection")
    project = t.linear if linear else (lambda name, i, o: t.conv(name, i, o, 1, 1))
    t.at(prefix).norm("norm", dim, bias=True)
    project("proj_in", dim, dim)
    for k in range(depth):
        t.at(f"{prefix}.transformer_blocks.{k}")
        for name, inputs in (("attn1", dim), ("attn2", text)):
            t.linear(f"{name}.to_q", dim, dim, bias=False)
            t.linear(f"{name}.to_k", inputs, dim, bias=False)
            t.linear(f"{name}.to_v", inputs, dim, bias=False)
            t.linear(f"{name}.to_out.0", dim, dim)
        t.linear("ff.net.0.proj", dim, 8 * dim)
        t.linear("ff.net.2", 4 * dim, dim)
        for name in ("norm1", "norm2", "norm3"):
            t.norm(name, dim, bias=True)
    t.at(prefix)
    project("proj_out", dim, dim)


def _way_in(t, cfg):
    """First convolution and embeddings of the time; its width."""
    dim = cfg["block_out_channels"][0]
    time = 4 * dim
    t.at("").conv("conv_in", cfg["in_channels"], dim, 3, 3)
    t.linear("time_embedding.linear_1", dim, time)
    t.linear("time_embedding.linear_2", time, time)
    if cfg.get("addition_embed_type"):
        t.linear("add_embedding.linear_1", cfg["projection_class_embeddings_input_dim"], time)
        t.linear("add_embedding.linear_2", time, time)
    return time


def _way_down(t, cfg, time):
    """Channels of what is kept for the way up."""
    widths, depths = cfg["block_out_channels"], _per_level(cfg, "transformer_layers_per_block", 1)
    dim, kept = widths[0], [widths[0]]
    for i, out in enumerate(widths):
        for j in range(cfg["layers_per_block"]):
            _res(t, f"down_blocks.{i}.resnets.{j}", dim, out, time)
            dim = out
            if "CrossAttn" in cfg["down_block_types"][i]:
                _cross(t, f"down_blocks.{i}.attentions.{j}", dim, depths[i], cfg)
            kept.append(dim)
        if i + 1 < len(widths):
            t.at(f"down_blocks.{i}.downsamplers.0").conv("conv", dim, dim, 3, 3)
            kept.append(dim)
    _res(t, "mid_block.resnets.0", dim, dim, time)
    _cross(t, "mid_block.attentions.0", dim, depths[-1], cfg)
    _res(t, "mid_block.resnets.1", dim, dim, time)
    return kept


def unet(cfg):
    """UNet2DConditionModel."""
    t = Tensors()
    time = _way_in(t, cfg)
    kept = _way_down(t, cfg, time)
    widths, depths = cfg["block_out_channels"][::-1], _per_level(cfg, "transformer_layers_per_block", 1)[::-1]
    dim = widths[0]
    for i, out in enumerate(widths):
        for j in range(cfg["layers_per_block"] + 1):
            _res(t, f"up_blocks.{i}.resnets.{j}", dim + kept.pop(), out, time)
            dim = out
            if "CrossAttn" in cfg["up_block_types"][i]:
                _cross(t, f"up_blocks.{i}.attentions.{j}", dim, depths[i], cfg)
        if i + 1 < len(widths):
            t.at(f"up_blocks.{i}.upsamplers.0").conv("conv", dim, dim, 3, 3)
    t.at("").norm("conv_norm_out", dim, bias=True)
    t.conv("conv_out", dim, cfg["out_channels"], 3, 3)
    return t.rows


def controlnet(cfg):
    """ControlNetModel."""
    t = Tensors()
    time = _way_in(t, cfg)
    hints = cfg["conditioning_embedding_out_channels"]
    t.at("controlnet_cond_embedding").conv("conv_in", 3, hints[0], 3, 3)
    for i, (dim, out) in enumerate(zip(hints, hints[1:])):
        t.conv(f"blocks.{2 * i}", dim, dim, 3, 3)
        t.conv(f"blocks.{2 * i + 1}", dim, out, 3, 3)
    t.conv("conv_out", hints[-1], cfg["block_out_channels"][0], 3, 3)
    kept = _way_down(t, cfg, time)
    for i, dim in enumerate(kept):
        t.at("controlnet_down_blocks").conv(str(i), dim, dim, 1, 1)
    t.at("").conv("controlnet_mid_block", kept[-1], kept[-1], 1, 1)
    return t.rows


# ---- CLIP text towers -----------------------------------------------------------------------------------------------


def clip_text(cfg):
    """CLIPTextModel, with a projection where the class has one; names as published files have them."""
    t = Tensors()
    dim = cfg["hidden_size"]
    t.at("text_model.embeddings").add("token_embedding.weight", (cfg["vocab_size"], dim), 0.0, 0.5)
    t.add("position_embedding.weight", (cfg["max_position_embeddings"], dim), 0.0, 0.1)
    clip_layers(t, "text_model", cfg)
    t.at("text_model").norm("final_layer_norm", dim, bias=True)
    if "Projection" in cfg["architectures"][0]:
        t.at("").linear("text_projection", dim, cfg["projection_dim"], bias=False)
    return t.rows


# ---- BiRefNet -------------------------------------------------------------------------------------------------------

INNER, BRANCH, GATE = 64, 256, 16  # of every decoder block
COUNTER, WINDOW_INDEX = "counter", "window index"  # instead of a deviation: whole numbers


def _batch_norm(t, name, dim):
    t.norm(name, dim, bias=True)
    t.add(name + ".running_mean", (dim,), 0.0, 0.1)
    t.add(name + ".running_var", (dim,), 1.0, 0.1)  # five deviations above 0
    t.add(name + ".num_batches_tracked", (), 1, COUNTER)


def _swin(t, cfg):
    embed, window = cfg["embed_dim"], cfg["window_size"]
    t.at("bb.patch_embed").conv("proj", 3, embed, 4, 4)
    t.norm("norm", embed, bias=True)
    for s, (depth, heads) in enumerate(zip(cfg["depths"], cfg["num_heads"])):
        dim = embed << s
        for b in range(depth):
            t.at(f"bb.layers.{s}.blocks.{b}").norm("norm1", dim, bias=True)
            t.add("attn.relative_position_bias_table", ((2 * window - 1) ** 2, heads), 0.0, 0.5)
            t.add("attn.relative_position_index", (window**2, window**2), window, WINDOW_INDEX)
            t.linear("attn.qkv", dim, 3 * dim)
            t.linear("attn.proj", dim, dim)
            t.norm("norm2", dim, bias=True)
            t.linear("mlp.fc1", dim, 4 * dim)
            t.linear("mlp.fc2", 4 * dim, dim)
        if s < 3:
            t.at(f"bb.layers.{s}.downsample").linear("reduction", 4 * dim, 2 * dim, bias=False)
            t.norm("norm", 4 * dim, bias=True)
    for s in range(4):
        t.at("bb").norm(f"norm{s}", embed << s, bias=True)


def _deformable(t, prefix, k):
    t.at(prefix + ".atrous_conv").conv("offset_conv", INNER, 2 * k * k, k, k)
    t.conv("modulator_conv", INNER, k * k, k, k)
    t.conv("regular_conv", INNER, BRANCH, k, k, bias=False)
    _batch_norm(t.at(prefix), "bn", BRANCH)


def _decoder_block(t, prefix, inputs, outputs):
    t.at(prefix).conv("conv_in", inputs, INNER, 3, 3)
    _batch_norm(t, "bn_in", INNER)
    _deformable(t, prefix + ".dec_att.aspp1", 1)
    for i, k in enumerate((1, 3, 7)):
        _deformable(t, f"{prefix}.dec_att.aspp_deforms.{i}", k)
    t.at(prefix + ".dec_att").conv("global_avg_pool.1", INNER, BRANCH, 1, 1, bias=False)
    _batch_norm(t, "global_avg_pool.2", BRANCH)
    t.conv("conv1", 5 * BRANCH, INNER, 1, 1, bias=False)
    _batch_norm(t, "bn1", INNER)
    t.at(prefix).conv("conv_out", INNER, outputs, 3, 3)
    _batch_norm(t, "bn_out", outputs)


def _decoder_ways(t, c, pieces):
    """Ways of the picture and of the backbone into the levels, and what ends them."""
    for i, grid in enumerate((32, 16, 8, 4, 1)):
        t.at(f"decoder.ipt_blk{5 - i}").conv("conv1", 3 * grid * grid, INNER, 3, 3)
        t.conv("conv_out", INNER, pieces[i], 3, 3)
    for i in range(3):
        t.at("decoder").conv(f"lateral_block{4 - i}.conv", c[i + 1], c[i + 1], 1, 1)
        t.conv(f"gdt_convs_{4 - i}.0", c[i + 1], GATE, 3, 3)
        _batch_norm(t, f"gdt_convs_{4 - i}.1", GATE)
        for name in (f"gdt_convs_attn_{4 - i}.0", f"gdt_convs_pred_{4 - i}.0"):
            t.conv(name, GATE, 1, 1, 1)
        t.conv(f"conv_ms_spvn_{4 - i}", c[i + 1], 1, 1, 1)
    t.at("decoder").conv("conv_out1.0", c[3] // 2 + pieces[4], 1, 1, 1)


def birefnet(cfg):
    """BiRefNet with the options of the published weights; cfg: its Swin backbone."""
    t = Tensors()
    c = [2 * (cfg["embed_dim"] << i) for i in (3, 2, 1, 0)]  # both sizes of a feature, from the inside outwards
    pieces = [c[i - 1 if i else 0] // 8 for i in range(5)]
    outs = [*c[1:], c[3] // 2]
    _swin(t, cfg)
    _decoder_block(t, "squeeze_module.0", sum(c), c[0])
    for i in range(4):
        _decoder_block(t, f"decoder.decoder_block{4 - i}", c[i] + pieces[i], outs[i])
    _decoder_ways(t, c, pieces)
    return t.rows


def window_index(window):
    """Row of the table for each pair of places in a window, as the module keeps it."""
    places = [(y, x) for y in range(window) for x in range(window)]
    side = 2 * window - 1
    return [(a[0] - b[0] + window - 1) * side + a[1] - b[1] + window - 1 for a in places for b in places]
