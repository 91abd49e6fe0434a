"""SDXL pipelines: tests/golden/sdxl_pipelines/<model>/: a folder of diffusers, <case>.json what is asked, <case>.npy
pictures u8 [n, H, W, 3], picture.png, control.png. base/lora_<spelling>.safetensors: one change, of which 0.8 (0.4 where
no alpha halves it) makes lora.npy out of txt2img."""

import os

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import sdxl_lora
import tiny_sdxl
from golden import save_json

UNET = dict(
    sample_size=8,
    block_out_channels=(8, 16),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    layers_per_block=1,
    attention_head_dim=(1, 2),
    transformer_layers_per_block=(1, 2),
    addition_time_embed_dim=4,
    norm_num_groups=4,
)
CLIP = dict(hidden_size=8, intermediate_size=20, num_attention_heads=2, num_hidden_layers=2, hidden_act="quick_gelu")
CLIP_2 = dict(hidden_size=12, intermediate_size=24, num_attention_heads=2, num_hidden_layers=3, hidden_act="gelu", projection_dim=10)
VAE = dict(block_out_channels=(8, 8, 12), layers_per_block=1, norm_num_groups=4)
SDXL = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1)
BASE = dict(
    seed=6200, unet=UNET, clip=CLIP, clip_2=CLIP_2, vae=VAE, zeros=True, scheduler=("EulerDiscreteScheduler", SDXL),
    stored="float16", picture=(44, 70), control=False,
)
REQUEST = dict(
    prompt="a red ball over the hills, at night", prompt_2=None, negative=None, width=40, height=64, steps=4, guidance=5.0,
    strength=0.6, eta=0.0, batch=1, control_scale=1.0, control_start=0.0, control_end=1.0,
)
MODELS = {
    "base": (
        BASE,
        {"txt2img": dict(batch=2, width=64, height=24), "img2img": dict(negative="blue box", prompt_2="a green star")},
    ),
    "control": (
        dict(BASE, seed=6300, control=True, zeros=False, scheduler=("EulerAncestralDiscreteScheduler", SDXL)),
        {"txt2img": dict(control_scale=0.7, control_end=0.8, guidance=3.0)},
    ),
}


def make_model(folder, plan, cases):
    tiny_sdxl.save_model(dict(plan, task="txt2img"), folder)
    picture, control = tiny_sdxl.pictures(dict(plan, task="img2img"))
    picture.save(os.path.join(folder, "picture.png"))
    if control:
        control.save(os.path.join(folder, "control.png"))
    for task, changes in cases.items():
        asked = dict(plan, task=task, request=dict(REQUEST, **changes))
        np.save(os.path.join(folder, task + ".npy"), tiny_sdxl.draw(asked, folder, picture, control))
        save_json(os.path.join(folder, task + ".json"), dict(asked["request"], pipeline=task, seed=plan["seed"]))


def make_lora(folder):
    """The files are bf16, so the change is what bf16 leaves of it."""
    plan, cases = MODELS["base"]
    asked = dict(plan, task="txt2img", request=dict(REQUEST, **cases["txt2img"]))
    parts = {}
    for component in sdxl_lora.PARTS:
        found = "diffusion_pytorch_model" if component == "unet" else "model"
        tensors = load_file(os.path.join(folder, component, found + ".safetensors"))
        parts[component] = {k: v.float() for k, v in tensors.items()}
    for kind in sdxl_lora.KINDS:
        file, changes = sdxl_lora.draw(parts, tiny_sdxl.unet_config(plan), kind, plan["seed"] + 50, rank=2, stored=torch.bfloat16)
        save_file(file, os.path.join(folder, f"lora_{kind}.safetensors"))
    changes = {component: {k: 0.4 * v for k, v in tensors.items()} for component, tensors in changes.items()}
    np.save(os.path.join(folder, "lora.npy"), tiny_sdxl.draw(asked, folder, None, None, changes))


def make(folder):
    for name, (plan, cases) in MODELS.items():
        make_model(os.path.join(folder, name), plan, cases)
    with torch.no_grad():
        make_lora(os.path.join(folder, "base"))
