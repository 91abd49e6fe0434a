/* test_layouts.c  The same weights in every layout people have give the same bytes; what is wrong or
 * incomplete is told exactly. */
#include "pipelines/relabel.h"

#include "base/size.h"
#include "engine/engine.h"
#include "formats/npy.h"

#define T2V   "t2v/model/"
#define I2V   "i2v/model/"
#define TI2V  "ti2v/model/"
#define DIT   "diffusion_pytorch_model.safetensors"
#define T5    "models_t5_umt5-xxl-enc-bf16.safetensors"
#define WORDS "google/umt5-xxl/tokenizer.json"

/* As the original writes it: patch_size, text_dim and the like are not in it. */
static const char CONFIG[] =
    "{\"_class_name\": \"WanModel\", \"_diffusers_version\": \"0.33.0\", \"dim\": 32, \"eps\": "
    "1e-06, "
    "\"ffn_dim\": 40, \"freq_dim\": 32, \"in_dim\": %d, \"model_type\": \"%s\", \"num_heads\": 2, "
    "\"num_layers\": 2, \"out_dim\": %d, \"text_len\": 512}";

static const char *config(const char *type, int in, int out)
{
    static char text[512];
    (void)snprintf(text, sizeof text, CONFIG, in, type, out);
    return text;
}

static SnugEngine *open_engine(void)
{
    return request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 2 });
}

/* Options by name and value, ended by NULL; values that begin with "@" are below the scratch. */
static void set_options(SnugJob *job, const char *const *options)
{
    for (int i = 0; options[i]; i += 2)
        request_option(job, options[i],
                       options[i + 1][0] == '@' ? request_scratch(options[i + 1] + 1)
                                                : options[i + 1]);
}

/* The frames of a golden request, with other options on top; the caller frees them. */
static char *frames(const char *golden, const char *const *options, size_t *n)
{
    SnugEngine *engine = open_engine();
    SnugError err = { { 0 } };
    SnugJob *job = request_job(engine, golden);
    set_options(job, options);
    request_option(job, "output", request_scratch("frames.npy"));
    REQUIRE_OK(request_run(job, NULL, &err), &err);
    snug_job_free(job);
    snug_engine_close(engine);
    return request_bytes(request_scratch("frames.npy"), n);
}

static void check_same(const char *golden, const char *const *a, const char *const *b)
{
    size_t n, m;
    char *x = frames(golden, a, &n), *y = frames(golden, b, &m);
    CHECK_INT(n, m);
    CHECK(memcmp(x, y, n) == 0);
    free(x);
    free(y);
}

/* Status and text of planning with these options only. */
static SnugStatus plan(const char *pipeline, const char *const *options, SnugError *err)
{
    SnugEngine *engine = open_engine();
    SnugPlan *made = NULL;
    SnugJob *job = NULL;
    REQUIRE_OK(snug_job_create(&job, engine, pipeline, err), err);
    set_options(job, options);
    const SnugStatus status = snug_plan_create(&made, job, err);
    snug_plan_free(made);
    snug_job_free(job);
    snug_engine_close(engine);
    return status;
}

#define REFUSED(pipeline, status, part, ...)                                                       \
    do {                                                                                           \
        SnugError err_ = { { 0 } };                                                                \
        const char *const options_[] = { __VA_ARGS__, NULL };                                      \
        CHECK_INT(plan(pipeline, options_, &err_), status);                                        \
        CHECK_HAS(err_.text, part);                                                                \
    } while (0)

/* An original folder from a golden pipeline. */
static void make_original(const char *folder, const char *golden, const char *vae_list, int in,
                          int out, const char *type)
{
    char to[256], component[256];
    static const struct {
        const char *file, *component, *list;
    } PARTS[] = { { DIT, "transformer", "transformer" },
                  { T5, "text_encoder", "text" },
                  { "Wan_VAE.safetensors", "vae", NULL } };
    for (size_t i = 0; i < COUNT(PARTS); i++) {
        (void)snprintf(to, sizeof to, "%s/%s", folder, PARTS[i].file);
        (void)snprintf(component, sizeof component, "%s%s", golden, PARTS[i].component);
        relabel(to, &(RelabelPart){ component, PARTS[i].list ? PARTS[i].list : vae_list, NULL }, 1);
    }
    (void)snprintf(to, sizeof to, "%s/config.json", folder);
    relabel_text(to, config(type, in, out));
    (void)snprintf(to, sizeof to, "%s/%s", folder, WORDS);
    (void)snprintf(component, sizeof component, "%stokenizer/tokenizer.json", golden);
    relabel_copy(to, component);
}

