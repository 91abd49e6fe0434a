"""The snug command as users meet it: exit codes, messages, files that stay or do not. Standard library only.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/cli.py [TestClass[.test]]
"""

import array
import ast
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import wave

SNUG = os.path.join(os.environ.get("SNUG_BUILD", "build"), "snug")
TESTS = os.environ.get("SNUG_TESTS", os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(TESTS, "golden", "pipelines")
SANITIZED = subprocess.run(["grep", "-q", "__asan_init", SNUG]).returncode == 0
MIB = 1 << 20
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"


def environment(home, **settings):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SNUG_") and k != "XDG_CONFIG_HOME"}
    return dict(kept, HOME=home, **settings)


def read_npy(path):
    """Shape and bytes of the data."""
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10 : 10 + size].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"]
    return header["shape"], data[10 + size :]


def write_npy(path, shape, values, descr="<f4"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + values)


def read_tensors(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        return json.loads(f.read(size)), bytearray(f.read())


def write_tensors(path, header, data):
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="snug-e2e-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.output = self.path("out/frames.npy")
        os.mkdir(self.path("out"))

    def path(self, name):
        return os.path.join(self.dir, name)

    def snug(self, *words, env=None, **options):
        options.setdefault("timeout", 300)
        return subprocess.run(
            [SNUG, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="strict",
            env=environment(self.dir, **(env or {})),
            **options,
        )

    def words(self, command="run", model=None, **changes):
        """A small request: one frame of 32x32, one step. None takes an option away."""
        values = dict(prompt="a red ball", size="32x32", frames=1, steps=1, guidance=1, output=self.output)
        values.update({k.replace("_", "-"): v for k, v in changes.items()})
        words = [command, "wan-ti2v", "--model", model or os.path.join(GOLDEN, "ti2v", "model")]
        for name, value in values.items():
            if value is not None and not (command == "plan" and name == "output"):
                words += [f"--{name}", value]
        return words

    def run_ok(self, *more, env=None, **changes):
        done = self.snug(*self.words(**changes), *more, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, code, *parts, more=(), **changes):
        """The run ends with that code and says these things on one `snug:` line; no file is left."""
        done = self.snug(*self.words(**changes), *more)
        self.assert_refusal(done, code, *parts)
        return done

    def assert_refusal(self, done, code, *parts):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn("snug: ", done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertEqual(os.listdir(self.path("out")), [])

    def model(self, kind="ti2v"):
        """A copy that may be damaged."""
        to = self.path("model")
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(os.path.join(GOLDEN, kind, "model"), to)
        return to

    def edit_json(self, path, **changes):
        with open(path, encoding="utf-8") as f:
            value = json.load(f)
        for key, new in changes.items():
            value.pop(key, None) if new is KeyError else value.update({key: new})
        with open(path, "w", encoding="utf-8") as f:
            json.dump(value, f)


class Usage(Case):
    def test_help_about_no_pipeline_lists_those_there_are(self):
        for words in (["bogus", "--help"], ["--model", "x", "-h"]):
            done = self.snug("run", *words)
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)
            self.assertIn("usage: snug run PIPELINE", done.stdout)
            self.assertIn("wan-ti2v", done.stdout)

    def test_help_goes_to_standard_output_and_lists_every_option(self):
        for words in (["--help"], ["help"], ["-h"], ["run", "--help"], ["plan", "-h"], ["models", "--help"]):
            done = self.snug(*words)
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)
            self.assertIn("usage: snug", done.stdout)
        text = self.snug("run", "wan-t2v", "--help").stdout
        flags = """model prompt negative image size frames fps steps guidance guidance-low shift boundary scheduler seed
            noise ram device isa threads output save-latents taps report events quiet preview"""
        for flag in flags.split():
            self.assertIn(f"--{flag} ", text)
        self.assertRegex(self.snug("--version").stdout, r"^snug \d+\.\d+\.\d+\n$")

    def test_mistakes_in_the_words_are_usage_errors(self):
        model = os.path.join(GOLDEN, "ti2v", "model")
        for words, part in (
            ([], "usage"),
            (["dance"], "dance"),
            (["run"], ""),
            (["run", "wan-x"], "wan-x"),
            (["run", "wan-t2v", "prompt"], "no option"),
            (["run", "wan-t2v", "--colour", "red"], "--colour is not an option"),
            (["run", "wan-t2v", "--model"], "needs a value"),
            (["run", "wan-t2v", "--" + "x" * 500], "too long"),
            (["run", "wan-t2v"], "--model is missing"),
            (["run", "wan-ti2v", "--model", model, "--ram", "lots"], "no size of memory"),
            (["run", "wan-ti2v", "--model", model, "--ram", "-1"], "no size of memory"),
            (["run", "wan-ti2v", "--model", model, "--threads", "0"], "--threads"),
            (["run", "wan-ti2v", "--model", model, "--isa", "z80"], "z80"),
            (["run", "wan-ti2v", "--model", model, "--device", "toaster"], "toaster"),
            (["models", "inspect"], "usage"),
            (["models", "inspect", "a", "b"], "usage"),
        ):
            done = self.snug(*words)
            self.assertEqual(done.returncode, 2, (words, done.stderr))
            self.assertIn(part, done.stdout + done.stderr)

    def test_values_outside_their_range_name_it(self):
        self.refused(2, "--steps", "1000", steps=1001)
        self.refused(2, "--steps", steps=0)
        self.refused(2, "--steps", steps="4x")
        self.refused(2, "--frames", frames=0)
        self.refused(2, "--guidance", guidance="nan")
        self.refused(2, "--boundary", boundary=1.5)
        self.refused(2, "--seed", seed="one")
        self.refused(2, "--seed", seed="99999999999999999999")
        self.refused(2, "--size", size="32")
        self.refused(2, "--size", size="32x")
        self.refused(2, "--size", size="-32x32")

    def test_sizes_and_frames_off_the_grid_name_the_nearest(self):
        self.refused(2, "32x32", "the nearest is 64x32", size="50x33")
        self.refused(2, "the nearest is 32x32", size="8x8")
        self.refused(2, "4n + 1", "5 and 9", frames=7)
        self.refused(2, "1 and 5", frames=4)
        self.run_ok(size="64x32", frames=5)
        self.assertEqual(read_npy(self.output)[0], (5, 32, 64, 3))

    def test_unknown_scheduler_lists_the_known(self):
        self.refused(2, "euler", "unipc", scheduler="heun9")

    def test_pictures_and_pipelines_that_do_not_go_together(self):
        image = os.path.join(GOLDEN, "ti2v_image", "image.png")
        text_model = os.path.join(GOLDEN, "t2v", "model")
        self.refused(2, "Wan2.1 T2V (text to video)", "--image", model=text_model, image=image)
        done = self.snug("run", "wan-i2v", *self.words(model=os.path.join(GOLDEN, "i2v", "model"))[2:])
        self.assert_refusal(done, 2, "--image")
        done = self.snug("run", "wan-t2v", *self.words(model=os.path.join(GOLDEN, "i2v", "model"))[2:])
        self.assert_refusal(done, 2, "wan-i2v")

    def test_plan_takes_the_same_words_and_runs_nothing(self):
        done = self.snug(*self.words("plan"), "--output", self.output)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("denoise", done.stdout)
        plan = json.loads(self.snug(*self.words("plan"), "--json").stdout)
        self.assertEqual([s["name"] for s in plan["stages"]], ["text encoder", "denoise", "vae decode"])
        self.assertLessEqual(plan["process_peak_bytes"], plan["budget_bytes"])
        self.assertEqual(os.listdir(self.path("out")), [])


class Settings(Case):
    def threads(self, *words, env=None):
        self.run_ok("--report", self.path("r.json"), *words, env=env)
        with open(self.path("r.json"), encoding="utf-8") as f:
            return json.load(f)["threads"]

    def test_flag_over_environment_over_file(self):
        os.mkdir(self.path(".config"))
        os.mkdir(self.path(".config/snug"))
        with open(self.path(".config/snug/config"), "w", encoding="utf-8") as f:
            f.write("# a comment\n\n  threads = 3  \nwords_of_others = 1\n")
        self.assertEqual(self.threads(), 3)
        self.assertEqual(self.threads(env={"SNUG_THREADS": "2"}), 2)
        self.assertEqual(self.threads("--threads", "1", env={"SNUG_THREADS": "2"}), 1)
        self.assertEqual(self.threads("--threads=1"), 1)
        with open(self.path("other"), "w", encoding="utf-8") as f:
            f.write("threads=4\n")
        self.assertEqual(self.threads(env={"SNUG_CONFIG": self.path("other")}), 4)

    def test_job_options_come_from_the_environment_too(self):
        self.run_ok(steps=None, env={"SNUG_STEPS": "1", "SNUG_GUIDANCE_LOW": "3", "SNUG_ELSEWHERE": "x"})
        done = self.snug(*self.words(steps=None), env={"SNUG_STEPS": "many"})
        self.assertEqual(done.returncode, 2)
        self.assertIn("environment", done.stderr)

    def test_a_bad_file_is_named_with_its_line(self):
        with open(self.path("bad"), "w", encoding="utf-8") as f:
            f.write("ram = 1GiB\nthreads\n")
        done = self.snug(*self.words(), env={"SNUG_CONFIG": self.path("bad")})
        self.assert_refusal(done, 2, "bad:2")
        done = self.snug(*self.words(), env={"SNUG_CONFIG": self.path("none")})
        self.assert_refusal(done, 2, "none")


class BadModel(Case):
    """Exit code 4: the file is named, and what is wrong with it."""

    def broken(self, *parts, model=None, code=4, **changes):
        return self.refused(code, *parts, model=model or self.path("model"), **changes)

    def damage(self, change, file=TRANSFORMER, kind="ti2v"):
        path = os.path.join(self.model(kind), file)
        header, data = read_tensors(path)
        header, data = change(header, data) or (header, data)
        write_tensors(path, header, data)
        return path

    def test_folders(self):
        self.refused(4, "nowhere", model=self.path("nowhere"))
        os.mkdir(self.path("empty"))
        self.broken("empty", model=self.path("empty"))
        self.broken(model=os.path.join(GOLDEN, "ti2v", "noise.npy"))

    def test_another_pipeline_or_class(self):
        self.edit_json(self.model() + "/model_index.json", transformer=["diffusers", "FluxTransformer2DModel"])
        self.broken("FluxTransformer2DModel", "WanTransformer3DModel")
        self.edit_json(self.model() + "/model_index.json", _class_name="StableDiffusionPipeline")
        done = self.snug(*self.words(model=self.path("model")))
        self.assertIn(done.returncode, (0, 4))  # the components decide
        self.edit_json(self.model() + "/model_index.json", vae=KeyError)
        shutil.rmtree(self.path("model/vae"))
        os.remove(self.output) if os.path.exists(self.output) else None
        self.broken("no vae")

    def test_missing_files(self):
        for name in ("transformer", "vae", "text_encoder", "tokenizer", "scheduler"):
            shutil.rmtree(os.path.join(self.model(), name))
            self.broken(name)
        for name in (TRANSFORMER, VAE, "transformer/config.json", "tokenizer/tokenizer.json"):
            os.remove(os.path.join(self.model(), name))
            self.broken(name.split("/")[0])
        with open(self.model() + "/model_index.json", "w", encoding="utf-8") as f:
            f.write('{"_class_name": ')
        self.broken("model_index.json")

    def test_configurations(self):
        for key, value in (
            ("num_layers", "two"),
            ("num_layers", -1),
            ("num_layers", 10**12),
            ("num_layers", 3000),
            ("attention_head_dim", 0),
            ("num_attention_heads", 1.5),
            ("patch_size", [1, 2]),
            ("patch_size", [0, 0, 0]),
            ("in_channels", None),
            ("ffn_dim", 7),
        ):
            self.edit_json(self.model() + "/transformer/config.json", **{key: value})
            self.broken("transformer")
        for key, value in (
            ("z_dim", 0),
            ("z_dim", "16"),
            ("base_dim", 1 << 40),
            ("dim_mult", []),
            ("latents_mean", [0.0]),
            ("latents_std", [0.0] * 100),
            ("temperal_downsample", [1, 2, 3]),
        ):
            self.edit_json(self.model() + "/vae/config.json", **{key: value})
            self.broken("vae")
        for key, value in (("num_heads", 0), ("d_model", "x"), ("num_layers", 99), ("vocab_size", 1)):
            self.edit_json(self.model() + "/text_encoder/config.json", **{key: value})
            self.broken("text_encoder")
        self.edit_json(self.model() + "/scheduler/scheduler_config.json", num_train_timesteps="many")
        self.broken("scheduler")

    def test_scheduler_unknown_to_snug_can_be_replaced_by_a_flag(self):
        self.edit_json(self.model() + "/scheduler/scheduler_config.json", _class_name="MagicScheduler")
        self.broken("MagicScheduler")
        self.run_ok(model=self.path("model"), scheduler="euler")

    def test_truncated_and_padded_weights(self):
        for file in (TRANSFORMER, VAE, "text_encoder/model.safetensors"):
            path = os.path.join(self.model(), file)
            whole = os.path.getsize(path)
            for size in (0, 4, 8, 100, whole // 2, whole - 1):
                shutil.copy(os.path.join(GOLDEN, "ti2v/model", file), path)
                os.truncate(path, size)
                self.broken(file)
            shutil.copy(os.path.join(GOLDEN, "ti2v/model", file), path)
            with open(path, "ab") as f:
                f.write(b"\0" * 7)
            self.broken(file)

    def test_headers_that_lie(self):
        def huge_header(path):
            with open(path, "r+b") as f:
                f.write(struct.pack("<Q", 1 << 60))

        huge_header(os.path.join(self.model(), TRANSFORMER))
        self.broken(TRANSFORMER)

        def change(function):
            def edit(header, data):
                names = sorted((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"])
                function(header, names)

            return edit

        def overlap(header, names):
            begin, end = header[names[1]]["data_offsets"]
            header[names[1]]["data_offsets"] = [begin - 4, end - 4]

        def oversized(header, names):
            header[names[0]]["shape"] = [1 << 40, 1 << 40]

        def past_the_end(header, names):
            begin, end = header[names[-1]]["data_offsets"]
            header[names[-1]]["data_offsets"] = [begin + (1 << 30), end + (1 << 30)]

        def backwards(header, names):
            header[names[0]]["data_offsets"] = header[names[0]]["data_offsets"][::-1]

        def negative(header, names):
            header[names[0]]["data_offsets"] = [-8, 8]

        def no_dtype(header, names):
            header[names[0]]["dtype"] = "F33"

        for edit in (overlap, oversized, past_the_end, backwards, negative, no_dtype):
            self.damage(change(edit))
            self.broken("transformer")

    def test_tensors_missing_misshaped_or_of_another_type(self):
        def drop(header, data):
            del header["blocks.0.attn1.to_q.weight"]

        self.damage(drop)
        done = self.broken("transformer")
        self.assertRegex(done.stderr, "hole|blocks.0.attn1.to_q.weight")

        def rename(header, data):
            header["blocks.0.attn1.to_k.wait"] = header.pop("blocks.0.attn1.to_k.weight")

        self.damage(rename)
        self.broken("missing blocks.0.attn1.to_k.weight")

        def reshape(header, data):
            t = header["blocks.0.ffn.net.0.proj.weight"]
            t["shape"] = t["shape"][::-1]

        self.damage(reshape)
        self.broken("blocks.0.ffn.net.0.proj.weight", "the network needs")

        def retype(header, data):
            header["blocks.0.attn1.to_q.weight"]["dtype"] = "I32"

        self.damage(retype)
        self.broken("blocks.0.attn1.to_q.weight", "I32")

    def test_values_that_are_no_numbers(self):
        def poison(name, value):
            def edit(header, data):
                at = header[name]["data_offsets"][1] - 4
                data[at : at + 4] = struct.pack("<f", value)

            return edit

        for value in (float("nan"), float("inf")):
            self.damage(poison("blocks.0.attn1.to_q.weight", value))
            self.broken("blocks.0.attn1.to_q.weight", "NaN or infinity")
        self.damage(poison("decoder.conv_out.bias", float("nan")), VAE)
        self.broken("decoder.conv_out.bias", "NaN")

    def test_weights_that_overflow_are_a_failed_run(self):
        """Infinity after the first layer, NaN after the first norm."""

        def blow_up(header, data):
            begin, end = header["decoder.conv_in.weight"]["data_offsets"]
            data[begin:end] = struct.pack("<f", 3e38) * ((end - begin) // 4)

        self.damage(blow_up, VAE)
        self.broken("NaN", code=1)

    def test_extra_tensors_are_a_warning(self):
        def add(header, data):
            header["extra.weight"] = {"dtype": "F32", "shape": [2], "data_offsets": [len(data), len(data) + 8]}
            data += b"\0" * 8

        self.damage(add)
        done = self.run_ok(model=self.path("model"))
        self.assertIn("warning: ", done.stderr)
        self.assertIn("extra.weight", done.stderr)

    def test_shards(self):
        folder = os.path.join(self.model(), "transformer")
        header, data = read_tensors(os.path.join(self.path("model"), TRANSFORMER))
        os.remove(os.path.join(self.path("model"), TRANSFORMER))
        names = [n for n in header if n != "__metadata__"]
        where = {}
        for i, part in enumerate((names[::2], names[1::2])):
            file, at, to = f"diffusion_pytorch_model-0000{i + 1}-of-00002.safetensors", bytearray(), {}
            for name in part:
                begin, end = header[name]["data_offsets"]
                to[name] = dict(header[name], data_offsets=[len(at), len(at) + end - begin])
                at += data[begin:end]
                where[name] = file
            write_tensors(os.path.join(folder, file), to, at)
        index = os.path.join(folder, "diffusion_pytorch_model.safetensors.index.json")
        with open(index, "w", encoding="utf-8") as f:
            json.dump({"metadata": {"total_size": len(data)}, "weight_map": where}, f)
        self.run_ok(model=self.path("model"))
        whole = read_npy(self.output)
        self.run_ok()
        self.assertEqual(whole, read_npy(self.output))
        os.remove(self.output)
        os.rename(os.path.join(folder, file), os.path.join(folder, "elsewhere"))
        self.broken(file)
        self.edit_json(index, weight_map=dict(where, **{names[0]: "../../../etc/passwd"}))
        self.broken("transformer")

    def test_stand_ins_for_weights(self):
        for text, word in (
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "LFS"),
            (b"<!DOCTYPE html><html>sign in</html>", "HTML"),
            (b"", "empty"),
        ):
            with open(os.path.join(self.model(), VAE), "wb") as f:
                f.write(text)
            self.broken(word)


class BadInput(Case):
    def test_pictures(self):
        for name, data in (
            ("empty.png", b""),
            ("text.png", b"no picture at all"),
            ("cut.png", open(os.path.join(GOLDEN, "ti2v_image/image.png"), "rb").read()[:200]),
        ):
            with open(self.path(name), "wb") as f:
                f.write(data)
            self.refused(4, name, image=self.path(name))
        self.refused(4, "none.png", image=self.path("none.png"))
        self.refused(4, image=self.dir)

    def test_a_picture_that_claims_to_be_huge(self):
        ihdr = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        crc = struct.pack(">I", __import__("zlib").crc32(ihdr))
        with open(self.path("huge.png"), "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + crc + b"\0\0\0\0IDAT")
        begin = time.monotonic()
        self.refused(4, "huge.png", image=self.path("huge.png"))
        self.assertLess(time.monotonic() - begin, 5)

    def test_noise(self):
        noise = self.path("noise.npy")
        z = read_npy(os.path.join(GOLDEN, "ti2v/noise.npy"))[0][0]
        n = z * 4
        good = array.array("f", [0.25] * n).tobytes()
        write_npy(noise, (z, 1, 2, 2), good)
        self.run_ok(noise=noise)
        os.remove(self.output)
        for shape, values, descr, part in (
            ((z, 1, 4, 1), good, "<f4", "noise must be"),
            ((n,), good, "<f4", "noise must be"),
            ((z, 1, 2, 2), good[:-4], "<f4", "noise.npy"),
            ((z, 1, 2, 2), good + b"1234", "<f4", "noise.npy"),
            ((z, 1, 2, 2), good, "|O", "noise.npy"),
            ((z, 1, 2, 2), struct.pack("<f", float("nan")) * n, "<f4", "NaN"),
            ((1 << 31, 1 << 31, 1 << 31), good, "<f4", "noise.npy"),
        ):
            write_npy(noise, shape, values, descr)
            self.refused(4, part, noise=noise)
        self.refused(4, "none.npy", noise=self.path("none.npy"))

    def test_prompts(self):
        self.refused(2, "prompt", "UTF-8", prompt=b"\xff\xfe broken".decode("utf-8", "surrogateescape"))
        for prompt in ("", " ", "word " * 2000, "红色的球 " * 50, "\u202e\u0000".replace("\0", "") + "a\nb\tc", "💃🏽" * 30):
            self.run_ok(prompt=prompt)


class Output(Case):
    def test_latents_and_taps(self):
        self.run_ok(save_latents=self.path("l.npy"), taps=self.path("taps"), frames=5)
        self.assertEqual(read_npy(self.path("l.npy"))[0][1:], (2, 2, 2))
        names = os.listdir(self.path("taps"))
        self.assertGreater(len(names), 10)
        for name in names:
            read_npy(self.path("taps/" + name))
        plain = self.path("out/plain.npy")
        self.run_ok(output=plain, frames=5)
        self.assertEqual(read_npy(plain), read_npy(self.output))

    def test_places_that_cannot_be_written(self):
        self.refused(1, "none", output=self.path("none/x.npy"))
        os.mkdir(self.path("folder.npy"))
        self.refused(1, "folder.npy", save_latents=self.path("folder.npy"))
        self.refused(1, "none", save_latents=self.path("none/l.npy"))
        self.refused(1, "none", taps=self.path("none/taps"))
        self.refused(1, "none", report=self.path("none/r.json"))

    def test_every_kind_of_file(self):
        for suffix, magic in (("gif", b"GIF8"), ("png", b"\x89PNG"), ("mp4", b"ftyp"), ("webm", b"\x1aE\xdf\xa3")):
            self.run_ok(output=self.path("out/x." + suffix), frames=5)
            with open(self.path("out/x." + suffix), "rb") as f:
                self.assertIn(magic, f.read(16))
        self.run_ok(output=self.path("frames/"), frames=5)
        self.assertEqual(len([n for n in os.listdir(self.path("frames")) if n.endswith(".png")]), 5)
        self.assertEqual(self.snug(*self.words(output=self.path("frames/"))).returncode, 1)  # not over older frames

    def test_a_sound_track_is_merged(self):
        sound, text = self.path("sound.wav"), self.path("text.wav")
        with wave.open(sound, "wb") as f:
            f.setnchannels(1)
            f.setsampwidth(2)
            f.setframerate(16000)
            f.writeframes(b"".join(struct.pack("<h", (i * 400) % 20000) for i in range(16000)))
        with open(text, "w", encoding="utf-8") as f:
            f.write("no sound")
        self.refused(2, "--audio", ".mp4 and .webm", audio=sound)
        self.refused(2, "--audio needs an --output", audio=sound, output=None)
        self.refused(4, "--audio", "none.wav", audio=self.path("none.wav"), output=self.path("out/y.mp4"))
        self.refused(4, "--audio", "text.wav", audio=text, output=self.path("out/y.mp4"))
        for suffix, codec in (("mp4", b"mp4a"), ("webm", b"A_OPUS")):
            self.run_ok(output=self.path("out/x." + suffix), audio=sound, frames=5)
            with open(self.path("out/x." + suffix), "rb") as f:
                self.assertIn(codec, f.read())

    def test_compute_types_are_told(self):
        self.refused(2, "--dtype", "auto, f32, bf16, int8, f16", dtype="int4")
        self.refused(2, "--dtype f16", "the cpu device computes in f32, bf16 and int8", "GPU", dtype="f16")
        for name in ("auto", "f32", "int8"):
            self.assertNotIn("--dtype", self.run_ok(dtype=name).stderr)
        self.assertEqual(self.run_ok(dtype="bf16", isa="ref").stderr.count("slower than f32 here"), 1)
        done = self.snug(*self.words(dtype="bf16", isa="avx512bf16"))
        if done.returncode == 0:
            self.assertNotIn("slower", done.stderr)
        else:
            self.assertIn("cannot run avx512bf16 kernels", done.stderr)

    def test_another_arithmetic_is_named_in_the_result(self):
        for suffix in ("mp4", "webm"):
            path = self.path("out/x." + suffix)
            for name in ("int8", "bf16"):
                self.run_ok(output=path, frames=5, dtype=name)
                with open(path, "rb") as f:
                    self.assertIn(b"large transformer layers in " + name.encode(), f.read())
        path, model = self.path("out/both.mp4"), os.path.join(GOLDEN, "step_cache", "model")
        self.run_ok(output=path, frames=5, steps=8, model=model, step_cache="teacache", dtype="int8")
        with open(path, "rb") as f:
            self.assertRegex(f.read(), rb"step cache: teacache:0.6 .* of 8 steps skipped: 6.*; large transformer layers in int8")

    def test_unknown_suffix(self):
        self.refused(2, "x.mov", output=self.path("out/x.mov"))

    def test_an_older_file_survives_a_failure(self):
        with open(self.output, "w", encoding="utf-8") as f:
            f.write("older")
        self.assertEqual(self.snug(*self.words(save_latents=self.path("none/l.npy"))).returncode, 1)
        with open(self.output, encoding="utf-8") as f:
            self.assertEqual(f.read(), "older")
        self.assertEqual(os.listdir(self.path("out")), ["frames.npy"])

    def test_a_full_disk_is_a_failed_run_and_leaves_nothing(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

        done = self.snug(*self.words(size="64x64"), preexec_fn=limit)
        self.assert_refusal(done, 1, "frames.npy")

    def test_interrupt_ends_with_130_and_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                [SNUG, *map(str, self.words(size="256x256", frames=17, steps=200)), "--events"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(self.dir),
            )
            for line in process.stdout:
                if json.loads(line)["step"] >= 2:
                    break
            begin = time.monotonic()
            process.send_signal(number)
            _, error = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 130, error)
            self.assertIn("cancelled", error)
            self.assertLess(time.monotonic() - begin, 20)
            self.assertEqual(os.listdir(self.path("out")), [])

    def test_quiet_says_nothing(self):
        done = self.run_ok("--quiet")
        self.assertEqual((done.stdout, done.stderr), ("", ""))

    def test_events_are_lines_of_json(self):
        done = self.run_ok("--events", steps=3)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([e["stage"] for e in events if e["event"] == "stage"], ["text encoder", "denoise", "vae decode"])
        self.assertEqual([e["step"] for e in events if e["step"] and e["event"] == "progress"][:3], [1, 2, 3])
        self.assertEqual((events[-1]["event"], events[-1]["fraction"]), ("done", 1.0))
        self.assertEqual([e["text"] for e in events if e["event"] == "output"], [self.output])
        fractions = [e["fraction"] for e in events]
        self.assertEqual(fractions, sorted(fractions))
        self.assertEqual(done.stderr, "")

    def test_a_reader_that_goes_away_is_no_crash(self):
        process = subprocess.Popen(
            [SNUG, *map(str, self.words(steps=50)), "--events"], stdout=subprocess.PIPE, env=environment(self.dir)
        )
        process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=120)
        self.assertEqual([n for n in os.listdir(self.path("out")) if n != "frames.npy"], [])


class Budget(Case):
    """--ram is hard, and what the refusal names really does."""

    def digest(self):
        with open(self.output, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def least(self, **changes):
        begin = time.monotonic()
        done = self.refused(3, "does not fit --ram 1MiB", more=("--ram", "1MiB"), **changes)
        self.assertLess(time.monotonic() - begin, 10)
        return int(re.search(r"smallest budget that would do is (\d+)MiB", done.stderr).group(1))

    def measure(self, ram, *more, **changes):
        self.run_ok("--ram", f"{ram}MiB", "--report", self.path("r.json"), *more, **changes)
        with open(self.path("r.json"), encoding="utf-8") as f:
            report = json.load(f)
        plan, measured = report["plan"], report["measured"]
        self.assertEqual(plan["budget_bytes"], ram * MIB)
        self.assertEqual(measured["slab_peak_bytes"], plan["slab_bytes"])
        self.assertEqual(measured["moved_bytes"], plan["moved_bytes"])
        self.assertLessEqual(plan["process_peak_bytes"], ram * MIB)
        if not SANITIZED:
            self.assertLessEqual(measured["process_peak_bytes"], plan["process_peak_bytes"])
        return self.digest(), plan

    def test_the_smallest_budget_named_does_and_the_bytes_are_the_same(self):
        large = dict(size="256x256", frames=9, steps=2, guidance=4, prompt="a blue square falls")
        least = self.least(**large)
        digests, slabs = set(), []
        for ram in (least, least + 12, 2048):
            for threads in (1, 2):
                digest, plan = self.measure(ram, "--threads", threads, **large)
                digests.add(digest)
                slabs.append(plan["slab_bytes"])
        self.assertEqual(len(digests), 1)
        for small, ample in zip(slabs[:2], slabs[-2:]):  # as many threads: their workspaces count, too
            self.assertLessEqual(small, ample)

    def test_a_refusal_reads_no_weights(self):
        """A file with holes instead of weights is refused for the budget, not for what it holds."""
        path = os.path.join(self.model(), TRANSFORMER)
        header, data = read_tensors(path)
        write_tensors(path, header, bytes(b"\xff" * len(data)))  # NaN everywhere
        self.refused(3, "smallest budget", model=self.path("model"), more=("--ram", "2MiB"))
        self.refused(4, "NaN", model=self.path("model"))


class Inspect(Case):
    def test_folder_file_and_json(self):
        model = os.path.join(GOLDEN, "t2v_experts", "model")
        done = self.snug("models", "inspect", model)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("transformer_2", done.stdout)
        json.loads(self.snug("models", "inspect", model, "--json", "--tensors").stdout)
        done = self.snug("models", "inspect", os.path.join(model, VAE), "--tensors")
        self.assertIn("decoder.conv_in.weight", done.stdout)
        self.assertEqual(self.snug("models", "inspect", self.path("none")).returncode, 4)


class Convert(Case):
    def test_forms_are_written_and_verified(self):
        source = os.path.join(GOLDEN, "t2v", "model", "transformer")
        for form, name in [("nf4", "x.safetensors"), ("q8_0", "x.gguf"), ("bf16", "x.safetensors")]:
            to = self.path(name)
            done = self.snug("convert", source, to, "--to", form, "--json", "--threads", 1)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["output"], to)
            done = self.snug("models", "verify", to, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(json.loads(done.stdout)["tensors"], 10)

    def test_a_converted_transformer_runs(self):
        model = self.model("t2v")
        source = os.path.join(GOLDEN, "t2v", "model", "transformer")
        to = os.path.join(model, "transformer", "diffusion_pytorch_model.safetensors")
        self.assertEqual(self.snug("convert", source, to, "--to", "nf4").returncode, 0)
        self.assertIn("NF4", self.snug("models", "inspect", to).stdout)
        words = ["run", "wan-t2v", "--model", model, "--prompt", "x", "--size", "32x32"]
        done = self.snug(*words, "--frames", 1, "--steps", 1, "--output", self.output)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_quantised_weights_take_a_lora_as_their_values_do(self):
        source = os.path.join(GOLDEN, "t2v", "model", "transformer")
        lora = os.path.join(TESTS, "golden", "lora", "peft.safetensors")
        seen = []
        for chain in (["nf4"], ["nf4", "f32"], ["int8"], ["int8", "f32"]):
            model, part = self.model("t2v"), source
            for i, form in enumerate(chain):
                to = self.path(f"step{i}.safetensors")
                self.assertEqual(self.snug("convert", part, to, "--to", form, "--all").returncode, 0)
                part = to
            shutil.copy(part, os.path.join(model, "transformer", "diffusion_pytorch_model.safetensors"))
            words = ["run", "wan-t2v", "--model", model, "--prompt", "x", "--size", "32x32", "--lora", lora + ":0.8"]
            done = self.snug(*words, "--frames", 5, "--steps", 2, "--output", self.output)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(self.output, "rb") as f:
                seen.append(f.read())
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[2], seen[3])
        self.assertNotEqual(seen[0], seen[2])

    def test_usage_and_bad_input(self):
        self.assertEqual(self.snug("convert", "--help").returncode, 0)
        self.assertEqual(self.snug("convert").returncode, 2)
        self.assertEqual(self.snug("convert", "a", "b.gguf", "--to", "q8_0", "--depth", "3").returncode, 2)
        self.assertEqual(self.snug("convert", "a", "b.gguf", "c", "--to", "q8_0").returncode, 2)
        self.assertEqual(self.snug("convert", self.path("none"), self.path("b.gguf"), "--to", "q8_0").returncode, 4)
        self.assertEqual(self.snug("models", "verify", self.path("none")).returncode, 4)
        self.assertEqual(os.listdir(self.path("out")), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
