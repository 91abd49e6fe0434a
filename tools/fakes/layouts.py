"""A model's description becomes a folder: as diffusers saves a pipeline, as the original repositories publish it, or as
single files for ComfyUI (safetensors or GGUF)."""

import json
import os
import shutil
import struct

from . import configs, four_bit, gguf, image_layouts, images, names, networks, writers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOKENIZER = os.path.join(ROOT, "models", "demo", "tokenizer")
# what diffusers keeps as it is when it quantises a Wan transformer
NOT_QUANTISED = ("time_embedder", "scale_shift_table", "norm1", "norm2", "norm3")
FOUR_BIT = tuple(four_bit.TABLES)
TORCH_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def class_of(config):
    """The class a config.json belongs to; None when it is not known here."""
    name = config.get("_class_name") or (config.get("architectures") or [None])[0]
    by_type = {
        "umt5": "UMT5EncoderModel",
        "t5": "T5EncoderModel",
        "clip_text_model": "CLIPTextModel",
        "clip_vision_model": "CLIPVisionModel",
    }
    return name or by_type.get(config.get("model_type"))


class Folder:
    """Writes one model; options: dit, text, vae, clip (dtypes), nested, sparse, shards, and say(text)."""

    def __init__(self, path, values, options, say):
        self.path, self.values, self.options, self.say = path, values, options, say
        self.size, self.measuring = 0, False

    FOUR_BIT, TORCH_DTYPES = FOUR_BIT, TORCH_DTYPES

    def entries(self, rows, dtype, quantised=None, rename=None, salt=""):
        """quantised(name, shape): stored in 4 bits; what is left then is bf16. Values hang on salt and the name before
        it is renamed, so that both layouts hold the same ones; salt makes experts differ."""
        plain = "BF16" if quantised else dtype
        out = []
        for name, shape, mean, deviation, *parts in rows:
            key, name = f"{salt}.{name}", rename(name) if rename else name
            if isinstance(deviation, str):
                out.append(self._whole_numbers(name, shape, mean, deviation))
            elif quantised and quantised(name, shape):
                out += four_bit.entries(self.values, key, name, shape, deviation, dtype, self.options.nested)
            elif parts:
                out.append(self._joined(salt, name, plain, shape, mean, deviation, parts[0]))
            else:
                out.append(self._entry(key, name, plain, shape, mean, deviation))
        return out

    def gguf_entries(self, rows, dtype, rename, salt, keep=()):
        made = []
        for name, shape, mean, deviation, *_ in rows:
            key, name = f"{salt}.{name}", rename(name) if rename else name
            if gguf.fits(dtype, shape) and not any(word in name for word in keep):
                made.append(gguf.quantised(self.values, key, name, dtype, shape, deviation))
            else:
                plain = "F16" if len(shape) == 2 else "F32"
                made.append(self._entry(key, name, plain, shape, mean, deviation))
        return made

    def _entry(self, key, name, dtype, shape, mean, deviation):
        size = self.entry_bytes(writers.Entry(name, dtype, shape, None))
        return writers.Entry(name, dtype, shape, lambda: self.values.pieces(key, dtype, size, mean, deviation))

    def _joined(self, salt, name, dtype, shape, mean, deviation, parts):
        """The values of several tensors, one after the other."""
        each = [self._entry(f"{salt}.{key}", key, dtype, part, mean, deviation) for key, part in parts]
        return writers.Entry(name, dtype, shape, lambda: (piece for entry in each for piece in entry.pieces()))

    @staticmethod
    def _whole_numbers(name, shape, value, kind):
        numbers = images.window_index(value) if kind == images.WINDOW_INDEX else [value]
        data = struct.pack(f"<{len(numbers)}q", *numbers)
        return writers.Entry(name, "I64", shape, lambda: [data])

    entry_bytes = staticmethod(writers.entry_bytes)

    @property
    def quantised_config(self):
        return lambda config, kind: quantised_config(config, kind, self.options.nested)

    # While `measuring` nothing is written, only counted.

    def weights(self, name, stem, entries, shards=1):
        if self._counted(name, entries):
            writers.sharded(os.path.join(self.path, name), stem, entries, shards, self.options.sparse)

    def archive(self, name, entries):
        if self._counted(name, entries):
            writers.torch_archive(os.path.join(self.path, name), entries, self.options.sparse)

    def gguf(self, folder, name, entries, metadata):
        if self._counted(folder, entries):
            gguf.write(os.path.join(self.path, folder, name), entries, metadata, self.options.sparse)

    def _counted(self, name, entries):
        size = sum(map(gguf.entry_size, entries))
        self.size += size
        if not self.measuring:
            self.say(f"{name or '.'}: {len(entries)} tensors, {size / 1e9:.3f} GB")
        return not self.measuring

    def files(self, name, texts):
        """A folder of small files."""
        if self.measuring:
            return
        os.makedirs(os.path.join(self.path, name), exist_ok=True)
        for file, text in texts.items():
            with open(os.path.join(self.path, name, file), "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())

    def tokenizer(self, name):
        if self.measuring:
            return
        to = os.path.join(self.path, name)
        os.makedirs(to, exist_ok=True)
        for file in os.listdir(TOKENIZER):
            shutil.copyfile(os.path.join(TOKENIZER, file), os.path.join(to, file))

    def json(self, name, value):
        if not self.measuring:
            write_json(os.path.join(self.path, name), value)


# ---- diffusers ------------------------------------------------------------------------------------------------------


def quantised_config(config, kind, nested):
    return dict(
        config,
        quantization_config={
            "_load_in_4bit": True,
            "_load_in_8bit": False,
            "bnb_4bit_compute_dtype": "bfloat16",
            "bnb_4bit_quant_storage": "uint8",
            "bnb_4bit_quant_type": kind,
            "bnb_4bit_use_double_quant": nested,
            "llm_int8_enable_fp32_cpu_offload": False,
            "llm_int8_has_fp16_weight": False,
            "llm_int8_skip_modules": None,
            "llm_int8_threshold": 6.0,
            "load_in_4bit": True,
            "load_in_8bit": False,
            "quant_method": "bitsandbytes",
        },
    )


def _linear(name, shape):
    return name.endswith(".weight") and len(shape) == 2


def _dit_part(out, name, config, model):
    o = out.options
    four = o.dit in FOUR_BIT
    quantised = (lambda n, s: _linear(n, s) and not any(w in n for w in NOT_QUANTISED)) if four else None
    rows = networks.wan_dit(config)
    shards = 1 if four else model.get("shards", 1)
    out.weights(
        name, "diffusion_pytorch_model", out.entries(rows, o.dit, quantised, salt=name), o.shards or shards
    )
    out.json(f"{name}/config.json", quantised_config(config, o.dit, o.nested) if four else config)


def write_part(out, name, config, model):
    """One component of a diffusers pipeline; "" writes it straight into the folder."""
    kind, o = class_of(config), out.options
    place = name + "/" if name else ""
    if kind == "WanTransformer3DModel":
        _dit_part(out, name, config, model)
    elif kind in ("UMT5EncoderModel", "T5EncoderModel"):
        entries = out.entries(networks.umt5(config), o.text)
        size = sum(writers.entry_bytes(e) for e in entries)
        out.weights(name, "model", entries, o.shards or -(-size // 5_000_000_000))
        out.json(f"{place}config.json", dict(config, torch_dtype=TORCH_DTYPES[o.text]))
    elif kind == "AutoencoderKLWan":
        out.weights(name, "diffusion_pytorch_model", out.entries(networks.wan_vae(config), o.vae))
        out.json(f"{place}config.json", config)
    elif kind == "CLIPVisionModel":
        out.weights(name, "model", out.entries(networks.clip_vision(config), o.clip))
        out.json(f"{place}config.json", dict(config, torch_dtype=TORCH_DTYPES[o.clip]))
    elif kind in image_layouts.CLASSES:
        image_layouts.write_part(out, name, config, kind, model)
    else:
        raise SystemExit(f"fake_checkpoint: {name or 'config.json'}: class {kind} is not known here")


def _index(model):
    library = {"text_encoder": "transformers", "image_encoder": "transformers"}
    image = model["task"] == "i2v"
    index = {
        "_class_name": "WanImageToVideoPipeline" if image else "WanPipeline",
        "boundary_ratio": model["boundary"],
        "expand_timesteps": bool(model.get("per_token")),
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer_2": [None, None],
    }
    if image:
        index.update(image_encoder=[None, None], image_processor=[None, None])
    for name, config in model["parts"].items():
        index[name] = [library.get(name, "diffusers"), class_of(config)]
    return index


def diffusers(out, model):
    for name, config in model["parts"].items():
        write_part(out, name, config, model)
    if "transformer" not in model["parts"]:
        return
    out.tokenizer("tokenizer")
    out.json("scheduler/scheduler_config.json", dict(configs.SCHEDULER, flow_shift=model["shift"]))
    out.json("model_index.json", _index(model))


# ---- original repositories ------------------------------------------------------------------------------------------


def original_config(config, task):
    """What the original writes beside its transformer's weights."""
    return {
        "_class_name": "WanModel",
        "_diffusers_version": "0.33.0",
        "dim": config["num_attention_heads"] * config["attention_head_dim"],
        "eps": config["eps"],
        "ffn_dim": config["ffn_dim"],
        "freq_dim": config["freq_dim"],
        "in_dim": config["in_channels"],
        "model_type": task,
        "num_heads": config["num_attention_heads"],
        "num_layers": config["num_layers"],
        "out_dim": config["out_channels"],
        "text_len": 512,
    }


def _original_dit(out, name, config, model):
    o, four = out.options, out.options.dit in FOUR_BIT
    rows = networks.wan_dit(config, model.get("camera"))
    salt = "transformer_2" if name == "low_noise_model" else "transformer"
    small = original_config(config, model["task"])
    if not four:
        out.json(f"{name}/config.json" if name else "config.json", small)
        entries = out.entries(rows, o.dit, None, names.wan_dit, salt)
        out.weights(name, "diffusion_pytorch_model", entries, o.shards or model.get("shards", 1))
        return
    name = (name or "model") + "_bnb_" + o.dit
    out.json(f"{name}/config.json", small)
    out.json(
        f"{name}/quantization_meta.json",
        {
            "model_config": small,
            "quant": {
                "blocksize": four_bit.BLOCK,
                "compute_dtype": "bfloat16",
                "double_quant": o.nested,
                "format": "bnb_" + o.dit,
            },
        },
    )
    out.weights(name, "model", out.entries(rows, o.dit, _linear, names.wan_dit, salt), o.shards or 1)


def _original_vae(out, config):
    stem = "Wan2.2_VAE" if config.get("is_residual") else "Wan2.1_VAE"
    entries = out.entries(networks.wan_vae(config), out.options.vae, None, lambda name: names.wan_vae(name, config))
    out.archive(stem + ".pth", entries)


def original(out, model):
    parts, o = model["parts"], out.options
    if "transformer_2" in parts:
        _original_dit(out, "high_noise_model", parts["transformer"], model)
        _original_dit(out, "low_noise_model", parts["transformer_2"], model)
    elif "transformer" in parts:
        _original_dit(out, "", parts["transformer"], model)
    if "text_encoder" in parts:
        word = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}[o.text]
        entries = out.entries(networks.umt5(parts["text_encoder"]), o.text, None, names.umt5)
        out.archive(f"models_t5_umt5-xxl-enc-{word}.pth", entries)
        out.tokenizer("tokenizer" if o.dit in FOUR_BIT else "google/umt5-xxl")
    if "vae" in parts:
        _original_vae(out, parts["vae"])
    if "image_encoder" in parts:
        config = parts["image_encoder"]
        rows = names.clip_visual(networks.clip_vision(config), config)
        out.archive("models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth", out.entries(rows, o.clip))


# ---- single files ---------------------------------------------------------------------------------------------------

# what ComfyUI-GGUF leaves as it is
NOT_IN_BLOCKS = ("modulation", "patch_embedding.", "text_embedding.", "time_projection.", "time_embedding.", "img_emb.", "head.")


def _single_dit(out, stem, rows, salt):
    o = out.options
    if o.dit in gguf.BLOCKS:
        entries = out.gguf_entries(rows, o.dit, names.wan_dit, salt, NOT_IN_BLOCKS)
        metadata = {"general.architecture": "wan", "general.quantization_version": 2}
        out.gguf("diffusion_models", f"{stem}-{o.dit}.gguf", entries, metadata)
    else:
        out.weights("diffusion_models", f"{stem}_{o.dit.lower()}", out.entries(rows, o.dit, None, names.wan_dit, salt))


def _words():
    """The vocabulary as llama.cpp keeps it."""
    with open(os.path.join(TOKENIZER, "tokenizer.json"), encoding="utf-8") as file:
        model = json.load(file)["model"]
    pieces = model["vocab"]
    kinds = [2 if i == model["unk_id"] else 3 if piece in ("<pad>", "</s>") else 1 for i, (piece, _) in enumerate(pieces)]
    return {
        "tokenizer.ggml.model": "t5",
        "tokenizer.ggml.tokens": [piece for piece, _ in pieces],
        "tokenizer.ggml.scores": [float(score) for _, score in pieces],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.eos_token_id": [piece for piece, _ in pieces].index("</s>"),
        "tokenizer.ggml.padding_token_id": [piece for piece, _ in pieces].index("<pad>"),
        "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.remove_extra_whitespaces": True,
    }


def _single_text(out, config):
    o, rows = out.options, networks.umt5(config)
    if o.text in gguf.BLOCKS:
        entries = out.gguf_entries(rows, o.text, names.umt5_gguf, "")
        metadata = dict({"general.architecture": "t5encoder"}, **_words())
        out.gguf("text_encoders", f"umt5-xxl-encoder-{o.text}.gguf", entries, metadata)
        return
    with open(os.path.join(TOKENIZER, "spiece.model"), "rb") as file:
        model = file.read()
    words = writers.Entry("spiece_model", "U8", (len(model),), lambda: [model], small=True)
    out.weights("text_encoders", f"umt5_xxl_{o.text.lower()}", out.entries(rows, o.text) + [words])


def single(out, model, title):
    parts = model["parts"]
    for name, noise in (("transformer", "high_noise"), ("transformer_2", "low_noise")):
        if name in parts:
            stem = f"{title}_{noise}" if "transformer_2" in parts else title
            _single_dit(out, stem, networks.wan_dit(parts[name], model.get("camera")), name)
    if "text_encoder" in parts:
        _single_text(out, parts["text_encoder"])
    if "vae" in parts:
        config = parts["vae"]
        stem = "wan2.2_vae" if config.get("is_residual") else "wan_2.1_vae"
        rename = lambda name: names.wan_vae(name, config)  # noqa: E731
        out.weights("vae", stem, out.entries(networks.wan_vae(config), out.options.vae, None, rename))
    if "image_encoder" in parts:
        out.weights("clip_vision", "clip_vision_h", out.entries(networks.clip_vision(parts["image_encoder"]), out.options.clip))
