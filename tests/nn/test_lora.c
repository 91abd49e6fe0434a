/* test_lora.c  Names in every convention, scales, what binding does with them, and files that lie. */
#include "test.h"

#include <stdlib.h>

#include "../formats/files.h"
#include "base/size.h"
#include "nn/lora_names.h"
#include "nn/weights.h"

static SnugError err;

/* ---- files by hand ---- */

/** A safetensors file under construction. */
typedef struct Maker {
    char header[8192], data[65536];
    size_t n_header, n_data;
} Maker;

static void add(Maker *m, const char *name, const char *shape, const float *values, size_t n)
{
    const size_t bytes = n * sizeof *values;
    m->n_header +=
        (size_t)snprintf(m->header + m->n_header, sizeof m->header - m->n_header,
                         "%s\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                         m->n_header > 1 ? "," : "", name, shape, m->n_data, m->n_data + bytes);
    for (size_t i = 0; i < n; i++) {
        const float value = values ? values[i] : (float)(i + 1);
        memcpy(m->data + m->n_data + i * sizeof value, &value, sizeof value);
    }
    m->n_data += bytes;
}

static void start(Maker *m)
{
    memset(m, 0, sizeof *m);
    m->header[m->n_header++] = '{';
}

static void start_with(Maker *m, const char *metadata)
{
    start(m);
    m->n_header +=
        (size_t)snprintf(m->header + 1, sizeof m->header - 1,
                         "\"__metadata__\":{\"lora_adapter_metadata\":\"%s\"}", metadata);
}

static const char *put(Maker *m, const char *name)
{
    unsigned char length[8];
    char *all = malloc(8 + sizeof m->header + sizeof m->data);
    m->header[m->n_header++] = '}';
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(m->n_header >> 8 * i & 255);
    memcpy(all, length, 8);
    memcpy(all + 8, m->header, m->n_header);
    memcpy(all + 8 + m->n_header, m->data, m->n_data);
    const char *path = files_put(name, all, 8 + m->n_header + m->n_data);
    free(all);
    return path;
}

/* down [2, 3] and up [4, 2] of a module */
static void add_pair(Maker *m, const char *stem, const char *down, const char *up)
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s%s", stem, down);
    add(m, name, "[2,3]", NULL, 6);
    (void)snprintf(name, sizeof name, "%s%s", stem, up);
    add(m, name, "[4,2]", NULL, 8);
}

static Heap *heap;

static SnugStatus open_one(LoraSet **out, const char *path, double strength)
{
    const LoraRequest request = { .path = path, .strength = strength, .experts = LORA_BOTH };
    err.text[0] = '\0';
    if (!heap) heap = heap_create();
    return lora_open(out, heap, &request, 1, &err);
}

static LoraSet *must_open(const char *path, double strength)
{
    LoraSet *s;
    if (open_one(&s, path, strength) != SNUG_OK) fail_msg("%s", err.text);
    return s;
}

static void finish(LoraSet *s)
{
    lora_close(s);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
    heap = NULL;
}

/* ---- names ---- */

