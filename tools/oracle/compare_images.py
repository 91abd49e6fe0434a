"""Does snug draw the pictures that diffusers draws? Fresh random tiny FLUX pipelines, never seen by the goldens.

    compare_images.py [--snug build/snug] [--kind K ...] [--first 0] [--cases 3] [--ram 64MiB ...] [--keep DIR]

Per kind and seed: dimensions drawn from the seed, weights, saved by save_pretrained, run by diffusers in f32 on the CPU
with the seed's generator, run by snug with the same seed. Equal on 99.9 % of the values, nowhere off by more than 1.
"""

import os
import random

import numpy as np
from safetensors.torch import load_file, save_file

import cases
import original_flux
import tiny_flux
from compare_pipeline import NEGATIVES, draw_prompt
from golden import save_json

KINDS = {
    "txt2img": ("txt2img", False),
    "schnell": ("txt2img", False),
    "img2img": ("img2img", False),
    "inpaint": ("inpaint", False),
    "fill": ("inpaint", True),
}


def draw_dit(rng, kind):
    heads = rng.choice([1, 2, 3])
    axes = rng.choice([(4, 4, 8), (2, 6, 4), (4, 6, 6), (8, 12, 12)])
    return dict(
        num_attention_heads=heads,
        attention_head_dim=sum(axes),
        axes_dims_rope=axes,
        num_layers=rng.choice([1, 2]),
        num_single_layers=rng.choice([1, 2, 3]),
        guidance_embeds=kind != "schnell",
    )


def draw_scheduler(rng, kind):
    if kind == "schnell":
        return dict(shift=1.0)
    return dict(shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=rng.choice([1.15, 1.5]))


def draw_request(rng, kind, unit):
    steps = rng.choice([2, 3, 4, 5, 7])
    return dict(
        prompt=draw_prompt(rng),
        prompt_2=rng.choice([None, None, draw_prompt(rng)]),
        negative=rng.choice(NEGATIVES),
        true_cfg=rng.choice([1.0, 1.0, 2.5]),
        width=unit * rng.randrange(-(-8 // unit), 160 // unit + 1),
        height=unit * rng.randrange(-(-8 // unit), 160 // unit + 1),
        steps=steps,
        guidance=rng.choice([1.0, 3.5, 7.0, 30.0]),
        strength=rng.choice([1.0, 0.999, 0.6, 0.51]),
        batch=rng.choice([1, 1, 2, 3]),
        max_tokens=rng.choice([512, 256, 64]),
    )


def draw_plan(kind, seed):
    rng = random.Random(f"flux {kind} {seed}")
    task, fill = KINDS[kind]
    levels = rng.choice([(8, 8, 16, 16), (8, 16, 16, 24), (8, 16)])
    heads = rng.choice([1, 2, 4])
    return dict(
        kind=kind,
        task=task,
        fill=fill,
        seed=rng.randrange(1 << 31),
        vae=dict(block_out_channels=levels, layers_per_block=1, latent_channels=rng.choice([4, 8, 16]), norm_num_groups=4),
        dit=draw_dit(rng, kind),
        clip=dict(
            hidden_size=8 * heads,
            intermediate_size=rng.randrange(17, 60),
            num_attention_heads=heads,
            num_hidden_layers=rng.choice([1, 2, 3]),
            hidden_act=rng.choice(["quick_gelu", "gelu"]),
            max_position_embeddings=77,
        ),
        t5=dict(
            d_model=rng.choice([16, 20, 33]),
            d_kv=rng.choice([4, 8]),
            d_ff=rng.randrange(16, 70),
            num_layers=rng.choice([1, 2]),
            num_heads=rng.choice([1, 2, 3]),
        ),
        tokenizer=dict(vocab=rng.randrange(150, 400), rule=rng.choice(["identity", "few", "nmt_nfkc"])),
        scheduler=draw_scheduler(rng, kind),
        picture=rng.choice([None, (rng.randrange(9, 200), rng.randrange(9, 200))]),
        stored=rng.choice(["float32", "float32", "bfloat16"]),
        request=draw_request(rng, kind, 2 * 2 ** (len(levels) - 1)),
        **rng.choice([{}, {}, {"eos": 2}]),
        original=len(levels) == 4 and rng.random() < 0.5,
        lora=rng.choice([0, 0, 0.7, 1.0, -0.4]),
    )


def command(args, plan, folder):
    q = plan["request"]
    line = [args.snug, "run", plan["task"], "--model", os.path.join(folder, "model"), "--prompt", q["prompt"]]
    line += ["--prompt-2", q["prompt_2"]] if q["prompt_2"] else []
    if not plan["fill"] and q["negative"] is not None:
        line += ["--negative", q["negative"], "--true-cfg", str(q["true_cfg"])]
    line += ["--size", f"{q['width']}x{q['height']}", "--steps", str(q["steps"]), "--guidance", str(q["guidance"])]
    line += ["--seed", str(plan["seed"]), "--batch", str(q["batch"]), "--max-tokens", str(q["max_tokens"])]
    if plan["task"] != "txt2img":
        line += ["--image", os.path.join(folder, "image.png"), "--strength", str(q["strength"])]
    if plan["task"] == "inpaint":
        line += ["--mask", os.path.join(folder, "mask.png")]
    if plan["original"]:
        file = os.path.join(folder, "all.safetensors")
        line += ["--transformer", file, "--vae", file, "--text-encoder", file, "--text-encoder-2", file]
    if plan["lora"]:
        line += ["--lora", os.path.join(folder, "lora.safetensors") + f":{plan['lora']}"]
    return line


def expect(plan, folder):
    model = os.path.join(folder, "model")
    tiny_flux.save_model(plan, model)
    picture, mask = tiny_flux.pictures(plan)
    if picture:
        picture.save(os.path.join(folder, "image.png"))
    if mask:
        mask.save(os.path.join(folder, "mask.png"))
    save_json(os.path.join(folder, "plan.json"), plan)
    if plan["original"]:
        original_flux.one_file(model, os.path.join(folder, "all.safetensors"))
    changes = {}
    if plan["lora"]:
        weights = load_file(os.path.join(model, "transformer", "diffusion_pytorch_model.safetensors"))
        file, changes = original_flux.draw_lora({k: v.float() for k, v in weights.items()}, plan["seed"], 4)
        save_file(file, os.path.join(folder, "lora.safetensors"))
    want = tiny_flux.draw(plan, model, picture, mask, {k: plan["lora"] * v for k, v in changes.items()})
    np.save(os.path.join(folder, "pictures.npy"), want)
    return want


def compare(args, kind, seed, folder):
    plan = draw_plan(kind, seed)
    want, n = expect(plan, folder), plan["request"]["batch"]
    q, d = plan["request"], plan["dit"]
    size = f"{q['batch']} x {q['width']}x{q['height']}, {q['steps']} steps, true cfg {q['true_cfg']}, strength {q['strength']}"
    dit = f"{d['num_layers']} + {d['num_single_layers']} x {d['num_attention_heads']} x {d['attention_head_dim']}"
    extra = (", original names" if plan["original"] else "") + (f", LoRA {plan['lora']}" if plan["lora"] else "")

    def judge():
        line = command(args, plan, folder)
        return cases.judge_pictures(want, cases.run_snug(args, line, folder, ".png", lambda at: cases.read_pictures(at, n)))

    return cases.compare(f"{kind} seed {seed}", f"{size}, dit {dit}, {plan['stored']}{extra}", judge)


if __name__ == "__main__":
    cases.run(cases.parser(__doc__, KINDS).parse_args(), compare)
