/* test_sdxl_unet.c  SDXL's UNet against diffusers 0.42 (tools/oracle/golden_sdxl_unet.py): level by
 * level, two prompts, two steps, and the same bits in any chunks, bands and order. */
#include "net.h"

#include "config.h"
#include "compute/equal_bits.h"
#include "models/sdxl_unet.h"
#include "models/unet_names.h"

/* Of the greatest value of a tap: some thirty layers of sums of up to 500 rounded terms in other
 * orders, measured 6.5e-6. The angles of a timestep near 1000 are f64 here and f32 there: 6e-5 of a
 * sinusoid, which makes 5e-6 of that. */
static const double TOLERANCE = 1e-5;
enum { BRANCHES = 2, STEPS = 2 };
static const double TIMES[STEPS] = { 981.0, 20.5 };

typedef struct Case {
    Net net;
    SdxlUnet m;
    NameMap names;
    UnetContext context[BRANCHES];
    float *input, *text[BRANCHES], *pooled[BRANCHES];
    Shape input_shape, text_shape;
    double time_ids[UNET_TIME_IDS];
    float *out[BRANCHES][STEPS], *want[BRANCHES][STEPS];
    float *control[UNET_MAX_SKIPS + 1]; /* skips, then the middle */
    Shape control_shape[UNET_MAX_SKIPS + 1];
    int n_control;
    bool together;
    int compared;
} Case;

/* Step 1 of the first prompt, with something added everywhere. */
static void run_controlled(Run *r, Case *c, Tensor x)
{
    const UnetContext *first = &c->context[0];
    UnetControl control = { .n_skips = c->n_control - 1 };
    Tensor out = NO_TENSOR;
    for (int i = 0; i < c->n_control; i++) {
        const Shape s = c->control_shape[i];
        Tensor t = run_input(r, SHAPE(1, s.dim[1], s.dim[2], s.dim[0]), net_fill, c->control[i]);
        *(i + 1 < c->n_control ? &control.skip[i] : &control.mid) = t;
    }
    sdxl_unet_forward(r, &c->m, 1, 1, &x, 1, &first, &control, &out);
    run_output(r, "controlled", 0, out);
}

static void recipe(Run *r, void *context)
{
    Case *c = context;
    const Shape s = c->input_shape;
    const UnetContext *both[BRANCHES] = { &c->context[0], &c->context[1] };
    run_stage(r, "prompts");
    for (int b = 0; b < BRANCHES; b++) {
        Tensor text = run_input(r, c->text_shape, net_fill, c->text[b]), pooled = NO_TENSOR;
        if (c->pooled[b])
            pooled = run_input(r, SHAPE(1, c->m.trunk.cfg.pooled_dim), net_fill, c->pooled[b]);
        unet_context(r, &c->m.trunk, text, pooled, c->time_ids, TIMES, STEPS, &c->context[b]);
    }
    run_stage(r, "denoise");
    Tensor x = run_input(r, SHAPE(1, s.dim[1], s.dim[2], s.dim[0]), net_fill, c->input);
    for (int i = 0; run_step(r, i, STEPS); i++) {
        Tensor out[BRANCHES] = { NO_TENSOR, NO_TENSOR };
        if (c->together)
            sdxl_unet_forward(r, &c->m, i, 1, &x, BRANCHES, both, NULL, out);
        else
            for (int b = 0; b < BRANCHES; b++)
                sdxl_unet_forward(r, &c->m, i, 1, &x, 1, both + b, NULL, out + b);
        for (int b = 0; b < BRANCHES; b++)
            run_output(r, "out", b * STEPS + i, out[b]);
    }
    run_controlled(r, c, x);
}

