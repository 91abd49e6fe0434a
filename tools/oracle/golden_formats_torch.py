"""torch.save in every form that checkpoints come in; beside each file its tensors as safetensors."""

import collections
import os

import torch
from safetensors.torch import save_file


def count(shape, dtype=torch.float32):
    n = 1
    for d in shape:
        n *= d
    values = torch.arange(n, dtype=torch.float64) - (0 if "uint" in str(dtype) else 3)
    return (values % 2 if dtype == torch.bool else values).reshape(shape).to(dtype)


TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
         torch.int8, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32]


def types():
    return {str(t).removeprefix("torch."): count((2, 3), t) for t in TYPES}


def strides():
    base = count((4, 6))
    images = count((2, 3, 4, 5)).to(memory_format=torch.channels_last)
    return {"transposed": base.t(), "columns": base[:, 1:4], "rows": base[1:3], "steps": base[::2, ::3],
            "channels_last": images, "expanded": count((3, 1)).expand(3, 4), "scalar": count(()),
            "empty": count((0, 5)), "permuted": count((2, 3, 4), torch.bfloat16).permute(2, 0, 1),
            "windows": count((7,), torch.float16).unfold(0, 3, 1), "one": count((5, 1)).t()}


def module():
    layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    for i, tensor in enumerate(layers.state_dict().values()):
        tensor.copy_(count(tensor.shape).to(tensor.dtype) + i)
    return layers


def many():
    whole = count((1100,))
    return {f"layer.{i}.weight": whole[i : i + 1] for i in range(1100)}


def cases():
    """name, object, its tensors by the names that a reader must give them, stacked or not"""
    yield "types", types(), types(), False
    yield "strides", strides(), strides(), False
    yield "stacked_strides", strides(), strides(), True
    state = module().state_dict()  # an OrderedDict with _metadata
    yield "module", state, dict(state), False
    yield "stacked_module", state, dict(state), True
    named = dict(module().named_parameters())
    yield "parameters", named, named, False
    inner = {"module.a.weight": count((2, 2)), "module.b": count((3,), torch.bfloat16)}
    plain = {name.removeprefix("module."): tensor for name, tensor in inner.items()}
    yield "wrapped", {"params": {"module.a.weight": count((1,))}, "params_ema": inner, "iter": 7, "x": None,
                      "lr": 1e-3, "on": True, "betas": [0.9, 0.999], "shape": torch.Size([2])}, plain, False
    yield "only_key", {"generator": {"state_dict": collections.OrderedDict(plain)}}, plain, False
    compiled = {f"module._orig_mod.{name}": tensor for name, tensor in plain.items()}
    yield "compiled", compiled, plain, False
    yield "many", many(), many(), False


def make(folder):
    os.makedirs(folder)
    for name, value, tensors, stacked in cases():
        path = os.path.join(folder, name)
        torch.save(value, path + ".pth", _use_new_zipfile_serialization=not stacked)
        tensors = {key: t.detach().contiguous().clone() for key, t in tensors.items()}
        save_file(tensors, path + ".safetensors")
    torch.save(module(), os.path.join(folder, "whole_module.pth"))
    torch.save(count((3,)), os.path.join(folder, "single.pth"))
    torch.save({"z": torch.zeros(2, dtype=torch.complex64)}, os.path.join(folder, "complex.pth"))
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), os.path.join(folder, "script.pth"))
