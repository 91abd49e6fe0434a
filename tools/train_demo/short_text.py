"""Cross-attention to text that is padded to 512 rows, without computing 512 rows.

Wan pipelines pad the text encoder's rows with zeros to 512; the zero rows pass through the text MLP
and are attended. All of them give the same key and value, so one of them stands for all, its logit
raised by ln(number of pad rows). Exact, and about ten times cheaper for short captions.

    python short_text.py      # checks it against the plain transformer
"""

import math

import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel

ROWS = 512


def rope(x, table):
    cos, sin = table  # [L, d/2]
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


class Processor:
    """For both attentions; `logits` [B, 1, 1, rows] is set before each forward."""

    logits = None

    def __call__(self, attn, hidden, text=None, mask=None, rotary=None):
        source = hidden if text is None else text
        heads = lambda x: x.unflatten(2, (attn.heads, -1)).transpose(1, 2)
        q = heads(attn.norm_q(attn.to_q(hidden)))
        k = heads(attn.norm_k(attn.to_k(source)))
        v = heads(attn.to_v(source))
        if text is None:
            table = [t[0, :, 0, 0::2] for t in rotary]  # cos and sin are stored twice, side by side
            q, k = rope(q, table), rope(k, table)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=None if text is None else self.logits)
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


def install(dit):
    processor = Processor()
    for block in dit.blocks:
        block.attn1.set_processor(processor)
        block.attn2.set_processor(processor)
    return processor


def shorten(rows, lengths):
    """rows [B, n, d] with at least one spare row each, lengths [B] -> zeroed rows, logits"""
    at = torch.arange(rows.shape[1])[None]
    n = lengths[:, None]
    logits = torch.zeros(rows.shape[:2])
    logits = torch.where(at == n, (ROWS - n).float().log(), logits)
    logits = torch.where(at > n, torch.tensor(-math.inf), logits)
    return rows * (at < n)[..., None], logits[:, None, None, :]


@torch.no_grad()
def largest_difference(dit, lengths, text_dim, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(len(lengths), dit.config.in_channels, 5, 8, 8, generator=g)
    t = torch.rand(len(lengths), 80, generator=g) * 1000
    n = torch.tensor(lengths)
    full = torch.randn(len(lengths), ROWS, text_dim, generator=g)
    full = full * (torch.arange(ROWS)[None] < n[:, None])[..., None]
    want = dit(x, t, full, return_dict=False)[0]
    processor = install(dit)
    rows, processor.logits = shorten(full[:, : max(lengths) + 1], n)
    return (dit(x, t, rows, return_dict=False)[0] - want).abs().max().item()


if __name__ == "__main__":
    torch.manual_seed(0)
    dit = WanTransformer3DModel(
        num_attention_heads=4, attention_head_dim=16, in_channels=16, out_channels=16, text_dim=24,
        freq_dim=32, ffn_dim=128, num_layers=3, cross_attn_norm=True,
    ).eval()  # fmt: skip
    difference = largest_difference(dit, [1, 7, 30], 24)
    print(f"short and full text differ by {difference:.1e}")
    assert difference < 1e-4
