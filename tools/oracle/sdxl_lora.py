"""Random LoRA files for a tiny SDXL pipeline, in the three ways their names are spelt, and what they change.

kohya: underscores, the UNet's modules as diffusers names them; original: the same with the names of the original repository;
peft: diffusers' own names and lora_A, lora_B, alpha in the header or none. Convolutions have theirs, too, as LoCon writes them.
"""

import torch

from golden_sdxl_unet import original_name

KINDS = ("kohya", "original", "peft")
PARTS = {"unet": "lora_unet_", "text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_"}
KEPT_OUT = ("norm", "ln_", "embedding", "time_emb", "add_emb", "conv_in", "conv_out", "text_projection")


def original(module, unet):
    """`module` of the UNet in the original's names."""
    crossed = [kind.startswith("Cross") for kind in unet["up_block_types"]]
    levels = len(crossed)
    if module.startswith("up_blocks.") and ".upsamplers." in module:
        level = int(module.split(".")[1])
        n = level * (unet["layers_per_block"] + 1) + unet["layers_per_block"]
        return f"output_blocks.{n}.{2 if crossed[level] else 1}.conv"
    return original_name(module + ".weight", unet["layers_per_block"], levels).removesuffix(".weight")


def draw_module(weight, rank, generator, stored):
    """(down, up, change of the weight at alpha = rank); down of a convolution has its kernel, up is 1x1."""
    down = torch.randn((rank, *weight.shape[1:]), generator=generator) / weight[0].numel() ** 0.5
    up = torch.randn((weight.shape[0], rank), generator=generator) * (0.5 / rank**0.5) * weight.std()
    down, up = down.to(stored), up.to(stored)
    change = (up.float() @ down.float().flatten(1)).reshape(weight.shape)
    return down, up.reshape(*up.shape, 1, 1) if weight.dim() == 4 else up, change


def draw(parts, unet, kind, seed, rank=3, stored=torch.float32):
    """(tensors of the file, changes): parts and changes are {component: {name: tensor}}."""
    generator = torch.Generator().manual_seed(seed)
    file, changes = {}, {}
    for component, tensors in parts.items():
        for name, weight in tensors.items():
            module = name.removesuffix(".weight")
            if weight.dim() not in (2, 4) or module == name or any(word in module for word in KEPT_OUT):
                continue
            if torch.rand((), generator=generator) < 0.4:
                continue
            down, up, change = draw_module(weight, rank, generator, stored)
            if kind == "peft":
                file[f"{component}.{module}.lora_A.weight"], file[f"{component}.{module}.lora_B.weight"] = down, up
            else:
                spelt = original(module, unet) if kind == "original" and component == "unet" else module
                key = PARTS[component] + spelt.replace(".", "_")
                file.update({f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up})
                file[f"{key}.alpha"], change = torch.tensor(rank / 2), change / 2
            changes.setdefault(component, {})[name] = change
    return {name: t.contiguous() for name, t in file.items()}, changes
