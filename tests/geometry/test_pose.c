/* test_pose.c  Rigid motions, and what a file's matrix must be. */
#include "test.h"

#include "geometry/pose.h"

static Pose some_pose(int seed)
{
    const Pose a = pose_turn(0, 0.3 + seed), b = pose_turn(1, 1.1 * seed - 2),
               c = pose_shift(seed, -2.5, 0.1 * seed);
    const Pose ab = pose_multiply(&a, &b);
    return pose_multiply(&ab, &c);
}

static void matrix_of(const Pose *p, double m[16])
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            m[4 * i + k] = p->r[3 * i + k];
        m[4 * i + 3] = p->t[i];
        m[12 + i] = 0;
    }
    m[15] = 1;
}

static double distance(const Pose *a, const Pose *b)
{
    double worst = 0;
    for (int i = 0; i < 9; i++)
        worst = fmax(worst, fabs(a->r[i] - b->r[i]));
    for (int i = 0; i < 3; i++)
        worst = fmax(worst, fabs(a->t[i] - b->t[i]));
    return worst;
}

TEST(pose, a_motion_and_its_inverse_are_nothing)
{
    for (int seed = 0; seed < 20; seed++) {
        const Pose p = some_pose(seed), back = pose_inverse(&p), none = pose_multiply(&p, &back);
        CHECK(distance(&none, &POSE_IDENTITY) < 1e-13);
    }
}

TEST(pose, turns_go_from_one_axis_to_the_next)
{
    for (int axis = 0; axis < 3; axis++) {
        const Pose turn = pose_turn(axis, 1.5707963267948966);
        const int i = (axis + 1) % 3, k = (axis + 2) % 3;
        CHECK(fabs(turn.r[3 * k + i] - 1) < 1e-15); /* axis i now looks along k */
        CHECK(fabs(turn.r[3 * axis + axis] - 1) < 1e-15);
    }
}

TEST(pose, small_errors_of_a_rotation_are_mended)
{
    for (int seed = 0; seed < 50; seed++) {
        const Pose want = some_pose(seed);
        Pose got;
        double m[16];
        SnugError err = { { 0 } };
        matrix_of(&want, m);
        /* a symmetric error keeps the polar factor: r (1 + e) has the same rotation */
        for (int i = 0; i < 3; i++)
            m[4 * i + 1] *= 1 + 4e-4 * (seed % 3 - 1);
        CHECK_INT(pose_from_matrix(&got, m, &err), SNUG_OK);
        CHECK(distance(&got, &want) < 1e-14);
    }
}

static void check_refused(int at, double value, const char *complaint)
{
    const Pose p = some_pose(3);
    Pose out;
    double m[16];
    SnugError err = { { 0 } };
    matrix_of(&p, m);
    m[at] = value;
    CHECK_INT(pose_from_matrix(&out, m, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, complaint);
}

TEST(pose, matrices_that_are_no_motion_are_refused)
{
    check_refused(3, NAN, "[0, 3] is NaN");
    check_refused(7, -2e9, "element [1, 3] is -2e+09, a place can be up to 1e+09");
    check_refused(10, INFINITY, "[2, 2] is NaN or infinite");
    check_refused(12, 0.5, "the last row");
    check_refused(15, 2.0, "the last row");
    check_refused(0, 3.0, "not orthonormal");
    check_refused(0, 1e300, "not orthonormal");
    const Pose p = some_pose(3);
    Pose out;
    double m[16];
    SnugError err = { { 0 } };
    matrix_of(&p, m);
    for (int i = 0; i < 3; i++)
        m[4 * i] = -m[4 * i];
    CHECK_INT(pose_from_matrix(&out, m, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "mirror");
}
