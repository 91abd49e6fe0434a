"""CLIP vision network: tests/golden/clip_vision/<case>/: a model folder and taps.safetensors."""

import os

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection

import tiny_wan
from golden import noise, randomise, save_model, save_tensors

SMALL = dict(hidden_size=24, intermediate_size=37, num_attention_heads=3, num_hidden_layers=3)
CASES = {
    # as ViT-H/14: the exact GELU
    "gelu": dict(kind=CLIPVisionModel, config=dict(SMALL, image_size=28, patch_size=7, hidden_act="gelu")),
    # OpenAI's activation; names begin with vision_model.; the last 2 px are in no patch
    "quick": dict(
        kind=CLIPVisionModelWithProjection,
        config=dict(SMALL, num_attention_heads=2, image_size=30, patch_size=4, layer_norm_eps=1e-6, projection_dim=10),
    ),
    # one block: the result is what enters it
    "shallow": dict(kind=CLIPVisionModel, config=dict(SMALL, num_hidden_layers=1, image_size=12, patch_size=6)),
}
# Heads of 80 as in ViT-H: the width from which the original file's head count follows.
ORIGINAL = dict(
    hidden_size=160,
    intermediate_size=48,
    num_attention_heads=2,
    num_hidden_layers=2,
    image_size=12,
    patch_size=4,
    hidden_act="gelu",
)


def build(kind, config, seed):
    gains = {"class_embedding": 6.0, "position_embedding.weight": 2.0, "q_proj.weight": 1.5}
    return randomise(kind(CLIPVisionConfig(**config)), seed, gains)


def run(model, seed):
    size = model.config.image_size
    pixels = noise((1, 3, size, size), seed)
    states = model(pixels, output_hidden_states=True).hidden_states
    out = {f"hidden.{i}": state[0] for i, state in enumerate(states[:-1])}
    return dict(out, pixels=pixels[0])


def original_names(folder):
    """The file as Wan2.1 publishes it: open-clip's names, q, k and v in one matrix, the text tower beside."""
    old, new = load_file(os.path.join(folder, "model.safetensors")), {}
    for end in ("weight", "bias"):
        for i in range(ORIGINAL["num_hidden_layers"]):
            a, b = f"encoder.layers.{i}.", f"visual.transformer.{i}."
            new[f"{b}attn.to_qkv.{end}"] = torch.cat([old[f"{a}self_attn.{k}_proj.{end}"] for k in "qkv"])
            new[f"{b}attn.proj.{end}"] = old[f"{a}self_attn.out_proj.{end}"]
            new[f"{b}mlp.0.{end}"], new[f"{b}mlp.2.{end}"] = old[f"{a}mlp.fc1.{end}"], old[f"{a}mlp.fc2.{end}"]
            new[f"{b}norm1.{end}"], new[f"{b}norm2.{end}"] = old[f"{a}layer_norm1.{end}"], old[f"{a}layer_norm2.{end}"]
        new[f"visual.pre_norm.{end}"] = old[f"pre_layrnorm.{end}"]
        new[f"visual.post_norm.{end}"] = old[f"post_layernorm.{end}"]
    new["visual.cls_embedding"] = old["embeddings.class_embedding"][None, None]
    new["visual.pos_embedding"] = old["embeddings.position_embedding.weight"][None]
    new["visual.patch_embedding.weight"] = old["embeddings.patch_embedding.weight"]
    new["visual.head"] = noise((ORIGINAL["hidden_size"], 8), 1)
    new["textual.token_embedding.weight"], new["log_scale"] = noise((5, 4), 2), noise((1,), 3)
    save_file({k: v.contiguous() for k, v in sorted(new.items())}, os.path.join(folder, "original.safetensors"))


MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def squeeze(image, size):
    """Wan2.1's own preparation: the whole picture, -1..1, bicubic without smoothing, normalised. [3, S, S]"""
    x = torch.from_numpy(np.asarray(image)).permute(2, 0, 1)[None].float() / 255
    x = torch.nn.functional.interpolate((x - 0.5) / 0.5, (size, size), mode="bicubic", align_corners=False)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return ((x * 0.5 + 0.5 - mean) / std)[0]


def make_case(folder, kind, config, seed):
    model = build(kind, config, seed)
    save_model(model, folder)
    save_tensors(os.path.join(folder, "taps.safetensors"), run(model, seed + 1))


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), case["kind"], case["config"], 6000 + 10 * i)
    folder = os.path.join(folder, "original")
    make_case(folder, CLIPVisionModel, ORIGINAL, 6100)
    original_names(folder)
    image = tiny_wan.draw_image(40, 27, 6200)
    image.save(os.path.join(folder, "image.png"))
    save_tensors(os.path.join(folder, "prepared.safetensors"), {"pixels": squeeze(image, ORIGINAL["image_size"])})
    os.remove(os.path.join(folder, "model.safetensors"))
