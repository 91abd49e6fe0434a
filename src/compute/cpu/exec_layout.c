/* exec_layout.c  Operations that move values, on the CPU. */
#include "compute/cpu/exec.h"
#include "compute/cpu/rows_split.h"

#include <string.h>

/* ---- copying, over all threads ---- */

/* Rows of `bytes` bytes each, their beginnings `to_step` and `from_step` bytes apart. */
typedef struct Move {
    unsigned char *to;
    const unsigned char *from;
    size_t to_step, from_step, bytes;
} Move;

static void move_rows(void *context, int64_t first, int64_t count)
{
    const Move *m = context;
    for (int64_t i = first; i < first + count; i++)
        memcpy(m->to + (size_t)i * m->to_step, m->from + (size_t)i * m->from_step, m->bytes);
}

static void move_pieces(void *context, int64_t first, int64_t count)
{
    const Move *m = context;
    memcpy(m->to + first, m->from + first, (size_t)count);
}

/* Few long rows are cut across, many short ones are shared out. */
static void move_all(const Call *c, Move m, int64_t rows)
{
    const int64_t cols = (int64_t)(m.bytes / sizeof(float));
    Pool *pool = c->cpu->pool;
    if (rows >= 4 * pool_threads(pool)) {
        rows_split(pool, rows, cols, move_rows, &m);
        return;
    }
    for (int64_t i = 0; i < rows; i++, m.to += m.to_step, m.from += m.from_step)
        rows_split(pool, (int64_t)m.bytes, 1, move_pieces, &m);
}

SnugStatus cpu_exec_input(Call *c)
{
    if (c->op->arg.input.fill) /* none: a blank, written later by rows */
        c->op->arg.input.fill(c->op->arg.input.context, c->at->out, tensor_count(c->op->out));
    return SNUG_OK;
}

SnugStatus cpu_exec_output(Call *c)
{
    (void)c; /* handed out by the run itself: host memory is this device's memory */
    return SNUG_OK;
}

/* Index of value (c, t, y, x) inside its patch. */
static int64_t in_patch(const Op *op, int64_t channels, int64_t c, int64_t t, int64_t y, int64_t x)
{
    const int64_t pt = op->arg.patch.pt, ph = op->arg.patch.ph, pw = op->arg.patch.pw;
    switch (op->arg.patch.order) {
    case PATCH_THWC:
        return ((t * ph + y) * pw + x) * channels + c;
    case PATCH_CTWH:
        return ((c * pt + t) * pw + x) * ph + y;
    case PATCH_CTHW:
    default:
        return ((c * pt + t) * ph + y) * pw + x;
    }
}

/* Walk all values of the video [F, H, W, C]; `to_patches` or back. */
static void move_patches(const Call *c, Shape video, bool to_patches)
{
    const Op *op = c->op;
    const int64_t pt = op->arg.patch.pt, ph = op->arg.patch.ph, pw = op->arg.patch.pw;
    const int64_t channels = video.dim[3], patch = pt * ph * pw * channels;
    const int64_t gh = video.dim[1] / ph, gw = video.dim[2] / pw;
    const float *from = c->at->in[0];
    float *to = c->at->out;
    int64_t at = 0;
    for (int64_t f = 0; f < video.dim[0]; f++) {
        for (int64_t y = 0; y < video.dim[1]; y++) {
            for (int64_t x = 0; x < video.dim[2]; x++) {
                const int64_t token = ((f / pt) * gh + y / ph) * gw + x / pw;
                for (int64_t k = 0; k < channels; k++, at++) {
                    const int64_t p =
                        token * patch + in_patch(op, channels, k, f % pt, y % ph, x % pw);
                    if (to_patches)
                        to[p] = from[at];
                    else
                        to[at] = from[p];
                }
            }
        }
    }
}

SnugStatus cpu_exec_patchify(Call *c)
{
    move_patches(c, c->op->in[0].shape, true);
    return SNUG_OK;
}

