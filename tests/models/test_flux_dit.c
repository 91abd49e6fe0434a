/* test_flux_dit.c  FLUX transformer against diffusers 0.42 (tools/oracle/golden_flux_dit.py), block by
 * block; the same bits whatever is kept, cut or run side by side. */
#include "net.h"

#include "config.h"
#include "compute/equal_bits.h"
#include "models/flux_dit.h"

/* Four blocks on values of a few units: sums of up to 73 keys and 128 terms in other orders. The
 * reference takes the sine of t f in f32, with t f up to 1000: 3e-5, most of what is seen here. */
static const double TOLERANCE = 1e-4;

enum { STEPS = 3 };

typedef struct Case {
    Net net;
    FluxDit m;
    TokenGrid grid;
    int64_t n_text, tokens;
    float *latent, *text, *pooled;
    double t[STEPS];
    int branches;
    float *output[STEPS]; /* of this run, first branch */
    float *want[STEPS];   /* of the first run, once there is one */
    int compared;
} Case;

static void recipe(Run *r, void *context)
{
    Case *c = context;
    const FluxDitConfig *cfg = &c->m.cfg;
    static FluxContext contexts[FLUX_MAX_BRANCHES];
    const FluxContext *used[FLUX_MAX_BRANCHES];
    Tensor input[FLUX_MAX_BRANCHES], out[FLUX_MAX_BRANCHES];
    run_stage(r, "context");
    for (int k = 0; k < c->branches; k++) {
        Tensor text = run_input(r, SHAPE(c->n_text, cfg->text_dim), net_fill, c->text);
        Tensor pooled = run_input(r, SHAPE(1, cfg->pooled_dim), net_fill, c->pooled);
        flux_dit_context(r, &c->m, text, pooled, c->t, STEPS, 3.5, &contexts[k]);
        used[k] = &contexts[k];
    }
    run_stage(r, "denoise");
    for (int k = 0; k < c->branches; k++)
        input[k] = run_input(r, SHAPE(c->tokens, cfg->in_channels), net_fill, c->latent);
    for (int i = 0; run_step(r, i, STEPS); i++) {
        flux_dit_forward(r, &c->m, i, c->grid, c->branches, input, used, out);
        for (int k = 0; k < c->branches; k++)
            run_output(r, "output", k * STEPS + i, out[k]);
    }
}

/* Name of the golden for a tap of the first step and branch; false: there is none. */
static bool golden_name(char name[64], const char *tap, int64_t index)
{
    static const struct {
        const char *tap, *golden;
    } NAMES[] = { { "flux.image", "image" },
                  { "flux.text", "text" },
                  { "flux.double.image", "transformer_blocks.%d.image" },
                  { "flux.double.text", "transformer_blocks.%d.text" } };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strcmp(NAMES[i].tap, tap) != 0) continue;
        (void)snprintf(name, 64, "%s", NAMES[i].golden);
        char *number = strstr(name, "%d");
        if (number) {
            const char *rest = strchr(NAMES[i].golden, '%') + 2;
            (void)snprintf(number, 32, "%d%s", (int)index, rest);
        }
        return true;
    }
    return false;
}

static void compare_output(Case *c, int64_t index, Tensor t, const float *data)
{
    char name[64];
    const int step = (int)(index % STEPS);
    const int64_t n = tensor_count(t);
    if (index < STEPS) {
        c->output[step] = arena_array(&c->net.arena, (size_t)n, sizeof(float));
        memcpy(c->output[step], data, (size_t)n * sizeof *data);
    } else
        CHECK(equal_bits(data, c->output[step], n)); /* branches do not know of each other */
    if (c->want[step]) {
        CHECK(equal_bits(data, c->want[step], n));
        return;
    }
    (void)snprintf(name, sizeof name, "step.%d.output", step);
    CHECK_CLOSE(data, net_golden(&c->net, name, NULL), n, TOLERANCE);
}

static void compare_single(Case *c, int64_t index, Tensor t, const float *data)
{
    char name[64];
    const int64_t text = c->n_text * t.shape.dim[1];
    (void)snprintf(name, sizeof name, "single_transformer_blocks.%d.text", (int)index);
    CHECK_CLOSE(data, net_golden(&c->net, name, NULL), text, TOLERANCE);
    (void)snprintf(name, sizeof name, "single_transformer_blocks.%d.image", (int)index);
    CHECK_CLOSE(data + text, net_golden(&c->net, name, NULL), tensor_count(t) - text, TOLERANCE);
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    char golden[64];
    c->compared++;
    if (strcmp(name, "output") == 0) {
        compare_output(c, index, t, data);
        return;
    }
    if (c->want[0] || c->output[0]) return; /* taps of the first step only */
    if (strcmp(name, "flux.single") == 0)
        compare_single(c, index, t, data);
    else if (strcmp(name, "flux.time") == 0)
        for (int s = 0; s < STEPS; s++) {
            (void)snprintf(golden, sizeof golden, "step.%d.time", s);
            CHECK_CLOSE(data + s * tensor_cols(t), net_golden(&c->net, golden, NULL),
                        tensor_cols(t), TOLERANCE);
        }
    else if (golden_name(golden, name, index))
        CHECK_CLOSE(data, net_golden(&c->net, golden, NULL), tensor_count(t), TOLERANCE);
    else
        fail_msg("unknown tap %s", name);
}

