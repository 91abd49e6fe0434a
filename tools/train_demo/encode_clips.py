"""Draws clips, encodes them with the trained VAE and stores latents and captions in shards.

A shard is runs/latents/00000.npz: z f16 [N, 16, 5, 8, 8] (posterior means, not normalised), thing
f16 [N, 5, 8, 8] (how much of a coloured thing lies under each latent) and captions [N, 4].
Existing shards are kept, so the command can be repeated with a larger --shards.

    python encode_clips.py --vae runs/vae.pt --out runs/latents --shards 32
"""

import argparse
import os
import time

import numpy as np
import torch

import data
import train_vae
import vae_whole

CAPTIONS, CHUNK = 4, 16


def load_vae(path):
    vae = vae_whole.make(train_vae.ENCODER_DIM, train_vae.DECODER_DIM)
    vae.load_state_dict(torch.load(path, weights_only=True)["model"])
    return vae.eval().requires_grad_(False)


def encode(vae, frames):
    """frames: list of [F, H, W, 3] in 0..1 -> latent means [B, 16, 5, 8, 8]"""
    video = np.stack(frames).transpose(0, 4, 1, 2, 3) * 2 - 1
    return vae_whole.encode(vae, torch.from_numpy(np.ascontiguousarray(video)))[0]


def read(folder):
    """All shards -> z f16 [N, 16, 5, 8, 8], thing f16 [N, 5, 8, 8], captions (list of lists)"""
    names = sorted(n for n in os.listdir(folder) if n.endswith(".npz"))
    shards = [np.load(os.path.join(folder, n)) for n in names]
    z = torch.from_numpy(np.concatenate([s["z"] for s in shards]))
    thing = torch.from_numpy(np.concatenate([s["thing"] for s in shards]))
    return z, thing, [list(row) for s in shards for row in s["captions"]]


def small_rgb(frames):
    """frames [B, 17, 64, 64, 3] -> mean colour under each latent [B, 5, 8, 8, 3]"""
    small = frames.reshape(-1, data.FRAMES, 8, 8, 8, 8, 3).mean((3, 5))
    return np.concatenate([small[:, :1], small[:, 1:].reshape(-1, 4, 4, 8, 8, 3).mean(2)], 1)


def chroma(frames):
    """How much of a coloured thing lies under each latent [B, 5, 8, 8], about 0..1"""
    most = np.stack([(f.max(-1) - f.min(-1))[..., None].repeat(3, -1) for f in frames])
    return np.clip((small_rgb(most)[..., 0] - 0.12) * 2.5, 0, 1)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--vae", default="runs/vae.pt")
    p.add_argument("--out", default="runs/latents")
    p.add_argument("--first", type=int, default=0, help="number of the first shard")
    p.add_argument("--shards", type=int, default=20)
    p.add_argument("--size", type=int, default=512, help="clips in a shard")
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    os.makedirs(args.out, exist_ok=True)
    vae = load_vae(args.vae)
    for shard in range(args.first, args.first + args.shards):
        path = os.path.join(args.out, f"{shard:05d}.npz")
        if os.path.exists(path):
            continue
        began, z, thing, captions = time.time(), [], [], []
        for at in range(0, args.size, CHUNK):
            drawn = [data.clip(shard * args.size + at + i, CAPTIONS) for i in range(CHUNK)]
            with torch.no_grad():
                z.append(encode(vae, [d[0] for d in drawn]).half().numpy())
            thing.append(chroma([d[0] for d in drawn]).astype(np.float16))
            captions += [d[1] for d in drawn]
        with open(path + ".new", "wb") as f:
            np.savez(f, z=np.concatenate(z), thing=np.concatenate(thing), captions=np.array(captions))
        os.replace(path + ".new", path)
        print(f"shard {shard}: {args.size} clips in {time.time() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
