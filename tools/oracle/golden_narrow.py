"""Quantised blocks: tests/golden/narrow/: values, and the bytes that ggml, bitsandbytes and torch make of them."""

import ctypes
import glob
import importlib.util
import os
import subprocess
import tempfile

import numpy as np
import torch
from bitsandbytes import functional
from safetensors.torch import save_file

K, ROWS = 256, 48
GGML = dict(Q4_0=(2, 18, 32), Q4_1=(3, 20, 32), Q5_0=(6, 22, 32), Q5_1=(7, 24, 32), Q8_0=(8, 34, 32))
GGML.update(Q2_K=(10, 84, K), Q4_K=(12, 144, K), Q5_K=(13, 176, K), Q6_K=(14, 210, K))


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


def ggml():
    """The reference quantisers of llama.cpp, as a shared library inside a wheel."""
    folder = importlib.util.find_spec("llama").submodule_search_locations[0]
    with tempfile.TemporaryDirectory() as scratch:  # built for a newer libstdc++: one symbol, never called
        shim = os.path.join(scratch, "shim.so")
        source = b"void __cxa_call_terminate(void *e) { (void)e; __builtin_trap(); }"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, "-x", "c", "-"], input=source, check=True)
        ctypes.CDLL(shim, mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(glob.glob(os.path.join(folder, "_llama_cpp_cpu*.so"))[0])
    library.ggml_init.restype, library.ggml_init.argtypes = ctypes.c_void_p, [InitParams]
    library.ggml_init(InitParams(1 << 20, None, True))  # fills the table of halves: without it all scales read as 0
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    return library


def draw():
    """Rows of 256: as weights are, heavy tails, sparse, constant, integers, tiny, of one sign, zero, by the test of ggml."""
    rng = np.random.default_rng(77)
    rows = rng.normal(0, 0.04, (ROWS, K))
    rows[20:26] = rng.standard_t(2, (6, K))
    rows[26:29] = rng.normal(0, 1, (3, K)) * (rng.random((3, K)) < 0.05)
    rows[29], rows[30], rows[31] = 0.5, -3.0, 0.0
    rows[32:34] = rng.integers(-9, 9, (2, K))
    rows[34:36] = rng.normal(0, 1e-7, (2, K))
    rows[36:38] = np.abs(rng.normal(0, 0.1, (2, K)))
    rows[38:40] = -np.abs(rng.normal(0, 0.1, (2, K)))
    rows[40:44] = 0.1 + 2 * np.cos(np.arange(4 * K).reshape(4, K))
    rows[44, ::2], rows[45, 128:] = 0.0, 0.0
    return np.ascontiguousarray(rows, dtype=np.float32)


def blocks(values):
    library, out = ggml(), {}
    for name, (number, width, block) in GGML.items():
        to = np.zeros(values.size // block * width, np.uint8)
        n = library.ggml_quantize_chunk(number, values.ctypes.data, to.ctypes.data, 0, ROWS, K, None)
        assert n == to.size
        out[name] = torch.from_numpy(to)
    return out


def four_bits(x):
    """As on a GPU: blockwise scales by the exact quantiser (the one for the CPU looks up an approximation)."""
    out = {}
    for kind in ("nf4", "fp4"):
        codes, state = functional.quantize_4bit(x, quant_type=kind, blocksize=64)
        out[kind], out[kind + "_scales"] = codes.flatten(), state.absmax
    map_ = functional.create_dynamic_map()
    absmax = out["nf4_scales"]
    offset = absmax.double().mean().float()
    code, nested = exact_blockwise(absmax - offset, map_, 256)
    out.update({"map": map_, "offset": offset.reshape(1), "codes": code, "nested": nested})
    return out


def exact_blockwise(values, code, block):
    """bitsandbytes.backends.default.ops, quantize_blockwise, for whole blocks and a rest."""
    codes, scales = [], []
    bounds = (code[:-1] + code[1:]) / 2
    for part in values.split(block):
        scale = part.abs().max()
        scaled = torch.clamp(part * (1.0 / scale.clamp(min=1e-38)), -1, 1)
        codes.append(torch.bucketize(scaled, bounds, out_int32=True).to(torch.uint8))
        scales.append(scale)
    return torch.cat(codes), torch.stack(scales)


def plain(x):
    wide = torch.cat([x.flatten() * 100, torch.tensor([448.0, 464.0, 465.0, 1e9, -1e9, 57344.0, 65000.0, 0.0, -0.0])])
    wide = torch.cat([wide, torch.arange(-64, 64) * 2.0**-11, torch.arange(-64, 64) * 2.0**-18])
    return {
        "wide": wide,
        "F8_E4M3": wide.clamp(-448, 448).to(torch.float8_e4m3fn).view(torch.uint8),
        "F8_E5M2": wide.clamp(-57344, 57344).to(torch.float8_e5m2).view(torch.uint8),
        "F16": wide.half().view(torch.int16),
        "BF16": wide.bfloat16().view(torch.int16),
    }


def make(folder):
    os.makedirs(folder)
    values = draw()
    x = torch.from_numpy(values)
    tensors = dict(values=x, **blocks(values), **four_bits(x), **plain(x[:24]))
    save_file(tensors, os.path.join(folder, "narrow.safetensors"))
