/* test_birefnet.c  BiRefNet against its own code (tools/oracle/golden_birefnet.py), in both orders of
 * the picture's pieces, on sides that leave windows and merged maps incomplete; and the same bits
 * in any chunks, bands and order. */
#include "net.h"

#include "compute/equal_bits.h"
#include "models/birefnet.h"
#include "models/birefnet_file.h"

/* Of the greatest value: some fifty layers of sums of up to 27648 rounded terms in other orders,
 * measured 3e-6; the spec allows 1e-4. */
static const double TOLERANCE = 2e-5;

/* ---- the network ---- */

typedef struct Case {
    Net net;
    Birefnet m;
    NameMap names;
    float *picture, *logits, *want_logits;
    Shape size;
    int compared;
} Case;

static void recipe(Run *r, void *context)
{
    Case *c = context;
    run_stage(r, "cutout");
    Tensor x = run_input(r, SHAPE(1, c->size.dim[1], c->size.dim[2], 3), net_fill, c->picture);
    run_output(r, "logits", 0, birefnet_forward(r, &c->m, x));
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    char golden[32];
    const int64_t n = tensor_count(t);
    Shape s;
    (void)snprintf(golden, sizeof golden, "logits");
    if (strcmp(name, "birefnet.features") == 0) return;
    if (strcmp(name, "birefnet.squeeze") == 0) (void)snprintf(golden, sizeof golden, "squeeze");
    if (strcmp(name, "birefnet.decoder") == 0)
        (void)snprintf(golden, sizeof golden, "decoder.%d", (int)index);
    const float *want = net_channels_last(&c->net, net_golden(&c->net, golden, &s), s);
    double most = 0.0;
    CHECK_INT(shape_count(s), n);
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)want[i]));
    CHECK_CLOSE(data, want, n, TOLERANCE * most);
    c->compared++;
    if (strcmp(name, "logits") != 0) return;
    if (c->want_logits) CHECK(equal_bits(data, c->want_logits, n));
    c->logits = arena_array(&c->net.arena, (size_t)n, sizeof(float));
    memcpy(c->logits, data, (size_t)n * sizeof(float));
}

static void run_knobs(Case *c, int64_t chunk, int64_t band, bool together)
{
    c->net.knobs = (RunKnobs){ .chunk_rows = chunk, .band_rows = band, .lock_step = together };
    c->compared = 0;
    if (net_run(&c->net, recipe, compare, c) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_INT(c->net.stats.slab_peak_bytes, c->net.planned_top);
    CHECK_INT(c->compared, 6);
}

static SnugStatus bind(Case *c, SnugError *err)
{
    char prefix[32];
    const char *before = birefnet_prefix(c->net.checkpoint);
    CHECK(before);
    (void)snprintf(prefix, sizeof prefix, "%sbb.", before);
    TRY(swin_config_detect(&c->m.backbone.cfg, c->net.checkpoint, prefix, err));
    c->names = (NameMap){ .convention = "", .prefix = before };
    weights_begin(&c->net.weights, &c->net.table, c->net.checkpoint, "birefnet");
    if (*before) weights_names(&c->net.weights, &c->names);
    birefnet_weights(&c->m, &c->net.weights);
    return weights_end(&c->net.weights, err);
}

static void open_case(Case *c, const char *folder, const char *golden, BirefnetPatches patches)
{
    char path[128];
    *c = (Case){ .m.patches = patches };
    net_open(&c->net, folder, "model.safetensors", "");
    (void)snprintf(path, sizeof path, "golden/birefnet/%s.safetensors", golden);
    CHECK_INT(checkpoint_open(&c->net.golden, c->net.heap, test_path(path), NULL, &c->net.err),
              SNUG_OK);
    if (bind(c, &c->net.err) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_TEXT(c->net.table.warnings, "");
    c->picture = net_channels_last(&c->net, net_golden(&c->net, "picture", &c->size), c->size);
}

TEST(birefnet, equals_the_reference_in_any_chunks_and_order)
{
    static Case c;
    open_case(&c, birefnet_file_write("", 0), "hf", BIREFNET_PATCHES_HF);
    CHECK_INT(c.m.backbone.cfg.window, 4);
    CHECK_INT(c.m.backbone.cfg.heads[3], 8);
    run_knobs(&c, 0, 0, true);
    c.want_logits = c.logits;
    run_knobs(&c, 0, 0, false);
    run_knobs(&c, 50, 4, false);
    cpu_device_init(&c.net.cpu, c.net.pool, ISA_REF);
    run_knobs(&c, 7, 8, true);
    net_close(&c.net);
}

TEST(birefnet, the_older_order_of_pieces_and_a_trainers_prefix)
{
    static Case c;
    open_case(&c, birefnet_file_write("module.", 0), "train", BIREFNET_PATCHES_TRAIN);
    run_knobs(&c, 0, 0, true);
    net_close(&c.net);
}

TEST(birefnet, odd_maps_are_padded_as_the_reference_pads_them)
{
    static Case c;
    open_case(&c, birefnet_file_write("", 0), "odd", BIREFNET_PATCHES_HF);
    run_knobs(&c, 0, 0, false);
    c.want_logits = c.logits;
    run_knobs(&c, 33, 0, true);
    net_close(&c.net);
}

TEST(birefnet, what_is_missing_is_named)
{
    static Case c;
    SnugError err = { { 0 } };
    c = (Case){ 0 };
    net_open(&c.net, birefnet_file_write("", 3), "model.safetensors", "");
    CHECK_INT(bind(&c, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "squeeze_module.0.dec_att");
    net_close(&c.net);
}

TEST(birefnet, another_network_is_no_birefnet)
{
    SwinConfig cfg;
    SnugError err = { { 0 } };
    Net net;
    net_open(&net, "golden/autoencoder_kl/sdxl", "diffusion_pytorch_model.safetensors", "");
    CHECK(birefnet_prefix(net.checkpoint) == NULL);
    CHECK_INT(swin_config_detect(&cfg, net.checkpoint, "bb.", &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "bb.patch_embed.proj.weight");
    net_close(&net);
}
