"""The example programs, and the one in docs/API.md. Standard library only.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/examples.py [TestClass[.test]]
"""

import json
import os
import re
import shutil
import subprocess
import unittest

from cli import SNUG, TESTS, Case

TOP = os.path.dirname(TESTS)
DEMO = os.path.join(TOP, "models", "demo")


class Examples(Case):
    def example(self, name, *words):
        path = os.path.join(os.path.dirname(SNUG), "examples", name)
        return subprocess.run([path, *words], capture_output=True, text=True, timeout=300)

    def request(self, **more):
        path = self.path("request.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(dict(model=DEMO, prompt="a red ball", steps=1, frames=5, output=self.output, **more), f)
        return path

    def test_minimal(self):
        done = self.example("minimal", DEMO, "a red ball", self.path("out/ball.mp4"), "1GiB")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("denoise", done.stdout)
        self.assertEqual(os.listdir(self.path("out")), ["ball.mp4"])

    def test_request(self):
        done = self.example("request", "wan-ti2v", self.request(), "1GiB")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for words in ("slab: planned", "[before load vae] device", "denoise, step 1 of 1", self.output):
            self.assertIn(words, done.stdout)
        self.assertEqual(os.listdir(self.path("out")), ["frames.npy"])

    def test_request_that_does_not_fit(self):
        done = self.example("request", "wan-ti2v", self.request(), "1MiB")
        self.assertEqual(done.returncode, 3)
        self.assertIn("the smallest budget that would do is", done.stderr)

    def test_request_with_a_field_that_is_not_known(self):
        done = self.example("request", "wan-ti2v", self.request(stepz=3), "1GiB")
        self.assertEqual(done.returncode, 4)
        self.assertIn("stepz", done.stderr)

    def test_request_alone_lists_pipelines_and_options(self):
        done = self.example("request")
        self.assertEqual(done.returncode, 2)
        self.assertIn("wan-ti2v: ", done.stdout)
        self.assertIn("    guidance-low: ", done.stdout)

    @unittest.skipUnless(shutil.which("cc"), "no C compiler")
    def test_the_program_of_the_manual_compiles(self):
        with open(os.path.join(TOP, "docs", "API.md"), encoding="utf-8") as f:
            (program,) = re.findall(r"^```c\n(.*?)^```$", f.read(), re.S | re.M)
        line = ["cc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", os.path.join(TOP, "include"), "-xc", "-"]
        done = subprocess.run(line, input=program, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
