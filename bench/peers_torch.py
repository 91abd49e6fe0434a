"""One row of ./dev bench peers by PyTorch and diffusers, in float32 (the fastest on these processors); JSON on stdout.

    peers_torch.py ROW THREADS full|tiny [MODEL OUTPUT | BIREFNET]
"""

import json
import os
import sys
import time
import types

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))
from fakes import configs, image_configs  # noqa: E402

PROMPT = "a red ball rolls over a green hill while the sun sets behind the trees"


def seconds_of(call):
    """Of the call after one that warms up."""
    call()
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def best_format(net, call):
    """The least of two memory layouts of convolutions: which is faster hangs on the processor."""
    took = [seconds_of(call)]
    for weight in net.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        elif weight.dim() == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)
    return min(*took, seconds_of(call))


def transformer(dim, ffn, heads, layers, channels, frames, side):
    from diffusers import WanTransformer3DModel

    with torch.device("meta"):
        net = WanTransformer3DModel(
            num_attention_heads=heads, attention_head_dim=dim // heads, in_channels=channels, out_channels=channels,
            ffn_dim=ffn, num_layers=layers,
        )  # fmt: skip
    net = materialised(net)
    latents = torch.randn(1, channels, frames, side, side)
    text, when = torch.randn(1, 512, 4096), torch.tensor([500])
    return seconds_of(lambda: net(latents, when, text))


def materialised(net):
    """Small random weights, quicker than the initialisers; what the tables of angles hold does not change the time."""
    net = net.to_empty(device="cpu").eval()
    for values in (*net.parameters(), *net.buffers()):
        values.normal_(0, 0.02) if values.is_floating_point() else values.zero_()
    return net


def decoder(z, frames, side, **config):
    from diffusers import AutoencoderKLWan

    vae = AutoencoderKLWan(z_dim=z, **config).eval()
    latents = torch.randn(1, z, frames, side, side)
    return best_format(vae.decoder, lambda: vae.decode(latents))


def text_encoder():
    """4 of 24 equal layers, times 6: the whole takes 22 GB."""
    from transformers import UMT5Config, UMT5EncoderModel

    config = UMT5Config(
        vocab_size=256384, d_model=4096, d_kv=64, d_ff=10240, num_heads=64, num_layers=4, feed_forward_proj="gated-gelu"
    )
    with torch.device("meta"):
        net = UMT5EncoderModel(config)
    net = materialised(net)
    words, mask = torch.randint(1, 1000, (1, 512)), torch.zeros(1, 512, dtype=torch.long)
    mask[:, :20] = 1
    return 6 * seconds_of(lambda: net(words, attention_mask=mask))


WAN22_VAE = {
    "base_dim": 160, "decoder_base_dim": 256, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_scales": [],
    "temperal_downsample": [False, True, True], "is_residual": True, "in_channels": 12, "out_channels": 12,
    "patch_size": 2, "scale_factor_temporal": 4, "scale_factor_spatial": 16,
    "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,
}  # fmt: skip


def whole(model, output):
    """From cold start to file: the text encoder stays in bfloat16, as 22 GB in float32 do not fit most machines."""
    from diffusers import WanPipeline
    from diffusers.utils import export_to_video
    from transformers import UMT5EncoderModel

    begin = time.perf_counter()
    text = UMT5EncoderModel.from_pretrained(model, subfolder="text_encoder", torch_dtype=torch.bfloat16)
    pipe = WanPipeline.from_pretrained(model, text_encoder=text, torch_dtype=torch.float32)
    frames = pipe(PROMPT, height=256, width=256, num_frames=17, num_inference_steps=4, guidance_scale=5.0).frames[0]
    export_to_video(frames, output, fps=16)
    return time.perf_counter() - begin


def published(model, part, scale):
    config = configs.scaled({**configs.MODELS, **image_configs.MODELS}[model], scale)["parts"][part]
    return {k: v for k, v in config.items() if not k.startswith("_")}


