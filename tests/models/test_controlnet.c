/* test_controlnet.c  ControlNet against diffusers 0.42 (tools/oracle/golden_controlnet.py): all that it
 * adds, two prompts, and the same bits in any chunks, bands and order. */
#include "net.h"

#include "config.h"
#include "compute/equal_bits.h"
#include "models/controlnet.h"
#include "models/unet_names.h"

/* As in test_sdxl_unet.c, of the greatest value. */
static const double TOLERANCE = 1e-5;
static const float SCALE = 0.7f;
enum { BRANCHES = 2, STEPS = 2, MAX_OUT = 32 };
static const double TIMES[STEPS] = { 981.0, 20.5 };

typedef struct Case {
    Net net;
    Controlnet m;
    NameMap names;
    UnetContext context[BRANCHES];
    float *input, *picture;
    const float *text[BRANCHES], *pooled[BRANCHES];
    Shape input_shape, picture_shape, text_shape;
    double time_ids[UNET_TIME_IDS];
    float *out[MAX_OUT], *want[MAX_OUT];
    bool together, twice; /* twice: added to itself */
    int n_out;
} Case;

static Tensor fill(Run *r, Shape shape, const float *data)
{
    return run_input(r, shape, net_fill, (void *)(uintptr_t)data);
}

static void hand_out(Run *r, int branch, const UnetControl *c)
{
    for (int i = 0; i < c->n_skips; i++)
        run_output(r, "skip", 100 * branch + i, c->skip[i]);
    run_output(r, "mid", branch, c->mid);
}

static void recipe(Run *r, void *context)
{
    Case *c = context;
    const Shape s = c->input_shape, p = c->picture_shape;
    const UnetContext *both[BRANCHES] = { &c->context[0], &c->context[1] };
    run_stage(r, "prompts");
    for (int b = 0; b < BRANCHES; b++)
        unet_context(r, &c->m.trunk, fill(r, c->text_shape, c->text[b]),
                     fill(r, SHAPE(1, c->m.cfg.unet.pooled_dim), c->pooled[b]), c->time_ids, TIMES,
                     STEPS, &c->context[b]);
    Tensor hint = controlnet_hint(r, &c->m, fill(r, SHAPE(1, p.dim[1], p.dim[2], 3), c->picture));
    run_stage(r, "denoise");
    Tensor x = fill(r, SHAPE(1, s.dim[1], s.dim[2], s.dim[0]), c->input);
    for (int i = 0; run_step(r, i, STEPS); i++) {
        UnetControl out[BRANCHES];
        const int times = c->twice ? 2 : 1;
        for (int k = 0; k < times; k++) {
            if (c->together)
                controlnet_forward(r, &c->m, i, 1, &x, hint, SCALE, BRANCHES, both, k, out);
            else
                for (int b = 0; b < BRANCHES; b++)
                    controlnet_forward(r, &c->m, i, 1, &x, hint, SCALE, 1, both + b, k, out + b);
        }
        if (run_ok(r)) hand_out(r, i, &out[i]); /* step i of branch i is in the golden */
    }
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    const int64_t n = tensor_count(t);
    char golden[40];
    Shape s;
    if (strcmp(name, "skip") == 0)
        (void)snprintf(golden, sizeof golden, "skip.%d.%d", (int)index / 100, (int)index % 100);
    else if (strcmp(name, "mid") == 0)
        (void)snprintf(golden, sizeof golden, "mid.%d", (int)index);
    else if (strcmp(name, "controlnet.hint") == 0)
        (void)snprintf(golden, sizeof golden, "hint");
    else
        return;
    const int k = c->n_out++;
    CHECK(k < MAX_OUT);
    const float *want = net_channels_last(&c->net, net_golden(&c->net, golden, &s), s);
    CHECK_INT(shape_count(s), n);
    if (c->twice && strcmp(golden, "hint") != 0) {
        for (int64_t i = 0; i < n; i++)
            CHECK(data[i] == 2.0f * c->want[k][i]);
        return;
    }
    CHECK_CLOSE(data, want, n, TOLERANCE * net_greatest(want, n));
    if (c->want[k]) CHECK(equal_bits(data, c->want[k], n));
    c->out[k] = arena_array(&c->net.arena, (size_t)n, sizeof(float));
    memcpy(c->out[k], data, (size_t)n * sizeof(float));
}

