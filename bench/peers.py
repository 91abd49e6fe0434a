"""snug beside PyTorch with diffusers and stable-diffusion.cpp: the same work, random weights, all runs interleaved.

    ./dev bench peers                       small rows: 3 GB on the disk, 7 GB of memory for PyTorch
    ./dev bench peers --rows all            with umT5-XXL, the 5B model and a whole request: 15 GB, 20 GB of memory
    ./dev bench peers --write               the table into docs/PERF.md, the chart into docs/peers.svg

Every figure is the median of --rounds runs. Each run is a process of its own, its peak memory read from outside. A
forward pass is timed by each system itself, after its weights are loaded; PyTorch gets a warm-up call, the others none.
PyTorch computes in float32 and stable-diffusion.cpp is built with ggml's faster matrix products: both at their best.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import peers_table
from memory_runs import FAKE, ROOT, Request, Watched

PROMPT = "a red ball rolls over a green hill while the sun sets behind the trees"
BENCH = os.path.join(ROOT, "bench")
SMALL, LARGE = "small", "large"


class Work:
    """A row: what is timed, the model and request it is part of, the stage that snug and sd.cpp report it as."""

    def __init__(self, name, title, size, model, stage, frames, steps=1, guidance=1.0):
        self.name, self.title, self.size, self.model, self.stage = name, title, size, model, stage
        self.frames, self.steps, self.guidance = frames, steps, guidance


ROWS = (
    Work("dit-1.3b-9", "Wan 1.3B transformer, one forward, 256x256, 9 frames", SMALL, "t2v-1.3b", "denoise", 9, 2),
    Work("dit-1.3b-17", "the same, 17 frames", SMALL, "t2v-1.3b", "denoise", 17, 2),
    Work("vae-2.1", "Wan VAE 2.1 decode, 256x256, 5 frames", SMALL, "t2v-1.3b", "vae decode", 5),
    Work("dit-5b-9", "Wan 5B transformer, one forward, 256x256, 9 frames", LARGE, "ti2v-5b", "denoise", 9, 2),
    Work("vae-2.2", "Wan VAE 2.2 decode, 256x256, 5 frames", LARGE, "ti2v-5b", "vae decode", 5),
    Work("umt5", "umT5-XXL, one prompt of 20 tokens", LARGE, "t2v-1.3b", "text encoder", 5),
    Work("whole", "text to video, 1.3B, 256x256, 17 frames, 4 steps, guidance, cold start to file", LARGE, "t2v-1.3b",
         None, 17, 4, 5.0),
    Work("quarter", "the same under a quarter of the weights", LARGE, "t2v-1.3b", None, 17, 4, 5.0),
)  # fmt: skip
# what stable-diffusion.cpp says in its log
SDCPP_STAGES = {"denoise": "sampling", "vae decode": "decode_first_stage", "text encoder": "get_learned_condition"}


# ---- models -----------------------------------------------------------------------------------------------------------


def make(*words):
    subprocess.run([sys.executable, FAKE, *words, "--quiet"], check=True)


def make_model(folder, model):
    """Original layout; the text encoder is a sparse file of zeros: it takes no room, and as long as any other."""
    if not os.path.exists(os.path.join(folder, ".whole")):
        words = ("--layout", "original", "--dtype", "F16", "--shards", "1")
        make(model, folder, *words, "--sparse")
        make(os.path.join(folder, "config.json"), folder, *words)
        make("vae-2.1" if model == "t2v-1.3b" else "vae-2.2", folder, "--layout", "original")
        open(os.path.join(folder, ".whole"), "w", encoding="utf-8").close()
    return folder


def make_text_encoder(folder):
    path = os.path.join(folder, "text_encoder", "model.safetensors")
    if not os.path.exists(path):
        make("umt5-xxl", folder, "--shards", "1", "--sparse")
    return path


def make_pipeline(folder):
    """Diffusers layout for PyTorch's whole request."""
    if not os.path.exists(os.path.join(folder, ".whole")):
        make("t2v-1.3b", folder, "--sparse")
        make(os.path.join(folder, "transformer", "config.json"), os.path.join(folder, "transformer"))
        make("vae-2.1", folder)
        open(os.path.join(folder, ".whole"), "w", encoding="utf-8").close()
    return folder


def files_in(folder, pattern):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if re.search(pattern, name))


# ---- the three ----------------------------------------------------------------------------------------------------------


class Result:
    """Seconds and bytes of one run, or why there are none."""

    def __init__(self, seconds=None, done=None, why="", gflop=None):
        self.seconds, self.why, self.gflop = seconds, why, gflop
        self.bytes = done.peak_bytes if done else 0


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][-200:] if lines else "no word"


def run_torch(args, work):
    if work.name == "quarter":
        return Result(why="takes no budget")
    words = [args.python, os.path.join(BENCH, "peers_torch.py"), work.name, args.threads]
    if work.name == "whole":
        words += [make_pipeline(os.path.join(args.scratch, "pipeline")), os.path.join(args.scratch, "torch.mp4")]
    done = Watched(words)
    if done.code:
        return Result(done=done, why=f"exit {done.code}: {last_line(done.error)}")
    seconds = done.seconds if work.name == "whole" else json.loads(last_line(done.output))["seconds"]
    return Result(seconds, done)