SnugStatus cpu_exec_unpatchify(Call *c)
{
    move_patches(c, c->op->out.shape, false);
    return SNUG_OK;
}

SnugStatus cpu_exec_copy(Call *c)
{
    unsigned char *to = c->at->out;
    for (int i = 0; i < c->op->n_in; i++) {
        const size_t bytes = tensor_bytes(c->op->in[i]);
        move_all(c, (Move){ .to = to, .from = c->at->in[i], .bytes = bytes }, 1);
        to += bytes;
    }
    return SNUG_OK;
}

SnugStatus cpu_exec_columns(Call *c)
{
    const size_t width = sizeof(float) * (size_t)tensor_cols(c->op->in[0]);
    const size_t cols = sizeof(float) * (size_t)tensor_cols(c->op->out);
    move_all(c,
             (Move){ .to = c->at->out,
                     .from = (const unsigned char *)c->at->in[0] +
                             sizeof(float) * (size_t)c->op->arg.rows.first,
                     .to_step = cols,
                     .from_step = width,
                     .bytes = cols },
             tensor_rows(c->op->out));
    return SNUG_OK;
}

SnugStatus cpu_exec_concat(Call *c)
{
    const size_t width = sizeof(float) * (size_t)tensor_cols(c->op->out);
    unsigned char *to = c->at->out;
    for (int k = 0; k < c->op->n_in; k++) {
        const size_t cols = sizeof(float) * (size_t)tensor_cols(c->op->in[k]);
        move_all(c,
                 (Move){ .to = to,
                         .from = c->at->in[k],
                         .to_step = width,
                         .from_step = cols,
                         .bytes = cols },
                 tensor_rows(c->op->out));
        to += cols;
    }
    return SNUG_OK;
}

SnugStatus cpu_exec_write_rows(Call *c)
{
    const Tensor y = c->op->in[1];
    const size_t row_bytes = tensor_bytes(y) / (size_t)y.shape.dim[0];
    move_all(c,
             (Move){ .to = (unsigned char *)c->at->out + (size_t)c->op->arg.rows.first * row_bytes,
                     .from = c->at->in[1],
                     .bytes = tensor_bytes(y) },
             1);
    return SNUG_OK;
}

SnugStatus cpu_exec_write_columns(Call *c)
{
    const Tensor x = c->op->in[0], y = c->op->in[1];
    move_all(
        c,
        (Move){ .to = (unsigned char *)c->at->out + sizeof(float) * (size_t)c->op->arg.columns.to,
                .from = (const unsigned char *)c->at->in[1] +
                        sizeof(float) * (size_t)c->op->arg.columns.from,
                .to_step = sizeof(float) * (size_t)tensor_cols(x),
                .from_step = sizeof(float) * (size_t)tensor_cols(y),
                .bytes = sizeof(float) * (size_t)c->op->arg.columns.count },
        tensor_rows(x));
    return SNUG_OK;
}

/* Pixels over all frames: the halves of their channels go to two frames. */
static void split_pixels(void *context, int64_t first, int64_t count)
{
    const Call *c = context;
    const Shape s = c->op->in[0].shape;
    const int64_t pixels = s.dim[1] * s.dim[2], half = s.dim[3] / 2;
    const float *from = (const float *)c->at->in[0] + first * 2 * half;
    for (int64_t i = first; i < first + count; i++, from += 2 * half) {
        float *to = (float *)c->at->out + (2 * (i / pixels) * pixels + i % pixels) * half;
        memcpy(to, from, (size_t)half * sizeof *to);
        memcpy(to + pixels * half, from + half, (size_t)half * sizeof *to);
    }
}

SnugStatus cpu_exec_split_frames(Call *c)
{
    const Tensor x = c->op->in[0];
    rows_split(c->cpu->pool, tensor_rows(x), tensor_cols(x), split_pixels, c);
    return SNUG_OK;
}

