/* test_camera_path.c  Paths in words, CameraCtrl's text, relative poses. */
#include <stdio.h>

#include "test.h"

#include "geometry/camera_path.h"

typedef struct Case {
    Heap *heap;
    Arena arena;
    CameraPath path;
    CameraLens *lenses;
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

static void words(Case *c, const char *text, int64_t frames)
{
    if (camera_path_from_words(&c->path, &c->arena, text, frames, &c->err) != SNUG_OK)
        fail_msg("%s: %s", text, c->err.text);
    CHECK_INT(c->path.n, frames);
}

/* Where the camera stands and what lies in the middle of its picture. */
static void check_end(const char *text, double x, double y, double z, double dx, double dy,
                      double dz)
{
    Case c = open_case();
    words(&c, text, 17);
    const Pose *p = &c.path.poses[16];
    const double got[6] = { p->t[0], p->t[1], p->t[2], p->r[2], p->r[5], p->r[8] };
    const double want[6] = { x, y, z, dx, dy, dz };
    for (int i = 0; i < 6; i++)
        if (fabs(got[i] - want[i]) > 1e-12)
            fail_msg("%s: [%d] is %.15g, not %.15g", text, i, got[i], want[i]);
    close_case(&c);
}

TEST(camera_path, moves_end_where_their_names_say)
{
    const double s = sin(0.5235987755982988), k = cos(0.5235987755982988); /* 30 degrees */
    check_end("pan-left", 0, 0, 0, -s, 0, k);
    check_end("pan-right:90", 0, 0, 0, 1, 0, 0);
    check_end("tilt-up", 0, 0, 0, 0, -s, k); /* y is down */
    check_end("tilt-down:90", 0, 0, 0, 0, 1, 0);
    check_end("roll-left:77", 0, 0, 0, 0, 0, 1);
    check_end("dolly-in:2.5", 0, 0, 2.5, 0, 0, 1);
    check_end("dolly-out", 0, 0, -1, 0, 0, 1);
    check_end("truck-left:3", -3, 0, 0, 0, 0, 1);
    check_end("truck-right", 1, 0, 0, 0, 0, 1);
    check_end("pedestal-up:4", 0, -4, 0, 0, 0, 1);
    check_end("pedestal-down", 0, 1, 0, 0, 0, 1);
    check_end("hold", 0, 0, 0, 0, 0, 1);
    /* to the right of a point at distance 2, looking left at it */
    check_end("orbit-right:90:2", 2, 0, 2, -1, 0, 0);
    check_end("orbit:90:2", 2, 0, 2, -1, 0, 0);
    check_end("orbit-left:180", 0, 0, 2, 0, 0, -1);
}

TEST(camera_path, moves_follow_each_other_or_go_together)
{
    check_end("pan-right:90,dolly-in:2", 2, 0, 0, 1, 0, 0);
    check_end("dolly-in:2,hold,pan-right:90", 0, 0, 2, 1, 0, 0);
    check_end("truck-left:1+pedestal-up:2+dolly-in:3", -1, -2, 3, 0, 0, 1);
    Case c = open_case();
    words(&c, "fov:60,dolly-in:1,dolly-out:1", 9);
    CHECK(c.path.fov_degrees == 60.0);
    CHECK(fabs(c.path.poses[4].t[2] - 1) < 1e-15 && fabs(c.path.poses[8].t[2]) < 1e-15);
    words(&c, "orbit", 1); /* one frame: the first pose */
    CHECK(memcmp(&c.path.poses[0], &POSE_IDENTITY, sizeof(Pose)) == 0);
    close_case(&c);
}

static void check_words(const char *text, const char *complaint)
{
    Case c = open_case();
    CHECK_INT(camera_path_from_words(&c.path, &c.arena, text, 9, &c.err), SNUG_ERR_ARG);
    CHECK_HAS(c.err.text, complaint);
    close_case(&c);
}

TEST(camera_path, words_that_are_no_path_are_refused)
{
    check_words("", "\"\" is no move");
    check_words("pan-left,", "\"\" is no move");
    check_words("pan", "pan-left, pan-right");
    check_words("Pan-Left", "is no move");
    check_words("pan-left:", "\"\" is no number from 0 to 3600");
    check_words("pan-left:-5", "is no number");
    check_words("pan-left:5000", "is no number");
    check_words("pan-left:nan", "is no number");
    check_words("pan-left:1e", "is no number");
    check_words("pan-left:0000000000000000000000000000000000000000", "is no number");
    check_words("pan-left:5:6", "one number too many");
    check_words("hold:1", "one number too many");
    check_words("orbit:5:0", "is no number");
    check_words("orbit:5:1:1", "one number too many");
    check_words("fov:60", "no move of the camera is named");
    check_words("fov:180,hold", "is no number from 1 to 170");
    check_words("hold,hold,hold,hold,hold,hold,hold,hold,hold", "9 moves one after the other");
    check_words("hold+hold+hold+hold+hold+hold+hold+hold+hold", "more than 8 moves");
    char many[1024] = "hold";
    for (int i = 0; i < 64; i++)
        strcat(many, ",hold"); /* 325 of 1024 bytes */
    check_words(many, "more than 64 moves");
}

/* ---- text ----------------------------------------------------------------------------------- */

static const char GOOD[] = "a link\n"
                           "0 0.5 0.9 0.5 0.5 0 0 1 0 0 -1 0 1 0 -2 0 0 1 -3\n"
                           "1 0.5 0.9 0.5 0.5 0 0 0 0 1 0 0 1 0 0 -1 0 0 7\r\n";

TEST(camera_path, text_holds_world_to_camera)
{
    Case c = open_case();
    const TextView text = { GOOD, sizeof GOOD - 1 };
    CHECK_INT(camera_path_from_text(&c.path, &c.lenses, &c.arena, text, "t", &c.err), SNUG_OK);
    CHECK_INT(c.path.n, 2);
    CHECK(c.path.poses[0].t[0] == 1 && c.path.poses[0].t[1] == 2 && c.path.poses[0].t[2] == 3);
    CHECK(c.lenses[1].fx == 0.5 && c.lenses[1].fy == 0.9 && c.lenses[1].cx == 0.5);
    CHECK(fabs(c.path.poses[1].t[0] - 7) < 1e-15); /* -R^T t */
    close_case(&c);
}

static void check_text(const char *line, const char *complaint)
{
    Case c = open_case();
    char text[4096];
    const int n = snprintf(text, sizeof text, "%s%s", GOOD, line);
    CHECK(n > 0 && (size_t)n < sizeof text);
    const TextView view = { text, (size_t)n };
    CHECK_INT(camera_path_from_text(&c.path, &c.lenses, &c.arena, view, "t.txt", &c.err),
              SNUG_ERR_FILE);
    CHECK_HAS(c.err.text, "t.txt: line 4: ");
    CHECK_HAS(c.err.text, complaint);
    close_case(&c);
}

TEST(camera_path, lines_that_are_no_pose_are_refused)
{
    char longest[2048];
    memset(longest, '1', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    check_text("\n", "0 numbers, a pose has 19");
    check_text("1 2 3", "3 numbers");
    check_text("0 .5 .9 .5 .5 0 0 1 0 0 0 0 1 0 0 0 0 1 0 0", "20 numbers");
    check_text("0 .5 .9 .5 .5 0 0 1 0 0 0 0 x 0 0 0 0 1 0", "not a line of 19 numbers");
    check_text("0 .5 .9 .5 .5 0 0 1 0 0 0 0 nan 0 0 0 0 1 0", "not a line of 19 numbers");
    check_text("0 .5 .9 .5 .5 0 0 1 0 0 0 0 2 0 0 0 0 1 0", "not orthonormal");
    check_text("0 0 .9 .5 .5 0 0 1 0 0 0 0 1 0 0 0 0 1 0", "focal lengths");
    check_text(longest, "not a line of 19 numbers");
    Case c = open_case();
    const TextView only = { "a link\n", 7 };
    CHECK_INT(camera_path_from_text(&c.path, &c.lenses, &c.arena, only, "t", &c.err),
              SNUG_ERR_FILE);
    CHECK_HAS(c.err.text, "0 lines of poses");
    close_case(&c);
}

/* ---- relative poses ------------------------------------------------------------------------- */

TEST(camera_path, motions_are_between_neighbours_and_their_longest_is_one)
{
    Case c = open_case();
    Pose out[3];
    words(&c, "pan-right:80+dolly-in:4,dolly-in:8", 9);
    camera_path_motions(&c.path, 4, 3, out);
    CHECK(memcmp(&out[0], &POSE_IDENTITY, sizeof(Pose)) == 0);
    CHECK(fabs(out[2].t[2] - 1) < 1e-12 && fabs(out[2].r[8] - 1) < 1e-12);
    const double *t = out[1].t; /* an arc of length 4 over 80 degrees: a chord of 3.68 */
    CHECK(fabs(sqrt(t[0] * t[0] + t[1] * t[1] + t[2] * t[2]) - 3.68 / 8) < 0.02);
    words(&c, "pan-right:80", 9); /* no motion: nothing to scale by */
    camera_path_motions(&c.path, 4, 3, out);
    CHECK(out[1].t[0] == 0.0 && out[2].t[2] == 0.0);
    const Pose whole = camera_path_relative(&c.path, 8);
    CHECK(fabs(whole.r[8] - cos(80 * 0.017453292519943295)) < 1e-12);
    close_case(&c);
}
