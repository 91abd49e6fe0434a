"""How the original Wan files and llama.cpp spell what diffusers and transformers call otherwise.

Written independently of the tables in src/models/wan_names.c; `check_*` holds it against diffusers' own converters.
"""

import re

TRANSFORMER = [
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"),
    ("condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"),
    ("condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"),
    ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
    ("condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"),
    ("proj_out", "head.head"),
]
BLOCK = {
    "scale_shift_table": "modulation",
    "norm2": "norm3",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
}
ATTENTION = {
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "o",
    "norm_q": "norm_q",
    "norm_k": "norm_k",
    "add_k_proj": "k_img",
    "add_v_proj": "v_img",
    "norm_added_k": "norm_k_img",
}


def swap(name, pairs):
    for ours, theirs in pairs:
        if name == ours or name.startswith(ours + "."):
            return theirs + name[len(ours) :]
    return name


def transformer(name):
    """diffusers WanTransformer3DModel -> original WanModel."""
    if name == "scale_shift_table":
        return "head.modulation"
    inside = re.fullmatch(r"(blocks\.\d+)\.(.*)", name)
    if not inside:
        return swap(name, TRANSFORMER)
    block, rest = inside.groups()
    attention = re.fullmatch(r"attn([12])\.(.*)", rest)
    if attention:
        kind = {"1": "self_attn", "2": "cross_attn"}[attention[1]]
        return f"{block}.{kind}.{swap(attention[2], ATTENTION.items())}"
    return f"{block}.{swap(rest, BLOCK.items())}"


TEXT = {
    "layer.0.SelfAttention.relative_attention_bias": ("pos_embedding.embedding", "attn_rel_b"),
    "layer.0.SelfAttention.q": ("attn.q", "attn_q"),
    "layer.0.SelfAttention.k": ("attn.k", "attn_k"),
    "layer.0.SelfAttention.v": ("attn.v", "attn_v"),
    "layer.0.SelfAttention.o": ("attn.o", "attn_o"),
    "layer.0.layer_norm": ("norm1", "attn_norm"),
    "layer.1.DenseReluDense.wi_0": ("ffn.gate.0", "ffn_gate"),
    "layer.1.DenseReluDense.wi_1": ("ffn.fc1", "ffn_up"),
    "layer.1.DenseReluDense.wo": ("ffn.fc2", "ffn_down"),
    "layer.1.layer_norm": ("norm2", "ffn_norm"),
}
TEXT_TOP = {"shared": ("token_embedding", "token_embd"), "encoder.final_layer_norm": ("norm", "enc.output_norm")}


def text(name, gguf=False):
    """transformers UMT5EncoderModel -> original T5Encoder, or llama.cpp's names."""
    inside = re.fullmatch(r"encoder\.block\.(\d+)\.(.*)", name)
    if not inside:
        return swap(name, [(a, b[gguf]) for a, b in TEXT_TOP.items()])
    start = "enc.blk" if gguf else "blocks"
    return f"{start}.{inside[1]}." + swap(inside[2], [(a, b[gguf]) for a, b in TEXT.items()])


RESIDUAL = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6", "conv_shortcut": "shortcut"}
MIDDLE = {"resnets.0": 0, "attentions.0": 1, "resnets.1": 2}
ENDS = {"conv_in": "conv1", "norm_out": "head.0", "conv_out": "head.2"}


def vae(name, res_blocks, residual):
    """diffusers AutoencoderKLWan -> original WanVAE_ (residual: the one of 2.2)."""
    top = swap(name, [("quant_conv", "conv1"), ("post_quant_conv", "conv2")])
    if top != name:
        return top
    coder, rest = name.split(".", 1)
    middle = re.fullmatch(r"mid_block\.(resnets\.\d|attentions\.0)\.(.*)", rest)
    if middle:
        return f"{coder}.middle.{MIDDLE[middle[1]]}.{swap(middle[2], RESIDUAL.items())}"
    ends = swap(rest, ENDS.items())
    if ends != rest:
        return f"{coder}.{ends}"
    per_level = res_blocks + (coder == "decoder")
    stack = "downsamples" if coder == "encoder" else "upsamples"
    if not residual and coder == "encoder":
        k, tail = re.fullmatch(r"down_blocks\.(\d+)\.(.*)", rest).groups()
        return f"encoder.downsamples.{k}.{swap(tail, RESIDUAL.items())}"
    block = re.fullmatch(r"(?:down|up)_blocks\.(\d+)\.(?:resnets\.(\d+)|upsamplers\.0|upsampler|downsampler)\.(.*)", rest)
    level, j, tail = block.groups()
    place = int(j) if j else per_level
    tail = swap(tail, RESIDUAL.items()) if j else tail
    if residual:
        return f"{coder}.{stack}.{level}.{stack}.{place}.{tail}"
    return f"{coder}.{stack}.{int(level) * (per_level + 1) + place}.{tail}"


def check_transformer(pairs):
    """Hold pairs of names against diffusers' converter."""
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    for ours, theirs in pairs:
        got = list(convert_wan_transformer_to_diffusers({theirs: None}))
        # the converter knows no position embedding of two pictures
        assert got == [ours] or theirs == "img_emb.emb_pos", (ours, theirs, got)


def check_vae(pairs):
    """The same for the published 2.1 VAE, which is the only one that the converter knows."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    for ours, theirs in pairs:
        got = list(convert_wan_vae_to_diffusers({theirs: None}))
        assert got == [ours], (ours, theirs, got)
