"""Camera paths: tests/golden/camera/: paths, the features that networks take of them, and networks with them."""

import os

import numpy as np
import torch

import camera_net
import golden_wan_dit
from golden import Taps, randomise, save_model, save_tensors

# frames, width, height, VAE cell, patch
PATHS = {"inject": (13, 48, 32, 8, 2), "inject_small": (9, 32, 48, 4, 1), "adapter": (5, 32, 48, 8, 2)}
GAINS = {"cam_scale_layer.weight": 0.5, "control_adapter.conv.weight": 2.0}


def make_paths(folder):
    for i, (name, (frames, width, height, cell, patch)) in enumerate(PATHS.items()):
        kind, at = name.split("_")[0], os.path.join(folder, "paths", name)
        os.makedirs(at)
        poses, lenses = camera_net.draw_path(frames + 3, 7000 + i, scale=30.0)
        np.save(os.path.join(at, "poses.npy"), poses)
        np.save(os.path.join(at, "intrinsics.npy"), lenses)
        given = lenses if kind == "inject" else camera_net.pixel_lenses(lenses, width, height)
        make = getattr(camera_net, f"features_{kind}")
        np.save(os.path.join(at, "features.npy"), make(poses, given, frames, width, height, cell, patch=patch))


def make_text(folder):
    """CameraCtrl's text: world to camera, lens in parts of the picture."""
    frames, width, height = 5, 48, 32
    poses, lenses = camera_net.draw_path(frames + 1, 7050)
    lenses = lenses / [832, 480, 832, 480]
    lines = ["https://a.line/that?is=skipped"]
    for i, (pose, lens) in enumerate(zip(poses, lenses)):
        numbers = [i * 1000, *lens, 0, 0, *np.linalg.inv(pose.astype(np.float64))[:3].flatten()]
        lines.append(" ".join(repr(float(v)) for v in numbers))
    at = os.path.join(folder, "paths")
    with open(os.path.join(at, "path.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    lenses = camera_net.text_lenses(lenses, width, height)
    np.save(os.path.join(at, "text.npy"), camera_net.features_adapter(poses, lenses, frames, width, height))


def make_network(folder, kind, seed):
    """A transformer for 36 channels; latent frames 3, 6 x 8 latent pixels of 4 px, so that the features stay small."""
    config, cell = golden_wan_dit.CASES["i2v36"]["config"], 4
    features = 6 * (4 if kind == "adapter" else 1) * cell * cell * 4
    model = golden_wan_dit.WanTransformer3DModel(**config)
    model = randomise(camera_net.equip(model, kind, features), seed, GAINS)
    save_model(model, folder)
    given = golden_wan_dit.inputs(golden_wan_dit.CASES["i2v36"], seed + 1)
    frames, rows, cols = golden_wan_dit.CASES["i2v36"]["size"]
    path = camera_net.draw_path(4 * frames - 3, seed + 2)
    make = getattr(camera_net, f"features_{kind}")
    rows = make(*path, 4 * frames - 3, cols * cell, rows * cell, cell)
    camera_net.steer(model, kind, rows)
    out = golden_wan_dit.run(model, given, Taps(model, golden_wan_dit.tap_names(config)))
    out["in.camera"] = torch.from_numpy(rows)
    out["in.latent"], out["in.text"] = given["hidden_states"][0], given["encoder_hidden_states"][0]
    out["in.timestep"] = given["timestep"].flatten()
    if kind == "inject":
        out["camera"] = model.camera[0]
    save_tensors(os.path.join(folder, "taps.safetensors"), out)


def make(folder):
    make_paths(folder)
    make_text(folder)
    for i, kind in enumerate(camera_net.KINDS):
        make_network(os.path.join(folder, kind), kind, 7100 + 10 * i)
