"""Rows of image networks as the original repositories publish them, from those of diffusers and transformers."""

import re

# ---- FLUX.1 ---------------------------------------------------------------------------------------------------------

_TOP = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
_DOUBLE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
}
_SINGLE = {
    "norm.linear": "modulation.lin",
    "proj_out": "linear2",
    "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}
_JOINED_DOUBLE = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_JOINED_SINGLE = {"linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")}


def _join(rows, found, joined, place):
    """Rows whose matrices stand in one: at the first of them the joined one, at the others nothing."""
    stem, kind = found
    for theirs, ours in joined.items():
        if stem == ours[0]:
            parts = [rows[f"{place[0]}.{name}.{kind}"] for name in ours]
            shape = (sum(row[1][0] for row in parts), *parts[0][1][1:])
            return [(f"{place[1]}.{theirs}.{kind}", shape, *parts[0][2:4], [(row[0], row[1]) for row in parts])]
        if stem in ours:
            return []
    return None


def _flux_block(rows, row, found):
    block, i, stem, kind = found.groups()
    double = block == "transformer_blocks"
    place = f"{block}.{i}", f"{'double' if double else 'single'}_blocks.{i}"
    joined = _join(rows, (stem, kind), _JOINED_DOUBLE if double else _JOINED_SINGLE, place)
    if joined is not None:
        return joined
    kind = "scale" if ".norm_" in stem else kind
    theirs = (_DOUBLE if double else _SINGLE)[stem]
    return [(f"{place[1]}.{theirs}.{kind}", *row[1:4], [(row[0], row[1])])]


def flux(rows):
    """Black Forest Labs' files: q, k, v are one matrix, the halves of the last modulation stand the other way round."""
    by_name, out = {row[0]: row for row in rows}, []
    for row in rows:
        found = re.fullmatch(r"((?:single_)?transformer_blocks)\.(\d+)\.(.*)\.(weight|bias)", row[0])
        if found:
            out += _flux_block(by_name, row, found)
        else:
            stem, kind = row[0].rsplit(".", 1)
            parts = row[4][::-1] if len(row) > 4 else [(row[0], row[1])]
            out.append((f"{_TOP[stem]}.{kind}", *row[1:4], parts))
    return out


# ---- AutoencoderKL --------------------------------------------------------------------------------------------------

_VAE = [
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.group_norm\.", "mid.attn_1.norm."),
    (r"mid_block\.attentions\.0\.to_([qkv])\.", r"mid.attn_1.\1."),
    (r"mid_block\.attentions\.0\.to_out\.0\.", "mid.attn_1.proj_out."),
    (r"conv_norm_out\.", "norm_out."),
    (r"conv_shortcut\.", "nin_shortcut."),
    (r"down_blocks\.(\d+)\.resnets\.(\d+)\.", r"down.\1.block.\2."),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
]


def vae(rows, levels):
    """The original repositories' AutoencoderKL: levels are counted from the picture, attention is of convolutions."""
    out = []
    for name, shape, mean, deviation in rows:
        theirs = name
        for pattern, new in _VAE:
            theirs = re.sub(pattern, new, theirs)
        up = re.match(r"decoder\.up_blocks\.(\d+)\.(?:resnets\.(\d+)|upsamplers\.0)\.", theirs)
        if up:
            level = levels - 1 - int(up[1])
            place = f"decoder.up.{level}.block.{up[2]}." if up[2] else f"decoder.up.{level}.upsample."
            theirs = place + theirs[up.end() :]
        conv = ".attn_1." in theirs and len(shape) == 2
        out.append((theirs, (*shape, 1, 1) if conv else shape, mean, deviation, [(name, shape)]))
    return out


# ---- UNet -----------------------------------------------------------------------------------------------------------

_FIXED = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_IN_RES = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def _in_res(rest):
    stem, kind = rest.rsplit(".", 1)
    return f"{_IN_RES[stem]}.{kind}"


def _unet_block(name, cfg):
    layers = cfg["layers_per_block"]
    middle = re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name)
    if middle:
        part, j, rest = middle.groups()
        return f"middle_block.1.{rest}" if part == "attentions" else f"middle_block.{2 * int(j)}.{_in_res(rest)}"
    way, i, part, j, rest = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name).groups()
    i, j, down = int(i), int(j), way == "down"
    if part == "downsamplers":
        return f"input_blocks.{(i + 1) * (layers + 1)}.0.op." + rest.split(".", 1)[1]
    if part == "upsamplers":
        behind = 2 if "CrossAttn" in cfg["up_block_types"][i] else 1
        return f"output_blocks.{i * (layers + 1) + layers}.{behind}.{rest}"
    place = f"input_blocks.{1 + i * (layers + 1) + j}" if down else f"output_blocks.{i * (layers + 1) + j}"
    return f"{place}.1.{rest}" if part == "attentions" else f"{place}.0.{_in_res(rest)}"


def sdxl_unet(rows, cfg):
    out = []
    for name, shape, mean, deviation in rows:
        stem, kind = name.rsplit(".", 1)
        theirs = f"{_FIXED[stem]}.{kind}" if stem in _FIXED else _unet_block(name, cfg)
        out.append((theirs, shape, mean, deviation, [(name, shape)]))
    return out


# ---- OpenCLIP -------------------------------------------------------------------------------------------------------

_OPEN_TOP = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "text_projection.weight": "text_projection",
}
_OPEN = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def open_clip(rows):
    """OpenCLIP's text tower: q, k, v are one matrix; the projection stands the other way round (of other values then)."""
    by_name, out = {row[0]: row for row in rows}, []
    for name, shape, mean, deviation in rows:
        if name in _OPEN_TOP:
            turned = name == "text_projection.weight"
            out.append((_OPEN_TOP[name], shape[::-1] if turned else shape, mean, deviation, [(name, shape)]))
            continue
        place, i, stem, kind = re.fullmatch(r"(text_model\.encoder\.layers)\.(\d+)\.(.*)\.(weight|bias)", name).groups()
        theirs = f"transformer.resblocks.{i}"
        if stem in _OPEN:
            out.append((f"{theirs}.{_OPEN[stem]}.{kind}", shape, mean, deviation, [(name, shape)]))
        elif stem == "self_attn.q_proj":
            parts = [by_name[f"{place}.{i}.self_attn.{c}_proj.{kind}"] for c in "qkv"]
            joined = (3 * shape[0], *shape[1:])
            out.append((f"{theirs}.attn.in_proj_{kind}", joined, mean, deviation, [row[:2] for row in parts]))
    out.append(("logit_scale", (), 4.6, 0.0))
    return out
