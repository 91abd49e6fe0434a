/* camera_path.h  Camera paths: made from words, read from CameraCtrl's text, and brought to the form
 * that networks take.
 *
 * A path in words: moves, `,` between those that follow each other in equal parts of the time, `+`
 * between those at the same time; behind a colon how far, in all:
 *
 *     pan-left:30,dolly-in:2+tilt-up,orbit:90:1.5
 *
 * | move                                 | unit    | if not said |
 * |--------------------------------------|---------|-------------|
 * | pan-left pan-right tilt-up tilt-down | degrees | 30          |
 * | roll-left roll-right                 | degrees | 30          |
 * | orbit-left orbit-right (orbit)       | degrees | 60; a second number is the distance of the point that stays in the middle, 1 if not said |
 * | dolly-in dolly-out truck-left truck-right pedestal-up pedestal-down | the scene's | 1 |
 * | hold                                 | -       | -           |
 * | fov (takes no time)                  | degrees of view across the picture | 79, that of LingBot-World's examples |
 */
#ifndef GEOMETRY_CAMERA_PATH_H
#define GEOMETRY_CAMERA_PATH_H

#include "base/arena.h"
#include "base/text.h"
#include "geometry/pose.h"

enum { CAMERA_PATH_MAX_PARTS = 64, CAMERA_PATH_MAX_MOVES = 8 /* at the same time */ };

/** One pose per video frame. */
typedef struct CameraPath {
    Pose *poses;
    int64_t n;
    double fov_degrees;
} CameraPath;

/**
 * A path in words, for `frames` frames; the first pose is the identity.
 * @return SNUG_ERR_ARG: unknown move (err lists them), amount out of range, more parts than steps;
 *         SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus camera_path_from_words(CameraPath *out, Arena *arena, const char *words,
                                                int64_t frames, SnugError *err);

/** What a line of CameraCtrl's text says of the lens: parts of the picture's width and height. */
typedef struct CameraLens {
    double fx, fy, cx, cy;
} CameraLens;

enum { CAMERA_TEXT_MAX_LINES = 1 << 16 };
/**
 * CameraCtrl's text: a first line of any content, then one line a frame: a number, fx fy cx cy, two
 * numbers, and the 3 x 4 world-to-camera matrix row by row.
 * @param name  for messages
 * @param lenses  [out->n], in the arena
 * @return SNUG_ERR_FILE names the line
 */
SNUG_MUST_USE SnugStatus camera_path_from_text(CameraPath *out, CameraLens **lenses, Arena *arena,
                                               TextView text, const char *name, SnugError *err);

/** Poses 0, stride, 2 stride, ... as motions: each relative to the one before, the first the
 *  identity; places scaled so that the longest motion is 1 (LingBot-World). To out [n_out]. */
void camera_path_motions(const CameraPath *path, int64_t stride, int64_t n_out, Pose *out);
/** Pose `i` relative to pose 0 (CameraCtrl). */
Pose camera_path_relative(const CameraPath *path, int64_t i);

#endif
