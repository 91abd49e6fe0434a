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
from fakes import configs, names, networks  # noqa: E402

CLASSES = {
    "WanTransformer3DModel": (networks.wan_dit, "diffusers"),
    "AutoencoderKLWan": (networks.wan_vae, "diffusers"),
    "UMT5EncoderModel": (networks.umt5, "transformers"),
    "CLIPVisionModel": (networks.clip_vision, "transformers"),
}
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
        elif kind == "UMT5EncoderModel":
            model = transformers.UMT5EncoderModel(transformers.UMT5Config(**config))
        else:
            model = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**config))
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
    if kind == "CLIPVisionModel" and not any(k.startswith("vision_model.") for k in theirs):
        theirs = {"vision_model." + k: v for k, v in theirs.items()}  # transformers 5 adds it when saving
    return same(title, ours, theirs)


def check_original(title, config, rename, network, convert):
    rows = network(config)
    there = {rename(n): torch.empty(s, device="meta") for n, s, *_ in rows}
    back = {k: tuple(v.shape) for k, v in convert(there).items()}
    return same(title + ", original names", {n: tuple(s) for n, s, *_ in rows}, back)


def check_names():
    from diffusers.loaders import single_file_utils as single

    good = True
    for name, model in configs.MODELS.items():
        for part, config in model["parts"].items():
            good &= check_part(f"{name}/{part}", config)
        for part, want in PARAMETERS.get(name, {}).items():
            rows = CLASSES[model["parts"][part].get("_class_name") or model["parts"][part]["architectures"][0]][0]
            got = count(rows(model["parts"][part], *([model.get("camera")] if part.startswith("transf") else [])))
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
    sys.exit(0 if check_names() & check_files() else 1)
