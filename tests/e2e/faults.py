"""A machine that refuses: no address space, no memory, a cgroup's limit, a killed run. Standard library only."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import unittest

from cli import MIB, SANITIZED, SNUG, TESTS, Case, environment


class Refused(Case):
    def test_every_limit_of_address_space_ends_in_a_message(self):
        """RLIMIT_AS from where the program starts at all to where the run is done: always an answer, never a crash."""
        if SANITIZED:
            self.skipTest("sanitizers need the address space")
        outcomes = set()
        limit = self.least_to_start()
        while "done" not in outcomes:
            done = self.limited(limit, *self.words(frames=5))
            self.assertIn(done.returncode, (0, 1, 3, 4), (limit // MIB, done.stderr))
            if done.returncode:
                self.assertTrue(done.stderr.strip(), limit)
                self.assertEqual(os.listdir(self.path("out")), [], done.stderr)
            outcomes.add("done" if done.returncode == 0 else "refused")
            limit += 2 * MIB
        self.assertIn("refused", outcomes)

    def limited(self, limit, *words):
        def set_limit():
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        return self.snug(*words, "--threads", 2, preexec_fn=set_limit)

    def least_to_start(self):
        for limit in range(16, 1024, 2):
            done = self.limited(limit * MIB, "run", "--help")
            if done.returncode == 0:
                return limit * MIB
        self.fail("it does not start in 1 GiB of address space")

    def test_a_plan_that_the_machine_has_no_memory_for_is_refused_before_it_runs(self):
        """--ram may promise what the machine has not: an error, not the kernel's killer."""
        with open("/proc/meminfo", encoding="utf-8") as f:
            facts = dict(line.split(":") for line in f)
        there = sum(int(facts[key].split()[0]) for key in ("MemTotal", "SwapTotal")) * 1024
        tool = os.path.join(os.path.dirname(TESTS), "tools", "fake_checkpoint")
        subprocess.run([sys.executable, tool, "ti2v-5b", self.path("model"), "--sparse", "--quiet"], check=True)
        large = dict(model=self.path("model"), size="8192x8192", frames=17, steps=1)
        done = self.snug(*self.words("plan", **large), "--ram", "100TiB", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        if json.loads(done.stdout)["process_peak_bytes"] < there:
            self.skipTest("the machine has more memory than this request takes")
        done = self.snug(*self.words(**large), "--ram", "100TiB")
        self.assert_refusal(done, 1, "MiB left", "MiB more")

    def test_a_killed_run_leaves_no_result(self):
        process = subprocess.Popen(
            [SNUG, *map(str, self.words(size="256x256", frames=17, steps=200)), "--events"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(self.dir),
        )
        for line in process.stdout:
            if json.loads(line)["step"] >= 2:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.assertFalse(os.path.exists(self.output))
        self.run_ok()  # what the killed one left is in nobody's way


class Cgroup(Case):
    """Inside a memory cgroup of budget + 5 %: the kernel has nothing to kill."""

    BUDGET = 96

    def setUp(self):
        super().setUp()
        if not os.path.isdir("/run/systemd/system") or os.geteuid() != 0:
            self.skipTest("a memory cgroup of its own takes systemd and root")
        self.wrap = ["systemd-run", "--scope", "--quiet", "-p", "MemorySwapMax=0", "-p"]
        if subprocess.run([*self.wrap, "MemoryMax=1G", "--", "true"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("systemd gives no scope with a memory limit here")

    def test_budget_and_five_percent_are_enough(self):
        digests = set()
        words = self.words(size="128x128", frames=9, steps=2)
        for ram in (self.BUDGET, 512):
            limit = f"MemoryMax={int(ram * MIB * 1.05)}"
            command = [*self.wrap, limit, "--", SNUG, *map(str, words), "--ram", f"{ram}MiB"]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment(self.dir))
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(self.output, "rb") as f:
                digests.add(hashlib.sha256(f.read()).hexdigest())
        self.assertEqual(len(digests), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
