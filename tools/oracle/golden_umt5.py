"""umT5 and T5 encoders: tests/golden/umt5/<case>/{config.json, model.safetensors, taps.safetensors}."""

import os

import torch
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from golden import Taps, randomise, save_tensors

CASES = {
    "even": dict(vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4),
    # heads * d_kv = 40 is not d_model
    "wide": dict(vocab_size=97, d_model=24, d_kv=8, d_ff=36, num_layers=3, num_heads=5),
    "buckets": dict(
        vocab_size=50,
        d_model=20,
        d_kv=6,
        d_ff=28,
        num_layers=2,
        num_heads=3,
        relative_attention_num_buckets=16,
        relative_attention_max_distance=60,
        layer_norm_epsilon=1e-5,
    ),
}
# One bias table for all layers; FLUX attends to the padding: no mask. v1.1 is gated, the first T5 has ReLU.
T5_CASES = {
    "t5": dict(vocab_size=64, d_model=32, d_kv=8, d_ff=37, num_layers=3, num_heads=4, feed_forward_proj="gated-gelu"),
    "t5_relu": dict(vocab_size=40, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, feed_forward_proj="relu"),
}
ROW, REAL = 130, 47  # long enough for every bucket; the second row is padded after REAL tokens


def build(config, seed):
    if "feed_forward_proj" in config:
        model = T5EncoderModel(T5Config(**config))
    else:
        model = UMT5EncoderModel(UMT5Config(feed_forward_proj="gated-gelu", **config))
    # No 1/sqrt(d) on the scores: smaller queries keep the softmax from being one-hot.
    return randomise(model, seed, {"SelfAttention.q.weight": config["d_kv"] ** -0.5})


def inputs(vocab, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, vocab, (2, ROW), generator=generator)
    mask = torch.ones_like(ids)
    ids[0, -1] = ids[1, REAL - 1] = 1
    ids[1, REAL:] = 0
    mask[1, REAL:] = 0
    return ids, mask


def make_case(folder, config, seed):
    model = build(config, seed)
    model.save_pretrained(folder)
    ids, mask = inputs(config["vocab_size"], seed + 1)
    if "feed_forward_proj" in config:
        mask.fill_(1)
    blocks = [f"encoder.block.{i}" for i in range(config["num_layers"])]
    taps = Taps(model, ["encoder.embed_tokens"] + blocks)
    final = model(ids, mask).last_hidden_state
    parts = taps.take()
    out = {"input_ids": ids, "attention_mask": mask, "embedding": parts["encoder.embed_tokens"][0], "final": final}
    for i, name in enumerate(blocks):
        out[f"block.{i}"] = parts[name][0]
    save_tensors(os.path.join(folder, "taps.safetensors"), out)


def make(folder):
    for i, (name, config) in enumerate((CASES | T5_CASES).items()):
        make_case(os.path.join(folder, name), config, 1000 + 10 * i)
