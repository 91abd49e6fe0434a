"""Does snug draw what diffusers draws? Fresh random tiny Wan pipelines, never seen by the goldens.

    compare_pipeline.py [--snug build/snug] [--kind K ...] [--first 0] [--cases 3] [--ram 64MiB ...] [--keep DIR]

Per kind and seed: dimensions drawn from the seed, weights, saved by save_pretrained, run by diffusers in f32 on the
CPU, run by snug with the same noise; frames must agree within --tolerance. With several --ram the outputs of
snug must also be the same bytes. One line a case; exit status 1 if one failed.

"own" is how far diffusers itself moves when the noise changes by one part in a million: a case whose own figure is
near the tolerance says nothing.
"""

import os
import random

import numpy as np

import cases
import tiny_wan
from golden import noise, save_json, save_tensors
from golden_pipelines import save_camera
from golden_wan_vae import statistics
from tiny_tokenizer import COLOURS, MOVES, PLACES, THINGS

PROMPTS = [
    "{} {} {} {}",
    "A  {} {} that {}，{}！",
    "caf\u00e9 &amp;amp; \u201c{} {}\u201d \u2603\u2603 {} \ufb01ne {}",
    "红色的球在草地上 {} {}\n{}\t{}  ",
    "{} {} {}, {}. " * 40,  # longer than 512 tokens
    "Ｗｉｄｅ {} {} \u3000{} <b>{}</b> z\u030c",
]
NEGATIVES = [None, "", "blurry, ugly", "色调艳丽，过曝，静态，细节模糊不清", "low quality" + " noise" * 30]


