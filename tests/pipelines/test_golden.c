/* test_golden.c  Whole tiny pipelines against diffusers, through the public API; and promise 3: the
 * same bytes under every budget, thread count and instruction set. */
#include "pipelines/request.h"

#include "formats/npy.h"

/* Frames lie in 0..1. Measured where the goldens were made: diffusers itself moves its frames by up to
 * 4e-5 when the noise changes by one part in a million (tools/oracle/README.md), and two correct f32
 * implementations differ like that in every sum, so twice 4e-5; latents are about twice as large as
 * frames (-1..1 and beyond) and are checked before the decoder. Rounded up to 2e-4 for both. */
static const double TOLERANCE = 2e-4;

static const char *const ISAS[] = { "ref", "avx2", "avx512", "neon" };
enum { N_ISAS = sizeof ISAS / sizeof ISAS[0], STEP_BYTES = 8 << 10 };

/* One way to run a request. */
typedef struct Way {
    const char *isa;
    int threads;
    size_t ram_bytes, vram_bytes;
    const char *device;
} Way;

/* Plan and run; false when the budget is refused. Latents are written when asked for. */
static bool run(const char *name, const Way *way, const char *frames, const char *latents,
                SnugFigures *planned)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = request_engine((SnugEngineOptions){ .ram_bytes = way->ram_bytes,
                                                             .threads = way->threads,
                                                             .isa = way->isa,
                                                             .device = way->device,
                                                             .vram_bytes = way->vram_bytes });
    SnugJob *job = request_job(engine, name);
    request_option(job, "output", frames);
    if (latents) request_option(job, "save-latents", latents);
    const SnugStatus status = request_run(job, planned, &err);
    if (status == SNUG_OK) {
        CHECK(snug_job_figures(job).moved_bytes == planned->moved_bytes);
        CHECK(planned->bound_bytes <= planned->moved_bytes);
        CHECK(planned->process_peak_bytes <= way->ram_bytes);
    } else {
        CHECK_INT(status, SNUG_ERR_BUDGET);
        CHECK_HAS(err.text, "that would do is");
    }
    snug_job_free(job);
    snug_engine_close(engine);
    return status == SNUG_OK;
}

static void check_array(const char *got_path, const char *want_path)
{
    Heap *heap = heap_create();
    Arena arena;
    NpyArray got, want;
    SnugError err = { { 0 } };
    arena_init(&arena, heap, "test");
    REQUIRE_OK(npy_read_f32(&arena, got_path, &got, &err), &err);
    REQUIRE_OK(npy_read_f32(&arena, want_path, &want, &err), &err);
    CHECK_INT(got.rank, want.rank);
    for (int i = 0; i < want.rank; i++)
        CHECK_INT(got.dim[i], want.dim[i]);
    CHECK_CLOSE(got.f32, want.f32, want.count, TOLERANCE);
    arena_release(&arena);
    heap_free(heap);
}

/* A way to run with one of its budgets set. */
static bool run_with(const char *name, Way *way, size_t *budget, size_t bytes, const char *frames,
                     SnugFigures *planned)
{
    *budget = bytes;
    return run(name, way, frames, NULL, planned);
}

/* Look for the smallest that will do for `budget`, one of way's, by halving between what is refused
 * and what does, until they are STEP_BYTES apart. Leaves the frames of the smallest that ran. */
static void smallest(const char *name, Way *way, size_t *budget, size_t enough, const char *frames,
                     SnugFigures *planned)
{
    size_t refused = 0;
    CHECK(run_with(name, way, budget, enough, frames, planned));
    while (enough - refused > STEP_BYTES) {
        SnugFigures figures;
        const size_t middle = refused + (enough - refused) / 2;
        if (run_with(name, way, budget, middle, frames, &figures)) {
            enough = middle;
            *planned = figures;
        } else
            refused = middle;
    }
    *budget = enough;
}

/* Half of what lies between the smallest and ample; what the test process holds varies a little. */
static void run_half(const char *name, Way way, const char *frames, const SnugFigures *least,
                     const SnugFigures *ample)
{
    SnugFigures figures;
    way.ram_bytes = least->process_peak_bytes + (ample->slab_bytes - least->slab_bytes) / 2;
    for (int i = 0; !run(name, &way, frames, NULL, &figures); i++) {
        CHECK(i < 256); /* 4 MiB: glibc keeps an arena a thread */
        way.ram_bytes += 2 * STEP_BYTES;
    }
}

