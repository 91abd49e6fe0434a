"""Print the table of test_widen.c: hashes of gguf-py's values of 64 seeded blocks per type.

Needs the package gguf. Same byte generator as matrix_fill in matrices.h."""
import numpy as np
from gguf import quants
from gguf.constants import GGMLQuantizationType as T

# type: bytes per block, offsets of binary16 fields
BLOCKS = {
    "Q4_0": (18, [0]), "Q4_1": (20, [0, 2]), "Q5_0": (22, [0]), "Q5_1": (24, [0, 2]),
    "Q8_0": (34, [0]), "Q2_K": (84, [80, 82]), "Q3_K": (110, [108]), "Q4_K": (144, [0, 2]),
    "Q5_K": (176, [0, 2]), "Q6_K": (210, [208]), "IQ4_NL": (18, [0]), "IQ4_XS": (136, [0]),
}


def fill(block_bytes, fields, n_blocks=64, seed=1):
    data = np.empty(block_bytes * n_blocks, np.uint8)
    for i in range(data.size):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        data[i] = seed >> 24
    for field in fields:
        data[field + 1 :: block_bytes] &= 0xBF
    return data


def fnv(values):
    bits = values.astype("<f4").view("<u4").copy()
    bits[bits == 0x80000000] = 0
    h = 14695981039346656037
    for byte in bits.tobytes():
        h = ((h ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return h


for name, (block_bytes, fields) in BLOCKS.items():
    values = quants.dequantize(fill(block_bytes, fields).reshape(1, -1), T[name]).ravel()
    assert np.isfinite(values).all()
    print(f"        {{ DT_{name}, 0x{fnv(values):016x}u }},")