TEST(lora_names, every_convention_gives_the_module)
{
    static const struct {
        const char *name, *key;
        LoraPart part;
        LoraNetwork network;
        unsigned experts;
    } CASES[] = {
        { "transformer.blocks.0.attn1.to_q.lora_A.weight", "blocks_0_attn1_to_q", LORA_DOWN, 0, 0 },
        { "transformer_2.blocks.0.a.lora_B.weight", "blocks_0_a", LORA_UP, 0, LORA_LOW },
        { "unet.down.0.lora.down.weight", "down_0", LORA_DOWN, 0, 0 },
        { "base_model.model.blocks.0.q.lora_A.default.weight", "blocks_0_q", LORA_DOWN, 0, 0 },
        { "base_model.model.a.lora_B.default.bias", "a", LORA_UP_BIAS, 0, 0 },
        { "unet.mid.attn1.processor.to_q_lora.up.weight", "mid_attn1_to_q", LORA_UP, 0, 0 },
        { "unet.mid.attn1.processor.to_out_lora.down.weight", "mid_attn1_to_out_0", LORA_DOWN, 0,
          0 },
        { "text_encoder.text_model.a.lora_linear_layer.up.weight", "text_model_a", LORA_UP,
          LORA_TEXT_1, 0 },
        { "text_encoder_2.text_model.a.lora_A.weight", "text_model_a", LORA_DOWN, LORA_TEXT_2, 0 },
        { "lora_te_text_model_a.alpha", "text_model_a", LORA_ALPHA, LORA_TEXT_1, 0 },
        { "lora_te1_text_model_a.alpha", "text_model_a", LORA_ALPHA, LORA_TEXT_1, 0 },
        { "lora_te2_text_model_a.lora_up.weight", "text_model_a", LORA_UP, LORA_TEXT_2, 0 },
        { "lora_te3_encoder_block_0.lora_up.weight", "encoder_block_0", LORA_UP, LORA_TEXT_3, 0 },
        { "lora_unet_blocks_0_q.lora_down.weight", "blocks_0_q", LORA_DOWN, 0, 0 },
        { "lora_unet__blocks_0_q.lora_down.weight", "blocks_0_q", LORA_DOWN, 0, 0 },
        { "lora_transformer_blocks_0_q.lora_down.weight", "blocks_0_q", LORA_DOWN, 0, 0 },
        { "lycoris_blocks_0_q.lora_down.weight", "blocks_0_q", LORA_DOWN, 0, 0 },
        { "diffusion_model.blocks.0.norm3.diff", "blocks_0_norm3", LORA_DIFF, 0, 0 },
        { "model.diffusion_model.blocks.0.q.diff_b", "blocks_0_q", LORA_DIFF_BIAS, 0, 0 },
        { "blocks.0.norm.w_norm", "blocks_0_norm", LORA_DIFF, 0, 0 },
        { "blocks.0.norm.b_norm", "blocks_0_norm", LORA_DIFF_BIAS, 0, 0 },
        { "blocks.0.q.lora_A.weight", "blocks_0_q", LORA_DOWN, 0, 0 },
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        LoraName name;
        char key[256];
        if (!lora_names_read(&name, CASES[i].name)) fail_msg("%s", CASES[i].name);
        lora_names_key(key, &name);
        CHECK_TEXT(key, CASES[i].key);
        CHECK_INT(name.part, CASES[i].part);
        CHECK_INT(name.network, CASES[i].network);
        CHECK_INT(name.experts, CASES[i].experts);
        CHECK(!name.refused);
    }
}

TEST(lora_names, other_tensors_are_none)
{
    LoraName name;
    CHECK(!lora_names_read(&name, "blocks.0.q.weight"));
    CHECK(!lora_names_read(&name, ".alpha"));
    CHECK(!lora_names_read(&name, "unet..alpha") || name.module.n > 0);
    CHECK(!lora_names_read(&name, "lora_unet_.lora_up.weight"));
}

TEST(lora_names, conventions_that_are_not_applied_are_named)
{
    static const char *const CASES[][2] = {
        { "a.dora_scale", "DoRA" },        { "a.lora_magnitude_vector", "DoRA" },
        { "a.hada_w1_a", "LoHa" },         { "a.lokr_w2", "LoKr" },
        { "a.lora_mid.weight", "Tucker" }, { "a.set_weight", "set_weight" },
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Maker m;
        LoraSet *s;
        start(&m);
        add_pair(&m, "a", ".lora_down.weight", ".lora_up.weight");
        add(&m, CASES[i][0], "[4]", NULL, 4);
        CHECK_INT(open_one(&s, put(&m, "named.safetensors"), 1.0), SNUG_ERR_FILE);
        CHECK_HAS(err.text, CASES[i][0]);
        CHECK_HAS(err.text, CASES[i][1]);
        CHECK_HAS(err.text, "not supported");
        finish(NULL);
    }
}

/* ---- scales ---- */

static double scale_of(const char *path, const char *module)
{
    LoraSet *s = must_open(path, 0.5);
    LoraModule *m;
    if (lora_find(s, 0, LORA_DENOISER, LORA_BOTH, module, NULL, &m, &err) != SNUG_OK || !m)
        fail_msg("no %s: %s", module, err.text);
    const double scale = (double)m->scale;
    finish(s);
    return scale;
}

static const char *with_alpha(float alpha)
{
    Maker m;
    start(&m);
    add_pair(&m, "a", ".lora_down.weight", ".lora_up.weight");
    add(&m, "a.alpha", "[]", &alpha, 1);
    return put(&m, "alpha.safetensors");
}

static const char *with_metadata(const char *metadata)
{
    Maker m;
    start_with(&m, metadata);
    add_pair(&m, "transformer.x.a", ".lora_A.weight", ".lora_B.weight");
    return put(&m, "metadata.safetensors");
}

