/* test_model_dir.c  Pipeline folders: index, kinds of components, choice of weights, MD1 .. MD6. */
#include "test.h"

#include <unistd.h>

#include "base/fault.h"
#include "files.h"
#include "formats/model_dir.h"

static SnugError err;

static const char A[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}";
static const char B[] = "{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}";

/* A pipeline with one component of each kind, in a folder of that name. */
static const char *pipeline(const char *folder)
{
    static const char INDEX[] =
        "{\"_class_name\":\"WanPipeline\",\"_diffusers_version\":\"0.42.1\","
        "\"_name_or_path\":\"x\",\"boundary_ratio\":0.875,\"flags\":[1,2],"
        "\"transformer\":[\"diffusers\",\"WanTransformer3DModel\"],"
        "\"text_encoder\":[\"transformers\",\"UMT5EncoderModel\"],"
        "\"tokenizer\":[\"transformers\",\"T5TokenizerFast\"],"
        "\"scheduler\":[\"diffusers\",\"UniPCMultistepScheduler\"],"
        "\"image_processor\":[\"transformers\",\"CLIPImageProcessor\"],"
        "\"transformer_2\":[null,null],\"expand_timesteps\":true}";
    static const struct {
        const char *name, *text;
    } FILES[] = {
        { "model_index.json", INDEX },
        { "transformer/config.json", "{\"num_layers\":30}" },
        { "text_encoder/config.json", "{\"d_model\":4096}" },
        { "tokenizer/tokenizer.json", "{}" },
        { "scheduler/scheduler_config.json", "{\"shift\":5.0}" },
        { "image_processor/preprocessor_config.json", "{\"size\":224}" },
    };
    char name[256];
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", folder, FILES[i].name);
        (void)files_text(name, FILES[i].text);
    }
    (void)snprintf(name, sizeof name, "%s/transformer/diffusion_pytorch_model.safetensors", folder);
    (void)files_safetensors(name, A, 2);
    (void)snprintf(name, sizeof name, "%s/text_encoder/model.safetensors", folder);
    (void)files_safetensors(name, B, 2);
    return files_path(folder);
}

static ModelDir *open_good(Heap *heap, const char *path, const ModelDirOptions *options)
{
    ModelDir *d;
    if (model_dir_open(&d, heap, path, options, &err) != SNUG_OK) fail_msg("%s", err.text);
    return d;
}

static Component *component_good(ModelDir *d, const char *name)
{
    Component *c;
    if (model_dir_component(d, name, &c, &err) != SNUG_OK) fail_msg("%s", err.text);
    return c;
}

