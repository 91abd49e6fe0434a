/* sdxl_networks.c  The networks of SDXL: where they are, what they are called, what shapes tell. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "models/clip_names.h"
#include "models/flux_names.h"
#include "models/unet_names.h"
#include "pipelines/identity.h"
#include "pipelines/lora_option.h"
#include "pipelines/sdxl.h"
#include "pipelines/wan_shapes.h"

/* ---- configurations from shapes: UNet and ControlNet ---------------------------------------- */

/** How a file counts the blocks on the way down. */
typedef struct Down {
    WanTensors file;
    bool original;
    int layers, levels;
} Down;

static bool is_original(WanTensors f)
{
    return wan_shapes_find(f, "input_blocks.0.0.weight") != NULL;
}

/* `part` of layer 0 of a level: "resnets" or "attentions"; `tail` as each side spells it. */
static void name_of(const Down *d, int level, bool attention, const char *ours, const char *theirs,
                    char name[96])
{
    if (d->original)
        (void)snprintf(name, 96, "input_blocks.%d.%d%s", 1 + level * (d->layers + 1), attention,
                       theirs);
    else
        (void)snprintf(name, 96, "down_blocks.%d.%s.0%s", level,
                       attention ? "attentions" : "resnets", ours);
}

/* Layers of a level and levels, by where sizes are halved. */
static void count(Down *d)
{
    char name[64];
    int first = 0;
    d->original = is_original(d->file);
    if (!d->original) {
        d->layers = wan_shapes_count(d->file, "down_blocks.0.resnets.", ".conv1.weight");
        d->levels = wan_shapes_count(d->file, "down_blocks.", ".resnets.0.conv1.weight");
        return;
    }
    for (int i = 1; i < 64; i++) {
        (void)snprintf(name, sizeof name, "input_blocks.%d.0.op.weight", i);
        if (!wan_shapes_find(d->file, name)) continue;
        if (!first) first = i;
        d->levels++;
    }
    d->levels++;
    d->layers = first ? first - 1 : 0;
}

static int depth_of(const Down *d, int level)
{
    char name[96];
    if (level == d->levels) /* the middle */
        return wan_shapes_count(d->file,
                                d->original ? "middle_block.1.transformer_blocks."
                                            : "mid_block.attentions.0.transformer_blocks.",
                                ".attn2.to_k.weight");
    name_of(d, level, true, ".transformer_blocks.", ".transformer_blocks.", name);
    return wan_shapes_count(d->file, name, ".attn2.to_k.weight");
}

static SnugStatus write_levels(const Down *d, TextBuilder *b, SnugError *err)
{
    const int mid = depth_of(d, d->levels);
    char name[96];
    int64_t c[UNET_MAX_LEVELS];
    int depth[UNET_MAX_LEVELS];
    for (int i = 0; i < d->levels; i++) {
        name_of(d, i, false, ".conv1.weight", ".in_layers.2.weight", name);
        TRY(wan_shapes_dim(d->file, name, 0, &c[i], err));
        depth[i] = depth_of(d, i);
    }
    text_addf(b, "{\"layers_per_block\":%d,\"block_out_channels\":[", d->layers);
    for (int i = 0; i < d->levels; i++)
        text_addf(b, "%s%lld", i ? "," : "", (long long)c[i]);
    text_addf(b, "],\"attention_head_dim\":[");
    for (int i = 0; i < d->levels; i++) /* heads of 64 */
        text_addf(b, "%s%lld", i ? "," : "", (long long)(c[i] >= 64 ? c[i] / 64 : 1));
    text_addf(b, "],\"transformer_layers_per_block\":[");
    for (int i = 0; i < d->levels; i++)
        text_addf(b, "%s%d", i ? "," : "",
                  i + 1 == d->levels && mid ? mid
                  : depth[i]                ? depth[i]
                                            : 1);
    text_addf(b, "],\"down_block_types\":[");
    for (int i = 0; i < d->levels; i++)
        text_addf(b, "%s\"%sDownBlock2D\"", i ? "," : "", depth[i] ? "CrossAttn" : "");
    text_addf(b, "],\"up_block_types\":[");
    for (int i = d->levels - 1; i >= 0; i--)
        text_addf(b, "\"%sUpBlock2D\"%s", depth[i] ? "CrossAttn" : "", i ? "," : "");
    text_addf(b, "]");
    return SNUG_OK;
}

