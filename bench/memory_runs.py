"""Runs of snug under a budget, watched from outside: what was promised, what was measured, what the kernel saw."""

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time

MIB = 1 << 20
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FAKE = os.path.join(ROOT, "tools", "fake_checkpoint")
DONE, FAILED, USAGE, NO_ROOM, BAD_FILE = 0, 1, 2, 3, 4


def make_model(folder, words):
    """A random checkpoint, unless it is there already."""
    if os.path.exists(os.path.join(folder, ".whole")):
        return folder
    subprocess.run([sys.executable, FAKE, words[0], folder, *words[1:], "--quiet"], check=True)
    with open(os.path.join(folder, ".whole"), "w", encoding="utf-8"):
        return folder


class Group:
    """A memory cgroup around one run: `wrap` goes before the command."""

    def __init__(self, folder=None, limit=0, wrap=()):
        self.folder, self.wrap = folder, wrap
        if folder:
            os.mkdir(folder)
            self.v2 = os.path.exists(os.path.join(folder, "memory.max"))
            self._write("memory.max" if self.v2 else "memory.limit_in_bytes", limit)
            join = 'echo $$ > "$0" && exec "$@"'
            self.wrap = ("sh", "-c", join, os.path.join(folder, "cgroup.procs"))

    def _write(self, name, value):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(str(value))

    def complaints(self):
        """What the kernel had to do: a killed process."""
        if not self.folder:
            return []
        name = "memory.events" if self.v2 else "memory.oom_control"
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            killed = re.search(r"^oom_kill (\d+)", file.read(), re.M)
        return [f"killed {killed.group(1)} times by the cgroup"] if killed and int(killed.group(1)) else []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder:
            os.rmdir(self.folder)


def cgroup(where, limit):
    """None: no cgroup; "auto": a scope of systemd; else the folder of a cgroup that is ours to divide."""
    if where != "auto":
        return Group(os.path.join(where, f"snug-{os.getpid()}"), limit) if where else Group()
    if not os.path.isdir("/run/systemd/system"):
        raise SystemExit("--cgroup auto: systemd does not run here; name a cgroup's folder instead")
    return Group(wrap=("systemd-run", "--scope", "--quiet", "-p", f"MemoryMax={limit}", "-p", "MemorySwapMax=0", "--"))


class Watched:
    """A finished process: code, texts, seconds and the most memory it had, as the kernel counts it."""

    def __init__(self, command, wrap=()):
        begin = time.monotonic()
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen([*wrap, *map(str, command)], stdout=out, stderr=err)
            self.peak_bytes = 0
            watcher = threading.Thread(target=self._watch, args=(process.pid,))
            watcher.start()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = self.code = os.waitstatus_to_exitcode(status)
            watcher.join()
            self.seconds, self.cpu_seconds = time.monotonic() - begin, usage.ru_utime + usage.ru_stime
            out.seek(0)
            err.seek(0)
            self.output, self.error = out.read(), err.read()
        # exact, but it counts this program's own pages at the moment of the fork too
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if usage.ru_maxrss > own:
            self.peak_bytes = max(self.peak_bytes, usage.ru_maxrss * 1024)

    def _watch(self, pid):
        """VmHWM only grows: the last reading before the end is what counts."""
        try:
            while True:
                with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                    found = re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.M)
                if not found:
                    return
                self.peak_bytes = int(found.group(1)) * 1024
                time.sleep(0.02)
        except OSError:
            return


