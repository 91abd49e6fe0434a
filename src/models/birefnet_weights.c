/* birefnet_weights.c  The list of BiRefNet's weights. Channels inside of decoder blocks are fixed. */
#include <stdio.h>
#include <string.h>

#include "models/birefnet.h"

enum { INNER = 64, BRANCH = 256, GATE = 16 };

const char *birefnet_prefix(const Checkpoint *weights)
{
    static const char *const PREFIXES[] = { "", "module.", "_orig_mod.", "module._orig_mod.",
                                            "_orig_mod.module." };
    static const char MARKER[] =
        "decoder.decoder_block1.dec_att.aspp1.atrous_conv.offset_conv.weight";
    char name[128];
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++) {
        (void)snprintf(name, sizeof name, "%s%s", PREFIXES[i], MARKER);
        if (checkpoint_find(weights, name) >= 0) return PREFIXES[i];
    }
    return NULL;
}

static BatchStatistics batch_weights(Weights *w, const char *name, int64_t c)
{
    static const char *const PARTS[] = { "weight", "bias", "running_mean", "running_var" };
    const Weight *v[4];
    char full[96];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(full, sizeof full, "%s.%s", name, PARTS[i]);
        v[i] = weights_tensor(w, full, SHAPE(c));
    }
    (void)snprintf(full, sizeof full, "%s.num_batches_tracked", name);
    weights_ignore(w, full);
    return (BatchStatistics){ v[0], v[1], v[2], v[3] };
}

static void deform_weights(BirefnetDeform *d, Weights *w, const char *unit, const char *name, int k)
{
    weights_prefix(w, "%s.dec_att.%s", unit, name);
    d->kernel = k;
    weights_conv(w, &d->offset, "atrous_conv.offset_conv", INNER, 2 * k * k, 1, k, k, BIAS);
    weights_conv(w, &d->factor, "atrous_conv.modulator_conv", INNER, k * k, 1, k, k, BIAS);
    d->weight = weights_tensor(w, "atrous_conv.regular_conv.weight", SHAPE(BRANCH, INNER, k, k));
    d->norm = batch_weights(w, "bn", BRANCH);
}

static void decoder_weights(BirefnetBlock *b, Weights *w, const char *unit, int64_t in, int64_t out)
{
    static const char *const NAMES[] = { "aspp1", "aspp_deforms.0", "aspp_deforms.1",
                                         "aspp_deforms.2" };
    static const int KERNELS[] = { 1, 1, 3, 7 };
    weights_unit(w, "%s", unit);
    weights_conv(w, &b->in, "conv_in", in, INNER, 1, 3, 3, BIAS);
    b->norm_in = batch_weights(w, "bn_in", INNER);
    b->norm_out = batch_weights(w, "bn_out", out);
    weights_conv(w, &b->out, "conv_out", INNER, out, 1, 3, 3, BIAS);
    for (int i = 0; i < BIREFNET_BRANCHES; i++)
        deform_weights(&b->branch[i], w, unit, NAMES[i], KERNELS[i]);
    weights_prefix(w, "%s.dec_att", unit);
    weights_linear(w, &b->pool, "global_avg_pool.1", INNER, BRANCH, NO_BIAS);
    b->norm_pool = batch_weights(w, "global_avg_pool.2", BRANCH);
    weights_linear(w, &b->join, "conv1", (BIREFNET_BRANCHES + 1) * BRANCH, INNER, NO_BIAS);
    b->norm_join = batch_weights(w, "bn1", INNER);
}

static void gate_weights(BirefnetGate *g, Weights *w, int number, int64_t c)
{
    char name[32];
    (void)snprintf(name, sizeof name, "gdt_convs_%d.0", number);
    weights_conv(w, &g->conv, name, c, GATE, 1, 3, 3, BIAS);
    (void)snprintf(name, sizeof name, "gdt_convs_%d.1", number);
    g->norm = batch_weights(w, name, GATE);
    (void)snprintf(name, sizeof name, "gdt_convs_attn_%d.0", number);
    weights_conv(w, &g->attention, name, GATE, 1, 1, 1, 1, BIAS);
}

/* The picture's way into a level: 3 * grid^2 channels of pieces. */
static void patch_weights(Birefnet *m, Weights *w, int i, int64_t out)
{
    static const int64_t GRIDS[BIREFNET_LEVELS] = { 32, 16, 8, 4, 1 };
    char name[32];
    (void)snprintf(name, sizeof name, "ipt_blk%d.conv1", BIREFNET_LEVELS - i);
    weights_conv(w, &m->patch1[i], name, 3 * GRIDS[i] * GRIDS[i], INNER, 1, 3, 3, BIAS);
    (void)snprintf(name, sizeof name, "ipt_blk%d.conv_out", BIREFNET_LEVELS - i);
    weights_conv(w, &m->patch2[i], name, INNER, out, 1, 3, 3, BIAS);
}

void birefnet_weights(Birefnet *m, Weights *w)
{
    const SwinConfig *cfg = &m->backbone.cfg;
    int64_t c[4], patch[BIREFNET_LEVELS]; /* from the inside outwards: both sizes of a feature */
    char name[48];
    for (int i = 0; i < 4; i++)
        c[i] = 2 * swin_channels(cfg, 3 - i);
    for (int i = 0; i < BIREFNET_LEVELS; i++)
        patch[i] = c[i ? i - 1 : 0] / 8;
    swin_weights(&m->backbone, w, "bb");
    decoder_weights(&m->squeeze, w, "squeeze_module.0", c[0] + c[1] + c[2] + c[3], c[0]);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof name, "decoder.decoder_block%d", 4 - i);
        decoder_weights(&m->block[i], w, name, c[i] + patch[i], i < 3 ? c[i + 1] : c[3] / 2);
    }
    weights_unit(w, "decoder");
    for (int i = 0; i < BIREFNET_LEVELS; i++)
        patch_weights(m, w, i, patch[i]);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "lateral_block%d.conv", 4 - i);
        weights_conv(w, &m->lateral[i], name, c[i + 1], c[i + 1], 1, 1, 1, BIAS);
        gate_weights(&m->gate[i], w, 4 - i, c[i + 1]);
    }
    weights_linear(w, &m->out, "conv_out1.0", c[3] / 2 + patch[4], 1, BIAS);
    weights_ignore_all(w, "decoder.conv_ms_spvn_"); /* training only */
    weights_ignore_all(w, "decoder.gdt_convs_pred_");
}
