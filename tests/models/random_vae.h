/* random_vae.h  A Wan VAE of any small shape with random weights, as a folder in the scratch. */
#ifndef TESTS_MODELS_RANDOM_VAE_H
#define TESTS_MODELS_RANDOM_VAE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "test.h"

#include "formats/safetensors_write.h"

enum { RANDOM_VAE_LEVELS = 3, RANDOM_VAE_TENSORS = 512, RANDOM_VAE_NAME = 96 };

typedef struct RandomVae {
    bool residual;                   /* 2.2: shortcuts, patches of 2 */
    int encoder_dim, decoder_dim, z; /* width at full resolution */
    int mult[RANDOM_VAE_LEVELS];
    bool temporal[RANDOM_VAE_LEVELS - 1];
    int res_blocks;
} RandomVae;

typedef struct RandomTensors {
    SafetensorsItem item[RANDOM_VAE_TENSORS];
    char name[RANDOM_VAE_TENSORS][RANDOM_VAE_NAME];
    int32_t n;
} RandomTensors;

__attribute__((format(printf, 2, 7))) static inline void
random_vae_conv(RandomTensors *t, const char *format, int out, int in, int kt, int k, ...)
{
    char stem[64];
    va_list args;
    va_start(args, k);
    (void)vsnprintf(stem, sizeof stem, format, args);
    va_end(args);
    for (int bias = 0; bias < 2; bias++) {
        CHECK(t->n < RANDOM_VAE_TENSORS);
        char *name = t->name[t->n];
        (void)snprintf(name, RANDOM_VAE_NAME, "%s.%s", stem, bias ? "bias" : "weight");
        t->item[t->n] = (SafetensorsItem){ .name = name,
                                           .dtype = DT_F32,
                                           .rank = bias ? 1 : 5,
                                           .dim = { out, in, kt, k, k },
                                           .user = in * kt * k * k };
        t->n++;
    }
}

static inline void random_vae_norm(RandomTensors *t, const char *stem, const char *part, int n)
{
    CHECK(t->n < RANDOM_VAE_TENSORS);
    (void)snprintf(t->name[t->n], RANDOM_VAE_NAME, "%s.%s", stem, part);
    t->item[t->n] =
        (SafetensorsItem){ .name = t->name[t->n], .dtype = DT_F32, .rank = 1, .dim = { n } };
    t->n++;
}

static inline void random_vae_res(RandomTensors *t, const char *stem, int in, int out)
{
    random_vae_norm(t, stem, "norm1.gamma", in);
    random_vae_conv(t, "%s.conv1", out, in, 3, 3, stem);
    random_vae_norm(t, stem, "norm2.gamma", out);
    random_vae_conv(t, "%s.conv2", out, out, 3, 3, stem);
    if (in != out) random_vae_conv(t, "%s.conv_shortcut", out, in, 1, 1, stem);
}

static inline void random_vae_mid(RandomTensors *t, const char *coder, int dim)
{
    char stem[64];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(stem, sizeof stem, "%s.mid_block.resnets.%d", coder, i);
        random_vae_res(t, stem, dim, dim);
    }
    (void)snprintf(stem, sizeof stem, "%s.mid_block.attentions.0", coder);
    random_vae_norm(t, stem, "norm.gamma", dim);
    random_vae_conv(t, "%s.to_qkv", 3 * dim, dim, 1, 1, stem);
    random_vae_conv(t, "%s.proj", dim, dim, 1, 1, stem);
}

static inline void random_vae_encoder(RandomTensors *t, const RandomVae *v)
{
    int dim = v->encoder_dim, flat = 0;
    char stem[64];
    random_vae_conv(t, "encoder.conv_in", dim, v->residual ? 12 : 3, 3, 3);
    for (int i = 0; i < RANDOM_VAE_LEVELS; i++) {
        const int out = v->encoder_dim * v->mult[i];
        for (int j = 0; j < v->res_blocks; j++) {
            if (v->residual)
                (void)snprintf(stem, sizeof stem, "encoder.down_blocks.%d.resnets.%d", i, j);
            else
                (void)snprintf(stem, sizeof stem, "encoder.down_blocks.%d", flat++);
            random_vae_res(t, stem, j ? out : dim, out);
        }
        dim = out;
        if (i + 1 == RANDOM_VAE_LEVELS) break;
        if (v->residual)
            (void)snprintf(stem, sizeof stem, "encoder.down_blocks.%d.downsampler", i);
        else
            (void)snprintf(stem, sizeof stem, "encoder.down_blocks.%d", flat++);
        random_vae_conv(t, "%s.resample.1", dim, dim, 1, 3, stem);
        if (v->temporal[i]) random_vae_conv(t, "%s.time_conv", dim, dim, 3, 1, stem);
    }
    random_vae_mid(t, "encoder", dim);
    random_vae_norm(t, "encoder", "norm_out.gamma", dim);
    random_vae_conv(t, "encoder.conv_out", 2 * v->z, dim, 3, 3);
}

