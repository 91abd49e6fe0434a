"""Time per denoising step against frames: does it grow as the FLOPs do?

    ./dev bench frames                            Wan 1.3B, 256x256, 5 to 49 frames: 6 GB on the disk
    ./dev bench frames --frames 5,17 --repeat 1
    ./dev bench frames --scale tiny --repeat 1    only to see that it works

Random weights. A step's time is the least of --repeat runs of the last step, as snug reports it: the first also waits for
the file. Prints a Markdown table; the last column is the time per FLOP against the best row's, and
exit code 1 says that one is more than 1.15. `--write FILE` draws the curve as SVG.
"""

import argparse
import os
import sys
import tempfile

from memory_runs import DONE, ROOT, Request, make_model

PROMPT = "a red ball rolls over a green hill while the sun sets behind the trees"
MOST_OVER = 1.15
WIDTH, HEIGHT, LEFT, BOTTOM = 560, 320, 56, 40  # of the picture


def measure(args, model, frames, scratch):
    """(GFLOP, least seconds) of one step."""
    options = {"prompt": PROMPT, "size": args.size, "frames": frames, "steps": args.steps, "guidance": 1,
               "seed": 7, "threads": args.threads}  # fmt: skip
    request = Request(args.snug, f"{frames} frames", "wan-t2v", model, options)
    least, gflop = None, 0.0
    for _ in range(args.repeat):
        row = request.run(scratch, args.ram_mib)
        if row.done.code != DONE or row.broken:
            raise SystemExit(f"{frames} frames: {'; '.join(row.broken)}")
        stages = [s["name"] for s in row.plan["stages"]]
        i = stages.index("denoise")
        seconds = row.measured["stages"][i]["last_step_seconds"]
        gflop = row.plan["stages"][i]["gflop"] / args.steps
        least = min(least, seconds) if least else seconds
    return gflop, least


def draw(path, rows):
    """Seconds over frames, with the line that the best time per FLOP gives."""
    best = min(seconds / gflop for _, gflop, seconds in rows)
    most_x, most_y = max(r[0] for r in rows), max(r[2] for r in rows) * 1.1

    def at(frames, seconds):
        x = LEFT + (WIDTH - LEFT - 16) * frames / most_x
        return f"{x:.1f},{(HEIGHT - BOTTOM) * (1 - seconds / most_y) + 8:.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
             f'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>']  # fmt: skip
    line = " ".join(at(f, best * g) for f, g, _ in rows)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#999" stroke-dasharray="4 3"/>')
    line = " ".join(at(f, s) for f, _, s in rows)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="2"/>')
    for frames, _, seconds in rows:
        x, y = at(frames, seconds).split(",")
        parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="#06c"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 18}" text-anchor="middle">{frames}</text>')
        parts.append(f'<text x="{float(x) - 6}" y="{float(y) - 6}" text-anchor="end">{seconds:.1f} s</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 3}" text-anchor="middle">frames</text>')
    parts.append('<text x="56" y="16">seconds per step; dashed: in proportion to the FLOPs</text></svg>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(parts) + "\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snug", default=os.path.join(ROOT, "build", "snug"))
    parser.add_argument("--scratch", help="folder for the model and results; default a temporary one")
    parser.add_argument("--frames", default="5,9,17,33,49")
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--ram-mib", type=int, default=8192)
    parser.add_argument("--scale", choices=("full", "middle", "tiny"), default="full")
    parser.add_argument("--write", metavar="FILE.svg")
    return parser.parse_args()


def main():
    args = parse()
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        folder = os.path.join(args.scratch or scratch, f"t2v-1.3b-{args.scale}")
        words = ["t2v-1.3b"] + ([] if args.scale == "full" else ["--scale", args.scale])
        if args.scale == "full":
            words += ["--set", "text_encoder.num_layers=1"]  # it is not what is timed
        model = make_model(folder, words)
        rows = []
        for frames in map(int, args.frames.split(",")):
            gflop, seconds = measure(args, model, frames, scratch)
            rows.append((frames, gflop, seconds))
            print(f"{frames} frames: {seconds:.2f} s a step", file=sys.stderr, flush=True)
    best = min(seconds / gflop for _, gflop, seconds in rows)
    print("| frames | GFLOP a step | s a step | GFLOP/s | against the best |\n|---|---|---|---|---|")
    for frames, gflop, seconds in rows:
        print(f"| {frames} | {gflop:.0f} | {seconds:.2f} | {gflop / seconds:.0f} | {seconds / gflop / best:.2f} |")
    if args.write:
        draw(args.write, rows)
    return any(seconds / gflop > MOST_OVER * best for _, gflop, seconds in rows)


if __name__ == "__main__":
    sys.exit(main())
