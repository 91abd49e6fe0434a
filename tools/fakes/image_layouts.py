"""An image model's description becomes a folder: as diffusers saves a pipeline, as the original repositories publish
their files, or as single files for ComfyUI (safetensors or GGUF)."""

from . import gguf, image_configs, image_names, images, names, networks, words

CLASSES = {
    "FluxTransformer2DModel": (images.flux, "dit", "diffusion_pytorch_model"),
    "UNet2DConditionModel": (images.unet, "dit", "diffusion_pytorch_model"),
    "ControlNetModel": (images.controlnet, "dit", "diffusion_pytorch_model"),
    "AutoencoderKL": (images.autoencoder_kl, "vae", "diffusion_pytorch_model"),
    "CLIPTextModel": (images.clip_text, "clip", "model"),
    "CLIPTextModelWithProjection": (images.clip_text, "clip", "model"),
    "T5EncoderModel": (networks.umt5, "text", "model"),
    "BiRefNet": (images.birefnet, "dit", "model"),
}
# of a matrix of FLUX that ComfyUI-GGUF leaves as it is
NOT_IN_BLOCKS = ("img_in.", "txt_in.", "time_in.", "vector_in.", "guidance_in.", "final_layer.")
WORD = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}


# ---- diffusers ------------------------------------------------------------------------------------------------------


