/* test_lora.c  Whole tiny pipelines with LoRA files against diffusers and PEFT; the same bytes under
 * every budget, thread count, instruction set and convention of names. */
#include "pipelines/request.h"

#include "formats/npy.h"

/* As in test_golden.c: two correct f32 implementations; the change itself is one more product. */
static const double TOLERANCE = 2e-4;

enum { MAX_LORAS = 4 };

/** A run: a golden request, LoRA files below golden/lora with what follows them, and how. */
typedef struct Way {
    const char *request;
    const char *lora[MAX_LORAS]; /**< "peft.safetensors:0.8" */
    const char *isa, *device;
    int threads;
    size_t ram_bytes;
    bool strict;
} Way;

static void add_loras(SnugJob *job, const Way *way)
{
    char value[1024];
    for (int i = 0; i < MAX_LORAS && way->lora[i]; i++) {
        (void)snprintf(value, sizeof value, "%s/%s", test_path("golden/lora"), way->lora[i]);
        request_option(job, "lora", way->lora[i][0] == '/' ? way->lora[i] : value);
    }
    if (way->strict) request_option(job, "strict-lora", "true");
}

static SnugStatus run(const Way *way, const char *frames, SnugFigures *planned, SnugError *err)
{
    SnugEngine *engine =
        request_engine((SnugEngineOptions){ .ram_bytes = way->ram_bytes ? way->ram_bytes : GIB,
                                            .threads = way->threads ? way->threads : 2,
                                            .isa = way->isa,
                                            .device = way->device });
    SnugJob *job = request_job(engine, way->request);
    request_option(job, "output", frames);
    add_loras(job, way);
    const SnugStatus status = request_run(job, planned, err);
    snug_job_free(job);
    snug_engine_close(engine);
    return status;
}

static void must_run(const Way *way, const char *frames, SnugFigures *planned)
{
    SnugError err = { { 0 } };
    REQUIRE_OK(run(way, frames, planned, &err), &err);
}

static double distance(const char *got_path, const char *want_path)
{
    Heap *heap = heap_create();
    Arena arena;
    NpyArray got, want;
    SnugError err = { { 0 } };
    double worst = 0;
    arena_init(&arena, heap, "test");
    REQUIRE_OK(npy_read_f32(&arena, got_path, &got, &err), &err);
    REQUIRE_OK(npy_read_f32(&arena, want_path, &want, &err), &err);
    CHECK_INT(got.count, want.count);
    for (int64_t i = 0; i < got.count; i++)
        worst = fmax(worst, fabs((double)got.f32[i] - (double)want.f32[i]));
    arena_release(&arena);
    heap_free(heap);
    return worst;
}

static void check_frames(const Way *way, const char *want)
{
    const char *frames = request_scratch("frames.npy");
    char path[256];
    must_run(way, frames, NULL);
    (void)snprintf(path, sizeof path, "golden/lora/%s", want);
    const double worst = distance(frames, test_path(path));
    print_message("%s: at most %.1e apart\n", want, worst);
    CHECK(worst < TOLERANCE);
}

TEST(lora, frames_are_those_of_peft_and_of_merged_weights)
{
    const Way peft = { .request = "t2v", .lora = { "peft.safetensors:0.8" }, .strict = true };
    check_frames(&peft, "peft.npy");
    const Way both = { .request = "t2v",
                       .lora = { "peft.safetensors:0.8", "diffs.safetensors:-0.7" },
                       .strict = true };
    check_frames(&both, "both.npy");
}

TEST(lora, two_experts_take_files_of_their_own)
{
    const Way way = { .request = "t2v_experts",
                      .lora = { "high.safetensors:1:high", "low.safetensors:0.5:low" },
                      .strict = true };
    check_frames(&way, "experts.npy");
}

TEST(lora, spelling_changes_no_bit)
{
    const Way peft = { .request = "t2v", .lora = { "peft.safetensors:0.8" } },
              kohya = { .request = "t2v", .lora = { "kohya.safetensors:0.8" }, .strict = true },
              native = { .request = "t2v", .lora = { "native.safetensors:0.8" }, .strict = true };
    const char *base = request_scratch("base.npy"), *other = request_scratch("other.npy");
    must_run(&peft, base, NULL);
    must_run(&kohya, other, NULL);
    request_check_same(base, other);
    must_run(&native, other, NULL);
    request_check_same(base, other);
}

TEST(lora, budgets_threads_devices_and_kernels_change_no_bit)
{
    Way way = { .request = "t2v", .lora = { "kohya.safetensors", "diffs.safetensors:0.5" } };
    const char *base = request_scratch("base.npy"), *other = request_scratch("other.npy");
    SnugFigures ample, tight;
    SnugError err = { { 0 } };
    must_run(&way, base, &ample);
    way.isa = "ref";
    way.threads = 1;
    must_run(&way, other, NULL);
    request_check_same(base, other);
    way.isa = NULL;
    way.device = "sim:8MiB,1GB/s";
    must_run(&way, other, NULL);
    request_check_same(base, other);
    way.device = NULL;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    way.ram_bytes = ample.process_peak_bytes - ample.slab_bytes / 2;
    while (run(&way, other, &tight, &err) != SNUG_OK) {
        CHECK(way.ram_bytes < 2 * ample.process_peak_bytes);
        way.ram_bytes += 16 << 10;
    }
    CHECK(tight.slab_bytes < ample.slab_bytes);
    request_check_same(base, other);
#else
    (void)tight;
    (void)err;
#endif
}

TEST(lora, a_strength_of_nothing_is_the_model_itself)
{
    const Way plain = { .request = "t2v" },
              none = { .request = "t2v", .lora = { "peft.safetensors:0" } };
    const char *base = request_scratch("base.npy"), *other = request_scratch("other.npy");
    must_run(&plain, base, NULL);
    must_run(&none, other, NULL);
    request_check_same(base, other);
}

static void check_refused(const Way *way, SnugStatus want, const char *words)
{
    SnugError err = { { 0 } };
    CHECK_INT(run(way, request_scratch("never.npy"), NULL, &err), want);
    CHECK_HAS(err.text, words);
}

TEST(lora, what_cannot_be_applied_is_said)
{
    const Way absent = { .request = "t2v", .lora = { "absent.safetensors:0.5" } },
              strength = { .request = "t2v", .lora = { "peft.safetensors:much" } },
              large = { .request = "t2v", .lora = { "peft.safetensors:1e9" } },
              high = { .request = "t2v", .lora = { "peft.safetensors:1:high" } };
    check_refused(&absent, SNUG_ERR_FILE, "absent.safetensors");
    check_refused(&strength, SNUG_ERR_ARG, "strength from -100 to 100");
    check_refused(&large, SNUG_ERR_ARG, "strength from -100 to 100");
    check_refused(&high, SNUG_ERR_ARG, "the model has one transformer");
    /* smaller layers: every matrix is told with both shapes */
    const Way other = { .request = "t2v_euler", .lora = { "peft.safetensors" } };
    check_refused(&other, SNUG_ERR_FILE, "the layer needs");
}
