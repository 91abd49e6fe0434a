/* identity.c  A table of tensors that only one network has, and what its shapes tell beyond that.
 *
 * Order matters: a ControlNet has all that the first half of a UNet has, a checkpoint of Stable Diffusion holds a UNet,
 * a VAE and text encoders. */
#include "pipelines/identity.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

/** A network as some files spell it. */
typedef struct Marker {
    const char *name;
    IdentityKind kind;
    bool ours; /* names of diffusers and transformers */
    const char *words;
} Marker;

static const char OURS[] = "names of diffusers and transformers", ORIGINAL[] = "original names";

static const Marker MARKERS[] = {
    { "double_blocks.0.img_attn.norm.key_norm.scale", IDENTITY_FLUX, false, NULL },
    { "transformer_blocks.0.attn.add_q_proj.weight", IDENTITY_FLUX, true, NULL },
    { "controlnet_mid_block.weight", IDENTITY_CONTROLNET, true, NULL },
    { "zero_convs.0.0.weight", IDENTITY_CONTROLNET, false, NULL },
    { "up_blocks.0.resnets.0.time_emb_proj.weight", IDENTITY_UNET, true, NULL },
    { "output_blocks.0.0.emb_layers.1.weight", IDENTITY_UNET, false, NULL },
    { "decoder.decoder_block1.dec_att.aspp1.atrous_conv.offset_conv.weight", IDENTITY_BIREFNET,
      false, NULL },
    { "joint_blocks.0.context_block.adaLN_modulation.1.bias", IDENTITY_OTHER, false,
      "a Stable Diffusion 3 transformer" },
    { "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias", IDENTITY_OTHER, false,
      "a HunyuanVideo transformer" },
    { "condition_embedder.time_proj.weight", IDENTITY_OTHER, true, "a Wan transformer" },
    { "head.modulation", IDENTITY_OTHER, false, "a Wan transformer" },
    { "decoder.mid_block.resnets.0.norm1.gamma", IDENTITY_OTHER, true, "a Wan video VAE" },
    { "decoder.middle.0.residual.0.gamma", IDENTITY_OTHER, false, "a Wan video VAE" },
    { "decoder.mid_block.resnets.0.conv1.weight", IDENTITY_VAE, true, NULL },
    { "decoder.mid.block_1.conv1.weight", IDENTITY_VAE, false, NULL },
    { "text_model.encoder.layers.0.layer_norm1.weight", IDENTITY_CLIP, true, NULL },
    { "transformer.resblocks.0.ln_1.weight", IDENTITY_CLIP, false, NULL },
    { "encoder.block.0.layer.0.SelfAttention.q.weight", IDENTITY_T5, true, NULL },
    { "enc.blk.0.attn_q.weight", IDENTITY_T5, false, NULL },
};

/** A file under inspection: what stands before the names of the network that was found. */
typedef struct Look {
    const Checkpoint *weights;
    const char *prefix;
    int n_prefix;
} Look;

/* The name that ends in the marker with the least before it. */
static bool find(Look *look, const char *marker)
{
    const size_t n = strlen(marker);
    size_t best = SIZE_MAX;
    for (int32_t i = 0; i < checkpoint_count(look->weights); i++) {
        const char *name = checkpoint_entry(look->weights, i)->name;
        const size_t length = strlen(name);
        if (length < n || length - n >= best || strcmp(name + length - n, marker) != 0) continue;
        if (length > n && name[length - n - 1] != '.') continue;
        best = length - n;
        look->prefix = name;
        look->n_prefix = (int)best;
    }
    return best != SIZE_MAX;
}

static bool holds(const Checkpoint *c, const char *marker)
{
    Look look = { .weights = c };
    return find(&look, marker);
}

/* A dimension of a tensor behind the prefix; 0: it is not there, or has no such dimension. */
static int64_t dim(const Look *look, const char *name, int which)
{
    char full[256];
    const int n = snprintf(full, sizeof full, "%.*s%s", look->n_prefix,
                           look->prefix ? look->prefix : "", name);
    if (n < 0 || (size_t)n >= sizeof full) return 0;
    const int32_t i = checkpoint_find(look->weights, full);
    if (i < 0) return 0;
    const Entry *e = checkpoint_entry(look->weights, i);
    return which < e->rank ? e->dim[which] : 0;
}

/* Tensors `before` 0.. `after`, without a gap. */
static int count(const Look *look, const char *before, const char *after)
{
    char name[128];
    int n = 0;
    for (; n < 1024; n++) {
        (void)snprintf(name, sizeof name, "%s%d%s", before, n, after);
        if (dim(look, name, 0) == 0) return n;
    }
    return n;
}

