"""snug run ad as users meet it: job files, precedence, bad input. Tiny random networks. Standard library only.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/ad.py [TestClass[.test]]
"""

import array
import base64
import json
import os
import random
import shutil
import struct
import tempfile
import unittest
import zlib

from cli import TESTS, Case
from images import texts, write_png

GOLDEN = os.path.join(TESTS, "golden")
PRODUCT = os.path.join(GOLDEN, "flux_pipelines", "dev", "picture.png")
SMALL = {
    "bg_prompt": "a beach",
    "text_content": "SALE",
    "text_size": 30,
    "size": "192x192",
    "cutout_size": 64,
    "bg_steps": 2,
    "product_steps": 3,
    "text_steps": 2,
    "composition_steps": 4,
    "seed": 7,
}


def write_birefnet(folder):
    """The tensors of the golden network, random values; too large to be kept as a file."""
    header, data = {}, bytearray()
    rng = random.Random(3)
    tile = [rng.uniform(-1, 1) for _ in range(4099)]
    with open(os.path.join(GOLDEN, "birefnet", "tensors.txt"), encoding="ascii") as lines:
        for name, mean, width, *shape in (line.split() for line in lines):
            n = 1
            for size in shape:
                n *= int(size)
            values = array.array("f", (float(mean) + float(width) * v for v in tile))
            begin = len(data)
            data += (values.tobytes() * (n // len(tile) + 1))[: 4 * n]
            header[name] = {"dtype": "F32", "shape": [int(s) for s in shape], "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    with open(os.path.join(folder, "config.json"), "w", encoding="ascii") as f:
        f.write("{}")


def coded(path):
    with open(path, "rb") as f:
        return base64.b64encode(f.read()).decode()


class Ads(Case):
    @classmethod
    def setUpClass(cls):
        cls.birefnet = tempfile.mkdtemp(prefix="snug-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.birefnet)
        write_birefnet(cls.birefnet)

    def models(self):
        return {
            "flux": os.path.join(GOLDEN, "flux_pipelines", "dev"),
            "sdxl": os.path.join(GOLDEN, "sdxl_pipelines", "control"),
            "controlnet": os.path.join(GOLDEN, "sdxl_pipelines", "control", "controlnet"),
            "birefnet": self.birefnet,
            "font": os.path.join(GOLDEN, "fonts", "latin.ttf"),
        }

    def job(self, drop=(), **fields):
        """A job file of the tiny request, changed."""
        job = dict(self.models(), **SMALL, input_image=PRODUCT)
        job.update(fields)
        for name in drop:
            del job[name]
        path = self.path("job.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(job, f)
        return path

    def run_job(self, path, *words, output="a.png", env=None):
        words = ("run", "ad", "--job", path, "--quiet", "--output", self.path(output), *words)
        return self.snug(*words, env=env)

    def pixels(self, name):
        with open(self.path(name), "rb") as f:
            data = f.read()
        at, out = 8, b""
        while at < len(data):
            size = struct.unpack(">I", data[at : at + 4])[0]
            if data[at + 4 : at + 8] == b"IDAT":
                out += data[at + 8 : at + 8 + size]
            at += 12 + size
        return zlib.decompress(out)


class Jobs(Ads):
    def test_flags_and_fields_make_the_same_job(self):
        done = self.run_job(self.job())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        words = []
        for name, value in dict(self.models(), **SMALL, input_image=PRODUCT).items():
            words += ["--" + name.replace("_", "-"), value]
        done = self.snug("run", "ad", *words, "--quiet", "--output", self.path("b.png"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.pixels("a.png"), self.pixels("b.png"))
        self.assertEqual(texts(self.path("a.png"))[b"parameters"], texts(self.path("b.png"))[b"parameters"])

    def test_pictures_inside_the_file(self):
        self.assertEqual(self.run_job(self.job()).returncode, 0)
        for value in (coded(PRODUCT), "data:image/png;base64," + coded(PRODUCT)):
            done = self.run_job(self.job(input_image=value), output="b.png")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(self.pixels("a.png"), self.pixels("b.png"))
        self.assertIn(b"inline:sha256=", texts(self.path("b.png"))[b"snug"])
        done = self.snug("run", "--from-image", self.path("b.png"), "--output", self.path("c.png"))
        self.assertEqual(done.returncode, 4)
        self.assertIn("give it again", done.stderr)

    def test_flags_count_over_fields_over_environment(self):
        path = self.job()
        self.assertEqual(self.run_job(path, "--seed", 8).returncode, 0)
        self.assertEqual(self.run_job(self.job(seed=8), output="b.png").returncode, 0)
        self.assertEqual(self.pixels("a.png"), self.pixels("b.png"))
        done = self.run_job(self.job(seed=8), output="c.png", env={"SNUG_SEED": "9"})
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.pixels("a.png"), self.pixels("c.png"))

    def test_a_drawn_seed_is_told_and_repeats(self):
        for null in (self.job(seed=None), self.job(drop=["seed"])):
            self.assertEqual(self.run_job(null).returncode, 0)
            seed = json.loads(texts(self.path("a.png"))[b"snug"])["options"]["seed"]
            self.assertIn(b"Seed: %s," % seed.encode(), texts(self.path("a.png"))[b"parameters"])
            self.assertEqual(self.run_job(null, "--seed", seed, output="b.png").returncode, 0)
            self.assertEqual(self.pixels("a.png"), self.pixels("b.png"))


class Results(Ads):
    def result(self):
        with open(self.path("r.json"), encoding="utf-8") as f:
            return json.load(f)

    def test_what_became_of_it(self):
        words = ("run", "ad", "--quiet", "--demo", "--demo-tick-ms", 0, "--size", "64x64", "--result", self.path("r.json"))
        done = self.snug(*words, "--output", self.path("a.png"))
        self.assertEqual(done.returncode, 0, done.stderr)
        got = self.result()
        self.assertEqual((got["status"], got["degraded"], got["exit_code"]), ("completed", False, 0))
        self.assertEqual(got["final_result"], self.path("a.png"))
        self.assertEqual(str(got["seed"]), got["parameters"]["options"]["seed"])
        self.assertEqual(self.snug(*words, "--ram", "1MiB").returncode, 3)
        self.assertEqual((self.result()["status"], self.result()["exit_code"]), ("failed", 3))
        self.assertIn("smallest budget", self.result()["message"])

    def test_composite_model(self):
        fill = os.path.join(GOLDEN, "flux_pipelines", "fill")
        self.assertEqual(self.run_job(self.job()).returncode, 0)
        self.assertEqual(self.run_job(self.job(fill=fill, composite_model="dev"), output="b.png").returncode, 0)
        self.assertEqual(self.run_job(self.job(fill=fill, composite_model="fill"), output="c.png").returncode, 0)
        self.assertEqual(self.pixels("a.png"), self.pixels("b.png"))
        self.assertNotEqual(self.pixels("a.png"), self.pixels("c.png"))
        self.assertEqual(self.run_job(self.job(composite_model="fill")).returncode, 2)

    def test_weights_by_default_of_environment_and_file(self):
        def read(*words, env=None, **fields):
            done = self.snug("plan", "ad", "--json", "--job", self.job(**fields), *words, env=env)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)["moved_bytes"]

        on, off = read("--auto-unload"), read("--auto-unload=off")
        self.assertGreater(on, off)
        self.assertEqual(read(), on)
        self.assertEqual(read(env={"AUTO_UNLOAD_DEFAULT": "false"}), off)
        self.assertEqual(read("--auto-unload", env={"AUTO_UNLOAD_DEFAULT": "false"}), on)
        with open(self.path("config"), "w", encoding="ascii") as f:
            f.write("AUTO_UNLOAD_DEFAULT = false\n")
        env = {"SNUG_CONFIG": self.path("config")}
        self.assertEqual(read(env=env), off)
        self.assertEqual(read(env=dict(env, AUTO_UNLOAD_DEFAULT="true")), on)
        self.assertEqual(read(env=env, auto_unload=True), on)
        self.assertEqual(read("--auto-unload=off", env=env, auto_unload=True), off)


class Demo(Ads):
    """A job without models: what stands around it can be tested."""

    def demo(self, *words, **fields):
        with open(self.path("demo.json"), "w", encoding="ascii") as f:
            json.dump(dict(fields, demo_tick_ms=0, size="96x96"), f)
        words = ("--job", self.path("demo.json"), "--output", self.path("a.png"), *words)
        return self.snug("run", "ad", *words)

    def test_it_says_what_it_is(self):
        os.mkdir(self.path("steps"))
        done = self.demo("--steps-folder", self.path("steps"), "--quiet", text_content="SALE", test_mode=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(texts(self.path("a.png"))[b"parameters"].startswith(b"DUMMY: no model"))
        self.assertEqual(sorted(os.listdir(self.path("steps"))), ["step1_result.png", "step2_result.png"])
        rows = self.pixels("a.png")
        self.assertEqual(len(rows), 96 * (1 + 3 * 96))

    def test_ticks_by_step(self):
        done = self.demo("--events", text_content="SALE", demo=True)
        steps = [json.loads(line) for line in done.stdout.splitlines()]
        counts = {}
        for e in steps:
            if e["event"] == "progress" and e["step"]:
                counts[e["stage"]] = max(counts.get(e["stage"], 0), e["step"])
        self.assertEqual(counts, {"dummy step 1": 20, "dummy step 2": 8, "dummy step 3": 5})
        done = self.demo("--events", text_content="  ", demo=True)
        self.assertNotIn("dummy step 2", done.stdout)


class Substitute(Ads):
    def test_a_failure_in_step_3_is_told(self):
        """A Fill transformer that holds NaN: only step 3 reads it."""
        fill = self.path("fill")
        shutil.copytree(os.path.join(GOLDEN, "flux_pipelines", "fill"), fill)
        self.assertEqual(self.run_job(self.job(fill=fill)).returncode, 0)
        folder = os.path.join(fill, "transformer")
        name = next(n for n in os.listdir(folder) if n.endswith(".safetensors"))
        with open(os.path.join(folder, name), "r+b") as f:
            f.seek(-4, os.SEEK_END)
            f.write(struct.pack("<f", float("nan")))
        os.mkdir(self.path("steps"))
        words = ("--job", self.job(fill=fill), "--output", self.path("b.png"), "--steps-folder", self.path("steps"))
        done = self.snug("run", "ad", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("warning: degraded: stage ", done.stderr)
        self.assertIn(b"Degraded: ", texts(self.path("b.png"))[b"parameters"])
        self.assertNotIn(b"Degraded", texts(self.path("a.png"))[b"parameters"])
        self.assertNotEqual(self.pixels("a.png"), self.pixels("b.png"))

    def test_a_failure_before_is_one(self):
        flux = self.path("flux")
        shutil.copytree(os.path.join(GOLDEN, "flux_pipelines", "dev"), flux)
        folder = os.path.join(flux, "transformer")
        name = next(n for n in os.listdir(folder) if n.endswith(".safetensors"))
        with open(os.path.join(folder, name), "r+b") as f:
            f.seek(-4, os.SEEK_END)
            f.write(struct.pack("<f", float("nan")))
        done = self.run_job(self.job(flux=flux))
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("NaN", done.stderr)
        self.assertFalse(os.path.exists(self.path("a.png")))


class Fonts(Ads):
    def test_a_list_with_scripts(self):
        folder = os.path.join(GOLDEN, "fonts")
        done = self.snug("fonts", folder, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        scripts = {os.path.basename(row["path"]): row["scripts"] for row in json.loads(done.stdout)}
        self.assertEqual(sorted(scripts), ["hangul.ttf", "latin.otf", "latin.ttf", "variable.ttf"])
        self.assertIn("hangul.ttf", self.snug("fonts", folder).stdout)
        self.assertIn("no fonts found", self.snug("fonts", self.dir).stdout)

    def test_names_defaults_and_refusals(self):
        folder = os.path.join(GOLDEN, "fonts")

        def plan(**fields):
            return self.snug("plan", "ad", "--job", self.job(**fields))

        self.assertEqual(plan(drop=["font"], font_folder=folder).returncode, 0)
        for name in ("latin.ttf", "latin", "LATIN.OTF"):
            self.assertEqual(plan(drop=["font"], font_folder=folder, font_name=name).returncode, 0)
        for fields, says in (
            (dict(font="nowhere"), "snug fonts lists"),
            (dict(drop=["font"], font_folder=self.path("none")), "no font found"),
            (dict(drop=["font"], font_folder=folder, text_content="\u0e01"), "U+0E01"),
            (dict(text_content="\u0e01"), "U+0E01"),
        ):
            done = plan(**fields)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(says, done.stderr)


class BadInput(Ads):
    def refused(self, code, says, done):
        self.assertEqual(done.returncode, code, done.stderr)
        for words in says:
            self.assertIn(words, done.stderr)
        self.assertFalse(os.path.exists(self.path("a.png")))

    def test_fields(self):
        not_picture = base64.b64encode(b"these are words, no picture" * 9).decode()
        write_png(self.path("small.png"), 8, 8, 255)
        for fields, says in (
            (dict(bg_promt="x"), "bg_promt: unknown field"),
            (dict(seed="7"), "seed: "),
            (dict(seed=7.5), "whole number"),
            (dict(seed=1e300), "seed"),
            (dict(bg_prompt=7), "bg_prompt: "),
            (dict(strength=2), "from 0 to 1"),
            (dict(strength=True), "strength"),
            (dict(start_step=4), "start_step: "),
            (dict(size=192), "size: "),
            (dict(text_content={"a": 1}), "text_content: "),
            (dict(bg_prompt="x" * 70000), "limit 65536"),
            (dict(pipeline="txt2img"), "this job is one of ad"),
            (dict(input_image=not_picture), "input_image"),
            (dict(input_image="data:image/png,abc"), "data URL"),
            (dict(input_image="data:image/png;base64,abc"), "cut off"),
            (dict(input_image="nowhere.png"), "nowhere.png"),
            (dict(flux="nowhere"), "nowhere"),
        ):
            path = self.job(**fields)
            self.refused(4, ["job.json", says], self.run_job(path))
        for fields, says in (
            (dict(drop=["flux"]), "--flux is missing"),
            (dict(start_step=2), "--step1-image is missing"),
            (dict(start_step=3, step1_image=PRODUCT), "--step2-image is missing"),
            (dict(start_step=2, step1_image=self.path("small.png")), "8x8"),
            (dict(composition_mode="beside"), "overlay, blend, behind"),
            (dict(text_content="SALE SALE SALE SALE"), "does not fit"),
            (dict(text_content="\ud55c\uae00"), "U+D55C"),
        ):
            self.refused(2, ["job.json", says], self.run_job(self.job(**fields)))

    def test_files_that_are_no_jobs(self):
        for text, says in (
            ("", "job.json"),
            ("[]", "job.json"),
            ('{"seed": 7, "seed": 8}', "seed"),
            ('{"seed": ', "job.json"),
            ('{"bg_prompt": "\xff"}', "job.json"),
            ('{"a":' * 100 + "1" + "}" * 100, "job.json"),
            ('{"bg_prompt": "' + "x" * (17 << 20) + '"}', "job.json"),
        ):
            with open(self.path("job.json"), "w", encoding="latin-1") as f:
                f.write(text)
            self.refused(4, [says], self.run_job(self.path("job.json")))
        self.refused(4, ["absent.json"], self.run_job(self.path("absent.json")))
        self.refused(4, [self.dir], self.run_job(self.dir))

    def test_gigantic_pictures_are_not_unpacked(self):
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
        value = base64.b64encode(bomb).decode()
        self.refused(4, ["input_image", "60000"], self.run_job(self.job(input_image=value)))


if __name__ == "__main__":
    unittest.main()
