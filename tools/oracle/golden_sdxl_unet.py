"""The UNet of SDXL: tests/golden/sdxl_unet/<case>/{config.json, diffusion_pytorch_model.safetensors, taps.safetensors}.

Weights are rounded to f16 and stored so: the same values in half the space. The case "original" is spelled as in
single files.
"""

import os
import re

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from golden import Taps, noise, randomise, save_tensors

BASE = dict(
    sample_size=16,
    block_out_channels=(8, 16, 24),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    layers_per_block=2,
    attention_head_dim=(1, 2, 3),
    transformer_layers_per_block=(1, 1, 2),
    cross_attention_dim=20,
    addition_embed_type="text_time",
    addition_time_embed_dim=6,
    projection_class_embeddings_input_dim=12 + 6 * 6,
    norm_num_groups=4,
    use_linear_projection=True,
)
CASES = {
    "base": dict(size=(12, 8), rows=5, config=BASE),
    # sides that are odd on the way down, one layer, names of single files
    "original": dict(
        size=(11, 14),
        rows=3,
        config=BASE | dict(block_out_channels=(8, 8, 16), layers_per_block=1, attention_head_dim=(1, 1, 2)),
    ),
    # two levels, transformers at the top, projections as convolutions, no time ids (SD 1.5)
    "plain": dict(
        size=(6, 6),
        rows=4,
        config=dict(
            sample_size=8,
            block_out_channels=(8, 12),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            attention_head_dim=2,
            cross_attention_dim=10,
            norm_num_groups=4,
        ),
    ),
}
STEPS = (981.0, 20.5)
TAILS = [("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"), ("norm2", "out_layers.0"),
         ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection")]
FIXED = [("conv_in", "input_blocks.0.0"), ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
         ("add_embedding.linear_1", "label_emb.0.0"), ("add_embedding.linear_2", "label_emb.0.2"), ("conv_norm_out", "out.0"),
         ("conv_out", "out.2"), ("mid_block.resnets.0", "middle_block.0"), ("mid_block.attentions.0", "middle_block.1"),
         ("mid_block.resnets.1", "middle_block.2")]


def original_name(name, layers, levels):
    """Our name as the files of the original repository spell it."""
    found = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name)
    if not found:
        for ours, theirs in FIXED:
            if name.startswith(ours + "."):
                name, tail = theirs, name[len(ours) + 1:]
                break
    else:
        way, level, kind, j, tail = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if way == "down":
            n = 1 + level * (layers + 1) + (layers if kind == "downsamplers" else j)
            name = f"input_blocks.{n}." + ("1" if kind == "attentions" else "0")
            tail = tail.replace("conv.", "op.") if kind == "downsamplers" else tail
        else:
            n = level * (layers + 1) + (layers if kind == "upsamplers" else j)
            crossed = level < levels - 1
            name = f"output_blocks.{n}." + {"resnets": "0", "attentions": "1", "upsamplers": "2" if crossed else "1"}[kind]
    for ours, theirs in TAILS:
        if tail.startswith(ours + "."):
            tail = theirs + tail[len(ours):]
    return f"{name}.{tail}"


def to_half(model):
    for p in model.parameters():
        p.copy_(p.half().float())


def store(model, folder, config, original):
    path = os.path.join(folder, "diffusion_pytorch_model.safetensors")
    model.save_config(folder)
    tensors = {k: v.half().contiguous() for k, v in model.state_dict().items()}
    if original:
        layers, levels = config["layers_per_block"], len(config["block_out_channels"])
        tensors = {"model.diffusion_model." + original_name(k, layers, levels): v for k, v in tensors.items()}
    save_file(tensors, path)


def controlled(model, seed, x, t, text, added):
    """The output with something added to every skip and to the middle, as a ControlNet does."""
    shapes, hooks = [], []
    for block in [model.conv_in, *model.down_blocks, model.mid_block]:
        def keep(module, args, output):
            parts = output[1] if isinstance(output, tuple) else [output]
            shapes.extend(p.shape for p in parts)
        hooks.append(block.register_forward_hook(keep))
    model(x, t, text, added_cond_kwargs=added)
    for hook in hooks:
        hook.remove()
    parts = [0.3 * noise(shape, seed + 100 + i) for i, shape in enumerate(shapes)]
    y = model(x, t, text, added_cond_kwargs=added, down_block_additional_residuals=tuple(parts[:-1]),
              mid_block_additional_residual=parts[-1]).sample
    return {f"control.{i}": p[0] for i, p in enumerate(parts)} | {"controlled": y[0]}


def make_case(folder, size, rows, config, seed):
    model = randomise(UNet2DConditionModel(**config), seed, {"to_q.weight": 2.0})
    to_half(model)
    store(model, folder, config, os.path.basename(folder) == "original")
    n = len(config["block_out_channels"])
    taps = Taps(model, ["conv_in", "mid_block"] + [f"down_blocks.{i}" for i in range(n)] + [f"up_blocks.{i}" for i in range(n)])
    out = {}
    x = noise((1, config.get("in_channels", 4), *size), seed + 1)
    ids = torch.tensor([[96.0, 64.0, 3.0, 0.0, 80.0, 64.0]])
    out["input"], out["time_ids"] = x[0], ids[0]
    for b in range(2):  # two prompts
        text = noise((1, rows, config["cross_attention_dim"]), seed + 2 + b)
        added = {}
        if "addition_embed_type" in config:
            pooled = noise((1, 12), seed + 4 + b)
            added = dict(text_embeds=pooled, time_ids=ids)
            out[f"pooled.{b}"] = pooled
        out[f"text.{b}"] = text[0]
        for s, t in enumerate(STEPS):
            y = model(x, torch.tensor(t), text, added_cond_kwargs=added).sample
            out[f"out.{b}.{s}"] = y[0]
            for name, parts in taps.take().items():
                if b == 0 and s == 0:
                    out[name] = parts[0][0]
            if b == 0 and s == 1:
                out |= controlled(model, seed, x, torch.tensor(t), text, added)
    save_tensors(os.path.join(folder, "taps.safetensors"), out)


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), seed=5000 + 10 * i, **case)