/* Sinusoids of 256 for each time id, as published. */
static SnugStatus write_told(const Down *d, TextBuilder *b, SnugError *err)
{
    int64_t cross, in, added = 0;
    const char *first = d->original ? "label_emb.0.0.weight" : "add_embedding.linear_1.weight";
    TRY(wan_shapes_dim(d->file, d->original ? "input_blocks.0.0.weight" : "conv_in.weight", 1, &in,
                       err));
    TRY(wan_shapes_dim(d->file,
                       d->original
                           ? "middle_block.1.transformer_blocks.0.attn2.to_k.weight"
                           : "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
                       1, &cross, err));
    text_addf(b, ",\"in_channels\":%lld,\"cross_attention_dim\":%lld", (long long)in,
              (long long)cross);
    if (wan_shapes_find(d->file, first)) TRY(wan_shapes_dim(d->file, first, 1, &added, err));
    if (added)
        text_addf(b,
                  ",\"addition_embed_type\":\"text_time\",\"addition_time_embed_dim\":256,"
                  "\"projection_class_embeddings_input_dim\":%lld",
                  (long long)added);
    return SNUG_OK;
}

/* What a ControlNet looks at; nothing for a UNet. */
static SnugStatus write_hint(const Down *d, TextBuilder *b, SnugError *err)
{
    const char *in =
        d->original ? "input_hint_block.0.weight" : "controlnet_cond_embedding.conv_in.weight";
    char name[96];
    int64_t c;
    if (!wan_shapes_find(d->file, in)) return SNUG_OK;
    TRY(wan_shapes_dim(d->file, in, 0, &c, err));
    text_addf(b, ",\"conditioning_embedding_out_channels\":[%lld", (long long)c);
    for (int i = 1; i < CONTROLNET_MAX_LEVELS; i++) {
        if (d->original)
            (void)snprintf(name, sizeof name, "input_hint_block.%d.weight", 4 * i);
        else
            (void)snprintf(name, sizeof name, "controlnet_cond_embedding.blocks.%d.weight",
                           2 * i - 1);
        if (!wan_shapes_find(d->file, name)) break;
        TRY(wan_shapes_dim(d->file, name, 0, &c, err));
        text_addf(b, ",%lld", (long long)c);
    }
    text_addf(b, "]");
    return SNUG_OK;
}

static SnugStatus config_unet(JsonDoc **out, Heap *heap, WanTensors f, SnugError *err)
{
    Down d = { .file = f };
    TextBuilder b;
    *out = NULL;
    count(&d);
    if (d.levels < 1 || d.levels > UNET_MAX_LEVELS || d.layers < 1 || d.layers > UNET_MAX_LAYERS)
        return error_set(err, SNUG_ERR_FILE, "%s: a UNet of %d levels of %d layers",
                         checkpoint_path(f.weights), d.levels, d.layers);
    text_init(&b, heap, "config");
    SnugStatus status = write_levels(&d, &b, err);
    if (status == SNUG_OK) status = write_told(&d, &b, err);
    if (status == SNUG_OK) status = write_hint(&d, &b, err);
    if (status != SNUG_OK) {
        text_release(&b);
        return status;
    }
    text_addf(&b, "}");
    return wan_shapes_parse(out, heap, f, &b, err);
}

/* ---- text encoders and VAE ------------------------------------------------------------------ */

