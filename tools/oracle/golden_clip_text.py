"""CLIP text encoders: tests/golden/clip_text/<case>/{config.json, model.safetensors, taps.safetensors}."""

import os

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from golden import randomise, save_tensors

END, N = 53, 77
CASES = {
    # as CLIP-L: quick GELU, pooled row at the end token
    "quick": dict(
        kind=CLIPTextModel,
        config=dict(hidden_size=32, intermediate_size=37, num_hidden_layers=3, num_attention_heads=4, eos_token_id=END),
    ),
    # as bigG: exact GELU, projection
    "projected": dict(
        kind=CLIPTextModelWithProjection,
        config=dict(
            hidden_size=16,
            intermediate_size=40,
            num_hidden_layers=3,
            num_attention_heads=2,
            projection_dim=24,
            hidden_act="gelu",
            eos_token_id=END,
        ),
    ),
    # as published files: the greatest id is the end, text_model. in front of the names
    "old": dict(
        kind=CLIPTextModel,
        config=dict(hidden_size=20, intermediate_size=24, num_hidden_layers=1, num_attention_heads=5, eos_token_id=2, layer_norm_eps=1e-6),
    ),
    # as bigG in single files: OpenCLIP's names, in a file with other networks
    "open": dict(
        kind=CLIPTextModelWithProjection,
        config=dict(
            hidden_size=12,
            intermediate_size=20,
            num_hidden_layers=2,
            num_attention_heads=2,
            projection_dim=10,
            hidden_act="gelu",
            eos_token_id=END,
        ),
    ),
}


def inputs(seed):
    """Three prompts: short, full, one whose end comes twice; padded with the end or with 0."""
    ids = torch.randint(3, END, (3, N), generator=torch.Generator().manual_seed(seed))
    ids[:, 0] = END - 1
    ids[0, 9], ids[0, 10:] = END, END
    ids[1, N - 1] = END
    ids[2, 30], ids[2, 31:] = END, 0
    ids[2, 40] = END
    return ids


def long_names(folder):
    """With text_model. in front, and the buffer that such files have."""
    path = os.path.join(folder, "model.safetensors")
    tensors = {f"text_model.{k.removeprefix('text_model.')}": v for k, v in load_file(path).items()}
    save_file(dict(tensors, **{"text_model.embeddings.position_ids": torch.arange(N)[None]}), path)


OPEN = [("encoder.layers.", "transformer.resblocks."), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"), ("self_attn.out_proj", "attn.out_proj"), ("final_layer_norm", "ln_final"),
        ("embeddings.token_embedding.weight", "token_embedding.weight"), ("embeddings.position_embedding.weight", "positional_embedding")]


def open_names(tensors):
    """q, k and v in one matrix, the projection the other way round."""
    out = {}
    for name, t in tensors.items():
        stem, leaf = name.removeprefix("text_model.").rsplit(".", 1)
        if stem.endswith(("k_proj", "v_proj")):
            continue
        if stem.endswith("q_proj"):
            t = torch.cat([tensors[name.replace("q_proj", f"{x}_proj")] for x in "qkv"])
            stem, leaf = stem.replace("self_attn.q_proj", "attn"), f"in_proj_{leaf}"
        new = "text_projection" if stem == "text_projection" else f"{stem}.{leaf}"
        for ours, theirs in OPEN:
            new = new.replace(ours, theirs)
        out[new] = (t.T if stem == "text_projection" else t).contiguous()
    return out


def in_a_larger_file(folder):
    path = os.path.join(folder, "model.safetensors")
    tensors = {"conditioner.embedders.1.model." + k: v for k, v in open_names(load_file(path)).items()}
    save_file(dict(tensors, **{"conditioner.embedders.1.model.logit_scale": torch.ones(()), "other.weight": torch.ones(2)}), path)


def make_case(folder, kind, config, seed):
    config = CLIPTextConfig(vocab_size=END + 1, max_position_embeddings=N, bos_token_id=END - 1, pad_token_id=0, **config)
    gains = {"token_embedding.weight": 4.0, "position_embedding.weight": 2.0, "q_proj.weight": 1.5}
    model = randomise(kind(config), seed, gains)
    model.save_pretrained(folder)
    if os.path.basename(folder) == "old":
        long_names(folder)
    if os.path.basename(folder) == "open":
        in_a_larger_file(folder)
    ids = inputs(seed + 1)
    out = model(ids, output_hidden_states=True)
    tensors = {f"hidden.{i}": h for i, h in enumerate(out.hidden_states)}
    tensors["ids"] = ids
    tensors["pooled"] = out.text_embeds if kind is CLIPTextModelWithProjection else out.pooler_output
    save_tensors(os.path.join(folder, "taps.safetensors"), tensors)


def make(folder):
    for i, (name, case) in enumerate(CASES.items()):
        make_case(os.path.join(folder, name), seed=3000 + 10 * i, **case)
