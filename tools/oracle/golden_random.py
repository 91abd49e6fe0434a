"""torch's CPU generator: randn of every small size, a large one by its hash, and mixed calls.

normal.safetensors: `seeds/words` I32 [seeds, 4], 16 bits each, low first; and per seed i `<i>/`
  sizes       randn(1), randn(2), ... randn(40), each from a fresh generator
  thousand    randn(1000)
  large_ends  first 16 and last 32 values of randn(100003)
  large_hash  I32 [2], FNV-1a of its bytes
  mixed       one generator: randn 3, 20, 5, rand 4, randn 1, 16, 17, 15, 2, 700
"""

import os

import torch

import golden

SEEDS = (0, 42, 2**32 - 1, 2**32 + 42, 0x123456789ABCDEF0, -1, -(2**63) + 7)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def fnv1a(data):
    """64 bits as two i32, low half first."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    halves = [h & 0xFFFFFFFF, h >> 32]
    return torch.tensor([v - 2**32 if v >= 2**31 else v for v in halves], dtype=torch.int32)


def mixed(g):
    """Small draws keep half a pair back, across large draws and uniforms."""
    parts = [torch.randn(n, generator=g) for n in (3, 20, 5)]
    parts.append(torch.rand(4, generator=g))
    parts += [torch.randn(n, generator=g) for n in (1, 16, 17, 15, 2, 700)]
    return torch.cat(parts)


def make(folder):
    words = [[seed >> shift & 0xFFFF for shift in (0, 16, 32, 48)] for seed in SEEDS]
    tensors = {"seeds/words": torch.tensor(words)}
    for i, seed in enumerate(SEEDS):
        sizes = [torch.randn(n, generator=generator(seed)) for n in range(1, 41)]
        large = torch.randn(100003, generator=generator(seed))
        tensors[f"{i}/sizes"] = torch.cat(sizes)
        tensors[f"{i}/thousand"] = torch.randn(1000, generator=generator(seed))
        tensors[f"{i}/large_ends"] = torch.cat([large[:16], large[-32:]])
        tensors[f"{i}/large_hash"] = fnv1a(large.numpy().tobytes())
        tensors[f"{i}/mixed"] = mixed(generator(seed))
    golden.save_tensors(os.path.join(folder, "normal.safetensors"), tensors)
