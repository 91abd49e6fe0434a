"""Original layouts: names, a folder as the authors publish it, and what their way to treat a picture changes.

names.json: lists of [ours, theirs] for each network. t2v/: the golden pipeline t2v, written by torch.save and
safetensors as the original files are. i2v_frames.npy: the golden pipeline i2v with the picture brought to size as
the original does. Needs the goldens of golden_pipelines.py.
"""

import json
import os
import shutil

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import UMT5Config, UMT5EncoderModel

import golden_pipelines
import original_names
import tiny_wan
from golden import save_json

LEVELS21 = dict(base_dim=4, dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True], z_dim=16)
LEVELS22 = dict(golden_pipelines.VAE22, dim_mult=[1, 2, 4, 4], z_dim=48)


def names_of(kind, **config):
    with torch.device("meta"):
        return sorted(n for n, _ in kind(**config).named_parameters())


def pairs(names, spell):
    return [[n, spell(n)] for n in names]


def vae_pairs(res_blocks, residual):
    """Of two widths: where a level does not widen, its first block has no shortcut."""
    names = set()
    for dim_mult in ([1, 2, 4, 4], [1, 2, 2, 2]):
        config = dict(LEVELS22 if residual else LEVELS21, num_res_blocks=res_blocks, dim_mult=dim_mult)
        if res_blocks == 1 or dim_mult[2] == 4:
            names |= set(names_of(AutoencoderKLWan, **config))
    return pairs(sorted(names), lambda n: original_names.vae(n, res_blocks, residual))


def transformer_pairs():
    config = dict(golden_pipelines.DIT, in_channels=36, out_channels=16, text_dim=24, num_layers=12)
    names = set()
    for more in (dict(), dict(image_dim=20, added_kv_proj_dim=32), dict(image_dim=20, added_kv_proj_dim=32, pos_embed_seq_len=10)):
        names |= set(names_of(WanTransformer3DModel, **config, **more))
    return pairs(sorted(names - {f"blocks.{i}.attn2.norm_added_q.weight" for i in range(12)}), original_names.transformer)


def state(model, part, spell):
    """The tensors of a saved component under other names."""
    folder = os.path.join(model, part)
    name = next(n for n in os.listdir(folder) if n.endswith(".safetensors"))
    return {spell(n): t for n, t in load_file(os.path.join(folder, name)).items()}


def save_shards(folder, tensors, n):
    """As `save_pretrained` of the original: shards, and an index that says what is where."""
    names, weight_map = sorted(tensors), {}
    for i in range(n):
        part = {k: tensors[k] for k in names[i::n]}
        shard = f"diffusion_pytorch_model-{i + 1:05}-of-{n:05}.safetensors"
        save_file(part, os.path.join(folder, shard), {"format": "pt"})
        weight_map.update({k: shard for k in part})
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    save_json(
        os.path.join(folder, "diffusion_pytorch_model.safetensors.index.json"),
        dict(metadata=dict(total_size=size), weight_map=weight_map),
    )


def original_config(model, kind):
    with open(os.path.join(model, "transformer/config.json"), encoding="utf-8") as f:
        ours = json.load(f)
    heads = ours["num_attention_heads"]
    return dict(
        _class_name="WanModel",
        _diffusers_version="0.33.0",
        dim=heads * ours["attention_head_dim"],
        eps=ours["eps"],
        ffn_dim=ours["ffn_dim"],
        freq_dim=ours["freq_dim"],
        in_dim=ours["in_channels"],
        model_type=kind,
        num_heads=heads,
        num_layers=ours["num_layers"],
        out_dim=ours["out_channels"],
        text_len=512,
    )


def save_original(model, folder, kind, vae, res_blocks, residual):
    """The folder of a diffusers pipeline with one transformer, as the original files."""
    os.makedirs(os.path.join(folder, "google/umt5-xxl"))
    save_shards(folder, state(model, "transformer", original_names.transformer), 2)
    save_json(os.path.join(folder, "config.json"), original_config(model, kind))
    torch.save(state(model, "text_encoder", original_names.text), os.path.join(folder, "models_t5_umt5-xxl-enc-bf16.pth"))
    torch.save(state(model, "vae", lambda n: original_names.vae(n, res_blocks, residual)), os.path.join(folder, vae))
    for name in os.listdir(os.path.join(model, "tokenizer")):
        shutil.copy(os.path.join(model, "tokenizer", name), os.path.join(folder, "google/umt5-xxl", name))


def original_picture(path, width, height):
    """[3, height, width]: values in -1..1, bicubic without smoothing, not clamped (Wan2.2 image2video.py)."""
    values = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float() / 255
    values = values.sub(0.5).div(0.5)[None]
    return torch.nn.functional.interpolate(values, size=(height, width), mode="bicubic")[0]


def i2v_frames(golden):
    plan = golden_pipelines.CASES["i2v"]
    q = plan["request"]
    picture = original_picture(os.path.join(golden, "image.png"), q["width"], q["height"])
    assert picture.min() < 0  # else diffusers would take the values for 0..1
    latents = torch.from_numpy(np.load(os.path.join(golden, "noise.npy")))
    pipe = tiny_wan.load(plan, os.path.join(golden, "model"))
    given = tiny_wan.arguments(plan, picture[None], latents)
    return pipe(**given, output_type="np").frames[0]


def names():
    text = sorted(n for n in UMT5EncoderModel(UMT5Config(**dict(golden_pipelines.TEXT, num_layers=11), vocab_size=8)).state_dict())
    text = [n for n in text if n != "encoder.embed_tokens.weight"]
    facts = dict(
        transformer=transformer_pairs(),
        text=pairs(text, original_names.text),
        text_gguf=pairs(text, lambda n: original_names.text(n, gguf=True)),
        vae_21=vae_pairs(2, False),
        vae_21_one=vae_pairs(1, False),
        vae_22=vae_pairs(2, True),
        vae_22_one=vae_pairs(1, True),
    )
    original_names.check_transformer(facts["transformer"])
    original_names.check_vae(facts["vae_21"])
    return facts


def make(folder):
    pipelines = os.path.join(os.path.dirname(os.path.abspath(folder)), "pipelines")
    save_json(os.path.join(folder, "names.json"), names())
    save_original(os.path.join(pipelines, "t2v/model"), os.path.join(folder, "t2v"), "t2v", "Wan2.1_VAE.pth", 1, False)
    np.save(os.path.join(folder, "i2v_frames.npy"), i2v_frames(os.path.join(pipelines, "i2v")))
