"""What a run tells about memory and time: memory log, events, reports, verdict; bad budgets, switches, paths.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/reports.py [TestClass[.test]]
"""

import json
import os
import re
import sys
import unittest

import fakes
from cli import Case

LINE = re.compile(
    r"^\[(before load|after load|before unload|after unload|stage) ([a-z_ ]+)\] (device|host): "
    r"allocated=(\d+\.\d+)GB, reserved=(\d+\.\d+)GB, limit=(\d+\.\d+)GB$"
)
SIM = ("--device", "sim:256MiB,1GB/s")
PARTS = ("text_encoder", "transformer", "vae")
NO_BIGGER = 1.001  # figures of the log have four digits


class Log(Case):
    def log(self, *more, **changes):
        done = self.run_ok("--memory-log", *more, **changes)
        lines = [line for line in done.stderr.splitlines() if line.startswith("[")]
        rows = [LINE.match(line) for line in lines]
        self.assertTrue(all(rows), [line for line, row in zip(lines, rows) if not row])
        return [row.groups() for row in rows]

    def test_lines_at_each_stage_load_and_unload(self):
        rows = self.log()
        seen = [(row[0], row[1]) for row in rows]
        for part in PARTS:
            places = [seen.index((what, part)) for what in
                      ("before load", "after load", "before unload", "after unload")]  # fmt: skip
            self.assertEqual(places, sorted(places), part)
        self.assertEqual([name for what, name in seen if what == "stage"], ["text encoder", "denoise", "vae decode"])
        self.assertEqual({row[2] for row in rows}, {"device"})

    def test_two_tiers_have_two_lines(self):
        rows = self.log(*SIM)
        self.assertEqual([row[2] for row in rows], ["device", "host"] * (len(rows) // 2))
        for row in rows:
            self.assertLessEqual(float(row[3]), float(row[5]) * NO_BIGGER)
            if row[2] == "device":
                self.assertLessEqual(float(row[3]), float(row[4]) * NO_BIGGER)

    def test_a_phase_log_shows_one_model_at_a_time(self):
        rows = self.log("--auto-unload=on", steps=2)
        loaded = set()
        for what, name, *_ in rows:
            if what == "before load":
                loaded.add(name)
            elif what == "after unload":
                loaded.discard(name)
            elif what == "stage":
                self.assertLessEqual(len(loaded), 2)
        self.assertEqual(loaded, set())

    def test_events_carry_the_same(self):
        done = self.run_ok("--events", *SIM)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        memory = [e for e in events if e["event"] == "memory"]
        self.assertIn("before load vae", [e["text"] for e in memory])
        for e in memory:
            self.assertEqual([t["tier"] for t in e["tiers"]], ["device", "host"])
            for tier in e["tiers"]:
                self.assertLessEqual(tier["used_bytes"], tier["peak_bytes"])
                self.assertLessEqual(tier["used_bytes"], tier["budget_bytes"])
        self.assertEqual(events[-1]["event"], "done")
        used = {e["text"]: e["tiers"][0]["used_bytes"] for e in memory}
        for part in PARTS:
            self.assertGreater(used["before unload " + part], used["after unload " + part])


class Report(Case):
    def report(self, *more, name="r.json", **changes):
        self.run_ok("--report", self.path(name), *more, **changes)
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def check(self, report, tiers):
        plan, measured = report["plan"], report["measured"]
        self.assertEqual(measured["slab_peak_bytes"], plan["slab_bytes"])
        self.assertEqual([s["name"] for s in measured["stages"]], [s["name"] for s in plan["stages"]])
        columns = report["timeline"]["columns"]
        points = [dict(zip(columns, p)) for p in report["timeline"]["points"]]
        self.assertGreater(len(points), 1)
        for a, b in zip(points, points[1:]):
            self.assertLessEqual(a["seconds"], b["seconds"])
            self.assertEqual(a["last_op"] + 1, b["first_op"])
        for p in points:  # what is held is within the slab, and never more than was planned
            self.assertLessEqual(p["tensors"], plan["slab_bytes"])
            self.assertEqual(p["tensors"], p["planned_tensors"])
        rows = [dict(zip(report["transfers"]["columns"], r)) for r in report["transfers"]["rows"]]
        self.assertEqual({r["to"] for r in rows}, set(tiers))
        self.assertEqual(sum(r["bytes"] for r in rows if r["to"] == "device"), measured["moved_bytes"])
        self.assertTrue(all(0 <= r["begin"] <= r["end"] <= measured["seconds"] for r in rows))
        self.assertEqual(sorted(report["parts"]), sorted(PARTS))
        self.assertAlmostEqual(sum(w["gflop"] for w in report["work"]), plan["gflop"], delta=0.01)
        held = {r["label"]: r for r in report["ledger"] if r["tier"] == "device"}
        for part in PARTS:
            self.assertEqual(held["weights " + part]["now_bytes"], 0, part)
            self.assertGreater(held["weights " + part]["peak_bytes"], 0, part)

    def test_json_holds_plan_measurements_timeline_transfers_and_books(self):
        self.check(json.loads(self.report()), ["device"])

    def test_json_with_two_tiers(self):
        self.check(json.loads(self.report(*SIM, size="64x64", steps=2)), ["device", "host"])

    def test_a_page_needs_nothing_else_and_holds_the_data(self):
        for more, charts in (((), 1), (SIM, 2)):
            page = self.report(*more, name="r.html", size="64x64", frames=5)
            self.assertTrue(page.startswith("<!DOCTYPE html>"))
            for outside in ("http:", "https:", "src=", "<link", "@import", "url("):
                self.assertNotIn(outside, page)
            self.assertEqual(page.count('<svg class="chart"'), charts)
            self.assertEqual(page.count("<svg"), page.count("</svg>"))
            self.assertNotIn("nan", re.sub(r"<script.*</script>", "", page, flags=re.S).lower())
            for part in ("budget", "prefers-color-scheme:dark", "vae decode", "peak "):
                self.assertIn(part, page)
            data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1)
            self.check(json.loads(data.replace("<\\/", "</")), ["device", "host"][:charts])

    def test_a_path_that_cannot_be_written_is_told_before_the_run(self):
        os.mkdir(self.path("taken"))
        for path, words in (
            ("/proc/none/r.html", "/proc/none/r.html"),
            (self.path("no/folder/r.json"), "cannot create"),
            (self.path("taken"), "directory"),
        ):
            done = self.refused(1, words, more=("--report", path))
            self.assertNotIn("text encoder", done.stderr)  # no stage has begun

    def test_report_and_output_must_be_two_files(self):
        self.refused(2, "--report", more=("--report", self.output))

    def test_a_run_that_fails_leaves_no_report(self):
        os.mkdir(self.path("r"))
        self.refused(3, "does not fit", more=("--ram", "1MiB", "--report", self.path("r/r.html")))
        self.assertEqual(os.listdir(self.path("r")), [])


class Verdict(Case):
    def plan(self, *more, **changes):
        done = self.snug(*self.words("plan", **changes), *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_row_by_stage_with_peaks_traffic_and_an_error_bar(self):
        text = self.plan(steps=2, size="64x64")
        for part in ("slab", "stay", "bound", "gap", "waits", "between", "most is held in", "process and output",
                     "not measured yet", "snug doctor --measure"):  # fmt: skip
            self.assertIn(part, text)
        self.assertRegex(text, r"denoise +2 .* \d+\.\d\d\.\.\d+\.\d\d\n")
        self.assertIn("--vram 256.0 MiB", self.plan(*SIM))

    def test_json_holds_the_same(self):
        for more in ((), SIM):
            plan = json.loads(self.plan("--json", *more, steps=2, size="64x64"))
            for s in plan["stages"]:
                peak = s["peak"]["tensor_bytes"] + s["peak"]["weight_bytes"]
                self.assertLessEqual(peak, plan["slab_bytes"])
                self.assertLessEqual(s["slab_bytes"], plan["slab_bytes"])
                self.assertLessEqual(s["bound_bytes"], s["moved_bytes"])
                self.assertRegex(s["peak"]["where"], r"^[a-z_0-9]+( in [a-z_0-9.]+)?$")
                self.assertLess(s["seconds_low"], s["seconds_high"])
            self.assertEqual(max(s["slab_bytes"] for s in plan["stages"]), plan["slab_bytes"])
            self.assertLess(plan["seconds_low"], plan["seconds"])
            self.assertFalse(plan["measured_profile"])

    def test_a_measured_profile_narrows_the_forecast(self):
        self.assertEqual(self.snug("doctor", "--measure", "--quick").returncode, 0)
        self.assertIn("measured profile", self.plan())
        self.assertTrue(json.loads(self.plan("--json"))["measured_profile"])


class Budgets(Case):
    def test_nonsense_sizes_are_usage_errors(self):
        for size in ("8 GBs", "8GBs", "-3GiB", "0", "", "GiB", "nan", "inf", "0x10", "1e999GiB", "99999999999999GiB"):
            self.refused(2, "--ram", more=("--ram=" + size,))
        for device in ("sim", "sim:", "sim:8GBs", "sim:8GiB,-1GB/s", "sim:0,1GB/s", "gpu", "sim:8GiB,1GB/s,2"):
            self.refused(2, "snug: ", more=("--device", device))
        self.refused(2, "--vram", more=("--vram", "8GiB"))

    def test_below_the_overhead_the_refusal_names_what_would_do(self):
        for ram in ("1B", "1MiB", "8MiB"):
            done = self.refused(3, "does not fit", "smallest budget that would do", more=("--ram", ram))
            least = int(re.search(r"would do is (\d+)MiB", done.stderr).group(1))
            self.assertLess(least, 200)
        self.run_ok("--ram", f"{least}MiB")
        os.remove(self.output)
        self.refused(3, "--vram 0MiB", "smallest", more=("--device", "sim:64KiB,1GB/s"))


class Switches(Case):
    """The switches other tools are known for: kept, or refused; never a bit of the output."""

    make = fakes.Fake.make

    WORDS = ("--memory-mode=lightweight", "--memory-mode=beefy", "--auto-unload", "--auto-unload=off",
             "--auto-unload=0.5", "--offload=none", "--offload=model", "--offload=sequential", "--vae-tiling",
             "--vae-tiling=off", "--vae-slicing", "--vae-slicing=off", "--attention-slicing",
             "--attention-slicing=off", "--text-encoder-device=cpu")  # fmt: skip

    def test_none_changes_a_bit_of_the_output(self):
        large = dict(size="64x64", frames=5, steps=2, guidance=4)
        self.run_ok(**large)
        with open(self.output, "rb") as f:
            want = f.read()
        for word in self.WORDS:
            self.run_ok(word, **large)
            with open(self.output, "rb") as f:
                self.assertEqual(f.read(), want, word)

    def plan(self, *more):
        words = self.words("plan", size="64x64", frames=5, steps=3, guidance=4)
        done = self.snug(*words, "--json", *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_each_holds_in_the_plan(self):
        free = self.plan()
        for stage in self.plan("--offload", "sequential")["stages"]:
            self.assertEqual((stage["resident_units"] == 0), stage["moved_bytes"] > stage["weight_bytes"])
        for word in ("--offload=none", "--memory-mode=beefy"):
            for stage in self.plan(word)["stages"]:
                self.assertEqual(stage["resident_units"], stage["units"], word)
        self.assertEqual(self.plan("--attention-slicing=off")["knobs"]["chunk_rows"], 0)
        self.assertGreater(self.plan("--attention-slicing")["knobs"]["chunk_rows"], 0)
        self.assertGreater(self.plan("--vae-tiling")["knobs"]["band_rows"], 0)
        self.assertEqual(self.plan("--vae-tiling=off")["knobs"]["band_rows"], 0)
        self.assertEqual(self.plan("--vae-slicing")["knobs"]["group_frames"], 0)
        self.assertGreater(self.plan("--vae-slicing=off")["knobs"]["group_frames"], 0)
        self.assertLess(self.plan("--memory-mode=lightweight")["slab_bytes"], free["slab_bytes"])

    def test_contradictions_are_usage_errors(self):
        for words in (
            ("--memory-mode=beefy", "--offload=sequential"),
            ("--memory-mode=beefy", "--offload=model"),
            ("--memory-mode=beefy", "--auto-unload"),
            ("--memory-mode=beefy", "--auto-unload=0.9"),
            ("--memory-mode=beefy", "--text-encoder-device=cpu"),
            ("--memory-mode=lightweight", "--offload=none"),
            ("--memory-mode=lightweight", "--auto-unload=off"),
            ("--offload=model", "--auto-unload=off"),
            ("--offload=sequential", "--auto-unload=off"),
        ):
            self.refused(2, "contradicts", more=words)

    def test_unknown_words_are_usage_errors(self):
        for word in ("--memory-mode=tiny", "--offload=disk", "--auto-unload=2", "--auto-unload=nan", "--vae-tiling=8",
                     "--vae-slicing=maybe", "--attention-slicing=max", "--text-encoder-device=cuda"):  # fmt: skip
            self.refused(2, word[: word.index("=")], "none of", more=(word,))

    def test_what_cannot_hold_under_the_budget_is_refused_by_name(self):
        large = dict(size="64x64", steps=2, model=self.make("ti2v-5b", "--scale", "middle"))
        done = self.refused(3, "smallest budget", more=("--ram", "1MiB"), **large)
        least = int(re.search(r"would do is (\d+)MiB", done.stderr).group(1))
        for word in ("--memory-mode=beefy", "--offload=none", "--auto-unload=off"):
            name = word[: word.index("=")]
            done = self.refused(3, "with " + name, more=("--ram", f"{least}MiB", word), **large)
            enough = int(re.search(r"would do is (\d+)MiB", done.stderr).group(1))
            self.assertGreater(enough, least)
            self.run_ok("--ram", f"{enough}MiB", word, **large)
            os.remove(self.output)

    def test_a_device_cannot_leave_the_text_encoder_to_the_processor_yet(self):
        self.refused(2, "--text-encoder-device cpu", more=(*SIM, "--text-encoder-device=cpu"))


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=[sys.argv[0], *sys.argv[1:]])
