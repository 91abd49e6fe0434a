"""Is a model in one file of the original repository the same to snug as its diffusers folder?

    compare_sdxl_single.py [--snug build/snug] [--first 0] [--cases 3] [--ram 64MiB ...] [--keep DIR]

Random SDXL pipelines with the widths that shapes can tell (heads of 64, 32 groups), drawn by diffusers, written as one
file in the original names and beside it a ControlNet, drawn by snug from that file and from the folder: the same bytes,
and as near to diffusers as compare_sdxl.py asks.
"""

import os
import random

import torch
from safetensors.torch import load_file, save_file

import cases
import tiny_sdxl
from golden_controlnet import original as control_name
from golden_sdxl_unet import original_name

SDXL = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1)


def draw_plan(seed):
    rng = random.Random(f"sdxl single {seed}")
    return dict(
        task="txt2img",
        control=True,
        seed=rng.randrange(1 << 31),
        vae=dict(block_out_channels=(32, 32, 64, 64), layers_per_block=rng.choice([1, 2]), norm_num_groups=32),
        unet=dict(
            sample_size=128,
            block_out_channels=rng.choice([(64, 64, 128), (64, 128)]),
            layers_per_block=rng.choice([1, 2]),
            addition_time_embed_dim=256,
            norm_num_groups=32,
        ),
        clip=dict(hidden_size=rng.choice([24, 64]), intermediate_size=40, num_attention_heads=1, num_hidden_layers=2, hidden_act="quick_gelu"),
        clip_2=dict(hidden_size=128, intermediate_size=50, num_attention_heads=2, num_hidden_layers=3, hidden_act="gelu", projection_dim=96),
        zeros=True,
        scheduler=("EulerDiscreteScheduler", SDXL),
        request=dict(
            prompt="a red ball over the hills, at night", prompt_2=None, negative=rng.choice([None, "blue box"]), width=64, height=96,
            steps=3, guidance=5.0, strength=0.6, eta=0.0, batch=1, control_scale=0.8, control_start=0.0, control_end=1.0,
        ),
    )


def finish(plan):
    u = plan["unet"]
    n = len(u["block_out_channels"])
    crossed = [i > 0 for i in range(n)]
    u["down_block_types"] = tuple("CrossAttnDownBlock2D" if c else "DownBlock2D" for c in crossed)
    u["up_block_types"] = tuple("CrossAttnUpBlock2D" if c else "UpBlock2D" for c in reversed(crossed))
    u["attention_head_dim"] = tuple(c // 64 for c in u["block_out_channels"])
    u["transformer_layers_per_block"] = tuple(range(1, n + 1))
    return plan


def vae_name(name):
    for ours, theirs in (("mid_block.resnets.0", "mid.block_1"), ("mid_block.resnets.1", "mid.block_2"),
                         ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"), ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
                         ("mid_block.attentions.0.to_", "mid.attn_1."), ("conv_norm_out", "norm_out"), ("conv_shortcut", "nin_shortcut")):
        name = name.replace(ours, theirs)
    parts = name.split(".")
    if len(parts) > 2 and parts[1] in ("down_blocks", "up_blocks"):
        way = parts[1][: -len("_blocks")]
        level = parts[2] if way == "down" else str(3 - int(parts[2]))
        rest = ["block", *parts[4:]] if parts[3] == "resnets" else [f"{way}sample", *parts[5:]]
        name = ".".join([parts[0], way, level, *rest])
    return name


def open_clip(tensors):
    out = {}
    for name, t in tensors.items():
        name = name.removeprefix("text_model.")
        for ours, theirs in (("embeddings.token_embedding.weight", "token_embedding.weight"),
                             ("embeddings.position_embedding.weight", "positional_embedding"), ("encoder.layers.", "transformer.resblocks."),
                             ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("self_attn.out_proj", "attn.out_proj"),
                             ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"), ("final_layer_norm", "ln_final")):
            name = name.replace(ours, theirs)
        if name == "text_projection.weight":
            out["text_projection"] = t.T.contiguous()
        elif ".self_attn.q_proj." in name:
            kind = name.rsplit(".", 1)[1]
            like = lambda x: next(v for k, v in tensors.items() if k.endswith(name.split("resblocks.")[1].split(".")[0] + f".self_attn.{x}_proj.{kind}"))
            out[name.split(".self_attn")[0] + f".attn.in_proj_{kind}"] = torch.cat([t, like("k"), like("v")])
        elif ".self_attn." not in name and "position_ids" not in name:
            out[name] = t
    return out


def write_files(plan, model, folder):
    part = lambda name, stem: load_file(os.path.join(model, name, stem + ".safetensors"))
    layers, levels = plan["unet"]["layers_per_block"], len(plan["unet"]["block_out_channels"])
    diffusion = "diffusion_pytorch_model"
    out = {"model.diffusion_model." + original_name(k, layers, levels): v for k, v in part("unet", diffusion).items()}
    out |= {"first_stage_model." + vae_name(k): v for k, v in part("vae", diffusion).items()}
    first = part("text_encoder", "model")
    out |= {"conditioner.embedders.0.transformer." + (k if k.startswith("text_model.") else "text_model." + k): v for k, v in first.items()}
    out |= {"conditioner.embedders.1.model." + k: v for k, v in open_clip(part("text_encoder_2", "model")).items()}
    out["conditioner.embedders.1.model.logit_scale"] = torch.tensor(4.6)
    save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(folder, "model.safetensors"))
    control = {"control_model." + control_name(k, layers, levels): v for k, v in part("controlnet", diffusion).items()}
    save_file(control, os.path.join(folder, "control.safetensors"))


def run(args, plan, folder, name, more):
    q = plan["request"]
    line = [args.snug, "run", "txt2img", "--prompt", q["prompt"], "--size", f"{q['width']}x{q['height']}", "--steps", str(q["steps"])]
    line += ["--guidance", str(q["guidance"]), "--seed", str(plan["seed"]), "--control-scale", str(q["control_scale"])]
    line += ["--control-image", os.path.join(folder, "control.png"), *more]
    line += ["--negative", q["negative"]] if q["negative"] is not None else []
    return cases.run_snug(args, line, folder, f"-{name}.png", lambda at: cases.read_pictures(at, 1))


def compare(args, kind, seed, folder):
    plan = finish(draw_plan(seed))
    model = os.path.join(folder, "model")
    tiny_sdxl.save_model(plan, model)
    picture, control = tiny_sdxl.pictures(plan)
    control.save(os.path.join(folder, "control.png"))
    want = tiny_sdxl.draw(plan, model, picture, control)
    write_files(plan, model, folder)

    def judge():
        folders = run(args, plan, folder, "folder", ["--model", model])
        single = run(args, plan, folder, "single", [
            "--model", os.path.join(folder, "model.safetensors"), "--controlnet", os.path.join(folder, "control.safetensors"),
            "--tokenizer", os.path.join(model, "tokenizer"), "--tokenizer-2", os.path.join(model, "tokenizer_2")])
        return cases.judge_pictures(want, [*folders, *single])

    return cases.compare(f"{kind} seed {seed}", f"unet {plan['unet']['block_out_channels']}", judge)


if __name__ == "__main__":
    cases.run(cases.parser(__doc__, ["single"]).parse_args(), compare)