def write_part(out, name, config, kind, model):
    """One network of a diffusers pipeline."""
    network, role, stem = CLASSES[kind]
    dtype = getattr(out.options, role)
    four = role == "dit" and dtype in out.FOUR_BIT
    matrix = (lambda n, s: n.endswith(".weight") and len(s) == 2) if four else None
    entries = out.entries(network(config), dtype, matrix, salt=name)
    size = sum(map(out.entry_bytes, entries))
    if model.get("variant") and dtype == "F16":
        stem += ".fp16"
    shards = out.options.shards or max(1, -(-size // (5_000_000_000 if stem == "model" else 10_000_000_000)))
    out.weights(name, stem, entries, shards)
    place = name + "/" if name else ""
    if kind == "BiRefNet":
        out.json("config.json", dict(image_configs.BIREFNET_CONFIG, torch_dtype=out.TORCH_DTYPES[dtype]))
    elif stem.startswith("model"):
        out.json(f"{place}config.json", dict(config, torch_dtype=out.TORCH_DTYPES[dtype]))
    else:
        out.json(f"{place}config.json", out.quantised_config(config, dtype) if four else config)


def _tokenizers(out, model):
    kinds = []
    for name, config in model["parts"].items():
        if not name.startswith("text_encoder"):
            continue
        place = name.replace("text_encoder", "tokenizer")
        t5 = config["model_type"] == "t5"
        second = model["family"] == "stable" and place == "tokenizer_2"
        out.files(place, words.t5_files() if t5 else words.clip_files("!" if second else words.END))
        kinds.append((place, "T5TokenizerFast" if t5 else "CLIPTokenizer"))
    return kinds


def _index(out, model):
    index = {"_class_name": model["pipeline"], "_diffusers_version": "0.30.0"}
    for name, config in model["parts"].items():
        library = "transformers" if name.startswith("text_encoder") else "diffusers"
        index[name] = [library, config.get("_class_name") or config["architectures"][0]]
    index.update((name, ["transformers", kind]) for name, kind in _tokenizers(out, model))
    index["scheduler"] = ["diffusers", model["scheduler"]["_class_name"]]
    if "XL" in model["pipeline"]:
        index["force_zeros_for_empty_prompt"] = not model.get("refiner")
        if model.get("refiner"):
            index.update(requires_aesthetics_score=True, text_encoder=[None, None], tokenizer=[None, None])
    return index


def diffusers(out, model):
    for name, config in model["parts"].items():
        write_part(out, name, config, config.get("_class_name") or config["architectures"][0], model)
    if model["family"] == "part":
        return
    out.json("scheduler/scheduler_config.json", model["scheduler"])
    out.json("model_index.json", _index(out, model))


# ---- original repositories and single files -------------------------------------------------------------------------


def _vae_rows(config):
    return image_names.vae(images.autoencoder_kl(config), len(config["block_out_channels"]))


def _prefixed(prefix, entries):
    return [entry._replace(name=prefix + entry.name) for entry in entries]


def _flux_files(out, model, folders):
    """folders: of transformer and VAE."""
    parts, o, title = model["parts"], out.options, model["title"]
    if "transformer" in parts:
        rows = image_names.flux(images.flux(parts["transformer"]))
        if o.dit in gguf.BLOCKS:
            entries = out.gguf_entries(rows, o.dit, None, "transformer", NOT_IN_BLOCKS)
            metadata = {"general.architecture": "flux", "general.quantization_version": 2}
            out.gguf(folders[0], f"{title}-{o.dit}.gguf", entries, metadata)
        else:
            out.weights(folders[0], title, out.entries(rows, o.dit, salt="transformer"))
    if "vae" in parts:
        stem = "ae" if parts["vae"]["latent_channels"] == 16 else "sdxl_vae"
        out.weights(folders[1], stem, out.entries(_vae_rows(parts["vae"]), o.vae, salt="vae"))


def _checkpoint(out, model, folder):
    """One file with everything, as Stability publishes it."""
    parts, o, entries = model["parts"], out.options, []
    rows = image_names.sdxl_unet(images.unet(parts["unet"]), parts["unet"])
    entries += _prefixed("model.diffusion_model.", out.entries(rows, o.dit, salt="unet"))
    entries += _prefixed("first_stage_model.", out.entries(_vae_rows(parts["vae"]), o.vae, salt="vae"))
    if model["pipeline"] == "StableDiffusionPipeline":
        rows = images.clip_text(parts["text_encoder"])
        entries += _prefixed("cond_stage_model.transformer.", out.entries(rows, o.clip, salt="text_encoder"))
        out.weights(folder, model["title"], entries)
        return
    if "text_encoder" in parts:
        rows = images.clip_text(parts["text_encoder"])
        entries += _prefixed("conditioner.embedders.0.transformer.", out.entries(rows, o.clip, salt="text_encoder"))
    rows = image_names.open_clip(images.clip_text(parts["text_encoder_2"]))
    place = "conditioner.embedders.1.model." if "text_encoder" in parts else "conditioner.embedders.0.model."
    out.weights(folder, model["title"], entries + _prefixed(place, out.entries(rows, o.clip, salt="text_encoder_2")))


def original(out, model):
    """The files of the publisher's repository; FLUX: its encoders lie beside them as for diffusers."""
    if model["family"] == "part":
        raise SystemExit("fake_checkpoint: this part is published in one form only: --layout diffusers")
    if model["family"] == "flux":
        _flux_files(out, model, ("", ""))
        for name in ("text_encoder", "text_encoder_2"):
            if name in model["parts"]:
                config = model["parts"][name]
                write_part(out, name, config, config["architectures"][0], model)
    else:
        _checkpoint(out, model, "")
    _tokenizers(out, model)


def _text_files(out, parts):
    o = out.options
    for name, config in parts.items():
        if not name.startswith("text_encoder"):
            continue
        if config["model_type"] != "t5":
            stem = "clip_l" if config["hidden_act"] == "quick_gelu" else "clip_g"
            out.weights("text_encoders", stem, out.entries(images.clip_text(config), o.clip, salt=name))
        elif o.text in gguf.BLOCKS:
            entries = out.gguf_entries(networks.umt5(config), o.text, names.umt5_gguf, name, ())
            metadata = {"general.architecture": "t5encoder"}
            out.gguf("text_encoders", f"t5-v1_1-xxl-encoder-{o.text}.gguf", entries, metadata)
        else:
            out.weights("text_encoders", f"t5xxl_{WORD[o.text]}", out.entries(networks.umt5(config), o.text, salt=name))


ROLES = {"AutoencoderKL": "vae", "CLIPTextModel": "text_encoder", "CLIPTextModelWithProjection": "text_encoder_2",
         "FluxTransformer2DModel": "transformer", "T5EncoderModel": "text_encoder_2"}  # fmt: skip


def _with_roles(model):
    """A part by itself, under the name that a pipeline has for it."""
    ((_, config),) = model["parts"].items()
    role = ROLES.get(config.get("_class_name") or config["architectures"][0])
    if not role:
        raise SystemExit("fake_checkpoint: this part is published in one form only: --layout diffusers")
    return dict(model, parts={role: config}, title="transformer")


def single(out, model):
    """ComfyUI's folders, with tokenizers, which it brings along itself."""
    if model["family"] == "part":
        model = _with_roles(model)
    if model["family"] == "stable":
        _checkpoint(out, model, "checkpoints")
    else:
        _flux_files(out, model, ("diffusion_models", "vae"))
        _text_files(out, model["parts"])
    if model["family"] != "part":
        _tokenizers(out, model)
