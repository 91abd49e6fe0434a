/* test_wan_vae_bands.c  The Wan VAE gives the same bits however rows and frames are cut, and needs
 * less memory where they are cut finer. Networks with random weights, wide enough for Winograd. */
#include "net.h"

#include "base/size.h"
#include "models/random_vae.h"
#include "models/wan_vae.h"

typedef struct Case {
    Net net;
    WanVae m;
    float *video;
    int64_t frames, height, width;
    int64_t still, still_end; /* frames still + 1 .. still_end are equal to frame `still` ... */
    bool tell;                /* ... and the encoder is told so */
    bool encode;
    Tensor latent;
    float *want, *got; /* latent, then frames */
    float *to;         /* one of them */
    int64_t n;
} Case;

static int64_t frame_values(const Case *c)
{
    return c->height * c->width * 3;
}

static Tensor source(void *context, Run *r, int64_t index)
{
    Case *c = context;
    const bool same = index > c->still && index <= c->still_end;
    if (same && c->tell) return NO_TENSOR;
    if (same) index = c->still;
    return run_input(r, SHAPE(1, c->height, c->width, 3), net_fill,
                     c->video + index * frame_values(c));
}

static void frame(void *context, Run *r, int64_t index, Tensor rgb)
{
    (void)context;
    run_output(r, "frame", index, rgb);
}

static void recipe(Run *r, void *context)
{
    Case *c = context;
    const WanVaeConfig *v = &c->m.cfg;
    r->taps = false;
    if (c->encode) {
        run_stage(r, "encode");
        run_output(r, "latent", 0, wan_vae_encode(r, &c->m, c->frames, source, c));
        return;
    }
    run_stage(r, "decode");
    const Shape s = SHAPE((c->frames - 1) / v->time_factor + 1, c->height / v->space_factor,
                          c->width / v->space_factor, v->z);
    wan_vae_decode(r, &c->m, run_input(r, s, net_fill, c->video), frame, c);
}

static void take(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    const int64_t n = tensor_count(t), at = strcmp(name, "frame") == 0 ? index * n : 0;
    CHECK(at + n <= c->n);
    memcpy(c->to + at, data, (size_t)n * sizeof *data);
}

