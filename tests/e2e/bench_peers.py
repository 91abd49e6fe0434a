"""./dev bench peers without the peers: rows, results that are kept, tables. Standard library only."""

import json
import os
import subprocess
import sys
import unittest

from cli import SNUG, TESTS, Case

BENCH = os.path.join(os.path.dirname(TESTS), "bench", "peers.py")


class Peers(Case):
    def peers(self, *words, code=0):
        command = [sys.executable, BENCH, "--snug", SNUG, "--tiny", "--no-write", "--without", "PyTorch,sd.cpp", "--threads", "2"]
        done = subprocess.run(
            [*command, "--scratch", self.path("scratch"), "--results", self.path("peers.json"), *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def kept(self):
        with open(self.path("peers.json"), encoding="utf-8") as file:
            return json.load(file)["rows"]

    def test_rows_are_measured_and_kept(self):
        done = self.peers("--rows", "flux-blocks,sdxl-unet,birefnet", "--repeat", "1")
        self.assertEqual(sorted(self.kept()), ["birefnet", "flux-blocks", "sdxl-unet"])
        for title in ("FLUX.1, one double and one single block", "SDXL UNet, one forward", "BiRefNet (Swin-L)"):
            self.assertIn(title, done.stdout)
        self.assertTrue(all(row["snug"][0]["seconds"] > 0 and row["snug"][0]["gflop"] > 0 for row in self.kept().values()))
        done = self.peers("--rows", "sdxl-vae", "--repeat", "2")
        self.assertEqual(len(self.kept()["sdxl-vae"]["snug"]), 2)
        self.assertIn("FLUX.1, one double", done.stdout)  # from the run before
        self.assertIn("Medians of 1 to 2", done.stdout)
        self.peers("--rows", "sdxl-vae", "--repeat", "1", "--add")
        self.assertEqual(len(self.kept()["sdxl-vae"]["snug"]), 3)
        self.assertIn("SDXL VAE", self.peers("--repeat", "0").stdout)  # the table alone

    def test_videos_are_timed_to_the_file(self):
        self.peers("--rows", "whole,quarter,vae-2.1,dit-1.3b-9-q8_0,dit-1.3b-9-nf4", "--repeat", "1")
        for row in self.kept().values():
            self.assertEqual(row["snug"][0]["why"], "")
        self.assertTrue(os.path.exists(self.path("scratch/snug.mp4")))

    def test_mistakes_are_told(self):
        self.assertIn("no row dit; there are: all, birefnet", self.peers("--rows", "dit", code=1).stderr)
        self.assertIn("at least 0", self.peers("--repeat", "-1", code=1).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
