/* test_ad_whole.c  The three steps against the service's own calls of diffusers, BiRefNet and Pillow on the
 * same tiny networks (tools/oracle/golden_ad_whole.py).
 *
 * Every picture is within 1 of 255 on at least 99.9 % of the pixels: rounding to bytes moves a value by 1
 * where f32 sums differ in their order. BiRefNet's last layer is SHARP times as large as in its golden, so
 * that its map is black or white nearly everywhere, as a trained one's is: a random network's is grey, a
 * thousand pixels within 1 of the cut-out's threshold, and each that falls on its other side adds or takes a
 * square of 11 pixels of what is painted anew. */
#include "pipelines/ad_request.h"

#include "media/image_read.h"

static const float SHARP = 64; /* as in the script */

/* Part of the pixels that differ by 1 at most. */
static double near(const char *got, const char *want)
{
    Heap *heap = heap_create();
    Image x, y;
    SnugError err = { { 0 } };
    REQUIRE_OK(image_read_file(&x, heap, got, 4, NULL, &err), &err);
    REQUIRE_OK(image_read_file(&y, heap, want, 4, NULL, &err), &err);
    CHECK(x.width == y.width && x.height == y.height);
    const size_t n = (size_t)x.width * (size_t)x.height;
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        int worst = 0;
        for (size_t k = 4 * i; k < 4 * i + 4; k++)
            worst = abs(x.pixels[k] - y.pixels[k]) > worst ? abs(x.pixels[k] - y.pixels[k]) : worst;
        good += worst <= 1;
    }
    image_release(&x);
    image_release(&y);
    heap_free(heap);
    return (double)good / (double)n;
}

static void draw(SnugEngine *engine, SnugJob *job)
{
    SnugError err = { { 0 } };
    REQUIRE_OK(request_run(job, NULL, &err), &err);
    snug_job_free(job);
    snug_engine_close(engine);
}

TEST(ad_whole, every_step_is_that_of_the_script)
{
    SnugEngine *engine = ad_engine(2, GIB);
    SnugJob *job = ad_job(engine);
    request_option(job, "birefnet", birefnet_file_make("", 0, SHARP));
    request_option(job, "steps-folder", test_scratch());
    request_option(job, "output", request_scratch("final_result.png"));
    draw(engine, job);
    CHECK(near(request_scratch("step1_result.png"),
               test_path("golden/ad_whole/step1_result.png")) == 1.0);
    CHECK(near(request_scratch("step2_result.png"),
               test_path("golden/ad_whole/step2_result.png")) >= 0.999);
    CHECK(near(request_scratch("final_result.png"),
               test_path("golden/ad_whole/final_result.png")) >= 0.999);
}

TEST(ad_whole, the_last_step_from_the_scripts_pictures)
{
    SnugEngine *engine = ad_engine(2, GIB);
    SnugJob *job = ad_job(engine);
    request_option(job, "start-step", "3");
    request_option(job, "step1-image", test_path("golden/ad_whole/step1_result.png"));
    request_option(job, "step2-image", test_path("golden/ad_whole/step2_result.png"));
    request_option(job, "output", request_scratch("final_result.png"));
    draw(engine, job);
    CHECK(near(request_scratch("final_result.png"),
               test_path("golden/ad_whole/final_result.png")) >= 0.999);
}
