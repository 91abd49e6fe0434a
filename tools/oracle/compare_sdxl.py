"""Does snug draw the pictures that diffusers draws with SDXL? Fresh random tiny pipelines, never seen by the goldens.

    compare_sdxl.py [--snug build/snug] [--kind K ...] [--first 0] [--cases 3] [--ram 64MiB ...] [--keep DIR]

As compare_images.py: equal on 99.9 % of the values, nowhere off by more than 1.
"""

import os
import random

import numpy as np

import torch
from safetensors.torch import load_file, save_file

import cases
import sdxl_lora
import tiny_sdxl
from compare_pipeline import NEGATIVES, draw_prompt
from golden import save_json

KINDS = {"txt2img": ("txt2img", False), "img2img": ("img2img", False), "control": ("txt2img", True),
         "control-img2img": ("img2img", True)}
SDXL = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def draw_scheduler(rng):
    spacing = rng.choice(["leading", "leading", "trailing", "linspace"])
    options = dict(SDXL, timestep_spacing=spacing, steps_offset=rng.choice([0, 1]))
    if rng.random() < 0.2:
        options["prediction_type"] = "v_prediction"
    name = rng.choice(["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DDIMScheduler", "DPMSolverMultistepScheduler"])
    if name == "DDIMScheduler":
        options.update(clip_sample=False, set_alpha_to_one=rng.choice([True, False]))
    if name in ("EulerDiscreteScheduler", "DPMSolverMultistepScheduler"):
        options["use_karras_sigmas"] = rng.choice([False, False, True])
    if name == "DPMSolverMultistepScheduler":
        options["algorithm_type"] = rng.choice(["dpmsolver++", "dpmsolver++", "sde-dpmsolver++"])
        options["solver_order"] = rng.choice([1, 2, 2, 3])
    return name, options


def draw_unet(rng):
    levels = rng.choice([1, 2, 2, 3])
    heads = [rng.choice([1, 2, 4]) for _ in range(levels)]
    crossed = [rng.random() < 0.7 for _ in range(levels)]
    return dict(
        sample_size=8,
        block_out_channels=tuple(sorted(rng.choice([8, 16, 24]) for _ in range(levels))),
        down_block_types=tuple("CrossAttnDownBlock2D" if c else "DownBlock2D" for c in crossed),
        up_block_types=tuple("CrossAttnUpBlock2D" if c else "UpBlock2D" for c in reversed(crossed)),
        layers_per_block=rng.choice([1, 2]),
        attention_head_dim=tuple(heads),
        transformer_layers_per_block=tuple(rng.choice([1, 2]) for _ in range(levels)),
        addition_time_embed_dim=rng.choice([4, 8]),
        norm_num_groups=rng.choice([2, 4]),
    )


def draw_clip(rng, **more):
    heads = rng.choice([1, 2, 4])
    return dict(
        hidden_size=8 * heads,
        intermediate_size=rng.randrange(17, 60),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        hidden_act=rng.choice(["quick_gelu", "gelu"]),
        **more,
    )


def draw_request(rng):
    start = rng.choice([0.0, 0.0, 0.3])
    return dict(
        prompt=draw_prompt(rng),
        prompt_2=rng.choice([None, None, draw_prompt(rng)]),
        negative=rng.choice(NEGATIVES),
        width=8 * rng.randrange(2, 20),
        height=8 * rng.randrange(2, 20),
        steps=rng.choice([2, 3, 4, 5, 7]),
        guidance=rng.choice([1.0, 3.5, 5.0, 7.5]),
        strength=rng.choice([1.0, 0.999, 0.6, 0.51]),
        eta=rng.choice([0.0, 0.5, 1.0]),
        batch=rng.choice([1, 1, 2, 3]),
        control_scale=rng.choice([1.0, 0.5]),
        control_start=start,
        control_end=rng.choice([1.0, start + 0.6]),
    )


