"""BiRefNet: tests/golden/birefnet/{tensors.txt, <case>.safetensors, picture.png, hard.png, soft.png}.

Its smallest network still has 12 million weights, so they are not stored: tensors.txt says for each tensor its name,
mean, width and dimensions, and every value follows from the name and its place (`values`), here and in the test.

The reference is not packaged: BIREFNET_SOURCE names a checkout of github.com/ZhengPeng7/BiRefNet (made with 25cb930).
picture.png is cut out twice: with hard edges as the advertisement service does it, with soft ones as the model card.
Without it the goldens are left as they are. einops, kornia, timm and torchvision are needed, too.
"""

import math
import os
import sys
import types

import numpy as np
import torch
from PIL import Image

import golden
from tiny_wan import draw_image

SOURCE = os.environ.get("BIREFNET_SOURCE", "")
MISSING = None if SOURCE else "BIREFNET_SOURCE is not set"
SWIN = dict(embed_dim=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8], window_size=4)
CHANNELS = [2 * SWIN["embed_dim"] * k for k in (8, 4, 2, 1)]
CASES = {"hf": (64, 96), "train": (64, 96), "odd": (96, 96)}
NEW, OLD = "b c (hg h) (wg w) -> b (c hg wg) h w", "b c (hg h) (wg w) -> b (wg hg c) h w"


def load_reference():
    """The module, on a small backbone, without the data set's code."""
    sys.path.insert(0, SOURCE)
    sys.modules["dataset"] = types.SimpleNamespace(class_labels_TR_sorted=[])
    import config

    init = config.Config.__init__

    def small(self):
        init(self)
        self.lateral_channels_in_collection = list(CHANNELS)
        self.cxt = CHANNELS[1:][::-1][-self.cxt_num :]

    config.Config.__init__ = small
    stub = types.ModuleType("models.backbones.build_backbone")
    stub.build_backbone = None
    sys.modules[stub.__name__] = stub
    from models.backbones.swin_v1 import SwinTransformer

    stub.build_backbone = lambda *_, **__: SwinTransformer(**SWIN)
    import models.birefnet

    return models.birefnet


def values(name, n):
    """n numbers in -1..1 that follow from the name (FNV-1a) and the place (a mix of 32 bits)."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
        x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
        x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
        x = x ^ x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def spread(name, t):
    """Mean and width of a tensor's values: none is trivial, offsets reach some pixels."""
    if name.endswith("running_var"):
        return 1.0, 0.5
    if "offset_conv" in name or "modulator_conv" in name:
        return 0.0, 0.125
    if name.endswith("bias_table"):
        return 0.0, 0.875
    if t.ndim == 1:
        return (1.0, 0.25) if name.endswith("weight") else (0.0, 0.25)
    return 0.0, 2.0 ** round(math.log2(math.sqrt(3 / t[0].numel())))


def fill(model):
    lines = []
    for name, t in sorted(model.state_dict().items()):
        if not t.is_floating_point():
            continue
        mean, width = spread(name, t)
        drawn = values(name, t.numel()) * np.float32(width) + np.float32(mean)
        t.copy_(torch.from_numpy(drawn).reshape(t.shape))
        lines.append(f"{name} {mean} {width} {' '.join(map(str, t.shape))}\n")
    return lines


def cut_out(model, picture, size, filters, threshold):
    """Resized, normalised, run, resized back, as alpha; filters: there and back."""
    x = torch.from_numpy(np.asarray(picture.resize(size, filters[0]))).permute(2, 0, 1).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x - mean[:, None, None]) / std[:, None, None]
    soft = model(x[None])[-1][0, 0].sigmoid()
    alpha = Image.fromarray(soft.mul(255).byte().numpy(), "L").resize(picture.size, filters[1])
    if threshold:
        alpha = alpha.point(lambda v: 255 if v > 128 else 0)
    out = picture.copy()
    out.putalpha(alpha)
    return out


def make(folder):
    reference = load_reference()
    model = reference.BiRefNet(bb_pretrained=False).eval()
    lines = fill(model)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "tensors.txt"), "w", encoding="utf-8") as f:
        f.writelines(lines)
    blocks = [f"decoder.decoder_block{i}" for i in (4, 3, 2, 1)]
    plain = reference.image2patches
    picture, resampling = draw_image(75, 50, 6010), Image.Resampling
    picture.save(os.path.join(folder, "picture.png"))
    lanczos, card = (resampling.LANCZOS, resampling.LANCZOS), (resampling.BILINEAR, resampling.BICUBIC)
    cut_out(model, picture, (96, 64), lanczos, True).save(os.path.join(folder, "hard.png"))
    cut_out(model, picture, (96, 64), card, False).save(os.path.join(folder, "soft.png"))
    for seed, (case, size) in enumerate(CASES.items()):
        order = OLD if case == "train" else NEW
        reference.image2patches = lambda image, patch_ref, transformation, order=order: plain(
            image, patch_ref=patch_ref, transformation=order
        )
        taps = golden.Taps(model, ["squeeze_module", *blocks])
        x = golden.noise((1, 3, *size), 6000 + seed)
        out = {"picture": x[0], "logits": model(x)[-1][0]}
        parts = taps.take()
        taps.remove()
        out["squeeze"] = parts["squeeze_module"][0][0]
        out |= {f"decoder.{i}": parts[name][0][0] for i, name in enumerate(blocks)}
        golden.save_tensors(os.path.join(folder, f"{case}.safetensors"), out)
