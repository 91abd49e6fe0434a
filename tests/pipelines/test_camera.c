/* test_camera.c  --camera: features of folders, text and words against tools/oracle/camera_net.py;
 * and what is refused. */
#include "pipelines/request.h"

#include "formats/npy.h"
#include "formats/npy_write.h"
#include "pipelines/wan_camera.h"

/* Rays in f64 here and there, rounded to f32 once: values up to 1 (places, directions) differ by one
 * rounding; moments are up to 256, where one is 1.53e-5. */
static const double TOLERANCE = 1.2e-7, MOMENT_TOLERANCE = 1.6e-5;

typedef struct Case {
    Heap *heap;
    Arena arena;
    WanCamera camera;
    SnugError err;
} Case;

static Case open_case(void)
{
    Case c = { .heap = heap_create() };
    arena_init(&c.arena, c.heap, "test");
    return c;
}

static void close_case(Case *c)
{
    arena_release(&c->arena);
    CHECK_INT(heap_now_bytes(c->heap), 0);
    heap_free(c->heap);
}

/* ---- features ------------------------------------------------------------------------------- */

typedef struct Video {
    int64_t frames;
    int width, height;
    WanCameraShape shape;
} Video;

static void check_features(const char *path, const char *golden, WanCameraKind kind, const Video *v,
                           double tolerance)
{
    Case c = open_case();
    NpyArray want;
    int64_t frames = v->frames;
    REQUIRE_OK(npy_read_f32(&c.arena, test_path(golden), &want, &c.err), &c.err);
    REQUIRE_OK(
        wan_camera_read(&c.camera, &c.arena, test_path(path), v->shape.time, &frames, true, &c.err),
        &c.err);
    REQUIRE_OK(
        wan_camera_fit(&c.camera, &c.arena, kind, &v->shape, frames, v->width, v->height, &c.err),
        &c.err);
    const RayMap *m = &c.camera.map;
    CHECK_INT(want.dim[0], m->frames * m->rows * m->cols);
    CHECK_INT(want.dim[1], wan_camera_features(kind, &v->shape));
    CHECK_INT(want.dim[1], ray_map_features(m));
    float *got = arena_array(&c.arena, (size_t)want.count, sizeof *got);
    for (int64_t first = 0; first < want.dim[0];
         first += 5) { /* in pieces, as blocks ask for them */
        const int64_t n = want.dim[0] - first < 5 ? want.dim[0] - first : 5;
        ray_map_fill(m, first, n, got + first * want.dim[1]);
    }
    CHECK_CLOSE(got, want.f32, want.count, tolerance);
    close_case(&c);
}

TEST(camera, a_folder_gives_the_features_of_lingbot_world)
{
    check_features("golden/camera/paths/inject", "golden/camera/paths/inject/features.npy",
                   WAN_CAMERA_INJECT, &(Video){ 13, 48, 32, { 8, 4, 2, 2 } }, TOLERANCE);
    check_features("golden/camera/paths/inject_small",
                   "golden/camera/paths/inject_small/features.npy", WAN_CAMERA_INJECT,
                   &(Video){ 9, 32, 48, { 4, 4, 1, 1 } }, TOLERANCE);
}

TEST(camera, a_folder_gives_the_features_of_wan_fun)
{
    check_features("golden/camera/paths/adapter", "golden/camera/paths/adapter/features.npy",
                   WAN_CAMERA_ADAPTER, &(Video){ 5, 32, 48, { 8, 4, 2, 2 } }, MOMENT_TOLERANCE);
}

TEST(camera, camera_ctrls_text_gives_the_features_of_wan_fun)
{
    check_features("golden/camera/paths/path.txt", "golden/camera/paths/text.npy",
                   WAN_CAMERA_ADAPTER, &(Video){ 5, 48, 32, { 8, 4, 2, 2 } }, MOMENT_TOLERANCE);
}

TEST(camera, words_look_through_a_lens_of_their_angle)
{
    Case c = open_case();
    int64_t frames = 5;
    const WanCameraShape shape = { 8, 4, 2, 2 };
    REQUIRE_OK(wan_camera_read(&c.camera, &c.arena, "fov:90,dolly-in:3", 4, &frames, true, &c.err),
               &c.err);
    REQUIRE_OK(wan_camera_fit(&c.camera, &c.arena, WAN_CAMERA_INJECT, &shape, 5, 64, 32, &c.err),
               &c.err);
    CHECK(fabs(c.camera.map.lenses[1].fx - 32) < 1e-12 && c.camera.map.lenses[1].cy == 16.0);
    CHECK(c.camera.map.poses[1].t[2] == 1.0); /* scaled to the longest motion */
    close_case(&c);
}

/* ---- files that are refused ----------------------------------------------------------------- */

enum { POSES = 6 };

/* A folder with POSES poses and as many lenses, good but for one number. */
typedef struct Folder {
    float poses[POSES * 16], lenses[POSES * 4];
    int64_t pose_dim[3], lens_dim[2];
} Folder;

static Folder good_folder(void)
{
    Folder f = { .pose_dim = { POSES, 4, 4 }, .lens_dim = { POSES, 4 } };
    for (int i = 0; i < POSES; i++) {
        for (int k = 0; k < 4; k++)
            f.poses[16 * i + 5 * k] = 1;
        const float lens[4] = { 500, 500, 416, 240 };
        memcpy(f.lenses + 4 * i, lens, sizeof lens);
    }
    return f;
}