static void run_knobs(Case *c, int64_t chunk, int64_t band, bool together, bool cache)
{
    c->net.knobs = (RunKnobs){
        .chunk_rows = chunk, .band_rows = band, .lock_step = together, .cache_cross = cache
    };
    c->together = together;
    c->n_out = 0;
    if (net_run(&c->net, recipe, compare, c) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_INT(c->net.stats.slab_peak_bytes, c->net.planned_top);
    CHECK_INT(c->n_out, 1 + BRANCHES * (c->m.n_skips + 1));
}

static void open_case(Case *c, const char *folder, bool original)
{
    char name[16];
    Net *net = &c->net;
    *c = (Case){ 0 };
    net_open(net, folder, "diffusion_pytorch_model.safetensors", "taps.safetensors");
    if (controlnet_config_read(&c->m.cfg, net_config(net), &net->err) != SNUG_OK)
        fail_msg("%s", net->err.text);
    weights_begin(&net->weights, &net->table, net->checkpoint, "controlnet");
    if (original) {
        CHECK(unet_names_original(&c->names, &net->arena, &c->m.cfg.unet));
        c->names.prefix = UNET_CONTROLNET_PREFIX;
        weights_names(&net->weights, &c->names);
    }
    controlnet_weights(&c->m, &net->weights);
    if (weights_end(&net->weights, &net->err) != SNUG_OK) fail_msg("%s", net->err.text);
    CHECK_TEXT(net->table.warnings, "");
    CHECK_INT(controlnet_factor(&c->m.cfg), 8);
    const float *ids = net_golden(net, "time_ids", NULL);
    for (int i = 0; i < UNET_TIME_IDS; i++)
        c->time_ids[i] = (double)ids[i];
    const float *x = net_golden(net, "input", &c->input_shape);
    c->input = net_channels_last(net, x, c->input_shape);
    const float *picture = net_golden(net, "picture", &c->picture_shape);
    c->picture = net_channels_last(net, picture, c->picture_shape);
    for (int b = 0; b < BRANCHES; b++) {
        (void)snprintf(name, sizeof name, "text.%d", b);
        c->text[b] = net_golden(net, name, &c->text_shape);
        (void)snprintf(name, sizeof name, "pooled.%d", b);
        c->pooled[b] = net_golden(net, name, NULL);
    }
}

static void check_folder(const char *folder, bool original)
{
    static Case c;
    open_case(&c, folder, original);
    run_knobs(&c, 0, 0, true, true);
    memcpy(c.want, c.out, sizeof c.want);
    run_knobs(&c, 0, 0, false, true);
    run_knobs(&c, 7, 4, false, false);
    cpu_device_init(&c.net.cpu, c.net.pool, ISA_REF);
    run_knobs(&c, 5, 8, true, true);
    c.twice = true;
    run_knobs(&c, 0, 0, true, true);
    net_close(&c.net);
}

TEST(controlnet, equals_the_reference_in_any_chunks_and_order)
{
    check_folder("golden/controlnet/base", false);
}

TEST(controlnet, odd_sides_and_original_names_equal_the_reference)
{
    check_folder("golden/controlnet/original", true);
}

static SnugStatus read_config(Json config, SnugError *err)
{
    ControlnetConfig cfg;
    return controlnet_config_read(&cfg, config, err);
}

static void refuse(const char *json, const char *what)
{
    config_check_refused(read_config, json, what);
}

TEST(controlnet, configurations_that_cannot_be_run_are_refused)
{
    refuse("{\"global_pool_conditions\":true}", "global_pool_conditions");
    refuse("{\"controlnet_conditioning_channel_order\":\"hsv\"}", "channel_order");
    refuse("{\"conditioning_embedding_out_channels\":[0]}", "conditioning_embedding_out_channels");
    refuse("{\"conditioning_channels\":9}", "conditioning_channels");
    refuse("{\"class_embed_type\":\"projection\"}", "class_embed_type");
}
