"""This tree against another commit: kernels and a whole clip, in turns.

    ./dev bench compare HEAD~3                    every kernel
    ./dev bench compare v0.1.0 "gemm F16" --rounds 5
    ./dev bench compare HEAD "no such kernel"     only the clip

REV is checked out and built below build-compare/. Rounds alternate between the two, each the other way round, so that a
neighbour's noise meets both; a ratio is of medians over the rounds, above 1: this tree is faster. The shipped model's clip
is timed as a process from start to file, and its bytes are compared: a commit that changes them says so here.
"""

import argparse
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

from memory_runs import DONE, ROOT, Watched

FOLDER = os.path.join(ROOT, "build-compare")
LINE = re.compile(r"^(\S.*?) +([\d.]+) ms ")  # rivals of a kernel are indented
CLIP = ("run", "wan-ti2v", "--model", os.path.join(ROOT, "models", "demo"), "--seed", "7", "--quiet",
        "--prompt", "a large yellow star moves to the right over slate stripes")  # fmt: skip


def call(*words, cwd=ROOT):
    """The output of a command that must not fail."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"compare: {' '.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def check_out(rev):
    """(its short name, the folder of its sources)"""
    name = call("git", "rev-parse", "--short", "--verify", rev + "^{commit}").strip()
    tree = os.path.join(FOLDER, name)
    if not os.path.exists(tree):
        part = tree + ".part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        call("git", "archive", "-o", os.path.join(part, "sources.tar"), name)
        call("tar", "-xf", "sources.tar", cwd=part)
        os.remove(os.path.join(part, "sources.tar"))
        os.rename(part, tree)  # whole or not there
    return name, tree


def build(tree, folder):
    """The folder with the programs."""
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        call("meson", "setup", folder, "-Dtests=false", "-Dbench=true", cwd=tree)
    call("ninja", "-C", folder, cwd=tree)
    return folder


def kernels(folder, args):
    """{kernel: milliseconds} of one round."""
    words = [os.path.join(folder, "bench", "bench_kernels"), "--threads", str(args.threads), "--seconds", str(args.seconds)]
    text = call(*words, *([args.filter] if args.filter else []))
    return {m[1]: float(m[2]) for m in map(LINE.match, text.splitlines()) if m}


def clip(folder, scratch, args):
    """(milliseconds, sha256) of one run."""
    path = os.path.join(scratch, "clip.npy")
    done = Watched([os.path.join(folder, "snug"), *CLIP, "--threads", str(args.threads), "--output", path])
    if done.code != DONE:
        return None, f"exit {done.code}"
    with open(path, "rb") as file:
        return done.seconds * 1e3, hashlib.sha256(file.read()).hexdigest()[:8]


def measure(folders, args):
    """Per folder: {name: [milliseconds]}, {sha256 of clips}."""
    times, hashes = [{}, {}], [set(), set()]
    with tempfile.TemporaryDirectory() as scratch:
        for i in range(args.rounds):
            for side in (0, 1) if i % 2 else (1, 0):
                for name, ms in kernels(folders[side], args).items():
                    times[side].setdefault(name, []).append(ms)
                ms, sha = clip(folders[side], scratch, args)
                hashes[side].add(sha)
                if ms:
                    times[side].setdefault("clip of the shipped model", []).append(ms)
            print(f"round {i + 1} of {args.rounds} done", file=sys.stderr, flush=True)
    return times, hashes


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rev", metavar="REV", help="a commit, tag or branch")
    p.add_argument("filter", nargs="?", help='only kernels with this in their name: "gemm", "conv 3x3"')
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=0.3, help="of each kernel in a round")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = p.parse_args()
    if args.rounds < 1:
        raise SystemExit("compare: --rounds: at least 1")
    name, tree = check_out(args.rev)
    folders = build(tree, os.path.join(tree, "build-bench")), build(ROOT, os.path.join(ROOT, "build-bench"))
    times, hashes = measure(folders, args)
    print(f"| kernel, {args.threads} threads | {name}, ms | this tree, ms | ratio |\n|---|---|---|---|")
    for kernel, mine in times[1].items():
        ours = statistics.median(mine)
        if kernel in times[0]:
            other = statistics.median(times[0][kernel])
            print(f"| {kernel} | {other:.3f} | {ours:.3f} | {other / ours:.2f} |")
        else:
            print(f"| {kernel} | - | {ours:.3f} | new |")
    same = hashes[0] == hashes[1] and len(hashes[0]) == 1
    print(f"\nThe clip's bytes are {'the same' if same else 'not the same: ' + str(sorted(hashes[0] | hashes[1]))}.")


if __name__ == "__main__":
    main()
