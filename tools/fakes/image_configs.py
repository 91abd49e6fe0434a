"""What is published of image models: networks' configurations, and which of them make up a model."""

VAE = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "force_upcast": True,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 1024,
    "scaling_factor": 0.13025,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
FLUX_VAE = dict(
    VAE,
    latent_channels=16,
    mid_block_add_attention=True,
    scaling_factor=0.3611,
    shift_factor=0.1159,
    use_post_quant_conv=False,
    use_quant_conv=False,
)
FLUX = {
    "_class_name": "FluxTransformer2DModel",
    "attention_head_dim": 128,
    "guidance_embeds": True,
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "num_attention_heads": 24,
    "num_layers": 19,
    "num_single_layers": 38,
    "patch_size": 1,
    "pooled_projection_dim": 768,
}
T5_XXL = {
    "architectures": ["T5EncoderModel"],
    "d_ff": 10240,
    "d_kv": 64,
    "d_model": 4096,
    "decoder_start_token_id": 0,
    "dense_act_fn": "gelu_new",
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": True,
    "is_gated_act": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "num_decoder_layers": 24,
    "num_heads": 64,
    "num_layers": 24,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32,
    "tie_word_embeddings": False,
    "use_cache": True,
    "vocab_size": 32128,
}
CLIP_L = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "projection_dim": 768,
    "vocab_size": 49408,
}
CLIP_G = dict(
    CLIP_L,
    architectures=["CLIPTextModelWithProjection"],
    hidden_act="gelu",
    hidden_size=1280,
    intermediate_size=5120,
    num_attention_heads=20,
    num_hidden_layers=32,
    projection_dim=1280,
)
SDXL_UNET = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "only_cross_attention": False,
    "out_channels": 4,
    "projection_class_embeddings_input_dim": 2816,
    "resnet_time_scale_shift": "default",
    "sample_size": 128,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "upcast_attention": None,
    "use_linear_projection": True,
}
REFINER_UNET = dict(
    SDXL_UNET,
    attention_head_dim=[6, 12, 24, 24],
    block_out_channels=[384, 768, 1536, 1536],
    cross_attention_dim=1280,
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    projection_class_embeddings_input_dim=2560,
    transformer_layers_per_block=4,
    up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
)
SD15_UNET = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 768,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}
_BOTH = ("act_fn", "flip_sin_to_cos", "freq_shift", "mid_block_scale_factor", "norm_eps", "norm_num_groups")
_SHARED = (*_BOTH, "addition_embed_type", "addition_time_embed_dim", "attention_head_dim", "block_out_channels",
           "cross_attention_dim", "down_block_types", "downsample_padding", "in_channels", "layers_per_block",
           "only_cross_attention", "projection_class_embeddings_input_dim", "resnet_time_scale_shift",
           "transformer_layers_per_block", "upcast_attention", "use_linear_projection")  # fmt: skip
CONTROLNET = dict(
    {key: SDXL_UNET[key] for key in _SHARED},
    _class_name="ControlNetModel",
    conditioning_embedding_out_channels=[16, 32, 96, 256],
    controlnet_conditioning_channel_order="rgb",
    global_pool_conditions=False,
)
# a backbone; the network itself has no configuration that tells its shape
BIREFNET = {
    "_class_name": "BiRefNet",
    "depths": [2, 2, 18, 2],
    "embed_dim": 192,
    "num_heads": [6, 12, 24, 48],
    "window_size": 12,
}
BIREFNET_LITE = dict(BIREFNET, depths=[2, 2, 6, 2], embed_dim=96, num_heads=[3, 6, 12, 24], window_size=7)
BIREFNET_CONFIG = {
    "_name_or_path": "ZhengPeng7/BiRefNet",
    "architectures": ["BiRefNet"],
    "auto_map": {"AutoConfig": "BiRefNet_config.BiRefNetConfig", "AutoModelForImageSegmentation": "birefnet.BiRefNet"},
    "bb_pretrained": False,
}

FLOW = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}
EULER = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
    "use_karras_sigmas": False,
}

# ---- smaller networks of the same kind; heads are as wide as single files need them ---------------------------------

_CLIP = {"tiny": dict(hidden_size=64, intermediate_size=128, num_attention_heads=1, num_hidden_layers=2, projection_dim=64),
         "middle": dict(hidden_size=256, intermediate_size=1024, num_attention_heads=4, num_hidden_layers=6, projection_dim=256)}  # fmt: skip
_T5 = {"tiny": dict(d_model=64, d_kv=16, d_ff=128, num_heads=4, num_layers=2),
       "middle": dict(d_model=512, d_kv=64, d_ff=1024, num_heads=8, num_layers=6)}  # fmt: skip
_FLUX = {"tiny": dict(num_attention_heads=2, num_layers=2, num_single_layers=2, joint_attention_dim=64, pooled_projection_dim=64),
         "middle": dict(num_attention_heads=6, num_layers=5, num_single_layers=10, joint_attention_dim=512,
                        pooled_projection_dim=256)}  # fmt: skip
