/* exec_position.c  Timesteps and rotary positions: angles in f64, rounded once, or as the reference rounds them. */
#include "compute/cpu/exec.h"
#include "compute/cpu/rows_split.h"

#include <math.h>
#include <string.h>

/* Frequencies of the published ladders that lie almost in the middle between two f32 and that torch
 * (MKL's exp) rounds up. One last bit of a frequency, times a guidance of 30000, turns by 1e-3. */
static bool rounds_up(int64_t i, int64_t half)
{
    if (half == 128) return i == 12 || i == 106;
    return half == 160 && (i == 2 || i == 15 || i == 42);
}

/* Angle of frequency i; the reference's f32 at each step where `single`. */
static double angle(double t, int64_t i, int64_t half, bool single)
{
    if (!single) return t * pow(10000.0, -(double)i / (double)half);
    const float exponent = (float)-log(10000.0) * (float)i / (float)half;
    float f = (float)exp((double)exponent);
    if (rounds_up(i, half)) f = nextafterf(f, 2.0f);
    return (double)((float)t * f);
}

SnugStatus cpu_exec_timestep(Call *c)
{
    const bool single = c->op->arg.timestep.single;
    const int64_t dim = tensor_cols(c->op->out), half = dim / 2;
    float *y = c->at->out;
    for (int s = 0; s < c->op->arg.timestep.n; s++) {
        for (int64_t i = 0; i < half; i++) {
            const double a = angle(c->op->arg.timestep.t[s], i, half, single);
            y[s * dim + i] = (float)cos(a); /* cos first */
            y[s * dim + half + i] = (float)sin(a);
        }
    }
    return SNUG_OK;
}

/* One axis: n positions, `pairs` frequencies of its own ladder from 10000^0. */
static float *axis_table(float *y, int64_t n, int64_t pairs)
{
    for (int64_t p = 0; p < n; p++) {
        for (int64_t i = 0; i < pairs; i++) {
            const double a = (double)p * pow(10000.0, -(double)i / (double)pairs);
            *y++ = (float)cos(a);
            *y++ = (float)sin(a);
        }
    }
    return y;
}

SnugStatus cpu_exec_rope_table(Call *c)
{
    const Op *op = c->op;
    float *y = axis_table(c->at->out, op->arg.rope.frames, op->arg.rope.pairs[0]);
    y = axis_table(y, op->arg.rope.height, op->arg.rope.pairs[1]);
    (void)axis_table(y, op->arg.rope.width, op->arg.rope.pairs[2]);
    return SNUG_OK;
}

/* Tables of a few rows at a time are spread out into the workspace, one area per unit of rows. */
enum { ROPE_ROWS = 64 };

size_t cpu_space_rope(const CpuDevice *cpu, const Op *op)
{
    const size_t d = (size_t)(tensor_cols(op->out) / op->arg.rope.heads);
    return size_align(ROPE_ROWS * d * sizeof(float), CPU_ALIGN) * (size_t)pool_threads(cpu->pool);
}

typedef struct RopeJob {
    const Call *c;
    unsigned char *areas;
    size_t area_bytes;
} RopeJob;

/* [cos, sin] pairs of token t: frame axis, row axis, column axis. */
static void gather_row(const Op *op, const float *table, int64_t t, float *to)
{
    const int64_t *n = op->arg.rope.pairs;
    const int64_t w = op->arg.rope.width, h = op->arg.rope.height;
    const int64_t frame = t / (h * w), row = t / w % h, col = t % w;
    const float *rows = table + op->arg.rope.frames * n[0] * 2;
    const float *cols = rows + h * n[1] * 2;
    memcpy(to, table + frame * n[0] * 2, (size_t)n[0] * 2 * sizeof *to);
    memcpy(to + n[0] * 2, rows + row * n[1] * 2, (size_t)n[1] * 2 * sizeof *to);
    memcpy(to + (n[0] + n[1]) * 2, cols + col * n[2] * 2, (size_t)n[2] * 2 * sizeof *to);
}

static void rope_unit(void *context, int64_t unit, int worker)
{
    const RopeJob *j = context;
    const Op *op = j->c->op;
    const int64_t cols = tensor_cols(op->out), d = cols / op->arg.rope.heads;
    const int64_t first = unit * ROPE_ROWS, rows = op->out.shape.dim[0];
    const int64_t n = rows - first < ROPE_ROWS ? rows - first : ROPE_ROWS;
    float *angles = (float *)(void *)(j->areas + (size_t)worker * j->area_bytes);
    for (int64_t i = 0; i < n; i++)
        gather_row(op, j->c->at->in[1], op->arg.rope.first + first + i, angles + i * d);
    j->c->cpu->kernels.rope_pairs((float *)j->c->at->out + first * cols,
                                  (const float *)j->c->at->in[0] + first * cols, angles, n,
                                  op->arg.rope.heads, d);
}

SnugStatus cpu_exec_rope(Call *c)
{
    const size_t bytes = cpu_space_rope(c->cpu, c->op);
    RopeJob j = { c, call_scratch(c, bytes), bytes / (size_t)pool_threads(c->cpu->pool) };
    pool_run(c->cpu->pool, (c->op->out.shape.dim[0] + ROPE_ROWS - 1) / ROPE_ROWS, rope_unit, &j);
    return SNUG_OK;
}
