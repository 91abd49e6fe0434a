/* ray_map.c  Rays in f64, rounded once at the end: one row of tokens is a few thousand rays. */
#include "geometry/ray_map.h"

#include <math.h>

int64_t ray_map_features(const RayMap *m)
{
    return 6 * (int64_t)m->stack * m->cell * m->cell * m->ph * m->pw;
}

/* The six numbers of the pixel in column `x`, row `y`; rays go through pixel centres. */
static void ray(const RayMap *m, const Pose *pose, const Lens *lens, int64_t x, int64_t y,
                double out[6])
{
    const double u = ((double)x + 0.5 - lens->cx) / lens->fx;
    const double v = ((double)y + 0.5 - lens->cy) / lens->fy;
    const double n = 1.0 / sqrt(u * u + v * v + 1.0);
    double *d = out + 3;
    for (int i = 0; i < 3; i++)
        d[i] = (pose->r[3 * i] * u + pose->r[3 * i + 1] * v + pose->r[3 * i + 2]) * n;
    const double *o = pose->t;
    out[0] = m->moment ? o[1] * d[2] - o[2] * d[1] : o[0];
    out[1] = m->moment ? o[2] * d[0] - o[0] * d[2] : o[1];
    out[2] = m->moment ? o[0] * d[1] - o[1] * d[0] : o[2];
}

static void fill_token(const RayMap *m, int64_t token, float *to)
{
    const int64_t r = m->cell, patch = (int64_t)m->ph * m->pw;
    const int64_t x = token % m->cols, y = token / m->cols % m->rows;
    const int64_t frame = token / (m->cols * m->rows), plane = m->stack * r * r * patch;
    double six[6];
    for (int64_t k = 0; k < m->stack; k++) {
        const Pose *pose = &m->poses[frame * m->stack + k];
        const Lens *lens = &m->lenses[frame * m->stack + k];
        float *at = to + k * r * r * patch;
        for (int64_t p1 = 0; p1 < r; p1++)
            for (int64_t p2 = 0; p2 < r; p2++)
                for (int64_t q = 0; q < patch; q++, at++) {
                    ray(m, pose, lens, (x * m->pw + q % m->pw) * r + p2,
                        (y * m->ph + q / m->pw) * r + p1, six);
                    for (int64_t c = 0; c < 6; c++)
                        at[c * plane] = (float)six[c];
                }
    }
}

void ray_map_fill(const RayMap *m, int64_t first, int64_t count, float *to)
{
    const int64_t n = ray_map_features(m);
    for (int64_t i = 0; i < count; i++)
        fill_token(m, first + i, to + i * n);
}
