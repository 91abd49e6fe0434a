"""Trajectories of schedulers on a table of betas, on 96 values with a made-up network.

trajectories.safetensors: `start/x` [96], `start/noise` [20, 96], and per case `<kind>/<name>/`
  config     U8 as I32 [n]  scheduler_config.json
  steps      I32 [k]        one run for each of these step counts; below, run after run
  sigmas     [sum(n + 1)]   not for ddim
  timesteps  [sum(n)]       what the network was told
  scales     [3 k]          of noise and of data at the start, of data's noise at the first step
  path       [sum(n), 8]    the first 8 values after every step
  end        [k, 96]        all values after the last step
"""

import json
import os

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

import golden

VALUES, KEPT, MOST = 96, 8, 50
STEPS = (1, 2, 3, 7, 14, 15, 30)
SDXL = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
CLASSES = {"euler": EulerDiscreteScheduler, "euler-a": EulerAncestralDiscreteScheduler, "ddim": DDIMScheduler,
           "dpm++": DPMSolverMultistepScheduler}
LEADING = dict(timestep_spacing="leading", steps_offset=1)
TRAILING = dict(timestep_spacing="trailing")
LINSPACE = dict(timestep_spacing="linspace")
V = dict(prediction_type="v_prediction")
SNR = dict(rescale_betas_zero_snr=True) | TRAILING | V
OPEN = dict(clip_sample=False, set_alpha_to_one=False)
# kind, name, options, what the test asks of the run
CASES = (
    [(k, n, SDXL | o | (OPEN if k == "ddim" else {}), {}) for k in CLASSES
     for n, o in (("leading", LEADING), ("trailing", TRAILING), ("linspace", LINSPACE), ("v", LEADING | V), ("snr", SNR))]
    + [(k, "defaults", {}, {}) for k in CLASSES]
    + [(k, "cosine", dict(beta_schedule="squaredcos_cap_v2") | LEADING | (OPEN if k == "ddim" else {}), {}) for k in CLASSES]
    + [
        ("euler", "sample", SDXL | LEADING | dict(prediction_type="sample"), {}),
        ("euler", "karras", SDXL | LEADING | dict(use_karras_sigmas=True), {}),
        ("euler", "karras_ends", SDXL | LEADING | dict(use_karras_sigmas=True, sigma_min=0.05, sigma_max=12.0), {}),
        ("euler", "exponential", SDXL | TRAILING | dict(use_exponential_sigmas=True), {}),
        ("euler", "sigma_min", SDXL | LEADING | dict(final_sigmas_type="sigma_min"), {}),
        ("euler", "first5", SDXL | LEADING, dict(first=5)),
        ("euler-a", "first5", SDXL | LEADING, dict(first=5)),
        ("ddim", "first5", SDXL | LEADING | OPEN, dict(first=5)),
        ("ddim", "eta", SDXL | LEADING | OPEN, dict(eta=0.7)),
        ("ddim", "eta_v_clipped", SDXL | LEADING | V, dict(eta=1.0)),
        ("ddim", "sample", SDXL | LEADING | dict(prediction_type="sample", clip_sample_range=0.3), {}),
        ("dpm++", "first5", SDXL | LEADING, dict(first=5)),
        ("dpm++", "sample", SDXL | LEADING | dict(prediction_type="sample"), {}),
        ("dpm++", "karras", SDXL | LEADING | dict(use_karras_sigmas=True), {}),
        ("dpm++", "exponential", SDXL | LEADING | dict(use_exponential_sigmas=True), {}),
        ("dpm++", "order1", SDXL | LEADING | dict(solver_order=1), {}),
        ("dpm++", "order3", SDXL | LEADING | dict(solver_order=3), {}),
        ("dpm++", "heun", SDXL | LEADING | dict(solver_type="heun"), {}),
        ("dpm++", "euler_at_final", SDXL | LEADING | dict(euler_at_final=True, final_sigmas_type="sigma_min"), {}),
        ("dpm++", "full_order", SDXL | LEADING | dict(lower_order_final=False, final_sigmas_type="sigma_min"), {}),
        ("dpm++", "lambda", dict(beta_schedule="squaredcos_cap_v2", lambda_min_clipped=-5.1) | LINSPACE, {}),
        ("dpm++", "sde", SDXL | LEADING | dict(algorithm_type="sde-dpmsolver++"), {}),
        ("dpm++", "sde_heun", SDXL | LEADING | dict(algorithm_type="sde-dpmsolver++", solver_type="heun"), {}),
        ("dpm++", "sde_order3", SDXL | LEADING | dict(algorithm_type="sde-dpmsolver++", solver_order=3), {}),
        ("dpm++", "sde_karras", SDXL | LEADING | dict(algorithm_type="sde-dpmsolver++", use_karras_sigmas=True), {}),
    ]
)


