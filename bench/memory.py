"""Is the budget kept? A grid of requests under many budgets, each run watched from outside.

    ./dev bench memory                     the grid: tiny and middle-sized random checkpoints
    ./dev bench memory --full ti2v-5b      published sizes (24 GB of files on the disk while it runs)
    ./dev bench memory --full plans        published requests, planned from headers alone
    ./dev bench memory --full i2v-a14b-nf4 --cgroup auto

Checked in every run: measured slab peak equals the planned one, bytes moved equal the planned ones, process peak (its
own account, and VmHWM and wait4 from outside) is at most the budget (less the memory of a simulated device, which
lies in the process), no failure after admission, one sha256 per request
whatever the budget and device. The smallest budget is found by halving; nothing below it may be planned, and a refusal
may name only a little more. Prints a Markdown table and a summary; exit code 1 when a promise is broken.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import memory_full
from memory_runs import MIB, NO_ROOM, ROOT, Request, make_model, table_head, table_row

IMAGE = os.path.join(ROOT, "models", "demo", "example.png")
PROMPT = "a red ball rolls over a green hill"

# name: fake_checkpoint's words
MODELS = {
    "tiny ti2v": ("ti2v-5b", "--scale", "tiny"),
    "tiny t2v": ("t2v-1.3b", "--scale", "tiny"),
    "tiny t2v, 2 experts": ("t2v-a14b", "--scale", "tiny", "--dtype", "F16"),
    "tiny i2v, 2 experts": ("i2v-a14b", "--scale", "tiny", "--vae-dtype", "BF16"),
    "middle ti2v": ("ti2v-5b", "--scale", "middle"),
    "middle t2v": ("t2v-1.3b", "--scale", "middle", "--dtype", "F32"),
    "middle i2v, 2 experts": ("i2v-a14b", "--scale", "middle"),
}

# model, pipeline, size, frames, steps, guidance, takes the picture
GRID = (
    ("tiny ti2v", "wan-ti2v", "64x64", 5, 3, 4, False),
    ("tiny ti2v", "wan-ti2v", "160x96", 9, 2, 4, False),
    ("tiny ti2v", "wan-ti2v", "96x160", 5, 2, 1, True),
    ("tiny t2v", "wan-t2v", "64x64", 9, 3, 5, False),
    ("tiny t2v", "wan-t2v", "128x96", 5, 4, 1, False),
    ("tiny t2v, 2 experts", "wan-t2v", "80x48", 13, 4, 3, False),
    ("tiny i2v, 2 experts", "wan-i2v", "64x64", 5, 3, 4, True),
    ("tiny i2v, 2 experts", "wan-i2v", "128x64", 9, 2, 4, True),
    ("middle ti2v", "wan-ti2v", "256x256", 5, 2, 4, False),
    ("middle ti2v", "wan-ti2v", "320x192", 9, 2, 4, True),
    ("middle t2v", "wan-t2v", "256x160", 9, 2, 4, False),
    ("middle i2v, 2 experts", "wan-i2v", "256x160", 5, 2, 4, True),
)
BUDGETS = (0.0, 0.1, 0.4, 1.0)  # from the smallest that does to where nothing is gained any more
SIM = ("--device", "sim:1GiB,4GB/s")
AMPLE = "16GiB"


class Tally:
    def __init__(self):
        self.runs = self.broken = self.refusals = self.requests = 0
        self.worst_traffic = 1.0
        self.furthest = 0  # MiB that a refusal names above what would do
        self.fullest = 0.0
        self.notes = []

    def add(self, row):
        self.runs += 1
        self.broken += bool(row.broken)
        self.notes += [f"{row.request.name} at {row.ram_mib} MiB: {text}" for text in row.broken]
        self.worst_traffic = max(self.worst_traffic, row.traffic())
        self.fullest = max(self.fullest, row.outside_bytes() / (row.ram_mib * MIB))

    def fail(self, text):
        self.broken += 1
        self.notes.append(text)


def request_of(snug, models, row):
    model, pipeline, size, frames, steps, guidance, image = row
    options = {"prompt": PROMPT, "size": size, "frames": frames, "steps": steps, "guidance": guidance, "seed": 7}
    if image:
        options["image"] = IMAGE
    name = f"{model} {size}x{frames}" + (" from a picture" if image and pipeline == "wan-ti2v" else "")
    folder = make_model(os.path.join(models, model.replace(" ", "-").replace(",", "")), MODELS[model])
    return Request(snug, name, pipeline, folder, options)


def least_that_does(request, flag, device, tally):
    """MiB. Nothing below it may be planned, and the budget that refusals name must not be far above it."""
    named = request.named_mib(flag, device)
    least = request.least_mib(named, flag, device)
    tally.furthest = max(tally.furthest, named - least)
    if named - least > 3 + least // 50:  # 1 % and 2 MiB are added on purpose
        tally.fail(f"{request.name}: refusals name {flag} {named} MiB, {least} MiB do")
    for mib in (least - 2, least - 3, least * 3 // 4):  # one less may do now and then: pages are counted roughly
        done = request.plan(flag, f"{max(1, mib)}MiB", *device)
        tally.refusals += mib > 0
        if mib > 0 and done.code != NO_ROOM:
            tally.fail(f"{request.name}: {flag} {mib} MiB: exit {done.code} {done.error.strip()}")
    return least


def between(least, most):
    """From the smallest to where nothing is gained."""
    return sorted({least + round(part * max(0, most - least)) for part in BUDGETS})


def ways(request, tally):
    """(RAM in MiB, words of the device) of each run: RAM alone; then a device's memory and RAM, both hard."""
    least = least_that_does(request, "--ram", (), tally) + 1
    most = json.loads(request.plan("--ram", AMPLE, "--json").output)["process_peak_bytes"]
    yield from ((ram, ()) for ram in between(least, -(-most // MIB) + 4))
    ample = (*SIM, "--ram", AMPLE)
    least = least_that_does(request, "--vram", ample, tally)
    most = json.loads(request.plan(*ample, "--json").output)["slab_bytes"]
    for vram in between(least, -(-most // MIB)):
        device = (*SIM, "--vram", f"{vram}MiB")
        ram = least_that_does(request, "--ram", device, tally) + 1
        yield ram, device
        yield 2 * ram, device


def run_request(request, scratch, tally):
    digests = set()
    for ram, device in ways(request, tally):
        row = request.run(scratch, ram, device)
        tally.add(row)
        digests.add(row.sha)
        name = f"{request.name}, sim {device[-1].replace('MiB', ' MiB')}" if device else request.name
        print(table_row(row, name), flush=True)
    if len(digests) != 1:
        tally.fail(f"{request.name}: {len(digests)} different results")


def grid(args, tally):
    print(table_head())
    for row in GRID:
        request = request_of(args.snug, args.models, row)
        if args.only in request.name:
            tally.requests += 1
            run_request(request, args.scratch, tally)


def summary(tally, seconds):
    print()
    for note in tally.notes:
        print("BROKEN " + note)
    print(
        f"{tally.runs} runs of {tally.requests} requests, {tally.refusals} refusals: {tally.broken} promises broken; "
        f"refusals name at most {tally.furthest} MiB more than needed; fullest {100 * tally.fullest:.1f} % of a budget; "
        f"worst stage reads {tally.worst_traffic:.3f} x its lower bound; {seconds:.0f} s"
    )


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--snug", default=os.path.join(ROOT, "build", "snug"))
    p.add_argument("--scratch", help="folder for models and results; default a temporary one")
    p.add_argument("--only", default="", help="requests with this in their name")
    p.add_argument("--full", choices=memory_full.NAMES, help="a published size instead of the grid")
    p.add_argument("--budgets", help="with --full: sizes in GiB, such as 2,4,8,16")
    p.add_argument("--rounds", type=int, default=1, help="with --full: times every budget is run, interleaved")
    p.add_argument("--profile", help="with --full: a machine profile; default: measured before the runs")
    p.add_argument("--cold", action="store_true", help="with --full: no run that warms up before those that count")
    p.add_argument("--size", default="256x256", help="with --full: of the frames; default: %(default)s")
    p.add_argument("--steps", type=int, help="with --full: denoising steps; default: 2 or 4")
    p.add_argument("--keep", action="store_true", help="leave the files of --full in --scratch")
    p.add_argument("--cgroup", metavar="auto|DIR", help="with --full: run inside a memory cgroup of budget + 5 %%: "
                   "a scope of systemd, or below the folder of a cgroup that is yours to divide")  # fmt: skip
    return p.parse_args()


def main():
    args = arguments()
    if subprocess.run([args.snug, "--version"], stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"{args.snug} does not run")
    own = None if args.scratch else tempfile.mkdtemp(prefix="snug-memory-")
    args.scratch = args.scratch or own
    args.models = os.path.join(args.scratch, "models")
    os.makedirs(args.models, exist_ok=True)
    tally, begin = Tally(), time.monotonic()
    try:
        memory_full.run(args, tally) if args.full else grid(args, tally)
    finally:
        if own:
            shutil.rmtree(own, ignore_errors=True)
    summary(tally, time.monotonic() - begin)
    sys.exit(1 if tally.broken else 0)


if __name__ == "__main__":
    main()
