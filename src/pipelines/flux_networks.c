/* flux_networks.c  The networks of FLUX.1: where they are, what they are called, whether they fit. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "models/flux_names.h"
#include "models/umt5_names.h"
#include "pipelines/flux.h"
#include "pipelines/lora_option.h"
#include "pipelines/wan_shapes.h"

/* ---- configurations from shapes ------------------------------------------------------------- */

/* Axes of a head of 128 are published; nothing in a file tells those of another. */
static SnugStatus config_transformer(JsonDoc **out, Heap *heap, WanTensors f, SnugError *err)
{
    int64_t dim, in, channels, text, pooled, head;
    *out = NULL;
    TRY(wan_shapes_dim(f, "x_embedder.weight", 0, &dim, err));
    TRY(wan_shapes_dim(f, "x_embedder.weight", 1, &in, err));
    TRY(wan_shapes_dim(f, "proj_out.weight", 0, &channels, err));
    TRY(wan_shapes_dim(f, "context_embedder.weight", 1, &text, err));
    TRY(wan_shapes_dim(f, "time_text_embed.text_embedder.linear_1.weight", 1, &pooled, err));
    TRY(wan_shapes_dim(f, "transformer_blocks.0.attn.norm_q.weight", 0, &head, err));
    if (head != 128)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: heads of %lld: how they share rows and columns is not told; name a "
                         "folder with a config.json as --model",
                         checkpoint_path(f.weights), (long long)head);
    const bool guided =
        wan_shapes_find(f, "time_text_embed.guidance_embedder.linear_1.weight") != NULL;
    TextBuilder b;
    text_init(&b, heap, "config");
    text_addf(&b, "{\"attention_head_dim\":%lld,\"num_attention_heads\":%lld,\"in_channels\":%lld,",
              (long long)head, (long long)(dim / head), (long long)in);
    text_addf(&b, "\"out_channels\":%lld,\"joint_attention_dim\":%lld,", (long long)channels,
              (long long)text);
    text_addf(&b, "\"pooled_projection_dim\":%lld,\"guidance_embeds\":%s,", (long long)pooled,
              guided ? "true" : "false");
    text_addf(&b, "\"num_layers\":%d,\"num_single_layers\":%d}",
              wan_shapes_count(f, "transformer_blocks.", ".attn.norm_q.weight"),
              wan_shapes_count(f, "single_transformer_blocks.", ".attn.norm_q.weight"));
    return wan_shapes_parse(out, heap, f, &b, err);
}

/* CLIP-L: heads of 64, quick GELU. */
static SnugStatus config_clip(JsonDoc **out, Heap *heap, WanTensors f, SnugError *err)
{
    static const char EMBEDDING[] = "text_model.embeddings.token_embedding.weight",
                      POSITIONS[] = "text_model.embeddings.position_embedding.weight";
    int64_t vocab, dim, positions, ffn;
    *out = NULL;
    TRY(wan_shapes_dim(f, EMBEDDING, 0, &vocab, err));
    TRY(wan_shapes_dim(f, EMBEDDING, 1, &dim, err));
    TRY(wan_shapes_dim(f, POSITIONS, 0, &positions, err));
    TRY(wan_shapes_dim(f, "text_model.encoder.layers.0.mlp.fc1.weight", 0, &ffn, err));
    TextBuilder b;
    text_init(&b, heap, "config");
    text_addf(&b, "{\"vocab_size\":%lld,\"hidden_size\":%lld,\"intermediate_size\":%lld,",
              (long long)vocab, (long long)dim, (long long)ffn);
    text_addf(&b, "\"max_position_embeddings\":%lld,\"num_attention_heads\":%lld,",
              (long long)positions, (long long)(dim >= 64 ? dim / 64 : 1));
    text_addf(&b, "\"hidden_act\":\"quick_gelu\",\"eos_token_id\":2,\"num_hidden_layers\":%d}",
              wan_shapes_count(f, "text_model.encoder.layers.", ".layer_norm1.weight"));
    return wan_shapes_parse(out, heap, f, &b, err);
}

