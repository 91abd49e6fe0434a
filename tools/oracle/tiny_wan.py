"""Tiny Wan pipelines: a plan (plain values) becomes a folder as save_pretrained writes it, then a recorded run.

A plan has the keys kind (see KINDS), dit, text, vae (configs), scheduler, shift, boundary, tokenizer, seed and
request (what a user asks for: prompt, negative, width, height, frames, steps, guidance, guidance_low). Kinds that look
at pictures have a config clip; last_picture is the size of a picture for the last frame, if there is one; kinds with a
camera have camera, the seed of its path. A plan with teacache (coefficients and threshold) is run with a step cache.
"""

import glob
import os

import numpy as np
import torch
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from diffusers.utils import logging
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPImageProcessor, CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

import camera_net
import step_cache
import tiny_tokenizer
from golden import noise, randomise

# kind: (command of the CLI, takes an image, two experts, timestep per token)
KINDS = {
    "t2v-2.1": ("wan-t2v", False, False, False),
    "t2v-two-experts": ("wan-t2v", False, True, False),
    "ti2v-2.2": ("wan-ti2v", False, False, True),
    "i2v-2.1": ("wan-i2v", True, False, False),
    "i2v-two-experts": ("wan-i2v", True, True, False),
    "ti2v-image-2.2": ("wan-ti2v", True, False, True),
    "i2v-clip-2.1": ("wan-i2v", True, False, False),
    "flf2v-2.1": ("wan-i2v", True, False, False),
    "camera-two-experts": ("wan-i2v", True, True, False),
    "camera-fun": ("wan-i2v", True, False, False),
}
# Pictures that the CLIP network sees.
SEEN = {"i2v-clip-2.1": 1, "flf2v-2.1": 2}
CAMERAS = {"camera-two-experts": "inject", "camera-fun": "adapter"}


def takes_image(plan):
    return KINDS[plan["kind"]][1]


def build_scheduler(plan):
    if plan["scheduler"] == "euler":
        return FlowMatchEulerDiscreteScheduler(shift=plan["shift"])
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=plan["shift"]
    )


# Most of the 512 text rows are padding: without these gains the prompt would hardly change the picture.
TEXT_GAINS = {"text_embedder.linear_2.weight": 3.0, "attn2.norm_q.weight": 2.5}


