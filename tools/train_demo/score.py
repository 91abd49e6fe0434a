"""Scores the demo model on triples of shape, colour and motion that it never saw in training.

    python score.py --model ../../models/demo --out runs/score            # samples with diffusers
    python score.py --list                                                # name, seed, prompt per line
    python score.py --frames DIR --out runs/score                         # scores clips made elsewhere
    python score.py --first-frames DIR                                    # PNGs for --image tests

--list prints lines `NAME<TAB>SEED<TAB>PROMPT`. For --frames, put each clip at DIR/NAME.npy: f32,
[17, 64, 64, 3], 0..1. With --image the clips are conditioned on a drawn first frame (the PNG of the
same name that --first-frames writes) and the score also says how well that frame was kept.
Writes score.json, score.md and contact_sheet.png (every sample; wrong ones are framed in red).
"""

import argparse
import json
import os

import numpy as np
from PIL import Image, ImageDraw

import data
from measure import measure

CHECKS = {"colour": data.COLOUR_NAMES, "motion": data.MOTION_NAMES, "shape": data.SHAPE_NAMES}
STRIP = (0, 4, 8, 12, 16)


def items():
    """One prompt for every held-out triple; size and ground go round."""
    out = []
    for i, (shape, colour, motion) in enumerate(data.held_out_triples()):
        rng = np.random.default_rng([77, i])
        thing = data.make_thing(rng, shape, colour, list(data.SIZES)[i % 2], motion)
        kind, word = data.KINDS[i % 3], list(data.GROUNDS)[i % 6]
        prompt = data.caption(rng, [thing], kind, word, full=True)
        first = data.draw(data.draw_ground(rng, kind, word), [thing])[0]
        out.append(
            {"name": f"{i:02d}_{colour}_{shape}_{motion}", "seed": 1000 + i, "prompt": prompt, "first": first}
            | {"colour": colour, "shape": shape, "motion": motion, "size": thing.size}
        )
    return out


