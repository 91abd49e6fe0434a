/* wan_networks.c  The networks of a model: bind their weights, see that they fit each other, and tell
 * which published model they are. */
#include "pipelines/wan.h"

#include <stdio.h>
#include <string.h>

static void note(WanJob *j, const char *warnings)
{
    char *all = j->context->weights->warnings;
    const size_t used = strlen(all), room = sizeof j->context->weights->warnings - used;
    (void)snprintf(all + used, room, "%s", warnings);
}

/* The part of a role, of the class it should have. */
static SnugStatus part_of(WanJob *j, WanRole role, const char *const *classes, const WanPart **out,
                          SnugError *err)
{
    const WanPart *p = &j->layout.part[role];
    *out = p;
    if (!p->path)
        return error_set(err, SNUG_ERR_FILE, "%s: the model has no %s", j->layout.path,
                         wan_role_name(role));
    if (!p->class_name) return SNUG_OK;
    for (int i = 0; classes[i]; i++)
        if (strcmp(p->class_name, classes[i]) == 0) return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE, "%s: %s is a %s, a Wan pipeline needs %s", j->layout.path,
                     wan_role_name(role), p->class_name, classes[0]);
}

static void begin(WanJob *j, Weights *w, const WanPart *part, WanRole role)
{
    weights_begin(w, j->context->weights, part->weights, wan_role_name(role));
    weights_names(w, &part->names);
}

/* ---- the three kinds ------------------------------------------------------------------------ */

static SnugStatus open_text(WanJob *j, SnugError *err)
{
    static const char *const CLASSES[] = { "UMT5EncoderModel", NULL };
    const WanPart *p;
    TRY(part_of(j, WAN_TEXT_ENCODER, CLASSES, &p, err));
    TRY(umt5_config_read(&j->text.cfg, p->config, err));
    if (j->text.cfg.shared_bias)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: this is a T5 text encoder (one table of distances for all layers); "
                         "Wan needs umT5",
                         p->path);
    Weights w;
    begin(j, &w, p, WAN_TEXT_ENCODER);
    umt5_weights(&j->text, &w);
    weights_prefix(&w, "%s", "");
    weights_ignore(&w, "spiece_model"); /* its tokenizer, in repackaged files */
    weights_ignore(&w, "scaled_fp8");
    return weights_end(&w, err);
}

/* Factors for previews, if the folder brings them. */
static SnugStatus read_latent_rgb(WanJob *j, Json config, SnugError *err)
{
    Json rows;
    TRY(json_get_array(config, "latent_rgb_factors", &rows, err));
    if (json_length(rows) != j->vae.cfg.z) return SNUG_OK;
    double bias[3] = { 0 };
    int n = 0;
    TRY(json_f64s(config, "latent_rgb_bias", -1e3, 1e3, bias, 3, &n, err));
    for (int64_t i = 0; i < j->vae.cfg.z; i++)
        for (int64_t k = 0; k < 3; k++) {
            double v;
            TRY(json_as_f64(json_item(json_item(rows, i), k), -1e3, 1e3, &v, err));
            j->latent_rgb[i * 3 + k] = (float)v;
        }
    for (int k = 0; k < 3; k++)
        j->latent_rgb[j->vae.cfg.z * 3 + k] = (float)bias[k];
    j->has_latent_rgb = true;
    return SNUG_OK;
}

static SnugStatus open_vae(WanJob *j, SnugError *err)
{
    static const char *const CLASSES[] = { "AutoencoderKLWan", NULL };
    const WanPart *p;
    TRY(part_of(j, WAN_VAE, CLASSES, &p, err));
    TRY(wan_vae_config_read(&j->vae.cfg, p->config, err));
    Weights w;
    begin(j, &w, p, WAN_VAE);
    wan_vae_weights(&j->vae, &w);
    TRY(weights_end(&w, err));
    return read_latent_rgb(j, p->config, err);
}

/* What the experts share with the other networks, as far as those are there. */
static SnugStatus check_expert(const WanJob *j, const WanDitConfig *cfg, WanRole role,
                               SnugError *err)
{
    const char *path = j->layout.part[role].path;
    if (j->vae.cfg.z && cfg->out_channels != j->vae.cfg.z)
        return error_set(err, SNUG_ERR_FILE, "%s: it gives %lld channels, the VAE (%s) has %lld",
                         path, (long long)cfg->out_channels, j->layout.part[WAN_VAE].path,
                         (long long)j->vae.cfg.z);
    if (j->text.cfg.dim && cfg->text_dim != j->text.cfg.dim)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: it takes text of width %lld, the encoder (%s) gives %lld", path,
                         (long long)cfg->text_dim, j->layout.part[WAN_TEXT_ENCODER].path,
                         (long long)j->text.cfg.dim);
    return SNUG_OK;
}