/* ---- each network --------------------------------------------------------------------------- */

static void tell_flux(Identity *out, const Look *look, bool ours)
{
    const int64_t in = dim(look, ours ? "x_embedder.weight" : "img_in.weight", 1);
    const int64_t result = dim(look, ours ? "proj_out.weight" : "final_layer.linear.weight", 0);
    const bool guided = dim(look,
                            ours ? "time_text_embed.guidance_embedder.linear_1.weight"
                                 : "guidance_in.in_layer.weight",
                            0) > 0;
    out->words = in == 2 * result ? "a FLUX.1 Canny or Depth transformer"
                 : in > result    ? "a FLUX.1 Fill transformer"
                 : guided         ? "a FLUX.1 dev transformer"
                                  : "a FLUX.1 schnell transformer";
    (void)snprintf(out->sizes, sizeof out->sizes,
                   "%d double and %d single blocks of width %lld, %lld channels in, %lld out%s",
                   count(look, ours ? "transformer_blocks." : "double_blocks.",
                         ours ? ".attn.norm_q.weight" : ".img_attn.norm.query_norm.scale"),
                   count(look, ours ? "single_transformer_blocks." : "single_blocks.",
                         ours ? ".attn.norm_q.weight" : ".norm.query_norm.scale"),
                   (long long)dim(look, ours ? "x_embedder.weight" : "img_in.weight", 0),
                   (long long)in, (long long)result, guided ? ", takes a guidance" : "");
}

/** What tells UNets and ControlNets of several models apart. */
typedef struct UnetShape {
    int64_t in, text, width;
    bool told; /* of the picture's size: SDXL */
    bool four; /* levels */
} UnetShape;

static UnetShape unet_shape(const Look *look, bool ours)
{
    const char *text = ours ? "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"
                            : "middle_block.1.transformer_blocks.0.attn2.to_k.weight";
    const char *first = ours ? "conv_in.weight" : "input_blocks.0.0.weight";
    const char *added = ours ? "add_embedding.linear_1.weight" : "label_emb.0.0.weight";
    const char *last =
        ours ? "down_blocks.3.resnets.0.conv1.weight" : "input_blocks.10.0.in_layers.2.weight";
    return (UnetShape){ .in = dim(look, first, 1),
                        .text = dim(look, text, 1),
                        .width = dim(look, first, 0),
                        .told = dim(look, added, 0) > 0,
                        .four = dim(look, last, 0) > 0 };
}

static void add_unet_sizes(Identity *out, const UnetShape *u)
{
    (void)snprintf(out->sizes, sizeof out->sizes,
                   "%d levels from width %lld, %lld channels in, text of width %lld",
                   u->four ? 4 : 3, (long long)u->width, (long long)u->in, (long long)u->text);
}

static void tell_unet(Identity *out, const Look *look, bool ours)
{
    const UnetShape u = unet_shape(look, ours);
    out->whole = holds(look->weights, "decoder.mid.block_1.conv1.weight");
    add_unet_sizes(out, &u);
    if (u.told && !u.four) {
        out->words = u.in > 8     ? "an SDXL inpainting UNet"
                     : out->whole ? "an SDXL checkpoint"
                                  : "an SDXL UNet";
        return;
    }
    out->kind = u.told ? IDENTITY_UNET_REFINER : IDENTITY_UNET_OTHER;
    if (u.told)
        out->words = out->whole ? "an SDXL refiner checkpoint" : "an SDXL refiner UNet";
    else if (u.text >= 1024)
        out->words = out->whole ? "a Stable Diffusion 2 checkpoint" : "a Stable Diffusion 2 UNet";
    else
        out->words = out->whole ? "a Stable Diffusion 1 checkpoint" : "a Stable Diffusion 1 UNet";
}

static void tell_controlnet(Identity *out, const Look *look, bool ours)
{
    const UnetShape u = unet_shape(look, ours);
    add_unet_sizes(out, &u);
    out->words = u.told           ? "a ControlNet for SDXL"
                 : u.text >= 1024 ? "a ControlNet for Stable Diffusion 2"
                                  : "a ControlNet for Stable Diffusion 1";
}

static void tell_vae(Identity *out, const Look *look)
{
    const int64_t z = dim(look, "decoder.conv_in.weight", 1);
    const bool quant = dim(look, "post_quant_conv.weight", 0) > 0;
    if (z == 16 && !quant) out->kind = IDENTITY_VAE_FLUX;
    if (z == 4 && quant) out->kind = IDENTITY_VAE_STABLE;
    out->words = out->kind == IDENTITY_VAE_FLUX     ? "a FLUX VAE"
                 : out->kind == IDENTITY_VAE_STABLE ? "a Stable Diffusion VAE (SDXL, 1 or 2)"
                                                    : "an image VAE";
    (void)snprintf(out->sizes, sizeof out->sizes, "%lld latent channels%s", (long long)z,
                   quant ? ", convolutions around the latent" : "");
}

