/* test_birefnet.c  BiRefNet against its own code (tools/oracle/golden_birefnet.py), in both orders of
 * the picture's pieces, on sides that leave windows and merged maps incomplete; and the same bits
 * in any chunks, bands and order. */
#include "net.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "compute/equal_bits.h"
#include "formats/safetensors_write.h"
#include "models/birefnet.h"

/* Of the greatest value: some fifty layers of sums of up to 27648 rounded terms in other orders,
 * measured 3e-6; the spec allows 1e-4. */
static const double TOLERANCE = 2e-5;

enum { MAX_TENSORS = 512, NAME = 128 };

/* ---- weights that follow from their names ---- */

typedef struct Tensors {
    SafetensorsItem item[MAX_TENSORS];
    char name[MAX_TENSORS][NAME];
    float mean[MAX_TENSORS], width[MAX_TENSORS];
    int32_t n;
} Tensors;

/* golden_birefnet.py, `values`. */
static float value(uint32_t seed, uint32_t i)
{
    uint32_t x = i * 0x9E3779B1u + seed;
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    x ^= x >> 16;
    return (float)(x >> 8) / (float)(1 << 23) - 1.0f;
}

static uint32_t seed_of(const char *name)
{
    uint32_t seed = 2166136261u;
    for (; *name; name++)
        seed = (seed ^ (unsigned char)*name) * 16777619u;
    return seed;
}

static void read_list(Tensors *t)
{
    char line[256];
    FILE *f = fopen(test_path("golden/birefnet/tensors.txt"), "r");
    CHECK(f);
    for (t->n = 0; fgets(line, sizeof line, f); t->n++) {
        SafetensorsItem *item = &t->item[t->n];
        int used = 0;
        CHECK(t->n < MAX_TENSORS);
        CHECK(sscanf(line, "%120s %f %f %n", t->name[t->n], &t->mean[t->n], &t->width[t->n],
                     &used) == 3);
        *item = (SafetensorsItem){ .name = t->name[t->n], .dtype = DT_F32 };
        for (char *at = line + used; *at && *at != '\n';)
            item->dim[item->rank++] = strtoll(at, &at, 10);
    }
    (void)fclose(f);
}

static void write_values(SafetensorsWriter *w, const Tensors *t, SnugError *err)
{
    for (int32_t i = 0; safetensors_item(w, i); i++) {
        const SafetensorsItem *item = safetensors_item(w, i);
        const size_t bytes = safetensors_item_bytes(w, i);
        float *x = malloc(bytes);
        int32_t k = 0;
        const char *name = item->name, *plain = strncmp(name, "module.", 7) ? name : name + 7;
        while (strcmp(t->item[k].name, name) != 0)
            k++;
        for (uint32_t j = 0; j < bytes / sizeof *x; j++)
            x[j] = value(seed_of(plain), j) * t->width[k] + t->mean[k];
        CHECK_INT(safetensors_append(w, x, bytes, err), SNUG_OK);
        free(x);
    }
}

/* A folder with the weights; with `prefix` before every name; `cut` > 0: without the last ones. */
static const char *write_model(const char *prefix, int cut)
{
    static Tensors t;
    static char folder[500];
    char path[600], with[NAME];
    SnugError err = { { 0 } };
    Heap *heap = heap_create();
    SafetensorsWriter *w = NULL;
    read_list(&t);
    t.n -= cut;
    for (int32_t i = 0; i < t.n && *prefix; i++) {
        (void)snprintf(with, sizeof with, "%.8s%.118s", prefix, t.name[i]);
        memcpy(t.name[i], with, sizeof with);
    }
    (void)snprintf(folder, sizeof folder, "%s/birefnet%.8s%d", test_scratch(), prefix, cut);
    (void)mkdir(folder, 0700);
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs("{}", f) >= 0 && fclose(f) == 0);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (safetensors_create(&w, heap, path, t.item, t.n, NULL, 0, &err)) fail_msg("%s", err.text);
    write_values(w, &t, &err);
    CHECK_INT(safetensors_commit(w, &err), SNUG_OK);
    safetensors_close(w);
    heap_free(heap);
    return folder;
}

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
    open_case(&c, write_model("", 0), "hf", BIREFNET_PATCHES_HF);
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
    open_case(&c, write_model("module.", 0), "train", BIREFNET_PATCHES_TRAIN);
    run_knobs(&c, 0, 0, true);
    net_close(&c.net);
}

TEST(birefnet, odd_maps_are_padded_as_the_reference_pads_them)
{
    static Case c;
    open_case(&c, write_model("", 0), "odd", BIREFNET_PATCHES_HF);
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
    net_open(&c.net, write_model("", 3), "model.safetensors", "");
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
