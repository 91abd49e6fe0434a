"""One row of ./dev bench peers by PyTorch and diffusers, in float32 (the fastest on these processors); JSON on stdout.

    peers_torch.py ROW THREADS [MODEL [OUTPUT]]
"""

import json
import statistics
import sys
import time

import torch

PROMPT = "a red ball rolls over a green hill while the sun sets behind the trees"


def seconds_of(call):
    """Of the call after one that warms up."""
    took = []
    for _ in range(2):
        begin = time.perf_counter()
        call()
        took.append(time.perf_counter() - begin)
    return statistics.median(took[1:])


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
    return seconds_of(lambda: vae.decode(latents))


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


ROWS = {
    "dit-1.3b-9": lambda: transformer(1536, 8960, 12, 30, 16, 3, 32),
    "dit-1.3b-17": lambda: transformer(1536, 8960, 12, 30, 16, 5, 32),
    "dit-5b-9": lambda: transformer(3072, 14336, 24, 30, 48, 3, 16),
    "vae-2.1": lambda: decoder(16, 2, 32),
    "vae-2.2": lambda: decoder(48, 2, 16, **WAN22_VAE),
    "umt5": text_encoder,
}


def main(row, threads, *files):
    torch.manual_seed(0)
    torch.set_num_threads(int(threads))
    with torch.inference_mode():
        took = whole(*files) if row == "whole" else ROWS[row]()
    print(json.dumps({"seconds": took}))


if __name__ == "__main__":
    main(*sys.argv[1:])