static void tell_clip(Identity *out, const Look *look, bool ours)
{
    const int64_t width = dim(
        look, ours ? "text_model.embeddings.token_embedding.weight" : "token_embedding.weight", 1);
    const bool projected = dim(look, ours ? "text_projection.weight" : "text_projection", 0) > 0;
    out->words = !ours           ? "an OpenCLIP text encoder"
                 : width == 1280 ? "a CLIP bigG text encoder"
                 : width == 768  ? "a CLIP-L text encoder"
                                 : "a CLIP text encoder";
    (void)snprintf(out->sizes, sizeof out->sizes, "%d layers of width %lld, %lld words%s",
                   count(look, ours ? "text_model.encoder.layers." : "transformer.resblocks.",
                         ours ? ".layer_norm1.weight" : ".ln_1.weight"),
                   (long long)width,
                   (long long)dim(look,
                                  ours ? "text_model.embeddings.token_embedding.weight"
                                       : "token_embedding.weight",
                                  0),
                   projected ? ", a projection" : "");
}

static void tell_t5(Identity *out, const Look *look, bool ours)
{
    const char *second =
        ours ? "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"
             : "enc.blk.1.attn_rel_b.weight";
    const char *words = ours ? "shared.weight" : "token_embd.weight";
    const bool umt5 = dim(look, second, 0) > 0;
    out->kind = umt5 ? IDENTITY_OTHER : IDENTITY_T5;
    out->words = umt5 ? "a umT5 text encoder" : "a T5 text encoder";
    (void)snprintf(out->sizes, sizeof out->sizes, "%d layers of width %lld, %lld words",
                   count(look, ours ? "encoder.block." : "enc.blk.",
                         ours ? ".layer.0.layer_norm.weight" : ".attn_norm.weight"),
                   (long long)dim(look, words, 1), (long long)dim(look, words, 0));
}

static void tell_birefnet(Identity *out, const Look *look)
{
    const int64_t embed = dim(look, "bb.patch_embed.proj.weight", 0);
    out->names = "its own names";
    out->words = embed == 192  ? "a BiRefNet (Swin-L)"
                 : embed == 96 ? "a BiRefNet lite (Swin-T)"
                               : "a BiRefNet";
    (void)snprintf(out->sizes, sizeof out->sizes, "%d + %d + %d + %d blocks from width %lld",
                   count(look, "bb.layers.0.blocks.", ".norm1.weight"),
                   count(look, "bb.layers.1.blocks.", ".norm1.weight"),
                   count(look, "bb.layers.2.blocks.", ".norm1.weight"),
                   count(look, "bb.layers.3.blocks.", ".norm1.weight"), (long long)embed);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void tell(Identity *out, const Look *look, bool ours)
{
    switch (out->kind) {
    case IDENTITY_FLUX:
        tell_flux(out, look, ours);
        return;
    case IDENTITY_UNET:
        tell_unet(out, look, ours);
        return;
    case IDENTITY_CONTROLNET:
        tell_controlnet(out, look, ours);
        return;
    case IDENTITY_VAE:
        tell_vae(out, look);
        return;
    case IDENTITY_CLIP:
        tell_clip(out, look, ours);
        return;
    case IDENTITY_T5:
        tell_t5(out, look, ours);
        return;
    case IDENTITY_BIREFNET:
        tell_birefnet(out, look);
        return;
    default:
        return;
    }
}

void identity_find(Identity *out, const Checkpoint *weights)
{
    *out = (Identity){ .kind = IDENTITY_NONE, .words = "no network that snug knows" };
    if (holds(weights, "lora_A.weight") || holds(weights, "lora_down.weight")) {
        out->kind = IDENTITY_OTHER;
        out->words = "LoRA weights";
        return;
    }
    for (size_t i = 0; i < COUNT(MARKERS); i++) {
        Look look = { .weights = weights };
        if (!find(&look, MARKERS[i].name)) continue;
        *out = (Identity){ .kind = MARKERS[i].kind,
                           .words = MARKERS[i].words,
                           .names = MARKERS[i].ours ? OURS : ORIGINAL,
                           .told_by = MARKERS[i].name };
        tell(out, &look, MARKERS[i].ours);
        return;
    }
}
