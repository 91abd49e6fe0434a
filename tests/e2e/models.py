"""snug models inspect: what is recognised, and why. Standard library only.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/models.py [TestClass[.test]]
"""

import json
import os
import shutil
import tempfile
import unittest

from cli import GOLDEN, TRANSFORMER, VAE, read_tensors, write_tensors
from fakes import IMAGE, FakeCase

T5, SHARD = "models_t5_umt5-xxl-enc-bf16.pth", "diffusion_pytorch_model-00002-of-00003.safetensors"
INDEX, VAE_22, WORDS = "diffusion_pytorch_model.safetensors.index.json", "Wan2.2_VAE.pth", "google/umt5-xxl"


class Inspect(FakeCase):
    def inspect(self, path, *words):
        done = self.snug("models", "inspect", path, *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def facts(self, path):
        return json.loads(self.inspect(path, "--json"))

    def test_every_published_model_is_told_by_its_tensors(self):
        for model, layout, name, pipeline, settings in (
            ("ti2v-5b", "original", "Wan2.2 TI2V-5B", "wan-ti2v", dict(size="1280x704", frames="121", fps="24",
             steps="50", guidance="5", shift="5", scheduler="unipc-orig")),
            ("ti2v-5b", "diffusers", "Wan2.2 TI2V-5B", "wan-ti2v", dict(size="1280x704", shift="5", scheduler="unipc")),
            ("i2v-a14b", "original", "Wan2.2 I2V-A14B", "wan-i2v", {"steps": "40", "guidance": "3.5", "fps": "16",
             "guidance-low": "3.5", "boundary": "0.9", "shift": "5", "frames": "81", "size": "832x480"}),
            ("t2v-a14b", "original", "Wan2.2 T2V-A14B", "wan-t2v", {"guidance": "4", "guidance-low": "3",
             "boundary": "0.875", "shift": "12", "steps": "40"}),
            ("t2v-1.3b", "original", "Wan2.1 T2V", "wan-t2v", dict(steps="50", shift="5", guidance="5")),
            ("i2v-14b", "original", "Wan2.1 I2V-14B", "wan-i2v", dict(steps="40", shift="3", guidance="5")),
            ("flf2v-14b", "original", "Wan2.1 FLF2V-14B", "wan-i2v", dict(steps="50", shift="16", size="1280x720")),
            ("lingbot-world", "original", "LingBot-World", "wan-i2v", dict(steps="70", shift="10", boundary="0.947")),
        ):  # fmt: skip
            with self.subTest(model=model, layout=layout):
                found = self.facts(self.make(model, "--layout", layout, "--sparse", folder=model + layout))
                self.assertEqual((found["model"], found["pipeline"]), (name, pipeline))
                self.assertEqual({k: found["settings"].get(k) for k in settings}, settings)
                for key in ("missing", "problem", "warnings"):
                    self.assertIsNone(found[key])
                for part in found["components"]:
                    self.assertIsNone(part["problem"], part["name"])

    def test_what_it_was_told_by(self):
        folder = self.make("i2v-a14b", "--layout", "original", "--dtype", "nf4", "--scale", "tiny")
        found = self.facts(folder)
        self.assertEqual((found["kind"], found["form"]), ("model", "original Wan folder"))
        names = [part["name"] for part in found["components"]]
        self.assertEqual(names, ["transformer", "transformer_2", "text_encoder", "vae"])
        high = found["components"][0]
        self.assertIn("high_noise_model_bnb_nf4", high["path"])
        self.assertEqual((high["names"], high["told_by"]), ("original Wan names", "head.modulation"))
        self.assertEqual(high["config_from"], "config.json and tensor shapes")
        self.assertEqual({t["type"] for t in high["types"]}, {"NF4", "BF16"})
        self.assertIn("in 16 out", high["sizes"])
        text = self.inspect(folder)
        for part in ("built as Wan2.2 I2V-A14B", "snug run wan-i2v", "by head.modulation", "umT5", "tokenizer: "):
            self.assertIn(part, text)

    def test_parts_of_a_model_say_what_is_missing(self):
        folder = self.make("i2v-a14b", "--layout", "original", "--scale", "tiny")
        found = self.facts(os.path.join(folder, "high_noise_model"))
        self.assertEqual(found["model"], "one expert of Wan2.2 I2V-A14B")
        for part in ("--text-encoder", "--vae", "--tokenizer"):
            self.assertIn(part, found["missing"])
        found = self.facts(os.path.join(folder, "Wan2.1_VAE.pth"))
        self.assertEqual((found["model"], found["components"][0]["name"]), (None, "vae"))
        shutil.rmtree(os.path.join(folder, "low_noise_model"))
        self.assertIn("low_noise_model", self.facts(folder)["missing"])

    def test_a_problem_of_one_part_does_not_hide_the_others(self):
        folder = self.model("t2v")
        path = os.path.join(folder, TRANSFORMER)
        header, data = read_tensors(path)
        header["blocks.9.extra"] = header.pop("blocks.1.attn2.to_q.weight")
        write_tensors(path, header, data)
        found = self.facts(folder)
        problems = {part["name"]: part["problem"] for part in found["components"]}
        self.assertIn("blocks.1.attn2.to_q.weight", problems.pop("transformer"))
        self.assertEqual(set(problems.values()), {None})
        self.assertIn("PROBLEM: ", self.inspect(folder))

    def test_names_move_no_cursor(self):
        path = self.path("odd.safetensors")
        header, data = read_tensors(os.path.join(GOLDEN, "t2v", "model", VAE))
        name = next(k for k in header if k != "__metadata__")
        header["a\x1b[2J\u202eb\n"] = header.pop(name)
        write_tensors(path, header, data)
        text = self.inspect(path, "--tensors")
        self.assertIn("a\\x1b[2J", text)
        for bad in ("\x1b", "\u202e"):
            self.assertNotIn(bad, text)
        tensors = json.loads(self.inspect(path, "--tensors", "--json"))
        listed = tensors["components"][0]["tensors"] if "components" in tensors else tensors["tensors"]
        self.assertIn("a\x1b[2J\u202eb\n", [t["name"] for t in listed])

    def test_other_folders_and_files(self):
        empty = self.path("empty")
        os.mkdir(empty)
        for path, part in ((empty, "neither model_index.json nor a weight file"), (self.path("none"), "No such file")):
            self.assert_refusal(self.snug("models", "inspect", path), 4, part)
        golden = os.path.join(os.path.dirname(GOLDEN), "formats", "types.safetensors")
        self.assertIn("no network that snug knows", self.inspect(golden))
        self.assertEqual(json.loads(self.inspect(golden, "--json"))["kind"], "weights")
        folder = self.model("t2v")  # a pipeline of somebody else
        self.edit_json(os.path.join(folder, "model_index.json"), _class_name="OtherPipeline",
                       transformer=["diffusers", "OtherTransformerModel"], vae=["diffusers", "OtherVae"])  # fmt: skip
        self.assertIn("OtherTransformerModel", self.inspect(folder))
        self.assertEqual(self.facts(folder)["kind"], "diffusers")

    def test_models_that_draw_pictures(self):
        golden = os.path.dirname(GOLDEN)
        for folder, name, pipeline in (
            ("flux_pipelines/dev", "FLUX", "txt2img"),
            ("flux_pipelines/fill", "FLUX", "inpaint"),
            ("sdxl_pipelines/base", "SDXL", "txt2img"),
        ):
            found = self.facts(os.path.join(golden, folder))
            self.assertEqual((found["model"], found["pipeline"], found["problem"]), (name, pipeline, None))
            self.assertIn("steps", found["settings"])


class Damage(FakeCase):
    """A folder that is not right says what is not; plan and run would stop at the same place."""

    @classmethod
    def setUpClass(cls):
        cls.whole = tempfile.mkdtemp(prefix="snug-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.whole, ignore_errors=True)

    def fresh(self, model="ti2v-5b", layout="original"):
        """A folder of that model, to be damaged."""
        whole = os.path.join(self.whole, f"{model}-{layout}")
        if not os.path.exists(whole):
            self.make(model, f"--layout={layout}", "--scale=tiny", "--shards=3", folder=whole)
        shutil.rmtree(self.path("m"), ignore_errors=True)
        shutil.copytree(whole, self.path("m"))

    def part(self, model, name, *words):
        """One file of a model of its own."""
        folder = self.make(model, "--layout=original", "--scale=tiny", *words, folder="part")
        shutil.move(os.path.join(folder, name), self.path("m"))
        shutil.rmtree(folder)

    def refused_plan(self, code, *parts, pipeline="wan-ti2v", image=None, more=()):
        words = ["--model", self.path("m"), "--prompt", "a red ball", "--size", "64x64", "--frames", 5]
        words += ["--image", image] if image else []
        done = self.snug("plan", pipeline, *words, *more)
        self.assert_refusal(done, code, *parts)
        self.assertLess(len(done.stderr), 1500)

    def write(self, name, text):
        with open(os.path.join(self.path("m"), name), "w", encoding="utf-8") as f:
            f.write(text)

    def at(self, name):
        return os.path.join(self.path("m"), name)

    def test_shards(self):
        for change, parts in (
            (lambda: os.remove(self.at(SHARD)), (SHARD, "the shard is not there", "3 shards expected")),
            (lambda: os.truncate(self.at(SHARD), os.path.getsize(self.at(SHARD)) - 10), (SHARD, "truncated")),
            (lambda: os.remove(self.at(INDEX)), ("one of several shards", "no index")),
            (lambda: self.write(INDEX, "{"), (INDEX, "bad JSON")),
            (lambda: os.rename(self.at(SHARD), self.at(SHARD) + ".part"), (SHARD + ".part", "a download that was not finished")),
        ):
            self.fresh()
            change()
            self.refused_plan(4, "m (original Wan folder) has no transformer", "--transformer", *parts)

    def test_text_encoders(self):
        def replace(text):
            os.remove(self.at(T5))
            self.write(T5, text)

        def link(target):
            os.remove(self.at(T5))
            os.symlink(target, self.at(T5))

        def outside():
            shutil.move(self.at(T5), self.path("outside.pth"))
            os.symlink(self.path("outside.pth"), self.at(T5))

        def special(make):
            os.remove(self.at(T5))
            make(self.at(T5))

        lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 11361920418\n"
        for change, part in (
            (lambda: os.remove(self.at(T5)), "no text encoder (" + T5),
            (lambda: replace(""), "an empty file"),
            (lambda: replace("<!DOCTYPE html><html>"), "an HTML page"),
            (lambda: replace(lfs), "Git LFS pointer"),
            (lambda: os.truncate(self.at(T5), os.path.getsize(self.at(T5)) - 5000), "truncated"),
            (lambda: os.rename(self.at(T5), self.at(T5) + ".part"), "a download that was not finished"),
            (lambda: link("nowhere"), "a symbolic link to nowhere"),
            (lambda: link(T5), "a symbolic link to nowhere"),  # to itself
            (outside, "a symbolic link leads out of the model's folder"),
            (lambda: special(os.mkdir), "a folder, not a file"),
            (lambda: special(os.mkfifo), "neither a file nor a folder"),
        ):
            self.fresh()
            change()
            self.refused_plan(4, T5, "--text-encoder", part)

    def test_parts_that_do_not_belong_together(self):
        for words, part in (
            (["--set=text_encoder.vocab_size=100"], "they do not belong together"),
            (["--set=text_encoder.d_model=128"], "it takes text of width 64"),
            (['--set=text_encoder.model_type="t5"'], "Wan needs umT5"),
        ):
            self.fresh()
            os.remove(self.at(T5))
            self.part("umt5-xxl", T5, *words)
            self.refused_plan(4, T5, part)
        self.fresh()
        self.part("vae-2.1", "Wan2.1_VAE.pth")
        self.refused_plan(4, "both hold a Wan video VAE", "--vae")
        os.remove(self.at(VAE_22))
        self.refused_plan(4, "it gives 48 channels", "Wan2.1_VAE.pth", "has 16")
        os.remove(self.at("Wan2.1_VAE.pth"))
        self.refused_plan(4, "no VAE", "--vae")
        self.refused_plan(4, "this is a T5 text encoder; a Wan video VAE is needed", more=["--vae", self.at(T5)])

    def test_configurations(self):
        for text, part in (
            ('{"dim":', "bad JSON"),
            ('{"_class_name": "WanModel", "in_dim": 16, "dim": 96}', "in_dim: mismatch: got 16, the tensors have 48"),
            ('{"_class_name": "WanModel", "num_heads": 7}', "num_heads"),
        ):
            self.fresh()
            self.write("config.json", text)
            self.refused_plan(4, "config.json", part)
        os.remove(self.at("config.json"))
        self.refused_plan(4, "config.json with num_heads is needed")

    def test_tokenizers(self):
        words = self.at(WORDS)
        for change, part in (
            (lambda: [os.remove(os.path.join(words, n)) for n in os.listdir(words)], "no tokenizer"),
            (lambda: shutil.rmtree(words), "google/umt5-xxl"),
            (lambda: self.write(WORDS + "/tokenizer.json", ""), "an empty file"),
            (lambda: self.write(WORDS + "/tokenizer.json", '{"version":"1.0"}'), "no model"),
        ):
            self.fresh()
            change()
            self.refused_plan(4, part)

    def test_experts_and_pipelines(self):
        i2v = dict(pipeline="wan-i2v", image=IMAGE)
        for gone, part in (("low", "no low-noise transformer"), ("high", "no high-noise transformer")):
            self.fresh("i2v-a14b")
            shutil.rmtree(self.at(gone + "_noise_model"))
            self.refused_plan(4, part, gone + "_noise_model/", **i2v)
        self.fresh("i2v-a14b")
        self.refused_plan(2, "built as Wan2.2 I2V-A14B", "use wan-i2v", pipeline="wan-t2v")
        self.refused_plan(2, "built as Wan2.2 I2V-A14B", "--image is needed", pipeline="wan-i2v")
        self.fresh("t2v-1.3b")
        self.refused_plan(2, "built as Wan2.1 T2V", "use wan-t2v", **i2v)
        self.fresh("i2v-14b")
        os.remove(self.at("models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"))
        self.refused_plan(4, "no image encoder", "--image-encoder", **i2v)

    def test_folders_of_diffusers(self):
        for change, parts in (
            (lambda: shutil.rmtree(self.at("text_encoder")), ("m/text_encoder", "no such folder")),
            (lambda: os.remove(self.at(VAE)), ("m/vae", "no diffusion_pytorch_model.safetensors")),
            (lambda: os.remove(self.at("scheduler/scheduler_config.json")), ("scheduler_config.json",)),
            (lambda: self.write("model_index.json", "[]"), ("model_index.json", "expected an object")),
            (lambda: self.write("vae/config.json", '{"_class_name": "WanModel"}'), ("it is of a WanModel",)),
            (lambda: os.remove(self.at("transformer/config.json")), ("m/transformer", "config.json")),
        ):
            self.fresh("ti2v-5b", "diffusers")
            change()
            self.refused_plan(4, *parts)

    def test_paths_that_are_no_model(self):
        self.refused_plan(4, "m: no such folder or file")
        os.mkdir(self.path("m"))
        self.refused_plan(4, "neither model_index.json nor a weight file")
        os.makedirs(self.at("snapshots/abc"))
        self.refused_plan(4, "hub cache", "snapshots/REVISION")
        shutil.rmtree(self.path("m"))
        with open(self.path("m"), "w", encoding="utf-8") as f:
            f.write("hello\n")
        self.refused_plan(4, "m", "not a weight file snug knows")

    @unittest.skipIf(os.geteuid() == 0, "root reads everything")
    def test_files_that_may_not_be_read(self):
        self.fresh()
        os.chmod(self.at(T5), 0)
        self.refused_plan(4, T5, "Permission denied")


if __name__ == "__main__":
    unittest.main(verbosity=2)