/* The camera's tensors are bound only where a path is given. */
static SnugStatus choose_camera(const WanJob *j, WanExpert *e, const WanPart *part, SnugError *err)
{
    if (!j->request->camera) return SNUG_OK;
    if (e->carries == WAN_CAMERA_NONE)
        return error_set(err, SNUG_ERR_ARG,
                         "--camera: %s has no camera network (LingBot-World and Wan-Fun camera "
                         "models do)",
                         part->path);
    if (e != &j->expert[0] && e->carries != j->expert[0].carries)
        return error_set(err, SNUG_ERR_FILE, "%s: the two experts have different camera networks",
                         part->path);
    const WanCameraShape shape = { j->vae.cfg.space_factor, j->vae.cfg.time_factor, e->dit.cfg.ph,
                                   e->dit.cfg.pw };
    e->dit.camera = e->carries;
    e->dit.camera_features = wan_camera_features(e->carries, &shape);
    return SNUG_OK;
}

/* The original's names: LoRA files use them as often as those of diffusers. */
static const NameMap *other_names(void)
{
    const WanSpelling *s = WAN_NAMES_SPELLINGS;
    while (s->network != WAN_NET_TRANSFORMER || !s->map.n_rows)
        s++;
    return &s->map;
}

static unsigned expert_bits(const WanJob *j, WanRole role)
{
    if (j->n_experts == 1) return LORA_BOTH;
    return role == WAN_TRANSFORMER ? LORA_HIGH : LORA_LOW;
}

static SnugStatus open_expert(WanJob *j, WanExpert *e, WanRole role, SnugError *err)
{
    static const char *const CLASSES[] = { "WanTransformer3DModel", NULL };
    const WanPart *p;
    TRY(part_of(j, role, CLASSES, &p, err));
    TRY(wan_dit_config_read(&e->dit.cfg, p->config, err));
    Weights w;
    begin(j, &w, p, role);
    e->carries = wan_dit_camera_kind(&w);
    TRY(choose_camera(j, e, p, err));
    if (j->loras) weights_loras(&w, j->loras, LORA_DENOISER, expert_bits(j, role), other_names());
    wan_dit_weights(&e->dit, &w);
    weights_prefix(&w, "%s", "");
    weights_ignore(&w, "scaled_fp8");
    TRY(weights_end(&w, err));
    return check_expert(j, &e->dit.cfg, role, err);
}

/* The CLIP network of Wan2.1 image to video, where the transformers want one. */
static SnugStatus open_clip(WanJob *j, SnugError *err)
{
    static const char *const CLASSES[] = { "CLIPVisionModel", "CLIPVisionModelWithProjection",
                                           "CLIPModel", NULL };
    const int64_t dim = j->expert[0].dit.cfg.image_dim;
    const WanPart *p;
    if (j->n_experts == 2 && j->expert[1].dit.cfg.image_dim != dim)
        return error_set(err, SNUG_ERR_FILE, "the two experts look at pictures of other width");
    if (!dim) return SNUG_OK;
    TRY(part_of(j, WAN_IMAGE_ENCODER, CLASSES, &p, err));
    TRY(wan_clip_bind(&j->clip, j->context->weights, p->weights, p->config,
                      j->layout.image_processor, err));
    if (j->clip.net.cfg.dim == dim) return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE,
                     "%s: the image encoder gives rows of %lld, the transformer takes %lld",
                     p->path, (long long)j->clip.net.cfg.dim, (long long)dim);
}

static SnugStatus count_experts(WanJob *j, SnugError *err)
{
    double ratio;
    TRY(json_f64(j->layout.index, "boundary_ratio", -1.0, -1.0, 1.0, &ratio, err));
    /* diffusers never uses a second transformer without a boundary */
    const bool used = j->layout.published || j->request->paths.transformer_low || ratio >= 0 ||
                      j->request->boundary >= 0;
    j->n_experts = j->layout.part[WAN_TRANSFORMER_LOW].path && used ? 2 : 1;
    return SNUG_OK;
}

static SnugStatus open_first(WanJob *j, SnugError *err)
{
    TRY(count_experts(j, err));
    TRY(lora_option_open(&j->loras, j->context->heap, j->request->loras, j->n_experts, err));
    return open_expert(j, &j->expert[0], WAN_TRANSFORMER, err);
}

static SnugStatus open_second(WanJob *j, SnugError *err)
{
    if (j->n_experts != 1) TRY(open_expert(j, &j->expert[1], WAN_TRANSFORMER_LOW, err));
    if (j->loras)
        TRY(lora_check(j->loras, j->request->strict_lora, j->context->weights->warnings,
                       sizeof j->context->weights->warnings, err));
    if (j->n_experts != 2) return SNUG_OK;
    if (j->expert[1].dit.cfg.in_channels == j->expert[0].dit.cfg.in_channels) return SNUG_OK;
    return error_set(
        err, SNUG_ERR_FILE, "the two experts take different channels: %s %lld, %s %lld",
        j->layout.part[WAN_TRANSFORMER].path, (long long)j->expert[0].dit.cfg.in_channels,
        j->layout.part[WAN_TRANSFORMER_LOW].path, (long long)j->expert[1].dit.cfg.in_channels);
}

