/* test_autoencoder_kl.c  Image VAE against diffusers 0.42 (tools/oracle/golden_autoencoder_kl.py): level
 * by level, and the same bits in any bands of rows. */
#include "net.h"

#include "config.h"
#include "compute/equal_bits.h"
#include "models/autoencoder_kl.h"

/* Some dozen layers of sums of up to 600 rounded terms in other orders, on values of a few units:
 * measured 1e-5, twice that allowed. Winograd's transforms multiply and cancel: three times that. */
static const double TOLERANCE = 2e-5, TOLERANCE_WINOGRAD = 6e-5;

typedef struct Case {
    Net net;
    AutoencoderKl m;
    Shape picture_shape, latent_shape;
    float *picture, *noise, *latent;
    float *decoded, *moments; /* of this run; compared when `want_*` is set */
    const float *want_decoded, *want_moments;
    double tolerance;
    int compared;
} Case;

static void recipe(Run *r, void *context)
{
    Case *c = context;
    const Shape p = c->picture_shape, z = c->latent_shape;
    run_stage(r, "encode");
    Tensor picture = run_input(r, SHAPE(1, p.dim[1], p.dim[2], 3), net_fill, c->picture);
    Tensor noise = run_input(r, SHAPE(1, z.dim[1], z.dim[2], z.dim[0]), net_fill, c->noise);
    Tensor moments = autoencoder_kl_encode(r, &c->m, picture);
    run_output(r, "moments", 0, moments);
    run_output(r, "mean", 0, autoencoder_kl_mean(r, &c->m, moments));
    run_output(r, "latent", 0, autoencoder_kl_sample(r, &c->m, moments, noise));
    run_stage(r, "decode");
    Tensor latent = run_input(r, SHAPE(1, z.dim[1], z.dim[2], z.dim[0]), net_fill, c->latent);
    run_output(r, "decoded", 0, autoencoder_kl_decode(r, &c->m, latent));
}

static void golden_name(char name[40], const char *tap, int64_t index)
{
    static const struct {
        const char *tap, *golden;
    } NAMES[] = {
        { "kl.encoder.in", "encoder.conv_in" },    { "kl.encoder.down", "encoder.down_blocks.%d" },
        { "kl.encoder.mid", "encoder.mid_block" }, { "kl.decoder.in", "decoder.conv_in" },
        { "kl.decoder.mid", "decoder.mid_block" }, { "kl.decoder.up", "decoder.up_blocks.%d" },
    };
    (void)snprintf(name, 40, "%s", tap);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcmp(NAMES[i].tap, tap) == 0) {
            (void)snprintf(name, 40, "%s", NAMES[i].golden);
            char *number = strstr(name, "%d");
            if (number) (void)snprintf(number, 8, "%d", (int)index);
        }
}

static void check_mean(Case *c, const float *data)
{
    Shape s;
    const float *m = net_channels_last(&c->net, net_golden(&c->net, "moments", &s), s);
    net_golden(&c->net, "moments", &s);
    const int64_t z = c->m.cfg.z, pixels = s.dim[1] * s.dim[2];
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < z; k++)
            CHECK(fabsf(data[p * z + k] - (m[p * 2 * z + k] - c->m.cfg.shift) * c->m.cfg.scale) <
                  2e-5f);
}

static void keep(float **to, Net *net, const float *data, int64_t n)
{
    *to = arena_array(&net->arena, (size_t)n, sizeof **to);
    memcpy(*to, data, (size_t)n * sizeof **to);
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    char golden[40];
    Shape s;
    if (strcmp(name, "decoded") == 0) keep(&c->decoded, &c->net, data, tensor_count(t));
    if (strcmp(name, "moments") == 0) keep(&c->moments, &c->net, data, tensor_count(t));
    c->compared++;
    if (c->want_decoded) return;
    if (strcmp(name, "mean") == 0) {
        check_mean(c, data);
        return;
    }
    golden_name(golden, name, index);
    const float *want = net_golden(&c->net, golden, &s);
    CHECK_INT(shape_count(s), tensor_count(t));
    CHECK_CLOSE(data, net_channels_last(&c->net, want, s), tensor_count(t), c->tolerance);
}

