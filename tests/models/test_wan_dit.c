/* test_wan_dit.c  Wan transformer against diffusers 0.42 (tools/oracle/golden_wan_dit.py). */
#include "net.h"

#include "models/wan_dit.h"

/* Two blocks, widths of tens, f32 sums in other orders; angles are f64 here and f32 there, which
 * moves the time embedding by up to 1e-4 * 2^-1 of its unit scale at t = 937. */
static const double TOLERANCE = 2e-4;

typedef struct Case {
    Net net;
    WanDit m;
    float *latent;
    const float *text, *image, *output;
    Shape latent_shape, image_shape;
    int64_t n_text;
    WanTime time;
    WanContext context;
    WanScene scene;
    int compared;
} Case;

static void recipe(Run *r, void *context)
{
    Case *c = context;
    const Shape s = c->latent_shape;
    run_stage(r, "denoise");
    Tensor latent =
        run_input(r, SHAPE(s.dim[1], s.dim[2], s.dim[3], s.dim[0]), net_fill, c->latent);
    Tensor text =
        run_input(r, SHAPE(c->n_text, c->m.cfg.text_dim), net_fill, (void *)(uintptr_t)c->text);
    Tensor image = NO_TENSOR, out = NO_TENSOR;
    if (c->image)
        image = run_input(
            r, SHAPE(c->image_shape.dim[0] * c->image_shape.dim[1], c->image_shape.dim[2]),
            net_fill, (void *)(uintptr_t)c->image);
    wan_dit_context(r, &c->m, text, &c->context);
    wan_dit_scene(r, &c->m, image, NULL, NULL, &c->scene);
    WanContext *contexts[1] = { &c->context };
    for (int i = 0; run_step(r, i, 2); i++) { /* twice: the second uses the kept keys */
        wan_dit_forward(r, &c->m, latent, c->time, &c->scene, 1, contexts, &out);
        run_output(r, "output", i, out);
    }
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    char golden[64];
    if (strcmp(name, "output") == 0) {
        const float *want = net_channels_last(
            &c->net, c->output,
            (Shape){ 4, { t.shape.dim[3], t.shape.dim[0], t.shape.dim[1], t.shape.dim[2] } });
        CHECK_CLOSE(data, want, tensor_count(t), TOLERANCE);
    } else if (strcmp(name, "dit.block") == 0) {
        (void)snprintf(golden, sizeof golden, "blocks.%d", (int)(index % WAN_MAX_LAYERS));
        CHECK_CLOSE(data, net_golden(&c->net, golden, NULL), tensor_count(t), TOLERANCE);
    } else if (strcmp(name, "dit.patch") == 0)
        CHECK_CLOSE(data, net_golden(&c->net, "patch_embedding", NULL), tensor_count(t), 1e-5);
    else
        return;
    c->compared++;
}

static int64_t real_rows(const float *text, int64_t dim)
{
    int64_t n = WAN_TEXT_ROWS;
    for (; n > 0; n--)
        for (int64_t k = 0; k < dim; k++)
            if (text[(n - 1) * dim + k] != 0.0f) return n;
    return n;
}

static void read_time(Case *c)
{
    Shape s;
    const float *t = net_golden(&c->net, "in.timestep", &s);
    const int64_t n = shape_count(s);
    c->time = (WanTime){ .t = (double)t[n - 1] };
    if (n == 1 || t[0] == t[n - 1]) return;
    c->time.t_first = (double)t[0];
    c->time.split_frames = 1;
}

static void check_folder(const char *folder, int64_t chunk)
{
    static Case c;
    c = (Case){ 0 };
    net_open(&c.net, folder, "diffusion_pytorch_model.safetensors", "taps.safetensors");
    c.net.knobs.chunk_rows = chunk;
    CHECK_INT(wan_dit_config_read(&c.m.cfg, net_config(&c.net), &c.net.err), SNUG_OK);
    weights_begin(&c.net.weights, &c.net.table, c.net.checkpoint, "transformer");
    wan_dit_weights(&c.m, &c.net.weights);
    if (weights_end(&c.net.weights, &c.net.err) != SNUG_OK) fail_msg("%s", c.net.err.text);
    CHECK_TEXT(c.net.table.warnings, "");
    const float *latent = net_golden(&c.net, "in.latent", &c.latent_shape);
    c.latent = net_channels_last(&c.net, latent, c.latent_shape);
    c.text = net_golden(&c.net, "in.text", NULL);
    c.n_text = real_rows(c.text, c.m.cfg.text_dim);
    if (net_has_golden(&c.net, "in.image"))
        c.image = net_golden(&c.net, "in.image", &c.image_shape);
    c.output = net_golden(&c.net, "output", NULL);
    read_time(&c);
    if (net_run(&c.net, recipe, compare, &c) != SNUG_OK) fail_msg("%s", c.net.err.text);
    CHECK_INT(c.compared, 2 * (c.m.cfg.layers + 2));
    CHECK_INT(c.net.stats.slab_peak_bytes, c.net.planned_top);
    net_close(&c.net);
}

TEST(wan_dit, image_to_video_by_channels_equals_the_reference)
{
    check_folder("golden/wan_dit/i2v36", 0);
}

TEST(wan_dit, a_timestep_per_token_equals_the_reference)
{
    check_folder("golden/wan_dit/ti2v48", 0);
}

TEST(wan_dit, text_to_video_with_full_text_equals_the_reference)
{
    check_folder("golden/wan_dit/t2v16", 0);
}

TEST(wan_dit, image_tokens_equal_the_reference)
{
    check_folder("golden/wan_dit/clip", 0);
    check_folder("golden/wan_dit/first_last", 0);
}

TEST(wan_dit, chunks_of_rows_change_nothing)
{
    check_folder("golden/wan_dit/i2v36", 7);
    check_folder("golden/wan_dit/ti2v48", 5);
}