static const char *const AS_IT_IS[] = { NULL };

TEST(layouts, original_folder_of_21)
{
    make_original("o21", T2V, "vae_21_one", 16, 16, "t2v");
    const char *const options[] = { "model", "@o21",     "scheduler", "unipc", "shift",
                                    "3",     "negative", "",          NULL };
    check_same("t2v", AS_IT_IS, options);
}

TEST(layouts, original_folder_of_22)
{
    make_original("o22", TI2V, "vae_22_one", 48, 48, "ti2v");
    const char *const ours[] = { "vae", "@o22/Wan_VAE.safetensors", NULL };
    const char *const theirs[] = { "model", "@o22", "scheduler", "unipc", "shift", "5", NULL };
    check_same("ti2v", ours, theirs);
}

TEST(layouts, two_experts_in_folders_and_as_single_files)
{
    static const RelabelPart LOW = { I2V "transformer", "transformer", NULL };
    static const RelabelPart HIGH = { I2V "transformer", "transformer", "model.diffusion_model." };
    relabel("single/wan_high.safetensors", &HIGH, 1);
    relabel("single/low/wan_b.safetensors", &LOW, 1);
    relabel_text("single/config.json", config("i2v", 36, 16));
    relabel_text("single/low/config.json", config("i2v", 36, 16));
    make_original("pair", I2V, "vae_21_one", 36, 16, "i2v");
    (void)remove(request_scratch("pair/" DIT));
    relabel("pair/high_noise_model/" DIT, &LOW, 1);
    relabel("pair/low_noise_model/" DIT, &LOW, 1);
    relabel_text("pair/high_noise_model/config.json", config("i2v", 36, 16));
    relabel_text("pair/low_noise_model/config.json", config("i2v", 36, 16));
    const char *const folder[] = { "model",    "@pair", "scheduler", "unipc", "shift",        "3",
                                   "boundary", "0.8",   "guidance",  "4",     "guidance-low", "2",
                                   "size",     "48x32", NULL };
    const char *const files[] = { "model",
                                  "@pair",
                                  "transformer",
                                  "@single/wan_high.safetensors",
                                  "transformer-low",
                                  "@single/low",
                                  "scheduler",
                                  "unipc",
                                  "shift",
                                  "3",
                                  "boundary",
                                  "0.8",
                                  "guidance",
                                  "4",
                                  "guidance-low",
                                  "2",
                                  NULL };
    check_same("i2v", folder, files);
}

/* LingBot-World: names and configuration as the original writes them, with a camera's path. */
TEST(layouts, experts_with_a_camera)
{
    static const char CAMERA[] =
        "{\"_class_name\": \"WanModel\", \"dim\": 24, \"eps\": 1e-06, \"ffn_dim\": 36, "
        "\"freq_dim\": 24, \"in_dim\": 12, \"model_type\": \"i2v\", \"num_heads\": 2, "
        "\"num_layers\": 2, \"out_dim\": 4, \"text_len\": 512}";
    static const RelabelPart HIGH = { "camera/model/transformer", "transformer", NULL };
    static const RelabelPart LOW = { "camera/model/transformer_2", "transformer", NULL };
    relabel("camera/high_noise_model/" DIT, &HIGH, 1);
    relabel("camera/low_noise_model/" DIT, &LOW, 1);
    relabel_text("camera/high_noise_model/config.json", CAMERA);
    relabel_text("camera/low_noise_model/config.json", CAMERA);
    const char *const files[] = { "transformer", "@camera/high_noise_model", "transformer-low",
                                  "@camera/low_noise_model", NULL };
    check_same("camera", AS_IT_IS, files);
}

/* Written by torch: shards, .pth. */
TEST(layouts, original_folder_as_it_is_published)
{
    const char *const options[] = { "model",     test_path("golden/layouts/t2v"),
                                    "scheduler", "unipc",
                                    "shift",     "3",
                                    "negative",  "",
                                    NULL };
    check_same("t2v", AS_IT_IS, options);
}

