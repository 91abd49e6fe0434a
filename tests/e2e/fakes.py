"""tools/fake_checkpoint: folders that snug plans and runs, files that others can read. Standard library only."""

import glob
import hashlib
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import unittest
import zipfile
import zlib

from cli import MIB, TESTS, Case, read_npy, read_tensors

TOOL = os.path.join(os.path.dirname(TESTS), "tools", "fake_checkpoint")
IMAGE = os.path.join(TESTS, "golden", "pipelines", "i2v", "image.png")


def write_png(path, width, height):
    """Colours that change along both axes."""
    rows = b"".join(
        b"\0" + bytes(v for x in range(width) for v in (x * 4 % 256, y * 4 % 256, x * y % 256)) for y in range(height)
    )

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class FakeCase(Case):
    def make(self, *words, folder="fake"):
        folder = self.path(folder)
        command = [sys.executable, TOOL, words[0], folder, *words[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return folder

    def digest(self, path):
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def digests(self, folder):
        found = {}
        for path in sorted(glob.glob(folder + "/**/*", recursive=True)):
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    found[os.path.relpath(path, folder)] = hashlib.sha256(f.read()).hexdigest()
        return found


class Fake(FakeCase):
    def test_small_models_run_and_stay_finite(self):
        for model, pipeline, image in (
            ("ti2v-5b", "wan-ti2v", None),
            ("ti2v-5b", "wan-ti2v", IMAGE),
            ("t2v-1.3b", "wan-t2v", None),
            ("i2v-a14b", "wan-i2v", IMAGE),
        ):
            folder = self.make(model, "--scale", "tiny", folder=model)
            words = ["run", pipeline, "--model", folder, "--prompt", "a red ball", "--size", "64x64", "--frames", 5]
            words += ["--steps", 2, "--output", self.output, "--save-latents", self.path("latents.npy")]
            done = self.snug(*words, *(["--image", image] if image else []))
            self.assertEqual(done.returncode, 0, done.stderr)
            data = read_npy(self.path("latents.npy"))[1]
            values = struct.unpack(f"<{len(data) // 4}f", data)
            self.assertTrue(all(map(math.isfinite, values)), model)
            self.assertLess(max(map(abs, values)), 100, model)

    def test_layouts_of_one_model_give_the_same_bytes(self):
        image = self.path("image.png")
        write_png(image, 64, 64)  # of the video's size: layouts differ in how they resize
        for model, pipeline, image in (
            ("ti2v-5b", "wan-ti2v", image),
            ("t2v-1.3b", "wan-t2v", None),
            ("i2v-a14b", "wan-i2v", image),
        ):
            digests = set()
            for layout in ("diffusers", "original"):
                folder = self.make(model, "--scale", "tiny", "--layout", layout, folder=model + layout)
                # what a folder may say about itself, and the original's does not
                words = ["--scheduler", "unipc", "--shift", 5, "--boundary", 0.9]
                words += ["--negative", "blurry", "--guidance", 4, "--model", folder]
                words += ["--prompt", "a red ball", "--size", "64x64", "--frames", 5, "--steps", 3]
                words += ["--image", image] if image else []
                done = self.snug("run", pipeline, *words, "--output", self.output)
                self.assertEqual(done.returncode, 0, done.stderr)
                with open(self.output, "rb") as f:
                    digests.add(hashlib.sha256(f.read()).hexdigest())
            self.assertEqual(len(digests), 1, model)

    def test_single_files_give_the_same_bytes_as_a_folder(self):
        small = [f"--set=transformer.{key}={n}" for key, n in
                 (("attention_head_dim", 128), ("num_attention_heads", 2), ("ffn_dim", 256))]  # fmt: skip
        words = ["--prompt", "a red ball", "--size", "64x64", "--frames", 5, "--steps", 3, "--negative", "blurry"]
        digests = set()
        for layout in ("original", "single"):
            for dtype in ("BF16", "F32"):
                folder = self.make("t2v-a14b", "--scale=tiny", f"--layout={layout}", f"--dtype={dtype}", *small)
                done = self.snug("run", "wan-t2v", "--model", folder, *words, "--output", self.output)
                self.assertEqual(done.returncode, 0, done.stderr)
                digests.add((dtype, self.digest(self.output)))
                shutil.rmtree(folder)
        self.assertEqual(len(digests), 2)

    def test_gguf_pairs_run_with_the_words_in_them(self):
        small = [f"--set={key}={n}" for key, n in (
            ("transformer.attention_head_dim", 128), ("transformer.num_attention_heads", 2),
            ("transformer.ffn_dim", 256), ("transformer.text_dim", 256), ("text_encoder.d_model", 256),
            ("text_encoder.d_kv", 64), ("text_encoder.d_ff", 256))]  # fmt: skip
        for dtype, text in (("Q8_0", "Q8_0"), ("Q4_0", "Q6_K"), ("Q4_K", "Q5_K")):
            folder = self.make("i2v-a14b", "--scale=tiny", "--layout=single", f"--dtype={dtype}", f"--text-dtype={text}", *small)
            high, low = (os.path.join(folder, "diffusion_models", f"i2v-a14b_{n}_noise-{dtype}.gguf") for n in ("high", "low"))
            words = ["--transformer", high, "--transformer-low", low, "--vae", folder + "/vae", "--image", IMAGE]
            words += ["--text-encoder", folder + f"/text_encoders/umt5-xxl-encoder-{text}.gguf", "--prompt", "a red ball"]
            words += ["--size", "64x64", "--frames", 5, "--steps", 2, "--output", self.output]
            digests = set()
            spiece = os.path.join(os.path.dirname(TESTS), "models", "demo", "tokenizer", "spiece.model")
            for tokenizer in ([], ["--tokenizer", spiece]):
                done = self.snug("run", "wan-i2v", *words, *tokenizer, "--save-latents", self.path("latents.npy"))
                self.assertEqual(done.returncode, 0, done.stderr)
                digests.add(self.digest(self.output))
                data = read_npy(self.path("latents.npy"))[1]
                values = struct.unpack(f"<{len(data) // 4}f", data)
                self.assertLess(max(map(abs, values)), 100, dtype)
            self.assertEqual(len(digests), 1)

    def test_full_size_is_planned_from_headers_alone(self):
        for model, pipeline, gigabytes in (("ti2v-5b", "wan-ti2v", 24.18), ("t2v-14b", "wan-t2v", 40.4)):
            folder = self.make(model, "--sparse", folder=model)
            size = sum(os.path.getsize(p) for p in glob.glob(folder + "/*/*"))
            self.assertAlmostEqual(size / 1e9, gigabytes, delta=0.1)
            self.assertLess(sum(os.stat(p).st_blocks * 512 for p in glob.glob(folder + "/*/*")), 8 * MIB)
            words = ["--model", folder, "--prompt", "x", "--size", "256x256", "--frames", 5, "--steps", 2]
            done = self.snug("plan", pipeline, *words, "--ram", "8GiB", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertLessEqual(json.loads(done.stdout)["process_peak_bytes"], 8 << 30)

    def test_room_that_no_stage_needs_is_left_alone(self):
        """Of equally fast plans the smallest: the largest stage as a whole, not that and the next one's weights."""
        folder = self.make("ti2v-5b", "--sparse")
        for more in ((), ("--device", "sim:64GiB,24GB/s")):
            words = self.words("plan", model=folder, size="256x256", frames=5, steps=2)
            done = self.snug(*words, "--ram", "64GiB", "--json", *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            plan = json.loads(done.stdout)
            whole = max(stage["weight_bytes"] + stage["tensor_bytes"] for stage in plan["stages"])
            self.assertLessEqual(plan["slab_bytes"], whole + whole // 16)

    def test_the_same_seed_gives_the_same_bytes(self):
        one = self.digests(self.make("t2v-1.3b", "--scale", "tiny", folder="one"))
        self.assertEqual(one, self.digests(self.make("t2v-1.3b", "--scale", "tiny", folder="two")))
        other = self.digests(self.make("t2v-1.3b", "--scale", "tiny", "--seed", "1", folder="three"))
        same = [name for name in one if one[name] == other[name]]
        self.assertFalse([name for name in same if name.endswith(".safetensors")])

    def test_a_folder_of_configurations_is_taken_as_it_is(self):
        source = os.path.join(TESTS, "golden", "pipelines", "t2v_experts", "model")
        folder = self.make(source)
        for part in ("transformer", "transformer_2", "vae"):
            file = part + "/diffusion_pytorch_model.safetensors"
            real, fake = (read_tensors(os.path.join(at, file))[0] for at in (source, folder))
            for header in (real, fake):
                header.pop("__metadata__", None)
            self.assertEqual({k: v["shape"] for k, v in real.items()}, {k: v["shape"] for k, v in fake.items()})
        config = os.path.join(source, "vae", "config.json")
        self.assertIn("diffusion_pytorch_model.safetensors", os.listdir(self.make(config, folder="part")))

    def test_archives_are_sound_and_aligned(self):
        folder = self.make("i2v-14b", "--scale", "tiny", "--layout", "original")
        files = glob.glob(folder + "/*.pth")
        self.assertEqual(len(files), 3)
        for path in files:
            with zipfile.ZipFile(path) as archive:
                self.assertIsNone(archive.testzip())
                self.assertTrue(archive.namelist()[0].endswith("/data.pkl"))
                rows = archive.infolist()
            with open(path, "rb") as f:
                for row in rows:
                    f.seek(row.header_offset + 26)
                    self.assertEqual((row.header_offset + 30 + sum(struct.unpack("<HH", f.read(4)))) % 64, 0)

    def test_four_bits_have_all_their_parts(self):
        folder = self.make("i2v-a14b", "--scale", "tiny", "--layout", "original", "--dtype", "nf4")
        for expert in ("high", "low"):
            header, data = read_tensors(os.path.join(folder, expert + "_noise_model_bnb_nf4", "model.safetensors"))
            name = "blocks.3.ffn.2.weight"
            at = header[name + ".quant_state.bitsandbytes__nf4"]["data_offsets"]
            state = json.loads(data[at[0] : at[1]])
            n = state["shape"][0] * state["shape"][1]
            self.assertEqual(header[name]["shape"], [n // 2, 1])
            self.assertEqual(header[name + ".absmax"]["shape"], [-(-n // 64)])
            self.assertEqual(header["patch_embedding.weight"]["dtype"], "BF16")
        self.assertTrue(os.path.exists(folder + "/tokenizer/tokenizer.json"))

    def test_mistakes_are_told_and_leave_no_folder(self):
        for words, part in (
            (["nothing"], "nothing"),
            (["ti2v-5b", "--set", "transformer.x"], "PART.KEY=JSON"),
            (["ti2v-5b", "--set", "dit.num_layers=2"], "transformer, vae, text_encoder"),
        ):
            done = subprocess.run(
                [sys.executable, TOOL, words[0], self.path("no"), *words[1:]], stderr=subprocess.PIPE, text=True
            )
            self.assertEqual(done.returncode, 1)
            self.assertIn(part, done.stderr)
            self.assertFalse(os.path.exists(self.path("no")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
