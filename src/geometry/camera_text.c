/* camera_text.c  CameraCtrl's text of poses (github hehao13/CameraCtrl, as VideoX-Fun reads it). */
#include "geometry/camera_path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 19, MAX_LINE = 1024 };

/* Number of lines; an empty one at the end does not count. */
static int64_t count_lines(TextView text)
{
    int64_t n = text.n > 0 && text.at[text.n - 1] != '\n';
    for (size_t i = 0; i < text.n; i++)
        n += text.at[i] == '\n';
    return n;
}

static TextView next_line(TextView *text)
{
    const char *end = memchr(text->at, '\n', text->n);
    const size_t n = end ? (size_t)(end - text->at) : text->n;
    const TextView line = { text->at, n };
    text->at += n + (end ? 1 : 0);
    text->n -= n + (end ? 1 : 0);
    return line;
}

/* How many numbers the line has; -1: something else is in it, or it is too long. */
static int read_numbers(TextView line, double out[NUMBERS])
{
    char text[MAX_LINE];
    if (line.n >= sizeof text || memchr(line.at, '\0', line.n)) return -1;
    memcpy(text, line.at, line.n);
    text[line.n] = '\0';
    int n = 0;
    for (char *at = text, *end;; at = end) {
        at += strspn(at, " \t\r");
        if (!*at) return n;
        const double value = strtod(at, &end);
        if (end == at || (*end && !strchr(" \t\r", *end)) || !isfinite(value)) return -1;
        if (n < NUMBERS) out[n] = value;
        n++;
    }
}

static SnugStatus read_line(TextView line, Pose *pose, CameraLens *lens, SnugError *err)
{
    double v[NUMBERS] = { 0 };
    const int n = read_numbers(line, v);
    if (n < 0) return error_set(err, SNUG_ERR_FILE, "not a line of %d numbers", (int)NUMBERS);
    if (n != NUMBERS)
        return error_set(err, SNUG_ERR_FILE, "%d numbers, a pose has %d", n, (int)NUMBERS);
    if (!(v[1] > 1e-6 && v[1] < 1e6 && v[2] > 1e-6 && v[2] < 1e6))
        return error_set(err, SNUG_ERR_FILE, "focal lengths %g and %g", v[1], v[2]);
    *lens = (CameraLens){ v[1], v[2], v[3], v[4] };
    double m[16] = { [15] = 1.0 };
    memcpy(m, v + 7, 12 * sizeof *m);
    Pose to_camera;
    TRY(pose_from_matrix(&to_camera, m, err));
    *pose = pose_inverse(&to_camera);
    return SNUG_OK;
}

SnugStatus camera_path_from_text(CameraPath *out, CameraLens **lenses, Arena *arena, TextView text,
                                 const char *name, SnugError *err)
{
    const int64_t n = count_lines(text) - 1;
    *out = (CameraPath){ .n = 0 };
    if (n < 1 || n > CAMERA_TEXT_MAX_LINES)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: %lld lines of poses; needs a first line of any content, then 1 to %d",
                         name, (long long)(n > 0 ? n : 0), CAMERA_TEXT_MAX_LINES);
    out->poses = arena_array(arena, (size_t)n, sizeof *out->poses);
    *lenses = arena_array(arena, (size_t)n, sizeof **lenses);
    if (!out->poses || !*lenses)
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for the camera's path", name);
    (void)next_line(&text);
    for (int64_t i = 0; i < n; i++) {
        const SnugStatus status = read_line(next_line(&text), &out->poses[i], *lenses + i, err);
        if (status != SNUG_OK)
            return error_wrap(err, status, "%s: line %lld: ", name, (long long)i + 2);
    }
    out->n = n;
    return SNUG_OK;
}