def sdcpp_words(args, work, model):
    names = {"vae_path": r"VAE\.pth$", "diffusion_model_path": r"^diffusion_pytorch_model.*safetensors$"}
    given = {key: files_in(model, pattern)[0] for key, pattern in names.items()}
    if work.stage in (None, "text encoder"):
        given["t5xxl_path"] = make_text_encoder(os.path.join(args.scratch, "text"))
    video = {"prompt": PROMPT, "width": 256, "height": 256, "video_frames": work.frames, "sample_steps": work.steps,
             "cfg_scale": work.guidance, "sample_method": "euler", "seed": 7}  # fmt: skip
    output = os.path.join(args.scratch, "sdcpp.mp4") if work.stage is None else ""
    return {"model": {**given, "n_threads": args.threads}, "video": video, "output": output}


def run_sdcpp(args, work):
    if work.name == "quarter":
        return Result(why="takes no budget")
    model = make_model(os.path.join(args.scratch, work.model), work.model)
    words = json.dumps(sdcpp_words(args, work, model))
    done = Watched([args.python, os.path.join(BENCH, "peers_sdcpp.py"), words])
    if done.code:
        return Result(done=done, why=f"exit {done.code}: {last_line(done.error)}")
    if work.stage is None:
        return Result(done.seconds, done)
    found = re.findall(SDCPP_STAGES[work.stage] + r" completed, taking ([\d.]+) ?(m?s)", done.output + done.error)
    if not found:
        return Result(done=done, why="its log does not tell")
    seconds = float(found[-1][0]) * (0.001 if found[-1][1] == "ms" else 1.0)
    return Result(seconds / (work.steps if work.stage == "denoise" else 1), done)


def weights_bytes(plan):
    return sum(stage["weight_bytes"] for stage in plan["stages"])


def run_snug(args, work):
    model = make_model(os.path.join(args.scratch, work.model), work.model)
    options = {"prompt": PROMPT, "size": "256x256", "frames": work.frames, "steps": work.steps, "seed": 7,
               "guidance": work.guidance, "threads": args.threads}  # fmt: skip
    request = Request(args.snug, work.name, "wan-t2v" if work.model == "t2v-1.3b" else "wan-ti2v", model, options)
    ram_mib = 16384
    if work.name == "quarter":
        plan = json.loads(request.plan("--ram", "16GiB", "--json").output)
        ram_mib = weights_bytes(plan) // 4 >> 20
    row = request.run(args.scratch, ram_mib)
    if row.broken:
        return Result(done=row.done, why="; ".join(row.broken))
    stages = {stage["name"]: (stage, row.measured["stages"][i]) for i, stage in enumerate(row.plan["stages"])}
    if work.stage is None:
        return Result(row.seconds, row.done, gflop=row.plan["gflop"])
    planned, measured = stages[work.stage]
    share = work.steps if work.stage == "denoise" else 1
    return Result(measured["seconds"] / share, row.done, gflop=planned["gflop"] / share)


SYSTEMS = (("PyTorch", run_torch), ("sd.cpp", run_sdcpp), ("snug", run_snug))


# ---- the whole ----------------------------------------------------------------------------------------------------------


def measure(args):
    """{row: {system: [results]}}: every system in turn, then the next round."""
    chosen = [work for work in ROWS if args.rows in ("all", work.size) or work.name in args.rows.split(",")]
    found = {work: {name: [] for name, _ in SYSTEMS} for work in chosen}
    for i in range(args.rounds):
        for work in chosen:
            for name, run in SYSTEMS:
                if name in args.without.split(","):
                    continue
                result = run(args, work)
                found[work][name].append(result)
                said = f"{result.seconds:.2f} s, {result.bytes / 2**30:.2f} GiB" if result.seconds else result.why
                print(f"round {i + 1}: {work.name}: {name}: {said}", file=sys.stderr, flush=True)
    return found


def best(results):
    """Median of seconds, greatest peak, reason."""
    good = [r for r in results if r.seconds]
    if not good:
        return None, None, results[-1].why if results else "left out"
    return statistics.median(r.seconds for r in good), max(r.bytes for r in good), ""


def lines(found):
    for work, systems in found.items():
        gflop = next((r.gflop for r in systems["snug"] if r.gflop), None)
        yield peers_table.Line(work.title, gflop, {name: best(results) for name, results in systems.items()})


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--snug", default=os.path.join(ROOT, "build", "snug"))
    p.add_argument("--python", default=sys.executable, help="one that has the peers")
    p.add_argument("--rows", default=SMALL, help=f"small, large, all, or of: {', '.join(w.name for w in ROWS)}")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--without", default="", metavar="NAME,...", help="PyTorch or sd.cpp")
    p.add_argument("--scratch", help="folder for models and results, kept; default a temporary one")
    p.add_argument("--write", action="store_true", help="into docs/PERF.md and docs/peers.svg")
    return p.parse_args()


def main():
    args = arguments()
    own = None if args.scratch else tempfile.mkdtemp(prefix="snug-peers-")
    args.scratch = args.scratch or own
    try:
        made = list(lines(measure(args)))
    finally:
        if own:
            shutil.rmtree(own, ignore_errors=True)
    note = f"Medians of {args.rounds}, {args.threads} threads, {peers_table.processor()}."
    print(peers_table.markdown(made, note))
    if args.write:
        peers_table.write(made, note, os.path.join(ROOT, "docs"))


if __name__ == "__main__":
    main()
