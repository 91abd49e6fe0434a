"""snug beside PyTorch with diffusers and stable-diffusion.cpp: the same work, random weights, all runs interleaved.

    ./dev bench peers                       small rows: 10 GB on the disk, 7 GB of memory for PyTorch
    ./dev bench peers --rows all            with umT5-XXL, the 5B model, SDXL's UNet, a whole request: 26 GB, 20 GB of memory
    ./dev bench peers --rows flux-blocks,sdxl-vae --repeat 5
    ./dev bench peers --tiny --repeat 1 --no-write     small networks: only to see that every row works

Every figure is the median of --repeat runs, peak memory the greatest. Each run is a process of its own, its memory read
from outside. PyTorch and stable-diffusion.cpp time a call after their weights are loaded, PyTorch after a call that warms
it up, in the better of two memory formats where there are convolutions. snug's figure for a transformer or UNet is the
last of its steps with a share of what is computed once for all steps; elsewhere it is the whole stage, with all reading
of weights that it waits for. PyTorch computes in float32 and stable-diffusion.cpp is built with ggml's faster matrix
products and tried with and without the options that may make it faster: the best counts; the package as it comes, without
these products, is timed beside it for the 1.3B transformer. Files lie in the page cache for all. Whole requests are timed
from outside, from the start of the process to the finished video.

Results are kept in --results as they come: an interrupted run loses nothing and goes on with --add; rows that are not
measured again are taken from there, as far as the same processor and as many threads made them, and docs/PERF.md and
docs/peers.svg are written from all of them.
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
import time

import peers_picture as png
import peers_table
from memory_runs import DONE, FAKE, ROOT, Request, Watched

PROMPT = "a red ball rolls over a green hill while the sun sets behind the trees"
BENCH = os.path.join(ROOT, "bench")
SMALL, LARGE = "small", "large"


class Work:
    """A row: what is timed, the model and request it is part of, the stages that snug reports it as."""

    def __init__(
        self, name, title, size, model, stages, frames=1, steps=1, guidance=1.0, picture=None, as_shipped=False, form=None
    ):
        self.name, self.title, self.size, self.model, self.stages = name, title, size, model, stages
        self.frames, self.steps, self.guidance = frames, steps, guidance
        self.picture = picture  # "WxH": not a video
        self.as_shipped = as_shipped  # stable-diffusion.cpp without its faster products, too
        self.form = form  # of the transformer's weights, as snug convert --to writes it; None: f16


DENOISE, DECODE, TEXT = ("denoise",), ("vae decode",), ("text encoder",)
STEPS = ("embedding", "denoise")  # what is computed once for all steps counts, too
ROWS = (
    Work("dit-1.3b-9", "Wan 1.3B transformer, one forward, 256x256, 9 frames", SMALL, "t2v-1.3b", DENOISE, 9, 2,
         as_shipped=True),
    Work("dit-1.3b-9-q8_0", "the same, weights in Q8_0", SMALL, "t2v-1.3b", DENOISE, 9, 2, form="q8_0"),
    Work("dit-1.3b-9-nf4", "the same, weights in NF4", SMALL, "t2v-1.3b", DENOISE, 9, 2, form="nf4"),
    Work("dit-1.3b-17", "the same in f16, 17 frames", SMALL, "t2v-1.3b", DENOISE, 17, 2),
    Work("vae-2.1", "Wan VAE 2.1 decode, 256x256, 5 frames", SMALL, "t2v-1.3b", DECODE, 5),
    Work("flux-blocks", "FLUX.1, one double and one single block, 1024 tokens", SMALL, "flux", STEPS, steps=2,
         picture="512x256"),
    Work("sdxl-vae", "SDXL VAE decode, 512x512", SMALL, "sdxl-vae", DECODE, picture="512x512"),
    Work("birefnet", "BiRefNet (Swin-L), 1024x1024", SMALL, "birefnet", ("cutout",), picture="1024x1024"),
    Work("sdxl-unet", "SDXL UNet, one forward, 512x512", LARGE, "sdxl-unet", STEPS, steps=2, picture="512x512"),
    Work("dit-5b-9", "Wan 5B transformer, one forward, 256x256, 9 frames", LARGE, "ti2v-5b", DENOISE, 9, 2),
    Work("vae-2.2", "Wan VAE 2.2 decode, 256x256, 5 frames", LARGE, "ti2v-5b", DECODE, 5),
    Work("umt5", "umT5-XXL, one prompt of 20 tokens (PyTorch: padded to 512, as its pipeline has it)", LARGE, "t2v-1.3b", TEXT, 5),
    Work("whole", "text to video, 1.3B, 256x256, 17 frames, 4 steps, guidance, cold start to file", LARGE, "t2v-1.3b",
         None, 17, 4, 5.0),
    Work("quarter", "the same under a quarter of the weights", LARGE, "t2v-1.3b", None, 17, 4, 5.0),
)  # fmt: skip
# what stable-diffusion.cpp says in its log
SDCPP_STAGES = {DENOISE: "sampling", DECODE: "decode_first_stage", TEXT: "get_learned_condition"}
# what may make it faster; the best of the first round counts from then on
SDCPP_VARIANTS = {DENOISE: ({}, {"diffusion_flash_attn": True}), DECODE: ({}, {"vae_conv_direct": True})}


# ---- models -----------------------------------------------------------------------------------------------------------


def make(*words):
    subprocess.run([sys.executable, FAKE, *words, "--quiet"], check=True)


def once(folder, write):
    """Write a folder, unless it is there as a whole."""
    mark = os.path.join(folder, ".whole")
    if not os.path.exists(mark):
        shutil.rmtree(folder, ignore_errors=True)
        write(folder)
        open(mark, "w", encoding="utf-8").close()
    return folder


def make_model(args, model):
    """Original layout; the text encoder is a sparse file of zeros: it takes no room, and as long as any other."""

    def write(folder):
        words = ("--layout", "original", "--dtype", "F16", "--shards", "1", *args.scale)
        if args.scale:
            make(model, folder, *words)
            return
        make(model, folder, *words, "--sparse")
        make(os.path.join(folder, "config.json"), folder, *words)
        make("vae-2.1" if model == "t2v-1.3b" else "vae-2.2", folder, "--layout", "original")

    return once(os.path.join(args.scratch, model), write)


def transformer_in(folder):
    return files_in(folder, r"^diffusion_pytorch_model.*safetensors$")[0]


def make_transformer(args, work):
    """The model's transformer, its weights in the form of that row."""

    def write(folder):
        model = make_model(args, work.model)
        os.makedirs(folder)
        shutil.copy(os.path.join(model, "config.json"), folder)
        subprocess.run((args.snug, "convert", transformer_in(model), path, "--to", work.form, "--quiet"), check=True)

    folder = os.path.join(args.scratch, f"{work.model}-{work.form}")
    path = os.path.join(folder, "transformer." + ("gguf" if work.form == "q8_0" else "safetensors"))
    once(folder, write)
    return path


