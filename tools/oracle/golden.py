"""What every golden needs: one thread, seeded weights without trivial values, taps, files."""

import copy
import json
import math
import os

import torch
from safetensors.torch import save_file


def settle():
    """Same numbers on every run: one thread, no autograd, deterministic kernels."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)


def noise(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def is_norm(name, parameter):
    leaf = name.rsplit(".", 2)[-2:]
    return name.endswith("gamma") or (parameter.ndim == 1 and leaf[-1] == "weight")


def randomise(module, seed, gains=None):
    """Draw every parameter: published inits leave ones and zeros that would hide a missing term.

    gains maps the end of a name to a factor on its standard deviation.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(module.named_parameters()):
        draw = torch.randn(p.shape, generator=generator)
        if is_norm(name, p):
            p.copy_(1 + 0.2 * draw)
        elif p.ndim == 1:
            p.copy_(0.1 * draw)
        elif name.endswith("scale_shift_table") or name.endswith("pos_embed"):
            p.copy_(0.4 * draw)
        elif name.endswith("relative_attention_bias.weight"):
            p.copy_(0.7 * draw)
        elif name.endswith("shared.weight"):
            p.copy_(draw)
        else:
            p.copy_(draw / math.sqrt(p[0].numel()))
        for end, gain in (gains or {}).items():
            if name.endswith(end):
                p.mul_(gain)
    return module.eval()


def save_model(model, folder):
    """As save_pretrained, in bfloat16: half as large. The model then has just these values, in f32."""
    for p in model.parameters():
        p.copy_(p.bfloat16())
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)  # buffers of the model itself stay exact


class Taps:
    """Outputs of submodules by module path; a module called several times gives several parts."""

    def __init__(self, module, names):
        self.parts = {name: [] for name in names}
        modules = dict(module.named_modules())
        self.hooks = [modules[n].register_forward_hook(self._keep(n)) for n in names]

    def _keep(self, name):
        def hook(module, args, output):
            out = output[0] if isinstance(output, tuple) else output
            self.parts[name].append(out.detach().clone())

        return hook

    def take(self):
        """The parts so far, and forget them."""
        parts = self.parts
        self.parts = {name: [] for name in parts}
        return parts

    def remove(self):
        for hook in self.hooks:
            hook.remove()


def save_tensors(path, tensors):
    """f32 and i32 only; written in sorted order, so that equal tensors are equal files."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    out = {}
    for name in sorted(tensors):
        t = tensors[name].detach()
        out[name] = (t.float() if t.is_floating_point() else t.int()).contiguous().clone()
    save_file(out, path)


def save_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2, ensure_ascii=False)
        f.write("\n")
