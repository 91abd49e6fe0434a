/* lora_names.c  Two tables, endings and beginnings. */
#include "nn/lora_names.h"

#include <string.h>

#include "base/size.h"

static const char DORA[] = "DoRA (weights split into direction and size)",
                  LOHA[] = "LoHa (products of two low-rank matrices)",
                  LOKR[] = "LoKr (Kronecker products)", TUCKER[] = "a Tucker core (lora_mid)",
                  SET[] = "replaced weights (set_weight)";

/* The first that fits counts. */
static const struct {
    const char *ending;
    LoraPart part;
    const char *refused;
} ENDINGS[] = {
    { ".lora_down.weight", LORA_DOWN, NULL },
    { ".lora_up.weight", LORA_UP, NULL },
    { ".lora_A.weight", LORA_DOWN, NULL },
    { ".lora_B.weight", LORA_UP, NULL },
    { ".lora_A.default.weight", LORA_DOWN, NULL },
    { ".lora_B.default.weight", LORA_UP, NULL },
    { ".lora_B.bias", LORA_UP_BIAS, NULL },
    { ".lora_B.default.bias", LORA_UP_BIAS, NULL },
    { ".lora_linear_layer.down.weight", LORA_DOWN, NULL },
    { ".lora_linear_layer.up.weight", LORA_UP, NULL },
    { ".lora.down.weight", LORA_DOWN, NULL },
    { ".lora.up.weight", LORA_UP, NULL },
    { "_lora.down.weight", LORA_DOWN, NULL },
    { "_lora.up.weight", LORA_UP, NULL },
    { ".alpha", LORA_ALPHA, NULL },
    { ".diff", LORA_DIFF, NULL },
    { ".diff_b", LORA_DIFF_BIAS, NULL },
    { ".w_norm", LORA_DIFF, NULL },
    { ".b_norm", LORA_DIFF_BIAS, NULL },
    { ".dora_scale", LORA_PARTS, DORA },
    { ".lora_magnitude_vector", LORA_PARTS, DORA },
    { ".lora_magnitude_vector.weight", LORA_PARTS, DORA },
    { ".lora_magnitude_vector.default.weight", LORA_PARTS, DORA },
    { ".lora_mid.weight", LORA_PARTS, TUCKER },
    { ".set_weight", LORA_PARTS, SET },
    { ".hada_w1_a", LORA_PARTS, LOHA },
    { ".hada_w1_b", LORA_PARTS, LOHA },
    { ".hada_w2_a", LORA_PARTS, LOHA },
    { ".hada_w2_b", LORA_PARTS, LOHA },
    { ".lokr_w1", LORA_PARTS, LOKR },
    { ".lokr_w1_a", LORA_PARTS, LOKR },
    { ".lokr_w1_b", LORA_PARTS, LOKR },
    { ".lokr_w2", LORA_PARTS, LOKR },
    { ".lokr_w2_a", LORA_PARTS, LOKR },
    { ".lokr_w2_b", LORA_PARTS, LOKR },
};

/* Taken off one after the other until none fits; longer ones first. */
static const struct {
    const char *beginning;
    LoraNetwork network;
    unsigned experts;
    const char *component;
} BEGINNINGS[] = {
    { "base_model.model.", LORA_NETWORKS, 0, NULL },
    { "model.diffusion_model.", LORA_DENOISER, 0, NULL },
    { "diffusion_model.", LORA_DENOISER, 0, NULL },
    { "transformer_2.", LORA_DENOISER, LORA_LOW, "transformer_2" },
    { "transformer.", LORA_DENOISER, 0, "transformer" },
    { "unet.", LORA_DENOISER, 0, "unet" },
    { "text_encoder_3.", LORA_TEXT_3, 0, "text_encoder_3" },
    { "text_encoder_2.", LORA_TEXT_2, 0, "text_encoder_2" },
    { "text_encoder.", LORA_TEXT_1, 0, "text_encoder" },
    { "lora_unet__", LORA_DENOISER, 0, NULL }, /* Wan-Fun */
    { "lora_unet_", LORA_DENOISER, 0, NULL },
    { "lora_transformer_", LORA_DENOISER, 0, NULL },
    { "lycoris_", LORA_DENOISER, 0, NULL },
    { "lora_te1_", LORA_TEXT_1, 0, NULL },
    { "lora_te2_", LORA_TEXT_2, 0, NULL },
    { "lora_te3_", LORA_TEXT_3, 0, NULL },
    { "lora_te_", LORA_TEXT_1, 0, NULL },
};

static const char PROCESSOR[] = ".processor";

static bool take_ending(LoraName *out, const char *name)
{
    for (size_t i = 0; i < COUNT(ENDINGS); i++) {
        if (!text_ends(name, ENDINGS[i].ending)) continue;
        out->module = (TextView){ name, strlen(name) - strlen(ENDINGS[i].ending) };
        out->part = ENDINGS[i].part;
        out->refused = ENDINGS[i].refused;
        /* older diffusers: "to_out_lora" changes the first of to_out's modules */
        out->output = ENDINGS[i].ending[0] == '_' && out->module.n >= 7 &&
                      memcmp(name + out->module.n - 7, ".to_out", 7) == 0;
        return true;
    }
    return false;
}

bool lora_names_read(LoraName *out, const char *name)
{
    *out = (LoraName){ .network = LORA_DENOISER };
    if (!take_ending(out, name)) return false;
    bool more = true;
    while (more) {
        more = false;
        for (size_t i = 0; !more && i < COUNT(BEGINNINGS); i++) {
            const size_t n = strlen(BEGINNINGS[i].beginning);
            if (out->module.n < n || memcmp(out->module.at, BEGINNINGS[i].beginning, n) != 0)
                continue;
            out->module.at += n;
            out->module.n -= n;
            more = true;
            if (BEGINNINGS[i].network == LORA_NETWORKS) continue;
            out->network = BEGINNINGS[i].network;
            out->experts |= BEGINNINGS[i].experts;
            if (BEGINNINGS[i].component) out->component = BEGINNINGS[i].component;
        }
    }
    return out->module.n > 0;
}

void lora_names_key(char *to, const LoraName *name)
{
    const size_t skip = sizeof PROCESSOR - 1;
    size_t n = 0;
    for (size_t i = 0; i < name->module.n; i++) {
        const char *at = name->module.at + i;
        const size_t left = name->module.n - i;
        if (left > skip && memcmp(at, PROCESSOR, skip) == 0 && at[skip] == '.') {
            i += skip - 1;
            continue;
        }
        to[n++] = *at == '.' ? '_' : *at;
    }
    memcpy(to + n, name->output ? "_0" : "", name->output ? 3 : 1);
}

void lora_names_key_of(char *to, size_t size, const char *name)
{
    size_t n = 0;
    for (; name[n] && n + 1 < size; n++)
        to[n] = name[n] == '.' ? '_' : name[n];
    to[n] = '\0';
}
