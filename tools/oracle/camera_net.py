"""The camera networks that diffusers does not have, in plain torch: paths to features, and the transformer with them.

LingBot-World ("inject"): github Robbyant/lingbot-world 6ca87d4; Wan-Fun ("adapter"): github aigc-apps/VideoX-Fun.
equip() adds the parameters to a diffusers WanTransformer3DModel under their published names, so that save_pretrained
writes them; steer() makes its forward use them.
"""

import types

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp
from torch import nn
from torch.nn import functional as F

KINDS = ("inject", "adapter")

# ---- paths ------------------------------------------------------------------------------------------------------


def draw_path(n, seed, scale=1.0):
    """A smooth path with a jump: poses [n, 4, 4] camera to world and intrinsics [n, 4] of 832 x 480, f32."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, n)[:, None]
    wave = 0
    for _ in range(3):
        wave = wave + rng.normal(size=(1, 6)) * np.sin(rng.uniform(1, 7, (1, 6)) * t + rng.uniform(0, 6, (1, 6)))
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, :3, :3] = Rotation.from_rotvec(wave[:, :3] + rng.normal(size=3)).as_matrix()
    poses[:, :3, 3] = scale * (wave[:, 3:] + rng.normal(size=3))
    poses[n // 2 :, :3, 3] += scale * rng.normal(size=3)
    lens = np.array([502.9, 503.1, 415.8, 239.8]) * (1 + 0.1 * rng.normal(size=(n, 4)))
    return poses.astype(np.float32), lens.astype(np.float32)


def selected(poses, stride):
    """Every stride-th pose, through the interpolation that the original makes of it."""
    n = len(poses)
    at = np.linspace(0, n - 1, (n - 1) // stride + 1)
    out = np.tile(np.eye(4), (len(at), 1, 1))
    out[:, :3, :3] = Slerp(np.arange(n), Rotation.from_matrix(poses[:, :3, :3])).__call__(at).as_matrix()
    out[:, :3, 3] = [[np.interp(x, np.arange(n), poses[:, k, 3]) for k in range(3)] for x in at]
    return out


def rays(pose, lens, width, height):
    """Places [H, W, 3] and directions [H, W, 3] of the rays through the middles of the pixels."""
    fx, fy, cx, cy = lens
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    d = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x)], -1)
    d = d / np.linalg.norm(d, axis=-1, keepdims=True) @ pose[:3, :3].T
    return np.broadcast_to(pose[:3, 3], d.shape), d


def tokens(channels, patch):
    """[C, T, h, w] -> [tokens, C patch patch], order (frame, row, column), (channel, row, column)."""
    c, t, h, w = channels.shape
    x = channels.reshape(c, t, h // patch, patch, w // patch, patch)
    return x.transpose(1, 2, 4, 0, 3, 5).reshape(t * (h // patch) * (w // patch), -1)


def unshuffle(pixels, cell):
    """[T, C, H, W] -> [C cell cell, T, H / cell, W / cell] as torch's PixelUnshuffle orders channels."""
    return F.pixel_unshuffle(torch.from_numpy(np.ascontiguousarray(pixels)), cell).numpy().transpose(1, 0, 2, 3)


def features_inject(poses, lenses, frames, width, height, cell=8, time=4, patch=2):
    poses = selected(poses[:frames].astype(np.float64), time)
    steps = [np.eye(4)] + [np.linalg.inv(a) @ b for a, b in zip(poses[:-1], poses[1:])]
    longest = max(np.linalg.norm(s[:3, 3]) for s in steps)
    lens = lenses[0].astype(np.float64) * [width / 832, height / 480, width / 832, height / 480]
    pixels = []
    for s in steps:
        s[:3, 3] /= longest if longest > 0 else 1
        pixels.append(np.concatenate(rays(s, lens, width, height), -1).transpose(2, 0, 1))
    return tokens(unshuffle(np.stack(pixels), cell), patch).astype(np.float32)


