"""ControlNet of SDXL: tests/golden/controlnet/<case>/{config.json, diffusion_pytorch_model.safetensors, taps.safetensors}.

Weights are f16. The case "original" is spelled as in single files.
"""

import os

import torch
from diffusers import ControlNetModel
from safetensors.torch import save_file

from golden import Taps, noise, randomise, save_tensors
from golden_sdxl_unet import BASE, STEPS, original_name, to_half

SHARED = {k: v for k, v in BASE.items() if k not in ("sample_size", "up_block_types")}
CASES = {
    "base": dict(size=(8, 6), config=SHARED | dict(conditioning_embedding_out_channels=(4, 6, 8, 8))),
    "original": dict(
        size=(5, 7),
        config=SHARED | dict(block_out_channels=(8, 8, 16), layers_per_block=1, attention_head_dim=(1, 1, 2),
                             conditioning_embedding_out_channels=(3, 4, 5, 6)),
    ),
}
SCALE = 0.7


def original(name, layers, levels):
    parts = name.split(".")
    if parts[0] == "controlnet_cond_embedding":
        n = {"conv_in": 0, "conv_out": 14}.get(parts[1])
        return f"input_hint_block.{2 + 2 * int(parts[2]) if n is None else n}.{parts[-1]}"
    if parts[0] == "controlnet_down_blocks":
        return f"zero_convs.{parts[1]}.0.{parts[-1]}"
    if parts[0] == "controlnet_mid_block":
        return f"middle_block_out.0.{parts[-1]}"
    return original_name(name, layers, levels)


def make_case(folder, size, config, seed):
    model = randomise(ControlNetModel(**config), seed, {"to_q.weight": 2.0})
    to_half(model)
    model.save_config(folder)
    tensors = {k: v.half().contiguous() for k, v in model.state_dict().items()}
    if os.path.basename(folder) == "original":
        tensors = {"control_model." + original(k, config["layers_per_block"], 3): v for k, v in tensors.items()}
    save_file(tensors, os.path.join(folder, "diffusion_pytorch_model.safetensors"))
    taps = Taps(model, ["controlnet_cond_embedding"])
    x = noise((1, 4, *size), seed + 1)
    picture = noise((1, 3, 8 * size[0], 8 * size[1]), seed + 2).sigmoid()
    ids = torch.tensor([[96.0, 64.0, 3.0, 0.0, 80.0, 64.0]])
    out = {"input": x[0], "time_ids": ids[0], "picture": picture[0]}
    for b in range(2):
        out[f"text.{b}"] = noise((4, config["cross_attention_dim"]), seed + 3 + b)
        out[f"pooled.{b}"] = noise((1, 12), seed + 5 + b)
        for s, t in enumerate(STEPS):
            skips, mid = model(x, torch.tensor(t), out[f"text.{b}"][None], picture, SCALE,
                               added_cond_kwargs=dict(text_embeds=out[f"pooled.{b}"], time_ids=ids), return_dict=False)
            if (b, s) in ((0, 0), (1, 1)):
                out |= {f"skip.{b}.{i}": p[0] for i, p in enumerate(skips)} | {f"mid.{b}": mid[0]}
    out["hint"] = taps.take()["controlnet_cond_embedding"][0][0]
    save_tensors(os.path.join(folder, "taps.safetensors"), out)


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), seed=5500 + 10 * i, **case)
