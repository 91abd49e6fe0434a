"""Names of the original layouts: tests/golden/layouts/names.json: lists of [ours, theirs] for each network."""

import os

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

import golden_pipelines
import original_names
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


def make(folder):
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
    save_json(os.path.join(folder, "names.json"), facts)
