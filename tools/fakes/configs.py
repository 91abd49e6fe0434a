"""What is published: networks' configurations, and which of them make up a model."""

import copy

MEAN_21 = [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632,
           -0.1922, -0.9497, 0.2503, -0.2921]  # fmt: skip
STD_21 = [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382,
          1.1253, 2.8251, 1.9160]  # fmt: skip
MEAN_22 = [-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891, 0.1570,
           -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502, -0.2055,
           -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723, -0.2839,
           -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667]  # fmt: skip
STD_22 = [0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901, 0.6885,
          0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659, 0.7069, 0.5338,
          0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458,
          1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744]  # fmt: skip

VAE_21 = {
    "_class_name": "AutoencoderKLWan",
    "attn_scales": [],
    "base_dim": 96,
    "dim_mult": [1, 2, 4, 4],
    "dropout": 0.0,
    "latents_mean": MEAN_21,
    "latents_std": STD_21,
    "num_res_blocks": 2,
    "temperal_downsample": [False, True, True],
    "z_dim": 16,
}
VAE_22 = dict(
    VAE_21,
    base_dim=160,
    decoder_base_dim=256,
    in_channels=12,
    is_residual=True,
    latents_mean=MEAN_22,
    latents_std=STD_22,
    out_channels=12,
    patch_size=2,
    scale_factor_spatial=16,
    scale_factor_temporal=4,
    z_dim=48,
)
UMT5_XXL = {
    "architectures": ["UMT5EncoderModel"],
    "d_ff": 10240,
    "d_kv": 64,
    "d_model": 4096,
    "decoder_start_token_id": 0,
    "dense_act_fn": "gelu_new",
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "is_gated_act": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "umt5",
    "num_decoder_layers": 24,
    "num_heads": 64,
    "num_layers": 24,
    "pad_token_id": 0,
    "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32,
    "scalable_attention": True,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 256384,
}
CLIP_VIT_H = {
    "architectures": ["CLIPVisionModel"],
    "attention_dropout": 0.0,
    "hidden_act": "gelu",
    "hidden_size": 1280,
    "image_size": 224,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 5120,
    "layer_norm_eps": 1e-05,
    "model_type": "clip_vision_model",
    "num_attention_heads": 16,
    "num_channels": 3,
    "num_hidden_layers": 32,
    "patch_size": 14,
    "projection_dim": 1024,
    "torch_dtype": "float16",
}
DIT_14B = {
    "_class_name": "WanTransformer3DModel",
    "added_kv_proj_dim": None,
    "attention_head_dim": 128,
    "cross_attn_norm": True,
    "eps": 1e-06,
    "ffn_dim": 13824,
    "freq_dim": 256,
    "image_dim": None,
    "in_channels": 16,
    "num_attention_heads": 40,
    "num_layers": 40,
    "out_channels": 16,
    "patch_size": [1, 2, 2],
    "pos_embed_seq_len": None,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 1024,
    "text_dim": 4096,
}
DIT_5B = dict(DIT_14B, num_attention_heads=24, ffn_dim=14336, num_layers=30, in_channels=48, out_channels=48)
DIT_1_3B = dict(DIT_14B, num_attention_heads=12, ffn_dim=8960, num_layers=30)
DIT_CLIP = dict(DIT_14B, in_channels=36, image_dim=1280, added_kv_proj_dim=5120)

SCHEDULER = {
    "_class_name": "UniPCMultistepScheduler",
    "disable_corrector": [],
    "final_sigmas_type": "zero",
    "lower_order_final": True,
    "num_train_timesteps": 1000,
    "predict_x0": True,
    "prediction_type": "flow_prediction",
    "solver_order": 2,
    "solver_type": "bh2",
    "thresholding": False,
    "timestep_spacing": "linspace",
    "use_flow_sigmas": True,
}


def _model(dit, vae=VAE_21, shift=3.0, shards=6, task="t2v", **more):
    parts = {"transformer": dit, "vae": vae, "text_encoder": UMT5_XXL}
    boundary = more.pop("boundary", None)
    if boundary:
        parts["transformer_2"] = dit
    if dit.get("image_dim"):
        parts["image_encoder"] = CLIP_VIT_H
    return dict({"parts": parts, "shift": shift, "shards": shards, "task": task, "boundary": boundary}, **more)


MODELS = {
    "ti2v-5b": _model(DIT_5B, VAE_22, 5.0, 3, "ti2v", per_token=True),
    "t2v-1.3b": _model(DIT_1_3B, shards=1),
    "t2v-14b": _model(DIT_14B),
    "t2v-a14b": _model(DIT_14B, boundary=0.875),
    "i2v-a14b": _model(dict(DIT_14B, in_channels=36), boundary=0.9, task="i2v"),
    "i2v-14b": _model(DIT_CLIP, task="i2v"),
    "flf2v-14b": _model(dict(DIT_CLIP, pos_embed_seq_len=514), shift=16.0, task="i2v"),
    "lingbot-world": _model(
        dict(DIT_14B, in_channels=36), boundary=0.947, shift=10.0, task="i2v", camera=True, shards=8
    ),
    "umt5-xxl": {"parts": {"text_encoder": UMT5_XXL}},
    "vae-2.1": {"parts": {"vae": VAE_21}},
    "vae-2.2": {"parts": {"vae": VAE_22}},
    "clip-vit-h": {"parts": {"image_encoder": CLIP_VIT_H}},
}

# The same structure, smaller: every ratio that matters to a plan (experts, blocks, levels) stays.
SCALES = {
    "tiny": {
        "transformer": dict(num_attention_heads=4, attention_head_dim=24, ffn_dim=256, num_layers=4, text_dim=64),
        "text_encoder": dict(d_model=64, d_kv=24, d_ff=128, num_heads=4, num_layers=3, vocab_size=512),
        "vae": dict(base_dim=16),
        "image_encoder": dict(hidden_size=80, intermediate_size=160, num_attention_heads=4, num_hidden_layers=3),
    },
    "middle": {
        "transformer": dict(num_attention_heads=8, attention_head_dim=64, ffn_dim=2048, num_layers=12, text_dim=512),
        "text_encoder": dict(d_model=512, d_kv=64, d_ff=1024, num_heads=8, num_layers=8, vocab_size=32128),
        "vae": dict(base_dim=32),
        "image_encoder": dict(hidden_size=320, intermediate_size=1280, num_attention_heads=8, num_hidden_layers=8),
    },
}


def scaled(model, scale):
    """A copy of a model's description at another scale ("full" is as published)."""
    model = copy.deepcopy(model)
    tables = model.get("scales", SCALES)
    for name, part in model["parts"].items():
        if scale == "full":
            break
        part.update(tables[scale]["transformer" if name == "transformer_2" and tables is SCALES else name])
        if "decoder_base_dim" in part:
            part["decoder_base_dim"] = part["base_dim"] * 3 // 2
        if part.get("image_dim"):
            part["image_dim"] = SCALES[scale]["image_encoder"]["hidden_size"]
            part["added_kv_proj_dim"] = part["num_attention_heads"] * part["attention_head_dim"]
    return model
