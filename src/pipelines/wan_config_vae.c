/* wan_config_vae.c  Sizes of the video VAE from tensor shapes.
 *
 * The encoder is walked: level by level in 2.2, through its flat list in 2.1, where a resampling ends
 * a level. The decoder mirrors it and only has a width of its own. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "pipelines/wan_shapes.h"

enum { MAX_LEVELS = 16 };

typedef struct Walk {
    WanTensors f;
    bool residual;
    int levels, res_blocks;
    int64_t base, out[MAX_LEVELS]; /* channels behind each level */
    bool temporal[MAX_LEVELS];
} Walk;

__attribute__((format(printf, 2, 3))) static const Entry *find(const Walk *w, const char *format,
                                                               ...)
{
    char ours[NAME_MAP_TEXT];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ours, sizeof ours, format, args);
    va_end(args);
    return wan_shapes_find(w->f, ours);
}

static SnugStatus contradiction(const Walk *w, SnugError *err, const char *what)
{
    return error_set(err, SNUG_ERR_FILE, "%s: the VAE's encoder %s: no Wan VAE has that",
                     checkpoint_path(w->f.weights), what);
}

/* Behind a level's last residual block. */
static SnugStatus end_level(Walk *w, int res_blocks, const Entry *last, SnugError *err)
{
    if (res_blocks < 1) return contradiction(w, err, "has a level without residual blocks");
    if (w->levels && res_blocks != w->res_blocks)
        return contradiction(w, err, "has levels of different depth");
    if (last->rank < 1 || last->dim[0] < 1) return contradiction(w, err, "has an empty tensor");
    w->res_blocks = res_blocks;
    w->out[w->levels++] = last->dim[0];
    return SNUG_OK;
}

static SnugStatus walk_flat(Walk *w, SnugError *err)
{
    const Entry *last = NULL;
    int res_blocks = 0;
    for (int k = 0; w->levels < MAX_LEVELS; k++) {
        const Entry *e = find(w, "encoder.down_blocks.%d.conv2.weight", k);
        if (e) {
            last = e;
            res_blocks++;
            continue;
        }
        const bool resamples = find(w, "encoder.down_blocks.%d.resample.1.weight", k);
        TRY(end_level(w, res_blocks, last, err));
        if (!resamples) return SNUG_OK;
        w->temporal[w->levels - 1] = find(w, "encoder.down_blocks.%d.time_conv.weight", k);
        res_blocks = 0;
    }
    return contradiction(w, err, "has too many levels");
}

static SnugStatus walk_levels(Walk *w, SnugError *err)
{
    while (w->levels < MAX_LEVELS) {
        const int i = w->levels;
        const Entry *last = NULL, *e;
        int j = 0;
        while ((e = find(w, "encoder.down_blocks.%d.resnets.%d.conv2.weight", i, j))) {
            last = e;
            if (++j == MAX_LEVELS) return contradiction(w, err, "has too many blocks");
        }
        if (j == 0) return i ? SNUG_OK : contradiction(w, err, "has no blocks");
        TRY(end_level(w, j, last, err));
        /* the resampling is the next in the original's list, and has a name of its own in ours */
        w->temporal[i] = find(w, "encoder.down_blocks.%d.resnets.%d.time_conv.weight", i, j) ||
                         find(w, "encoder.down_blocks.%d.downsampler.time_conv.weight", i);
    }
    return contradiction(w, err, "has too many levels");
}

/* Statistics of the published 2.2 VAE (spec wan 4.5); those of 2.1 are the class defaults. */
static const char STATISTICS_22[] =
    ",\"latents_mean\":[-0.2289,-0.0052,-0.1323,-0.2339,-0.2799,0.0174,0.1838,0.1557,-0.1382,0."
    "0542,"
    "0.2813,0.0891,0.1570,-0.0098,0.0375,-0.1825,-0.2246,-0.1207,-0.0698,0.5109,0.2665,-0.2108,"
    "-0.2158,0.2502,-0.2055,-0.0322,0.1109,0.1567,-0.0729,0.0899,-0.2799,-0.1230,-0.0313,-0.1649,"
    "0.0117,0.0723,-0.2839,-0.2083,-0.0520,0.3748,0.0152,0.1957,0.1433,-0.2944,0.3573,-0.0548,"
    "-0.1681,-0.0667],\"latents_std\":[0.4765,1.0364,0.4514,1.1677,0.5313,0.4990,0.4818,0.5013,"
    "0.8158,1.0344,0.5894,1.0901,0.6885,0.6165,0.8454,0.4978,0.5759,0.3523,0.7135,0.6804,0.5833,"
    "1.4146,0.8986,0.5659,0.7069,0.5338,0.4889,0.4917,0.4069,0.4999,0.6866,0.4093,0.5709,0.6065,"
    "0.6415,0.4944,0.5726,1.2042,0.5458,1.6887,0.3971,1.0600,0.3943,0.5537,0.5444,0.4089,0.7468,"
    "0.7744]";

static SnugStatus write(TextBuilder *b, const Walk *w, SnugError *err)
{
    int64_t in, z, decoder;
    TRY(wan_shapes_dim(w->f, "encoder.conv_in.weight", 1, &in, err));
    TRY(wan_shapes_dim(w->f, "post_quant_conv.weight", 0, &z, err));
    TRY(wan_shapes_dim(w->f, "decoder.conv_in.weight", 0, &decoder, err));
    const int64_t top = w->out[w->levels - 1] / w->base, patch = (int64_t)sqrt((double)in / 3.0);
    text_addf(b, "{\"_class_name\":\"AutoencoderKLWan\",\"base_dim\":%lld,", (long long)w->base);
    text_addf(b, "\"decoder_base_dim\":%lld,\"z_dim\":%lld,\"num_res_blocks\":%d,",
              (long long)(decoder / (top ? top : 1)), (long long)z, w->res_blocks);
    text_addf(b, "\"in_channels\":%lld,\"out_channels\":%lld,\"patch_size\":%lld,", (long long)in,
              (long long)in, (long long)patch);
    text_addf(b, "\"is_residual\":%s,\"dim_mult\":[", w->residual ? "true" : "false");
    for (int i = 0; i < w->levels; i++) {
        if (w->out[i] % w->base) return contradiction(w, err, "has levels of uneven width");
        text_addf(b, "%s%lld", i ? "," : "", (long long)(w->out[i] / w->base));
    }
    text_addf(b, "],\"temperal_downsample\":[");
    for (int i = 0; i + 1 < w->levels; i++)
        text_addf(b, "%s%s", i ? "," : "", w->temporal[i] ? "true" : "false");
    text_addf(b, "]%s}", z == 48 ? STATISTICS_22 : "");
    return SNUG_OK;
}

SnugStatus wan_config_vae(JsonDoc **out, Heap *heap, WanTensors f, WanVaeLevels *levels,
                          SnugError *err)
{
    Walk w = { .f = f };
    *out = NULL;
    TRY(wan_shapes_dim(f, "encoder.conv_in.weight", 0, &w.base, err));
    w.residual = find(&w, "encoder.down_blocks.0.resnets.0.conv2.weight") != NULL;
    TRY(w.residual ? walk_levels(&w, err) : walk_flat(&w, err));
    *levels = (WanVaeLevels){ w.levels, w.res_blocks, w.residual };
    TextBuilder b;
    text_init(&b, heap, "config");
    const SnugStatus status = write(&b, &w, err);
    if (status == SNUG_OK) return wan_shapes_parse(out, heap, f, &b, err);
    text_release(&b);
    return status;
}