static bool golden_name(char name[40], const char *tap, int64_t index)
{
    if (strcmp(tap, "controlled") == 0) return snprintf(name, 40, "controlled") > 0;
    if (strcmp(tap, "unet.in") == 0) return snprintf(name, 40, "conv_in") > 0;
    if (strcmp(tap, "unet.mid") == 0) return snprintf(name, 40, "mid_block") > 0;
    if (strcmp(tap, "unet.down") == 0) return snprintf(name, 40, "down_blocks.%d", (int)index) > 0;
    return strcmp(tap, "unet.up") == 0 && snprintf(name, 40, "up_blocks.%d", (int)index) > 0;
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    char golden[40];
    Shape s;
    const bool is_out = strcmp(name, "out") == 0;
    const int b = (int)index / STEPS, i = (int)index % STEPS;
    if (is_out) {
        c->out[b][i] = arena_array(&c->net.arena, (size_t)tensor_count(t), sizeof(float));
        memcpy(c->out[b][i], data, (size_t)tensor_count(t) * sizeof(float));
        (void)snprintf(golden, sizeof golden, "out.%d.%d", b, i);
        if (c->want[b][i]) CHECK(equal_bits(data, c->want[b][i], tensor_count(t)));
    } else if (!golden_name(golden, name, index) ||
               (c->compared >= c->m.trunk.cfg.levels * 2 + 2 && strcmp(golden, "controlled") != 0))
        return;
    else
        c->compared++; /* taps of the first pass only, and the controlled result */
    const float *want = net_golden(&c->net, golden, &s);
    CHECK_INT(shape_count(s), tensor_count(t));
    CHECK_CLOSE(data, net_channels_last(&c->net, want, s), tensor_count(t),
                TOLERANCE * net_greatest(want, tensor_count(t)));
}