/* The one that FLUX was published with; its widths are read. */
static SnugStatus config_vae(JsonDoc **out, Heap *heap, WanTensors f, SnugError *err)
{
    int64_t z, c[4];
    *out = NULL;
    TRY(wan_shapes_dim(f, "decoder.conv_in.weight", 1, &z, err));
    for (int i = 0; i < 4; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "decoder.up_blocks.%d.resnets.0.conv1.weight", 3 - i);
        TRY(wan_shapes_dim(f, name, 0, &c[i], err));
    }
    if (z != 16)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the VAE's latents have %lld channels, those of FLUX.1 have 16: it is "
                         "another model's",
                         checkpoint_path(f.weights), (long long)z);
    const int layers = wan_shapes_count(f, "decoder.up_blocks.0.resnets.", ".conv1.weight") - 1;
    TextBuilder b;
    text_init(&b, heap, "config");
    text_addf(&b, "{\"latent_channels\":16,\"block_out_channels\":[%lld,%lld,%lld,%lld],",
              (long long)c[0], (long long)c[1], (long long)c[2], (long long)c[3]);
    text_addf(&b, "\"down_block_types\":[");
    for (int i = 0; i < 4; i++)
        text_addf(&b, "%s\"DownEncoderBlock2D\"", i ? "," : "");
    text_addf(&b, "],\"up_block_types\":[");
    for (int i = 0; i < 4; i++)
        text_addf(&b, "%s\"UpDecoderBlock2D\"", i ? "," : "");
    text_addf(&b, "],\"layers_per_block\":%d,\"use_quant_conv\":false,", layers > 0 ? layers : 1);
    text_addf(&b, "\"use_post_quant_conv\":false,\"scaling_factor\":0.3611,"
                  "\"shift_factor\":0.1159}");
    return wan_shapes_parse(out, heap, f, &b, err);
}

/* ---- how they are found --------------------------------------------------------------------- */

static const NameMap T5_GGUF = { .convention = "GGUF names",
                                 .rows = UMT5_NAMES_GGUF,
                                 .n_rows = UMT5_NAMES_GGUF_ROWS };
static const char *const TRANSFORMERS[] = { "FluxTransformer2DModel", NULL };
static const char *const CLIPS[] = { "CLIPTextModel", "CLIPTextModelWithProjection", NULL };
static const char *const T5S[] = { "T5EncoderModel", NULL };
static const char *const VAES[] = { "AutoencoderKL", NULL };
static const ImageSpelling OF_TRANSFORMER[] = { { FLUX_NAMES_ORIGINAL_MARKER,
                                                  &FLUX_NAMES_ORIGINAL },
                                                { FLUX_NAMES_OURS_MARKER, NULL },
                                                { NULL, NULL } };
static const ImageSpelling OF_CLIP[] = { { "text_model.encoder.layers.0.layer_norm1.weight", NULL },
                                         { NULL, NULL } };
static const ImageSpelling OF_T5[] = { { "encoder.block.0.layer.0.SelfAttention.q.weight", NULL },
                                       { UMT5_NAMES_GGUF_MARKER, &T5_GGUF },
                                       { NULL, NULL } };
static const ImageSpelling OF_VAE[] = { { FLUX_NAMES_VAE_MARKER, &FLUX_NAMES_VAE },
                                        { "decoder.mid_block.resnets.0.conv1.weight", NULL },
                                        { NULL, NULL } };

const ImageNetwork FLUX_TRANSFORMER = { "transformer", "transformer",  "FLUX transformer",
                                        TRANSFORMERS,  OF_TRANSFORMER, config_transformer,
                                        IDENTITY_NONE };
const ImageNetwork FLUX_CLIP = { "text_encoder", "text-encoder", "CLIP text encoder", CLIPS,
                                 OF_CLIP,        config_clip,    IDENTITY_NONE };
const ImageNetwork FLUX_T5 = { "text_encoder_2", "text-encoder-2", "T5 text encoder", T5S, OF_T5,
                               wan_config_text,  IDENTITY_NONE };
const ImageNetwork FLUX_VAE = { "vae",  "vae",      "FLUX VAE",         VAES,
                                OF_VAE, config_vae, IDENTITY_VAE_STABLE };

/* ---- binding -------------------------------------------------------------------------------- */

static void begin(FluxJob *j, Weights *w, const ImagePart *p, const char *name, LoraNetwork lora)
{
    image_part_begin(p, w, j->image->context->weights, name);
    if (j->loras)
        weights_loras(w, j->loras, lora, LORA_BOTH,
                      lora == LORA_DENOISER ? &FLUX_NAMES_ORIGINAL : NULL);
}

static SnugStatus open_clip(FluxJob *j, SnugError *err)
{
    ImagePart p;
    Weights w;
    TRY(image_model_network(&j->image->model, &FLUX_CLIP, j->image->request->paths.text_encoder, &p,
                            err));
    TRY(clip_text_config_read(&j->clip.cfg, p.config, false, err));
    begin(j, &w, &p, "text_encoder", LORA_TEXT_1);
    clip_text_weights(&j->clip, &w);
    weights_prefix(&w, "%s", "");
    weights_ignore(&w, "text_projection.weight"); /* FLUX takes the row before it */
    weights_ignore(&w, "logit_scale");
    return weights_end(&w, err);
}

static SnugStatus open_t5(FluxJob *j, SnugError *err)
{
    ImagePart p;
    Weights w;
    TRY(image_model_network(&j->image->model, &FLUX_T5, j->image->request->paths.text_encoder_2, &p,
                            err));
    TRY(umt5_config_read(&j->t5.cfg, p.config, err));
    begin(j, &w, &p, "text_encoder_2", LORA_TEXT_3);
    umt5_weights(&j->t5, &w);
    weights_prefix(&w, "%s", "");
    weights_ignore(&w, "spiece_model"); /* its tokenizer, in repackaged files */
    weights_ignore(&w, "scaled_fp8");
    return weights_end(&w, err);
}

