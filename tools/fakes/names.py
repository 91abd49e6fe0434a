"""Names of the original repositories from those of diffusers and transformers."""

import re

_DIT = [  # in this order: a result is not looked at again
    ("condition_embedder.text_embedder.linear_1.", "text_embedding.0."),
    ("condition_embedder.text_embedder.linear_2.", "text_embedding.2."),
    ("condition_embedder.time_embedder.linear_1.", "time_embedding.0."),
    ("condition_embedder.time_embedder.linear_2.", "time_embedding.2."),
    ("condition_embedder.time_proj.", "time_projection.1."),
    ("condition_embedder.image_embedder.norm1.", "img_emb.proj.0."),
    ("condition_embedder.image_embedder.ff.net.0.proj.", "img_emb.proj.1."),
    ("condition_embedder.image_embedder.ff.net.2.", "img_emb.proj.3."),
    ("condition_embedder.image_embedder.norm2.", "img_emb.proj.4."),
    ("condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"),
    ("proj_out.", "head.head."),
]
_BLOCK = [
    ("scale_shift_table", "modulation"),
    ("attn1.", "self_attn."),
    ("attn2.", "cross_attn."),
    (".to_q.", ".q."),
    (".to_k.", ".k."),
    (".to_v.", ".v."),
    (".to_out.0.", ".o."),
    (".add_k_proj.", ".k_img."),
    (".add_v_proj.", ".v_img."),
    (".norm_added_k.", ".norm_k_img."),
    ("norm2.", "norm3."),  # the affine one: the two sides count differently
    ("ffn.net.0.proj.", "ffn.0."),
    ("ffn.net.2.", "ffn.2."),
]


def wan_dit(name):
    if name == "scale_shift_table":
        return "head.modulation"
    block = re.match(r"(blocks\.\d+\.)(.*)", name)
    if block:
        rest = block.group(2)
        for ours, theirs in _BLOCK:
            rest = rest.replace(ours, theirs)
        return block.group(1) + rest
    for ours, theirs in _DIT:
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    return name


_T5 = [
    ("layer.0.layer_norm.", "norm1."),
    ("layer.0.SelfAttention.relative_attention_bias.", "pos_embedding.embedding."),
    ("layer.0.SelfAttention.", "attn."),
    ("layer.1.layer_norm.", "norm2."),
    ("layer.1.DenseReluDense.wi_0.", "ffn.gate.0."),
    ("layer.1.DenseReluDense.wi_1.", "ffn.fc1."),
    ("layer.1.DenseReluDense.wo.", "ffn.fc2."),
]


def umt5(name):
    block = re.match(r"encoder\.block\.(\d+\.)(.*)", name)
    if not block:
        return {"shared.weight": "token_embedding.weight", "encoder.final_layer_norm.weight": "norm.weight"}[name]
    for ours, theirs in _T5:
        if block.group(2).startswith(ours):
            return "blocks." + block.group(1) + theirs + block.group(2)[len(ours) :]
    raise ValueError(f"{name} has no name in the original encoder")


_T5_GGUF = [
    ("layer.0.layer_norm.", "attn_norm."),
    ("layer.0.SelfAttention.relative_attention_bias.", "attn_rel_b."),
    ("layer.0.SelfAttention.", "attn_"),
    ("layer.1.layer_norm.", "ffn_norm."),
    ("layer.1.DenseReluDense.wi_0.", "ffn_gate."),
    ("layer.1.DenseReluDense.wi_1.", "ffn_up."),
    ("layer.1.DenseReluDense.wo.", "ffn_down."),
]


def umt5_gguf(name):
    """As llama.cpp calls them."""
    block = re.match(r"encoder\.block\.(\d+\.)(.*)", name)
    if not block:
        return {"shared.weight": "token_embd.weight", "encoder.final_layer_norm.weight": "enc.output_norm.weight"}[name]
    for ours, theirs in _T5_GGUF:
        if block.group(2).startswith(ours):
            return "enc.blk." + block.group(1) + theirs + block.group(2)[len(ours) :]
    raise ValueError(f"{name} has no name in llama.cpp")


