/* test_clip.c  Pictures for the CLIP network: preparation, and what is refused. */
#include "net.h"
#include "pipelines/request.h"
#include "pipelines/wan_clip.h"

/* ---- preparation ---------------------------------------------------------------------------- */

TEST(clip, the_original_squeezes_the_picture_as_torch_does)
{
    static Net net;
    WanClip clip = { .n_pictures = 0 };
    net_open(&net, "golden/clip_vision/original", "original.safetensors", "prepared.safetensors");
    REQUIRE_OK(wan_clip_bind(&clip, &net.table, net.checkpoint, (Json){ 0 }, (Json){ 0 }, &net.err),
               &net.err);
    const char *image = test_path("golden/clip_vision/original/image.png");
    REQUIRE_OK(wan_clip_look_at(&clip, net.heap, image, &net.err), &net.err);
    Shape shape;
    const float *want = net_golden(&net, "pixels", &shape);
    /* values up to 2.6, each a sum of 16 products: 8 units in the last place of 4 */
    CHECK_CLOSE(clip.pixels[0], net_channels_last(&net, want, shape), shape_count(shape), 4e-6);
    wan_clip_release(&clip, net.heap);
    net_close(&net);
}

static void check_processor(const char *text, const char *complaint)
{
    static Net net;
    WanClip clip = { .n_pictures = 0 };
    JsonDoc *doc = NULL;
    net_open(&net, "golden/clip_vision/gelu", "model.safetensors", "");
    REQUIRE_OK(json_parse(&doc, net.heap, text, strlen(text), "preprocessor_config.json", &net.err),
               &net.err);
    const SnugStatus status = wan_clip_bind(&clip, &net.table, net.checkpoint, net_config(&net),
                                            json_root(doc), &net.err);
    if (!complaint && status != SNUG_OK) fail_msg("%s", net.err.text);
    if (complaint) {
        CHECK_INT(status, SNUG_ERR_FILE);
        CHECK_HAS(net.err.text, complaint);
        CHECK_HAS(net.err.text, "preprocessor_config.json");
    }
    json_close(doc);
    net_close(&net);
}

TEST(clip, processors_that_do_not_give_the_networks_square_are_refused)
{
    check_processor("{\"size\": 28, \"crop_size\": 28}", NULL);
    check_processor("{\"size\": {\"shortest_edge\": 40}, "
                    "\"crop_size\": {\"width\": 28, \"height\": 28}}",
                    NULL);
    check_processor("{\"size\": {\"width\": 28, \"height\": 28}, \"do_center_crop\": false}", NULL);
    check_processor("{}", "28 x 28 px");
    check_processor("{\"size\": 20, \"crop_size\": 28}", "28 x 28 px");
    check_processor("{\"size\": 28, \"crop_size\": 28, \"do_resize\": false}", "28 x 28 px");
    check_processor("{\"size\": {\"longest_edge\": 28}}", "size: not supported");
    check_processor("{\"size\": -1}", "size");
    check_processor("{\"resample\": 5}", "resample");
    check_processor("{\"size\": 28, \"crop_size\": 28, \"image_std\": [1, 1]}", "image_std");
    check_processor("{\"size\": 28, \"crop_size\": 28, \"image_std\": [0, 1, 1]}", "image_std");
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Plan a golden request with options changed. */
static void check_refused(const char *name, const char *last_image, const char *frames,
                          const char *complaint)
{
    SnugEngine *engine = request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 1 });
    SnugJob *job = request_job(engine, name);
    if (last_image) request_option(job, "last-image", last_image);
    if (frames) request_option(job, "frames", frames);
    request_refused(job, "output", request_scratch("frames.npy"), SNUG_ERR_ARG, complaint);
    snug_engine_close(engine);
}

TEST(clip, a_last_frame_only_where_the_model_takes_one)
{
    const char *image = test_path("golden/pipelines/first_last/last_image.png");
    check_refused("i2v_clip", image, NULL, "looks at one picture only");
    check_refused("t2v", image, NULL, "takes no last frame");
    check_refused("ti2v_image", image, NULL, "takes no last frame");
    check_refused("i2v", image, "1", "at least 5 frames");
}

/* A golden job without its last picture. */
TEST(clip, first_to_last_frame_models_need_both)
{
    SnugJob *job = NULL;
    SnugError err = { { 0 } };
    SnugEngine *engine = request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 1 });
    REQUIRE_OK(snug_job_create(&job, engine, "wan-i2v", &err), &err);
    request_option(job, "model", test_path("golden/pipelines/first_last/model"));
    request_option(job, "image", test_path("golden/pipelines/first_last/image.png"));
    request_option(job, "size", "32x48");
    request_option(job, "frames", "9");
    request_refused(job, "output", request_scratch("frames.npy"), SNUG_ERR_ARG,
                    "--last-image is missing");
    snug_engine_close(engine);
}
