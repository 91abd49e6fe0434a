"""Wrong and mixed files for models of pictures: the message says what was given. `models inspect` and `verify` of all that
tools/fake_checkpoint makes. Standard library only."""

import os
import shutil
import tempfile
import unittest

from fakes import FakeCase, write_png

MADE = {
    "flux": ("flux-dev",), "fill": ("flux-fill",), "schnell": ("flux-schnell",), "sdxl": ("sdxl",),
    "refiner": ("sdxl-refiner",), "sd1": ("sd-1.5",), "canny": ("controlnet-canny",), "birefnet": ("birefnet",),
    "t5": ("t5-xxl",), "clip": ("clip-l",), "xl-vae": ("sdxl-vae",), "flux-single": ("flux-dev", "--layout=single"),
    "fill-single": ("flux-fill", "--layout=single"), "flux-nf4": ("flux-dev", "--dtype=nf4"),
    "flux-gguf": ("flux-dev", "--layout=single", "--dtype=Q8_0", "--text-dtype=Q8_0"),
    "sdxl-single": ("sdxl", "--layout=original"), "sd1-single": ("sd-1.5", "--layout=original"),
    "refiner-single": ("sdxl-refiner", "--layout=original"),
}  # fmt: skip
FILES = {
    "sdxl.safetensors": "sdxl-single/sd_xl_base_1.0.safetensors",
    "sd1.safetensors": "sd1-single/v1-5-pruned-emaonly.safetensors",
    "refiner.safetensors": "refiner-single/sd_xl_refiner_1.0.safetensors",
    "fill.safetensors": "fill-single/diffusion_models/flux1-fill-dev.safetensors",
    "flux.gguf": "flux-gguf/diffusion_models/flux1-dev-Q8_0.gguf",
    "t5.gguf": "flux-gguf/text_encoders/t5-v1_1-xxl-encoder-Q8_0.gguf",
}


