"""Are the names and shapes that tools/fake_checkpoint writes those of diffusers and transformers?

    python tools/oracle/check_fake.py     (bitsandbytes 0.50.2 besides requirements.txt)

Networks are built on torch's meta device at full size. Original names are checked by diffusers' own converters, files
and 4-bit folders by reading small ones with torch, safetensors and bitsandbytes.
"""

import os
import subprocess
import sys
import tempfile

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from fakes import configs, image_configs, image_names, images, names, networks  # noqa: E402

CLASSES = {
    "WanTransformer3DModel": (networks.wan_dit, "diffusers"),
    "AutoencoderKLWan": (networks.wan_vae, "diffusers"),
    "UMT5EncoderModel": (networks.umt5, "transformers"),
    "CLIPVisionModel": (networks.clip_vision, "transformers"),
    "FluxTransformer2DModel": (images.flux, "diffusers"),
    "UNet2DConditionModel": (images.unet, "diffusers"),
    "ControlNetModel": (images.controlnet, "diffusers"),
    "AutoencoderKL": (images.autoencoder_kl, "diffusers"),
    "CLIPTextModel": (images.clip_text, "transformers"),
    "CLIPTextModelWithProjection": (images.clip_text, "transformers"),
    "T5EncoderModel": (networks.umt5, "transformers"),
}
CONFIGS = {"T5EncoderModel": "T5Config", "UMT5EncoderModel": "UMT5Config", "CLIPVisionModel": "CLIPVisionConfig",
           "CLIPTextModel": "CLIPTextConfig", "CLIPTextModelWithProjection": "CLIPTextConfig"}  # fmt: skip
# sizes in spec sheets of the published files
PARAMETERS = {
    "ti2v-5b": {"transformer": 4_999_787_712},
    "t2v-1.3b": {"transformer": 1_418_996_800},
    "t2v-14b": {"transformer": 14_288_491_584},
    "i2v-a14b": {"transformer": 14_288_901_184, "transformer_2": 14_288_901_184},
    "i2v-14b": {"transformer": 16_394_878_784},
    "lingbot-world": {"transformer": 18_544_332_864},
    "umt5-xxl": {"text_encoder": 5_680_910_336},
    "vae-2.1": {"vae": 126_892_531},
    "vae-2.2": {"vae": 704_688_668},
    "flux-dev": {"transformer": 11_901_408_320, "text_encoder": 123_060_480, "text_encoder_2": 4_762_310_656,
                 "vae": 83_819_683},
    "flux-fill": {"transformer": 11_902_391_360},
    "flux-schnell": {"transformer": 11_891_178_560},
    "sdxl": {"unet": 2_567_463_684, "text_encoder_2": 694_659_840, "vae": 83_653_863},
    "controlnet-canny": {"": 1_251_014_160},
}


def count(rows):
    return sum(torch.Size(row[1]).numel() for row in rows)


def reference(kind, config):
    """{name: shape} of the class itself."""
    import diffusers
    import transformers

    config = {k: v for k, v in config.items() if not k.startswith("_")}
    with torch.device("meta"):
        if CLASSES[kind][1] == "diffusers":
            model = getattr(diffusers, kind)(**config)
        else:
            model = getattr(transformers, kind)(getattr(transformers, CONFIGS[kind])(**config))
    return {name: tuple(t.shape) for name, t in model.state_dict().items()}


def same(title, ours, theirs):
    wrong = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
    for name in wrong[:5]:
        print(f"  {name}: {ours.get(name)} here, {theirs.get(name)} there")
    print(f"{'FAIL' if wrong else 'ok  '} {title}: {len(ours)} tensors")
    return not wrong


def check_part(title, config):
    from fakes import layouts

    kind = layouts.class_of(config)
    ours = {row[0]: row[1] for row in CLASSES[kind][0](config)}
    theirs = reference(kind, config)
    theirs.pop("encoder.embed_tokens.weight", None)  # tied
    prefix = {"CLIPVisionModel": "vision_model.", "CLIPTextModel": "text_model."}.get(kind, "")
    if not any(k.startswith(prefix) for k in theirs):
        theirs = {prefix + k: v for k, v in theirs.items()}  # transformers 5 adds it when saving
    return same(title, ours, theirs)


def check_original(title, config, rename, network, convert):
    rows = network(config)
    there = {rename(n): torch.empty(s, device="meta") for n, s, *_ in rows}
    back = {k: tuple(v.shape) for k, v in convert(there).items()}
    return same(title + ", original names", {n: tuple(s) for n, s, *_ in rows}, back)


def check_names():
    from diffusers.loaders import single_file_utils as single

    good = True
    for name, model in {**configs.MODELS, **image_configs.MODELS}.items():
        for part, config in model["parts"].items():
            if config.get("_class_name") == "BiRefNet":
                good &= check_birefnet(name, config)
                continue
            good &= check_part(f"{name}/{part}", config)
        for part, want in PARAMETERS.get(name, {}).items():
            rows = CLASSES[model["parts"][part].get("_class_name") or model["parts"][part]["architectures"][0]][0]
            got = count(rows(model["parts"][part], *([True] if model.get("camera") and part.startswith("transf") else [])))
            good &= got == want
            print(f"{'ok  ' if got == want else 'FAIL'} {name}/{part}: {got} parameters, published {want}")
    for name in ("ti2v-5b", "i2v-a14b", "i2v-14b"):
        config = configs.MODELS[name]["parts"]["transformer"]
        good &= check_original(name, config, names.wan_dit, networks.wan_dit,
                               single.convert_wan_transformer_to_diffusers)  # fmt: skip
    config = configs.VAE_21
    good &= check_original("vae-2.1", config, lambda name: names.wan_vae(name, configs.VAE_21), networks.wan_vae,
                           single.convert_wan_vae_to_diffusers)  # fmt: skip
    return good