def make_sdcpp_vae(args, model):
    """Its reader of torch archives knows no tensors of five dimensions: the same values as safetensors."""
    name = "vae-2.1" if model == "t2v-1.3b" else "vae-2.2"
    folder = once(os.path.join(args.scratch, name), lambda folder: make(name, folder, "--layout", "single", *args.scale))
    return files_in(os.path.join(folder, "vae"), r"\.safetensors$")[0]


def make_text_encoder(args):
    write = lambda folder: make("umt5-xxl", folder, "--shards", "1", *(args.scale or ("--sparse",)))  # noqa: E731
    return os.path.join(once(os.path.join(args.scratch, "text"), write), "text_encoder", "model.safetensors")


def make_pipeline(args):
    """Diffusers layout for PyTorch's whole request."""

    def write(folder):
        if args.scale:
            make("t2v-1.3b", folder, *args.scale)
            return
        make("t2v-1.3b", folder, "--sparse")
        make(os.path.join(folder, "transformer", "config.json"), os.path.join(folder, "transformer"))
        make("vae-2.1", folder)

    return once(os.path.join(args.scratch, "pipeline"), write)


# the rest of each model is as small as fits to the network that is timed
IMAGE_MODELS = {
    "flux": ("flux-dev", ["transformer.num_layers=1", "transformer.num_single_layers=1", "text_encoder_2.num_layers=1",
                          "text_encoder_2.num_heads=1", "text_encoder_2.d_ff=64", "text_encoder.num_hidden_layers=1",
                          "vae.block_out_channels=[32,32,64,64]"]),
    "sdxl-unet": ("sdxl", ["text_encoder.num_hidden_layers=2", "text_encoder_2.num_hidden_layers=2",
                           "vae.block_out_channels=[32,32,64,64]"]),
    "sdxl-vae": ("sdxl", ["vae.block_out_channels=[128,256,512,512]"]),
    "birefnet": ("birefnet", []),
}  # fmt: skip


