"""Tiny SDXL pipelines: a plan (plain values) becomes a folder as save_pretrained writes it, then pictures.

A plan has the keys task (txt2img, img2img), control, unet, clip, clip_2, vae (configs), scheduler ([class, options]),
zeros (force_zeros_for_empty_prompt), seed, stored (dtype in the files) and request: prompt, prompt_2, negative, width,
height, steps, guidance, strength, eta, batch, control_scale, control_start, control_end.
"""

import os
import tempfile

import diffusers
import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    StableDiffusionXLControlNetImg2ImgPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

import golden_bpe
from golden import randomise
from tiny_flux import clip_tokenizer
from tiny_wan import draw_image

CLASSES = {
    ("txt2img", False): StableDiffusionXLPipeline,
    ("img2img", False): StableDiffusionXLImg2ImgPipeline,
    ("txt2img", True): StableDiffusionXLControlNetPipeline,
    ("img2img", True): StableDiffusionXLControlNetImg2ImgPipeline,
}


def tokenizers():
    """The second pads with the first id of the vocabulary, as the published one does with "!"."""
    first = clip_tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        first.save_pretrained(folder)
        second = CLIPTokenizer.from_pretrained(folder, pad_token="!")
    return first, second


def build_vae(plan):
    n = len(plan["vae"]["block_out_channels"])
    config = dict(
        plan["vae"],
        down_block_types=("DownEncoderBlock2D",) * n,
        up_block_types=("UpDecoderBlock2D",) * n,
        latent_channels=4,
        scaling_factor=0.13025,
    )
    return randomise(AutoencoderKL(**config), plan["seed"] + 2, {"encoder.conv_out.bias": 3.0, "conv_in.weight": 0.3})


def unet_config(plan):
    text = plan["clip"]["hidden_size"] + plan["clip_2"]["hidden_size"]
    return dict(
        plan["unet"],
        cross_attention_dim=text,
        addition_embed_type="text_time",
        projection_class_embeddings_input_dim=plan["clip_2"]["projection_dim"] + 6 * plan["unet"]["addition_time_embed_dim"],
        use_linear_projection=True,
    )


def build_control(plan):
    config = {k: v for k, v in unet_config(plan).items() if k not in ("sample_size", "up_block_types")}
    config.update(conditioning_embedding_out_channels=(3, 4, 6, 8)[: len(plan["vae"]["block_out_channels"])])
    return randomise(ControlNetModel(**config), plan["seed"] + 4, {"controlnet_mid_block.weight": 0.5})


def build_clip(kind, config, tokenizer, seed):
    end = tokenizer.eos_token_id
    full = CLIPTextConfig(
        vocab_size=len(tokenizer), bos_token_id=end - 1, eos_token_id=end, pad_token_id=tokenizer.pad_token_id,
        max_position_embeddings=77, **config
    )
    return randomise(kind(full), seed, {"token_embedding.weight": 4.0})


def build(plan):
    """The pipeline object with seeded weights."""
    tokenizer, tokenizer_2 = tokenizers()
    name, options = plan["scheduler"]
    parts = dict(
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        text_encoder=build_clip(CLIPTextModel, plan["clip"], tokenizer, plan["seed"]),
        text_encoder_2=build_clip(CLIPTextModelWithProjection, plan["clip_2"], tokenizer_2, plan["seed"] + 1),
        vae=build_vae(plan),
        unet=randomise(UNet2DConditionModel(**unet_config(plan)), plan["seed"] + 3, {"to_q.weight": 2.0}),
        scheduler=getattr(diffusers, name)(**options),
        force_zeros_for_empty_prompt=plan["zeros"],
    )
    if plan["task"] == "txt2img" or plan["control"]:
        parts["add_watermarker"] = False
    if plan["control"]:
        parts["controlnet"] = build_control(plan)
    return CLASSES[plan["task"], plan["control"]](**parts)


def save_model(plan, folder, **options):
    os.makedirs(folder, exist_ok=True)
    pipe = build(plan)
    if plan.get("stored", "float32") != "float32":
        pipe.to(getattr(torch, plan["stored"]))
    pipe.save_pretrained(folder, **options)


def arguments(plan, picture, control, index):
    q = plan["request"]
    given = dict(
        prompt=q["prompt"],
        prompt_2=q["prompt_2"],
        negative_prompt=q["negative"],
        num_inference_steps=q["steps"],
        guidance_scale=q["guidance"],
        eta=q["eta"],
        generator=torch.Generator("cpu").manual_seed(plan["seed"] + index),
    )
    if plan["task"] == "txt2img":
        given.update(height=q["height"], width=q["width"])
    else:
        given.update(image=picture.resize((q["width"], q["height"]), 1), strength=q["strength"])  # LANCZOS
    if plan["control"]:
        given.update(
            {"image" if plan["task"] == "txt2img" else "control_image": control},
            height=q["height"],
            width=q["width"],
            controlnet_conditioning_scale=q["control_scale"],
            control_guidance_start=q["control_start"],
            control_guidance_end=q["control_end"],
        )
    return given


def draw(plan, folder, picture, control, changes=None):
    """Pictures u8 [n, H, W, 3] as the saved pipeline draws them in f32, one generator each; `changes` of weights,
    {component: {name: tensor}}, are added first."""
    pipe = CLASSES[plan["task"], plan["control"]].from_pretrained(folder, torch_dtype=torch.float32)
    for component, tensors in (changes or {}).items():
        weights = getattr(pipe, component).state_dict()
        for name, change in tensors.items():
            weights[name].add_(change)
    pipe.set_progress_bar_config(disable=True)
    n = plan["request"]["batch"]
    return np.stack([np.asarray(pipe(**arguments(plan, picture, control, k)).images[0]) for k in range(n)])


def pictures(plan):
    """Picture and what the ControlNet follows, or None."""
    size = plan.get("picture") or (plan["request"]["width"], plan["request"]["height"])
    picture = draw_image(*size, plan["seed"] + 8) if plan["task"] == "img2img" else None
    return picture, draw_image(size[0] + 9, size[1], plan["seed"] + 9) if plan["control"] else None
