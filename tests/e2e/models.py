"""snug models inspect: what is recognised, and why. Standard library only.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/models.py [TestClass[.test]]
"""

import json
import os
import shutil
import unittest

from cli import GOLDEN, TRANSFORMER, VAE, read_tensors, write_tensors
from fakes import FakeCase


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
        self.assertIn("no pipeline knows", self.inspect(golden))
        self.assertEqual(json.loads(self.inspect(golden, "--json"))["kind"], "weights")
        folder = self.model("t2v")  # a pipeline of somebody else
        self.edit_json(os.path.join(folder, "model_index.json"), _class_name="FluxPipeline",
                       transformer=["diffusers", "FluxTransformer2DModel"], vae=["diffusers", "AutoencoderKL"])  # fmt: skip
        self.assertIn("FluxTransformer2DModel", self.inspect(folder))
        self.assertEqual(self.facts(folder)["kind"], "diffusers")


if __name__ == "__main__":
    unittest.main(verbosity=2)
