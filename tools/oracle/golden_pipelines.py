"""Whole pipelines: tests/golden/pipelines/<case>/: model folder, request, noise, frames, and what happens inside."""

import copy
import os

import numpy as np

import golden_wan_vae
import tiny_wan
from golden import save_json, save_tensors

# Fewer than 4 channels would make the RMS norm of a pixel (a direction) ill-conditioned.
VAE21 = dict(base_dim=4, dim_mult=[1, 2, 2, 2], num_res_blocks=1, temperal_downsample=[False, True, True])
VAE22 = dict(
    VAE21,
    base_dim=3,
    decoder_base_dim=4,
    is_residual=True,
    in_channels=12,
    out_channels=12,
    patch_size=2,
    scale_factor_spatial=16,
)
DIT = dict(
    num_attention_heads=2,
    attention_head_dim=16,
    freq_dim=32,
    ffn_dim=40,
    num_layers=2,
    cross_attn_norm=True,
    rope_max_seq_len=64,
)
SLIM = dict(DIT, attention_head_dim=12, freq_dim=24, ffn_dim=36)
CLIP = dict(
    hidden_size=20, intermediate_size=30, num_attention_heads=2, num_hidden_layers=3, image_size=28, patch_size=7
)
TEXT = dict(d_model=24, d_kv=6, d_ff=32, num_layers=1, num_heads=3)
TOKENS = dict(vocab=200, rule="identity")
FEW = dict(tokenizer=dict(TOKENS, rule="few"))
PROMPT = "A red ball rolls over the hills， caf\u00e9 \u2603 &amp; 红球  \u201cslowly\u201d"
NEGATIVE = "色调艳丽，过曝，静态，blurry"


def vae_21(z_dim, seed):
    # 16 channels: the published statistics, which are the defaults of the class
    return dict(VAE21, z_dim=z_dim, **({} if z_dim == 16 else golden_wan_vae.statistics(z_dim, seed)))


def vae_22(z_dim, seed):
    return dict(VAE22, z_dim=z_dim, **golden_wan_vae.statistics(z_dim, seed))


def case(kind, seed, vae, request, **changes):
    plan = dict(kind=kind, seed=seed, vae=vae, dit=DIT, text=TEXT, tokenizer=TOKENS, scheduler="unipc", shift=3.0)
    plan["boundary"] = 0.9
    plan["request"] = dict(prompt=PROMPT, negative=NEGATIVE, guidance=5.0, guidance_low=None, **request)
    plan.update(changes)
    return plan


def size(width, height, frames, steps, **more):
    return dict(width=width, height=height, frames=frames, steps=steps, **more)


