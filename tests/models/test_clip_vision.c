/* test_clip_vision.c  CLIP vision network against transformers 5.23
 * (tools/oracle/golden_clip_vision.py). */
#include "net.h"

#include "models/clip_vision.h"

/* Up to two blocks of width 24 to 160: residual values of a few units, each a sum of some dozens of
 * rounded terms in another order: about 30 units in the last place of 4. */
static const double TOLERANCE = 2e-5;

typedef struct Case {
    Net net;
    ClipVision m;
    float *pixels;
    int compared;
} Case;

static void recipe(Run *r, void *context)
{
    Case *c = context;
    const int side = clip_vision_seen_px(&c->m.cfg);
    run_stage(r, "image encoder");
    Tensor pixels = run_input(r, SHAPE(1, side, side, 3), net_fill, c->pixels);
    run_output(r, "output", 0, clip_vision_encode(r, &c->m, 1, &pixels));
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    char golden[32];
    if (strcmp(name, "output") == 0) index = c->m.cfg.layers - 1;
    (void)snprintf(golden, sizeof golden, "hidden.%d", (int)index);
    CHECK_INT(t.shape.dim[0], clip_vision_tokens(&c->m.cfg));
    CHECK_CLOSE(data, net_golden(&c->net, golden, NULL), tensor_count(t), TOLERANCE);
    c->compared++;
}

/* The upper left part that patches cover, channel last. */
static float *seen_pixels(Case *c)
{
    Shape s;
    const float *all = net_golden(&c->net, "pixels", &s);
    const int64_t side = clip_vision_seen_px(&c->m.cfg), full = s.dim[1];
    float *part = arena_array(&c->net.arena, (size_t)(3 * side * side), sizeof *part);
    for (int64_t k = 0; k < 3; k++)
        for (int64_t y = 0; y < side; y++)
            for (int64_t x = 0; x < side; x++)
                part[(y * side + x) * 3 + k] = all[(k * full + y) * full + x];
    return part;
}

static void check_folder(const char *folder, const char *weights, bool guess)
{
    static Case c;
    c = (Case){ 0 };
    ClipVisionConfig guessed;
    net_open(&c.net, folder, weights, "taps.safetensors");
    SnugError *err = &c.net.err;
    CHECK_INT(clip_vision_config_read(&c.m.cfg, net_config(&c.net), err), SNUG_OK);
    if (guess) {
        if (clip_vision_config_guess(&guessed, c.net.checkpoint, err) != SNUG_OK)
            fail_msg("%s", err->text);
        CHECK_INT(guessed.dim, c.m.cfg.dim);
        CHECK_INT(guessed.ffn_dim, c.m.cfg.ffn_dim);
        CHECK_INT(guessed.heads, c.m.cfg.heads);
        CHECK_INT(guessed.layers, c.m.cfg.layers);
        CHECK_INT(guessed.image_px, c.m.cfg.image_px);
        CHECK_INT(guessed.patch_px, c.m.cfg.patch_px);
        CHECK(!guessed.quick_gelu && guessed.eps == c.m.cfg.eps);
    }
    weights_begin(&c.net.weights, &c.net.table, c.net.checkpoint, "image_encoder");
    clip_vision_weights(&c.m, &c.net.weights);
    if (weights_end(&c.net.weights, err) != SNUG_OK) fail_msg("%s", err->text);
    CHECK_TEXT(c.net.table.warnings, "");
    CHECK_INT(c.net.table.n_units, c.m.cfg.layers);
    c.pixels = seen_pixels(&c);
    if (net_run(&c.net, recipe, compare, &c) != SNUG_OK) fail_msg("%s", err->text);
    CHECK_INT(c.compared, c.m.cfg.layers + 1);
    CHECK_INT(c.net.stats.slab_peak_bytes, c.net.planned_top);
    net_close(&c.net);
}

TEST(clip_vision, each_block_equals_the_reference)
{
    check_folder("golden/clip_vision/gelu", "model.safetensors", false);
}

TEST(clip_vision, the_quick_activation_and_a_ragged_edge_equal_the_reference)
{
    check_folder("golden/clip_vision/quick", "model.safetensors", false);
}

TEST(clip_vision, one_block_is_none)
{
    check_folder("golden/clip_vision/shallow", "model.safetensors", false);
}

TEST(clip_vision, the_original_file_needs_no_configuration)
{
    check_folder("golden/clip_vision/original", "original.safetensors", true);
}

static void check_config(const char *text, const char *complaint)
{
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    ClipVisionConfig cfg;
    SnugError err = { { 0 } };
    CHECK_INT(json_parse(&doc, heap, text, strlen(text), "config.json", &err), SNUG_OK);
    const SnugStatus status = clip_vision_config_read(&cfg, json_root(doc), &err);
    CHECK_INT(status, complaint ? SNUG_ERR_FILE : SNUG_OK);
    if (complaint) CHECK_HAS(err.text, complaint);
    json_close(doc);
    heap_free(heap);
}

TEST(clip_vision, nonsense_configurations_are_refused)
{
    check_config("{}", NULL);
    check_config("{\"hidden_act\": \"swish\"}", "hidden_act");
    check_config("{\"hidden_size\": 30, \"num_attention_heads\": 4}", "num_attention_heads");
    check_config("{\"image_size\": 4, \"patch_size\": 8}", "image_size");
    check_config("{\"num_hidden_layers\": 100000}", "num_hidden_layers");
    check_config("{\"num_channels\": 4}", "num_channels");
    check_config("{\"vision_config\": {\"patch_size\": 0}}", "vision_config.patch_size");
}

TEST(clip_vision, a_file_without_the_network_says_what_is_missing)
{
    static Net net;
    ClipVisionConfig cfg;
    net_open(&net, "golden/clip_vision/gelu", "model.safetensors", "");
    CHECK_INT(clip_vision_config_guess(&cfg, net.checkpoint, &net.err), SNUG_ERR_FILE);
    CHECK_HAS(net.err.text, "visual.patch_embedding.weight");
    net_close(&net);
}