def sample(folder, todo, steps, guidance, image, dtype, batch):
    """-> list of frames [17, 64, 64, 3]; the pipelines are diffusers' own"""
    import torch
    from diffusers import WanImageToVideoPipeline, WanPipeline

    kind = WanImageToVideoPipeline if image else WanPipeline
    pipe = kind.from_pretrained(folder, torch_dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(disable=True)
    clips = []
    size = 1 if image else batch
    for at in range(0, len(todo), size):
        part = todo[at : at + size]
        seeds = [torch.Generator().manual_seed(p["seed"]) for p in part]
        more = {"image": to_image(part[0]["first"])} if image else {}
        out = pipe(
            prompt=[p["prompt"] for p in part], height=64, width=64, num_frames=17, num_inference_steps=steps,
            guidance_scale=guidance, generator=seeds, output_type="np", **more,
        )  # fmt: skip
        clips += list(np.asarray(out.frames, np.float32))
        print(f"{len(clips)} of {len(todo)}", flush=True)
    return clips


def to_image(frame):
    return Image.fromarray((frame * 255 + 0.5).astype(np.uint8))


def confusion(rows, check):
    names = CHECKS[check] + (["none"] if check != "shape" else [])
    table = {want: dict.fromkeys(names, 0) for want in CHECKS[check]}
    for row in rows:
        table[row[check]][row["got"][check]] += 1
    return table


def markdown(result):
    lines = [f"{result['samples']} held-out combinations, one sample each ({result['how']}).", ""]
    lines += ["| right | share |", "|---|---|"]
    lines += [f"| {k} | {v:.1f} % |" for k, v in result["right"].items()]
    if "first_frame_error" in result:
        lines += ["", f"First frame kept to a mean error of {result['first_frame_error']:.1f}/255."]
    for check, table in result["confusion"].items():
        columns = list(next(iter(table.values())))
        columns = [c for c in columns if c != "none" or any(r["none"] for r in table.values())]
        lines += ["", f"| {check}: asked \\ seen | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for want, row in table.items():
            lines.append(f"| {want} | " + " | ".join(str(row[c]) if row[c] else "." for c in columns) + " |")
    wrong = [r for r in result["rows"] if r["wrong"]]
    lines += ["", f"Wrong ({len(wrong)}):", ""]
    lines += [f"- {r['prompt']}: " + ", ".join(f"{k} seen as {r['got'][k]}" for k in r["wrong"]) for r in wrong]
    return "\n".join(lines) + "\n"


def contact_sheet(rows, clips, path, columns=3):
    w, h = 64 * len(STRIP) + 8, 64 + 18
    down = -(-len(rows) // columns)
    sheet = Image.new("RGB", (columns * w + 8, down * h + 8), (245, 245, 245))
    pen = ImageDraw.Draw(sheet)
    for i, (row, clip) in enumerate(zip(rows, clips)):
        x, y = 8 + (i // down) * w, 8 + (i % down) * h
        strip = np.concatenate([clip[k] for k in STRIP], 1)
        sheet.paste(to_image(np.clip(strip, 0, 1)), (x, y + 12))
        label = f"{row['size']} {row['colour']} {row['shape']}: {row['motion']}"
        label += "".join(f"  [{k}: {row['got'][k]}]" for k in row["wrong"])
        pen.text((x, y - 1), label, fill=(200, 0, 0) if row["wrong"] else (40, 40, 40))
        if row["wrong"]:
            pen.rectangle((x - 1, y + 11, x + 64 * len(STRIP), y + 76), outline=(220, 0, 0))
    sheet.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def score(todo, clips, how, image):
    rows = []
    for item, clip in zip(todo, clips):
        assert clip.shape == (data.FRAMES, data.SIZE, data.SIZE, 3), (item["name"], clip.shape)
        got = measure(clip)
        row = {k: v for k, v in item.items() if k != "first"} | {"got": got}
        row["wrong"] = [k for k in CHECKS if got[k] != item[k]]
        if image:
            row["first_frame_error"] = round(float(np.abs(clip[0] - item["first"]).mean()) * 255, 2)
        rows.append(row)
    n = len(rows)
    right = {k: round(100 * sum(k not in r["wrong"] for r in rows) / n, 1) for k in CHECKS}
    right["colour and motion"] = round(100 * sum(not {"colour", "motion"} & set(r["wrong"]) for r in rows) / n, 1)
    right["all three"] = round(100 * sum(not r["wrong"] for r in rows) / n, 1)
    result = {"samples": n, "how": how, "right": right}
    if image:
        result["first_frame_error"] = round(float(np.mean([r["first_frame_error"] for r in rows])), 2)
    return result | {"confusion": {k: confusion(rows, k) for k in CHECKS}, "rows": rows}


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model", default="../../models/demo")
    p.add_argument("--out", default="runs/score")
    p.add_argument("--list", action="store_true")
    p.add_argument("--frames", metavar="DIR")
    p.add_argument("--first-frames", metavar="DIR")
    p.add_argument("--image", action="store_true")
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--guidance", type=float, default=4.0)
    p.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    p.add_argument("--batch", type=int, default=17)
    p.add_argument("--every", type=int, default=1, help="score every n-th prompt only")
    args = p.parse_args()
    todo = items()[:: args.every]
    if args.list:
        print("\n".join(f"{t['name']}\t{t['seed']}\t{t['prompt']}" for t in todo))
        return
    if args.first_frames:
        os.makedirs(args.first_frames, exist_ok=True)
        for t in todo:
            to_image(t["first"]).save(os.path.join(args.first_frames, t["name"] + ".png"))
        return
    if args.frames:
        how = "frames given"
        clips = [np.load(os.path.join(args.frames, t["name"] + ".npy")).astype(np.float32) for t in todo]
    else:
        how = f"diffusers, {args.dtype}, {args.steps} steps, guidance {args.guidance}"
        clips = sample(args.model, todo, args.steps, args.guidance, args.image, args.dtype, args.batch)
    if args.image:
        how += ", first frame given"
    result = score(todo, clips, how, args.image)
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "score.json"), "w") as f:
        f.write(json.dumps(result, indent=1) + "\n")
    with open(os.path.join(args.out, "score.md"), "w") as f:
        f.write(markdown(result))
    contact_sheet(result["rows"], clips, os.path.join(args.out, "contact_sheet.png"))
    print(result["right"], {k: v for k, v in result.items() if k == "first_frame_error"})


if __name__ == "__main__":
    main()