/* CLIP-L: quick GELU; bigG: GELU and a projection. Heads of 64. */
static SnugStatus config_clip(JsonDoc **out, Heap *heap, WanTensors f, bool second, SnugError *err)
{
    static const char EMBEDDING[] = "text_model.embeddings.token_embedding.weight",
                      POSITIONS[] = "text_model.embeddings.position_embedding.weight";
    int64_t vocab, dim, positions, ffn, projected = 1;
    *out = NULL;
    TRY(wan_shapes_dim(f, EMBEDDING, 0, &vocab, err));
    TRY(wan_shapes_dim(f, EMBEDDING, 1, &dim, err));
    TRY(wan_shapes_dim(f, POSITIONS, 0, &positions, err));
    TRY(wan_shapes_dim(f, "text_model.encoder.layers.0.mlp.fc1.weight", 0, &ffn, err));
    const bool open = f.names && f.names->rows == CLIP_NAMES_OPEN.rows;
    if (second) TRY(wan_shapes_dim(f, "text_projection.weight", open ? 1 : 0, &projected, err));
    TextBuilder b;
    text_init(&b, heap, "config");
    text_addf(&b, "{\"vocab_size\":%lld,\"hidden_size\":%lld,\"intermediate_size\":%lld,",
              (long long)vocab, (long long)dim, (long long)ffn);
    text_addf(&b, "\"max_position_embeddings\":%lld,\"num_attention_heads\":%lld,",
              (long long)positions, (long long)(dim >= 64 ? dim / 64 : 1));
    text_addf(&b, "\"hidden_act\":\"%s\",\"eos_token_id\":2,\"projection_dim\":%lld,",
              second ? "gelu" : "quick_gelu", (long long)projected);
    text_addf(&b, "\"num_hidden_layers\":%d}",
              wan_shapes_count(f, "text_model.encoder.layers.", ".layer_norm1.weight"));
    return wan_shapes_parse(out, heap, f, &b, err);
}

static SnugStatus config_first(JsonDoc **out, Heap *heap, WanTensors f, SnugError *err)
{
    return config_clip(out, heap, f, false, err);
}

static SnugStatus config_second(JsonDoc **out, Heap *heap, WanTensors f, SnugError *err)
{
    return config_clip(out, heap, f, true, err);
}

/* Four levels, as published; its widths are read. */
static SnugStatus config_vae(JsonDoc **out, Heap *heap, WanTensors f, SnugError *err)
{
    static const char *const WAYS[2] = { "\"DownEncoderBlock2D\"", "\"UpDecoderBlock2D\"" };
    int64_t z, c[4];
    *out = NULL;
    TRY(wan_shapes_dim(f, "decoder.conv_in.weight", 1, &z, err));
    for (int i = 0; i < 4; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "decoder.up_blocks.%d.resnets.0.conv1.weight", 3 - i);
        TRY(wan_shapes_dim(f, name, 0, &c[i], err));
    }
    const int layers = wan_shapes_count(f, "decoder.up_blocks.0.resnets.", ".conv1.weight") - 1;
    TextBuilder b;
    text_init(&b, heap, "config");
    text_addf(&b, "{\"latent_channels\":%lld,\"block_out_channels\":[%lld,%lld,%lld,%lld],",
              (long long)z, (long long)c[0], (long long)c[1], (long long)c[2], (long long)c[3]);
    for (int k = 0; k < 2; k++)
        text_addf(&b, "\"%s_block_types\":[%s,%s,%s,%s],", k ? "up" : "down", WAYS[k], WAYS[k],
                  WAYS[k], WAYS[k]);
    text_addf(&b, "\"layers_per_block\":%d,\"scaling_factor\":0.13025}", layers > 0 ? layers : 1);
    return wan_shapes_parse(out, heap, f, &b, err);
}

/* ---- how they are found --------------------------------------------------------------------- */