/* Value of [C, ft, fs, fs] index i of the block at (f, y, x); frames before the first are zero. */
static float block_value(const float *x, Shape s, int64_t i, int64_t f, int64_t y, int64_t col,
                         const Op *op)
{
    const int64_t fs = op->arg.resample.fs, ft = op->arg.resample.ft;
    const int64_t dx = i % fs, dy = i / fs % fs, dt = i / (fs * fs) % ft, k = i / (fs * fs * ft);
    const int64_t lead = (ft - s.dim[0] % ft) % ft; /* zero frames in front */
    const int64_t frame = f * ft + dt - lead;
    if (frame < 0) return 0.0f;
    return x[((frame * s.dim[1] + y * fs + dy) * s.dim[2] + col * fs + dx) * s.dim[3] + k];
}

/* Rows of the output, over frames and height. */
static void average_rows(void *context, int64_t first, int64_t count)
{
    const Call *c = context;
    const Op *op = c->op;
    const Shape in = op->in[0].shape, out = op->out.shape;
    const int64_t block = (int64_t)op->arg.resample.ft * op->arg.resample.fs * op->arg.resample.fs;
    const int64_t run = in.dim[3] * block / out.dim[3]; /* values averaged into one */
    float *to = (float *)c->at->out + first * out.dim[2] * out.dim[3];
    for (int64_t row = first; row < first + count; row++)
        for (int64_t x = 0; x < out.dim[2]; x++)
            for (int64_t k = 0; k < out.dim[3]; k++) {
                float sum = 0.0f;
                for (int64_t i = k * run; i < (k + 1) * run; i++)
                    sum +=
                        block_value(c->at->in[0], in, i, row / out.dim[1], row % out.dim[1], x, op);
                *to++ = sum / (float)run;
            }
}

SnugStatus cpu_exec_avg_down(Call *c)
{
    const Shape out = c->op->out.shape;
    rows_split(c->cpu->pool, out.dim[0] * out.dim[1], out.dim[2] * out.dim[3], average_rows, c);
    return SNUG_OK;
}

/* One pixel: to[k] = from[(k * block + place) / repeats]. */
static void repeat_pixel(float *to, const float *from, int64_t channels, int64_t block,
                         int64_t place, int64_t repeats)
{
    const int64_t whole = block / repeats, part = block % repeats;
    int64_t at = place / repeats, rest = place % repeats;
    if (block == repeats) { /* every channel becomes a block */
        memcpy(to, from + at, (size_t)channels * sizeof *to);
        return;
    }
    for (int64_t k = 0; k < channels; k++) {
        to[k] = from[at];
        at += whole;
        rest += part;
        if (rest < repeats) continue;
        rest -= repeats;
        at++;
    }
}

/* Rows of the output, over frames and height. */
static void repeat_rows(void *context, int64_t first, int64_t count)
{
    const Call *c = context;
    const Op *op = c->op;
    const Shape in = op->in[0].shape, out = op->out.shape;
    const int64_t ft = op->arg.resample.ft, fs = op->arg.resample.fs, block = ft * fs * fs;
    const int64_t channels = out.dim[3];
    float *to = (float *)c->at->out + first * out.dim[2] * channels;
    for (int64_t row = first; row < first + count; row++) {
        const int64_t frame = row / out.dim[1] + op->arg.resample.drop, y = row % out.dim[1];
        const float *line = (const float *)c->at->in[0] +
                            ((frame / ft) * in.dim[1] + y / fs) * in.dim[2] * in.dim[3];
        for (int64_t x = 0; x < out.dim[2]; x++, to += channels)
            repeat_pixel(to, line + x / fs * in.dim[3], channels, block,
                         ((frame % ft) * fs + y % fs) * fs + x % fs, channels * block / in.dim[3]);
    }
}

SnugStatus cpu_exec_dup_up(Call *c)
{
    const Shape out = c->op->out.shape;
    rows_split(c->cpu->pool, out.dim[0] * out.dim[1], out.dim[2] * out.dim[3], repeat_rows, c);
    return SNUG_OK;
}