_UNET = {"tiny": dict(block_out_channels=[64, 64, 128], attention_head_dim=[1, 1, 2], transformer_layers_per_block=[1, 1, 2],
                      cross_attention_dim=128, projection_class_embeddings_input_dim=1600),
         "middle": dict(block_out_channels=[128, 256, 512], attention_head_dim=[2, 4, 8], transformer_layers_per_block=[1, 2, 4],
                        cross_attention_dim=512, projection_class_embeddings_input_dim=1792)}  # fmt: skip
_VAE = {"tiny": dict(block_out_channels=[32, 32, 64, 64]), "middle": dict(block_out_channels=[64, 64, 128, 128])}
_SWIN = {"tiny": dict(embed_dim=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8], window_size=4),
         "middle": dict(embed_dim=48, depths=[2, 2, 4, 2], num_heads=[2, 4, 8, 16])}  # fmt: skip
_SD15 = {"tiny": dict(block_out_channels=[32, 32, 64, 64], attention_head_dim=2, cross_attention_dim=64),
         "middle": dict(block_out_channels=[64, 128, 256, 256], cross_attention_dim=256)}  # fmt: skip
_REFINER = {"tiny": dict(block_out_channels=[64, 64, 128, 128], attention_head_dim=[1, 1, 2, 2], transformer_layers_per_block=1,
                         cross_attention_dim=64, projection_class_embeddings_input_dim=1344),
            "middle": dict(block_out_channels=[128, 256, 512, 512], attention_head_dim=[2, 4, 8, 8],
                           cross_attention_dim=256, projection_class_embeddings_input_dim=1536)}  # fmt: skip

FAST = {"dit": "BF16", "text": "BF16", "vae": "BF16", "clip": "BF16"}
HALF = {"dit": "F16", "text": "F16", "vae": "F16", "clip": "F16"}


def _scales(**tables):
    return {scale: {part: table[scale] for part, table in tables.items()} for scale in ("tiny", "middle")}


def _flux(title, pipeline, transformer, scheduler=FLOW, shards=3):
    parts = {"transformer": transformer, "text_encoder": CLIP_L, "text_encoder_2": T5_XXL, "vae": FLUX_VAE}
    scales = _scales(transformer=_FLUX, text_encoder=_CLIP, text_encoder_2=_T5, vae=_VAE)
    return {"family": "flux", "title": title, "pipeline": pipeline, "parts": parts, "scales": scales, "dtypes": FAST,
            "scheduler": scheduler, "shards": shards}  # fmt: skip


def _part(config, scale, dtypes=HALF, **more):
    return dict({"family": "part", "parts": {"": config}, "scales": _scales(**{"": scale}), "dtypes": dtypes}, **more)


def _stable(title, pipeline, unet, encoders, scale):
    parts = dict({"unet": unet, "vae": dict(VAE, scaling_factor=0.18215, sample_size=512) if unet is SD15_UNET else VAE}, **encoders)
    scales = _scales(unet=scale, vae=_VAE, **{name: _CLIP for name in encoders})
    return {"family": "stable", "title": title, "pipeline": pipeline, "parts": parts, "scales": scales, "dtypes": HALF,
            "scheduler": EULER, "variant": unet is not SD15_UNET, "refiner": unet is REFINER_UNET}  # fmt: skip


MODELS = {
    "flux-dev": _flux("flux1-dev", "FluxPipeline", FLUX),
    "flux-schnell": _flux("flux1-schnell", "FluxPipeline", dict(FLUX, guidance_embeds=False),
                          dict(FLOW, shift=1.0, use_dynamic_shifting=False)),
    "flux-fill": _flux("flux1-fill-dev", "FluxFillPipeline", dict(FLUX, in_channels=384, out_channels=64)),
    "sdxl": _stable("sd_xl_base_1.0", "StableDiffusionXLPipeline", SDXL_UNET,
                    {"text_encoder": CLIP_L, "text_encoder_2": CLIP_G}, _UNET),
    "sdxl-refiner": _stable("sd_xl_refiner_1.0", "StableDiffusionXLImg2ImgPipeline", REFINER_UNET,
                            {"text_encoder_2": CLIP_G}, _REFINER),
    "sd-1.5": _stable("v1-5-pruned-emaonly", "StableDiffusionPipeline", SD15_UNET, {"text_encoder": CLIP_L}, _SD15),
    "controlnet-canny": _part(CONTROLNET, _UNET, variant=True),
    "controlnet-depth": _part(CONTROLNET, _UNET, variant=True),
    "t5-xxl": _part(T5_XXL, _T5, FAST),
    "clip-l": _part(CLIP_L, _CLIP),
    "clip-g": _part(CLIP_G, _CLIP),
    "flux-vae": _part(FLUX_VAE, _VAE, FAST),
    "sdxl-vae": _part(VAE, _VAE),
    "birefnet": _part(BIREFNET, _SWIN),
    "birefnet-lite": _part(BIREFNET_LITE, _SWIN),
}  # fmt: skip