def make_image_model(args, model):
    name, changes = IMAGE_MODELS[model]
    scale = args.scale or (("--scale", "tiny") if model == "sdxl-vae" else ())
    sets = [f"--set={change}" for change in changes if not args.scale]
    return once(os.path.join(args.scratch, model), lambda folder: make(name, folder, *scale, *sets))


def make_picture(args, size):
    """Something to cut out: a disc before stripes, as a plain PNG."""
    path, (width, height) = os.path.join(args.scratch, f"picture-{size}.png"), map(int, size.split("x"))
    if not os.path.exists(path):
        png.write(path, width, height)
    return path


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
    if work.form:
        return Result(why="not compared here")
    if work.name == "birefnet" and not args.birefnet:
        return Result(why="--birefnet FOLDER of github.com/ZhengPeng7/BiRefNet is not given")
    words = [args.python, os.path.join(BENCH, "peers_torch.py"), work.name, args.threads, "tiny" if args.scale else "full"]
    if work.name == "whole":
        words += [make_pipeline(args), os.path.join(args.scratch, "torch.mp4")]
    if work.name == "birefnet":
        words += [args.birefnet]
    done = Watched(words)
    if done.code:
        return Result(done=done, why=f"exit {done.code}: {last_line(done.error)}")
    seconds = done.seconds if work.name == "whole" else json.loads(last_line(done.output))["seconds"]
    return Result(seconds, done)


def sdcpp_words(args, work, model, variant):
    given = {
        "vae_path": make_sdcpp_vae(args, work.model),
        "diffusion_model_path": make_transformer(args, work) if work.form else transformer_in(model),
    }
    if work.stages in (None, TEXT):
        given["t5xxl_path"] = make_text_encoder(args)
    video = {"prompt": PROMPT, "width": 256, "height": 256, "video_frames": work.frames, "sample_steps": work.steps,
             "cfg_scale": work.guidance, "sample_method": "euler", "seed": 7}  # fmt: skip
    output = os.path.join(args.scratch, "sdcpp.mp4") if work.stages is None else ""
    return {"model": {**given, "n_threads": args.threads, **variant}, "video": video, "output": output}


def sdcpp_once(args, work, variant, packages=None):
    words = json.dumps(sdcpp_words(args, work, make_model(args, work.model), variant))
    wrap = ("env", f"PYTHONPATH={packages}") if packages else ()
    done = Watched([args.python, os.path.join(BENCH, "peers_sdcpp.py"), words], wrap)
    if done.code:
        return Result(done=done, why=f"exit {done.code}: {last_line(done.error)}")
    if work.stages is None:
        return Result(done.seconds, done)
    found = re.findall(SDCPP_STAGES[work.stages] + r" completed, taking ([\d.]+) ?(m?s)", done.output + done.error)
    if not found:
        return Result(done=done, why="its log does not tell")
    seconds = float(found[-1][0]) * (0.001 if found[-1][1] == "ms" else 1.0)
    return Result(seconds / (work.steps if work.stages == DENOISE else 1), done)


def run_sdcpp(args, work):
    if work.name == "quarter":
        return Result(why="takes no budget")
    if work.picture:
        return Result(why="not compared here")
    if work.form == "nf4":
        return Result(why="does not read NF4")
    variants = SDCPP_VARIANTS.get(work.stages, ({},))
    chosen = args.variants.get(work.name)
    if chosen is not None:
        return sdcpp_once(args, work, chosen)
    results = [sdcpp_once(args, work, variant) for variant in variants]
    best = min(range(len(results)), key=lambda i: results[i].seconds or float("inf"))
    args.variants[work.name] = variants[best]
    return results[best]