/* The original brings a picture to size by another filter than diffusers. */
TEST(layouts, pictures_are_treated_as_the_original_does)
{
    /* as in test_golden.c: two correct f32 implementations differ by less */
    const double tolerance = 2e-4;
    const char *const options[] = { "model", "@picture", "scheduler", "unipc", "shift", "3", NULL };
    Heap *heap = heap_create();
    Arena arena;
    NpyArray got, want;
    size_t n;
    SnugError err = { { 0 } };
    make_original("picture", I2V, "vae_21_one", 36, 16, "i2v");
    free(frames("i2v", options, &n));
    arena_init(&arena, heap, "test");
    REQUIRE_OK(npy_read_f32(&arena, request_scratch("frames.npy"), &got, &err), &err);
    REQUIRE_OK(npy_read_f32(&arena, test_path("golden/layouts/i2v_frames.npy"), &want, &err), &err);
    CHECK_INT(got.count, want.count);
    CHECK_CLOSE(got.f32, want.f32, want.count, tolerance);
    arena_release(&arena);
    heap_free(heap);
}

TEST(layouts, text_encoder_with_the_names_of_gguf)
{
    relabel("gguf/umt5.safetensors", &(RelabelPart){ T2V "text_encoder", "text_gguf", NULL }, 1);
    const char *const options[] = { "text-encoder", "@gguf/umt5.safetensors", NULL };
    check_same("t2v", AS_IT_IS, options);
}

TEST(layouts, one_file_with_everything)
{
    static const RelabelPart PARTS[] = {
        { T2V "transformer", "transformer", "model.diffusion_model." },
        { T2V "text_encoder", NULL, "text_encoders.umt5xxl.transformer." },
        { T2V "vae", "vae_21_one", "first_stage_model." },
    };
    relabel("one/wan.safetensors", PARTS, 3);
    relabel_text("one/config.json", config("t2v", 16, 16));
    relabel_copy("one/tokenizer/tokenizer.json", T2V "tokenizer/tokenizer.json");
    const char *const options[] = {
        "model", "@one/wan.safetensors", "scheduler", "unipc", "shift", "3", "negative", "", NULL
    };
    check_same("t2v", AS_IT_IS, options);
}

/* ---- what is wrong --------------------------------------------------------------------------- */

TEST(layouts, every_missing_part_is_named)
{
    make_original("lacks", T2V, "vae_21_one", 16, 16, "t2v");
    (void)remove(request_scratch("lacks/" T5));
    (void)remove(request_scratch("lacks/" WORDS));
    SnugError err = { { 0 } };
    const char *const options[] = { "model", "@lacks", NULL };
    CHECK_INT(plan("wan-t2v", options, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "(original Wan folder) has no text encoder (models_t5_umt5");
    CHECK_HAS(err.text, "[--text-encoder], no tokenizer (tokenizer/ or google/umt5-xxl/)");
    CHECK(!strstr(err.text, "VAE"));
}

TEST(layouts, a_file_that_cannot_be_read_is_told_when_it_is_missed)
{
    make_original("cut", T2V, "vae_21_one", 16, 16, "t2v");
    relabel_text("cut/Wan_VAE.safetensors", "version https://git-lfs.github.com/spec/v1\n");
    REFUSED("wan-t2v", SNUG_ERR_FILE, "Git LFS", "model", "@cut");
}

TEST(layouts, one_expert_of_two_is_not_enough)
{
    make_original("half", I2V, "vae_21_one", 36, 16, "i2v");
    relabel("half/high_noise_model/" DIT, &(RelabelPart){ I2V "transformer", "transformer", NULL },
            1);
    relabel_text("half/high_noise_model/config.json", config("i2v", 36, 16));
    (void)remove(request_scratch("half/" DIT));
    REFUSED("wan-i2v", SNUG_ERR_FILE, "has no low-noise transformer (low_noise_model/)", "model",
            "@half");
}

TEST(layouts, the_wrong_pipeline_says_which_model_it_is)
{
    make_original("kind", T2V, "vae_21_one", 16, 16, "t2v");
    REFUSED("wan-i2v", SNUG_ERR_ARG, "Wan2.1 T2V (text to video; the transformer takes 16 channels",
            "model", "@kind");
    REFUSED("wan-t2v", SNUG_ERR_ARG, "one expert of Wan2.2 I2V-A14B (image to video", "model",
            test_path("golden/pipelines/i2v/model"));
}

TEST(layouts, a_file_named_as_another_part)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/vae/%s", test_path("golden/pipelines/t2v/model"), DIT);
    REFUSED("wan-t2v", SNUG_ERR_FILE, "this is a Wan video VAE; a Wan transformer is needed",
            "transformer", path);
    path[strlen(path) - strlen(DIT) - 1] = '\0';
    REFUSED("wan-t2v", SNUG_ERR_FILE,
            "no file in it holds a T5 text encoder; there is a Wan video VAE", "text-encoder",
            path);
    REFUSED("wan-t2v", SNUG_ERR_FILE, "no such file", "vae", "@none");
    REFUSED("wan-t2v", SNUG_ERR_ARG, "--model is missing", "prompt", "x");
}