CASES = {
    "t2v": case("t2v-2.1", 4000, vae_21(16, 0), size(48, 32, 9, 4), text=dict(TEXT, num_layers=2), **FEW),
    "t2v_euler": case("t2v-2.1", 4100, vae_21(4, 4101), size(32, 48, 5, 3), scheduler="euler", dit=SLIM),
    "t2v_experts": case("t2v-two-experts", 4200, vae_21(4, 4201), size(48, 32, 13, 5), dit=SLIM, boundary=0.875),
    "ti2v": case("ti2v-2.2", 4300, vae_22(48, 4301), size(32, 64, 5, 4), shift=5.0),
    "ti2v_image": case(
        "ti2v-image-2.2", 4400, vae_22(8, 4401), size(64, 32, 9, 4), shift=5.0, dit=SLIM, picture=(75, 52)
    ),
    "i2v": case("i2v-2.1", 4500, vae_21(16, 0), size(48, 32, 9, 4), picture=(61, 50)),
    "i2v_experts": case(
        "i2v-two-experts", 4600, vae_21(4, 4601), size(32, 48, 9, 4), shift=5.0, dit=SLIM, picture=(20, 31)
    ),
    "i2v_clip": case(
        "i2v-clip-2.1",
        4700,
        vae_21(4, 4701),
        size(48, 32, 9, 4),
        dit=SLIM,
        clip=dict(CLIP, hidden_act="gelu"),
        picture=(70, 45),
    ),
    "first_last": case(
        "flf2v-2.1",
        4800,
        vae_21(4, 4801),
        size(32, 48, 9, 3),
        dit=SLIM,
        clip=CLIP,
        picture=(33, 40),
        last_picture=(64, 31),
    ),
    "camera": case(
        "camera-two-experts",
        4900,
        vae_21(4, 4901),
        size(48, 32, 9, 4),
        dit=SLIM,
        boundary=0.947,
        shift=5.0,
        picture=(45, 33),
        camera=4902,
    ),
    "camera_fun": case(
        "camera-fun",
        4950,
        vae_21(4, 4951),
        size(32, 48, 5, 3),
        dit=dict(SLIM, num_layers=4),
        picture=(30, 44),
        camera=4952,
    ),
}
# Coefficients of their own: those of large models say nothing about networks that were never trained.
FIT = dict(coefficients=[0.01, -0.05, 0.2, 0.5, -0.1], threshold=0.6)
CASES["step_cache"] = case(
    "t2v-2.1", 4960, vae_21(4, 4961), size(32, 48, 5, 14), dit=SLIM, teacache=FIT, stored="bfloat16"
)
CASES["step_cache_experts"] = case(
    "t2v-two-experts", 4970, vae_21(4, 4971), size(48, 32, 5, 16), dit=SLIM, boundary=0.8, teacache=FIT, stored="bfloat16"
)
for name in ("ti2v", "i2v", "i2v_experts", "i2v_clip", "first_last", "camera", "camera_fun"):
    CASES[name]["stored"] = "bfloat16"  # half as large; computed in f32 all the same
CASES["t2v"]["request"]["negative"] = None
CASES["t2v_euler"]["request"]["guidance"] = 1.0
CASES["t2v_experts"]["request"].update(guidance=4.0, guidance_low=3.0)
CASES["i2v_experts"]["request"].update(guidance=3.5, guidance_low=4.5)
CASES["camera"]["request"].update(guidance=3.0, guidance_low=2.5)


def make_case(folder, plan):
    model = os.path.join(folder, "model")
    tiny_wan.save_model(plan, model)
    plan = copy.deepcopy(plan)
    if "teacache" in plan:
        fit = plan["teacache"]
        save_json(
            os.path.join(model, "snug.json"), dict(teacache=fit["coefficients"], teacache_threshold=fit["threshold"])
        )
    image, latents = None, tiny_wan.draw_noise(plan)
    if tiny_wan.takes_image(plan):
        image = tiny_wan.draw_image(*plan["picture"], plan["seed"])
        image.save(os.path.join(folder, "image.png"))
    if tiny_wan.draw_last(plan):
        tiny_wan.draw_last(plan).save(os.path.join(folder, "last_image.png"))
    if "camera" in plan:
        save_camera(plan, os.path.join(folder, "camera"))
    frames, inside, experts = tiny_wan.record(plan, model, image, latents)
    np.save(os.path.join(folder, "noise.npy"), latents.numpy())
    np.save(os.path.join(folder, "frames.npy"), frames)
    np.save(os.path.join(folder, "latents.npy"), inside["latents"].numpy())
    save_tensors(os.path.join(folder, "inside.safetensors"), inside)
    save_json(os.path.join(folder, "request.json"), describe(plan, experts))


def save_camera(plan, folder):
    os.makedirs(folder, exist_ok=True)
    poses, lenses = tiny_wan.draw_camera(plan)
    np.save(os.path.join(folder, "poses.npy"), poses)
    np.save(os.path.join(folder, "intrinsics.npy"), lenses)


def describe(plan, experts):
    facts = dict(pipeline=tiny_wan.KINDS[plan["kind"]][0], kind=plan["kind"], **plan["request"])
    if "teacache" in plan:
        facts.update(step_cache="teacache", skipped=plan["teacache"]["skipped"])
    facts.update(seed=plan["seed"], scheduler=plan["scheduler"], shift=plan["shift"], experts=experts)
    return facts


def make(folder):
    for name, plan in CASES.items():
        make_case(os.path.join(folder, name), plan)