def run_sdcpp_as_shipped(args, work):
    """With the options that are best for the faster build."""
    packages = os.path.join(os.path.dirname(os.path.dirname(args.python)), "as-shipped")
    if not os.path.isdir(packages):
        return Result(why="not built")
    return sdcpp_once(args, work, args.variants.get(work.name) or {}, packages)


def snug_request(args, work):
    options = {"threads": args.threads}
    if work.model == "birefnet":
        model, pipeline = make_image_model(args, work.model), "cutout"
        options.update(image=make_picture(args, "64x64" if args.scale else work.picture))
        options.update({"size": "64x64"} if args.scale else {})
    elif work.picture:
        model, pipeline = make_image_model(args, work.model), "txt2img"
        options.update(prompt=PROMPT, size="64x64" if args.scale else work.picture, steps=work.steps, seed=7)
        options.update({"guidance": work.guidance} if work.model != "flux" else {})
    else:
        model = make_model(args, work.model)
        pipeline = "wan-t2v" if work.model == "t2v-1.3b" else "wan-ti2v"
        options.update(prompt=PROMPT, size="256x256", frames=work.frames, steps=work.steps, guidance=work.guidance, seed=7)
        options.update({"transformer": make_transformer(args, work)} if work.form else {})
    return Request(args.snug, work.name, pipeline, model, options)


def weights_bytes(plan):
    return sum(stage["weight_bytes"] for stage in plan["stages"])


def run_snug(args, work):
    request, ram_mib = snug_request(args, work), 16384
    if work.name == "quarter":
        plan = json.loads(request.plan("--ram", "16GiB", "--json").output)
        ram_mib = max(weights_bytes(plan) // 4 >> 20, 256 if args.scale else 0)
    output = os.path.join(args.scratch, "snug.png" if work.picture else "snug.mp4")
    report = os.path.join(args.scratch, "report.json")
    done = Watched(request.words("run", "--ram", f"{ram_mib}MiB", "--output", output, "--report", report, "--quiet"))
    if done.code != DONE:
        return Result(done=done, why=f"exit {done.code}: {last_line(done.error)}")
    with open(report, encoding="utf-8") as file:
        figures = json.load(file)
    plan, measured = figures["plan"], figures["measured"]
    if max(done.peak_bytes, measured["process_peak_bytes"]) > ram_mib << 20:
        return Result(done=done, why="over its budget")
    if work.stages is None:
        return Result(done.seconds, done, gflop=plan["gflop"])
    chosen = [i for i, stage in enumerate(plan["stages"]) if stage["name"] in work.stages]
    share = work.steps if "denoise" in work.stages else 1
    seconds = sum(
        stage["last_step_seconds"] if stage["name"] == "denoise" else stage["seconds"] / share
        for stage in (measured["stages"][i] for i in chosen)
    )
    return Result(seconds, done, gflop=sum(plan["stages"][i]["gflop"] for i in chosen) / share)


AS_SHIPPED = "sd.cpp as shipped"
SYSTEMS = (("PyTorch", run_torch), ("sd.cpp", run_sdcpp), (AS_SHIPPED, run_sdcpp_as_shipped), ("snug", run_snug))


# ---- the whole ----------------------------------------------------------------------------------------------------------


class Kept:
    """Results on the disk, by row and system; those of another machine are dropped."""

    def __init__(self, path, machine):
        self.path, self.rows, self.machine = path, {}, machine
        self.variants = {}  # of stable-diffusion.cpp, by row
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
            if kept.get("machine") == machine:
                self.rows, self.variants = kept["rows"], kept.get("variants", {})

    def forget(self, work):
        self.rows.pop(work.name, None)
        self.variants.pop(work.name, None)

    def add(self, work, system, result):
        figures = {"seconds": result.seconds, "bytes": result.bytes, "why": result.why, "gflop": result.gflop}
        self.rows.setdefault(work.name, {}).setdefault(system, []).append(figures)
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        with open(self.path + ".part", "w", encoding="utf-8") as file:
            json.dump({"machine": self.machine, "rows": self.rows, "variants": self.variants}, file, indent=1)
        os.replace(self.path + ".part", self.path)


def measure(args, kept, chosen):
    """Every system in turn, row by row, then the next round."""
    args.variants = kept.variants
    for work in chosen if args.repeat and not args.add else ():
        kept.forget(work)
    for i in range(args.repeat):
        for work in chosen:
            for name, run in SYSTEMS:
                if name in args.without.split(",") or (name == AS_SHIPPED and not work.as_shipped):
                    continue
                begin = time.monotonic()
                result = run(args, work)
                kept.add(work, name, result)
                said = f"{result.seconds:.2f} s, {result.bytes / 2**30:.2f} GiB" if result.seconds else result.why
                took = f"{time.monotonic() - begin:.0f} s in all"
                print(f"round {i + 1}: {work.name}: {name}: {said} ({took})", file=sys.stderr, flush=True)


def best(results):
    """Median of seconds, greatest peak, reason."""
    good = [r for r in results if r["seconds"]]
    if not good:
        return None, None, results[-1]["why"] if results else ""
    return statistics.median(r["seconds"] for r in good), max(r["bytes"] for r in good), ""


def lines(kept):
    for work in ROWS:
        systems = kept.rows.get(work.name)
        if not systems:
            continue
        gflop = next((r["gflop"] for r in systems.get("snug", []) if r["gflop"]), None)
        yield peers_table.Line(work.title, gflop, {name: best(systems.get(name, [])) for name, _ in SYSTEMS})


def rounds(kept):
    """How many runs a figure stands for: "3", "1 to 3"."""
    counts = sorted({len(results) for systems in kept.rows.values() for results in systems.values()})
    return f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0]) if counts else "0"