TEST(model_dir, opens_every_kind_of_component)
{
    Heap *heap = heap_create();
    ModelDir *d = open_good(heap, pipeline("pipe"), NULL);
    const ModelIndex *index = model_dir_index(d);
    double ratio;
    int64_t layers;
    CHECK_TEXT(index->class_name, "WanPipeline");
    CHECK(!index->class_module);
    CHECK_TEXT(index->diffusers_version, "0.42.1");
    CHECK_INT(index->n_parts, 6);
    CHECK(json_f64(model_dir_json(d), "boundary_ratio", 0, 0, 1, &ratio, &err) == SNUG_OK);
    CHECK(ratio == 0.875);
    CHECK(model_dir_has(d, "transformer") && !model_dir_has(d, "transformer_2"));
    CHECK(!model_dir_has(d, "flags") && !model_dir_has(d, "vae"));

    Component *c = component_good(d, "transformer");
    CHECK_INT(c->kind, COMPONENT_MODEL);
    CHECK_TEXT(c->class_name, "WanTransformer3DModel");
    CHECK(json_int(c->config, "num_layers", 1, 1, 99, &layers, &err) == SNUG_OK && layers == 30);
    CHECK_INT(checkpoint_find(c->weights, "a"), 0);
    CHECK_TEXT(c->warnings, "");
    CHECK(component_good(d, "transformer") == c);
    c = component_good(d, "text_encoder");
    CHECK_INT(checkpoint_find(c->weights, "b"), 0);

    const char *path;
    c = component_good(d, "tokenizer");
    CHECK(c->kind == COMPONENT_TOKENIZER && !c->weights);
    CHECK_INT(json_kind(c->config), JSON_KIND_NONE);
    CHECK_INT(component_file(c, "tokenizer.json", &path, &err), SNUG_OK);
    CHECK(path && file_type(path) == FILE_REGULAR);
    CHECK(component_file(c, "spiece.model", &path, &err) == SNUG_OK && !path);
    CHECK_INT(component_file(c, "../model_index.json", &path, &err), SNUG_ERR_ARG);
    c = component_good(d, "scheduler");
    CHECK(c->kind == COMPONENT_SCHEDULER && json_has(c->config, "shift"));
    c = component_good(d, "image_processor");
    CHECK(c->kind == COMPONENT_PROCESSOR && json_has(c->config, "size"));
    CHECK_INT(model_dir_component(d, "transformer_2", &c, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "transformer_2: missing: the pipeline has no such component");
    model_dir_close(d);
    model_dir_close(NULL);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static void refuse_open(const char *path, SnugStatus status, const char *part)
{
    Heap *heap = heap_create();
    ModelDir *d;
    CHECK_INT(model_dir_open(&d, heap, path, NULL, &err), status);
    CHECK_HAS(err.text, part);
    CHECK(!d);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(model_dir, md1_md3_bad_indexes)
{
    static const struct {
        const char *json, *part;
    } CASES[] = {
        { "{}", "_class_name: missing" }, /* MD1 */
        { "{\"_class_name\":null}", "_class_name: missing" },
        { "{\"_class_name\":5}", "_class_name: bad JSON: wrong type" }, /* MD3 */
        { "{\"_class_name\":[\"a\"]}", "_class_name: bad JSON" },
        { "{\"_class_name\":[1,2]}", "_class_name[0]: bad JSON" },
        { "{\"_class_name\":\"X\",\"vae\":[null,\"Y\"]}", "vae[0]: bad JSON" },
        { "{\"_class_name\":\"X\",\"vae\":[\"Y\",null]}", "vae[1]: bad JSON" },
        { "{\"_class_name\":\"X\",\"../up\":[\"diffusers\",\"Y\"]}", "../up: unsafe" },
        { "{\"_class_name\":\"X\",\"_class_name\":\"Y\"}", "duplicate" },
        { "[]", "bad JSON" },
        { "version https://git-lfs.github.com/spec/v1", "Git LFS pointer" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        (void)files_text("badindex/model_index.json", CASES[i].json);
        refuse_open(files_path("badindex"), SNUG_ERR_FILE, CASES[i].part);
    }
    char many[8192] = "{\"_class_name\":\"X\"";
    size_t used = strlen(many);
    for (int i = 0; i <= MODEL_INDEX_MAX_COMPONENTS; i++)
        used += (size_t)snprintf(many + used, sizeof many - used, ",\"c%d\":[\"l\",\"Y\"]", i);
    (void)snprintf(many + used, sizeof many - used, "}");
    (void)files_text("badindex/model_index.json", many);
    refuse_open(files_path("badindex"), SNUG_ERR_FILE, "too many components (limit 64)");
}

TEST(model_dir, a_custom_pipeline_keeps_its_class_and_runs_nothing)
{
    Heap *heap = heap_create();
    (void)files_text("custom/model_index.json", "{\"_class_name\":[\"pipeline\",\"MyPipeline\"]}");
    (void)files_text("custom/pipeline.py", "raise SystemExit");
    ModelDir *d = open_good(heap, files_path("custom"), NULL);
    CHECK_TEXT(model_dir_index(d)->class_name, "MyPipeline");
    CHECK_TEXT(model_dir_index(d)->class_module, "pipeline");
    model_dir_close(d);
    heap_free(heap);
}

TEST(model_dir, says_which_folder_would_be_right)
{
    refuse_open(files_path("absent"), SNUG_ERR_IO, "no such folder");
    (void)files_text("cache/snapshots/rev/x", "");
    refuse_open(files_path("cache"), SNUG_ERR_FILE, "snapshots/REVISION");
    (void)files_text("single/config.json", "{}");
    refuse_open(files_path("single"), SNUG_ERR_FILE, "the folder of a single model");
    (void)files_text("empty/x", "");
    refuse_open(files_path("empty"), SNUG_ERR_FILE, "not the folder of a pipeline");
}

/* MD2: a component that leaves the model's folder */
TEST(model_dir, md2_links_out_of_the_folder_are_refused)
{
    Heap *heap = heap_create();
    Component *c;
    const char *path = pipeline("linked");
    (void)files_text("elsewhere/config.json", "{}");
    (void)files_safetensors("elsewhere/model.safetensors", A, 2);
    CHECK_INT(rename(files_path("linked/text_encoder"), files_path("linked/moved")), 0);
    CHECK_INT(symlink(files_path("elsewhere"), files_path("linked/text_encoder")), 0);
    CHECK_INT(unlink(files_path("linked/transformer/config.json")), 0);
    CHECK_INT(
        symlink(files_path("elsewhere/config.json"), files_path("linked/transformer/config.json")),
        0);
    ModelDir *d = open_good(heap, path, NULL);
    CHECK_INT(model_dir_component(d, "text_encoder", &c, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "unsafe");
    CHECK_INT(model_dir_component(d, "transformer", &c, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "unsafe");
    model_dir_close(d);
    const ModelDirOptions options = { .follow_links = true };
    d = open_good(heap, path, &options);
    CHECK_INT(model_dir_component(d, "text_encoder", &c, &err), SNUG_OK);
    model_dir_close(d);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

/* ---- which weights ---- */

enum { MAX_FILES = 5 };

/* A fresh model folder with these weight files; a file whose name has "json" becomes an index of
 * shard.safetensors, the others hold the tensor "a". */
static const char *weights(const char *folder, const char *const names[MAX_FILES])
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s/config.json", folder);
    (void)files_text(name, "{}");
    (void)snprintf(name, sizeof name, "%s/shard.safetensors", folder);
    (void)files_safetensors(name, B, 2);
    for (int i = 0; i < MAX_FILES && names[i]; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        if (strstr(names[i], "json"))
            (void)files_text(name, "{\"weight_map\":{\"b\":\"shard.safetensors\"}}");
        else
            (void)files_safetensors(name, A, 2);
    }
    return files_path(folder);
}

TEST(component, takes_weights_in_the_order_of_the_reference)
{
#define D "diffusion_pytorch_model"
    static const struct {
        const char *library, *variant;
        const char *names[MAX_FILES];
        const char *taken, *warning;
    } CASES[] = {
        { "diffusers", NULL, { D ".safetensors" }, D ".safetensors", "" },
        { "diffusers", NULL, { D ".safetensors.index.json" }, D ".safetensors.index.json", "" },
        { "diffusers",
          NULL,
          { D ".safetensors", D ".safetensors.index.json" },
          D ".safetensors.index.json",
          "has both" },
        { "transformers",
          NULL,
          { "model.safetensors", "model.safetensors.index.json" },
          "model.safetensors",
          "has both" },
        { "diffusers",
          "fp16",
          { D ".safetensors", D ".fp16.safetensors" },
          D ".fp16.safetensors",
          "" },
        { "diffusers",
          "fp16",
          { D ".safetensors.index.fp16.json", D ".safetensors" },
          D ".safetensors.index.fp16.json",
          "" },
        { "transformers",
          "fp16",
          { "model.safetensors.fp16.index.json", "model.safetensors" },
          "model.safetensors.fp16.index.json",
          "" },
        { "transformers",
          "bf16",
          { "model.safetensors", "model.fp16.safetensors" },
          "model.safetensors",
          "no variant 'bf16'; took model.safetensors" },
        { NULL, NULL, { "model.safetensors", D ".bin" }, "model.safetensors", "" },
        { NULL, "", { D ".safetensors", "model.safetensors" }, D ".safetensors", "" },
        { "transformers",
          NULL,
          { D ".safetensors", "model.safetensors" },
          "model.safetensors",
          "" },
        { "transformers", NULL, { "pytorch_model.bin" }, "pytorch_model.bin", "" },
        { "diffusers", "fp16", { D ".fp16.bin", D ".bin" }, D ".fp16.bin", "" },
        { "transformers",
          NULL,
          { "pytorch_model.bin.index.json" },
          "pytorch_model.bin.index.json",
          "" },
        { "diffusers", "fp16", { D ".fp16.bin", D ".safetensors" }, D ".fp16.bin", "" },
        { "diffusers", NULL, { D ".fp16.safetensors" }, D ".fp16.safetensors", "" },
        { "transformers", NULL, { "model.bf16.safetensors" }, "model.bf16.safetensors", "" },
        { "diffusers", NULL, { D ".bin", D ".fp16.safetensors" }, D ".bin", "" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Heap *heap = heap_create();
        Component *c;
        char folder[32];
        (void)snprintf(folder, sizeof folder, "choice%zu", i);
        const ComponentHints hints = { .library = CASES[i].library, .variant = CASES[i].variant };
        const char *path = weights(folder, CASES[i].names);
        if (component_open(&c, heap, path, &hints, &err)) fail_msg("%zu: %s", i, err.text);
        CHECK_TEXT(file_basename(checkpoint_path(c->weights)), CASES[i].taken);
        if (CASES[i].warning[0])
            CHECK_HAS(c->warnings, CASES[i].warning);
        else
            CHECK_TEXT(c->warnings, "");
        component_close(c);
        CHECK_INT(heap_now_bytes(heap), 0);
        heap_free(heap);
    }
}

static void refuse(const char *path, const ComponentHints *hints, SnugStatus status,
                   const char *part)
{
    Heap *heap = heap_create();
    Component *c;
    CHECK_INT(component_open(&c, heap, path, hints, &err), status);
    CHECK_HAS(err.text, part);
    CHECK(!c);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(component, says_what_is_there_instead)
{
    (void)files_text("w1/config.json", "{}");
    refuse(files_path("w1"), NULL, SNUG_ERR_FILE,
           "missing: no diffusion_pytorch_model.safetensors");
    (void)files_text("w2/config.json", "{}");
    (void)files_text("w2/other_model.bin", "x");
    refuse(files_path("w2"), &(ComponentHints){ .library = "transformers" }, SNUG_ERR_FILE,
           "no model.safetensors; the folder has other_model.bin");
    (void)files_text("w3/config.json", "{}");
    (void)files_safetensors("w3/model.ema.safetensors", A, 2);
    refuse(files_path("w3"), NULL, SNUG_ERR_FILE, "the folder has model.ema.safetensors");
    refuse(files_path("w3"), &(ComponentHints){ .variant = "../x" }, SNUG_ERR_ARG, "no plain name");
    refuse(files_path("absent"), NULL, SNUG_ERR_FILE, "no such folder");
    (void)files_text("w4/x", "");
    refuse(files_path("w4"), NULL, SNUG_ERR_FILE, "not the folder of a model");
    refuse(files_path("w4"), &(ComponentHints){ .class_name = "FluxTransformer2DModel" },
           SNUG_ERR_FILE, "config.json: missing");
    refuse(files_path("w4"), &(ComponentHints){ .class_name = "EulerDiscreteScheduler" },
           SNUG_ERR_FILE, "scheduler_config.json: missing");
    (void)files_text("w5/config.json", "{\"a\":1,}");
    refuse(files_path("w5"), NULL, SNUG_ERR_FILE, "bad JSON");
}

/* MD6 is json_int's range; MD3 its type: both name the key */
TEST(component, md3_md6_numbers_are_checked_where_they_are_read)
{
    Heap *heap = heap_create();
    Component *c;
    int64_t layers = 0;
    (void)files_text("md6/config.json", "{\"num_layers\":1000000000,\"dim\":0,\"heads\":\"x\"}");
    (void)files_safetensors("md6/model.safetensors", A, 2);
    CHECK_INT(component_open(&c, heap, files_path("md6"), NULL, &err), SNUG_OK);
    CHECK_INT(json_int(c->config, "num_layers", 1, 1, 1024, &layers, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "config.json: json: num_layers: too large: got 1000000000, limit 1024");
    CHECK_INT(json_int(c->config, "dim", 1, 1, 1024, &layers, &err), SNUG_ERR_FILE);
    CHECK_INT(json_int(c->config, "heads", 1, 1, 1024, &layers, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "heads: bad JSON");
    CHECK_INT(layers, 0);
    component_close(c);
    heap_free(heap);
}

TEST(model_dir, every_refused_block_ends_cleanly)
{
    const char *path = pipeline("faulty");
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        Heap *heap = heap_create();
        ModelDir *d;
        Component *c;
        heap_fail_at(heap, n);
        status = model_dir_open(&d, heap, path, &(ModelDirOptions){ .variant = "fp16" }, &err);
        if (status == SNUG_OK) status = model_dir_component(d, "transformer", &c, &err);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        model_dir_close(d);
        CHECK_INT(heap_now_bytes(heap), 0);
        heap_free(heap);
        CHECK(n < 100);
    }
}
