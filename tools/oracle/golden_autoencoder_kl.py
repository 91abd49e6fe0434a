"""The image VAE: tests/golden/autoencoder_kl/<case>/{config.json, diffusion_pytorch_model.safetensors, taps.safetensors}."""

import os

from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from golden import Taps, noise, randomise, save_model, save_tensors


def levels(channels, **more):
    n = len(channels)
    return dict(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * n,
        up_block_types=("UpDecoderBlock2D",) * n,
        **more,
    )


CASES = {
    # no 1x1 convolutions around the latent, a shift
    "flux": dict(
        size=(40, 24),
        config=levels((8, 8, 16, 16), latent_channels=4, norm_num_groups=4, use_quant_conv=False, use_post_quant_conv=False,
                      scaling_factor=0.3611, shift_factor=0.1159),
    ),
    "sdxl": dict(
        size=(16, 48),
        config=levels((8, 8, 16, 16), latent_channels=4, norm_num_groups=4, scaling_factor=0.13025),
    ),
    # wide and large enough for Winograd's convolution; names of old files
    "wide": dict(
        size=(40, 32),
        config=levels((32, 32), latent_channels=3, norm_num_groups=8, layers_per_block=1, scaling_factor=0.5),
    ),
    # three levels of two blocks, no attention in the middle
    "plain": dict(
        size=(12, 20),
        config=levels((6, 9, 9), latent_channels=2, norm_num_groups=3, layers_per_block=2, mid_block_add_attention=False,
                      scaling_factor=0.9, shift_factor=-0.2),
    ),
}
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def old_names(folder):
    path = os.path.join(folder, "diffusion_pytorch_model.safetensors")
    out = {}
    for name, tensor in load_file(path).items():
        for new, old in OLD.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        out[name] = tensor
    save_file(out, path)


def make_case(folder, size, config, seed):
    model = randomise(AutoencoderKL(**config), seed, {"to_q.weight": 2.0})
    save_model(model, folder)
    if os.path.basename(folder) == "wide":
        old_names(folder)
    n = len(config["block_out_channels"])
    names = [f"encoder.{x}" for x in ["conv_in", "mid_block"] + [f"down_blocks.{i}" for i in range(n)]]
    names += [f"decoder.{x}" for x in ["conv_in", "mid_block"] + [f"up_blocks.{i}" for i in range(n)]]
    taps = Taps(model, names)
    picture = noise((1, 3, *size), seed + 1).clamp(-1, 1)
    posterior = model.encode(picture).latent_dist
    draw = noise(posterior.mean.shape, seed + 2)
    shift = config.get("shift_factor") or 0.0
    latent = (posterior.mean + posterior.std * draw - shift) * config["scaling_factor"]
    decoded = model.decode(latent / config["scaling_factor"] + shift).sample
    out = {name: parts[0][0] for name, parts in taps.take().items()}
    out |= dict(picture=picture[0], moments=posterior.parameters[0], noise=draw[0], latent=latent[0], decoded=decoded[0])
    save_tensors(os.path.join(folder, "taps.safetensors"), out)


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), seed=4000 + 10 * i, **case)