def choose(text):
    names = text.split(",")
    known = {work.name for work in ROWS} | {SMALL, LARGE, "all"}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"peers: no row {unknown[0]}; there are: {', '.join(sorted(known))}")
    return [work for work in ROWS if {"all", work.size, work.name} & set(names)]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--snug", default=os.path.join(ROOT, "build", "snug"))
    p.add_argument("--python", default=sys.executable, help="one that has the peers")
    p.add_argument("--rows", default=SMALL, metavar="NAME,...", help=f"small, large, all, or of: {', '.join(w.name for w in ROWS)}")
    p.add_argument("--repeat", type=int, default=3, metavar="N", help="0: only write what --results holds")
    p.add_argument("--add", action="store_true", help="more rounds of rows that --results holds, instead of new ones")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--without", default="", metavar="NAME,...", help="PyTorch, sd.cpp, sd.cpp as shipped")
    p.add_argument("--birefnet", metavar="FOLDER", help="a checkout of github.com/ZhengPeng7/BiRefNet, whose module is not packaged")
    p.add_argument("--scratch", help="folder for models and outputs, kept; default a temporary one")
    p.add_argument("--results", default=os.path.join(ROOT, "build", "peers.json"), help="kept as they come; default %(default)s")
    p.add_argument("--tiny", dest="scale", action="store_const", const=("--scale", "tiny"), default=(),
                   help="small networks: to see that rows work")  # fmt: skip
    p.add_argument("--no-write", dest="write", action="store_false", help="leave docs/PERF.md and docs/peers.svg as they are")
    return p.parse_args()


def main():
    args = arguments()
    chosen = choose(args.rows)
    if args.repeat < 0:
        raise SystemExit("peers: --repeat: at least 0")
    own = None if args.scratch else tempfile.mkdtemp(prefix="snug-peers-")
    args.scratch = args.scratch or own
    os.makedirs(args.scratch, exist_ok=True)
    machine = f"{args.threads} threads, {peers_table.processor()}{', tiny networks' if args.scale else ''}"
    kept = Kept(args.results, machine)
    interrupted = False
    try:
        measure(args, kept, chosen)
    except KeyboardInterrupt:
        interrupted = True  # what is there is shown and kept
    finally:
        if own:
            shutil.rmtree(own, ignore_errors=True)
    made = list(lines(kept))
    note = f"Medians of {rounds(kept)}, {machine}."
    print(peers_table.markdown(made, note))
    if args.write and made and not args.scale:
        peers_table.write(made, note, os.path.join(ROOT, "docs"))
    return 130 if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