_RES = [
    ("norm1.", "residual.0."),
    ("conv1.", "residual.2."),
    ("norm2.", "residual.3."),
    ("conv2.", "residual.6."),
    ("conv_shortcut.", "shortcut."),
]
_VAE = [
    (r"quant_conv\.", "conv1."),
    (r"post_quant_conv\.", "conv2."),
    (r"(encoder|decoder)\.conv_in\.", r"\1.conv1."),
    (r"(encoder|decoder)\.norm_out\.", r"\1.head.0."),
    (r"(encoder|decoder)\.conv_out\.", r"\1.head.2."),
    (r"(encoder|decoder)\.mid_block\.resnets\.0\.", r"\1.middle.0."),
    (r"(encoder|decoder)\.mid_block\.attentions\.0\.", r"\1.middle.1."),
    (r"(encoder|decoder)\.mid_block\.resnets\.1\.", r"\1.middle.2."),
]


def _vae_level(name, cfg):
    """(place of the block, rest) of a block in a level."""
    residual, n = bool(cfg.get("is_residual")), cfg["num_res_blocks"]
    found = re.match(r"encoder\.down_blocks\.(\d+)\.(?:resnets\.(\d+)\.|(downsampler)\.)?(.*)", name)
    if found:
        level, j, down, rest = found.groups()
        if not residual:
            return f"encoder.downsamples.{level}.", rest
        return f"encoder.downsamples.{level}.downsamples.{n if down else j}.", rest
    pattern = r"decoder\.up_blocks\.(\d+)\.(?:resnets\.(\d+)|upsamplers\.0|upsampler)\.(.*)"
    level, j, rest = re.match(pattern, name).groups()
    j = n + 1 if j is None else int(j)
    if residual:
        return f"decoder.upsamples.{level}.upsamples.{j}.", rest
    return f"decoder.upsamples.{int(level) * (n + 2) + j}.", rest


def wan_vae(name, cfg):
    place, rest = "", name
    for pattern, theirs in _VAE:
        found = re.match(pattern, name)
        if found:
            place, rest = found.expand(theirs), name[found.end() :]
            break
    else:
        place, rest = _vae_level(name, cfg)
    for ours, theirs in _RES:
        if rest.startswith(ours):
            rest = theirs + rest[len(ours) :]
            break
    return place + rest


_CLIP = [
    ("layer_norm1.", "norm1."),
    ("self_attn.out_proj.", "attn.proj."),
    ("layer_norm2.", "norm2."),
    ("mlp.fc1.", "mlp.0."),
    ("mlp.fc2.", "mlp.2."),
]


def clip_visual(rows, cfg):
    """The vision tower as rows of the original: q, k and v are one matrix there, and there is a head."""
    dim, out = cfg["hidden_size"], []
    fixed = {
        "vision_model.embeddings.class_embedding": ("visual.cls_embedding", (1, 1, dim)),
        "vision_model.embeddings.patch_embedding.weight": ("visual.patch_embedding.weight", None),
        "vision_model.embeddings.position_embedding.weight": ("visual.pos_embedding", 1),
    }
    for name, shape, mean, deviation in rows:
        block = re.match(r"vision_model\.encoder\.layers\.(\d+\.)(.*)", name)
        if name in fixed:
            theirs, new = fixed[name]
            out.append((theirs, (1, *shape) if new == 1 else new or shape, mean, deviation))
        elif not block:
            theirs = name.replace("vision_model.", "visual.").replace("layrnorm", "norm").replace("layernorm", "norm")
            out.append((theirs, shape, mean, deviation))
        elif re.match(r"self_attn\.[qkv]_proj\.", block.group(2)):
            if "q_proj" in name:
                kind = name.rsplit(".", 1)[1]
                theirs = f"visual.transformer.{block.group(1)}attn.to_qkv.{kind}"
                out.append((theirs, (3 * shape[0], *shape[1:]), mean, deviation))
        else:
            for ours, theirs in _CLIP:
                if block.group(2).startswith(ours):
                    rest = theirs + block.group(2)[len(ours) :]
                    out.append((f"visual.transformer.{block.group(1)}{rest}", shape, mean, deviation))
    out.append(("visual.head", (dim, cfg.get("projection_dim", 1024)), 0.0, dim**-0.5))
    out.append(("log_scale", (), 2.66, 0.0))
    return out
