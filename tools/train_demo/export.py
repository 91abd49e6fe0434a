"""Writes the trained parts as a diffusers folder (bf16 safetensors) and checks that it loads.

Everything is first written beside the target and then moved, so a reader never sees half a model.

    python export.py --vae runs/vae.pt --dit runs/dit.pt --tokenizer runs/tokenizer --out ../../models/demo
"""

import argparse
import json
import os
import shutil

import numpy as np
import torch
from diffusers import UniPCMultistepScheduler, WanPipeline
from transformers import T5Tokenizer

import data
import encode_clips
import train_dit

LIMIT_FILE, LIMIT_ALL = 16e6, 24e6


def scheduler():
    return UniPCMultistepScheduler(
        num_train_timesteps=1000, solver_order=2, prediction_type="flow_prediction",
        use_flow_sigmas=True, flow_shift=train_dit.SHIFT,
    )  # fmt: skip


def latent_rgb(vae, mean, std, clips=256, first=900_000):
    """Least squares: normalised latent -> RGB 0..1 of the 8x8 pixels (and 4 frames) under it."""
    rows, colours = [], []
    for at in range(0, clips, 16):
        frames = [data.clip(first + at + i)[0] for i in range(16)]
        with torch.no_grad():
            z = encode_clips.encode(vae, frames)
        z = (z - mean.view(1, -1, 1, 1, 1)) / std.view(1, -1, 1, 1, 1)
        rows.append(z.permute(0, 2, 3, 4, 1).reshape(-1, z.shape[1]).numpy())
        colours.append(encode_clips.small_rgb(np.stack(frames)).reshape(-1, 3))
    a, b = np.concatenate(rows), np.concatenate(colours)
    a = np.concatenate([a, np.ones((len(a), 1), a.dtype)], 1)
    fit = np.linalg.lstsq(a, b, rcond=None)[0]
    error = np.abs(a @ fit - b).mean()
    print(f"latent preview: mean error {error * 255:.1f}/255")
    rounded = [[round(float(x), 4) for x in row] for row in fit]
    return rounded[:-1], rounded[-1]


def check_size(folder):
    total = 0
    for base, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            os.chmod(os.path.join(base, name), 0o644)
            size = os.path.getsize(os.path.join(base, name))
            total += size
            assert size < LIMIT_FILE, (name, size)
            if size > 100_000:
                print(f"{size / 1e6:8.2f} MB  {os.path.relpath(os.path.join(base, name), folder)}")
    print(f"{total / 1e6:8.2f} MB  in all")
    assert total < LIMIT_ALL


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--vae", default="runs/vae.pt")
    p.add_argument("--dit", default="runs/dit.pt")
    p.add_argument("--tokenizer", default="runs/tokenizer")
    p.add_argument("--out", default="../../models/demo")
    args = p.parse_args()
    saved = torch.load(args.dit, weights_only=True)
    tokenizer = T5Tokenizer.from_pretrained(args.tokenizer)
    model = torch.nn.ModuleDict({"text": train_dit.make_text(len(tokenizer)), "dit": train_dit.make_dit()})
    model.load_state_dict(saved["average"])
    vae = encode_clips.load_vae(args.vae)
    vae.register_to_config(
        latents_mean=[round(x, 6) for x in saved["mean"].tolist()],
        latents_std=[round(x, 6) for x in saved["std"].tolist()],
    )
    factors, bias = latent_rgb(vae, saved["mean"], saved["std"])
    pipe = WanPipeline(
        tokenizer=tokenizer,
        text_encoder=model["text"].eval().to(torch.bfloat16),
        vae=vae.to(torch.bfloat16),
        scheduler=scheduler(),
        transformer=model["dit"].eval().to(torch.bfloat16),
        transformer_2=None,
        boundary_ratio=None,
        expand_timesteps=True,
    )
    fresh = args.out.rstrip("/") + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    pipe.save_pretrained(fresh)
    shutil.copy(os.path.join(args.tokenizer, "spiece.model"), os.path.join(fresh, "tokenizer"))
    with open(os.path.join(args.tokenizer, "special_tokens_map.json")) as f:
        special = f.read()
    with open(os.path.join(fresh, "tokenizer", "special_tokens_map.json"), "w") as f:
        f.write(special)
    path = os.path.join(fresh, "vae", "config.json")
    with open(path) as f:
        config = json.load(f)
    config |= {"latent_rgb_factors": factors, "latent_rgb_bias": bias}
    with open(path, "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    check_size(fresh)
    WanPipeline.from_pretrained(fresh, torch_dtype=torch.float32)
    os.makedirs(args.out, exist_ok=True)
    for name in sorted(os.listdir(fresh)):
        old = os.path.join(args.out, name)
        shutil.rmtree(old) if os.path.isdir(old) else None
        os.replace(os.path.join(fresh, name), old)
    os.rmdir(fresh)
    print(f"step {saved['step']} written to {args.out}")


if __name__ == "__main__":
    main()
