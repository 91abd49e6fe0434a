"""Wan transformer: tests/golden/wan_dit/<case>/: a model folder and taps.safetensors."""

import os

import torch
from diffusers import WanTransformer3DModel

from golden import Taps, noise, randomise, save_model, save_tensors

SMALL = dict(
    patch_size=(1, 2, 2),
    num_attention_heads=2,
    attention_head_dim=16,  # rope axes 8, 4, 4: unequal
    text_dim=24,
    freq_dim=32,
    ffn_dim=40,
    num_layers=2,
    cross_attn_norm=True,
    rope_max_seq_len=64,
)
# size: latent frames, rows, columns; rows of text that are real, the others zero
CASES = {
    "i2v36": dict(config=dict(SMALL, in_channels=36, out_channels=16), size=(3, 6, 8), text=19),
    "ti2v48": dict(config=dict(SMALL, in_channels=48, out_channels=48), size=(3, 6, 8), text=31, per_token=True),
    "t2v16": dict(
        config=dict(
            SMALL,
            in_channels=16,
            out_channels=16,
            attention_head_dim=20,  # axes 8, 6, 6
            text_dim=28,
            freq_dim=48,
            ffn_dim=44,
            eps=1e-5,
        ),
        size=(5, 4, 10),
        text=512,
    ),
    "clip": dict(
        config=dict(SMALL, in_channels=36, out_channels=16, image_dim=20, added_kv_proj_dim=32),
        size=(3, 6, 8),
        text=7,
        image=(1, 5),
    ),
    "first_last": dict(
        config=dict(SMALL, in_channels=36, out_channels=16, image_dim=20, added_kv_proj_dim=32, pos_embed_seq_len=10),
        size=(3, 4, 6),
        text=7,
        image=(2, 5),
    ),
}
T = 937


def build(config, seed):
    return randomise(WanTransformer3DModel(**config), seed)


def inputs(case, seed):
    config, (frames, rows, cols) = case["config"], case["size"]
    text = torch.zeros(1, 512, config["text_dim"])
    text[:, : case["text"]] = noise((1, case["text"], config["text_dim"]), seed)
    latent = noise((1, config["in_channels"], frames, rows, cols), seed + 1)
    out = {"hidden_states": latent, "encoder_hidden_states": text}
    if case.get("per_token"):  # frame 0 is clean, as in image to video of the 5B model
        t = torch.full((frames, rows // 2 * cols // 2), float(T))
        t[0] = 0
        out["timestep"] = t.flatten()[None]
    else:
        out["timestep"] = torch.tensor([T])
    if "image" in case:
        out["encoder_hidden_states_image"] = noise((*case["image"], config["image_dim"]), seed + 2)
    return out


def tap_names(config):
    parts = ("attn1", "attn2", "ffn")
    blocks = [f"blocks.{i}" for i in range(config["num_layers"])]
    return ["patch_embedding", "proj_out"] + blocks + [f"blocks.0.{p}" for p in parts]


def run(model, given, taps):
    out = dict(zip(("temb", "timestep_proj", "text", "image"), condition(model, given)))
    out["output"] = model(**given).sample[0]
    for name, parts in taps.take().items():
        out[name] = parts[0][0]
    out["patch_embedding"] = out["patch_embedding"].flatten(1).T  # [L, D]: tokens, as the blocks see them
    return {k: v for k, v in out.items() if v is not None}


def condition(model, given):
    t = given["timestep"]
    length = t.shape[1] if t.ndim == 2 else None
    image = given.get("encoder_hidden_states_image")
    parts = model.condition_embedder(t.flatten(), given["encoder_hidden_states"], image, timestep_seq_len=length)
    return [None if p is None else p[0] for p in parts]


def make_case(folder, case, seed):
    model = build(case["config"], seed)
    save_model(model, folder)
    given = inputs(case, seed + 1)
    out = run(model, given, Taps(model, tap_names(case["config"])))
    out["in.latent"] = given["hidden_states"][0]
    out["in.text"] = given["encoder_hidden_states"][0]
    out["in.timestep"] = given["timestep"].flatten()
    if "encoder_hidden_states_image" in given:
        out["in.image"] = given["encoder_hidden_states_image"]
    save_tensors(os.path.join(folder, "taps.safetensors"), out)


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), case, 2000 + 10 * i)
