"""Wan video VAE: tests/golden/wan_vae/<case>/: a model folder and frames<N>.safetensors.

diffusers runs the encoder on frames 1, 4, 4, ... and the decoder on one latent frame at a time.
"""

import os

import torch
from diffusers import AutoencoderKLWan

from golden import noise, randomise, save_model, save_tensors

# cases of one VAE: (frames, height, width)
CASES = {
    "v21": dict(
        config=dict(
            base_dim=4, z_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=2, temperal_downsample=[False, True, True]
        ),
        runs=[(17, 16, 24), (5, 32, 24), (1, 32, 48)],
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
        runs=[(17, 32, 48), (5, 32, 32), (1, 32, 48)],
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
        runs=[(17, 16, 24), (5, 24, 40), (1, 24, 40)],
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


def run(vae, video):
    """mu is what the pipelines use as latent; decoding starts from mu, not from its normalised form."""
    mu = vae.encode(video).latent_dist.mode()
    decoded = vae.decode(mu).sample
    return {"video": video[0], "mu": mu[0], "decoded": decoded[0]}


def make_case(folder, case, seed):
    vae = build(case["config"], seed)
    save_model(vae, folder)
    for i, (frames, height, width) in enumerate(case["runs"]):
        video = torch.tanh(noise((1, 3, frames, height, width), seed + 5 + i))
        save_tensors(os.path.join(folder, f"frames{frames}.safetensors"), run(vae, video))


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), case, 3000 + 10 * i)
