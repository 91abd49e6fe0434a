"""Wan video VAE: tests/golden/wan_vae/<case>/: a model folder and frames<N>.safetensors.

diffusers runs the encoder on frames 1, 4, 4, ... and the decoder on one latent frame at a time. A tap
is the outputs of those runs joined along time in that order: the whole sequence as one causal pass sees it.
"""

import os

import torch
from diffusers import AutoencoderKLWan

from golden import Taps, noise, randomise, save_model, save_tensors

# cases of one VAE: (frames, height, width, taps too)
CASES = {
    "v21": dict(
        config=dict(
            base_dim=4, z_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=2, temperal_downsample=[False, True, True]
        ),
        runs=[(17, 16, 24, True), (5, 32, 24, False), (1, 32, 48, False)],
    ),
    "v22": dict(
        config=dict(
            base_dim=3,
            decoder_base_dim=4,
            z_dim=6,
            dim_mult=[1, 2, 4, 4],
            num_res_blocks=2,
            temperal_downsample=[False, True, True],
            is_residual=True,
            in_channels=12,
            out_channels=12,
            patch_size=2,
            scale_factor_spatial=16,
        ),
        runs=[(17, 32, 48, True), (5, 32, 32, False), (1, 32, 48, False)],
    ),
    "v22_short": dict(
        config=dict(
            base_dim=6,
            decoder_base_dim=4,
            z_dim=4,
            dim_mult=[1, 2, 2],  # the last block may not widen: AvgDown3D has no shortcut for it
            num_res_blocks=1,
            temperal_downsample=[True, True],
            is_residual=True,
            in_channels=12,
            out_channels=12,
            patch_size=2,
            scale_factor_spatial=8,
        ),
        runs=[(17, 16, 24, True), (5, 24, 40, False), (1, 24, 40, False)],
    ),
}


def statistics(z_dim, seed):
    """latents_mean and latents_std: the published ones have 16 or 48 values, one per channel."""
    mean = (0.5 * noise((z_dim,), seed)).tolist()
    std = (0.6 + noise((z_dim,), seed + 1).abs()).tolist()
    return dict(latents_mean=[round(v, 4) for v in mean], latents_std=[round(v, 4) for v in std])


def build(config, seed):
    config = dict(config)
    if "latents_mean" not in config:
        config.update(statistics(config["z_dim"], seed + 1))
    # Pictures in -1..1 with few clamped pixels.
    return randomise(AutoencoderKLWan(**config), seed, {"decoder.conv_out.weight": 0.7})


def tap_names(vae):
    names = ["quant_conv", "post_quant_conv"]
    for side in ("encoder", "decoder"):
        names += [f"{side}.conv_in", f"{side}.mid_block"]
        names += [f"{side}.mid_block.{part}" for part in ("resnets.0", "attentions.0")]
    names += [f"encoder.down_blocks.{i}" for i in range(len(vae.encoder.down_blocks))]
    names += [f"decoder.up_blocks.{i}" for i in range(len(vae.decoder.up_blocks))]
    return names


def join(parts):
    return {name: torch.cat(p, dim=2)[0] for name, p in parts.items() if p}


def run(vae, video, taps):
    """mu is what the pipelines use as latent; decoding starts from mu, not from its normalised form."""
    mu = vae.encode(video).latent_dist.mode()
    decoded = vae.decode(mu).sample
    out = {"video": video[0], "mu": mu[0], "decoded": decoded[0]}
    out.update(join(taps.take()) if taps else {})
    return out


def make_case(folder, case, seed):
    vae = build(case["config"], seed)
    save_model(vae, folder)
    for i, (frames, height, width, tapped) in enumerate(case["runs"]):
        video = torch.tanh(noise((1, 3, frames, height, width), seed + 5 + i))
        taps = Taps(vae, tap_names(vae)) if tapped else None
        save_tensors(os.path.join(folder, f"frames{frames}.safetensors"), run(vae, video, taps))
        if taps:
            taps.remove()


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), case, 3000 + 10 * i)