class WrongImages(FakeCase):
    """Models are made once, when a test first wants them."""

    @classmethod
    def setUpClass(cls):
        cls.whole = tempfile.mkdtemp(prefix="snug-e2e-")
        cls.addClassCleanup(shutil.rmtree, cls.whole, ignore_errors=True)

    def model(self, place):
        name, _, rest = FILES.get(place, place).partition("/")
        folder = os.path.join(self.whole, name)
        if not os.path.exists(folder):
            self.make(MADE[name][0], "--scale=tiny", "--quiet", *MADE[name][1:], folder=folder)
        return os.path.join(folder, rest) if rest else folder

    def refused_plan(self, model, *parts, task="txt2img", code=4, **options):
        words = ["--model", self.model(model), *([] if task == "cutout" else ["--prompt", "x"]), "--size", "64x64"]
        for flag, place in options.items():
            words += ["--" + flag.replace("_", "-"), place if os.path.isabs(place) else self.model(place)]
        self.assert_refusal(self.snug("plan", task, *words), code, *parts)

    def picture(self):
        path = self.path("picture.png")
        write_png(path, 64, 64)
        return path

    def test_a_model_of_another_kind_is_called_by_its_name(self):
        for model, *parts in (
            ("sd1", "a Stable Diffusion 1 UNet (StableDiffusionPipeline)", "there are: FLUX.1, SDXL"),
            ("sd1.safetensors", "Stable Diffusion 1 or 2, not of SDXL"),
            ("refiner", "an SDXL refiner UNet", "give the base"),
            ("refiner.safetensors", "an SDXL refiner checkpoint", "give the base"),
            ("canny", "a ControlNet for SDXL", "one part of a model"),
            ("birefnet", "a BiRefNet", "one part of a model"),
            ("t5", "a T5 text encoder", "one part of a model"),
            ("t5.gguf", "a T5 text encoder", "no image model"),
            ("flux.gguf", "it holds no CLIP text encoder, it is a FLUX.1 dev transformer", "--text-encoder"),
        ):
            self.refused_plan(model, *parts)
        self.refused_plan("fill", "FLUX.1 Fill", "use inpaint", code=2)
        self.refused_plan("sdxl/unet", "no BiRefNet", "an SDXL UNet", task="cutout", image=self.picture())

    def test_a_part_of_another_kind_is_called_by_its_name(self):
        for model, flag, part, *parts in (
            ("sdxl", "transformer", "canny", "it holds no UNet, it is a ControlNet for SDXL"),
            ("sdxl", "transformer", "sd1/unet", "Stable Diffusion 1 or 2, not of SDXL"),
            ("sdxl", "transformer", "refiner/unet", "an SDXL refiner UNet"),
            ("sdxl", "transformer", "flux/transformer", "it is a FLUX.1 dev transformer"),
            ("flux", "transformer", "sdxl/unet", "it holds no FLUX transformer, it is an SDXL UNet"),
            ("flux", "transformer", "sdxl.safetensors", "it is an SDXL checkpoint"),
            ("flux", "transformer", "sd1.safetensors", "it is a Stable Diffusion 1 checkpoint"),
            ("flux", "transformer", "birefnet", "it is a BiRefNet"),
            ("flux", "transformer", "fill.safetensors", "this is a FLUX.1 Fill transformer (it takes 384 channels)"),
            ("flux", "text_encoder_2", "clip", "it holds no T5 text encoder, it is a CLIP text encoder"),
            ("flux", "text_encoder", "t5.gguf", "it is a T5 text encoder"),
            ("flux", "vae", "sdxl/vae", "it holds no FLUX VAE, it is a Stable Diffusion VAE"),
            ("flux", "vae", "xl-vae", "it is a Stable Diffusion VAE (SDXL, 1 or 2)"),
            ("sdxl", "vae", "flux/vae", "it holds no VAE, it is a FLUX VAE"),
        ):
            self.refused_plan(model, *parts, **{flag: part})
        self.refused_plan("sdxl", "it holds no ControlNet, it is an SDXL UNet", controlnet="sdxl/unet", control_image=self.picture())

    def test_inspect_names_all_of_them(self):
        for model, *parts in (
            ("flux", "built as FLUX", "a FLUX.1 dev transformer", "a T5 text encoder", "a FLUX VAE"),
            ("schnell", "a FLUX.1 schnell transformer"),
            ("fill", "a FLUX.1 Fill transformer", "snug run inpaint"),
            ("flux-nf4", "a FLUX.1 dev transformer"),
            ("flux-single", "built as FLUX", "original names", "2 double and 2 single blocks of width 256"),
            ("flux-gguf", "built as FLUX", "Q8_0"),
            ("flux.gguf", "a FLUX.1 dev transformer", "MISSING for a run: no CLIP text encoder (--text-encoder), T5"),
            ("t5.gguf", "a T5 text encoder", "2 layers of width 64, 32128 words"),
            ("t5", "a T5 text encoder"),
            ("clip", "a CLIP text encoder"),
            ("sdxl", "built as SDXL", "an SDXL UNet", "a Stable Diffusion VAE"),
            ("sdxl.safetensors", "an SDXL checkpoint", "MISSING for a run: no tokenizers (--tokenizer, --tokenizer-2)"),
            ("sd1.safetensors", "a Stable Diffusion 1 checkpoint", "PROBLEM: snug draws with SDXL base"),
            ("refiner.safetensors", "an SDXL refiner checkpoint", "PROBLEM"),
            ("canny", "a ControlNet for SDXL"),
            ("birefnet", "built as BiRefNet", "snug run cutout", "2 + 2 + 2 + 2 blocks from width 16"),
            ("xl-vae", "a Stable Diffusion VAE (SDXL, 1 or 2)", "4 latent channels"),
        ):
            done = self.snug("models", "inspect", self.model(model))
            self.assertEqual(done.returncode, 0, done.stderr)
            for part in parts:
                self.assertIn(part, done.stdout, model)

    def test_verify_reads_all_of_them(self):
        words = {"flux": "FLUX: ", "fill": "FLUX: ", "sdxl": "SDXL: ", "canny": "a ControlNet for SDXL: ", "t5": "a T5 text encoder: ",
                 "birefnet": "BiRefNet: ", "sd1-single": "a Stable Diffusion 1 checkpoint: "}  # fmt: skip
        for model in MADE:
            done = self.snug("models", "verify", self.model(model), "--quiet")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("no NaN, no infinity", done.stdout)
            self.assertIn(words.get(model, ""), done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
