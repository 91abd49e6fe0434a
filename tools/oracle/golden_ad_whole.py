"""A whole advertisement by the service's own calls of diffusers, BiRefNet and Pillow: tests/golden/ad_whole/step1_result.png,
step2_result.png, final_result.png; what is asked stands in tests/pipelines/ad_request.h.

Networks are those of the goldens flux_pipelines/dev, sdxl_pipelines/control and birefnet, which must be there; f32 on the CPU.
Noise of step 2 is what a CUDA card draws (Philox), the rest is a CPU generator's. See golden_birefnet.py for BIREFNET_SOURCE.
"""

import os

import diffusers
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import golden_ad
import golden_birefnet
from golden_birefnet import MISSING  # noqa: F401

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "golden")
SIDE, LOOK, SEED = 192, 64, 42
SHARP = 64  # BiRefNet's last layer times this: a map that is black or white nearly everywhere, as a trained network's
PRODUCT = (
    "A photorealistic object integration. Heavy contact shadows, ambient occlusion, realistic texture and lighting, 8k, "
    "extremely detailed, cinematic."
)
LETTERS = (
    "3D render of Gold foil balloon text, inflated, shiny metallic texture, floating in air, cinematic lighting, sharp details, "
    "isolated on black background"
)
NEGATIVE = "floor, ground, dirt, debris, random shapes, multiple objects, clutter, ugly, low quality"
COMPOSITE = (
    "place stylized text at top of image, above all objects, crisp and prominent, x, professional advertising, high quality, "
    "photorealistic lighting, seamless integration"
)


def philox_normal(seed, n):
    """randn(n) of torch.Generator("cuda").manual_seed(seed), first draw, for n up to 65536."""
    mask = np.uint64(0xFFFFFFFF)
    place = np.arange(n, dtype=np.uint64)
    c = [np.zeros(n, np.uint64), np.zeros(n, np.uint64), place & mask, place >> np.uint64(32)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        high = np.uint64(32)
        c = [(b >> high) ^ c[1] ^ np.uint64(key[0]), b & mask, (a >> high) ^ c[3] ^ np.uint64(key[1]), a & mask]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    f = np.float32
    turn = f(2.0**-32 * 6.283185307179586)
    u = c[0].astype(f) * f(2.0**-32) + f(2.0**-33)
    v = c[1].astype(f) * turn + turn / f(2)
    return (np.sqrt(-2 * np.log(u.astype(np.float64))) * np.sin(v.astype(np.float64))).astype(f)


def load(kind, *path, **parts):
    pipe = kind.from_pretrained(os.path.join(GOLDEN, *path), torch_dtype=torch.float32, **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generator():
    return torch.Generator("cpu").manual_seed(SEED)


class CutOut:
    def __init__(self):
        self.model = golden_birefnet.load_reference().BiRefNet(bb_pretrained=False).eval()
        golden_birefnet.fill(self.model)
        self.model.decoder.conv_out1[0].weight *= SHARP
        self.model.decoder.conv_out1[0].bias *= SHARP

    def __call__(self, picture):
        fitted = picture.resize((LOOK, LOOK), Image.Resampling.LANCZOS)
        x = torch.from_numpy(np.asarray(fitted).copy()).permute(2, 0, 1).float() / 255
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        soft = self.model(((x - mean[:, None, None]) / std[:, None, None])[None])[-1][0, 0].sigmoid()
        return golden_ad.cut_out(picture, Image.fromarray(soft.mul(255).byte().numpy(), "L"))


def step1(cut_out):
    asked = dict(height=SIDE, width=SIDE, guidance_scale=3.5)
    product = cut_out(Image.open(os.path.join(GOLDEN, "flux_pipelines", "dev", "picture.png")).convert("RGB"))
    pipe = load(diffusers.FluxPipeline, "flux_pipelines", "dev")
    background = pipe(prompt="a beach", num_inference_steps=2, generator=generator(), **asked).images[0]
    draft, mask = golden_ad.place_product(background, product)
    paint = diffusers.FluxInpaintPipeline(**pipe.components)
    paint.set_progress_bar_config(disable=True)
    asked.update(prompt=PRODUCT, image=draft, mask_image=mask, num_inference_steps=3, strength=0.6)
    return paint(generator=generator(), **asked).images[0], paint


def step2(cut_out):
    font = ImageFont.truetype(golden_ad.FONT, 30)
    guide = Image.new("RGB", (SIDE, SIDE), "black")
    draw = ImageDraw.Draw(guide)
    box = draw.textbbox((0, 0), "SALE", font=font)
    draw.text(((SIDE - int(box[2] - box[0])) // 2, 100), "SALE", font=font, fill="white")
    edges = guide.convert("L").filter(ImageFilter.FIND_EDGES).point(lambda v: 255 if v > 30 else 0).convert("RGB")
    pipe = load(diffusers.StableDiffusionXLControlNetPipeline, "sdxl_pipelines", "control")
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    small = SIDE // pipe.vae_scale_factor
    noise = torch.from_numpy(philox_normal(SEED, 4 * small * small)).reshape(1, 4, small, small)
    asked = dict(prompt=LETTERS, negative_prompt=NEGATIVE, guidance_scale=5.0, num_inference_steps=2, latents=noise)
    return cut_out(pipe(image=edges, controlnet_conditioning_scale=1.0, **asked).images[0])


def step3(paint, background, letters):
    draft, mask = golden_ad.lay_text(background, golden_ad.move_text(letters, 0))
    asked = dict(prompt=COMPOSITE, image=draft, mask_image=mask, height=SIDE, width=SIDE)
    return paint(generator=generator(), guidance_scale=3.5, num_inference_steps=4, strength=0.4, **asked).images[0]


def make(folder):
    os.makedirs(folder, exist_ok=True)
    with torch.no_grad():
        cut_out = CutOut()
        background, paint = step1(cut_out)
        letters = step2(cut_out)
        final = step3(paint, background, letters)
    for name, picture in (("step1", background), ("step2", letters), ("final", final)):
        picture.save(os.path.join(folder, name + "_result.png"))
