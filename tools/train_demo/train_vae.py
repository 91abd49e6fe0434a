"""Trains the VAE: single frames first, then 5, 9 and 17. Restartable: run the same command again.

Loss: L1 and L2 on pixels and again on their tint (coloured things count more than the muted ground),
L1 on differences between neighbours in space and time, and a small KL term.

    python train_vae.py --out runs/vae.pt
    python train_vae.py --decoder-of runs/vae.pt --out runs/vae_sharp.pt --steps 800 --rate 8e-3

The second line goes on with the decoder alone: latents stay what they were, pictures get sharper.
"""

import argparse
import math
import os
import time

import numpy as np
import torch

import data
import vae_whole
from muon import Muon, split

PHASES = [  # frames, clips drawn a step, pieces of that length cut from each, share of the steps
    (1, 4, 6, 0.14),
    (5, 4, 2, 0.12),
    (9, 4, 1, 0.34),
    (17, 4, 1, 0.40),
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


def start():
    """Causal convolutions begin almost as image convolutions; sampling noise begins near zero."""
    vae = vae_whole.make(ENCODER_DIM, DECODER_DIM)
    with torch.no_grad():
        for m in vae.modules():
            if not isinstance(m, (torch.nn.Conv2d, torch.nn.Conv3d)):
                continue
            w = m.weight
            if w.ndim == 5 and w.shape[2:] == (3, 3, 3):
                fan = w[0, :, 2].numel()
                w.normal_(0, math.sqrt(0.1 / fan))
                w[:, :, 2].normal_(0, math.sqrt(1.6 / fan))
            else:
                w.normal_(0, math.sqrt(1.3 / w[0].numel()))
            m.bias.zero_()
        vae.quant_conv.weight[16:] *= 0.1
        vae.quant_conv.bias[16:] = -6.0
    return vae


def losses(vae, video, seed):
    mean, logvar = vae_whole.encode(vae, video)
    logvar = logvar.clamp(-20, 10)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    out = vae_whole.decode(vae, mean + noise * torch.exp(0.5 * logvar))
    chroma = (video.amax(1, keepdim=True) - video.amin(1, keepdim=True)) / 2
    error = out - video
    tint = error - error.mean(1, keepdim=True)  # hue errors apart, or hues are learned very late
    each = error.abs() + tint.abs() + 2 * error.square() + 4 * tint.square()
    pixel = (each * (1 + COLOUR * chroma)).mean()
    edge = sum((a - b).abs().mean() for a, b in zip(differences(out), differences(video)))
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return pixel + EDGE * edge + KL * kl, (out - video).abs().mean().item() / 2, kl.item()


def rate(step, total, peak):
    warm = min(1.0, (step + 1) / 20)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, step / total))))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--out", default="runs/vae.pt")
    p.add_argument("--steps", type=int, default=2100, help="may be lowered at a restart, to finish sooner")
    p.add_argument("--rate", type=float, default=2e-2, help="of Muon; a tenth for the rest")
    p.add_argument("--decoder-of", metavar="FILE", help="keep this VAE's encoder, train its decoder only")
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    vae = start()
    if args.decoder_of:
        vae.load_state_dict(torch.load(args.decoder_of, weights_only=True)["model"])
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    matrices, rest = split([vae], lambda name, p: p.ndim >= 4 and "gamma" not in name)
    opts = [Muon(matrices, lr=1), torch.optim.AdamW(rest, lr=1, betas=(0.9, 0.98), weight_decay=0)]
    first = 0
    if os.path.exists(args.out):
        saved = torch.load(args.out, weights_only=True)
        vae.load_state_dict(saved["model"])
        for opt, state in zip(opts, saved["opts"]):
            opt.load_state_dict(state)
        first = saved["step"]
    else:
        os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)

    def save(step):
        torch.save({"model": vae.state_dict(), "opts": [o.state_dict() for o in opts], "step": step}, args.out + ".new")
        os.replace(args.out + ".new", args.out)

    began, seen = time.time(), []
    for step in range(first, args.steps):
        for opt, peak in zip(opts, (args.rate, args.rate / 10)):
            for group in opt.param_groups:
                group["lr"] = rate(step, args.steps, peak)
        video = batch(step + 100_000, args.steps) if args.decoder_of else batch(step, args.steps)
        loss, l1, kl = losses(vae, video, step)
        vae.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for opt in opts:
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