def network(x, t):
    """Smooth and nonlinear: only operations whose f32 result is defined to the bit."""
    weight = torch.tensor(float(t), dtype=torch.float32) * 0.0004 + 0.6
    return (x * 0.5 + 0.25) / (x * x * 0.25 + 1) * weight


class Draws:
    """Stands in for randn: the prepared noise in turn."""

    def __init__(self, noise):
        self.noise, self.at = noise, 0

    def __call__(self, shape, **_):
        self.at += 1
        return self.noise[self.at - 1].reshape(shape)


def trajectory(kind, scheduler, noise, first, eta):
    module = __import__(type(scheduler).__module__, fromlist=["x"])
    module.randn_tensor = Draws(noise)
    scheduler.set_begin_index(first) if kind != "ddim" else None
    x = golden.noise((1, 1, VALUES), 7)
    path = []
    for t in scheduler.timesteps[first:]:
        seen = scheduler.scale_model_input(x, t)
        more = dict(eta=eta) if kind == "ddim" else {}
        x = scheduler.step(network(seen, t), t, x, return_dict=False, **more)[0]
        path.append(x[0, 0, :KEPT].clone())
    return path, x[0, 0]


def scales(kind, scheduler, first):
    """init_noise_sigma; how add_noise mixes at the first step."""
    one, none = torch.ones(1), torch.zeros(1)
    t = scheduler.timesteps[first : first + 1]
    scheduler.set_begin_index(first) if kind != "ddim" else None
    return torch.stack([torch.as_tensor(scheduler.init_noise_sigma).reshape(()),
                        scheduler.add_noise(one, none, t)[0], scheduler.add_noise(none, one, t)[0]])


def case(kind, options, noise, first=0, eta=0.0):
    out = {k: [] for k in ("sigmas", "timesteps", "scales", "path", "end")}
    steps = [n for n in STEPS if n > first]
    kept = []
    for n in steps:
        scheduler = CLASSES[kind](**options)
        scheduler.set_timesteps(n)
        path, end = trajectory(kind, scheduler, noise, first, eta)
        if not all(torch.isfinite(p).all() for p in path):
            continue  # the reference itself divides by zero
        kept.append(n)
        fresh = CLASSES[kind](**options)
        fresh.set_timesteps(n)
        out["scales"].append(scales(kind, fresh, first))
        if kind != "ddim":
            out["sigmas"].append(scheduler.sigmas)
        out["timesteps"].append(scheduler.timesteps.float())
        out["path"] += path
        out["end"].append(end)
    config = json.dumps({k: v for k, v in options.items()} | {"_class_name": CLASSES[kind].__name__})
    return {
        "config": torch.tensor(list(config.encode()), dtype=torch.int32),
        "steps": torch.tensor(kept, dtype=torch.int32),
        "timesteps": torch.cat(out["timesteps"]),
        "scales": torch.cat(out["scales"]),
        "path": torch.stack(out["path"]),
        "end": torch.stack(out["end"]),
    } | ({} if kind == "ddim" else {"sigmas": torch.cat(out["sigmas"])})


def make(folder):
    noise = golden.noise((MOST, VALUES), 8)
    tensors = {"start/x": golden.noise((VALUES,), 7), "start/noise": noise}
    for kind, name, options, run in CASES:
        for key, value in case(kind, options, noise, **run).items():
            tensors[f"{kind}/{name}/{key}"] = value
    golden.save_tensors(os.path.join(folder, "trajectories.safetensors"), tensors)
    with open(os.path.join(folder, "cases.txt"), "w", encoding="utf-8") as f:
        f.writelines(f"{kind}/{name} {run.get('first', 0)} {run.get('eta', 0)}\n" for kind, name, _, run in CASES)