/* What a sanitizer keeps for itself is resident, too, and grows from run to run: budgets of RAM near
 * the smallest say nothing there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { RESIDENT_SIZE_IS_OURS = 0 };
#else
enum { RESIDENT_SIZE_IS_OURS = 1 };
#endif

/* The test's own memory counts as the process's and grows a little from run to run, so how much the
 * smallest of these budgets leaves for tensors is known to a few hundred KiB only. */
static void check_ram(const char *name, const char *base, const SnugFigures *ample)
{
    if (!RESIDENT_SIZE_IS_OURS) {
        print_message("%s: small budgets skipped, the sanitizer's own memory counts\n", name);
        return;
    }
    SnugFigures least, same;
    const char *frames = request_scratch("other.npy");
    Way way = { .threads = 1 };
    smallest(name, &way, &way.ram_bytes, ample->process_peak_bytes + 4 * MIB, frames, &least);
    request_check_same(base, frames);
    CHECK(least.slab_bytes < ample->slab_bytes);
    for (way.threads = 1; way.threads <= 2; way.threads++) {
        run_half(name, way, frames, &least, ample);
        request_check_same(base, frames);
        way.ram_bytes = GIB;
        CHECK(run(name, &way, frames, NULL, &same));
        request_check_same(base, frames);
    }
}

/* A device's memory holds nothing else: the smallest budget is exact. */
static void check_vram(const char *name, const char *base)
{
    const char *frames = request_scratch("other.npy");
    SnugFigures ample, least;
    Way way = { .threads = 2, .ram_bytes = GIB, .device = "sim:64MiB,4GB/s" };
    CHECK(run(name, &way, frames, NULL, &ample));
    request_check_same(base, frames);
    smallest(name, &way, &way.vram_bytes, ample.slab_bytes, frames, &least);
    request_check_same(base, frames);
    CHECK(least.slab_bytes < ample.slab_bytes);
    /* Weights stream; they are read again but where their stage uses each of them once. */
    CHECK(least.moved_bytes >= ample.moved_bytes);
}

static void check_isas(const char *name, const char *base)
{
    const char *frames = request_scratch("other.npy");
    SnugFigures figures;
    for (int i = 0; i < N_ISAS; i++) {
        if (!request_isa_runs(ISAS[i])) continue;
        const Way way = { .isa = ISAS[i], .threads = 1 + i % 2, .ram_bytes = GIB };
        CHECK(run(name, &way, frames, NULL, &figures));
        request_check_same(base, frames);
    }
}

static void check_pipeline(const char *name)
{
    const Way ample = { .isa = NULL, .threads = 2, .ram_bytes = GIB };
    const char *frames = request_scratch("frames.npy"), *latents = request_scratch("latents.npy");
    char want[512];
    SnugFigures planned;
    CHECK(run(name, &ample, frames, latents, &planned));
    (void)snprintf(want, sizeof want, "golden/pipelines/%s/frames.npy", name);
    check_array(frames, test_path(want));
    (void)snprintf(want, sizeof want, "golden/pipelines/%s/latents.npy", name);
    check_array(latents, test_path(want));
    check_ram(name, frames, &planned);
    check_vram(name, frames);
    check_isas(name, frames);
}

#define GOLDEN(name)                                                                               \
    TEST(golden, name##_is_what_diffusers_draws_whatever_the_budget)                               \
    {                                                                                              \
        check_pipeline(#name);                                                                     \
    }

GOLDEN(t2v)
GOLDEN(t2v_euler)
GOLDEN(t2v_experts)
GOLDEN(ti2v)
GOLDEN(ti2v_image)
GOLDEN(i2v)
GOLDEN(i2v_experts)
GOLDEN(i2v_clip)
GOLDEN(first_last)
GOLDEN(camera)
GOLDEN(camera_fun)
GOLDEN(step_cache)
GOLDEN(step_cache_experts)
