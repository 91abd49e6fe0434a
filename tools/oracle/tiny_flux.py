"""Tiny FLUX pipelines: a plan (plain values) becomes a folder as save_pretrained writes it, then pictures.

A plan has the keys task (txt2img, img2img, inpaint), fill, dit, clip, t5, vae (configs), scheduler (options), tokenizer
(options of tiny_tokenizer), seed, stored (dtype in the files) and request: prompt, prompt_2, negative, width, height,
steps, guidance, strength, true_cfg, batch, max_tokens.
"""

import os
import tempfile

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel

import golden_bpe
import tiny_tokenizer
from golden import randomise
from tiny_wan import draw_image

CLASSES = {"txt2img": FluxPipeline, "img2img": FluxImg2ImgPipeline, "inpaint": FluxInpaintPipeline}
WORDS = ["red", "green", "blue", "ball", "box", "star", "over", "the", "hills", "at", "night"]


def pipeline_class(plan):
    return FluxFillPipeline if plan["fill"] else CLASSES[plan["task"]]


def clip_tokenizer():
    """Bytes and a few merged words: the ids are those of no published model."""
    merges, seen = [], set()
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in seen:
                seen.add(pair)
                merges.append(pair)
            parts[:2] = ["".join(pair)]
    vocab = golden_bpe.vocabulary(merges, "</w>", [golden_bpe.START, golden_bpe.END])
    with tempfile.TemporaryDirectory() as folder:
        golden_bpe.write_files(folder, vocab, merges, "tokenizer_config.json", golden_bpe.flux_config(vocab))
        return CLIPTokenizer.from_pretrained(folder)


def build_vae(plan):
    n = len(plan["vae"]["block_out_channels"])
    config = dict(
        plan["vae"],
        down_block_types=("DownEncoderBlock2D",) * n,
        up_block_types=("UpDecoderBlock2D",) * n,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.3611,
        shift_factor=0.1159,
    )
    # deviations of some tenths, so that the draw shows
    return randomise(AutoencoderKL(**config), plan["seed"] + 2, {"encoder.conv_out.bias": 3.0})


def build_transformer(plan):
    z = plan["vae"]["latent_channels"]
    factor = 2 ** (len(plan["vae"]["block_out_channels"]) - 1)
    channels = 4 * z * 2 + 4 * factor**2 if plan["fill"] else 4 * z
    config = dict(plan["dit"], in_channels=channels, out_channels=4 * z)
    config.update(joint_attention_dim=plan["t5"]["d_model"], pooled_projection_dim=plan["clip"]["hidden_size"])
    return randomise(FluxTransformer2DModel(patch_size=1, **config), plan["seed"] + 3, {"context_embedder.weight": 2.0})


def build(plan):
    """The pipeline object with seeded weights."""
    clip_tok, t5_tok = clip_tokenizer(), tiny_tokenizer.build(**plan["tokenizer"])
    end = clip_tok.eos_token_id
    clip = CLIPTextConfig(
        vocab_size=len(clip_tok), bos_token_id=end - 1, eos_token_id=plan.get("eos", end), pad_token_id=end, **plan["clip"]
    )
    t5 = T5Config(vocab_size=len(t5_tok) + 4, feed_forward_proj="gated-gelu", tie_word_embeddings=False, **plan["t5"])
    parts = dict(
        tokenizer=clip_tok,
        text_encoder=randomise(CLIPTextModel(clip), plan["seed"], {"token_embedding.weight": 4.0}),
        tokenizer_2=t5_tok,
        text_encoder_2=randomise(T5EncoderModel(t5), plan["seed"] + 1, {"SelfAttention.q.weight": t5.d_kv**-0.5}),
        vae=build_vae(plan),
        transformer=build_transformer(plan),
        scheduler=FlowMatchEulerDiscreteScheduler(**plan["scheduler"]),
    )
    return pipeline_class(plan)(**parts)


def save_model(plan, folder, **options):
    os.makedirs(folder, exist_ok=True)
    pipe = build(plan)
    if plan.get("stored") == "bfloat16":
        pipe.to(torch.bfloat16)
    pipe.save_pretrained(folder, **options)


def draw_mask(width, height, seed):
    """Some boxes and a grey gradient: the threshold shows."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(3):
        y, x = rng.integers(0, height), rng.integers(0, width)
        mask[y : y + rng.integers(1, height), x : x + rng.integers(1, width)] = 255
    mask[: height // 4] = np.linspace(0, 255, width).astype(np.uint8)
    return Image.fromarray(mask, "L")


def arguments(plan, picture, mask, index):
    q = plan["request"]
    given = dict(
        prompt=q["prompt"],
        prompt_2=q["prompt_2"],
        height=q["height"],
        width=q["width"],
        num_inference_steps=q["steps"],
        guidance_scale=q["guidance"],
        max_sequence_length=q["max_tokens"],
        generator=torch.Generator("cpu").manual_seed(plan["seed"] + index),
    )
    if not plan["fill"]:
        given.update(negative_prompt=q["negative"], true_cfg_scale=q["true_cfg"])
    if plan["task"] != "txt2img":
        given.update(image=picture, strength=q["strength"])
    if plan["task"] == "inpaint":
        given["mask_image"] = mask
    return given


def draw(plan, folder, picture, mask, changes=()):
    """Pictures u8 [n, H, W, 3] as the saved pipeline draws them in f32, one generator each.

    changes are added to weights of the transformer.
    """
    pipe = pipeline_class(plan).from_pretrained(folder, torch_dtype=torch.float32)
    for name in changes:
        pipe.transformer.get_parameter(name).add_(changes[name])
    pipe.set_progress_bar_config(disable=True)
    n = plan["request"]["batch"]
    return np.stack([np.asarray(pipe(**arguments(plan, picture, mask, k)).images[0]) for k in range(n)])


def pictures(plan):
    """Picture and mask of the request, or None."""
    if plan["task"] == "txt2img":
        return None, None
    size = plan.get("picture") or (plan["request"]["width"], plan["request"]["height"])
    mask = draw_mask(*size, plan["seed"] + 9) if plan["task"] == "inpaint" else None
    return draw_image(*size, plan["seed"] + 8), mask
