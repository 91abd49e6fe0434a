"""FLUX pipelines: tests/golden/flux_pipelines/<model>/: a folder of diffusers, <case>.json what is asked, <case>.npy
pictures u8 [n, H, W, 3], and picture.png, mask.png; of dev the transformer under its original names, original.safetensors,
a LoRA file of kohya's kind, lora.safetensors, and what it makes of txt2img at 0.8, lora.npy."""

import os

import numpy as np
from safetensors.torch import load_file, save_file

import original_flux
import tiny_flux
from golden import save_json

DIT = dict(
    num_attention_heads=2,
    attention_head_dim=12,
    axes_dims_rope=(2, 6, 4),
    num_layers=1,
    num_single_layers=1,
    guidance_embeds=True,
)
CLIP = dict(
    hidden_size=8, intermediate_size=20, num_attention_heads=2, num_hidden_layers=2, hidden_act="quick_gelu",
    max_position_embeddings=77,
)
T5 = dict(d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=2)
VAE = dict(block_out_channels=(8, 8, 12), layers_per_block=1, latent_channels=4, norm_num_groups=4)
DYNAMIC = dict(shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15)
BASE = dict(
    seed=6000, dit=DIT, clip=CLIP, t5=T5, vae=VAE, tokenizer=dict(vocab=160, rule="identity"), scheduler=DYNAMIC,
    stored="bfloat16", picture=(44, 70),
)
REQUEST = dict(
    prompt="a red ball over the hills, at night", prompt_2=None, negative=None, true_cfg=1.0, width=40, height=64,
    steps=4, guidance=3.5, strength=0.6, batch=1, max_tokens=64,
)
MODELS = {
    "dev": (
        dict(BASE, fill=False),
        {
            "txt2img": dict(batch=2, width=64, height=24),
            "img2img": dict(guidance=7.0, negative="blue box", true_cfg=2.5, prompt_2="a green star"),
            "inpaint": dict(guidance=7.0, batch=2),
        },
    ),
    "fill": (dict(BASE, fill=True, seed=6100), {"inpaint": dict(guidance=30.0, strength=1.0, steps=3)}),
}


def make_model(folder, plan, cases):
    tiny_flux.save_model(dict(plan, task="txt2img"), folder)
    picture, mask = tiny_flux.pictures(dict(plan, task="inpaint"))
    picture.save(os.path.join(folder, "picture.png"))
    mask.save(os.path.join(folder, "mask.png"))
    for task, changes in cases.items():
        asked = dict(plan, task=task, request=dict(REQUEST, **changes))
        drawn = tiny_flux.draw(asked, folder, picture, mask)
        np.save(os.path.join(folder, task + ".npy"), drawn)
        save_json(os.path.join(folder, task + ".json"), dict(asked["request"], pipeline=task, seed=plan["seed"]))


def make_files(folder, plan, cases):
    weights = load_file(os.path.join(folder, "transformer", "diffusion_pytorch_model.safetensors"))
    save_file(original_flux.transformer(weights), os.path.join(folder, "original.safetensors"))
    file, changes = original_flux.draw_lora({k: v.float() for k, v in weights.items()}, 6009, 3)
    save_file(file, os.path.join(folder, "lora.safetensors"))
    asked = dict(plan, task="txt2img", request=dict(REQUEST, **cases["txt2img"]))
    drawn = tiny_flux.draw(asked, folder, None, None, {k: 0.8 * v for k, v in changes.items()})
    np.save(os.path.join(folder, "lora.npy"), drawn)


def make(folder):
    for name, (plan, cases) in MODELS.items():
        make_model(os.path.join(folder, name), plan, cases)
    make_files(os.path.join(folder, "dev"), *MODELS["dev"])
