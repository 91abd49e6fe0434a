"""Quantised weights as bitsandbytes and ComfyUI lay them out in safetensors, and the f32 values that
bitsandbytes (or the formula, where there is no CPU kernel) reads back from the very same bytes.

weights.safetensors: the files' tensors; values.safetensors: name of the weight -> f32.
"""

import json
import os

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

from golden import noise


def four_bit(name, shape, kind, nested, blocksize, tensors, values, dtype=torch.bfloat16):
    weight = noise(shape, len(tensors)).to(dtype)
    packed, state = bnb.quantize_4bit(weight, blocksize=blocksize, compress_statistics=nested, quant_type=kind)
    tensors[f"{name}.weight"] = packed
    for key, value in state.as_dict(packed=True).items():
        tensors[f"{name}.weight.{key}"] = value
    state.dtype = torch.float32
    values[f"{name}.weight"] = bnb.dequantize_4bit(packed, state)


def int8(name, shape, tensors, values):
    weight = noise(shape, 7).half()
    scb = weight.float().abs().amax(1)
    codes = torch.round(weight.float() * 127 / scb[:, None]).to(torch.int8)
    tensors[f"{name}.weight"] = codes
    tensors[f"{name}.SCB"] = scb
    tensors[f"{name}.weight_format"] = torch.tensor(0, dtype=torch.uint8)
    values[f"{name}.weight"] = codes.float() * scb[:, None] * torch.tensor(7.874015718698502e-3)


def scaled(name, dtype, key, tensors, values, rows=False):
    weight = noise((6, 40), 9) * 3
    scale = weight.abs().amax(1, keepdim=True) if rows else weight.abs().max()
    if dtype == torch.int8:
        scale = scale / 127
        codes = torch.round(weight / scale).to(dtype)
    else:
        scale = scale / torch.finfo(dtype).max
        codes = (weight / scale).to(dtype)
    tensors[f"{name}.weight"] = codes
    tensors[f"{name}.{key}"] = scale
    values[f"{name}.weight"] = codes.float() * scale


def text(value):
    return torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)


def make(folder):
    os.makedirs(folder)
    torch.manual_seed(0)
    tensors, values = {}, {}
    four_bit("nf4", (48, 80), "nf4", False, 64, tensors, values)
    four_bit("nf4_nested", (48, 80), "nf4", True, 64, tensors, values)
    four_bit("nf4_ragged", (33, 7), "nf4", True, 64, tensors, values, torch.float16)
    four_bit("nf4_wide", (300, 128), "nf4", True, 64, tensors, values)  # 600 scales: three nested blocks
    four_bit("nf4_128", (16, 96), "nf4", False, 128, tensors, values, torch.float32)
    four_bit("fp4", (48, 80), "fp4", False, 64, tensors, values)
    four_bit("fp4_nested", (33, 7), "fp4", True, 64, tensors, values)
    four_bit("storage", (16, 64), "nf4", False, 64, tensors, values)
    tensors["storage.weight"] = tensors["storage.weight"].flatten().view(torch.bfloat16)[:, None]  # bnb_4bit_quant_storage
    int8("int8", (5, 24), tensors, values)
    scaled("old_e4m3", torch.float8_e4m3fn, "scale_weight", tensors, values)
    scaled("e5m2", torch.float8_e5m2, "weight_scale", tensors, values)
    scaled("e4m3_rows", torch.float8_e4m3fn, "weight_scale", tensors, values, rows=True)
    scaled("int8_whole", torch.int8, "weight_scale", tensors, values)
    scaled("int8_rows", torch.int8, "weight_scale", tensors, values, rows=True)
    tensors["old_e4m3.scale_input"] = torch.tensor(1.0)
    tensors["e5m2.input_scale"] = torch.tensor(1.0)
    tensors["e5m2.comfy_quant"] = text({"format": "float8_e5m2", "full_precision_matrix_mult": False})
    tensors["int8_whole.comfy_quant"] = text({"format": "int8_tensorwise", "convrot": False})
    tensors["scaled_fp8"] = torch.tensor([0.0, 0.0]).to(torch.float8_e4m3fn)
    tensors["plain_e4m3.weight"] = noise((4, 8), 3).to(torch.float8_e4m3fn)
    values["plain_e4m3.weight"] = tensors["plain_e4m3.weight"].float()
    tensors["nf4.bias"] = noise((48,), 4).bfloat16()
    values["nf4.bias"] = tensors["nf4.bias"].float()
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(folder, "weights.safetensors"),
              {"format": "pt"})
    save_file({k: v.contiguous() for k, v in values.items()}, os.path.join(folder, "values.safetensors"))
