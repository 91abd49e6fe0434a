"""Trains the VAE: single frames first, then 5, then 17. Restartable: run the same command again.

Loss: L1 on pixels (coloured things count more than the muted ground), L1 on differences between
neighbours in space and time, and a small KL term that keeps the latents near a unit Gaussian.

    python train_vae.py --out runs/vae.pt
"""

import argparse
import math
import os
import time

import numpy as np
import torch

import data
import vae_whole

PHASES = [  # frames, clips drawn a step, pieces of that length cut from each, share of the steps
    (1, 4, 6, 0.16),
    (5, 4, 2, 0.14),
    (17, 4, 1, 0.70),
]
ENCODER_DIM, DECODER_DIM = 24, 24
KL, EDGE, COLOUR = 2e-4, 0.5, 4.0


def batch(step, total):
    at = 0.0
    for frames, count, pieces, share in PHASES:
        at += share
        if step < at * total or frames == 17:
            break
    video = data.clips(10_000_000 + step * 8, count)
    if frames < 17:
        rng = np.random.default_rng(step)
        starts = rng.integers(0, 18 - frames, size=(count, pieces))
        video = np.stack([video[i, :, s : s + frames] for i in range(count) for s in starts[i]])
    return torch.from_numpy(video)


def differences(x):
    yield x[..., 1:] - x[..., :-1]
    yield x[..., 1:, :] - x[..., :-1, :]
    if x.shape[2] > 1:
        yield x[:, :, 1:] - x[:, :, :-1]


def losses(vae, video, seed):
    mean, logvar = vae_whole.encode(vae, video)
    logvar = logvar.clamp(-20, 10)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    out = vae_whole.decode(vae, mean + noise * torch.exp(0.5 * logvar))
    chroma = (video.amax(1, keepdim=True) - video.amin(1, keepdim=True)) / 2
    pixel = ((out - video).abs() * (1 + COLOUR * chroma)).mean()
    edge = sum((a - b).abs().mean() for a, b in zip(differences(out), differences(video)))
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return pixel + EDGE * edge + KL * kl, (out - video).abs().mean().item() / 2, kl.item()


def rate(step, total, peak):
    warm = min(1.0, (step + 1) / 50)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, step / total))))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--out", default="runs/vae.pt")
    p.add_argument("--steps", type=int, default=2600, help="may be lowered at a restart, to finish sooner")
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    vae = vae_whole.make(ENCODER_DIM, DECODER_DIM)
    opt = torch.optim.AdamW(vae.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=1e-3)
    first = 0
    if os.path.exists(args.out):
        saved = torch.load(args.out, weights_only=True)
        vae.load_state_dict(saved["model"])
        opt.load_state_dict(saved["opt"])
        first = saved["step"]
    else:
        os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)

    def save(step):
        torch.save({"model": vae.state_dict(), "opt": opt.state_dict(), "step": step}, args.out + ".new")
        os.replace(args.out + ".new", args.out)

    began, seen = time.time(), []
    for step in range(first, args.steps):
        for group in opt.param_groups:
            group["lr"] = rate(step, args.steps, args.rate)
        video = batch(step, args.steps)
        loss, l1, kl = losses(vae, video, step)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        opt.step()
        seen.append((loss.item(), l1, kl))
        if (step + 1) % 25 == 0:
            mean = np.mean(seen, axis=0)
            took = (time.time() - began) / (step + 1 - first)
            print(
                f"step {step + 1} frames {video.shape[2]} loss {mean[0]:.4f} l1 {mean[1] * 255:.2f}/255 "
                f"kl {mean[2]:.2f} {took:.2f} s/step",
                flush=True,
            )
            seen = []
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            save(step + 1)


if __name__ == "__main__":
    main()
