"""FLUX transformer: tests/golden/flux_dit/<case>/{config.json, diffusion_pytorch_model.safetensors, taps.safetensors}."""

import os

import torch
from diffusers import FluxTransformer2DModel

from golden import Taps, noise, randomise, save_tensors

SMALL = dict(
    patch_size=1,
    num_attention_heads=2,
    attention_head_dim=16,
    axes_dims_rope=(4, 4, 8),
    joint_attention_dim=32,
    pooled_projection_dim=20,
)
CASES = {
    "dev": dict(grid=(6, 10), text=13, config=dict(SMALL, in_channels=16, num_layers=2, num_single_layers=2, guidance_embeds=True)),
    "schnell": dict(grid=(5, 3), text=7, config=dict(SMALL, in_channels=8, num_layers=1, num_single_layers=1, guidance_embeds=False)),
    # noise, masked picture, mask: more channels in than out; heads of unequal axes
    "fill": dict(
        grid=(4, 7),
        text=9,
        config=dict(
            SMALL,
            attention_head_dim=12,
            axes_dims_rope=(2, 6, 4),
            num_attention_heads=3,
            in_channels=96,
            out_channels=16,
            num_layers=1,
            num_single_layers=2,
            guidance_embeds=True,
        ),
    ),
}
TIMES = (1000.0, 731.25, 12.5)


def picture_ids(rows, cols):
    ids = torch.zeros(rows, cols, 3)
    ids[..., 1] += torch.arange(rows)[:, None]
    ids[..., 2] += torch.arange(cols)[None, :]
    return ids.reshape(-1, 3)


def make_case(folder, grid, text, config, seed):
    model = randomise(FluxTransformer2DModel(**config), seed, {"to_q.weight": 2.0})
    model.save_pretrained(folder)
    names = [f"transformer_blocks.{i}" for i in range(config["num_layers"])]
    names += [f"single_transformer_blocks.{i}" for i in range(config["num_single_layers"])]
    taps = Taps(model, ["time_text_embed", "x_embedder", "context_embedder"])
    blocks = {}

    def keep(name):
        def hook(module, args, output):
            blocks[name] = [o.clone() for o in output]  # text, then picture

        return hook

    modules = dict(model.named_modules())
    for name in names:
        modules[name].register_forward_hook(keep(name))
    rows, cols = grid
    x = noise((1, rows * cols, config["in_channels"]), seed + 1)
    t5, pooled = noise((1, text, 32), seed + 2), noise((1, 20), seed + 3)
    out = {"in.latent": x[0], "in.text": t5[0], "in.pooled": pooled, "in.times": torch.tensor(TIMES)}
    for step, t in enumerate(TIMES):
        guidance = torch.tensor([3.5]) if config["guidance_embeds"] else None
        y = model(
            hidden_states=x,
            encoder_hidden_states=t5,
            pooled_projections=pooled,
            timestep=torch.tensor([t / 1000]),
            img_ids=picture_ids(rows, cols),
            txt_ids=torch.zeros(text, 3),
            guidance=guidance,
        ).sample
        out[f"step.{step}.output"] = y[0]
        parts = taps.take()
        out[f"step.{step}.time"] = parts["time_text_embed"][0][0]
        if step:
            continue
        out["image"], out["text"] = parts["x_embedder"][0][0], parts["context_embedder"][0][0]
        for name, (c, h) in blocks.items():
            out[f"{name}.text"], out[f"{name}.image"] = c[0], h[0]
    save_tensors(os.path.join(folder, "taps.safetensors"), out)


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), seed=5000 + 10 * i, **case)
