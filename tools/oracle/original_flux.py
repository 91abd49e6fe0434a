"""FLUX weights as others write them: single files under the original's names, and LoRA files of kohya's kind."""

import os

import torch
from safetensors.torch import load_file, save_file

DOUBLE = {
    "img_mod.lin": ["norm1.linear"],
    "txt_mod.lin": ["norm1_context.linear"],
    "img_attn.qkv": ["attn.to_q", "attn.to_k", "attn.to_v"],
    "txt_attn.qkv": ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
    "img_attn.proj": ["attn.to_out.0"],
    "txt_attn.proj": ["attn.to_add_out"],
    "img_mlp.0": ["ff.net.0.proj"],
    "img_mlp.2": ["ff.net.2"],
    "txt_mlp.0": ["ff_context.net.0.proj"],
    "txt_mlp.2": ["ff_context.net.2"],
}
SINGLE = {
    "modulation.lin": ["norm.linear"],
    "linear1": ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"],
    "linear2": ["proj_out"],
}
NORMS = {
    "img_attn.norm.query_norm.scale": "attn.norm_q.weight",
    "img_attn.norm.key_norm.scale": "attn.norm_k.weight",
    "txt_attn.norm.query_norm.scale": "attn.norm_added_q.weight",
    "txt_attn.norm.key_norm.scale": "attn.norm_added_k.weight",
}
PLAIN = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
}


def blocks(tensors):
    """(original prefix, our prefix, table) of every block."""
    for prefix, ours, table in (("double_blocks", "transformer_blocks", DOUBLE), ("single_blocks", "single_transformer_blocks", SINGLE)):
        n = len({name.split(".")[1] for name in tensors if name.startswith(ours + ".")})
        for i in range(n):
            yield f"{prefix}.{i}.", f"{ours}.{i}.", table


def transformer(tensors):
    out = {}
    for theirs, ours in PLAIN.items():
        for leaf in ("weight", "bias"):
            if f"{ours}.{leaf}" in tensors:
                out[f"{theirs}.{leaf}"] = tensors[f"{ours}.{leaf}"]
    for leaf in ("weight", "bias"):
        scale, shift = tensors[f"norm_out.linear.{leaf}"].chunk(2)
        out[f"final_layer.adaLN_modulation.1.{leaf}"] = torch.cat([shift, scale])
    for theirs, ours, table in blocks(tensors):
        for name, parts in table.items():
            for leaf in ("weight", "bias"):
                out[f"{theirs}{name}.{leaf}"] = torch.cat([tensors[f"{ours}{part}.{leaf}"] for part in parts])
        norms = NORMS if table is DOUBLE else {k[9:]: v for k, v in NORMS.items() if k.startswith("img")}
        for name, part in norms.items():
            out[theirs + name] = tensors[ours + part]
    return out


def vae(tensors):
    """Four levels."""
    out = {}
    for name, value in tensors.items():
        for i in range(4):
            name = name.replace(f"decoder.up_blocks.{i}.resnets", f"decoder.up.{3 - i}.block")
            name = name.replace(f"decoder.up_blocks.{i}.upsamplers.0.conv", f"decoder.up.{3 - i}.upsample.conv")
        name = name.replace("encoder.down_blocks", "encoder.down").replace(".resnets.", ".block.") if "mid" not in name else name
        name = name.replace("downsamplers.0.conv", "downsample.conv").replace("conv_shortcut", "nin_shortcut")
        name = name.replace("mid_block.resnets.0", "mid.block_1").replace("mid_block.resnets.1", "mid.block_2")
        name = name.replace("conv_norm_out", "norm_out").replace("mid_block.attentions.0", "mid.attn_1")
        for ours, theirs in (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
            name = name.replace(f"attn_1.{ours}.", f"attn_1.{theirs}.")
        if "attn_1" in name and name.endswith("weight") and value.ndim == 2:
            value = value[:, :, None, None]
        out[name] = value.contiguous()
    return out


def one_file(model, path):
    """Everything of a diffusers folder in one file, as ComfyUI's checkpoints have it."""
    weights = "diffusion_pytorch_model.safetensors"
    out = {"model.diffusion_model." + k: v for k, v in transformer(load_file(os.path.join(model, "transformer", weights))).items()}
    out.update({"vae." + k: v for k, v in vae(load_file(os.path.join(model, "vae", weights))).items()})
    for prefix, folder in (("clip_l", "text_encoder"), ("t5xxl", "text_encoder_2")):
        for k, v in load_file(os.path.join(model, folder, "model.safetensors")).items():
            name = k if prefix == "t5xxl" or k.startswith("text_model.") else "text_model." + k
            out[f"text_encoders.{prefix}.transformer.{name}"] = v
    save_file(out, path)


def draw_lora(tensors, seed, rank):
    """Kohya's names on the original's layers: (file, changes by our names)."""
    generator = torch.Generator().manual_seed(seed)
    file, changes = {}, {}
    for theirs, ours, table in blocks(tensors):
        for name, parts in table.items():
            if torch.rand((), generator=generator) < 0.3:
                continue
            rows = [tensors[f"{ours}{part}.weight"].shape[0] for part in parts]
            columns = tensors[f"{ours}{parts[0]}.weight"].shape[1]
            down = torch.randn((rank, columns), generator=generator) / columns**0.5
            up = torch.randn((sum(rows), rank), generator=generator) / rank**0.5
            key = "lora_unet_" + (theirs + name).replace(".", "_")
            file.update({f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(rank / 2)})
            for part, change in zip(parts, (up @ down / 2).split(rows)):
                changes[f"{ours}{part}.weight"] = change
    return file, changes