TEST(lora, scale_is_strength_times_alpha_over_rank)
{
    Maker m;
    CHECK(scale_of(with_alpha(3.0f), "a") == 0.5 * 3 / 2);
    CHECK(scale_of(with_alpha(0.0f), "a") == 0.5); /* an alpha of 0 means none */
    start(&m);
    add_pair(&m, "a", ".lora_down.weight", ".lora_up.weight");
    CHECK(scale_of(put(&m, "none.safetensors"), "a") == 0.5);
    CHECK(scale_of(with_metadata("{\\\"transformer.lora_alpha\\\":8}"), "x.a") == 0.5 * 8 / 2);
    CHECK(scale_of(with_metadata("{\\\"transformer.lora_alpha\\\":8,"
                                 "\\\"transformer.use_rslora\\\":true}"),
                   "x.a") == (double)(float)(0.5 * 8 / sqrt(2.0)));
    static const char PATTERN[] =
        "{\\\"transformer.lora_alpha\\\":8,\\\"transformer.alpha_pattern\\\":"
        "{\\\"%s\\\":2}}";
    char text[256];
    (void)snprintf(text, sizeof text, PATTERN, "a");
    CHECK(scale_of(with_metadata(text), "x.a") == 0.5);
    (void)snprintf(text, sizeof text, PATTERN, "^x.a");
    CHECK(scale_of(with_metadata(text), "x.a") == 0.5);
    (void)snprintf(text, sizeof text, PATTERN, "^a");
    CHECK(scale_of(with_metadata(text), "x.a") == 2.0);
    CHECK(scale_of(with_metadata("{\\\"unet.lora_alpha\\\":8}"), "x.a") == 0.5);
}

TEST(lora, peft_files_have_their_scale_beside_them)
{
    Maker m;
    start(&m);
    add_pair(&m, "base_model.model.a", ".lora_A.weight", ".lora_B.weight");
    const char *path = put(&m, "peft/adapter_model.safetensors");
    (void)files_text("peft/adapter_config.json", "{\"r\":2,\"lora_alpha\":6,\"use_dora\":false}");
    CHECK(scale_of(path, "a") == 1.5);
    (void)files_text("peft/adapter_config.json", "{\"r\":2,\"lora_alpha\":6,\"use_dora\":true}");
    LoraSet *s;
    CHECK_INT(open_one(&s, path, 1.0), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "DoRA");
    finish(s);
    (void)files_text("peft/adapter_config.json", "{\"lora_alpha\":\"six\"}");
    CHECK_INT(open_one(&s, path, 1.0), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "adapter_config.json");
    finish(s);
}

TEST(lora, patterns_that_are_no_names_are_refused)
{
    LoraSet *s;
    const char *path = with_metadata("{\\\"transformer.alpha_pattern\\\":{\\\"x.*\\\":2}}");
    CHECK_INT(open_one(&s, path, 1.0), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "a regular expression");
    CHECK_HAS(err.text, "metadata.safetensors");
    finish(s);
}

/* ---- files that lie: LR1 to LR6 of the specification ---- */

static void refused(Maker *m, const char *words)
{
    LoraSet *s;
    CHECK_INT(open_one(&s, put(m, "bad.safetensors"), 1.0), SNUG_ERR_FILE);
    CHECK(!s);
    CHECK_HAS(err.text, "bad.safetensors");
    CHECK_HAS(err.text, words);
    finish(s);
}

TEST(lora, LR1_half_a_pair_is_missing_the_other)
{
    Maker m;
    start(&m);
    add(&m, "a.lora_down.weight", "[2,3]", NULL, 6);
    refused(&m, "a.lora_down.weight: missing: the matrix that leads up");
    start(&m);
    add(&m, "a.lora_up.weight", "[2,3]", NULL, 6);
    refused(&m, "a.lora_up.weight: missing: the matrix that leads down");
    start(&m);
    add(&m, "a.alpha", "[]", NULL, 1);
    refused(&m, "a.alpha: missing: the matrices");
}