static SnugStatus read_folder(Case *c, const Folder *f, int64_t *frames, bool must)
{
    const char *dir = test_scratch();
    REQUIRE_OK(
        npy_write_f32(c->heap, request_scratch("poses.npy"), f->poses, f->pose_dim, 3, &c->err),
        &c->err);
    REQUIRE_OK(npy_write_f32(c->heap, request_scratch("intrinsics.npy"), f->lenses, f->lens_dim, 2,
                             &c->err),
               &c->err);
    return wan_camera_read(&c->camera, &c->arena, dir, 4, frames, must, &c->err);
}

static void check_folder(const Folder *f, const char *complaint)
{
    Case c = open_case();
    int64_t frames = 5;
    CHECK_INT(read_folder(&c, f, &frames, true), SNUG_ERR_FILE);
    CHECK_HAS(c.err.text, "--camera: ");
    CHECK_HAS(c.err.text, complaint);
    close_case(&c);
}

TEST(camera, poses_that_are_none_are_refused)
{
    Folder f = good_folder();
    f.poses[16 * 3 + 1] = 0.2f;
    check_folder(&f, "poses.npy: pose 3: the rotation is not orthonormal");
    f = good_folder();
    f.poses[16 * 5 + 3] = NAN;
    check_folder(&f, "poses.npy: pose 5: element [0, 3] is NaN");
    f = good_folder();
    f.poses[10] = -1;
    check_folder(&f, "poses.npy: pose 0: the rotation is a mirror");
    f = good_folder();
    f.poses[12] = 7; /* row-vector convention: translation in the last row */
    check_folder(&f, "the last row");
    f = good_folder();
    f.pose_dim[1] = 2;
    f.pose_dim[2] = 8;
    check_folder(&f, "poses.npy: needs the shape [frames, 4, 4]");
    f = good_folder();
    f.pose_dim[0] = 0;
    check_folder(&f, "poses.npy: 0 frames");
}

TEST(camera, lenses_that_are_none_are_refused)
{
    Folder f = good_folder();
    f.lenses[4] = 0;
    check_folder(&f, "intrinsics.npy: frame 1: fx, fy, cx, cy are 0, 500, 416, 240");
    f = good_folder();
    f.lenses[2] = INFINITY;
    check_folder(&f, "no lens");
    f = good_folder();
    f.lens_dim[0] = 4;
    check_folder(&f, "intrinsics.npy: 4 frames, poses.npy has 6");
    f = good_folder();
    f.lens_dim[0] = 12;
    f.lens_dim[1] = 2;
    check_folder(&f, "intrinsics.npy: needs the shape [frames, 4]");
}

TEST(camera, a_short_path_shortens_the_video_unless_the_user_said_otherwise)
{
    Case c = open_case();
    Folder f = good_folder();
    int64_t frames = 81;
    REQUIRE_OK(read_folder(&c, &f, &frames, false), &c.err);
    CHECK_INT(frames, 5); /* 6 poses: 4 n + 1 */
    frames = 9;
    CHECK_INT(read_folder(&c, &f, &frames, true), SNUG_ERR_ARG);
    CHECK_HAS(c.err.text, "has 6 poses, enough for 5 frames; --frames is 9");
    f.lens_dim[0] = 1; /* one lens for all */
    frames = 5;
    REQUIRE_OK(read_folder(&c, &f, &frames, true), &c.err);
    CHECK_INT(frames, 5);
    close_case(&c);
}

static void check_given(const char *given, SnugStatus status, const char *complaint)
{
    Case c = open_case();
    int64_t frames = 5;
    CHECK_INT(wan_camera_read(&c.camera, &c.arena, given, 4, &frames, true, &c.err), status);
    CHECK_HAS(c.err.text, complaint);
    close_case(&c);
}

TEST(camera, what_is_neither_folder_nor_file_nor_words_is_refused)
{
    check_given("/no/such/folder", SNUG_ERR_ARG, "\"/no/such/folder\" is no folder, no file, and");
    check_given("spin", SNUG_ERR_ARG, "there are: pan-left");
    check_given(test_path("golden/camera/paths"), SNUG_ERR_IO, "poses.npy");
    check_given(test_path("golden/camera/paths/text.npy"), SNUG_ERR_FILE, "text.npy");
}

/* ---- requests ------------------------------------------------------------------------------- */

static void check_request(const char *name, const char *camera, const char *frames,
                          const char *complaint)
{
    SnugPlan *plan = NULL;
    SnugError err = { { 0 } };
    SnugEngine *engine = request_engine((SnugEngineOptions){ .ram_bytes = GIB, .threads = 1 });
    SnugJob *job = request_job(engine, name);
    request_option(job, "output", request_scratch("frames.npy"));
    request_option(job, "camera", camera);
    if (frames) request_option(job, "frames", frames);
    const SnugStatus status = snug_plan_create(&plan, job, &err);
    if (!complaint && status != SNUG_OK) fail_msg("%s", err.text);
    if (complaint) {
        CHECK_INT(status, SNUG_ERR_ARG);
        CHECK_HAS(err.text, complaint);
    }
    snug_plan_free(plan);
    snug_job_free(job);
    snug_engine_close(engine);
}

TEST(camera, only_checkpoints_with_a_camera_network_take_a_path)
{
    check_request("i2v", "pan-left", NULL, "has no camera network");
    check_request("i2v_experts", "pan-left", NULL, "has no camera network");
    check_request("camera", "pan-left:20+dolly-in", NULL, NULL);
    check_request("camera_fun", "orbit", NULL, NULL);
    check_request("camera", "pan-left", "2", "--frames 2: this model makes 4n + 1");
    check_request("camera", "hold,hold,hold,hold,hold", "5", "more than the 4 steps of 5 frames");
    check_request("camera", test_path("golden/pipelines/camera/camera"), "13",
                  "has 11 poses, enough for 9 frames");
}