static SnugStatus open_vae(FluxJob *j, SnugError *err)
{
    ImagePart p;
    Weights w;
    TRY(image_model_network(&j->image->model, &FLUX_VAE, j->image->request->paths.vae, &p, err));
    TRY(autoencoder_kl_config_read(&j->vae.cfg, p.config, err));
    image_part_begin(&p, &w, j->image->context->weights, "vae");
    autoencoder_kl_weights(&j->vae, &w, j->image->task != IMAGE_TXT2IMG);
    return weights_end(&w, err);
}

/* A file of its own beside the configuration of a folder: dev and Fill differ in what they take. */
static SnugStatus check_kind(const FluxDitConfig *cfg, const ImagePart *p, SnugError *err)
{
    Identity found;
    int64_t in;
    TRY(wan_shapes_dim((WanTensors){ p->weights, &p->names }, "x_embedder.weight", 1, &in, err));
    if (in == cfg->in_channels) return SNUG_OK;
    identity_find(&found, p->weights);
    return error_set(err, SNUG_ERR_FILE,
                     "%s: this is %s (it takes %lld channels), the model's folder is made for one "
                     "that takes %lld: give the folder of its own model, or each part by itself",
                     p->path, found.words, (long long)in, (long long)cfg->in_channels);
}

static SnugStatus open_transformer(FluxJob *j, SnugError *err)
{
    ImagePart p;
    Weights w;
    TRY(image_model_network(&j->image->model, &FLUX_TRANSFORMER,
                            j->image->request->paths.transformer, &p, err));
    TRY(flux_dit_config_read(&j->dit.cfg, p.config, err));
    TRY(check_kind(&j->dit.cfg, &p, err));
    j->dit.cfg.shift_first = p.names.rows == FLUX_NAMES_ORIGINAL.rows;
    begin(j, &w, &p, "transformer", LORA_DENOISER);
    flux_dit_weights(&j->dit, &w);
    weights_prefix(&w, "%s", "");
    weights_ignore(&w, "scaled_fp8");
    return weights_end(&w, err);
}

/* What the channels say of the model, and whether the networks fit each other. */
static SnugStatus check_fit(FluxJob *j, SnugError *err)
{
    const FluxDitConfig *d = &j->dit.cfg;
    const int64_t f = autoencoder_kl_factor(&j->vae.cfg), latent = 4 * j->vae.cfg.z;
    const char *path = j->image->model.path;
    if (d->out_channels != latent)
        return error_set(
            err, SNUG_ERR_FILE,
            "%s: the transformer gives %lld channels, 2x2 latents of the VAE have %lld", path,
            (long long)d->out_channels, (long long)latent);
    if (d->text_dim != j->t5.cfg.dim || d->pooled_dim != j->clip.cfg.dim)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the transformer takes text of width %lld and %lld, the encoders give "
                         "%lld (T5) and %lld (CLIP)",
                         path, (long long)d->text_dim, (long long)d->pooled_dim,
                         (long long)j->t5.cfg.dim, (long long)j->clip.cfg.dim);
    j->fill = d->in_channels == 2 * latent + 4 * f * f;
    if (!j->fill && d->in_channels == 2 * latent)
        return error_set(err, SNUG_ERR_ARG,
                         "%s is built as FLUX.1 Canny or Depth (the transformer takes %lld "
                         "channels), which snug does not run",
                         path, (long long)d->in_channels);
    if (!j->fill && d->in_channels != latent)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the transformer takes %lld channels; FLUX.1 dev and schnell take "
                         "%lld, Fill %lld",
                         path, (long long)d->in_channels, (long long)latent,
                         (long long)(2 * latent + 4 * f * f));
    if (j->fill && j->image->task != IMAGE_INPAINT)
        return error_set(err, SNUG_ERR_ARG,
                         "%s is built as FLUX.1 Fill (the transformer takes %lld channels): use "
                         "inpaint",
                         path, (long long)d->in_channels);
    return SNUG_OK;
}

SnugStatus flux_networks_open(FluxJob *j, SnugError *err)
{
    const ImageRequest *q = j->image->request;
    char *warnings = j->image->context->weights->warnings;
    TRY(lora_option_open(&j->loras, j->image->context->heap, q->loras, 1, err));
    TRY(open_transformer(j, err));
    TRY(open_clip(j, err));
    TRY(open_t5(j, err));
    TRY(open_vae(j, err));
    if (j->loras)
        TRY(lora_check(j->loras, q->strict_lora, warnings,
                       sizeof j->image->context->weights->warnings, err));
    return check_fit(j, err);
}