static size_t run(Case *c, int64_t rows, int64_t group, float *to)
{
    c->net.knobs.band_rows = rows;
    c->net.knobs.group_frames = group;
    c->to = to;
    for (int64_t i = 0; i < c->n; i++)
        to[i] = NAN;
    if (net_run(&c->net, recipe, take, c) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_INT(c->net.stats.slab_peak_bytes, c->net.planned_top);
    return c->net.planned_top;
}

static void open_case(Case *c, const RandomVae *v, int64_t frames, int64_t height, int64_t width,
                      bool encode)
{
    *c = (Case){ .frames = frames, .height = height, .width = width };
    net_open(&c->net, random_vae_write("vae", v), "model.safetensors", "");
    if (wan_vae_config_read(&c->m.cfg, net_config(&c->net), &c->net.err) != SNUG_OK)
        fail_msg("%s", c->net.err.text);
    weights_begin(&c->net.weights, &c->net.table, c->net.checkpoint, "vae");
    wan_vae_weights(&c->m, &c->net.weights);
    if (weights_end(&c->net.weights, &c->net.err) != SNUG_OK) fail_msg("%s", c->net.err.text);
    const WanVaeConfig *f = &c->m.cfg;
    c->encode = encode;
    c->n = encode ? ((frames - 1) / f->time_factor + 1) * (height / f->space_factor) *
                        (width / f->space_factor) * f->z
                  : frames * frame_values(c);
    c->video = malloc((size_t)(frames * frame_values(c)) * sizeof(float));
    c->want = malloc((size_t)c->n * sizeof(float));
    c->got = malloc((size_t)c->n * sizeof(float));
    test_random(c->video, (size_t)(frames * frame_values(c)), -1.0f, 1.0f);
}

static void close_case(Case *c)
{
    net_close(&c->net);
    free(c->video);
    free(c->want);
    free(c->got);
}

static void same_bits(Case *c, int64_t rows, int64_t group)
{
    (void)run(c, rows, group, c->got);
    if (memcmp(c->got, c->want, (size_t)c->n * sizeof *c->got) != 0)
        fail_msg("other bits in bands of %lld rows, groups of %lld frames", (long long)rows,
                 (long long)group);
}

static const RandomVae V21 = { .encoder_dim = 32,
                               .decoder_dim = 32,
                               .z = 5,
                               .mult = { 1, 2, 2 },
                               .temporal = { false, true },
                               .res_blocks = 1 };
static const RandomVae V22 = { .residual = true,
                               .encoder_dim = 16,
                               .decoder_dim = 32,
                               .z = 4,
                               .mult = { 1, 2, 2 },
                               .temporal = { true, true },
                               .res_blocks = 1 };
static const RandomVae V22_PLAIN = { .residual = true,
                                     .encoder_dim = 8,
                                     .decoder_dim = 16,
                                     .z = 3,
                                     .mult = { 1, 2, 2 },
                                     .temporal = { false, true },
                                     .res_blocks = 2 };

static void check_decode(const RandomVae *v, int64_t frames, int64_t height, int64_t width)
{
    static const int64_t ROWS[] = { 1, 4, 8, 20, 1000 }, GROUPS[] = { 0, 1, 2, 9 };
    Case c;
    open_case(&c, v, frames, height, width, false);
    (void)run(&c, 0, 0, c.want);
    for (size_t i = 0; i < COUNT(ROWS); i++)
        for (size_t k = 0; k < COUNT(GROUPS); k++)
            same_bits(&c, ROWS[i], GROUPS[k]);
    close_case(&c);
}

TEST(wan_vae_bands, decoding_in_bands_and_groups_gives_the_same_bits)
{
    check_decode(&V21, 7, 44, 40); /* 11 x 10 latent rows and columns */
    check_decode(&V22, 9, 72, 40);
    check_decode(&V22_PLAIN, 5, 40, 24);
    check_decode(&V21, 1, 36, 32);
}

TEST(wan_vae_bands, encoding_in_bands_gives_the_same_bits)
{
    static const RandomVae *const NETS[] = { &V21, &V22, &V22_PLAIN };
    static const int64_t ROWS[] = { 1, 4, 12, 20, 36, 1000 };
    for (size_t n = 0; n < COUNT(NETS); n++) {
        Case c;
        open_case(&c, NETS[n], 9, n ? 72 : 44, 40, true);
        (void)run(&c, 0, 0, c.want);
        for (size_t i = 0; i < COUNT(ROWS); i++)
            same_bits(&c, ROWS[i], 0);
        close_case(&c);
    }
}

static void check_still(const RandomVae *v, int64_t still, int64_t still_end)
{
    Case c;
    open_case(&c, v, 65, 16, 24, true);
    c.still = still;
    c.still_end = still_end;
    (void)run(&c, 0, 0, c.want);
    const double all = c.net.stats.flops_done;
    c.tell = true;
    same_bits(&c, 0, 0);
    CHECK(c.net.stats.flops_done < (still_end - still > 30 ? 0.8 : 1.01) * all);
    same_bits(&c, 8, 0);
    close_case(&c);
}

/** The same latents whether the encoder knows that frames repeat or is given each of them. */
TEST(wan_vae_bands, repeated_frames_are_computed_until_nothing_changes)
{
    static const RandomVae *const NETS[] = { &V21, &V22, &V22_PLAIN };
    static const int64_t STILL[][2] = { { 0, 64 }, { 1, 64 }, { 1, 63 },  { 2, 59 }, { 7, 45 },
                                        { 3, 64 }, { 1, 54 }, { 40, 64 }, { 5, 9 },  { 10, 56 } };
    for (size_t n = 0; n < COUNT(NETS); n++)
        for (size_t i = 0; i < COUNT(STILL); i++)
            check_still(NETS[n], STILL[i][0], STILL[i][1]);
}

TEST(wan_vae_bands, bands_and_groups_need_less)
{
    Case c;
    open_case(&c, &V21, 5, 256, 64, false);
    const size_t whole = run(&c, 0, 0, c.want), bands = run(&c, 8, 0, c.got);
    const size_t group = run(&c, 8, 9, c.got);
    print_message("whole frames %zu KiB, bands %zu KiB, one group in bands %zu KiB\n", whole / 1024,
                  bands / 1024, group / 1024);
    CHECK(bands < whole && group < bands);
    close_case(&c);
}

/** A level that no shortcut can reach is refused with the configuration, not in the middle of a run. */
TEST(wan_vae_bands, widths_without_a_shortcut_are_refused)
{
    RandomVae v = V22_PLAIN;
    v.mult[1] = 1; /* the last level would widen without downsampling */
    Net net;
    WanVaeConfig config;
    net_open(&net, random_vae_write("vae", &v), "model.safetensors", "");
    CHECK_INT(wan_vae_config_read(&config, net_config(&net), &net.err), SNUG_ERR_FILE);
    CHECK(strstr(net.err.text, "dim_mult[2] = 2: no shortcut"));
    net_close(&net);
}