TEST(lora, LR2_ranks_that_differ_are_a_mismatch)
{
    Maker m;
    start(&m);
    add(&m, "a.lora_down.weight", "[3,2]", NULL, 6);
    add(&m, "a.lora_up.weight", "[4,2]", NULL, 8);
    refused(&m, "a.lora_up.weight: mismatch");
    start(&m);
    add(&m, "a.lora_down.weight", "[6]", NULL, 6);
    add(&m, "a.lora_up.weight", "[4,2]", NULL, 8);
    refused(&m, "mismatch");
}

TEST(lora, LR4_alpha_must_be_one_finite_number_not_below_zero)
{
    static const float BAD[] = { NAN, INFINITY, -1.0f };
    LoraSet *s;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        CHECK_INT(open_one(&s, with_alpha(BAD[i]), 1.0), SNUG_ERR_FILE);
        CHECK_HAS(err.text, "a.alpha: bad");
        finish(s);
    }
    Maker m;
    start(&m);
    add_pair(&m, "a", ".lora_down.weight", ".lora_up.weight");
    add(&m, "a.alpha", "[2]", NULL, 2);
    refused(&m, "not a single number");
    CHECK_INT(open_one(&s, with_alpha(3e38f), 100.0), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "past all bounds");
    finish(s);
}

TEST(lora, LR5_a_rank_of_zero_is_bad)
{
    Maker m;
    start(&m);
    add(&m, "a.lora_down.weight", "[0,3]", NULL, 0);
    add(&m, "a.lora_up.weight", "[4,0]", NULL, 0);
    refused(&m, "a rank of 0");
}

