"""snug doctor, monitor and bench as users meet them. Standard library only.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/machine.py [TestClass[.test]]
"""

import json
import os
import subprocess
import sys
import unittest

from cli import SNUG, Case, environment

CARD = "NVIDIA H200, 550.54.15, 143771, 20000, 75.12, 500.00, 700.00, 700.00, 12, 31, Disabled\n"


class MachineCase(Case):
    def put(self, path, text, mode=0o644):
        full = self.path(path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)
        os.chmod(full, mode)
        return full

    def with_smi(self, script):
        """An environment in which nvidia-smi is this shell script."""
        self.put("bin/nvidia-smi", "#!/bin/sh\n" + script, 0o755)
        return {"PATH": self.path("bin") + ":/usr/bin:/bin"}

    def ok(self, *words, env=None):
        done = self.snug(*words, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class Doctor(MachineCase):
    def test_tells_facts_and_that_nothing_is_measured(self):
        text = self.ok("doctor", env={"PATH": "/nowhere"})
        for part in ("processor", "memory", "swap", "cgroup", "none", "snug doctor --measure", "not measured"):
            self.assertIn(part, text)

    def test_json_holds_the_same(self):
        facts = json.loads(self.ok("doctor", "--json", env={"PATH": "/nowhere"}))
        self.assertGreater(facts["ram_bytes"], 1 << 20)
        self.assertEqual(facts["gpus"], [])
        self.assertIn("not measured", facts["profile_note"])
        self.assertTrue(any(a["command"] == "snug doctor --measure" for a in facts["advice"]))

    def test_measures_once_and_forecasts_use_it(self):
        first = self.snug("doctor", "--measure", "--quick", "--json")
        self.assertEqual(first.returncode, 0, first.stderr)
        path = self.path(".cache/snug/profile.json")
        self.assertIn(path, first.stderr)
        with open(path) as f:
            self.assertGreater(json.load(f)["work"]["gemm"][0][1], 1e6)
        facts = json.loads(self.ok("doctor", "--json"))
        self.assertEqual(facts["profile_note"], "")
        self.assertNotIn("snug doctor --measure", [a["command"] for a in facts["advice"]])

    def test_xdg_cache_home_is_where_the_profile_lies(self):
        env = {"XDG_CACHE_HOME": self.path("cache")}
        self.ok("doctor", "--measure", "--quick", env=env)
        self.assertTrue(os.path.exists(self.path("cache/snug/profile.json")))

    def test_a_corrupt_or_foreign_profile_is_told_and_not_used(self):
        self.ok("doctor", "--measure", "--quick")
        path = self.path(".cache/snug/profile.json")
        with open(path) as f:
            good = json.load(f)
        for text, words in (
            ("{", "bad JSON"),
            (json.dumps(dict(good, cores=99)), "another machine"),
            (json.dumps(dict(good, snug_profile=7)), "snug_profile"),
        ):
            with open(path, "w") as f:
                f.write(text)
            self.assertIn(words, self.ok("doctor"))
            self.ok(*self.words("plan"))  # a plan does without it
            self.refused(4, words, more=("--profile", path))  # unless it is asked for

    def test_a_folder_that_cannot_be_written_is_an_error(self):
        done = self.snug("doctor", "--measure", "--quick", "--profile", "/proc/none/profile.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/proc/none", done.stderr)

    def test_usage_mistakes_are_told(self):
        for words in (["--nonsense"], ["--threads", "0"], ["--threads"], ["extra"], ["--measure=1"]):
            done = self.snug("doctor", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("doctor", done.stderr)
        self.assertIn("usage", self.ok("doctor", "--help"))

    def test_gpu_facts_and_advice_come_from_nvidia_smi(self):
        text = self.ok("doctor", env=self.with_smi(f"printf '{CARD}'"))
        self.assertIn("NVIDIA H200, driver 550.54.15, 140.4 GiB (19.5 in use), power limit 500 W", text)
        self.assertIn("sudo nvidia-smi -i 0 -pm 1", text)
        self.assertIn("sudo nvidia-smi -i 0 -pl 700", text)
        self.assertIn("other processes hold 20000 of 143771 MiB", text)

    def test_whatever_nvidia_smi_says_does_no_harm(self):
        for script, words in (
            ("exit 9", "nvidia-smi failed"),
            ("echo 'NVIDIA-SMI has failed because it could not talk'; exit 9", "could not talk"),
            ("echo 'No devices were found'; exit 6", "none"),
            ("echo 'No devices were found'", "none"),
            ("kill -9 $$", "nvidia-smi failed"),
            ("echo 'Card, 1, [N/A], [N/A], [N/A], [Not Supported], -, , x, ERR!, [N/A]'", "persistence unknown"),
            ("printf 'a,b,c\\n,,,,,,,,,,\\n\\377\\001, x, 1e99, nan, inf, 0, 0, 0, 0, 0, Enabled\\n'", "persistence on"),
            ("head -c 300000 /dev/zero | tr '\\0' ','", "GPU"),
            ("head -c 300000 /dev/urandom", "GPU"),
        ):
            done = subprocess.run(
                [SNUG, "doctor"],
                capture_output=True,
                timeout=60,
                env=environment(self.dir, **self.with_smi(script)),
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(words, done.stdout.decode(errors="replace"), script)

    def test_settings_of_the_original_stacks_are_recognised(self):
        env = {"WAN_FORCE_FP16": "1", "WAN_COMPILE": "0", "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
        text = self.ok("doctor", env=env)
        for name, value in env.items():
            self.assertIn(f"{name}={value}: ", text)
        self.assertEqual(len(json.loads(self.ok("doctor", "--json", env=env))["settings"]), 3)

    def test_misconfiguration_is_found_with_the_command_that_mends_it(self):
        self.put("root/proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable: 4000000 kB\n"
                 "SwapTotal: 8000000 kB\nSwapFree: 1000000 kB\n")
        self.put("root/proc/self/cgroup", "0::/user\n")
        self.put("root/sys/fs/cgroup/user/memory.max", "1000000000\n")
        self.put("root/sys/fs/cgroup/user/memory.current", "100000000\n")
        self.put("root/proc/sys/vm/overcommit_memory", "2\n")
        self.put("root/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
        self.put("root/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
        self.put("root/proc/driver/nvidia/version", "NVRM version: 550\n")
        text = self.ok("doctor", "--root", self.path("root"))
        for part in ("swapoff", "ps aux", "MemoryMax", "vm.overcommit_memory=0", "transparent_hugepage",
                     "frequency-set", "install nvidia-smi"):
            self.assertIn(part, text)
        self.assertIn("nothing is misconfigured", self.ok("doctor", "--root", self.path("none")))
        self.assertEqual(self.snug("doctor", "--root", "/", "--measure").returncode, 2)


class Monitor(MachineCase):
    def test_watches_a_process_until_it_ends(self):
        child = subprocess.Popen([sys.executable, "-c", "import time\nx = bytearray(30 << 20)\ntime.sleep(1.5)"])
        done = self.snug("monitor", child.pid, "--interval", "0.2", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        child.wait()
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertGreaterEqual(len(rows), 3)
        self.assertGreater(max(r["rss_bytes"] for r in rows), 30 << 20)
        self.assertTrue(all(r["peak_bytes"] >= r["rss_bytes"] for r in rows))
        self.assertTrue(all(r["cpu_percent"] >= 0 for r in rows))

    def test_prints_a_table_of_so_many_lines(self):
        lines = self.ok("monitor", os.getpid(), "--interval=0.05", "--count=3").splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("rss MiB", lines[0])

    def test_refuses_what_is_no_process(self):
        for words in (["abc"], ["0"], ["-5"], ["99999999"], ["4194303"], [], ["1", "2"], ["1", "--gpu"],
                      ["1", "--interval", "0"], ["1", "--count", "1.5"]):
            self.assertEqual(self.snug("monitor", *words).returncode, 2, words)

    def test_watches_graphics_cards(self):
        env = self.with_smi(f"printf '{CARD}{CARD}'")
        rows = self.ok("monitor", "--gpu", "--json", "--count", "2", "--interval", "0.05", env=env).splitlines()
        self.assertEqual([json.loads(r)["gpu"] for r in rows], [0, 1, 0, 1])
        self.assertEqual(json.loads(rows[0])["used_mib"], 20000)
        table = self.ok("monitor", "--gpu", "--count", "1", env=env)
        self.assertIn("143771", table)
        done = self.snug("monitor", "--gpu", env={"PATH": "/nowhere"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("no graphics card", done.stderr)


class Bench(MachineCase):
    SMALL = ("--batch", "1", "--length", "64", "--heads", "2", "--dim", "16", "--runs", "3")

    def test_tells_time_rate_and_memory(self):
        text = self.ok("bench", "attention", *self.SMALL)
        self.assertIn("batch 1, length 64, heads 2, dim 16", text)
        self.assertIn("ms per call", text)
        values = json.loads(self.ok("bench", "attention", "--json", *self.SMALL))
        self.assertEqual((values["runs"], values["length"]), (3, 64))
        self.assertGreater(values["gflops"], 0)
        self.assertGreaterEqual(values["memory_bytes"], 4 * 64 * 32 * 4)
        self.assertLessEqual(values["best_ms"], values["median_ms"])

    def test_refuses_nonsense_and_what_does_not_fit(self):
        for words in ([], ["gemm"], ["attention", "--length", "0"], ["attention", "--runs", "many"],
                      ["attention", "--batch", "1.5"], ["attention", "--ram", "8 GBs"], ["attention", "x"]):
            self.assertEqual(self.snug("bench", *words).returncode, 2, words)
        done = self.snug("bench", "attention", "--length", "16000000", "--heads", "4096", "--dim", "4096")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("MiB", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
