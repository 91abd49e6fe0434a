"""The tensors of each network: a list of (name, shape, mean, deviation), names as diffusers and transformers have them.

Deviations keep activations near 1 through any number of layers: 1 / sqrt(inputs) for matrices and convolutions, norm
weights around 1. names.py knows the names of the original repositories.
"""

BIAS = 0.02  # of a bias: small beside the output, but not zero, so that a forgotten one shows


class Tensors:
    """Collects tensors; `prefix` goes before the names that follow."""

    def __init__(self):
        self.rows = []
        self.prefix = ""

    def at(self, prefix):
        self.prefix = prefix + "." if prefix else ""
        return self

    def add(self, name, shape, mean=0.0, deviation=1.0):
        self.rows.append((self.prefix + name, tuple(shape), mean, deviation))

    def linear(self, name, inputs, outputs, bias=True, gain=1.0):
        self.add(name + ".weight", (outputs, inputs), 0.0, gain * inputs**-0.5)
        if bias:
            self.add(name + ".bias", (outputs,), 0.0, BIAS)

    def conv(self, name, inputs, outputs, *kernel, bias=True):
        taps = 1
        for k in kernel:
            taps *= k
        self.add(name + ".weight", (outputs, inputs, *kernel), 0.0, (inputs * taps) ** -0.5)
        if bias:
            self.add(name + ".bias", (outputs,), 0.0, BIAS)

    def norm(self, name, size, bias=False):
        self.add(name + ".weight", (size,), 1.0, 0.1)
        if bias:
            self.add(name + ".bias", (size,), 0.0, BIAS)


# ---- transformer ----------------------------------------------------------------------------------------------------


def _attention(t, dim, image):
    for name in ("to_q", "to_k", "to_v", "to_out.0"):
        t.linear(name, dim, dim)
    t.norm("norm_q", dim)
    t.norm("norm_k", dim)
    if image:
        t.linear("add_k_proj", dim, dim)
        t.linear("add_v_proj", dim, dim)
        t.norm("norm_added_k", dim)


def _image_embedder(t, cfg, dim):
    t.at("condition_embedder.image_embedder")
    t.norm("norm1", cfg["image_dim"], bias=True)
    t.linear("ff.net.0.proj", cfg["image_dim"], cfg["image_dim"])
    t.linear("ff.net.2", cfg["image_dim"], dim)
    t.norm("norm2", dim, bias=True)
    if cfg.get("pos_embed_seq_len"):
        t.add("pos_embed", (1, cfg["pos_embed_seq_len"], cfg["image_dim"]), 0.0, 0.1)


CAMERA = 1536  # 6 values a pixel, 8 x 8 pixels a latent, 2 x 2 latents a token


def _camera(t, cfg, dim):
    t.at("").linear("patch_embedding_wancamctrl", CAMERA, dim)
    t.linear("c2ws_hidden_states_layer1", dim, dim)
    t.linear("c2ws_hidden_states_layer2", dim, dim)
    for i in range(cfg["num_layers"]):
        t.at(f"blocks.{i}")
        for name in ("cam_injector_layer1", "cam_injector_layer2", "cam_scale_layer", "cam_shift_layer"):
            t.linear(name, dim, dim, gain=0.3 if "layer1" not in name and "layer2" not in name else 1.0)


