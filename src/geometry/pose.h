/* pose.h  Where a camera stands and looks: rotation and place, camera to world.
 *
 * Axes as in OpenCV: x right, y down, z forward. All in f64; matrices row by row. */
#ifndef GEOMETRY_POSE_H
#define GEOMETRY_POSE_H

#include <stdint.h>

#include "base/error.h"

/** world = r * camera + t; r is orthonormal with determinant 1. */
typedef struct Pose {
    double r[9], t[3];
} Pose;

extern const Pose POSE_IDENTITY;

/** How far r r^T may be from the identity, and the last row from 0 0 0 1: f32 files of trackers are
 *  within 1e-6, half precision within this. */
#define POSE_TOLERANCE 1e-3
/** Coordinates of a place; rays through it fit f32 with room to spare. */
#define POSE_MAX_PLACE 1e9

/**
 * From a 4 x 4 matrix. Small errors of its rotation are mended: r becomes the nearest orthonormal
 * matrix, as scipy's Rotation does it.
 * @return SNUG_ERR_FILE: NaN or infinity, a place beyond POSE_MAX_PLACE, a last row that is not
 *         0 0 0 1, a rotation that is not orthonormal, or a mirror; err says which
 */
SNUG_MUST_USE SnugStatus pose_from_matrix(Pose *out, const double m[16], SnugError *err);

/** First b, then a. */
Pose pose_multiply(const Pose *a, const Pose *b);
Pose pose_inverse(const Pose *a);
/** Turn by `angle` [rad] about axis 0 x, 1 y or 2 z. */
Pose pose_turn(int axis, double angle);
Pose pose_shift(double x, double y, double z);

#endif
