#!/usr/bin/env python3
"""Fit the step cache's five coefficients for a Wan model folder: ./fit_teacache.py SNUG FOLDER [--pipeline wan-t2v]

Runs the model as its snug.json says, over some prompts and numbers of steps, and lays a polynomial of degree 4 through
(how far the timestep's modulation moved, how far the network's output moved), both as mean |a - b| / mean |b| of
neighbouring steps. Prints the line for snug.json. Guidance must be on. Needs numpy and room for the outputs of every step; the folder is not
changed. Other options for snug stand behind "--", as in: -- --ram 8GiB --size 480x272.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np

NEVER_SKIP = {"teacache": [0, 0, 0, 0, 1], "teacache_threshold": 0.5}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snug")
    parser.add_argument("folder")
    parser.add_argument("--pipeline", default="wan-t2v")
    parser.add_argument("--prompts", help="file with a prompt a line")
    parser.add_argument("--steps", default="20,30,50", help="numbers of steps, with commas between")
    parser.add_argument("--first", type=int, default=5, help="steps that are always computed, left out of the fit")
    parser.add_argument("--show", help="write what was measured to this .json")
    return parser.parse_known_args()


def link_or_copy(source, target):
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copy(source, target)


def stand_in(folder, place):
    """The folder once more, its files linked where they can be, with a snug.json under which no step is skipped."""
    own, path = {}, os.path.join(place, "snug.json")
    shutil.copytree(folder, place, dirs_exist_ok=True, copy_function=link_or_copy)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            own = json.load(file)
        os.remove(path)  # the link, not the folder's file
    with open(path, "w", encoding="utf-8") as file:
        json.dump(dict(own, **NEVER_SKIP), file)


def measure(snug, pipeline, model, prompt, steps, more):
    """Moves of the modulation and of the output of steps 1, 2, ..."""
    with tempfile.TemporaryDirectory() as place:
        taps, report = os.path.join(place, "taps"), os.path.join(place, "report.json")
        command = [snug, "run", pipeline, "--model", model, "--prompt", prompt, "--steps", str(steps), "--taps", taps]
        command += ["--step-cache", "teacache", "--report", report, *more]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr.strip().splitlines()[-1])
        with open(report, encoding="utf-8") as file:
            moved = json.load(file)["plan"]["step_cache"]["moved"]
        # the prompt's branch; it is handed out where there is guidance
        out = [np.load(os.path.join(taps, f"cond-{i:05d}.npy")) for i in range(steps)]
    change = [np.abs(b - a).mean() / np.abs(a).mean() for a, b in zip(out, out[1:])]
    return moved[1:], change


def main():
    args, more = parse()
    more = [m for m in more if m != "--"]
    prompts = ["a small red ball moves right on a plain sand ground", "a large blue star spins over slate stripes"]
    if args.prompts:
        with open(args.prompts, encoding="utf-8") as file:
            prompts = [line.strip() for line in file if line.strip()]
    x, y = [], []
    with tempfile.TemporaryDirectory() as model:
        stand_in(args.folder, model)
        for prompt in prompts:
            for steps in (int(s) for s in args.steps.split(",")):
                moved, change = measure(args.snug, args.pipeline, model, prompt, steps, more)
                x += list(moved[args.first - 1 :])
                y += list(change[args.first - 1 :])
    fit = np.polyfit(x, y, 4)
    error = np.abs(np.polyval(fit, x) - y)
    print(f'"teacache": [{", ".join(f"{c:.8e}" for c in fit)}]')
    print(f"{len(x)} pairs, moved {min(x):.4f} to {max(x):.4f}, output {min(y):.4f} to {max(y):.4f}; ", end="", file=sys.stderr)
    print(f"mean error {error.mean():.4f}", file=sys.stderr)
    if args.show:
        with open(args.show, "w", encoding="utf-8") as file:
            json.dump({"moved": x, "changed": [float(v) for v in y]}, file)


if __name__ == "__main__":
    main()
