"""Published sizes under real budgets: random checkpoints of 24 GB and more, made for the run and removed after it."""

import json
import os
import shutil
import statistics
import subprocess

from memory_runs import DONE, MIB, ROOT, Request, cgroup, make_model, table_head, table_row

IMAGE = os.path.join(ROOT, "models", "demo", "example.png")
PROMPT = "a red ball rolls over a green hill while the sun sets behind the trees"

# name: fake_checkpoint's words, pipeline, budgets in GiB, (few, many): time at `few` against time at `many`, options
FULL = {
    "ti2v-5b": (("ti2v-5b",), "wan-ti2v", (2, 4, 8, 16), (4, 16), {"steps": 2}),
    "i2v-a14b-nf4": (("i2v-a14b", "--layout", "original", "--dtype", "nf4"), "wan-i2v", (2, 4, 6, 8, 16), (6, 16),
                     {"steps": 4, "image": IMAGE}),  # fmt: skip
    "i2v-a14b-nf4-diffusers": (("i2v-a14b", "--dtype", "nf4"), "wan-i2v", (2, 6, 16), (6, 16),
                               {"steps": 4, "image": IMAGE}),  # fmt: skip
}
# planned only, from headers: words, pipeline, options
PLANS = (
    (("ti2v-5b",), "wan-ti2v", {"size": "1280x704", "frames": 121, "steps": 50}),
    (("i2v-a14b", "--layout", "original", "--dtype", "nf4"), "wan-i2v",
     {"size": "832x480", "frames": 81, "steps": 40, "image": IMAGE}),  # fmt: skip
)
NAMES = (*FULL, "plans")
SIZE_TARGET, FORECAST_TARGET, TRAFFIC_TARGET = 1.15, 0.15, 1.05


def free_gigabytes(folder):
    s = os.statvfs(folder)
    return s.f_bavail * s.f_frsize / 1e9


def _make(args, name, words):
    folder = os.path.join(args.models, name)
    if not os.path.exists(os.path.join(folder, ".whole")) and free_gigabytes(args.models) < 32:
        free = free_gigabytes(args.models)
        raise SystemExit(f"{args.models}: {free:.0f} GB are free, {name} takes up to 30: use --scratch DIR")
    return make_model(folder, words)


def _rounds(args, request, budgets, tally):
    """Every budget `rounds` times, the order turning round, after one run that warms up (unless --cold)."""
    rows = {gib: [] for gib in budgets}
    print(table_head())
    for r in range(0 if args.cold else -1, args.rounds):
        order = [max(budgets)] if r < 0 else list(budgets) if r % 2 else list(budgets)[::-1]
        for gib in order:
            with cgroup(args.cgroup, int(gib * 1024 * MIB * 1.05)) as group:
                row = request.run(args.scratch, int(gib * 1024), wrap=group.wrap)
                row.broken += group.complaints()
            tally.add(row)
            print(table_row(row, request.name + (" (warm-up)" if r < 0 else "")), flush=True)
            if r >= 0:
                rows[gib].append(row)
    return rows


def _cpu_seconds(rows):
    return statistics.median(row.done.cpu_seconds for row in rows)


def _seconds(rows):
    return statistics.median(row.measured["seconds"] for row in rows)


def _figures(rows, few, many, tally):
    good = {gib: [row for row in found if row.measured] for gib, found in rows.items()}
    good = {gib: found for gib, found in good.items() if found}
    digests = {row.sha for found in good.values() for row in found}
    if len(digests) != 1:
        tally.fail(f"{len(digests)} different results")
    print()
    if few in good and many in good:
        ratio = _seconds(good[few]) / _seconds(good[many])
        cpu = _cpu_seconds(good[few]) / _cpu_seconds(good[many])
        print(f"time at {few} GiB over time at {many} GiB: {ratio:.3f}, of processor time {cpu:.3f} (asked: at most {SIZE_TARGET})")
    for gib, found in sorted(good.items()):
        took, forecast = _seconds(found), found[-1].plan["seconds"]
        print(
            f"{gib:g} GiB: took {took:.1f} s, forecast {forecast:.1f} s ({100 * (forecast / took - 1):+.0f} %, asked: "
            f"within {100 * FORECAST_TARGET:.0f} %); worst stage reads {found[-1].traffic():.3f} x its bound "
            f"(asked: {TRAFFIC_TARGET}); waited {found[-1].measured['stall_seconds']:.1f} s for weights"
        )


def _profile(args):
    """Forecasts of this machine as it is now: its speed is measured before the runs."""
    if not args.profile:
        args.profile = os.path.join(args.scratch, "profile.json")
        words = [args.snug, "doctor", "--measure", "--profile", args.profile, "--disk", args.models]
        subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
    return {"profile": args.profile} if os.path.exists(args.profile) else {}


def _run_full(args, name, tally):
    words, pipeline, budgets, (few, many), options = FULL[name]
    if args.budgets:
        budgets = tuple(float(b) for b in args.budgets.split(","))
    folder = _make(args, name, words)
    size = sum(os.path.getsize(os.path.join(at, f)) for at, _, files in os.walk(folder) for f in files)
    print(f"{name}: {size / 1e9:.2f} GB of files\n")
    given = {"prompt": PROMPT, "size": args.size, "frames": 5, "seed": 7, **options, **_profile(args)}
    if args.steps:
        given["steps"] = args.steps
    request = Request(args.snug, f"{name} {args.size}x5", pipeline, folder, given)
    tally.requests += 1
    try:
        _figures(_rounds(args, request, budgets, tally), few, many, tally)
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)


# ---- plans alone ----------------------------------------------------------------------------------------------------


def _show_plan(done):
    plan = json.loads(done.output)
    print(f"  planned process peak {plan['process_peak_bytes'] / MIB:.0f} MiB, forecast {plan['seconds']:.0f} s, "
          f"reads {plan['moved_bytes'] / 1e9:.1f} GB, bound {plan['bound_bytes'] / 1e9:.1f} GB")  # fmt: skip
    for s in plan["stages"]:
        stay = f"{s['resident_units']} of {s['units']} units stay"
        print(f"  {s['name']}: tensors {s['tensor_bytes'] / MIB:.0f} MiB, {stay}")


def _plans(args, tally):
    for words, pipeline, options in PLANS:
        folder = make_model(os.path.join(args.models, words[0] + "-sparse"), (*words, "--sparse"))
        name = f"{words[0]} {options['size']}, {options['frames']} frames"
        request = Request(args.snug, name, pipeline, folder, {"prompt": PROMPT, **options})
        tally.requests += 1
        for title, more in (
            ("RAM 8 GiB", ("--ram", "8GiB")),
            ("RAM 8 GiB, VRAM 8 GiB", ("--ram", "8GiB", "--device", "sim:8GiB,24GB/s", "--vram", "8GiB")),
        ):
            done = request.plan(*more, "--json")
            if done.code == DONE:
                print(f"{name}, {title}: planning took {done.seconds:.1f} s and {done.peak_bytes / MIB:.0f} MiB")
                _show_plan(done)
            else:
                print(f"{name}, {title}: {done.error.strip()}")
        print(f"  smallest budget: {request.named_mib()} MiB")


def run(args, tally):
    _plans(args, tally) if args.full == "plans" else _run_full(args, args.full, tally)
