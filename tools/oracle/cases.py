"""What the compare_*.py share: their command line, a folder per case, runs of snug, the tally."""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

from golden import settle


def parser(doc, kinds):
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--snug", default="build/snug")
    made.add_argument("--kind", nargs="*", choices=list(kinds), default=list(kinds))
    made.add_argument("--first", type=int, default=0, help="first seed")
    made.add_argument("--cases", type=int, default=3, help="seeds per kind")
    made.add_argument("--ram", nargs="*", help="budgets given to snug")
    made.add_argument("--keep", help="folder that keeps the cases")
    return made


def run_snug(args, command, folder, ending, read):
    """What `read` makes of the output of `command` under every --ram; raises with what snug said."""
    results = []
    for i, ram in enumerate(args.ram or [None]):
        output = os.path.join(folder, f"snug{i}{ending}")
        line = command + ["--output", output] + (["--ram", ram] if ram else [])
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"snug exits with {done.returncode}: {done.stderr.strip()[-800:]}")
        results.append(read(output))
    return results


def read_pictures(path, n):
    """The pictures of a batch as one array."""
    names = [path] if n == 1 else [f"{path[:-4]}-{k + 1:04}.png" for k in range(n)]
    return np.stack([np.asarray(Image.open(name)) for name in names])


def judge_pictures(want, got):
    """None, or what is wrong; and the figures in words."""
    if got[0].shape != want.shape:
        return f"shape {got[0].shape}, not {want.shape}", "no figures"
    off = np.abs(got[0].astype(int) - want)
    part, worst = float((off > 0).mean()), int(off.max())
    figures = f"off by {worst}, {100 * part:.4f} % of values"
    if worst > 1 or part > 1e-3:
        return "not the same picture", figures
    if any(g.tobytes() != got[0].tobytes() for g in got):
        return "not the same bytes with every --ram", figures
    return None, figures


def compare(name, words, judge):
    """Print how a case went: `judge` runs snug and returns what is wrong, or None, and the figures."""
    start = time.monotonic()
    try:
        wrong, figures = judge()
    except (RuntimeError, OSError, ValueError) as error:
        wrong, figures = str(error), "no figures"
    verdict, seconds = "FAIL" if wrong else "pass", time.monotonic() - start
    print(f"{verdict} {name}: {figures}, {seconds:.1f} s, {words}", flush=True)
    if wrong:
        print(f"     {wrong}", flush=True)
    return not wrong


def run(args, case):
    """case(args, kind, seed, folder) for every kind and seed, then exit by what came out."""
    settle()
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for kind in args.kind:
            for seed in range(args.first, args.first + args.cases):
                folder = os.path.join(args.keep or scratch, f"{kind}-{seed}")
                os.makedirs(folder, exist_ok=True)
                results.append(case(args, kind, seed, folder))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)
