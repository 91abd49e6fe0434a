"""AutoencoderKLWan over the whole clip at once, for training.

diffusers encodes 1, 4, 4, ... frames and decodes one latent frame at a time, with caches. The same
weights give the same numbers in one pass, if the first frame is treated as the caches treat it:
  - temporal downsampling leaves frame 0 alone, then takes windows (0,1,2), (2,3,4), ...
  - temporal upsampling leaves frame 0 alone (it stays one frame) and never sees it afterwards
  - the shortcuts pad one zero frame in front / drop the first frame of the doubled output

    python vae_whole.py      # checks both directions against diffusers on random weights
"""

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan, patchify, unpatchify


def resample(m, x):
    b, c, t, h, w = x.shape
    if m.mode == "upsample3d" and t > 1:
        two = m.time_conv(x[:, :, 1:]).reshape(b, 2, c, t - 1, h, w)
        x = torch.cat([x[:, :, :1], torch.stack([two[:, 0], two[:, 1]], 3).reshape(b, c, 2 * t - 2, h, w)], 2)
        t = x.shape[2]
    x = m.resample(x.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w))
    x = x.view(b, t, *x.shape[1:]).permute(0, 2, 1, 3, 4)
    if m.mode == "downsample3d" and t > 1:
        x = torch.cat([x[:, :, :1], m.time_conv(x)], 2)
    return x


def encode(vae, video):
    """video [B, 3, 4n+1, H, W] in -1..1 -> mean, log variance [B, z, n+1, h, w]"""
    e = vae.encoder
    x = e.conv_in(patchify(video, vae.config.patch_size))
    for block in e.down_blocks:
        skip = block.avg_shortcut(x)
        for r in block.resnets:
            x = r(x)
        if block.downsampler is not None:
            x = resample(block.downsampler, x)
        x = x + skip
    x = e.conv_out(e.nonlinearity(e.norm_out(e.mid_block(x))))
    return vae.quant_conv(x).chunk(2, dim=1)


def decode(vae, z):
    """z [B, z, n+1, h, w] -> video [B, 3, 4n+1, H, W], not clamped"""
    d = vae.decoder
    x = d.mid_block(d.conv_in(vae.post_quant_conv(z)))
    for block in d.up_blocks:
        skip = x
        for r in block.resnets:
            x = r(x)
        if block.upsampler is not None:
            x = resample(block.upsampler, x)
        if block.avg_shortcut is not None:
            x = x + block.avg_shortcut(skip, first_chunk=True)
    return unpatchify(d.conv_out(d.nonlinearity(d.norm_out(x))), vae.config.patch_size)


def make(encoder_dim, decoder_dim, **stats):
    """The Wan 2.2 kind of VAE (residual shortcuts, 2x2 patches), 8x in space and 4x in time.

    The last two entries of dim_mult must agree: the shortcut of the last encoder block keeps shape.
    """
    return AutoencoderKLWan(
        base_dim=encoder_dim,
        decoder_base_dim=decoder_dim,
        z_dim=16,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=8,
        scale_factor_temporal=4,
        **stats,
    )


@torch.no_grad()
def largest_difference(vae, frames=17, size=64, seed=0):
    g = torch.Generator().manual_seed(seed)
    video = torch.rand(2, 3, frames, size, size, generator=g) * 2 - 1
    mean, _ = encode(vae, video)
    a = (mean - vae.encode(video).latent_dist.mean).abs().max().item()
    z = torch.randn(mean.shape, generator=g)
    b = (decode(vae, z).clamp(-1, 1) - vae.decode(z).sample).abs().max().item()
    return a, b


if __name__ == "__main__":
    torch.manual_seed(0)
    for frames in (1, 5, 17):
        a, b = largest_difference(make(24, 32).eval(), frames)
        print(f"{frames:2d} frames: encode differs by {a:.1e}, decode by {b:.1e}")
        assert max(a, b) < 1e-4
