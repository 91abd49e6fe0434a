"""txt2img and its kin as users meet them: files, their texts, --from-image, bad pictures. Standard library only.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/images.py [TestClass[.test]]
"""

import os
import struct
import unittest
import zlib

from cli import TESTS, Case

MODELS = os.path.join(TESTS, "golden", "flux_pipelines")


def chunks(path):
    """(type, data) of a PNG file; every checksum is checked."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, out = 8, []
    while at < len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        body = data[at + 4 : at + 8 + size]
        assert zlib.crc32(body) == struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0]
        out.append((body[:4], body[4:]))
        at += 12 + size
    return out


def texts(path):
    """Plain texts by their keys."""
    return dict(data.split(b"\0", 1) for kind, data in chunks(path) if kind == b"tEXt")


def write_png(path, width, height, grey, text=None):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes([grey]) * width) * height
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))]
    if text:
        parts.append(chunk(b"tEXt", b"parameters\0" + text))
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


class Images(Case):
    def draw(self, task="txt2img", output="a.png", model="dev", **more):
        words = ["run", task, "--model", os.path.join(MODELS, model), "--prompt", "a red ball", "--steps", 2]
        words += ["--max-tokens", 16, "--quiet", "--output", self.path(output)]
        if task == "txt2img" and "size" not in more:
            words += ["--size", "32x16"]
        for name, value in more.items():
            words += ["--" + name.replace("_", "-"), value]
        return self.snug(*words)

    def same(self, a, b):
        with open(self.path(a), "rb") as f, open(self.path(b), "rb") as g:
            return f.read() == g.read()

    def test_a_picture_makes_itself_again(self):
        self.assertEqual(self.draw(batch=3, seed=7).returncode, 0)
        words = texts(self.path("a-0003.png"))[b"parameters"]
        self.assertIn(b"Steps: 2, Sampler: Euler, Distilled CFG Scale: 3.5, Seed: 9, Size: 32x16, Model: dev", words)
        done = self.snug("run", "--from-image", self.path("a-0003.png"), "--output", self.path("b.png"), "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(self.same("a-0003.png", "b.png"))

    def test_options_count_over_the_picture(self):
        self.assertEqual(self.draw(seed=7).returncode, 0)
        self.assertEqual(self.draw(output="b.png", seed=8).returncode, 0)
        done = self.snug(
            "run", "txt2img", "--from-image", self.path("a.png"), "--seed", 8, "--output", self.path("c.png"), "--quiet"
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.same("b.png", "c.png"))
        plan = self.snug("plan", "--from-image", self.path("a.png"), "--ram", "1GiB")
        self.assertEqual(plan.returncode, 0, plan.stderr)

    def test_words_of_other_tools_are_read(self):
        text = b"a red ball\nNegative prompt: x\nSteps: 2, Sampler: Euler a, CFG scale: 1, Distilled CFG Scale: 3, Seed: 7, Size: 32x16"
        write_png(self.path("other.png"), 4, 4, 0, text)
        words = ["--model", os.path.join(MODELS, "dev"), "--max-tokens", 16, "--quiet", "--output", self.path("b.png")]
        done = self.snug("run", "--from-image", self.path("other.png"), *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.draw(seed=7, guidance=3, negative="x").returncode, 0)
        read = [[d for t, d in chunks(self.path(n)) if t == b"IDAT"] for n in ("a.png", "b.png")]
        self.assertEqual(*read)

    def test_bad_requests_leave_nothing(self):
        write_png(self.path("mask.png"), 8, 8, 255)
        write_png(self.path("black.png"), 32, 16, 0)
        write_png(self.path("bad.png"), 4, 4, 0, b"a\nSteps: none, Seed: 1, Size: 3x")
        cases = [
            (dict(task="inpaint", image=self.path("black.png"), mask=self.path("mask.png")), 2, "same size"),
            (dict(task="inpaint", image=self.path("black.png"), mask=self.path("black.png")), 2, "mask is empty"),
            (dict(task="inpaint", image=self.path("black.png")), 2, "--mask"),
            (dict(task="img2img"), 2, "--image"),
            (dict(task="txt2img", model="fill"), 2, "FLUX.1 Fill"),
            (dict(task="txt2img", model="../pipelines/ti2v/model"), 4, "WanPipeline"),
            (dict(task="txt2img", output="a.mp4"), 2, "makes pictures"),
            (dict(task="txt2img", batch=0), 2, "batch"),
            (dict(task="txt2img", ram="1MiB"), 3, "smallest budget"),
        ]
        for request, code, words in cases:
            done = self.draw(**request)
            self.assertEqual(done.returncode, code, (request, done.stderr))
            self.assertIn(words, done.stderr)
        for words, code, says in (
            (["run", "--from-image", self.path("mask.png")], 4, "does not say"),
            (["run", "--from-image", self.path("bad.png")], 4, "steps"),
            (["run", "--from-image", self.path("absent.png")], 4, "absent.png"),
            (["run", "--steps", "2"], 2, "pipeline"),
        ):
            done = self.snug(*words)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(says, done.stderr)
        self.assertEqual(sorted(os.listdir(self.dir)), ["bad.png", "black.png", "mask.png", "out"])


if __name__ == "__main__":
    unittest.main()
