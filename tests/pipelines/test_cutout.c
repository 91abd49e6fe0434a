/* test_cutout.c  Cut-outs through the public API against BiRefNet's own code and Pillow
 * (tools/oracle/golden_birefnet.py). */
#include "pipelines/request.h"

#include "base/size.h"
#include "media/image_read.h"
#include "models/birefnet_file.h"

static SnugEngine *open_engine(const char *isa, int threads)
{
    return request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = threads, .isa = isa });
}

static SnugJob *new_job(SnugEngine *engine, const char *model)
{
    SnugError err = { { 0 } };
    SnugJob *job = NULL;
    REQUIRE_OK(snug_job_create(&job, engine, "cutout", &err), &err);
    request_option(job, "model", model);
    request_option(job, "image", test_path("golden/birefnet/picture.png"));
    request_option(job, "size", "96x64");
    return job;
}

static void run(SnugEngine *engine, SnugJob *job, const char *output)
{
    SnugError err = { { 0 } };
    request_option(job, "output", output);
    REQUIRE_OK(request_run(job, NULL, &err), &err);
    snug_job_free(job);
    snug_engine_close(engine);
}

/* Colours are the picture's; of the alpha at most `most` values differ, by at most `step`: where
 * f32's noise meets a cut-off byte, and what resizing makes of that, or the threshold. */
static void check(const char *got, const char *golden, int step, int most)
{
    Heap *heap = heap_create();
    Image a = { 0 }, b = { 0 };
    SnugError err = { { 0 } };
    int off = 0;
    REQUIRE_OK(image_read_file(&a, heap, got, 4, NULL, &err), &err);
    REQUIRE_OK(image_read_file(&b, heap, test_path(golden), 4, NULL, &err), &err);
    CHECK(a.width == b.width && a.height == b.height);
    for (size_t i = 0; i < image_bytes(a.width, a.height, 4); i++) {
        const int d = abs(a.pixels[i] - b.pixels[i]);
        if (i % 4 != 3) CHECK(d == 0);
        CHECK(d <= step);
        off += d > 0;
    }
    CHECK(off <= most);
    image_release(&a);
    image_release(&b);
    heap_free(heap);
}

TEST(cutout, hard_edges_are_those_of_the_service)
{
    SnugEngine *engine = open_engine(NULL, 2);
    run(engine, new_job(engine, birefnet_file_write("", 0)), request_scratch("hard.png"));
    check(request_scratch("hard.png"), "golden/birefnet/hard.png", 255, 4);
}

TEST(cutout, soft_edges_are_those_of_the_model_card)
{
    SnugEngine *engine = open_engine(NULL, 2);
    SnugJob *job = new_job(engine, birefnet_file_write("module.", 0));
    request_option(job, "resize", "bilinear");
    request_option(job, "threshold", "-1");
    run(engine, job, request_scratch("soft.png"));
    check(request_scratch("soft.png"), "golden/birefnet/soft.png", 1, 8);
}

TEST(cutout, a_single_file_and_plain_kernels_give_the_same_bytes)
{
    char file[600], other[600];
    size_t n, m;
    SnugEngine *engine = open_engine(NULL, 2);
    const char *folder = birefnet_file_write("", 0);
    run(engine, new_job(engine, folder), request_scratch("a.png"));
    (void)snprintf(file, sizeof file, "%s/model.safetensors", folder);
    engine = open_engine("ref", 1);
    (void)snprintf(other, sizeof other, "%s", request_scratch("b.png"));
    SnugJob *job = new_job(engine, file);
    request_option(job, "result", "mask");
    run(engine, job, other);
    Heap *heap = heap_create();
    Image a = { 0 }, b = { 0 };
    SnugError err = { { 0 } };
    REQUIRE_OK(image_read_file(&a, heap, request_scratch("a.png"), 4, NULL, &err), &err);
    REQUIRE_OK(image_read_file(&b, heap, other, 1, NULL, &err), &err);
    n = image_bytes(a.width, a.height, 1);
    m = image_bytes(b.width, b.height, 1);
    CHECK_INT(n, m);
    for (size_t i = 0; i < n; i++)
        CHECK_INT(a.pixels[4 * i + 3], b.pixels[i]);
    image_release(&a);
    image_release(&b);
    heap_free(heap);
}

typedef struct Refusal {
    const char *option, *value;
    SnugStatus status;
    const char *says;
} Refusal;

TEST(cutout, requests_that_cannot_be_are_refused)
{
    static char vae[512];
    (void)snprintf(vae, sizeof vae, "%s", test_path("golden/autoencoder_kl/sdxl"));
    const Refusal refusals[] = {
        { "size", "100x64", SNUG_ERR_ARG, "multiples of 32" },
        { "resize", "cubic", SNUG_ERR_ARG, "lanczos or bilinear" },
        { "patch-order", "new", SNUG_ERR_ARG, "hf or train" },
        { "result", "both", SNUG_ERR_ARG, "cutout or mask" },
        { "image", "nowhere.png", SNUG_ERR_FILE, "nowhere.png" },
        { "model", "nowhere", SNUG_ERR_FILE, "nowhere" },
        { "model", vae, SNUG_ERR_FILE, "no BiRefNet" },
        { "output", "x.npy", SNUG_ERR_ARG, "makes a .png" },
        { "output", "x.mp4", SNUG_ERR_ARG, ".png" },
    };
    const char *model = birefnet_file_write("", 0);
    SnugEngine *engine = open_engine(NULL, 1);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const Refusal *x = &refusals[i];
        request_refused(new_job(engine, model), x->option, x->value, x->status, x->says);
    }
    snug_engine_close(engine);
}
