/* camera_path.c  Words to poses, and relative poses.
 *
 * A move turns or shifts the camera in its own axes, the same bit at every frame of its part, so
 * that the motions which LingBot-World sees are constant within a part. */
#include "geometry/camera_path.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RADIANS (3.14159265358979323846 / 180.0)

typedef enum MoveKind { MOVE_TURN, MOVE_SHIFT, MOVE_ORBIT, MOVE_HOLD } MoveKind;

/* Axes: x right, y down, z forward; turning about y by a positive angle looks right. */
typedef struct MoveRow {
    const char *name;
    MoveKind kind;
    int axis;
    double sign, amount; /* if not said */
} MoveRow;

static const MoveRow MOVES[] = {
    { "pan-left", MOVE_TURN, 1, -1, 30 },    { "pan-right", MOVE_TURN, 1, 1, 30 },
    { "tilt-up", MOVE_TURN, 0, 1, 30 },      { "tilt-down", MOVE_TURN, 0, -1, 30 },
    { "roll-left", MOVE_TURN, 2, -1, 30 },   { "roll-right", MOVE_TURN, 2, 1, 30 },
    { "dolly-in", MOVE_SHIFT, 2, 1, 1 },     { "dolly-out", MOVE_SHIFT, 2, -1, 1 },
    { "truck-left", MOVE_SHIFT, 0, -1, 1 },  { "truck-right", MOVE_SHIFT, 0, 1, 1 },
    { "pedestal-up", MOVE_SHIFT, 1, -1, 1 }, { "pedestal-down", MOVE_SHIFT, 1, 1, 1 },
    { "orbit-left", MOVE_ORBIT, 1, 1, 60 },  { "orbit-right", MOVE_ORBIT, 1, -1, 60 },
    { "orbit", MOVE_ORBIT, 1, -1, 60 },      { "hold", MOVE_HOLD, 0, 0, 0 },
};
enum { N_MOVES = sizeof MOVES / sizeof MOVES[0] };
static const double FOV = 79.0, MOST_DEGREES = 3600.0, MOST_SHIFT = 1e6;

typedef struct Move {
    const MoveRow *row;
    double amount, distance;
} Move;

typedef struct Part {
    Move move[CAMERA_PATH_MAX_MOVES];
    int n;
} Part;

typedef struct Words {
    Part part[CAMERA_PATH_MAX_PARTS];
    int n;
    double fov;
} Words;

/* ---- words ---------------------------------------------------------------------------------- */

