/* pose.c  Rigid motions. */
#include "geometry/pose.h"

#include <math.h>
#include <string.h>

const Pose POSE_IDENTITY = { { 1, 0, 0, 0, 1, 0, 0, 0, 1 }, { 0, 0, 0 } };

Pose pose_multiply(const Pose *a, const Pose *b)
{
    Pose y = POSE_IDENTITY;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            y.r[3 * i + k] = a->r[3 * i] * b->r[k] + a->r[3 * i + 1] * b->r[3 + k] +
                             a->r[3 * i + 2] * b->r[6 + k];
        y.t[i] =
            a->r[3 * i] * b->t[0] + a->r[3 * i + 1] * b->t[1] + a->r[3 * i + 2] * b->t[2] + a->t[i];
    }
    return y;
}

Pose pose_inverse(const Pose *a)
{
    Pose y = POSE_IDENTITY;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            y.r[3 * i + k] = a->r[3 * k + i];
        y.t[i] = -(a->r[i] * a->t[0] + a->r[3 + i] * a->t[1] + a->r[6 + i] * a->t[2]);
    }
    return y;
}

Pose pose_turn(int axis, double angle)
{
    const int i = (axis + 1) % 3, k = (axis + 2) % 3;
    const double c = cos(angle), s = sin(angle);
    Pose y = POSE_IDENTITY;
    y.r[4 * i] = y.r[4 * k] = c;
    y.r[3 * i + k] = -s;
    y.r[3 * k + i] = s;
    return y;
}

Pose pose_shift(double x, double y, double z)
{
    Pose p = POSE_IDENTITY;
    p.t[0] = x;
    p.t[1] = y;
    p.t[2] = z;
    return p;
}

/* ---- from files ----------------------------------------------------------------------------- */

static double determinant(const double r[9])
{
    return r[0] * (r[4] * r[8] - r[5] * r[7]) - r[1] * (r[3] * r[8] - r[5] * r[6]) +
           r[2] * (r[3] * r[7] - r[4] * r[6]);
}

/* Largest element of r r^T - 1. */
static double skewness(const double r[9])
{
    double worst = 0;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            const double dot =
                r[3 * i] * r[3 * k] + r[3 * i + 1] * r[3 * k + 1] + r[3 * i + 2] * r[3 * k + 2];
            worst = fmax(worst, fabs(dot - (i == k)));
        }
    return worst;
}

/* The orthonormal matrix nearest to r, by Newton's iteration r <- (r + r^-T) / 2. It converges
 * quadratically: from POSE_TOLERANCE three rounds reach 1e-16. */
static void orthonormalise(double r[9])
{
    for (int round = 0; round < 4; round++) {
        const double d = determinant(r);
        double cofactor[9]; /* r^-T = cofactors / determinant */
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 3; k++) {
                const int i1 = (i + 1) % 3, i2 = (i + 2) % 3, k1 = (k + 1) % 3, k2 = (k + 2) % 3;
                cofactor[3 * i + k] =
                    r[3 * i1 + k1] * r[3 * i2 + k2] - r[3 * i1 + k2] * r[3 * i2 + k1];
            }
        for (int i = 0; i < 9; i++)
            r[i] = 0.5 * (r[i] + cofactor[i] / d);
    }
}

SnugStatus pose_from_matrix(Pose *out, const double m[16], SnugError *err)
{
    for (int i = 0; i < 16; i++)
        if (!isfinite(m[i]))
            return error_set(err, SNUG_ERR_FILE, "element [%d, %d] is NaN or infinite", i / 4,
                             i % 4);
    for (int i = 0; i < 3; i++)
        if (fabs(m[4 * i + 3]) > POSE_MAX_PLACE)
            return error_set(err, SNUG_ERR_FILE, "element [%d, 3] is %g, a place can be up to %g",
                             i, m[4 * i + 3], POSE_MAX_PLACE);
    for (int i = 0; i < 4; i++)
        if (fabs(m[12 + i] - (i == 3)) > POSE_TOLERANCE)
            return error_set(err, SNUG_ERR_FILE,
                             "the last row is %g %g %g %g, a camera-to-world matrix ends with 0 0 "
                             "0 1",
                             m[12], m[13], m[14], m[15]);
    for (int i = 0; i < 3; i++) {
        memcpy(out->r + 3 * i, m + 4 * i, 3 * sizeof *m);
        out->t[i] = m[4 * i + 3];
    }
    const double skew = skewness(out->r);
    if (!(skew <= POSE_TOLERANCE))
        return error_set(err, SNUG_ERR_FILE,
                         "the rotation is not orthonormal: R R^T differs from the identity by %.3g "
                         "(limit %g)",
                         skew, POSE_TOLERANCE);
    if (determinant(out->r) < 0)
        return error_set(err, SNUG_ERR_FILE,
                         "the rotation is a mirror (determinant -1): other axes than x right, y "
                         "down, z forward");
    orthonormalise(out->r);
    return SNUG_OK;
}