TEST(layouts, two_files_that_would_do_are_not_chosen_from)
{
    make_original("two", T2V, "vae_21_one", 16, 16, "t2v");
    relabel("two/other.safetensors", &(RelabelPart){ T2V "vae", "vae_21_one", NULL }, 1);
    REFUSED("wan-t2v", SNUG_ERR_FILE, "both hold a Wan video VAE: choose one with --vae", "model",
            "@two");
    const char *const options[] = { "model", "@two",  "vae",    "@two/other.safetensors",
                                    "size",  "32x32", "frames", "1",
                                    NULL };
    SnugError err = { { 0 } };
    REQUIRE_OK(plan("wan-t2v", options, &err), &err);
}

TEST(layouts, a_configuration_must_agree_with_the_tensors)
{
    static const struct {
        const char *config, *part;
    } CASES[] = {
        { "{\"_class_name\":\"WanModel\",\"dim\":64,\"num_heads\":2}", "the tensors have 32" },
        { "{\"_class_name\":\"WanModel\",\"dim\":32,\"num_heads\":2,\"text_len\":16}", "text_len" },
        { "{\"_class_name\":\"WanModel\",\"dim\":32,\"num_heads\":3}", "number of heads" },
        { "{\"_class_name\":\"WanModel\",\"dim\":32,\"num_heads\":0}", "num_heads" },
        { "{\"_class_name\":\"WanModel\",\"dim\":32,\"num_heads\":2,\"model_type\":\"s2v\"}",
          "s2v" },
        { "{\"_class_name\":\"WanModel\",\"dim\":\"x\"}", "dim" },
        { "{\"_class_name\":\"SomethingElse\"}", "a config.json with num_heads is needed" },
        { "[]", "config.json" },
        { "{", "config.json" },
    };
    make_original("agree", T2V, "vae_21_one", 16, 16, "t2v");
    for (size_t i = 0; i < COUNT(CASES); i++) {
        relabel_text("agree/config.json", CASES[i].config);
        REFUSED("wan-t2v", SNUG_ERR_FILE, CASES[i].part, "model", "@agree");
    }
}

TEST(layouts, shards_without_their_index)
{
    make_original("shards", T2V, "vae_21_one", 16, 16, "t2v");
    CHECK(rename(request_scratch("shards/" DIT),
                 request_scratch("shards/diffusion_pytorch_model-00001-of-00002.safetensors")) ==
          0);
    REFUSED("wan-t2v", SNUG_ERR_FILE, "is one of several shards, and there is no index", "model",
            "@shards");
}

TEST(layouts, folders_that_are_no_model)
{
    relabel_text("nothing/readme.txt", "x");
    REFUSED("wan-t2v", SNUG_ERR_FILE, "neither model_index.json nor a weight file", "model",
            "@nothing");
    relabel_text("cache/snapshots/abc/x", "x");
    REFUSED("wan-t2v", SNUG_ERR_FILE, "name its snapshots/REVISION folder", "model", "@cache");
    REFUSED("wan-t2v", SNUG_ERR_FILE, "no such folder", "model", "@absent");
}

TEST(layouts, every_refused_allocation_is_reported_and_leaks_nothing)
{
    static const char *const OPTIONS[] = {
        "model", "@fault", "size", "32x32", "frames", "1", NULL
    };
    make_original("fault", T2V, "vae_21_one", 16, 16, "t2v");
    SnugEngine *engine = open_engine();
    const size_t before = heap_now_bytes(engine->heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        SnugError err = { { 0 } };
        SnugJob *job = NULL;
        CHECK(++n < 20000);
        REQUIRE_OK(snug_job_create(&job, engine, "wan-t2v", &err), &err);
        set_options(job, OPTIONS);
        heap_fail_at(engine->heap, n);
        status = job_prepare(job, &err);
        heap_fail_at(engine->heap, 0);
        if (status != SNUG_OK && status != SNUG_ERR_MEMORY)
            fail_msg("allocation %d: %d: %s", n, status, err.text);
        snug_job_free(job);
        if (heap_now_bytes(engine->heap) != before)
            fail_msg("allocation %d: something is leaked", n);
    }
    print_message("%d allocations\n", n - 1);
    CHECK(n > 30);
    snug_engine_close(engine);
}