TEST(lora, LR6_two_conventions_for_one_module_are_a_duplicate)
{
    Maker m;
    start(&m);
    add_pair(&m, "x.a", ".lora_down.weight", ".lora_up.weight");
    add_pair(&m, "diffusion_model.x.a", ".lora_A.weight", ".lora_B.weight");
    refused(&m, "duplicate");
    start(&m); /* ours and theirs at once: found out when the layer is looked up */
    add_pair(&m, "x.a", ".lora_down.weight", ".lora_up.weight");
    add_pair(&m, "y.b", ".lora_down.weight", ".lora_up.weight");
    LoraSet *s = must_open(put(&m, "two.safetensors"), 1.0);
    LoraModule *found;
    CHECK_INT(lora_find(s, 0, LORA_DENOISER, LORA_BOTH, "x.a", "y.b", &found, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "the module also goes by y.b");
    finish(s);
}

TEST(lora, what_is_no_lora_is_said)
{
    Maker m;
    start(&m);
    add(&m, "a.weight", "[2,3]", NULL, 6);
    refused(&m, "it holds no tensor of a LoRA");
}

TEST(lora, no_memory_leaves_nothing_behind)
{
    const char *path = with_metadata("{\\\"transformer.lora_alpha\\\":8}");
    SnugStatus status = SNUG_ERR_MEMORY;
    heap = heap_create();
    for (int64_t n = 1; status != SNUG_OK; n++) {
        LoraSet *s;
        heap_fail_at(heap, n);
        status = open_one(&s, path, 1.0);
        heap_fail_at(heap, 0);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        CHECK((status == SNUG_OK) == (s != NULL));
        lora_close(s);
        CHECK_INT(heap_now_bytes(heap), 0);
    }
    finish(NULL);
}

/* ---- binding ---- */

/** A network of one dense layer a [4, 3] with bias and one norm n [3], and LoRA files. */
typedef struct Bench {
    Arena arena;
    Checkpoint *c;
    WeightTable table;
    Weights w;
    LoraSet *loras;
    Linear linear;
    const Weight *norm;
} Bench;

static void bind(Bench *b, const char *path)
{
    Maker m;
    start(&m);
    add(&m, "a.weight", "[4,3]", NULL, 12);
    add(&m, "a.bias", "[4]", NULL, 4);
    add(&m, "n.weight", "[3]", NULL, 3);
    *b = (Bench){ .loras = must_open(path, 0.5) };
    arena_init(&b->arena, heap, "test");
    CHECK_INT(checkpoint_open(&b->c, heap, put(&m, "model.safetensors"), NULL, &err), SNUG_OK);
    weight_table_init(&b->table, &b->arena);
    weights_begin(&b->w, &b->table, b->c, "model");
    weights_loras(&b->w, b->loras, LORA_DENOISER, LORA_BOTH, NULL);
    weights_unit(&b->w, "%s", "");
    weights_linear(&b->w, &b->linear, "a", 3, 4, BIAS);
    b->norm = weights_tensor(&b->w, "n.weight", SHAPE(3));
}

static void release(Bench *b)
{
    checkpoint_close(b->c);
    arena_release(&b->arena);
    finish(b->loras);
}

TEST(lora, layers_and_small_tensors_take_what_is_theirs)
{
    Bench b;
    Maker m;
    char warnings[256] = "";
    start(&m);
    add_pair(&m, "a", ".lora_down.weight", ".lora_up.weight");
    add(&m, "a.diff_b", "[4]", NULL, 4);
    add(&m, "n.diff", "[3]", NULL, 3);
    add(&m, "elsewhere.diff", "[3]", NULL, 3);
    add(&m, "strange", "[3]", NULL, 3);
    bind(&b, put(&m, "all.safetensors"));
    CHECK_INT(weights_end(&b.w, &err), SNUG_OK);
    CHECK(b.linear.lora && b.linear.lora->down && !b.linear.lora->next);
    CHECK(b.linear.lora->up->scaling && b.linear.lora->up->scaling->whole == 0.5f);
    CHECK_INT(b.linear.lora->down->unit, 0); /* travels with the layer */
    _Alignas(64) unsigned char unit[1024];
    CHECK(b.table.units[0].bytes <= sizeof unit);
    CHECK_INT(weight_table_read(&b.table, 0, unit, &err), SNUG_OK);
    const float *norm = (const float *)(const void *)(unit + b.norm->unit_offset);
    const float *bias = (const float *)(const void *)(unit + b.linear.bias->unit_offset);
    for (int i = 0; i < 3; i++)
        CHECK(norm[i] == 1.5f * (float)(i + 1));
    for (int i = 0; i < 4; i++)
        CHECK(bias[i] == 1.5f * (float)(i + 1));
    CHECK_INT(lora_check(b.loras, false, warnings, sizeof warnings, &err), SNUG_OK);
    CHECK_HAS(warnings, "2 tensors fit nothing in the model: elsewhere.diff, strange");
    CHECK_INT(lora_check(b.loras, true, warnings, sizeof warnings, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "elsewhere.diff");
    release(&b);
}

TEST(lora, LR3_a_file_that_fits_nothing_is_an_error)
{
    Bench b;
    Maker m;
    char warnings[256] = "";
    start(&m);
    add_pair(&m, "b", ".lora_down.weight", ".lora_up.weight");
    bind(&b, put(&m, "other.safetensors"));
    CHECK_INT(weights_end(&b.w, &err), SNUG_OK);
    CHECK_INT(lora_check(b.loras, false, warnings, sizeof warnings, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "no layer of the model has a name it knows (b.lora_down.weight");
    release(&b);
}

TEST(lora, LR2_and_LR7_shapes_that_do_not_fit_the_layer_are_problems)
{
    Bench b;
    Maker m;
    start(&m);
    add(&m, "a.lora_down.weight", "[2,4]", NULL, 8);
    add(&m, "a.lora_up.weight", "[4,2]", NULL, 8);
    add(&m, "a.diff", "[3,4]", NULL, 12);
    add(&m, "a.diff_b", "[3]", NULL, 3);
    bind(&b, put(&m, "shapes.safetensors"));
    CHECK_INT(weights_end(&b.w, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "a.lora_down.weight is [2, 4], the layer needs 2 x 3");
    CHECK_HAS(err.text, "a.diff is [3, 4], the layer needs 4 x 3");
    CHECK_HAS(err.text, "a.diff_b is [3], the layer needs 4 x 1");
    release(&b);
}

TEST(lora, nan_in_a_change_is_refused_when_it_is_read)
{
    static const float BAD[] = { 1, 2, NAN, 4 };
    static const char *const NAMES[] = { "a.diff_b", "a.lora_B.bias" };
    for (int i = 0; i < 2; i++) {
        Bench b;
        Maker m;
        start(&m);
        add_pair(&m, "a", ".lora_A.weight", ".lora_B.weight");
        add(&m, NAMES[i], "[4]", BAD, 4);
        bind(&b, put(&m, "nan.safetensors"));
        CHECK_INT(weights_end(&b.w, &err), SNUG_OK);
        CHECK(!b.linear.lora->bias == (i == 0));
        _Alignas(64) unsigned char unit[1024];
        CHECK_INT(weight_table_read(&b.table, 0, unit, &err), SNUG_ERR_FILE);
        CHECK_HAS(err.text, "NaN or infinity");
        release(&b);
    }
}