def check_birefnet(name, config):
    """The module is not packaged: what is known of the published file (ZhengPeng7/BiRefNet, f16)."""
    rows = images.birefnet(config)
    size = sum(count([row]) * (8 if isinstance(row[3], str) else 2) for row in rows)
    if config["embed_dim"] != 192:
        return True
    good = len(rows) == 754 and size == 444_386_812
    print(f"{'ok  ' if good else 'FAIL'} {name}: {len(rows)} tensors, {size} bytes in f16, published 754 and 444386812")
    return good


def check_image_files():
    """Single files become the folder's tensors again by diffusers' own converters."""
    from diffusers import AutoencoderKL, FluxTransformer2DModel, StableDiffusionXLPipeline
    from safetensors.torch import load_file

    good = True
    with tempfile.TemporaryDirectory() as top:
        at = {}
        for name, layout in (("flux-dev", "diffusers"), ("flux-dev", "original"), ("sdxl", "original")):
            at[name, layout] = os.path.join(top, name + layout)
            # the converter knows one width only
            wide = ["--set=transformer.num_attention_heads=24", "--set=transformer.num_layers=1", "--set=transformer.num_single_layers=1"]
            make(at[name, layout], name, "--layout", layout, *(wide if name == "flux-dev" else []))
        folder, files = at["flux-dev", "diffusers"], at["flux-dev", "original"]
        for part, kind, file in (("transformer", FluxTransformer2DModel, "flux1-dev"), ("vae", AutoencoderKL, "ae")):
            net = kind.from_single_file(
                os.path.join(files, file + ".safetensors"), config=os.path.join(folder, part), torch_dtype=torch.bfloat16
            )
            want = load_file(os.path.join(folder, part, "diffusion_pytorch_model.safetensors"))
            got = net.state_dict()
            equal = want.keys() == got.keys() and all(torch.equal(want[k], got[k]) for k in want)
            print(f"{'ok  ' if equal else 'FAIL'} diffusers reads {file}: the folder's {len(want)} tensors")
            good &= equal
        make(os.path.join(top, "sdxl"), "sdxl", "--set", "unet.sample_size=64")
        pipe = StableDiffusionXLPipeline.from_single_file(
            os.path.join(at["sdxl", "original"], "sd_xl_base_1.0.safetensors"), config=os.path.join(top, "sdxl")
        )
        print("ok   diffusers reads the single file of", type(pipe).__name__)
    return good


def make(folder, *words):
    tool = os.path.join(os.path.dirname(HERE), "fake_checkpoint")
    subprocess.run([sys.executable, tool, *words[:1], folder, "--scale", "tiny", "--quiet", *words[1:]], check=True)


def check_files():
    """The files load with the packages that made the published ones."""
    from diffusers import WanImageToVideoPipeline
    from safetensors.torch import load_file

    good = True
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "diffusers")
        make(folder, "i2v-a14b")
        pipe = WanImageToVideoPipeline.from_pretrained(folder, dtype=torch.float32)
        print("ok   diffusers loads the pipeline", type(pipe).__name__)
        folder = os.path.join(top, "original")
        make(folder, "i2v-14b", "--layout", "original")
        for file in sorted(f for f in os.listdir(folder) if f.endswith(".pth")):
            for mmap in (False, True):
                tensors = torch.load(os.path.join(folder, file), weights_only=True, mmap=mmap)
            finite = all(bool(torch.isfinite(t.float()).all()) for t in tensors.values())
            print(f"{'ok  ' if finite else 'FAIL'} torch loads {file}: {len(tensors)} tensors")
            good &= finite
        for nested in ([], ["--plain-scales"]):
            folder = os.path.join(top, "nf4" + "".join(nested))
            make(folder, "i2v-a14b", "--layout", "original", "--dtype", "nf4", *nested)
            good &= check_four_bit(load_file(os.path.join(folder, "high_noise_model_bnb_nf4", "model.safetensors")))
    return good


def check_four_bit(tensors):
    from bitsandbytes.functional import QuantState, dequantize_4bit

    name = "blocks.0.ffn.2.weight"
    parts = {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(name + ".")}
    state = QuantState.from_dict(dict(parts), device=torch.device("cpu"))
    matrix = dequantize_4bit(tensors[name], state).float()
    want = state.shape[1] ** -0.5
    good = tuple(matrix.shape) == tuple(state.shape) and abs(matrix.std().item() / want - 1) < 0.1
    got = matrix.std().item()
    print(f"{'ok  ' if good else 'FAIL'} bitsandbytes reads {name}: deviation {got:.4f}, meant {want:.4f}")
    return good


if __name__ == "__main__":
    sys.exit(0 if check_names() & check_files() & check_image_files() else 1)