static void run_banded(Case *c, int64_t band)
{
    c->net.knobs.band_rows = band;
    if (net_run(&c->net, recipe, compare, c) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_INT(c->net.stats.slab_peak_bytes, c->net.planned_top);
    if (!c->want_decoded) return;
    CHECK(equal_bits(c->decoded, c->want_decoded, shape_count(c->picture_shape)));
    CHECK(equal_bits(c->moments, c->want_moments, 2 * shape_count(c->latent_shape)));
}

static void open_case(Case *c, const char *folder)
{
    *c = (Case){ 0 };
    net_open(&c->net, folder, "diffusion_pytorch_model.safetensors", "taps.safetensors");
    CHECK_INT(autoencoder_kl_config_read(&c->m.cfg, net_config(&c->net), &c->net.err), SNUG_OK);
    weights_begin(&c->net.weights, &c->net.table, c->net.checkpoint, "vae");
    autoencoder_kl_weights(&c->m, &c->net.weights, true);
    if (weights_end(&c->net.weights, &c->net.err) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_TEXT(c->net.table.warnings, "");
    const float *picture = net_golden(&c->net, "picture", &c->picture_shape);
    c->picture = net_channels_last(&c->net, picture, c->picture_shape);
    const float *noise = net_golden(&c->net, "noise", &c->latent_shape);
    c->noise = net_channels_last(&c->net, noise, c->latent_shape);
    const float *latent = net_golden(&c->net, "latent", NULL);
    c->latent = net_channels_last(&c->net, latent, c->latent_shape);
}

static void check_folder(const char *folder, double tolerance)
{
    static Case c;
    open_case(&c, folder);
    c.tolerance = tolerance;
    run_banded(&c, 0);
    CHECK_INT(c.compared, 8 + 2 * c.m.cfg.levels);
    const size_t whole = c.net.planned_top;
    c.want_decoded = c.decoded;
    c.want_moments = c.moments;
    for (int64_t band = 4; band <= 28; band += 8)
        run_banded(&c, band);
    run_banded(&c, 4);
    if (tolerance > TOLERANCE) CHECK(c.net.planned_top < whole); /* the others are all workspace */
    cpu_device_init(&c.net.cpu, c.net.pool, ISA_REF);
    run_banded(&c, 12);
    net_close(&c.net);
}

TEST(autoencoder_kl, equals_the_reference_in_any_bands)
{
    check_folder("golden/autoencoder_kl/flux", TOLERANCE);
    check_folder("golden/autoencoder_kl/sdxl", TOLERANCE);
    check_folder("golden/autoencoder_kl/plain", TOLERANCE);
}

TEST(autoencoder_kl, large_convolutions_and_old_names_equal_the_reference)
{
    check_folder("golden/autoencoder_kl/wide", TOLERANCE_WINOGRAD);
}

TEST(autoencoder_kl, a_decoder_alone_does_not_want_the_encoder)
{
    static AutoencoderKl m;
    Net net;
    net_open(&net, "golden/autoencoder_kl/sdxl", "diffusion_pytorch_model.safetensors", "");
    CHECK_INT(autoencoder_kl_config_read(&m.cfg, net_config(&net), &net.err), SNUG_OK);
    CHECK_INT(autoencoder_kl_factor(&m.cfg), 8);
    weights_begin(&net.weights, &net.table, net.checkpoint, "vae");
    autoencoder_kl_weights(&m, &net.weights, false);
    if (weights_end(&net.weights, &net.err) != SNUG_OK) fail_msg("%s", net.err.text);
    CHECK_TEXT(net.table.warnings, "");
    CHECK(m.encoder.in.weight == NULL && m.quant.weight == NULL && m.post_quant.weight != NULL);
    net_close(&net);
}

static SnugStatus read_config(Json config, SnugError *err)
{
    KlConfig cfg;
    return autoencoder_kl_config_read(&cfg, config, err);
}

static void refuse(const char *json, const char *what)
{
    config_check_refused(read_config, json, what);
}

TEST(autoencoder_kl, configurations_that_cannot_be_run_are_refused)
{
    refuse("{\"block_out_channels\":[40]}", "norm_num_groups");
    refuse("{\"block_out_channels\":[32,32],\"down_block_types\":[\"DownEncoderBlock2D\"]}",
           "levels");
    refuse("{\"down_block_types\":[\"AttnDownEncoderBlock2D\"]}", "AttnDownEncoderBlock2D");
    refuse("{\"latent_channels\":1000}", "latent_channels");
    refuse("{\"scaling_factor\":0}", "scaling_factor");
    refuse("{\"latents_mean\":[0.1]}", "each latent channel");
    refuse("{\"in_channels\":4}", "in_channels");
    refuse("{\"act_fn\":\"gelu\"}", "act_fn");
}