static const char *const UNETS[] = { "UNet2DConditionModel", NULL };
static const char *const CONTROLNETS[] = { "ControlNetModel", NULL };
static const char *const FIRSTS[] = { "CLIPTextModel", "CLIPTextModelWithProjection", NULL };
static const char *const SECONDS[] = { "CLIPTextModelWithProjection", NULL };
static const char *const VAES[] = { "AutoencoderKL", NULL };
/* the original's numbers depend on the configuration: its table is made when that is known */
static const ImageSpelling OF_UNET[] = { { "output_blocks.0.0.in_layers.0.weight", NULL },
                                         { "add_embedding.linear_1.weight", NULL },
                                         { NULL, NULL } };
static const ImageSpelling OF_CONTROLNET[] = { { "zero_convs.0.0.weight", NULL },
                                               { "controlnet_mid_block.weight", NULL },
                                               { NULL, NULL } };
static const ImageSpelling OF_FIRST[] = {
    { "text_model.encoder.layers.0.layer_norm1.weight", NULL }, { NULL, NULL }
};
static const ImageSpelling OF_SECOND[] = { { CLIP_NAMES_OPEN_MARKER, &CLIP_NAMES_OPEN },
                                           { "text_model.encoder.layers.0.layer_norm1.weight",
                                             NULL },
                                           { NULL, NULL } };
static const ImageSpelling OF_VAE[] = { { FLUX_NAMES_VAE_MARKER, &FLUX_NAMES_VAE },
                                        { "decoder.mid_block.resnets.0.conv1.weight", NULL },
                                        { NULL, NULL } };

const ImageNetwork SDXL_UNET = { "unet",  "transformer", "UNet",       UNETS,
                                 OF_UNET, config_unet,   IDENTITY_NONE };
const ImageNetwork SDXL_CONTROLNET = { "controlnet",  "controlnet", "ControlNet", CONTROLNETS,
                                       OF_CONTROLNET, config_unet,  IDENTITY_NONE };
static const ImageNetwork CLIPS[SDXL_ENCODERS] = {
    { "text_encoder", "text-encoder", "CLIP-L text encoder", FIRSTS, OF_FIRST, config_first,
      IDENTITY_NONE },
    { "text_encoder_2", "text-encoder-2", "OpenCLIP text encoder", SECONDS, OF_SECOND,
      config_second, IDENTITY_NONE }
};
static const ImageNetwork VAE = {
    "vae", "vae", "VAE", VAES, OF_VAE, config_vae, IDENTITY_VAE_FLUX
};

/* ---- binding -------------------------------------------------------------------------------- */

/* `other`: the convention that LoRA files may use beside ours. */
static void begin(const SdxlJob *j, Weights *w, const ImagePart *p, const char *name,
                  LoraNetwork lora, const NameMap *other)
{
    image_part_begin(p, w, j->image->context->weights, name);
    if (j->loras) weights_loras(w, j->loras, lora, LORA_BOTH, other);
}

static SnugStatus open_encoder(SdxlJob *j, int e, SnugError *err)
{
    const ImagePaths *paths = &j->image->request->paths;
    ImagePart p;
    Weights w;
    TRY(image_model_network(&j->image->model, &CLIPS[e],
                            e ? paths->text_encoder_2 : paths->text_encoder, &p, err));
    TRY(clip_text_config_read(&j->clip[e].cfg, p.config, e == 1, err));
    j->clip[e].cfg.turned = e == 1 && p.names.rows == CLIP_NAMES_OPEN.rows;
    begin(j, &w, &p, CLIPS[e].name, e ? LORA_TEXT_2 : LORA_TEXT_1, NULL);
    clip_text_weights(&j->clip[e], &w);
    weights_prefix(&w, "%s", "");
    weights_ignore(&w, "logit_scale");
    if (e == 0) weights_ignore(&w, "text_projection.weight"); /* only the second is projected */
    return weights_end(&w, err);
}

static SnugStatus open_vae(SdxlJob *j, SnugError *err)
{
    ImagePart p;
    Weights w;
    TRY(image_model_network(&j->image->model, &VAE, j->image->request->paths.vae, &p, err));
    TRY(autoencoder_kl_config_read(&j->vae.cfg, p.config, err));
    image_part_begin(&p, &w, j->image->context->weights, "vae");
    autoencoder_kl_weights(&j->vae, &w, j->image->task != IMAGE_TXT2IMG);
    return weights_end(&w, err);
}