static void run(Case *c, int64_t chunk, bool keep, int branches)
{
    c->net.knobs.chunk_rows = chunk;
    c->net.knobs.cache_cross = keep;
    c->branches = branches;
    memset(c->output, 0, sizeof c->output);
    if (net_run(&c->net, recipe, compare, c) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_INT(c->net.stats.slab_peak_bytes, c->net.planned_top);
}

static void open_case(Case *c, const char *folder, TokenGrid grid)
{
    Shape s;
    *c = (Case){ .grid = grid };
    net_open(&c->net, folder, "diffusion_pytorch_model.safetensors", "taps.safetensors");
    CHECK_INT(flux_dit_config_read(&c->m.cfg, net_config(&c->net), &c->net.err), SNUG_OK);
    weights_begin(&c->net.weights, &c->net.table, c->net.checkpoint, "transformer");
    flux_dit_weights(&c->m, &c->net.weights);
    if (weights_end(&c->net.weights, &c->net.err) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_TEXT(c->net.table.warnings, "");
    c->latent = (float *)(uintptr_t)net_golden(&c->net, "in.latent", &s);
    c->tokens = s.dim[0];
    CHECK_INT(c->tokens, grid.height * grid.width);
    c->text = (float *)(uintptr_t)net_golden(&c->net, "in.text", &s);
    c->n_text = s.dim[0];
    c->pooled = (float *)(uintptr_t)net_golden(&c->net, "in.pooled", NULL);
    const float *t = net_golden(&c->net, "in.times", NULL);
    for (int i = 0; i < STEPS; i++)
        c->t[i] = (double)t[i];
}

static void check_folder(const char *folder, TokenGrid grid)
{
    static Case c;
    open_case(&c, folder, grid);
    run(&c, 0, true, 1);
    const FluxDitConfig *cfg = &c.m.cfg;
    CHECK_INT(c.compared, 2 + STEPS * (2 + 2 * cfg->n_double + cfg->n_single));
    memcpy(c.want, c.output, sizeof c.want);
    for (int64_t chunk = 0; chunk <= 16; chunk += 8) {
        run(&c, chunk ? chunk - 1 : 0, false, 1);
        run(&c, chunk, true, 3);
    }
    cpu_device_init(&c.net.cpu, c.net.pool, ISA_REF);
    run(&c, 11, true, 2);
    net_close(&c.net);
}

TEST(flux_dit, dev_equals_the_reference)
{
    check_folder("golden/flux_dit/dev", (TokenGrid){ 1, 6, 10 });
}

TEST(flux_dit, schnell_has_no_guidance_embedding)
{
    check_folder("golden/flux_dit/schnell", (TokenGrid){ 1, 5, 3 });
}

TEST(flux_dit, fill_takes_more_channels_than_it_gives)
{
    check_folder("golden/flux_dit/fill", (TokenGrid){ 1, 4, 7 });
}

/* Where the weights stream, those of kept modulation are read once for all steps. */
TEST(flux_dit, kept_modulation_saves_reading_its_weights)
{
    static Case c;
    open_case(&c, "golden/flux_dit/dev", (TokenGrid){ 1, 6, 10 });
    run(&c, 8, false, 1);
    const size_t ample = c.net.planned_top;
    const double once = c.net.stats.moved_bytes;
    c.net.slab_limit = ample - ample / 4; /* too little for all weights at once */
    run(&c, 8, false, 1);
    const double streamed = c.net.stats.moved_bytes;
    run(&c, 8, true, 1);
    CHECK(once < streamed);
    CHECK(c.net.stats.moved_bytes < streamed);
    net_close(&c.net);
}

static SnugStatus read_config(Json config, SnugError *err)
{
    FluxDitConfig cfg;
    return flux_dit_config_read(&cfg, config, err);
}

static void refuse(const char *json, const char *what)
{
    config_check_refused(read_config, json, what);
}

TEST(flux_dit, configurations_that_cannot_be_are_refused)
{
    refuse("{\"attention_head_dim\":64}", "axes_dims_rope");
    refuse("{\"axes_dims_rope\":[15,57,56]}", "axes_dims_rope");
    refuse("{\"axes_dims_rope\":[64,64]}", "expected 3");
    refuse("{\"patch_size\":2}", "patch_size");
    refuse("{\"num_layers\":0}", "num_layers");
    refuse("{\"num_single_layers\":100000}", "num_single_layers");
    refuse("{\"guidance_embeds\":\"yes\"}", "guidance_embeds");
}
