"""tools/fake_checkpoint for models of pictures: every layout runs, full size is planned. Standard library only."""

import glob
import json
import math
import os
import struct
import subprocess
import sys
import unittest

from cli import MIB, read_npy
from fakes import TOOL, FakeCase, write_png

GIB = 1 << 30


class FakeImages(FakeCase):
    def draw(self, *model, task="txt2img", size="64x64", more=()):
        """Digest of the latents, which must be of a reasonable size."""
        words = ["--prompt", "bako dupi", "--size", size, "--steps", 2, "--quiet", "--output", self.path("a.png")]
        done = self.snug("run", task, *model, *words, *more, "--save-latents", self.path("latents.npy"))
        self.assertEqual(done.returncode, 0, done.stderr)
        data = read_npy(self.path("latents.npy"))[1]
        values = struct.unpack(f"<{len(data) // 4}f", data)
        self.assertTrue(all(map(math.isfinite, values)), model)
        self.assertLess(max(map(abs, values)), 100, model)
        return self.digest(self.path("latents.npy"))

    def flux_files(self, folder, dtype="flux1-dev.safetensors", text="t5xxl_bf16.safetensors"):
        at = {"transformer": "diffusion_models/" + dtype, "vae": "vae/ae.safetensors",
              "text-encoder": "text_encoders/clip_l.safetensors", "text-encoder-2": "text_encoders/" + text,
              "tokenizer": "tokenizer", "tokenizer-2": "tokenizer_2"}  # fmt: skip
        return [word for key, name in at.items() for word in ("--" + key, os.path.join(folder, name))]

    def test_layouts_of_flux_hold_the_same_values(self):
        few = ["--max-tokens", 32]
        folder = self.make("flux-dev", "--scale=tiny", folder="diffusers")
        digests = {self.draw("--model", folder, more=few)}
        folder = self.make("flux-dev", "--scale=tiny", "--layout=single", folder="single")
        digests.add(self.draw(*self.flux_files(folder), more=few))
        folder = self.make("flux-dev", "--scale=tiny", "--layout=original", folder="original")
        parts = {"transformer": "flux1-dev.safetensors", "vae": "ae.safetensors", "text-encoder": "text_encoder",
                 "text-encoder-2": "text_encoder_2", "tokenizer": "tokenizer", "tokenizer-2": "tokenizer_2"}  # fmt: skip
        words = [word for key, name in parts.items() for word in ("--" + key, os.path.join(folder, name))]
        digests.add(self.draw(*words, more=few))
        self.assertEqual(len(digests), 1)

    def test_small_weights_of_flux_run(self):
        few = ["--max-tokens", 32]
        self.draw("--model", self.make("flux-dev", "--scale=tiny", "--dtype=nf4", folder="nf4"), more=few)
        wide = [f"--set=text_encoder_2.{key}={n}" for key, n in (("d_model", 256), ("d_kv", 64), ("d_ff", 256))]
        wide.append("--set=transformer.joint_attention_dim=256")
        for dtype in ("Q8_0", "Q4_K"):
            folder = self.make("flux-dev", "--scale=tiny", "--layout=single", "--dtype=" + dtype, "--text-dtype=" + dtype, *wide, folder=dtype)
            self.draw(*self.flux_files(folder, f"flux1-dev-{dtype}.gguf", f"t5-v1_1-xxl-encoder-{dtype}.gguf"), more=few)
        self.draw("--model", self.make("flux-schnell", "--scale=tiny", folder="schnell"), more=few)

    def test_fill_runs(self):
        picture = self.path("picture.png")
        write_png(picture, 64, 64)
        folder = self.make("flux-fill", "--scale=tiny")
        self.draw("--model", folder, task="inpaint", more=["--image", picture, "--mask", picture, "--max-tokens", 32])

    def test_sdxl_runs_in_both_layouts_and_with_a_controlnet(self):
        folder = self.make("sdxl", "--scale=tiny", folder="diffusers")
        self.assertTrue(os.path.exists(folder + "/unet/diffusion_pytorch_model.fp16.safetensors"))
        plain = self.draw("--model", folder)
        control = self.make("controlnet-canny", "--scale=tiny", folder="control")
        write_png(self.path("edges.png"), 64, 64)
        words = ["--controlnet", control, "--control-image", self.path("edges.png")]
        self.assertNotEqual(plain, self.draw("--model", folder, more=words))
        folder = self.make("sdxl", "--scale=tiny", "--layout=original", folder="original")
        words = ["--tokenizer", folder + "/tokenizer", "--tokenizer-2", folder + "/tokenizer_2"]
        self.draw("--model", folder + "/sd_xl_base_1.0.safetensors", *words)

    def test_birefnet_runs(self):
        write_png(self.path("picture.png"), 80, 48)
        for dtype in ("F16", "F32"):
            folder = self.make("birefnet", "--scale=tiny", "--dtype", dtype, folder=dtype)
            words = ["--image", self.path("picture.png"), "--size", "64x64", "--quiet", "--output", self.path("a.png")]
            done = self.snug("run", "cutout", "--model", folder, *words)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_full_size_is_planned_from_headers_alone(self):
        for model, task, gigabytes, budget in (
            ("flux-dev", "txt2img", 33.74, 8), ("flux-schnell", "txt2img", 33.72, 8), ("sdxl", "txt2img", 6.94, 4),
        ):  # fmt: skip
            folder = self.make(model, "--sparse", folder=model)
            files = [p for p in glob.glob(folder + "/**/*", recursive=True) if p.endswith(".safetensors")]
            self.assertAlmostEqual(sum(map(os.path.getsize, files)) / 1e9, gigabytes, delta=0.02)
            self.assertLess(sum(os.stat(p).st_blocks * 512 for p in files), 8 * MIB)
            words = ["--model", folder, "--prompt", "x", "--size", "256x256", "--steps", 2]
            done = self.snug("plan", task, *words, "--ram", f"{budget}GiB", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertLessEqual(json.loads(done.stdout)["process_peak_bytes"], budget * GIB)

    def test_a_disk_without_room_is_not_written_to(self):
        words = [sys.executable, TOOL, "flux-dev", self.path("no")]
        limit = "import shutil; shutil.disk_usage = lambda path: type('Usage', (), {'free': 10 ** 9})()"
        run = f"{limit}; import runpy, sys; sys.argv = {words[1:]!r}; runpy.run_path({TOOL!r}, run_name='__main__')"
        done = subprocess.run([sys.executable, "-c", run], stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("33.7 GB and 1.1 GB to spare are needed, 1.0 GB are free", done.stderr)
        self.assertFalse(os.path.exists(self.path("no")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