static void run_knobs(Case *c, int64_t chunk, int64_t band, bool together, bool cache)
{
    c->net.knobs = (RunKnobs){
        .chunk_rows = chunk, .band_rows = band, .lock_step = together, .cache_cross = cache
    };
    c->together = together;
    if (net_run(&c->net, recipe, compare, c) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_INT(c->net.stats.slab_peak_bytes, c->net.planned_top);
}

static void open_inputs(Case *c)
{
    char name[16];
    Net *net = &c->net;
    const float *x = net_golden(net, "input", &c->input_shape);
    c->input = net_channels_last(net, x, c->input_shape);
    const float *ids = net_golden(net, "time_ids", NULL);
    for (int i = 0; i < UNET_TIME_IDS; i++)
        c->time_ids[i] = (double)ids[i];
    for (int i = 0; i <= UNET_MAX_SKIPS; i++) {
        (void)snprintf(name, sizeof name, "control.%d", i);
        if (!net_has_golden(net, name)) break;
        c->control[i] = net_channels_last(net, net_golden(net, name, &c->control_shape[i]),
                                          c->control_shape[i]);
        c->n_control = i + 1;
    }
    for (int b = 0; b < BRANCHES; b++) {
        (void)snprintf(name, sizeof name, "text.%d", b);
        c->text[b] = (float *)(uintptr_t)net_golden(net, name, &c->text_shape);
        (void)snprintf(name, sizeof name, "pooled.%d", b);
        if (net_has_golden(net, name))
            c->pooled[b] = (float *)(uintptr_t)net_golden(net, name, NULL);
    }
}

static void open_case(Case *c, const char *folder, bool original)
{
    *c = (Case){ 0 };
    net_open(&c->net, folder, "diffusion_pytorch_model.safetensors", "taps.safetensors");
    if (unet_config_read(&c->m.trunk.cfg, net_config(&c->net), &c->net.err) != SNUG_OK)
        fail_msg("%s", c->net.err.text);
    weights_begin(&c->net.weights, &c->net.table, c->net.checkpoint, "unet");
    if (original) {
        CHECK(unet_names_original(&c->names, &c->net.arena, &c->m.trunk.cfg));
        c->names.prefix = UNET_ORIGINAL_PREFIX;
        weights_names(&c->net.weights, &c->names);
    }
    sdxl_unet_weights(&c->m, &c->net.weights);
    if (weights_end(&c->net.weights, &c->net.err) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_TEXT(c->net.table.warnings, "");
    open_inputs(c);
}

static void check_folder(const char *folder, bool original)
{
    static Case c;
    open_case(&c, folder, original);
    run_knobs(&c, 0, 0, true, true);
    CHECK_INT(c.compared, 2 * c.m.trunk.cfg.levels + 3);
    memcpy(c.want, c.out, sizeof c.want);
    run_knobs(&c, 0, 0, false, true);
    run_knobs(&c, 7, 4, false, false);
    run_knobs(&c, 16, 8, true, false);
    cpu_device_init(&c.net.cpu, c.net.pool, ISA_REF);
    run_knobs(&c, 5, 4, true, true);
    net_close(&c.net);
}

TEST(sdxl_unet, equals_the_reference_in_any_chunks_and_order)
{
    check_folder("golden/sdxl_unet/base", false);
}

TEST(sdxl_unet, odd_sides_and_original_names_equal_the_reference)
{
    check_folder("golden/sdxl_unet/original", true);
}

TEST(sdxl_unet, without_time_ids_and_with_transformers_at_the_top)
{
    check_folder("golden/sdxl_unet/plain", false);
}

TEST(sdxl_unet, original_names_translate_back)
{
    static const UnetConfig CFG = { .levels = 3, .layers = 2, .depth = { -1, 2, 10 } };
    static const char *const PAIRS[][2] = {
        { "down_blocks.0.downsamplers.0.conv.weight", "input_blocks.3.0.op.weight" },
        { "down_blocks.2.attentions.1.transformer_blocks.9.norm1.weight",
          "input_blocks.8.1.transformer_blocks.9.norm1.weight" },
        { "up_blocks.0.upsamplers.0.conv.bias", "output_blocks.2.2.conv.bias" },
        { "up_blocks.2.resnets.2.conv_shortcut.bias", "output_blocks.8.0.skip_connection.bias" },
        { "controlnet_down_blocks.8.weight", "zero_convs.8.0.weight" },
    };
    Heap *heap = heap_create();
    Arena arena;
    NameMap map;
    char out[NAME_MAP_TEXT];
    arena_init(&arena, heap, "test");
    CHECK(unet_names_original(&map, &arena, &CFG));
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
        CHECK(name_map_to_theirs(&map, PAIRS[i][0], out));
        CHECK_TEXT(out, PAIRS[i][1]);
        CHECK(name_map_to_ours(&map, PAIRS[i][1], out));
        CHECK_TEXT(out, PAIRS[i][0]);
    }
    arena_release(&arena);
    heap_free(heap);
}

static SnugStatus read_config(Json config, SnugError *err)
{
    UnetConfig cfg;
    return unet_config_read(&cfg, config, err);
}

static void refuse(const char *json, const char *what)
{
    config_check_refused(read_config, json, what);
}

TEST(sdxl_unet, configurations_that_cannot_be_run_are_refused)
{
    refuse("{\"block_out_channels\":[40]}", "norm_num_groups");
    refuse("{\"block_out_channels\":[32,64],\"attention_head_dim\":[1]}", "attention_head_dim");
    refuse("{\"attention_head_dim\":7}", "heads do not divide");
    refuse("{\"down_block_types\":[\"SimpleCrossAttnDownBlock2D\",\"DownBlock2D\",\"DownBlock2D\","
           "\"DownBlock2D\"]}",
           "SimpleCrossAttnDownBlock2D");
    refuse("{\"class_embed_type\":\"timestep\"}", "class_embed_type");
    refuse("{\"addition_embed_type\":\"image\"}", "addition_embed_type");
    refuse("{\"addition_embed_type\":\"text_time\",\"projection_class_embeddings_input_dim\":100}",
           "pooled prompt");
    refuse("{\"flip_sin_to_cos\":false}", "flip_sin_to_cos");
    refuse("{\"cross_attention_dim\":[1280,1280]}", "cross_attention_dim");
    refuse("{\"transformer_layers_per_block\":[1,2,99,1]}", "transformer_layers_per_block");
    refuse("{\"time_embedding_type\":\"fourier\"}", "time_embedding_type");
}