static inline void random_vae_decoder(RandomTensors *t, const RandomVae *v)
{
    const int last = RANDOM_VAE_LEVELS - 1;
    int dim = v->decoder_dim * v->mult[last];
    char stem[64];
    random_vae_conv(t, "decoder.conv_in", dim, v->z, 3, 3);
    random_vae_mid(t, "decoder", dim);
    for (int i = 0; i <= last; i++) {
        const int out = v->decoder_dim * v->mult[last - i];
        int in = i && !v->residual ? dim / 2 : dim;
        for (int j = 0; j <= v->res_blocks; j++, in = out) {
            (void)snprintf(stem, sizeof stem, "decoder.up_blocks.%d.resnets.%d", i, j);
            random_vae_res(t, stem, in, out);
        }
        dim = out;
        if (i == last) break;
        (void)snprintf(stem, sizeof stem, "decoder.up_blocks.%d.%s", i,
                       v->residual ? "upsampler" : "upsamplers.0");
        random_vae_conv(t, "%s.resample.1", v->residual ? dim : dim / 2, dim, 1, 3, stem);
        if (v->temporal[last - 1 - i]) random_vae_conv(t, "%s.time_conv", 2 * dim, dim, 3, 1, stem);
    }
    random_vae_norm(t, "decoder", "norm_out.gamma", dim);
    random_vae_conv(t, "decoder.conv_out", v->residual ? 12 : 3, dim, 3, 3);
}

/* Norms near 1, biases small, kernels so that values keep their size. */
static inline void random_vae_values(SafetensorsWriter *w, int32_t n, SnugError *err)
{
    for (int32_t i = 0; i < n; i++) {
        const SafetensorsItem *item = safetensors_item(w, i);
        const size_t bytes = safetensors_item_bytes(w, i);
        float *x = malloc(bytes);
        const float size = item->rank > 1 ? 1.7f / sqrtf((float)item->user) : 0.1f;
        const bool norm = strstr(item->name, "gamma") != NULL;
        test_random(x, bytes / sizeof *x, norm ? 0.8f : -size, norm ? 1.2f : size);
        CHECK_INT(safetensors_append(w, x, bytes, err), SNUG_OK);
        free(x);
    }
}

static inline void random_vae_config(const char *folder, const RandomVae *v)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    CHECK(f);
    (void)fprintf(
        f,
        "{\"base_dim\": %d, \"decoder_base_dim\": %d, \"z_dim\": %d, \"dim_mult\": [%d, %d, "
        "%d], \"num_res_blocks\": %d, \"temperal_downsample\": [%s, %s], \"is_residual\": "
        "%s, \"in_channels\": %d, \"out_channels\": %d, \"patch_size\": %d, "
        "\"latents_mean\": [",
        v->encoder_dim, v->decoder_dim, v->z, v->mult[0], v->mult[1], v->mult[2], v->res_blocks,
        v->temporal[0] ? "true" : "false", v->temporal[1] ? "true" : "false",
        v->residual ? "true" : "false", v->residual ? 12 : 3, v->residual ? 12 : 3,
        v->residual ? 2 : 1);
    for (int i = 0; i < v->z; i++)
        (void)fprintf(f, "%s0.1", i ? ", " : "");
    (void)fprintf(f, "], \"latents_std\": [");
    for (int i = 0; i < v->z; i++)
        (void)fprintf(f, "%s1.3", i ? ", " : "");
    (void)fprintf(f, "]}");
    CHECK_INT(fclose(f), 0);
}

/** Write config.json and model.safetensors to a folder of this name; returns its path. */
static inline const char *random_vae_write(const char *name, const RandomVae *v)
{
    static RandomTensors t;
    static char folder[500];
    char path[600];
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    SafetensorsWriter *w = NULL;
    t.n = 0;
    (void)snprintf(folder, sizeof folder, "%s/%s", test_scratch(), name);
    (void)mkdir(folder, 0700);
    random_vae_config(folder, v);
    random_vae_encoder(&t, v);
    random_vae_decoder(&t, v);
    random_vae_conv(&t, "quant_conv", 2 * v->z, 2 * v->z, 1, 1);
    random_vae_conv(&t, "post_quant_conv", v->z, v->z, 1, 1);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (safetensors_create(&w, heap, path, t.item, t.n, NULL, 0, &err) != SNUG_OK)
        fail_msg("%s", err.text);
    random_vae_values(w, t.n, &err);
    CHECK_INT(safetensors_commit(w, &err), SNUG_OK);
    safetensors_close(w);
    heap_free(heap);
    return folder;
}

#endif
