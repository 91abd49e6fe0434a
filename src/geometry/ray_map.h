/* ray_map.h  A camera's path as a video network takes it: for every pixel the ray that it sees
 * along, folded into one row of numbers per token.
 *
 * Letters: F latent frames, S poses folded into one latent frame, r pixels per latent row or column,
 * ph x pw latent pixels per token.
 * A ray is six numbers: direction d of length 1, and either the camera's place o (LingBot-World) or
 * the moment o x d (Pluecker coordinates, CameraCtrl, arXiv:2404.02101).
 *
 *     row[((((c S + k) r + p1) r + p2) ph + q1) pw + q2] = number c of pose k at pixel
 *         (row (y ph + q1) r + p1, column (x pw + q2) r + p2) for the token in row y, column x
 *
 * where c = 0, 1, 2 is the place or moment and c = 3, 4, 5 the direction. */
#ifndef GEOMETRY_RAY_MAP_H
#define GEOMETRY_RAY_MAP_H

#include <stdbool.h>

#include "geometry/pose.h"

/** Focal lengths and middle, in pixels of the video. */
typedef struct Lens {
    double fx, fy, cx, cy;
} Lens;

typedef struct RayMap {
    const Pose *poses;          /**< [frames * stack] */
    const Lens *lenses;         /**< one for each pose */
    int stack;                  /**< S */
    bool moment;                /**< o x d instead of o */
    int64_t frames, rows, cols; /**< token grid */
    int cell, ph, pw;           /**< r; patch */
} RayMap;

/** Numbers per token: 6 S r r ph pw. */
int64_t ray_map_features(const RayMap *map);
/** Rows of tokens first .. first + count, in order (frame, row, column): to [count, features]. */
void ray_map_fill(const RayMap *map, int64_t first, int64_t count, float *to);

#endif