def features_adapter(poses, lenses, frames, width, height, cell=8, time=4, patch=2):
    first, pixels = np.linalg.inv(poses[0].astype(np.float64)), []
    for pose, lens in zip(poses[:frames].astype(np.float64), lenses.astype(np.float64)):
        o, d = rays(first @ pose if pixels else np.eye(4), lens, width, height)
        pixels.append(np.concatenate([np.cross(o, d), d], -1).transpose(2, 0, 1))
    pixels = np.stack([pixels[0]] * (time - 1) + pixels)  # [time T, 6, H, W]
    stacked = pixels.reshape(-1, time, 6, height, width).swapaxes(1, 2).reshape(-1, 6 * time, height, width)
    return tokens(unshuffle(stacked, cell), patch).astype(np.float32)


def text_lenses(lenses, width, height):
    """Lenses of CameraCtrl's text, parts of a picture of 1280 x 720, in pixels of the video."""
    out, aspect = lenses.astype(np.float64).copy(), 1280 / 720
    if aspect > width / height:
        out[:, 0] *= height * aspect / width
    else:
        out[:, 1] *= width / aspect / height
    return out * [width, height, width, height]


def pixel_lenses(lenses, width, height):
    return lenses.astype(np.float64) * [width / 832, height / 480, width / 832, height / 480]


# ---- networks ---------------------------------------------------------------------------------------------------


def equip(model, kind, features):
    """Add the parameters of a camera network."""
    dim = model.config.num_attention_heads * model.config.attention_head_dim
    if kind == "inject":
        model.patch_embedding_wancamctrl = nn.Linear(features, dim)
        model.c2ws_hidden_states_layer1 = nn.Linear(dim, dim)
        model.c2ws_hidden_states_layer2 = nn.Linear(dim, dim)
        for block in model.blocks:
            for name in ("cam_injector_layer1", "cam_injector_layer2", "cam_scale_layer", "cam_shift_layer"):
                block.add_module(name, nn.Linear(dim, dim))
    else:
        adapter = nn.Module()
        adapter.conv = nn.Conv2d(features // 4, dim, 2, stride=2)
        residual = nn.Module()
        residual.conv1, residual.conv2 = (nn.Conv2d(dim, dim, 3, padding=1) for _ in range(2))
        adapter.residual_blocks = nn.ModuleList([residual])
        model.control_adapter = adapter
    return model


def block_forward(self, hidden_states, encoder_hidden_states, temb, rotary_emb):
    """A block of diffusers for one timestep, with the camera between self-attention and prompt."""
    x = hidden_states
    shift, scale, gate, c_shift, c_scale, c_gate = (self.scale_shift_table + temb.float()).chunk(6, dim=1)
    x = x + self.attn1(self.norm1(x) * (1 + scale) + shift, None, None, rotary_emb) * gate
    h = self.cam_injector_layer2(F.silu(self.cam_injector_layer1(self.camera))) + self.camera
    x = (1.0 + self.cam_scale_layer(h)) * x + self.cam_shift_layer(h)
    x = x + self.attn2(self.norm2(x), encoder_hidden_states, None, None)
    return x + self.ffn(self.norm3(x) * (1 + c_scale) + c_shift) * c_gate


def steer(model, kind, features):
    """Make the forward pass follow features [tokens, n]."""
    features = torch.from_numpy(features)[None]
    if kind == "inject":
        p = model.patch_embedding_wancamctrl(features)
        p = p + model.c2ws_hidden_states_layer2(F.silu(model.c2ws_hidden_states_layer1(p)))
        model.camera = p
        for block in model.blocks:
            block.camera = p
            block.forward = types.MethodType(block_forward, block)
    else:
        model.patch_embedding.register_forward_hook(lambda module, args, out: out + adapt(model, features, out.shape))
    return model


def adapt(model, features, shape):
    """What the adapter adds to the patches [1, D, T, hh, ww]; its convolution undoes our folding of 2 x 2 patches."""
    _, _, t, hh, ww = shape
    net, n = model.control_adapter, features.shape[-1] // 4
    x = features[0].reshape(t, hh, ww, n, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(t, n, 2 * hh, 2 * ww)
    x = net.conv(x)
    block = net.residual_blocks[0]
    x = x + block.conv2(F.relu(block.conv1(x)))
    return x.permute(1, 0, 2, 3)[None]