def wan_dit(cfg, camera=False):
    """WanTransformer3DModel; camera: with the tensors of LingBot-World, which only the original naming has."""
    t = Tensors()
    dim = cfg["num_attention_heads"] * cfg["attention_head_dim"]
    patch = cfg["patch_size"]
    t.conv("patch_embedding", cfg["in_channels"], dim, *patch)
    t.at("condition_embedder")
    t.linear("time_embedder.linear_1", cfg["freq_dim"], dim)
    t.linear("time_embedder.linear_2", dim, dim)
    t.linear("time_proj", dim, 6 * dim)
    t.linear("text_embedder.linear_1", cfg["text_dim"], dim)
    t.linear("text_embedder.linear_2", dim, dim)
    if cfg.get("image_dim"):
        _image_embedder(t, cfg, dim)
    for i in range(cfg["num_layers"]):
        t.at(f"blocks.{i}").add("scale_shift_table", (1, 6, dim), 0.0, dim**-0.5)
        _attention(t.at(f"blocks.{i}.attn1"), dim, False)
        _attention(t.at(f"blocks.{i}.attn2"), dim, cfg.get("added_kv_proj_dim"))
        t.at(f"blocks.{i}")
        if cfg["cross_attn_norm"]:
            t.norm("norm2", dim, bias=True)
        t.linear("ffn.net.0.proj", dim, cfg["ffn_dim"])
        t.linear("ffn.net.2", cfg["ffn_dim"], dim)
    t.at("").add("scale_shift_table", (1, 2, dim), 0.0, dim**-0.5)
    t.linear("proj_out", dim, cfg["out_channels"] * patch[0] * patch[1] * patch[2])
    if camera:
        _camera(t, cfg, dim)
    return t.rows


# ---- text encoder ---------------------------------------------------------------------------------------------------


def umt5(cfg):
    """UMT5EncoderModel, or T5EncoderModel by model_type; the tied embedding is stored once."""
    t = Tensors()
    dim, inner, ffn = cfg["d_model"], cfg["num_heads"] * cfg["d_kv"], cfg["d_ff"]
    gated = cfg.get("feed_forward_proj", "gated-gelu").startswith("gated-")
    t.add("shared.weight", (cfg["vocab_size"], dim))
    for i in range(cfg["num_layers"]):
        t.at(f"encoder.block.{i}.layer.0").norm("layer_norm", dim)
        t.linear("SelfAttention.q", dim, inner, bias=False, gain=cfg["d_kv"] ** -0.5)  # scores are not divided
        for name in ("k", "v"):
            t.linear(f"SelfAttention.{name}", dim, inner, bias=False)
        t.linear("SelfAttention.o", inner, dim, bias=False)
        if i == 0 or cfg.get("model_type") != "t5":
            t.add(
                "SelfAttention.relative_attention_bias.weight",
                (cfg.get("relative_attention_num_buckets", 32), cfg["num_heads"]),
            )
        t.at(f"encoder.block.{i}.layer.1").norm("layer_norm", dim)
        for name in ("wi_0", "wi_1") if gated else ("wi",):
            t.linear(f"DenseReluDense.{name}", dim, ffn, bias=False)
        t.linear("DenseReluDense.wo", ffn, dim, bias=False)
    t.at("encoder").norm("final_layer_norm", dim)
    return t.rows


# ---- video VAE ------------------------------------------------------------------------------------------------------


def _gamma(t, name, size, rank):
    t.add(name + ".gamma", (size,) + (1,) * rank, 1.0, 0.1)


def _res(t, prefix, inputs, outputs):
    t.at(prefix)
    _gamma(t, "norm1", inputs, 3)
    t.conv("conv1", inputs, outputs, 3, 3, 3)
    _gamma(t, "norm2", outputs, 3)
    t.conv("conv2", outputs, outputs, 3, 3, 3)
    if inputs != outputs:
        t.conv("conv_shortcut", inputs, outputs, 1, 1, 1)


def _middle(t, coder, dim):
    _res(t, f"{coder}.mid_block.resnets.0", dim, dim)
    t.at(f"{coder}.mid_block.attentions.0")
    _gamma(t, "norm", dim, 2)
    t.conv("to_qkv", dim, 3 * dim, 1, 1)
    t.conv("proj", dim, dim, 1, 1)
    _res(t, f"{coder}.mid_block.resnets.1", dim, dim)


