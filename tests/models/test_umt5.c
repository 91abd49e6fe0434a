/* test_umt5.c  umT5 and T5 encoders against transformers 5.23 (tools/oracle/golden_umt5.py), layer by layer. */
#include "net.h"

#include "models/umt5.h"

/* f32 sums of up to 130 keys and 64 terms in other orders: a few 1e-6 of values around 1. */
static const double TOLERANCE = 2e-5;

typedef struct Case {
    Net net;
    Umt5 m;
    int32_t *ids[2];
    int64_t n[2], dim;
    const float *blocks[UMT5_MAX_LAYERS], *embedding, *final;
    int compared;
} Case;

static void recipe(Run *r, void *context)
{
    Case *c = context;
    Tensor out[2];
    run_stage(r, "text");
    umt5_encode(r, &c->m, 2, (const int32_t *const *)c->ids, c->n, out);
    for (int p = 0; p < 2; p++)
        run_output(r, "final", p, out[p]);
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    const float *want = c->final;
    int64_t prompt = index;
    if (strcmp(name, "umt5.block") == 0) {
        prompt = index / UMT5_MAX_LAYERS;
        want = c->blocks[index % UMT5_MAX_LAYERS];
    } else if (strcmp(name, "umt5.embed") == 0)
        want = c->embedding;
    CHECK_INT(t.shape.dim[0], c->n[prompt]);
    CHECK_CLOSE(data, want + prompt * 130 * c->dim, tensor_count(t), TOLERANCE);
    c->compared++;
}

static void check_folder(const char *folder)
{
    static Case c;
    c = (Case){ 0 };
    net_open(&c.net, folder, "model.safetensors", "taps.safetensors");
    CHECK_INT(umt5_config_read(&c.m.cfg, net_config(&c.net), &c.net.err), SNUG_OK);
    weights_begin(&c.net.weights, &c.net.table, c.net.checkpoint, "text_encoder");
    umt5_weights(&c.m, &c.net.weights);
    if (weights_end(&c.net.weights, &c.net.err) != SNUG_OK) fail_msg("%s", c.net.err.text);
    CHECK_TEXT(c.net.table.warnings, "");
    const float *ids = net_golden(&c.net, "input_ids", NULL);
    const float *mask = net_golden(&c.net, "attention_mask", NULL);
    for (int p = 0; p < 2; p++) {
        c.ids[p] = arena_array(&c.net.arena, 130, sizeof(int32_t));
        while (c.n[p] < 130 && mask[p * 130 + c.n[p]] > 0.0f) {
            c.ids[p][c.n[p]] = (int32_t)ids[p * 130 + c.n[p]];
            c.n[p]++;
        }
    }
    char name[32];
    for (int i = 0; i < c.m.cfg.layers; i++) {
        (void)snprintf(name, sizeof name, "block.%d", i);
        c.blocks[i] = net_golden(&c.net, name, NULL);
    }
    c.embedding = net_golden(&c.net, "embedding", NULL);
    c.final = net_golden(&c.net, "final", NULL);
    c.dim = c.m.cfg.dim;
    if (net_run(&c.net, recipe, compare, &c) != SNUG_OK) fail_msg("%s", c.net.err.text);
    CHECK_INT(c.compared, 2 * (c.m.cfg.layers + 2));
    CHECK_INT(c.net.stats.slab_peak_bytes, c.net.planned_top);
    net_close(&c.net);
}

TEST(umt5, equals_the_reference)
{
    check_folder("golden/umt5/even");
}

TEST(umt5, equals_the_reference_where_heads_are_wider_than_the_model)
{
    check_folder("golden/umt5/wide");
}

TEST(umt5, equals_the_reference_with_other_buckets)
{
    check_folder("golden/umt5/buckets");
}

TEST(umt5, t5_has_one_bias_for_all_layers_and_attends_to_padding)
{
    check_folder("golden/umt5/t5");
    check_folder("golden/umt5/t5_relu");
}