def draw_prompt(rng):
    words = (rng.choice(COLOURS), rng.choice(THINGS), rng.choice(MOVES), rng.choice(PLACES))
    text = rng.choice(PROMPTS)
    return text.format(*words * (text.count("{}") // 4))


def draw_vae(rng, residual, seed):
    """A pixel of 1 or 2 channels has an ill-conditioned RMS norm: 2.1 halves its channels going up."""
    mult = rng.choice([[1, 2, 4, 4], [1, 2, 2, 2], [1, 1, 2, 2], [1, 1, 1, 1]])
    least = 3 if residual else 4 if mult[1] == 2 else 6
    config = dict(
        base_dim=rng.randrange(least, least + 5),
        z_dim=rng.choice([4, 6, 8, 16]),
        dim_mult=mult,
        num_res_blocks=rng.choice([1, 1, 2]),
        temperal_downsample=rng.choice([[False, True, True], [False, True, True], [True, True, False]]),
    )
    if residual:
        config.update(is_residual=True, in_channels=12, out_channels=12, patch_size=2, scale_factor_spatial=16)
        config.update(decoder_base_dim=rng.choice([None, 4, 5, 6]))
    return dict(config, **statistics(config["z_dim"], seed))


def draw_dit(rng):
    return dict(
        num_attention_heads=rng.choice([1, 2, 3, 4]),
        attention_head_dim=rng.choice([8, 12, 16, 18, 20, 22, 24, 32]),
        freq_dim=rng.choice([16, 32, 50, 256]),
        ffn_dim=rng.randrange(17, 90),
        num_layers=rng.choice([1, 2, 3]),
        cross_attn_norm=rng.random() < 0.9,
        eps=rng.choice([1e-6, 1e-6, 1e-5]),
        rope_max_seq_len=rng.choice([32, 64, 1024]),
    )


def draw_clip(rng):
    patch = rng.choice([4, 7, 8])
    heads = rng.choice([1, 2, 4])
    return dict(
        hidden_size=heads * rng.choice([5, 8, 20]),
        num_attention_heads=heads,
        intermediate_size=rng.randrange(17, 60),
        num_hidden_layers=rng.choice([1, 2, 3]),
        image_size=patch * rng.choice([2, 3, 5]) + rng.choice([0, 0, 3]),
        patch_size=patch,
        hidden_act=rng.choice(["gelu", "quick_gelu"]),
    )


def draw_text(rng):
    return dict(
        d_model=rng.choice([16, 20, 24, 32, 33]),
        d_kv=rng.choice([4, 7, 8, 16]),
        d_ff=rng.randrange(16, 70),
        num_layers=rng.choice([1, 2, 3]),
        num_heads=rng.choice([1, 2, 3, 4]),
        relative_attention_num_buckets=rng.choice([32, 32, 16]),
        relative_attention_max_distance=rng.choice([128, 128, 64]),
    )


def draw_request(rng, kind, unit):
    guidance = rng.choice([1.0, 3.0, 4.5, 5.0, 7.5])
    two = tiny_wan.KINDS[kind][2]
    return dict(
        prompt=draw_prompt(rng),
        negative=rng.choice(NEGATIVES),
        width=unit * rng.randrange(1, 96 // unit + 1),
        height=unit * rng.randrange(1, 96 // unit + 1),
        frames=1 + 4 * rng.choice([0, 1, 2, 2, 3, 4, 5]),
        steps=rng.choice([1, 2, 3, 4, 6]),
        guidance=guidance,
        guidance_low=rng.choice([None, 2.0, 4.0, 6.0]) if two else None,
    )


def draw_plan(kind, seed):
    rng = random.Random(f"{kind} {seed}")
    residual = kind.endswith("2.2")
    seed = rng.randrange(1 << 30)
    tokenizer = dict(vocab=rng.randrange(150, 400), rule=rng.choice(["identity", "few", "nmt_nfkc"]))
    plan = dict(
        kind=kind,
        seed=seed,
        vae=draw_vae(rng, residual, seed),
        dit=draw_dit(rng),
        text=draw_text(rng),
        tokenizer=dict(tokenizer, extra_ids=rng.choice([0, 5])),
        scheduler=rng.choice(["unipc", "unipc", "euler"]),
        shift=rng.choice([1.0, 3.0, 5.0, 8.0]),
        boundary=rng.choice([0.5, 0.8, 0.875, 0.9]),
        request=draw_request(rng, kind, 32 if residual else 16),
        picture=(rng.randrange(9, 150), rng.randrange(9, 150)),
        stored=rng.choice(["float32", "float32", "bfloat16"]),
    )
    options = dict(max_shard_size=rng.choice(["5GB", "40KB"]))
    if kind in tiny_wan.SEEN:
        plan["clip"] = draw_clip(rng)
    if kind == "flf2v-2.1" or (kind in ("i2v-2.1", "i2v-two-experts") and rng.random() < 0.3):
        plan["last_picture"] = (rng.randrange(9, 150), rng.randrange(9, 150))
        plan["request"]["frames"] = max(plan["request"]["frames"], 5)
    if kind in tiny_wan.CAMERAS:
        plan["camera"] = rng.randrange(1 << 30)
    return plan, options


def command(args, plan, folder):
    q = plan["request"]
    line = [args.snug, "run", tiny_wan.KINDS[plan["kind"]][0], "--model", os.path.join(folder, "model")]
    line += ["--prompt", q["prompt"], "--negative", q["negative"] or "", "--size", f"{q['width']}x{q['height']}"]
    line += ["--frames", str(q["frames"]), "--steps", str(q["steps"]), "--guidance", str(q["guidance"])]
    if q["guidance_low"] is not None:
        line += ["--guidance-low", str(q["guidance_low"])]
    line += ["--seed", str(plan["seed"]), "--noise", os.path.join(folder, "noise.npy")]
    if tiny_wan.takes_image(plan):
        line += ["--image", os.path.join(folder, "image.png")]
    if plan.get("last_picture"):
        line += ["--last-image", os.path.join(folder, "last_image.png")]
    if "camera" in plan:
        line += ["--camera", os.path.join(folder, "camera")]
    return line


def expect(plan, options, folder):
    """Frames of diffusers, and how far they move when the noise is shaken."""
    model = os.path.join(folder, "model")
    tiny_wan.save_model(plan, model, **options)
    latents, image = tiny_wan.draw_noise(plan), None
    if tiny_wan.takes_image(plan):
        image = tiny_wan.draw_image(*plan["picture"], plan["seed"])
        image.save(os.path.join(folder, "image.png"))
    if plan.get("last_picture"):
        tiny_wan.draw_last(plan).save(os.path.join(folder, "last_image.png"))
    if "camera" in plan:
        save_camera(plan, os.path.join(folder, "camera"))
    batched = latents[None] if plan["seed"] % 4 == 0 else latents  # both shapes are common
    np.save(os.path.join(folder, "noise.npy"), batched.numpy())
    frames, inside, _ = tiny_wan.record(plan, model, image, latents)
    shaken = latents * (1 + 1e-6 * noise(latents.shape, plan["seed"] + 6))
    own = float(np.abs(tiny_wan.record(plan, model, image, shaken)[0] - frames).max())
    np.save(os.path.join(folder, "frames.npy"), frames)
    save_tensors(os.path.join(folder, "inside.safetensors"), inside)
    save_json(os.path.join(folder, "plan.json"), plan)
    return frames, own


def judge(want, got, tolerance):
    """None, or what is wrong; and the largest difference."""
    if any(g.shape != want.shape for g in got):
        return f"shape {got[0].shape}, not {want.shape}", float("nan")
    worst = max(float(np.abs(g.astype(np.float32) - want).max()) for g in got)
    if not worst < tolerance:
        return f"differs by more than {tolerance}", worst
    if any(g.tobytes() != got[0].tobytes() for g in got):
        return "not the same bytes with every --ram", worst
    return None, worst


def summary(plan):
    q, d, t, v = plan["request"], plan["dit"], plan["text"], plan["vae"]
    guidance = q["guidance"] if q["guidance_low"] is None else f"{q['guidance']}/{q['guidance_low']}"
    parts = (
        f"{q['width']}x{q['height']}x{q['frames']}",
        f"{q['steps']} steps {plan['scheduler']} shift {plan['shift']}",
        f"guidance {guidance}",
        f"dit {d['num_layers']} x {d['num_attention_heads']} x {d['attention_head_dim']}",
        f"text {t['num_layers']} x {t['num_heads']} x {t['d_kv']}",
        f"vae {v['base_dim']} z {v['z_dim']}",
        plan["stored"],
        *["clip {hidden_act} {image_size}/{patch_size}".format(**plan[key]) for key in ("clip",) if key in plan],
        *["last frame" for key in ("last_picture",) if key in plan],
    )
    return ", ".join(parts)


def compare(args, kind, seed, folder):
    plan, options = draw_plan(kind, seed)
    want, own = expect(plan, options, folder)

    def check():
        got = cases.run_snug(args, command(args, plan, folder), folder, ".npy", np.load)
        wrong, worst = judge(want, got, args.tolerance)
        return wrong, f"max {worst:.1e} (own {own:.1e})"

    return cases.compare(f"{kind} seed {seed}", summary(plan), check)


def parse():
    parser = cases.parser(__doc__, tiny_wan.KINDS)
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of frames in 0..1")
    return parser.parse_args()


if __name__ == "__main__":
    cases.run(parse(), compare)