SnugStatus sdxl_networks_names(const SdxlJob *j, const UnetConfig *cfg, ImagePart *part,
                               SnugError *err)
{
    const char *prefix = part->names.prefix;
    if (!is_original((WanTensors){ part->weights, &part->names })) return SNUG_OK;
    if (!unet_names_original(&part->names, j->image->context->arena, cfg))
        return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    part->names.prefix = prefix;
    return SNUG_OK;
}

static SnugStatus open_unet(SdxlJob *j, SnugError *err)
{
    ImagePart p;
    Weights w;
    NameMap original;
    Identity found;
    UnetConfig *u = &j->unet.trunk.cfg;
    TRY(image_model_network(&j->image->model, &SDXL_UNET, j->image->request->paths.transformer, &p,
                            err));
    identity_find(&found, p.weights);
    if (found.kind == IDENTITY_UNET_REFINER)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: this is %s, which goes on from pictures of SDXL base: give the base",
                         p.path, found.words);
    TRY(unet_config_read(u, p.config, err));
    if (!u->add_dim)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: this UNet takes no picture size and text of width %lld: it is of "
                         "Stable Diffusion 1 or 2, not of SDXL",
                         p.path, (long long)u->cross_dim);
    TRY(sdxl_networks_names(j, u, &p, err));
    if (!unet_names_original(&original, j->image->context->arena, u))
        return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    begin(j, &w, &p, "unet", LORA_DENOISER, &original);
    sdxl_unet_weights(&j->unet, &w);
    return weights_end(&w, err);
}

static SnugStatus check_fit(const SdxlJob *j, SnugError *err)
{
    const UnetConfig *u = &j->unet.trunk.cfg;
    const ClipTextConfig *first = &j->clip[0].cfg, *second = &j->clip[1].cfg;
    const char *path = j->image->model.path;
    if (u->in_channels == 2 * j->vae.cfg.z + 1)
        return error_set(err, SNUG_ERR_ARG,
                         "%s is built for inpainting (the UNet takes %lld channels), which snug "
                         "does not run for SDXL",
                         path, (long long)u->in_channels);
    if (u->in_channels != j->vae.cfg.z || u->out_channels != j->vae.cfg.z)
        return error_set(
            err, SNUG_ERR_FILE, "%s: the UNet takes %lld channels and gives %lld, the VAE has %lld",
            path, (long long)u->in_channels, (long long)u->out_channels, (long long)j->vae.cfg.z);
    if (u->cross_dim != first->dim + second->dim || u->pooled_dim != second->projection_dim)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the UNet takes text of width %lld and %lld, the encoders give %lld + "
                         "%lld and %lld",
                         path, (long long)u->cross_dim, (long long)u->pooled_dim,
                         (long long)first->dim, (long long)second->dim,
                         (long long)second->projection_dim);
    if (first->positions != second->positions)
        return error_set(err, SNUG_ERR_FILE, "%s: the encoders take %lld and %lld tokens", path,
                         (long long)first->positions, (long long)second->positions);
    return SNUG_OK;
}

SnugStatus sdxl_networks_open(SdxlJob *j, SnugError *err)
{
    const ImageRequest *q = j->image->request;
    char *warnings = j->image->context->weights->warnings;
    TRY(lora_option_open(&j->loras, j->image->context->heap, q->loras, 1, err));
    TRY(open_unet(j, err));
    for (int e = 0; e < SDXL_ENCODERS; e++)
        TRY(open_encoder(j, e, err));
    TRY(open_vae(j, err));
    TRY(check_fit(j, err));
    if (!j->loras) return SNUG_OK;
    return lora_check(j->loras, q->strict_lora, warnings,
                      sizeof j->image->context->weights->warnings, err);
}