def draw_plan(kind, seed):
    rng = random.Random(f"sdxl {kind} {seed}")
    task, control = KINDS[kind]
    plan = dict(
        kind=kind,
        task=task,
        control=control,
        seed=rng.randrange(1 << 31),
        vae=dict(block_out_channels=rng.choice([(8, 8, 16, 16), (8, 12, 16), (8, 16)]), layers_per_block=1, norm_num_groups=4),
        unet=draw_unet(rng),
        clip=draw_clip(rng),
        clip_2=draw_clip(rng, projection_dim=rng.choice([8, 10])),
        zeros=rng.choice([True, False]),
        scheduler=draw_scheduler(rng),
        picture=rng.choice([None, (rng.randrange(9, 200), rng.randrange(9, 200))]),
        stored=rng.choice(["float32", "float32", "float16", "bfloat16"]),
        request=draw_request(rng),
        lora=rng.choice([None, *((kind, rng.choice([1.0, 0.6, -0.4])) for kind in sdxl_lora.KINDS)]),
    )
    plan["unet"]["block_out_channels"] = tuple(c * plan["unet"]["norm_num_groups"] // 2 for c in plan["unet"]["block_out_channels"])
    return plan


def command(args, plan, folder):
    q = plan["request"]
    line = [args.snug, "run", plan["task"], "--model", os.path.join(folder, "model"), "--prompt", q["prompt"]]
    line += ["--prompt-2", q["prompt_2"]] if q["prompt_2"] else []
    line += ["--negative", q["negative"]] if q["negative"] is not None else []
    line += ["--size", f"{q['width']}x{q['height']}", "--steps", str(q["steps"]), "--guidance", str(q["guidance"])]
    line += ["--seed", str(plan["seed"]), "--batch", str(q["batch"]), "--eta", str(q["eta"])]
    if plan["task"] != "txt2img":
        line += ["--image", os.path.join(folder, "image.png"), "--strength", str(q["strength"])]
    if plan["lora"]:
        line += ["--lora", os.path.join(folder, "lora.safetensors") + f":{plan['lora'][1]}", "--strict-lora"]
    if plan["control"]:
        line += ["--control-image", os.path.join(folder, "control.png"), "--control-scale", str(q["control_scale"])]
        line += ["--control-start", str(q["control_start"]), "--control-end", str(q["control_end"])]
    return line


def draw_lora(plan, model, path):
    """Write the LoRA file of the plan; what it changes."""
    if not plan["lora"]:
        return None
    parts = {}
    for component in sdxl_lora.PARTS:
        name = "diffusion_pytorch_model" if component == "unet" else "model"
        tensors = load_file(os.path.join(model, component, name + ".safetensors"))
        parts[component] = {k: v.float() for k, v in tensors.items()}
    kind, strength = plan["lora"]
    file, changes = sdxl_lora.draw(parts, tiny_sdxl.unet_config(plan), kind, plan["seed"])
    save_file(file, path)
    return {component: {k: strength * v for k, v in tensors.items()} for component, tensors in changes.items()}


def expect(plan, folder):
    model = os.path.join(folder, "model")
    tiny_sdxl.save_model(plan, model)
    picture, control = tiny_sdxl.pictures(plan)
    if picture:
        picture.save(os.path.join(folder, "image.png"))
    if control:
        control.save(os.path.join(folder, "control.png"))
    save_json(os.path.join(folder, "plan.json"), plan)
    with torch.no_grad():
        changes = draw_lora(plan, model, os.path.join(folder, "lora.safetensors"))
        want = tiny_sdxl.draw(plan, model, picture, control, changes)
    np.save(os.path.join(folder, "pictures.npy"), want)
    return want


def compare(args, kind, seed, folder):
    plan = draw_plan(kind, seed)
    want, n = expect(plan, folder), plan["request"]["batch"]
    q, u = plan["request"], plan["unet"]
    size = f"{q['batch']} x {q['width']}x{q['height']}, {q['steps']} steps, guidance {q['guidance']}, strength {q['strength']}"

    def judge():
        line = command(args, plan, folder)
        return cases.judge_pictures(want, cases.run_snug(args, line, folder, ".png", lambda at: cases.read_pictures(at, n)))

    words = f"{size}, {plan['scheduler'][0]}, unet {u['block_out_channels']}, {plan['stored']}"
    words += f", LoRA {' '.join(map(str, plan['lora']))}" if plan["lora"] else ""
    return cases.compare(f"{kind} seed {seed}", words, judge)


if __name__ == "__main__":
    cases.run(cases.parser(__doc__, KINDS).parse_args(), compare)