def clip_branch(plan):
    """What the transformer's config says of the CLIP network."""
    seen, clip = SEEN.get(plan["kind"], 0), plan.get("clip")
    if not seen:
        return {}
    rows = (clip["image_size"] // clip["patch_size"]) ** 2 + 1
    config = dict(image_dim=clip["hidden_size"], pos_embed_seq_len=2 * rows if seen == 2 else None)
    return dict(config, added_kv_proj_dim=plan["dit"]["num_attention_heads"] * plan["dit"]["attention_head_dim"])


def build_transformer(plan, seed):
    z = plan["vae"]["z_dim"]
    _, image, _, per_token = KINDS[plan["kind"]]
    config = dict(plan["dit"], in_channels=z + 4 + z if image and not per_token else z, out_channels=z)
    config.update(clip_branch(plan))
    model = WanTransformer3DModel(patch_size=(1, 2, 2), text_dim=plan["text"]["d_model"], **config)
    if plan["kind"] in CAMERAS:
        camera_net.equip(model, CAMERAS[plan["kind"]], camera_features(plan).shape[1])
    return randomise(model, seed, dict(TEXT_GAINS, **{"cam_scale_layer.weight": 0.5}))


def draw_camera(plan):
    """Poses and intrinsics, some more than are used."""
    return camera_net.draw_path(plan["request"]["frames"] + 2, plan["camera"], scale=5.0)


def camera_features(plan):
    poses, lenses = draw_camera(plan)
    kind, q = CAMERAS[plan["kind"]], plan["request"]
    lenses = lenses if kind == "inject" else camera_net.pixel_lenses(lenses, q["width"], q["height"])
    make = getattr(camera_net, f"features_{kind}")
    return make(poses, lenses, q["frames"], q["width"], q["height"], plan["vae"].get("scale_factor_spatial", 8))


def build_text(plan, vocab, seed):
    config = UMT5Config(vocab_size=vocab, **plan["text"])
    return randomise(UMT5EncoderModel(config), seed, {"SelfAttention.q.weight": config.d_kv**-0.5})


def build_clip(plan, seed):
    """Network and preparation of its pictures."""
    if plan["kind"] not in SEEN:
        return {}
    config, size = plan["clip"], plan["clip"]["image_size"]
    gains = {"class_embedding": 6.0, "position_embedding.weight": 2.0}
    processor = CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    return dict(
        image_encoder=randomise(CLIPVisionModel(CLIPVisionConfig(**config)), seed, gains), image_processor=processor
    )


def build(plan):
    """The pipeline object with seeded weights."""
    _, image, two, per_token = KINDS[plan["kind"]]
    seed = plan["seed"]
    tokenizer = tiny_tokenizer.build(**plan["tokenizer"])
    parts = dict(
        tokenizer=tokenizer,
        text_encoder=build_text(plan, len(tokenizer) + 4, seed + 1),
        vae=randomise(AutoencoderKLWan(**plan["vae"]), seed + 2, {"decoder.conv_out.weight": 0.7}),
        scheduler=build_scheduler(plan),
        transformer=build_transformer(plan, seed + 3),
        transformer_2=build_transformer(plan, seed + 4) if two else None,
        boundary_ratio=plan["boundary"] if two else None,
        expand_timesteps=per_token,
        **build_clip(plan, seed + 7),
    )
    return (WanImageToVideoPipeline if image else WanPipeline)(**parts)


def load(plan, folder):
    logging.set_verbosity_error()  # it has no class for the camera's tensors and would list them
    kind = WanImageToVideoPipeline if takes_image(plan) else WanPipeline
    pipe = kind.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    if getattr(pipe, "image_processor", None) is not None:
        # with torchvision installed, the plain class takes its resize, which is off by one here and there
        pipe.image_processor = CLIPImageProcessorPil.from_pretrained(os.path.join(folder, "image_processor"))
    if plan["kind"] in CAMERAS:
        for name in ("transformer", "transformer_2"):
            if getattr(pipe, name) is not None:
                follow_camera(plan, getattr(pipe, name), os.path.join(folder, name))
    if "teacache" in plan:
        pipe.step_cache = step_cache.StepCache(**plan["teacache"])
        for model in (pipe.transformer, pipe.transformer_2):
            if model is not None:
                pipe.step_cache.attach(model)
    return pipe


def follow_camera(plan, model, folder):
    """Load what from_pretrained leaves in the file, and take the path."""
    kind, features, stored = CAMERAS[plan["kind"]], camera_features(plan), {}
    camera_net.equip(model, kind, features.shape[1])
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        stored.update(load_file(path))
    model.load_state_dict({k: v.float() for k, v in stored.items()})
    camera_net.steer(model, kind, features)


def draw_noise(plan):
    """[C, T, h, w], what `latents=` gets with a batch dimension."""
    q, vae = plan["request"], plan["vae"]
    scale = vae.get("scale_factor_spatial", 8)
    shape = (vae["z_dim"], (q["frames"] - 1) // 4 + 1, q["height"] // scale, q["width"] // scale)
    return noise(shape, plan["seed"] + 5)


def draw_image(width, height, seed):
    """Smooth colours with some sharp edges, so that resampling filters differ."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    picture = np.stack([np.sin(7 * (x * a + y * b) + c) for a, b, c in rng.uniform(-2, 2, (3, 3))], -1)
    picture[height // 3 : height // 2, width // 4 : width // 2] = rng.uniform(-1, 1, 3)
    return Image.fromarray(((picture + 1) * 127.5).astype(np.uint8), "RGB")


class Recorder:
    """Keeps what happens inside one call of a pipeline, by name, without batch dimension."""

    def __init__(self, pipe):
        self.pipe, self.out, self.experts, self.calls = pipe, {}, [], []
        self._wrap(pipe, "encode_prompt", self._text)
        if hasattr(pipe, "image_processor"):
            self._wrap(pipe, "prepare_latents", self._condition)
        if getattr(pipe, "image_encoder", None) is not None:
            self._wrap(pipe, "encode_image", self._seen)
        for name in ("transformer", "transformer_2"):
            if getattr(pipe, name) is not None:
                getattr(pipe, name).register_forward_hook(self._velocity(name))

    def _wrap(self, owner, name, keep):
        inner = getattr(owner, name)

        def outer(*args, **kwargs):
            result = inner(*args, **kwargs)
            keep(args, result)
            return result

        setattr(owner, name, outer)

    def _text(self, args, result):
        for name, rows in zip(("prompt", "negative"), result):
            if rows is not None:
                self.out[name + ".embeds"] = rows[0]

    def _condition(self, args, result):
        self.out["image"], self.out["condition"] = args[0][0], result[1][0]

    def _seen(self, args, result):
        self.out["clip"] = result.flatten(0, 1)

    def _velocity(self, name):
        def hook(module, args, output):
            self.calls.append((name, output[0][0].clone()))

        return hook

    def step(self, pipe, i, t, values):
        for branch, (name, velocity) in zip(("cond", "uncond"), self.calls):
            self.out[f"step.{i}.{branch}"] = velocity
        self.experts.append("low" if self.calls[0][0] == "transformer_2" else "high")
        self.calls = []
        self.out[f"step.{i}.latents"] = values["latents"][0].clone()
        return {}


def draw_last(plan):
    """The picture of the last frame, or None."""
    return draw_image(*plan["last_picture"], plan["seed"] + 8) if plan.get("last_picture") else None


def arguments(plan, image, latents):
    q = plan["request"]
    given = dict(
        prompt=q["prompt"],
        negative_prompt=q["negative"],
        height=q["height"],
        width=q["width"],
        num_frames=q["frames"],
        num_inference_steps=q["steps"],
        guidance_scale=q["guidance"],
        guidance_scale_2=q["guidance_low"],
        latents=latents[None],
    )
    if plan.get("last_picture"):
        given["last_image"] = draw_last(plan)
    return dict(given, image=image) if takes_image(plan) else given


def token_ids(pipe, text):
    from diffusers.pipelines.wan.pipeline_wan import prompt_clean

    ids = pipe.tokenizer(prompt_clean(text), truncation=True, max_length=512, return_tensors="pt").input_ids
    return ids[0]


def record(plan, folder, image, latents):
    """Run the saved pipeline; (frames [F, H, W, 3] in 0..1, inner tensors, expert of each step)."""
    pipe = load(plan, folder)
    given = arguments(plan, image, latents)
    final = pipe(**given, output_type="latent").frames[0]
    recorder = Recorder(pipe)
    frames = pipe(**given, output_type="np", callback_on_step_end=recorder.step).frames[0]
    out = recorder.out
    for name in ("prompt", "negative"):
        out[name + ".ids"] = token_ids(pipe, plan["request"][name] or "")
        if name + ".embeds" in out:
            out[name + ".embeds"] = out[name + ".embeds"][: len(out[name + ".ids"])]
    if "teacache" in plan:
        plan["teacache"]["skipped"] = pipe.step_cache.skipped
    out.update(timesteps=pipe.scheduler.timesteps, sigmas=pipe.scheduler.sigmas, latents=final)
    return frames.astype(np.float32), out, recorder.experts


def save_model(plan, folder, **options):
    """plan["stored"] is the dtype in the files; it is always run in f32."""
    os.makedirs(folder, exist_ok=True)
    pipe = build(plan)
    if plan.get("stored") == "bfloat16":
        pipe.to(torch.bfloat16)
    pipe.save_pretrained(folder, **options)
