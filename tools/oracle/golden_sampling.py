"""Trajectories of every scheduler on 96 values with a made-up network.

trajectories.safetensors: `start/x` [96], and per case `<kind>/<name>/`
  steps      I32 [k]        one run for each of these step counts; below, run after run
  sigmas     [sum(n + 1)]
  timesteps  [sum(n)]       what the network was told
  path       [sum(n), 8]    the first 8 values after every step
  end        [k, 96]        all values after the last step

The Flow* classes of the Wan repository are not packaged: their step is that of the diffusers class
of the same solver, so that class is run here on their table, written down from
wan/utils/fm_solvers.py and fm_solvers_unipc.py at 42bf4cf (compared once with those classes over
all step counts and shifts below: no bit differs).
"""

import math
import os

import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

import golden

VALUES, KEPT = 96, 8
STEPS = (1, 2, 3, 4, 8, 20, 40, 50)
FEW = (2, 3, 8, 14, 15, 20)
SHIFTS = (1, 3, 5, 8, 12)


def network(x, t):
    """Smooth and nonlinear: only operations whose f32 result is defined to the bit."""
    weight = torch.tensor(float(t), dtype=torch.float32) * 0.0004 + 0.6
    return (x * 0.5 + 0.25) / (x * x * 0.25 + 1) * weight


def shifted(t, shift):
    return shift * t / (1 + (shift - 1) * t)


def replace_table(scheduler, sigmas):
    """What set_timesteps of the Flow* classes leaves behind."""
    timesteps = sigmas * scheduler.config.num_train_timesteps
    scheduler.sigmas = torch.from_numpy(np.concatenate([sigmas, [0]]).astype(np.float32))
    scheduler.timesteps = torch.from_numpy(timesteps).to(torch.int64)


def unipc(n, shift, mu=None, **options):
    s = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, **options
    )
    s.set_timesteps(n, mu=mu)
    return s


def unipc_orig(n, shift, mu=None, **options):
    s = unipc(n, 1.0, **options)
    most = torch.tensor(1 - 1 / 1000, dtype=torch.float32).item()
    base = np.linspace(most, 0.0, n + 1)[:-1]
    if mu is None:
        replace_table(s, shifted(base, shift))
    else:
        replace_table(s, math.exp(mu) / (math.exp(mu) + (1 / base - 1) ** 1.0))
    return s


def euler(n, shift, mu=None, sigmas=None, **options):
    s = FlowMatchEulerDiscreteScheduler(shift=shift, **options)
    if sigmas == "even":  # as the FLUX pipelines do
        s.set_timesteps(sigmas=np.linspace(1.0, 1 / n, n), mu=mu)
    else:
        s.set_timesteps(n, mu=mu)
    return s


def dpmpp(n, shift, **options):
    s = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, **options
    )
    s.set_timesteps(n)
    return s


def dpmpp_orig(n, shift, **options):
    s = dpmpp(n, 1.0, **options)
    replace_table(s, shifted(np.linspace(1, 0, n + 1)[:n], shift))
    return s


KINDS = {
    "unipc": unipc,
    "unipc-orig": unipc_orig,
    "euler": euler,
    "dpm++": dpmpp,
    "dpm++-orig": dpmpp_orig,
}

# name, kind, options; all at shift 5 unless mu replaces it
OPTIONS = (
    ("order1", "unipc", dict(solver_order=1)),
    ("order3", "unipc", dict(solver_order=3)),
    # with bh1 a last step to sigma zero is NaN there (infinity times no terms)
    ("bh1", "unipc", dict(solver_type="bh1", final_sigmas_type="sigma_min")),
    ("bh1_order3", "unipc", dict(solver_type="bh1", solver_order=3, final_sigmas_type="sigma_min")),
    ("uncorrected", "unipc", dict(disable_corrector=[0, 1, 4])),
    ("sigma_min", "unipc", dict(final_sigmas_type="sigma_min")),
    ("mu", "unipc", dict(use_dynamic_shifting=True, mu=1.15)),
    ("mu_linear", "unipc", dict(use_dynamic_shifting=True, mu=0.8, time_shift_type="linear")),
    ("terminal", "unipc", dict(shift_terminal=0.1)),
    ("order3", "unipc-orig", dict(solver_order=3)),
    ("mu", "unipc-orig", dict(mu=1.15)),
    ("mu", "euler", dict(use_dynamic_shifting=True, mu=1.15)),
    ("mu_linear", "euler", dict(use_dynamic_shifting=True, mu=0.8, time_shift_type="linear")),
    ("mu_even", "euler", dict(use_dynamic_shifting=True, mu=0.63, sigmas="even")),
    ("even", "euler", dict(sigmas="even")),
    ("even_terminal", "euler", dict(sigmas="even", shift_terminal=0.02)),
    ("terminal", "euler", dict(shift_terminal=0.1)),
    ("inverted", "euler", dict(invert_sigmas=True)),
    ("karras", "euler", dict(use_karras_sigmas=True)),
    ("exponential", "euler", dict(use_exponential_sigmas=True)),
    ("order1", "dpm++", dict(solver_order=1)),
    ("order3", "dpm++", dict(solver_order=3)),
    ("heun", "dpm++", dict(solver_type="heun")),
    ("euler_at_final", "dpm++", dict(euler_at_final=True, final_sigmas_type="sigma_min")),
    ("sigma_min", "dpm++", dict(final_sigmas_type="sigma_min")),
    ("sigma_min_order3", "dpm++", dict(final_sigmas_type="sigma_min", solver_order=3)),
    ("full_order", "dpm++", dict(lower_order_final=False, solver_order=3)),
    ("order3", "dpm++-orig", dict(solver_order=3)),
    ("heun", "dpm++-orig", dict(solver_type="heun")),
)


def trajectory(scheduler, first=0):
    """First KEPT values after every step, and all values at the end."""
    scheduler.set_begin_index(first)
    x = golden.noise((1, 1, VALUES), 7)
    path = []
    for t in scheduler.timesteps[first:]:
        x = scheduler.step(network(x, t), t, x, return_dict=False)[0]
        path.append(x[0, 0, :KEPT].clone())
    return path, x[0, 0]


def case(kind, steps, shift, first=0, **options):
    sigmas, timesteps, paths, ends = [], [], [], []
    for n in steps:
        scheduler = KINDS[kind](n, shift, **options)
        path, end = trajectory(scheduler, first)
        sigmas.append(scheduler.sigmas)
        timesteps.append(scheduler.timesteps.float())
        paths += path
        ends.append(end)
    return {
        "steps": torch.tensor(steps, dtype=torch.int32),
        "sigmas": torch.cat(sigmas),
        "timesteps": torch.cat(timesteps),
        "path": torch.stack(paths),
        "end": torch.stack(ends),
    }


def make(folder):
    tensors = {"start/x": golden.noise((VALUES,), 7)}

    def put(name, values):
        for key, value in values.items():
            assert torch.isfinite(value).all(), name
            tensors[f"{name}/{key}"] = value

    for kind in KINDS:
        for shift in SHIFTS:
            put(f"{kind}/shift{shift}", case(kind, STEPS, shift))
        put(f"{kind}/first7", case(kind, (20,), 5, first=7))
    for name, kind, options in OPTIONS:
        put(f"{kind}/{name}", case(kind, FEW, 5, **options))
    golden.save_tensors(os.path.join(folder, "trajectories.safetensors"), tensors)
