/* wan_config.c  Sizes of transformer and text encoder from tensor shapes. */
#include "pipelines/wan_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/text.h"
#include "pipelines/wan_shapes.h"

WanConfigKind wan_config_kind(Json config, WanNetwork network)
{
    static const char *const CLASSES[WAN_NETS] = {
        [WAN_NET_TRANSFORMER] = "WanTransformer3DModel", [WAN_NET_VAE] = "AutoencoderKLWan"
    };
    const char *name = NULL, *type = NULL;
    if (json_text(config, "_class_name", NULL, &name, NULL) != SNUG_OK) return WAN_CONFIG_FOREIGN;
    if (json_text(config, "model_type", NULL, &type, NULL) != SNUG_OK) return WAN_CONFIG_FOREIGN;
    if (network == WAN_NET_TEXT) {
        const bool t5 = type && (strcmp(type, "umt5") == 0 || strcmp(type, "t5") == 0);
        return t5 ? WAN_CONFIG_OURS : WAN_CONFIG_FOREIGN;
    }
    if (network == WAN_NET_IMAGE)
        return type && text_starts(type, "clip") ? WAN_CONFIG_OURS : WAN_CONFIG_FOREIGN;
    if (name && strcmp(name, CLASSES[network]) == 0) return WAN_CONFIG_OURS;
    if (network != WAN_NET_TRANSFORMER) return WAN_CONFIG_FOREIGN;
    if (json_has(config, "num_attention_heads")) return WAN_CONFIG_OURS;
    return json_has(config, "dim") || json_has(config, "num_heads") ? WAN_CONFIG_ORIGINAL
                                                                    : WAN_CONFIG_FOREIGN;
}

/* ---- transformer ---------------------------------------------------------------------------- */

typedef struct Transformer {
    int64_t dim, heads, in, out, text_dim, freq_dim, ffn_dim, layers, image_dim, image_tokens;
    int64_t patch[3];
    bool cross_norm;
    double eps;
} Transformer;

/* [dim, in, pt, ph, pw]; some writers of GGUF fold it to fewer dimensions: then the published patch. */
static SnugStatus read_patch(Transformer *t, WanTensors f, SnugError *err)
{
    const Entry *e = NULL;
    static const int64_t PUBLISHED[3] = { 1, 2, 2 };
    TRY(wan_shapes_need(f, "patch_embedding.weight", &e, err));
    for (int i = 0; i < 3; i++)
        t->patch[i] = e->rank == 5 ? e->dim[2 + i] : PUBLISHED[i];
    int64_t all = 0;
    const int64_t pixels = t->patch[0] * t->patch[1] * t->patch[2];
    if (!entry_elements(e->dim, e->rank, &all) || pixels < 1 || all % (t->dim * pixels) != 0)
        return wan_shapes_bad(f, e, err, "no patches of %lld channels", (long long)t->dim);
    t->in = all / (t->dim * pixels);
    return SNUG_OK;
}

static SnugStatus read_image_branch(Transformer *t, WanTensors f, SnugError *err)
{
    static const char NORM[] = "condition_embedder.image_embedder.norm1.weight",
                      POSITIONS[] = "condition_embedder.image_embedder.pos_embed";
    const Entry *e = wan_shapes_find(f, POSITIONS);
    if (e && e->rank >= 2) t->image_tokens = e->dim[e->rank - 2];
    return wan_shapes_find(f, NORM) ? wan_shapes_dim(f, NORM, 0, &t->image_dim, err) : SNUG_OK;
}

static SnugStatus read_transformer(Transformer *t, WanTensors f, SnugError *err)
{
    int64_t columns;
    *t = (Transformer){ .eps = 1e-6 };
    TRY(wan_shapes_dim(f, "patch_embedding.bias", 0, &t->dim, err));
    TRY(read_patch(t, f, err));
    TRY(wan_shapes_dim(f, "proj_out.bias", 0, &columns, err));
    t->out = columns / (t->patch[0] * t->patch[1] * t->patch[2]);
    TRY(wan_shapes_dim(f, "condition_embedder.text_embedder.linear_1.weight", 1, &t->text_dim,
                       err));
    TRY(wan_shapes_dim(f, "condition_embedder.time_embedder.linear_1.weight", 1, &t->freq_dim,
                       err));
    TRY(wan_shapes_dim(f, "blocks.0.ffn.net.0.proj.bias", 0, &t->ffn_dim, err));
    t->layers = wan_shapes_count(f, "blocks.", ".attn1.norm_q.weight");
    t->cross_norm = wan_shapes_find(f, "blocks.0.norm2.weight") != NULL;
    t->heads = t->dim % 128 == 0 ? t->dim / 128 : 0;
    return read_image_branch(t, f, err);
}

/* What config.json says of a size must be what the tensors have. */
static SnugStatus agree(Json original, const char *key, int64_t have, SnugError *err)
{
    int64_t said;
    TRY(json_int(original, key, have, 1, INT32_MAX, &said, err));
    if (said == have) return SNUG_OK;
    return json_fault(json_get(original, key), err, FAULT_MISMATCH,
                      "got %lld, the tensors have %lld", (long long)said, (long long)have);
}

