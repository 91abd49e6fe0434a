"""LoRA: tests/golden/lora/*.safetensors in the conventions in use, and frames of the golden pipelines with them.

peft.safetensors is written by diffusers and applied by PEFT at strength 0.8; kohya and native hold the same change
under other names. diffs.safetensors changes norms, biases, a whole matrix and the patch embedding; it and the files for
two experts are merged into the weights by hand.
"""

import os

import numpy as np
import torch
from diffusers import WanPipeline
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file

import tiny_wan
from golden import noise
from golden_pipelines import CASES
from original_names import transformer as original_names

TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2", "proj_out", "text_embedder.linear_1"]
RANK, ALPHA, PATTERN = 4, 6, {"ffn.net.2": 3}


def pipeline(name):
    folder = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "pipelines", name, "model")
    return tiny_wan.load(CASES[name], folder)


def frames(name, pipe):
    plan = CASES[name]
    return pipe(**tiny_wan.arguments(plan, None, tiny_wan.draw_noise(plan)), output_type="np").frames[0].astype(np.float32)


def add_peft(transformer):
    """A PEFT adapter with weights that matter; its state dict by diffusers names."""
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, alpha_pattern=PATTERN, target_modules=TARGETS, init_lora_weights=False)
    transformer.add_adapter(config, "default")
    for i, (key, p) in enumerate(sorted(transformer.named_parameters())):
        if "lora_" in key:
            p.copy_(noise(p.shape, 9100 + i) * (0.4 if "lora_B" in key else 1 / p.shape[1] ** 0.5))
    return config, get_peft_model_state_dict(transformer)


def alpha_of(module):
    return next((a for key, a in PATTERN.items() if module.endswith(key)), ALPHA)


def spell(state, kohya):
    """The same change under the original's names, as kohya's scripts or ComfyUI write it."""
    out = {}
    for key, value in state.items():
        module, side = key.rsplit(".lora_", 1)
        theirs = original_names(module)
        stem = "lora_unet_" + theirs.replace(".", "_") if kohya else "diffusion_model." + theirs
        down = side.startswith("A")
        end = ("lora_down" if down else "lora_up") if kohya else ("lora_A" if down else "lora_B")
        out[f"{stem}.{end}.weight"] = value.contiguous()
        out[f"{stem}.alpha"] = torch.tensor(float(alpha_of(module)), dtype=torch.float16 if kohya else torch.float32)
    return out


def draw_diffs(transformer):
    """{diffusers parameter: change}, and the file that says so by original names."""
    p = dict(transformer.named_parameters())
    block = "blocks.1."
    parts = {
        "norm3.diff": block + "norm2.weight",
        "norm3.diff_b": block + "norm2.bias",
        "self_attn.q.diff_b": block + "attn1.to_q.bias",
        "self_attn.norm_q.diff": block + "attn1.norm_q.weight",
        "modulation.diff": block + "scale_shift_table",
        "ffn.0.diff": block + "ffn.net.0.proj.weight",
    }
    out, changes = {}, {}
    for i, (name, key) in enumerate(parts.items()):
        base = p[key] if key in p else p[key.replace(".weight", ".base_layer.weight").replace(".bias", ".base_layer.bias")]
        value = (0.3 * noise(base.shape, 9200 + i)).to(torch.bfloat16 if "norm" in name else torch.float32)
        if value.ndim == 2:
            value /= value.shape[1] ** 0.5
        out[f"diffusion_model.blocks.1.{name}"] = value
        changes[key] = value.float()
    patch = p["patch_embedding.weight"]
    down, up = noise((3, *patch.shape[1:]), 9300) / patch[0].numel() ** 0.5, 0.4 * noise((len(patch), 3, 1, 1, 1), 9301)
    out["diffusion_model.patch_embedding.lora_down.weight"] = down.half()
    out["diffusion_model.patch_embedding.lora_up.weight"] = up.half()
    changes["patch_embedding.weight"] = (up.half().float().flatten(1) @ down.half().float().flatten(1)).view_as(patch)
    return changes, out


def merge(transformer, changes, strength):
    p = dict(transformer.named_parameters())
    for key, value in changes.items():
        stem, leaf = key.rsplit(".", 1) if "." in key else (key, "")
        p[key if key in p else f"{stem}.base_layer.{leaf}"].add_(strength * value)


def expert_file(transformer, seed):
    """A change to one expert in kohya's form; ({parameter: change}, file)."""
    out, changes = {}, {}
    for i, (name, module) in enumerate(transformer.named_modules()):
        if not isinstance(module, torch.nn.Linear) or not name.startswith("blocks."):
            continue
        down = noise((2, module.in_features), seed + i) / module.in_features**0.5
        up = 0.4 * noise((module.out_features, 2), seed + 500 + i)
        stem = "lora_unet__" + original_names(name).replace(".", "_")
        out[stem + ".lora_down.weight"], out[stem + ".lora_up.weight"] = down, up
        out[stem + ".alpha"] = torch.tensor(1.0)
        changes[name + ".weight"] = 0.5 * up @ down
    return changes, out


def make(folder):
    os.makedirs(folder)
    pipe = pipeline("t2v")
    changes, diffs = draw_diffs(pipe.transformer)
    config, state = add_peft(pipe.transformer)
    metadata = config.to_dict()
    metadata.update(target_modules=sorted(metadata["target_modules"]))
    WanPipeline.save_lora_weights(
        folder, transformer_lora_layers=state, weight_name="peft.safetensors", transformer_lora_adapter_metadata=metadata
    )
    save_file(spell(state, True), os.path.join(folder, "kohya.safetensors"))
    save_file(spell(state, False), os.path.join(folder, "native.safetensors"))
    save_file(diffs, os.path.join(folder, "diffs.safetensors"))
    pipe.set_adapters("default", 0.8)
    np.save(os.path.join(folder, "peft.npy"), frames("t2v", pipe))
    merge(pipe.transformer, changes, -0.7)
    np.save(os.path.join(folder, "both.npy"), frames("t2v", pipe))

    pipe = pipeline("t2v_experts")
    for expert, part, strength in (("high", pipe.transformer, 1.0), ("low", pipe.transformer_2, 0.5)):
        changes, file = expert_file(part, 9400 if expert == "high" else 9700)
        save_file(file, os.path.join(folder, expert + ".safetensors"))
        merge(part, changes, strength)
    np.save(os.path.join(folder, "experts.npy"), frames("t2v_experts", pipe))