def _encoder(t, cfg, residual):
    dim, flat = cfg["base_dim"], 0
    mult, temporal = cfg["dim_mult"], cfg["temperal_downsample"]
    t.at("encoder").conv("conv_in", cfg.get("in_channels") or 3, dim, 3, 3, 3)
    for i, m in enumerate(mult):
        out = cfg["base_dim"] * m
        for j in range(cfg["num_res_blocks"]):
            _res(t, f"encoder.down_blocks.{i}.resnets.{j}" if residual else f"encoder.down_blocks.{flat}", dim, out)
            dim, flat = out, flat + 1
        if i + 1 < len(mult):
            t.at(f"encoder.down_blocks.{i}.downsampler" if residual else f"encoder.down_blocks.{flat}")
            flat += 1
            t.conv("resample.1", dim, dim, 3, 3)
            if temporal[i]:
                t.conv("time_conv", dim, dim, 3, 1, 1)
    _middle(t, "encoder", dim)
    _gamma(t.at("encoder"), "norm_out", dim, 3)
    t.conv("conv_out", dim, 2 * cfg["z_dim"], 3, 3, 3)


def _decoder(t, cfg, residual):
    mult, temporal = cfg["dim_mult"][::-1], cfg["temperal_downsample"][::-1]
    base = cfg.get("decoder_base_dim") or cfg["base_dim"]
    dim = base * mult[0]
    t.at("decoder").conv("conv_in", cfg["z_dim"], dim, 3, 3, 3)
    _middle(t, "decoder", dim)
    for i, m in enumerate(mult):
        out = base * m
        dim = dim // 2 if i and not residual else dim  # 2.1 halves the channels when it goes up
        for j in range(cfg["num_res_blocks"] + 1):
            _res(t, f"decoder.up_blocks.{i}.resnets.{j}", dim, out)
            dim = out
        if i + 1 < len(mult):
            t.at(f"decoder.up_blocks.{i}." + ("upsampler" if residual else "upsamplers.0"))
            t.conv("resample.1", dim, dim if residual else dim // 2, 3, 3)
            if temporal[i]:
                t.conv("time_conv", dim, 2 * dim, 3, 1, 1)
    _gamma(t.at("decoder"), "norm_out", dim, 3)
    t.conv("conv_out", dim, cfg.get("out_channels") or 3, 3, 3, 3)


def wan_vae(cfg):
    """AutoencoderKLWan: 2.1, or 2.2 with is_residual."""
    t = Tensors()
    residual = bool(cfg.get("is_residual"))
    _encoder(t, cfg, residual)
    t.at("").conv("quant_conv", 2 * cfg["z_dim"], 2 * cfg["z_dim"], 1, 1, 1)
    t.conv("post_quant_conv", cfg["z_dim"], cfg["z_dim"], 1, 1, 1)
    _decoder(t, cfg, residual)
    return t.rows


# ---- CLIP vision tower ----------------------------------------------------------------------------------------------


def clip_layers(t, prefix, cfg):
    """The encoder's layers, the same for pictures and texts."""
    dim, ffn = cfg["hidden_size"], cfg["intermediate_size"]
    for i in range(cfg["num_hidden_layers"]):
        t.at(f"{prefix}.encoder.layers.{i}")
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            t.linear("self_attn." + name, dim, dim)
        t.norm("layer_norm1", dim, bias=True)
        t.linear("mlp.fc1", dim, ffn)
        t.linear("mlp.fc2", ffn, dim)
        t.norm("layer_norm2", dim, bias=True)


def clip_vision(cfg):
    """CLIPVisionModel, with the prefix that published files carry."""
    t = Tensors()
    dim, patch = cfg["hidden_size"], cfg["patch_size"]
    t.at("vision_model.embeddings").add("class_embedding", (dim,), 0.0, 0.1)
    t.conv("patch_embedding", cfg.get("num_channels", 3), dim, patch, patch, bias=False)
    t.add("position_embedding.weight", ((cfg["image_size"] // patch) ** 2 + 1, dim), 0.0, 0.1)
    t.at("vision_model").norm("pre_layrnorm", dim, bias=True)
    clip_layers(t, "vision_model", cfg)
    t.at("vision_model").norm("post_layernorm", dim, bias=True)
    return t.rows