static SnugStatus read_original(Transformer *t, Json original, SnugError *err)
{
    static const char *const TYPES[] = { "t2v", "i2v", "ti2v", "flf2v", NULL };
    int type;
    TRY(json_choice(original, "model_type", TYPES, 0, &type, err));
    TRY(agree(original, "text_len", 512, err));
    TRY(agree(original, "dim", t->dim, err));
    TRY(agree(original, "ffn_dim", t->ffn_dim, err));
    TRY(agree(original, "freq_dim", t->freq_dim, err));
    TRY(agree(original, "in_dim", t->in, err));
    TRY(agree(original, "out_dim", t->out, err));
    TRY(agree(original, "text_dim", t->text_dim, err));
    TRY(agree(original, "num_layers", t->layers, err));
    TRY(json_int(original, "num_heads", t->heads, 1, 1024, &t->heads, err));
    return json_f64(original, "eps", t->eps, 0.0, 1.0, &t->eps, err);
}

static void write_transformer(TextBuilder *b, const Transformer *t)
{
    text_addf(b, "{\"_class_name\":\"WanTransformer3DModel\",\"patch_size\":[%lld,%lld,%lld],",
              (long long)t->patch[0], (long long)t->patch[1], (long long)t->patch[2]);
    text_addf(b, "\"num_attention_heads\":%lld,\"attention_head_dim\":%lld,\"num_layers\":%lld,",
              (long long)t->heads, (long long)(t->dim / t->heads), (long long)t->layers);
    text_addf(b, "\"in_channels\":%lld,\"out_channels\":%lld,\"text_dim\":%lld,\"freq_dim\":%lld,",
              (long long)t->in, (long long)t->out, (long long)t->text_dim, (long long)t->freq_dim);
    text_addf(b, "\"ffn_dim\":%lld,\"cross_attn_norm\":%s,\"eps\":%.9g,", (long long)t->ffn_dim,
              t->cross_norm ? "true" : "false", t->eps);
    text_addf(b, "\"image_dim\":%lld,\"pos_embed_seq_len\":%lld}", (long long)t->image_dim,
              (long long)t->image_tokens);
}

SnugStatus wan_config_transformer(JsonDoc **out, Heap *heap, WanTensors f, Json original,
                                  SnugError *err)
{
    Transformer t;
    *out = NULL;
    TRY(read_transformer(&t, f, err));
    if (json_kind(original) == JSON_KIND_OBJECT) TRY(read_original(&t, original, err));
    if (t.heads == 0 || t.dim % t.heads != 0)
        return fault_set(err, FAULT_MISSING, checkpoint_path(f.weights), "transformer", NULL,
                         "the number of heads: %lld channels are not heads of 128, so a "
                         "config.json with num_heads is needed beside it",
                         (long long)t.dim);
    TextBuilder b;
    text_init(&b, heap, "config");
    write_transformer(&b, &t);
    return wan_shapes_parse(out, heap, f, &b, err);
}

/* ---- text encoder --------------------------------------------------------------------------- */

SnugStatus wan_config_text(JsonDoc **out, Heap *heap, WanTensors f, SnugError *err)
{
    static const char LAYER[] = "encoder.block.0.layer.",
                      BIAS[] = "SelfAttention.relative_attention_bias.weight";
    char name[NAME_MAP_TEXT];
    int64_t vocab, dim, buckets, heads, inner, ffn;
    *out = NULL;
    const bool shared = wan_shapes_find(f, "shared.weight") != NULL;
    const char *embedding = shared ? "shared.weight" : "encoder.embed_tokens.weight";
    TRY(wan_shapes_dim(f, embedding, 0, &vocab, err));
    TRY(wan_shapes_dim(f, embedding, 1, &dim, err));
    (void)snprintf(name, sizeof name, "%s0.%s", LAYER, BIAS);
    TRY(wan_shapes_dim(f, name, 0, &buckets, err));
    TRY(wan_shapes_dim(f, name, 1, &heads, err));
    (void)snprintf(name, sizeof name, "%s0.SelfAttention.q.weight", LAYER);
    TRY(wan_shapes_dim(f, name, 0, &inner, err));
    const bool gated = wan_shapes_find(f, "encoder.block.0.layer.1.DenseReluDense.wi_1.weight");
    (void)snprintf(name, sizeof name, "%s1.DenseReluDense.%s.weight", LAYER, gated ? "wi_1" : "wi");
    TRY(wan_shapes_dim(f, name, 0, &ffn, err));
    const int layers = wan_shapes_count(f, "encoder.block.", ".layer.0.layer_norm.weight");
    (void)snprintf(name, sizeof name, "encoder.block.1.layer.0.%s", BIAS);
    const bool own_bias = layers < 2 || wan_shapes_find(f, name);
    TextBuilder b;
    text_init(&b, heap, "config");
    text_addf(&b, "{\"model_type\":\"%s\",\"feed_forward_proj\":\"%s\",", own_bias ? "umt5" : "t5",
              gated ? "gated-gelu" : "relu");
    text_addf(&b, "\"vocab_size\":%lld,\"d_model\":%lld,\"d_ff\":%lld,\"num_layers\":%d,",
              (long long)vocab, (long long)dim, (long long)ffn, layers);
    text_addf(&b, "\"num_heads\":%lld,\"d_kv\":%lld,\"relative_attention_num_buckets\":%lld}",
              (long long)heads, (long long)(inner / heads), (long long)buckets);
    return wan_shapes_parse(out, heap, f, &b, err);
}
