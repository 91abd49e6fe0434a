/* test_clip_text.c  CLIP text encoders against transformers 5.23 (tools/oracle/golden_clip_text.py),
 * layer by layer. */
#include "net.h"

#include "config.h"
#include "models/clip_names.h"
#include "models/clip_text.h"

/* Residual values of a few units after three blocks; each is a sum of up to 77 rounded terms in
 * another order: about 30 units in the last place of 8. */
static const double TOLERANCE = 3e-5;

enum { PROMPTS = 3, N = 77 };

typedef struct Case {
    Net net;
    ClipText m;
    int32_t ids[PROMPTS][N];
    int64_t n[PROMPTS];
    bool swapped; /* prompts in the other order */
    int compared;
} Case;

static int golden_row(const Case *c, int prompt)
{
    return c->swapped ? PROMPTS - 1 - prompt : prompt;
}

static void recipe(Run *r, void *context)
{
    Case *c = context;
    ClipTextPrompt p[PROMPTS] = { { 0 } };
    for (int i = 0; i < PROMPTS; i++) {
        p[i].ids = c->ids[golden_row(c, i)];
        p[i].n = c->n[golden_row(c, i)];
    }
    run_stage(r, "text");
    clip_text_encode(r, &c->m, PROMPTS, p);
    for (int i = 0; i < PROMPTS; i++) {
        run_output(r, "penultimate", i, p[i].penultimate);
        run_output(r, "pooled", i, p[i].pooled);
    }
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Case *c = context;
    char golden[32] = "pooled";
    int64_t prompt = index, rows = 1;
    if (strcmp(name, "pooled") != 0) {
        int64_t layer = 0;
        rows = N;
        if (strcmp(name, "penultimate") == 0)
            layer = c->m.cfg.layers - 1;
        else if (strcmp(name, "clip_text.block") == 0) {
            prompt = index / CLIP_TEXT_MAX_LAYERS;
            layer = index % CLIP_TEXT_MAX_LAYERS + 1;
        }
        (void)snprintf(golden, sizeof golden, "hidden.%lld", (long long)layer);
    }
    const int row = golden_row(c, (int)prompt);
    const float *want = net_golden(&c->net, golden, NULL);
    CHECK_INT(t.shape.dim[0], rows == 1 ? 1 : c->n[row]);
    CHECK_CLOSE(data, want + row * rows * t.shape.dim[1], tensor_count(t), TOLERANCE);
    c->compared++;
}

/* `whole`: all 77 rows, else what lies behind the end token is left out. */
/* OpenCLIP's names, in a file with other networks. */
static const char OPEN[] = "golden/clip_text/open";

static void check_folder(const char *folder, bool projected, bool whole)
{
    static Case c;
    NameMap names = CLIP_NAMES_OPEN;
    const bool open = strcmp(folder, OPEN) == 0;
    c = (Case){ .swapped = !whole };
    net_open(&c.net, folder, "model.safetensors", "taps.safetensors");
    CHECK_INT(clip_text_config_read(&c.m.cfg, net_config(&c.net), projected, &c.net.err), SNUG_OK);
    weights_begin(&c.net.weights, &c.net.table, c.net.checkpoint, "text_encoder");
    names.prefix = "conditioner.embedders.1.model.";
    c.m.cfg.turned = open;
    if (open) weights_names(&c.net.weights, &names);
    clip_text_weights(&c.m, &c.net.weights);
    weights_prefix(&c.net.weights, "%s", "");
    if (open) weights_ignore(&c.net.weights, "logit_scale");
    if (weights_end(&c.net.weights, &c.net.err) != SNUG_OK) fail_msg("%s", c.net.err.text);
    CHECK_TEXT(c.net.table.warnings, "");
    const float *ids = net_golden(&c.net, "ids", NULL);
    for (int p = 0; p < PROMPTS; p++) {
        for (int i = 0; i < N; i++)
            c.ids[p][i] = (int32_t)ids[p * N + i];
        c.n[p] = whole ? N : clip_text_pooled_row(&c.m.cfg, c.ids[p], N) + 1;
    }
    CHECK_INT(clip_text_pooled_row(&c.m.cfg, c.ids[0], N), 9);
    CHECK_INT(clip_text_pooled_row(&c.m.cfg, c.ids[1], N), N - 1);
    CHECK_INT(clip_text_pooled_row(&c.m.cfg, c.ids[2], N), 30);
    if (net_run(&c.net, recipe, compare, &c) != SNUG_OK) fail_msg("%s", c.net.err.text);
    CHECK_INT(c.compared, PROMPTS * (c.m.cfg.layers + 3));
    CHECK_INT(c.net.stats.slab_peak_bytes, c.net.planned_top);
    net_close(&c.net);
}

TEST(clip_text, equals_the_reference)
{
    check_folder("golden/clip_text/quick", false, true);
    check_folder("golden/clip_text/projected", true, true);
    check_folder("golden/clip_text/old", false, true);
    check_folder(OPEN, true, true);
}

TEST(clip_text, what_follows_the_end_token_may_be_left_out)
{
    check_folder("golden/clip_text/quick", false, false);
    check_folder("golden/clip_text/projected", true, false);
    check_folder("golden/clip_text/old", false, false);
    check_folder(OPEN, true, false);
}

static SnugStatus read_config(Json config, SnugError *err)
{
    ClipTextConfig cfg;
    return clip_text_config_read(&cfg, config, true, err);
}

static void refuse(const char *json, const char *what)
{
    config_check_refused(read_config, json, what);
}

TEST(clip_text, configurations_out_of_range_are_refused)
{
    refuse("{\"hidden_size\":10,\"num_attention_heads\":3}", "num_attention_heads");
    refuse("{\"num_hidden_layers\":1000}", "num_hidden_layers");
    refuse("{\"hidden_act\":\"swish\"}", "hidden_act");
    refuse("{\"max_position_embeddings\":0}", "max_position_embeddings");
    refuse("{\"projection_dim\":-1}", "projection_dim");
}

typedef struct TooLong {
    ClipText m;
    int32_t ids[N + 1];
} TooLong;

TEST(clip_text, a_prompt_longer_than_its_positions_stops_the_run)
{
    static TooLong t;
    SnugError err = { { 0 } };
    Run r = { .err = &err, .rehearse = true };
    ClipTextPrompt p = { .ids = t.ids, .n = N + 1 };
    t.m.cfg.positions = N;
    clip_text_encode(&r, &t.m, 1, &p);
    CHECK_INT(r.status, SNUG_ERR_ARG);
    CHECK_HAS(err.text, "78 tokens");
}