class Request:
    """One request to one model; every run of it must give the same bytes."""

    def __init__(self, snug, name, pipeline, model, options):
        self.snug, self.name, self.pipeline, self.model, self.options = snug, name, pipeline, model, options

    def words(self, command, *more):
        words = [self.snug, command, self.pipeline, "--model", self.model]
        for key, value in self.options.items():
            words += ["--" + key, value]
        return [*words, *more]

    def plan(self, *more):
        """As for a run: the writer of the output counts too."""
        return Watched(self.words("plan", "--output", "frames.npy", *more))

    def named_mib(self, flag="--ram", device=()):
        """The smallest budget of this kind that the refusal names."""
        done = self.plan(flag, "1MiB", *device)
        found = re.search(r"(?:budget|smallest) that would do is (\d+)MiB", done.error)
        if done.code != NO_ROOM or not found:
            raise SystemExit(f"{self.name}: no refusal at 1 MiB (exit {done.code}): {done.error.strip()}")
        return int(found.group(1))

    def least_mib(self, named, flag="--ram", device=()):
        """The smallest budget that is planned, found by halving: refusals name a little more."""
        low, high = named // 2, named
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.plan(flag, f"{middle}MiB", *device).code == DONE
            low, high = (low, middle) if fits else (middle, high)
        return high

    def run(self, scratch, ram_mib, more=(), wrap=()):
        """A run's figures; `broken` lists the promises it did not keep."""
        output, report = os.path.join(scratch, "out.npy"), os.path.join(scratch, "report.json")
        for path in (output, report):
            if os.path.exists(path):
                os.remove(path)
        command = self.words("run", "--ram", f"{ram_mib}MiB", "--output", output, "--report", report, "--quiet", *more)
        return Row(self, ram_mib, Watched(command, wrap), output, report)


class Row:
    def __init__(self, request, ram_mib, done, output, report):
        self.request, self.ram_mib, self.done = request, ram_mib, done
        self.seconds, self.watched_bytes = done.seconds, done.peak_bytes
        self.broken, self.sha, self.plan, self.measured = [], "", {}, {}
        if done.code != DONE:
            self.broken.append(f"exit {done.code}: {done.error.strip()[-300:]}")
            return
        with open(output, "rb") as file:
            self.sha = hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else (
                hashlib.sha256(file.read()).hexdigest())  # fmt: skip
        with open(report, encoding="utf-8") as file:
            figures = json.load(file)
        self.plan, self.measured = figures["plan"], figures["measured"]
        self._judge(ram_mib * MIB)

    def outside_bytes(self):
        """Without the memory of a simulated device: the process's, taken in full, but no part of --ram."""
        return self.watched_bytes - (self.plan["slab_bytes"] if self.plan.get("device_budget_bytes") else 0)

    def _judge(self, budget):
        plan, measured = self.plan, self.measured
        for what, got, want in (
            ("slab peak", measured["slab_peak_bytes"], plan["slab_bytes"]),
            ("bytes moved", measured["moved_bytes"], plan["moved_bytes"]),
        ):
            if got != want:
                self.broken.append(f"{what}: measured {got}, planned {want}")
        for what, got in (
            ("planned peak", plan["process_peak_bytes"]),
            ("measured peak", measured["process_peak_bytes"]),
            ("peak seen from outside", self.outside_bytes()),
        ):
            if got > budget:
                self.broken.append(f"{what}: {got} over the budget of {budget}")

    def traffic(self):
        """Bytes moved over the lower bound in the worst stage that streams; 1 when none does."""
        worst = 1.0
        for stage in self.plan.get("stages", []):
            if stage["resident_units"] < stage["units"] and stage["bound_bytes"]:
                worst = max(worst, stage["moved_bytes"] / stage["bound_bytes"])
        return worst


HEAD = ("request", "budget MiB", "planned peak", "process peak", "seen outside", "slab planned = measured", "read MiB",
        "worst read / bound", "forecast s", "took s", "sha256")  # fmt: skip


def table_head():
    return "| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD)


def table_row(row, label=None):
    if not row.measured:
        return f"| {label or row.request.name} | {row.ram_mib} | " + " | ".join(["-"] * (len(HEAD) - 3)) + " | FAILED |"
    p, m = row.plan, row.measured
    equal = "=" if p["slab_bytes"] == m["slab_peak_bytes"] else "NOT EQUAL"
    cells = [
        label or row.request.name,
        row.ram_mib,
        f"{p['process_peak_bytes'] / MIB:.1f}",
        f"{m['process_peak_bytes'] / MIB:.1f}",
        f"{row.outside_bytes() / MIB:.1f}",
        f"{p['slab_bytes'] / MIB:.1f} {equal} {m['slab_peak_bytes'] / MIB:.1f}",
        f"{m['moved_bytes'] / MIB:.1f}",
        f"{row.traffic():.3f}",
        f"{p['seconds']:.1f}",
        f"{m['seconds']:.1f}",
        row.sha[:8],
    ]
    return "| " + " | ".join(map(str, cells)) + " |"
