"""Trains the text encoder and the diffusion transformer together on stored latents. Restartable.

Flow matching: x_t = (1 - s) x0 + s noise, target noise - x0, timestep 1000 s, s shifted towards
noise. Every third batch is conditioned on its first latent frame: that frame is given clean, its
tokens have timestep 0, and it does not count in the loss. The few latents over the coloured things
count more than the ground. Captions are dropped 10 % of the time.

    python train_dit.py --latents runs/latents --tokenizer runs/tokenizer --out runs/dit.pt
"""

import argparse
import copy
import math
import os
import time

import torch
from diffusers import WanTransformer3DModel
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

import encode_clips
import short_text
from muon import Muon, split

TEXT_DIM, HEADS, HEAD_DIM, LAYERS, FFN = 128, 6, 32, 7, 768
SHIFT, DROP = 3.0, 0.1
FOCUS = 4.0  # latents over the thing count up to 1 + this much


def make_text(vocab):
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=vocab, d_model=TEXT_DIM, d_kv=32, d_ff=256, num_layers=3, num_heads=4,
            dropout_rate=0.0, feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False,
        )
    )  # fmt: skip


def make_dit():
    dit = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=HEADS, attention_head_dim=HEAD_DIM, in_channels=16,
        out_channels=16, text_dim=TEXT_DIM, freq_dim=256, ffn_dim=FFN, num_layers=LAYERS,
        cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=1024,
    )  # fmt: skip
    torch.nn.init.zeros_(dit.proj_out.weight)
    torch.nn.init.zeros_(dit.proj_out.bias)
    return dit


def is_matrix(name, p):
    """Muon takes the matrices inside blocks; embeddings, biases, first and last layers do not."""
    inside = name.startswith("blocks.") or name.startswith("encoder.block.")
    return inside and p.ndim == 2 and "relative_attention_bias" not in name


class Data:
    """Latents normalised by channel, captions as token ids."""

    def __init__(self, folder, tokenizer):
        z, thing, captions = encode_clips.read(folder)
        z = z.float()
        self.weight = 1 + FOCUS * thing.float()
        self.mean, self.std = z.mean((0, 2, 3, 4)), z.std((0, 2, 3, 4))
        self.z = (z - self.mean.view(1, -1, 1, 1, 1)) / self.std.view(1, -1, 1, 1, 1)
        self.ids = [tokenizer(row).input_ids for row in captions]
        self.empty = tokenizer("").input_ids

    def batch(self, n, g):
        """-> z [n, 16, 5, 8, 8], weight [n, 5, 8, 8], ids [n, longest + 1] (0 = pad), lengths [n]"""
        pick = torch.randint(len(self.z), (n,), generator=g)
        word = torch.randint(len(self.ids[0]), (n,), generator=g)
        drop = torch.rand(n, generator=g) < DROP
        rows = [self.empty if d else self.ids[i][w] for i, w, d in zip(pick, word, drop)]
        lengths = torch.tensor([len(r) for r in rows])
        ids = torch.zeros(n, int(lengths.max()) + 1, dtype=torch.long)
        for i, r in enumerate(rows):
            ids[i, : len(r)] = torch.tensor(r)
        return self.z[pick], self.weight[pick], ids, lengths


def sigmas(n, g):
    u = (torch.arange(n) + torch.rand(n, generator=g)) / n  # one from each n-th of the range
    return SHIFT * u / (1 + (SHIFT - 1) * u)


def loss_of(text, dit, processor, z, weight, ids, lengths, first_frame, g):
    mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
    rows = text(ids, mask.long()).last_hidden_state
    rows, processor.logits = short_text.shorten(rows, lengths)
    sigma = sigmas(len(z), g)
    noise = torch.randn(z.shape, generator=g)
    s = sigma.view(-1, 1, 1, 1, 1)
    x, t = (1 - s) * z + s * noise, 1000 * sigma
    if first_frame:
        x[:, :, 0] = z[:, :, 0]
        t = t[:, None].repeat(1, z.shape[2] * 16)
        t[:, :16] = 0
    v = dit(x, t, rows, return_dict=False)[0]
    error = (v - (noise - z)).square() * weight[:, None]
    return error[:, :, 1:].mean() if first_frame else error.mean()


def rate(step, total):
    return min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, step / total))))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--latents", default="runs/latents")
    p.add_argument("--tokenizer", default="runs/tokenizer")
    p.add_argument("--out", default="runs/dit.pt")
    p.add_argument("--steps", type=int, default=5000, help="may be changed at a restart")
    p.add_argument("--batch", type=int, default=24)
    p.add_argument("--rate", type=float, default=1e-2, help="of Muon; --adam for the rest")
    p.add_argument("--adam", type=float, default=1e-3)
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--threads", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(2)
    tokenizer = T5Tokenizer.from_pretrained(args.tokenizer)
    clips = Data(args.latents, tokenizer)
    text, dit = make_text(len(tokenizer)), make_dit()
    processor = short_text.install(dit)
    model = torch.nn.ModuleDict({"text": text, "dit": dit})
    matrices, rest = split([text, dit], is_matrix)
    opts = [Muon(matrices, lr=1), torch.optim.AdamW(rest, lr=1, betas=(0.9, 0.98), weight_decay=0)]
    average = copy.deepcopy(model.state_dict())
    first = 0
    if os.path.exists(args.out):
        saved = torch.load(args.out, weights_only=True)
        model.load_state_dict(saved["model"])
        average, first = saved["average"], saved["step"]
        for opt, state in zip(opts, saved["opts"]):
            opt.load_state_dict(state)
        clips.z = clips.z * clips.std.view(1, -1, 1, 1, 1) + clips.mean.view(1, -1, 1, 1, 1)
        clips.mean, clips.std = saved["mean"], saved["std"]  # the ones it was trained with
        clips.z = (clips.z - clips.mean.view(1, -1, 1, 1, 1)) / clips.std.view(1, -1, 1, 1, 1)
    print(f"{len(clips.z)} clips, {sum(x.numel() for x in model.parameters()) / 1e6:.2f} M parameters", flush=True)

    def save(step):
        state = {"model": model.state_dict(), "average": average, "step": step}
        state |= {"opts": [o.state_dict() for o in opts], "mean": clips.mean, "std": clips.std}
        torch.save(state, args.out + ".new")
        os.replace(args.out + ".new", args.out)

    began, sums = time.time(), {False: [0.0, 0], True: [0.0, 0]}
    for step in range(first, args.steps):
        g = torch.Generator().manual_seed(step)
        for opt, peak in zip(opts, (args.rate, args.adam)):
            for group in opt.param_groups:
                group["lr"] = peak * rate(step, args.steps)
        first_frame = step % 3 == 2
        loss = loss_of(text, dit, processor, *clips.batch(args.batch, g), first_frame, g)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
        keep = min(args.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            now = model.state_dict()
            torch._foreach_lerp_([average[k] for k in now], list(now.values()), 1 - keep)
        sums[first_frame][0] += loss.item()
        sums[first_frame][1] += 1
        if (step + 1) % 50 == 0:
            took = (time.time() - began) / (step + 1 - first)
            a, b = (s / max(n, 1) for s, n in sums.values())
            print(f"step {step + 1} loss {a:.4f} from first frame {b:.4f} {took:.2f} s/step", flush=True)
            sums = {False: [0.0, 0], True: [0.0, 0]}
        if (step + 1) % 200 == 0 or step + 1 == args.steps:
            save(step + 1)


if __name__ == "__main__":
    main()