static SnugStatus unknown(TextView name, SnugError *err)
{
    char names[400] = "", shown[TEXT_ESCAPED];
    size_t at = 0;
    for (int i = 0; i < N_MOVES; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", MOVES[i].name);
    return error_set(err, SNUG_ERR_ARG, "\"%s\" is no move of the camera; there are: %s, fov",
                     text_escape(shown, name.at, name.n), names);
}

/* The number behind `*at`'s colon, if there is one; *at moves past it. */
static SnugStatus number(const char **at, const char *end, double low, double high, double *out,
                         SnugError *err)
{
    if (*at == end || **at != ':') return SNUG_OK;
    char text[32] = "", *rest = text, shown[TEXT_ESCAPED];
    const char *from = ++*at;
    while (*at < end && **at != ':')
        ++*at;
    const size_t n = (size_t)(*at - from);
    double value = low - 1.0;
    if (n > 0 && n < sizeof text) {
        memcpy(text, from, n);
        text[n] = '\0';
        value = strtod(text, &rest);
    }
    if (n == 0 || n >= sizeof text || *rest || !(value >= low && value <= high))
        return error_set(err, SNUG_ERR_ARG, "\"%s\" is no number from %g to %g",
                         text_escape(shown, from, n), low, high);
    *out = value;
    return SNUG_OK;
}

static SnugStatus parse_move(Words *w, const char *at, const char *end, SnugError *err)
{
    const char *name = at;
    while (at < end && *at != ':')
        at++;
    const TextView view = { name, (size_t)(at - name) };
    if (text_is(view, "fov")) {
        TRY(number(&at, end, 1.0, 170.0, &w->fov, err));
    } else {
        Part *p = &w->part[w->n - 1];
        const MoveRow *row = NULL;
        for (int i = 0; i < N_MOVES; i++)
            if (text_is(view, MOVES[i].name)) row = &MOVES[i];
        if (!row) return unknown(view, err);
        if (p->n == CAMERA_PATH_MAX_MOVES)
            return error_set(err, SNUG_ERR_ARG, "more than %d moves at the same time",
                             CAMERA_PATH_MAX_MOVES);
        Move m = { row, row->amount, 1.0 };
        const double most = row->kind == MOVE_SHIFT ? MOST_SHIFT : MOST_DEGREES;
        if (row->kind != MOVE_HOLD) TRY(number(&at, end, 0.0, most, &m.amount, err));
        if (row->kind == MOVE_ORBIT) TRY(number(&at, end, 1e-3, MOST_SHIFT, &m.distance, err));
        p->move[p->n++] = m;
    }
    char shown[TEXT_ESCAPED];
    if (at != end)
        return error_set(err, SNUG_ERR_ARG, "\"%s\" is one number too many",
                         text_escape(shown, name, (size_t)(end - name)));
    return SNUG_OK;
}

static SnugStatus parse_part(Words *w, const char *at, const char *end, SnugError *err)
{
    if (w->n == CAMERA_PATH_MAX_PARTS)
        return error_set(err, SNUG_ERR_ARG, "more than %d moves one after the other",
                         CAMERA_PATH_MAX_PARTS);
    w->part[w->n++].n = 0;
    for (;;) {
        const char *stop = at;
        while (stop < end && *stop != '+')
            stop++;
        TRY(parse_move(w, at, stop, err));
        if (stop == end) break;
        at = stop + 1;
    }
    if (w->part[w->n - 1].n == 0) w->n--; /* only the angle of view */
    return SNUG_OK;
}

static SnugStatus parse_words(Words *w, const char *at, SnugError *err)
{
    w->n = 0;
    w->fov = FOV;
    for (const char *stop = at;; stop++) {
        if (*stop && *stop != ',') continue;
        TRY(parse_part(w, at, stop, err));
        if (!*stop) break;
        at = stop + 1;
    }
    if (w->n == 0) return error_set(err, SNUG_ERR_ARG, "no move of the camera is named");
    return SNUG_OK;
}

/* ---- poses ---------------------------------------------------------------------------------- */

/* What one of n equal steps of a move does. */
static Pose step_of(const Move *m, int64_t n)
{
    const double part = m->row->sign * m->amount / (double)n;
    switch (m->row->kind) {
    case MOVE_TURN:
        return pose_turn(m->row->axis, part * RADIANS);
    case MOVE_SHIFT:
        return pose_shift(m->row->axis == 0 ? part : 0, m->row->axis == 1 ? part : 0,
                          m->row->axis == 2 ? part : 0);
    case MOVE_ORBIT: { /* turn about a point in front */
        const Pose there = pose_shift(0, 0, m->distance), back = pose_shift(0, 0, -m->distance);
        const Pose turn = pose_turn(m->row->axis, part * RADIANS);
        const Pose turned = pose_multiply(&turn, &back);
        return pose_multiply(&there, &turned);
    }
    case MOVE_HOLD:
    default:
        return POSE_IDENTITY;
    }
}

static Pose steps_of(const Part *p, int64_t n)
{
    Pose all = POSE_IDENTITY;
    for (int i = 0; i < p->n; i++) {
        const Pose one = step_of(&p->move[i], n);
        all = pose_multiply(&all, &one);
    }
    return all;
}

SnugStatus camera_path_from_words(CameraPath *out, Arena *arena, const char *words, int64_t frames,
                                  SnugError *err)
{
    Words w;
    TRY(parse_words(&w, words, err));
    const int64_t steps = frames - 1;
    if (steps < w.n && frames > 1)
        return error_set(err, SNUG_ERR_ARG,
                         "%d moves one after the other are more than the %lld steps of %lld frames",
                         w.n, (long long)steps, (long long)frames);
    *out = (CameraPath){ .n = frames, .fov_degrees = w.fov };
    out->poses = arena_array(arena, (size_t)frames, sizeof *out->poses);
    if (!out->poses) return error_set(err, SNUG_ERR_MEMORY, "no memory for the camera's path");
    out->poses[0] = POSE_IDENTITY;
    for (int p = 0; p < w.n; p++) {
        const int64_t first = p * steps / w.n, end = (p + 1) * steps / w.n;
        if (first == end) continue;
        const Pose step = steps_of(&w.part[p], end - first);
        for (int64_t i = first; i < end; i++)
            out->poses[i + 1] = pose_multiply(&out->poses[i], &step);
    }
    return SNUG_OK;
}

/* ---- relative poses ------------------------------------------------------------------------- */

void camera_path_motions(const CameraPath *path, int64_t stride, int64_t n_out, Pose *out)
{
    double longest = 0;
    for (int64_t i = 0; i < n_out; i++) {
        out[i] = POSE_IDENTITY;
        if (i == 0) continue;
        const Pose before = pose_inverse(&path->poses[(i - 1) * stride]);
        out[i] = pose_multiply(&before, &path->poses[i * stride]);
        const double *t = out[i].t;
        longest = fmax(longest, sqrt(t[0] * t[0] + t[1] * t[1] + t[2] * t[2]));
    }
    for (int64_t i = 1; i < n_out && longest > 0; i++)
        for (int k = 0; k < 3; k++)
            out[i].t[k] /= longest;
}

Pose camera_path_relative(const CameraPath *path, int64_t i)
{
    const Pose first = pose_inverse(&path->poses[0]);
    return i == 0 ? POSE_IDENTITY : pose_multiply(&first, &path->poses[i]);
}
