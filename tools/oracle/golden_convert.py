"""Conversions: tests/golden/convert/: a small model, and the files that bitsandbytes' and ComfyUI's tools make of it.

The expected files are written whole by safetensors, so `snug convert` must give the same bytes.
"""

import os

import torch
from bitsandbytes import functional
from safetensors.torch import save_file

from golden import noise
from golden_narrow import exact_blockwise

SHAPES = {
    "blocks.0.attn.q.weight": (64, 128),
    "blocks.0.attn.q.bias": (64,),
    "blocks.0.norm.weight": (128,),
    "blocks.1.ffn.up.weight": (100, 64),
    "patch_embedding.weight": (64, 4, 1, 2, 2),
    "proj_out.weight": (64, 64),
    "steps": (),
}
QUANTISED = ("blocks.0.attn.q.weight", "blocks.1.ffn.up.weight")


def draw():
    out = {}
    for i, (name, shape) in enumerate(SHAPES.items()):
        value = 0.05 * noise(shape, 8800 + i)
        out[name] = torch.tensor(1000) if name == "steps" else value.to(torch.float16 if "up" in name else torch.bfloat16)
    return out


def four_bits(name, x, nested):
    """quantize_4bit as on a GPU: its double quantisation on the CPU looks an approximation up."""
    codes, state = functional.quantize_4bit(x, quant_type="nf4", blocksize=64)
    if nested:
        offset = state.absmax.mean()
        assert offset == state.absmax.double().mean().float(), "choose another seed: the means differ by rounding"
        code, absmax = exact_blockwise(state.absmax - offset, functional.create_dynamic_map(), 256)
        inner = functional.QuantState(absmax, code=functional.create_dynamic_map(), blocksize=256, dtype=torch.float32)
        state = functional.QuantState(
            code, shape=x.shape, dtype=x.dtype, blocksize=64, code=state.code, quant_type="nf4", offset=offset, state2=inner
        )
    parts = {f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()}
    return {name: codes, **parts}


def int8(name, x):
    half = x.half()
    most = half.abs().max(dim=1).values.float()
    stem = name.removesuffix("weight")
    codes = torch.round(half * (127.0 / most.unsqueeze(-1))).to(torch.int8)
    return {name: codes, stem + "SCB": most, stem + "weight_format": torch.tensor(0, dtype=torch.uint8)}


def scaled(name, x):
    scale = x.float().abs().max() / 448
    codes = (x.float() * (1 / scale)).clamp(-448, 448).to(torch.float8_e4m3fn)
    return {name: codes, name.removesuffix("weight") + "scale_weight": scale}


def make(folder):
    os.makedirs(folder)
    source = draw()
    forms = {
        "nf4": lambda name, x: four_bits(name, x, True),
        "nf4-plain": lambda name, x: four_bits(name, x, False),
        "int8": int8,
        "fp8": scaled,
    }
    save_file(source, os.path.join(folder, "source.safetensors"), {"format": "pt"})
    for form, function in forms.items():
        out = {name: x for name, x in source.items() if name not in QUANTISED}
        for name in QUANTISED:
            out.update(function(name, source[name]))
        if form == "fp8":
            out["scaled_fp8"] = torch.empty(0, dtype=torch.float8_e4m3fn)
        save_file(out, os.path.join(folder, form + ".safetensors"), {"format": "pt"})