def flux_blocks(scale):
    from diffusers import FluxTransformer2DModel

    config = dict(published("flux-dev", "transformer", scale), num_layers=1, num_single_layers=1)
    with torch.device("meta"):
        net = FluxTransformer2DModel(**config)
    net = materialised(net)
    picture = torch.randn(1, 512, config["in_channels"])
    text, pooled = torch.randn(1, 512, config["joint_attention_dim"]), torch.randn(1, config["pooled_projection_dim"])
    when, guidance, places, words = torch.tensor([0.5]), torch.tensor([3.5]), torch.zeros(512, 3), torch.zeros(512, 3)
    return seconds_of(
        lambda: net(picture, encoder_hidden_states=text, pooled_projections=pooled, timestep=when, guidance=guidance, img_ids=places,
                    txt_ids=words)
    )  # fmt: skip


def sdxl_unet(scale):
    from diffusers import UNet2DConditionModel

    config = published("sdxl", "unet", scale)
    with torch.device("meta"):
        net = UNet2DConditionModel(**config)
    net = materialised(net)
    latents, text = torch.randn(1, 4, 64, 64), torch.randn(1, 77, config["cross_attention_dim"])
    pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
    told = {"text_embeds": torch.randn(1, pooled), "time_ids": torch.tensor([[512.0, 512.0, 0.0, 0.0, 512.0, 512.0]])}
    return best_format(net, lambda: net(latents, 500, text, added_cond_kwargs=told))


def sdxl_vae(scale):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(**published("sdxl", "vae", scale)).eval()
    latents = torch.randn(1, 4, 64, 64)
    return best_format(vae.decoder, lambda: vae.decode(latents))


def birefnet(scale, source):
    """The published options on the published backbone; training data's code is left out."""
    sys.path.insert(0, source)
    sys.modules["dataset"] = types.SimpleNamespace(class_labels_TR_sorted=[])
    from models.birefnet import BiRefNet

    net = BiRefNet(bb_pretrained=False).eval()
    side = 256 if scale == "tiny" else 1024
    picture = torch.randn(1, 3, side, side)
    return best_format(net, lambda: net(picture))


ROWS = {
    "dit-1.3b-9": lambda scale: transformer(1536, 8960, 12, 30, 16, 3, 32),
    "dit-1.3b-17": lambda scale: transformer(1536, 8960, 12, 30, 16, 5, 32),
    "dit-5b-9": lambda scale: transformer(3072, 14336, 24, 30, 48, 3, 16),
    "vae-2.1": lambda scale: decoder(16, 2, 32),
    "vae-2.2": lambda scale: decoder(48, 2, 16, **WAN22_VAE),
    "umt5": lambda scale: text_encoder(),
    "flux-blocks": flux_blocks,
    "sdxl-unet": sdxl_unet,
    "sdxl-vae": sdxl_vae,
}
TINY = {
    "dit-1.3b-9": lambda scale: transformer(96, 256, 4, 4, 16, 3, 32),
    "dit-1.3b-17": lambda scale: transformer(96, 256, 4, 4, 16, 5, 32),
    "dit-5b-9": lambda scale: transformer(96, 256, 4, 4, 48, 3, 16),
    "vae-2.1": lambda scale: decoder(16, 2, 32, base_dim=16),
    "vae-2.2": lambda scale: decoder(48, 2, 16, **dict(WAN22_VAE, base_dim=16, decoder_base_dim=24)),
}


def main(row, threads, scale, *files):
    torch.manual_seed(0)
    torch.set_num_threads(int(threads))
    rows = {**ROWS, **TINY} if scale == "tiny" else ROWS
    with torch.inference_mode():
        if row == "whole":
            took = whole(*files)
        elif row == "birefnet":
            took = birefnet(scale, *files)
        else:
            took = rows[row](scale)
    print(json.dumps({"seconds": took}))


if __name__ == "__main__":
    main(*sys.argv[1:])
