/* test_wan_vae.c  Wan VAE 2.1 and 2.2 against diffusers 0.42 (tools/oracle/golden_wan_vae.py). */
#include "net.h"

#include "models/wan_vae.h"

/* A dozen convolutions of up to a few thousand f32 terms in other orders, Winograd in none of the
 * small layers: about 1e-5 of values around 1. */
static const double TOLERANCE = 1e-4;

typedef struct Case {
    Net net;
    WanVae m;
    float *video, *latent, *want_latent, *want_video;
    Shape video_shape, mu_shape;
    int64_t frame_values;
    int compared;
} Case;

static Tensor source(void *context, Run *r, int64_t index)
{
    Case *c = context;
    return run_input(r, SHAPE(1, c->video_shape.dim[2], c->video_shape.dim[3], 3), net_fill,
                     c->video + index * c->frame_values);
}

static void frame(void *context, Run *r, int64_t index, Tensor rgb)
{
    (void)context;
    run_output(r, "frame", index, rgb);
}

static void recipe(Run *r, void *context)
{
    Case *c = context;
    const Shape m = c->mu_shape;
    run_stage(r, "encode");
    Tensor z = wan_vae_encode(r, &c->m, c->video_shape.dim[1], source, c);
    run_output(r, "latent", 0, z);
    run_stage(r, "decode"); /* of the reference's own mean, so that errors do not add up */
    z = run_input(r, SHAPE(m.dim[1], m.dim[2], m.dim[3], m.dim[0]), net_fill, c->latent);
    wan_vae_decode(r, &c->m, z, frame, c);
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    if (strcmp(name, "latent") == 0)
        CHECK_CLOSE(data, c->latent, tensor_count(t), TOLERANCE);
    else if (strcmp(name, "frame") == 0)
        CHECK_CLOSE(data, c->want_video + index * c->frame_values, tensor_count(t), TOLERANCE);
    else
        return;
    c->compared++;
}

/* The golden holds the raw mean; ours is normalised: (mu - mean) / std. */
static float *normalised(Case *c, const float *mu)
{
    float *z = net_channels_last(&c->net, mu, c->mu_shape);
    const int64_t n = shape_count(c->mu_shape), k = c->mu_shape.dim[0];
    for (int64_t i = 0; i < n; i++)
        z[i] = (z[i] - c->m.cfg.mean[i % k]) / c->m.cfg.std[i % k];
    return z;
}

static void check(const char *folder, const char *golden)
{
    static Case c;
    c = (Case){ 0 };
    net_open(&c.net, folder, "diffusion_pytorch_model.safetensors", golden);
    if (wan_vae_config_read(&c.m.cfg, net_config(&c.net), &c.net.err) != SNUG_OK)
        fail_msg("%s", c.net.err.text);
    weights_begin(&c.net.weights, &c.net.table, c.net.checkpoint, "vae");
    wan_vae_weights(&c.m, &c.net.weights);
    if (weights_end(&c.net.weights, &c.net.err) != SNUG_OK) fail_msg("%s", c.net.err.text);
    CHECK_TEXT(c.net.table.warnings, "");
    const float *video = net_golden(&c.net, "video", &c.video_shape);
    c.video = net_channels_last(&c.net, video, c.video_shape);
    c.frame_values = shape_count(c.video_shape) / c.video_shape.dim[1];
    c.latent = normalised(&c, net_golden(&c.net, "mu", &c.mu_shape));
    c.want_video = net_channels_last(&c.net, net_golden(&c.net, "decoded", NULL), c.video_shape);
    if (net_run(&c.net, recipe, compare, &c) != SNUG_OK) fail_msg("%s", c.net.err.text);
    CHECK_INT(c.compared, 1 + c.video_shape.dim[1]);
    CHECK_INT(c.net.stats.slab_peak_bytes, c.net.planned_top);
    net_close(&c.net);
}

TEST(wan_vae, v21_equals_the_reference)
{
    check("golden/wan_vae/v21", "frames17.safetensors");
    check("golden/wan_vae/v21", "frames5.safetensors");
    check("golden/wan_vae/v21", "frames1.safetensors");
}

TEST(wan_vae, v22_equals_the_reference)
{
    check("golden/wan_vae/v22", "frames17.safetensors");
    check("golden/wan_vae/v22", "frames5.safetensors");
    check("golden/wan_vae/v22", "frames1.safetensors");
}

TEST(wan_vae, v22_with_three_levels_equals_the_reference)
{
    check("golden/wan_vae/v22_short", "frames17.safetensors");
}