const WanRole WAN_NETWORKS_ORDER[WAN_ROLES] = { WAN_TEXT_ENCODER, WAN_VAE, WAN_TRANSFORMER,
                                                WAN_TRANSFORMER_LOW, WAN_IMAGE_ENCODER };

SnugStatus wan_networks_bind(WanJob *j, WanRole role, SnugError *err)
{
    static SnugStatus (*const OPEN[WAN_ROLES])(WanJob *, SnugError *) = {
        [WAN_TRANSFORMER] = open_first,  [WAN_TRANSFORMER_LOW] = open_second,
        [WAN_TEXT_ENCODER] = open_text,  [WAN_VAE] = open_vae,
        [WAN_IMAGE_ENCODER] = open_clip,
    };
    return OPEN[role](j, err);
}

/* ---- which model it is ---------------------------------------------------------------------- */

/* Both kinds of text-to-video networks take as many channels as the VAE gives: those that take a
 * clean first frame have the VAE of 2.2, or a folder that says so. Without a VAE, its published
 * number of channels tells. */
static SnugStatus find_build(const WanJob *j, WanBuild *out, SnugError *err)
{
    enum { CHANNELS_22 = 48, TIME_FACTOR = 4 };
    const WanDitConfig *cfg = &j->expert[0].dit.cfg;
    const WanVaeConfig *v = &j->vae.cfg;
    const int64_t in = cfg->in_channels, z = v->z ? v->z : cfg->out_channels,
                  with_image = 2 * z + (v->z ? v->time_factor : TIME_FACTOR);
    bool first_frame = (v->z ? v->residual : z == CHANNELS_22) && j->n_experts == 1;
    if (!j->layout.published)
        TRY(json_bool(j->layout.index, "expand_timesteps", false, &first_frame, err));
    *out = (WanBuild){ .experts = j->n_experts,
                       .clip = cfg->image_dim > 0,
                       .two_pictures = cfg->image_tokens > 0,
                       .camera = j->expert[0].carries == WAN_CAMERA_INJECT };
    if (in == with_image)
        out->image = WAN_IMAGE_CHANNELS;
    else if (in == z)
        out->image = first_frame ? WAN_IMAGE_FIRST_FRAME : WAN_NO_IMAGE;
    else
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the transformer takes %lld channels; text-to-video needs %lld, "
                         "image-to-video %lld",
                         j->layout.part[WAN_TRANSFORMER].path, (long long)in, (long long)z,
                         (long long)with_image);
    return SNUG_OK;
}

static SnugStatus wrong_kind(const WanJob *j, SnugError *err)
{
    const WanVariant *v = j->variant;
    return error_set(err, SNUG_ERR_ARG,
                     "%s is built as %s (%s; the transformer takes %lld channels "
                     "and the VAE has %lld): use %s",
                     j->layout.path, v->name, v->words, (long long)j->expert[0].dit.cfg.in_channels,
                     (long long)j->vae.cfg.z, v->command);
}

SnugStatus wan_networks_variant(WanJob *j, SnugError *err)
{
    WanBuild build;
    TRY(find_build(j, &build, err));
    j->variant = wan_variant_of(&build);
    j->mode = build.image;
    return SNUG_OK;
}

static SnugStatus choose_mode(WanJob *j, WanKind kind, SnugError *err)
{
    TRY(wan_networks_variant(j, err));
    const WanImageMode image = j->mode;
    if (image == WAN_IMAGE_FIRST_FRAME && !j->request->image) j->mode = WAN_NO_IMAGE;
    if (kind == WAN_I2V && image == WAN_NO_IMAGE) return wrong_kind(j, err);
    if (kind == WAN_T2V && image == WAN_IMAGE_CHANNELS) return wrong_kind(j, err);
    if (kind == WAN_T2V && j->request->image)
        return error_set(err, SNUG_ERR_ARG, "wan-t2v takes no --image: use wan-ti2v or wan-i2v");
    if (j->request->image && image == WAN_NO_IMAGE)
        return error_set(err, SNUG_ERR_ARG, "%s is built as %s (%s): --image cannot be used",
                         j->layout.path, j->variant->name, j->variant->words);
    if (!j->request->image && (kind == WAN_I2V || image == WAN_IMAGE_CHANNELS))
        return error_set(err, SNUG_ERR_ARG, "%s is built as %s (%s): --image is needed",
                         j->layout.path, j->variant->name, j->variant->words);
    return SNUG_OK;
}

SnugStatus wan_networks_open(WanJob *j, WanKind kind, SnugError *err)
{
    TRY(wan_layout_init(&j->layout, j->context->arena, &j->request->paths, err));
    note(j, j->layout.warnings);
    TRY(wan_layout_require(&j->layout, err));
    for (int i = 0; i < WAN_ROLES; i++)
        TRY(wan_networks_bind(j, WAN_NETWORKS_ORDER[i], err));
    return choose_mode(j, kind, err);
}
