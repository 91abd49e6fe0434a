"""A GGUF file by gguf-py with every kind of pair and every block type, and the values gguf-py reads.

all.gguf: the file; values.safetensors: name -> f32, in the shape that a reader must give the tensor.
"""

import os

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from safetensors.numpy import save_file

BLOCKS = "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()
# where a block's binary16 numbers lie: random bytes there would be NaN now and then
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}


def blocks(name, n, random):
    size = GGML_QUANT_SIZES[Type[name]][1]
    data = random.integers(0, 256, (n, size), dtype=np.uint8)
    for at in HALVES[name]:
        data[:, at : at + 2] = random.standard_normal(n).astype("<f2").view(np.uint8).reshape(n, 2)
    return data


def add_pairs(w):
    w.add_uint8("t.u8", 200)
    w.add_int8("t.i8", -5)
    w.add_uint16("t.u16", 65535)
    w.add_int16("t.i16", -300)
    w.add_uint32("t.u32", 4000000000)
    w.add_int32("t.i32", -2000000000)
    w.add_float32("t.f32", 0.5)
    w.add_bool("t.bool", True)
    w.add_string("t.string", "ein Text, 文")
    w.add_uint64("t.u64", 2**63)
    w.add_int64("t.i64", -(2**62))
    w.add_float64("t.f64", 1e300)
    w.add_array("tokenizer.ggml.tokens", ["<pad>", "</s>", "▁a"])
    w.add_array("tokenizer.ggml.scores", [0.0, -1.5, -2.0])
    w.add_array("t.bools", [True, False])
    w.add_array("comfy.gguf.orig_shape.cut.weight", [32, 8, 3, 3])


def make(folder):
    os.makedirs(folder)
    random = np.random.default_rng(5)
    w = gguf.GGUFWriter(os.path.join(folder, "all.gguf"), "wan")
    w.add_custom_alignment(64)
    add_pairs(w)
    values = {}
    for name in BLOCKS:
        block, size = GGML_QUANT_SIZES[Type[name]]
        data = blocks(name, 2 * 512 // block, random).reshape(2, -1)
        w.add_tensor(f"{name}.weight", data, raw_dtype=Type[name])
        values[f"{name}.weight"] = gguf.quants.dequantize(data, Type[name])
    data = blocks("Q4_K", 9, random)
    w.add_tensor("cut.weight", data, raw_dtype=Type.Q4_K)
    values["cut.weight"] = gguf.quants.dequantize(data, Type.Q4_K).reshape(32, 8, 3, 3)
    for name, array in {
        "f32": random.standard_normal((3, 5)).astype(np.float32),
        "f16": random.standard_normal((7,)).astype(np.float16),
        "patch_embedding.weight": random.standard_normal((4, 3, 1, 2, 2)).astype(np.float32),
        "i32": np.arange(6, dtype=np.int32).reshape(2, 3),
    }.items():
        w.add_tensor(name, array)
        values[name] = array.astype(np.float32)
    bf16 = (random.standard_normal((2, 8)).astype("<f4").view("<u4") >> 16).astype("<u2")
    w.add_tensor("bf16", bf16.view(np.uint8), raw_dtype=Type.BF16)
    values["bf16"] = (bf16.astype("<u4") << 16).view("<f4")
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in values.items()},
              os.path.join(folder, "values.safetensors"))
