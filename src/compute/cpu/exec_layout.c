/* exec_layout.c  Operations that move values, on the CPU. */
#include "compute/cpu/exec.h"

#include <string.h>

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
        memcpy(to, c->at->in[i], bytes);
        to += bytes;
    }
    return SNUG_OK;
}

SnugStatus cpu_exec_columns(Call *c)
{
    const int64_t rows = tensor_rows(c->op->out), cols = tensor_cols(c->op->out);
    const int64_t width = tensor_cols(c->op->in[0]);
    const float *from = (const float *)c->at->in[0] + c->op->arg.rows.first;
    float *to = c->at->out;
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * cols, from + i * width, (size_t)cols * sizeof *to);
    return SNUG_OK;
}

SnugStatus cpu_exec_concat(Call *c)
{
    const int64_t rows = tensor_rows(c->op->out), width = tensor_cols(c->op->out);
    float *to = c->at->out;
    for (int k = 0; k < c->op->n_in; k++) {
        const float *from = c->at->in[k];
        const int64_t cols = tensor_cols(c->op->in[k]);
        for (int64_t i = 0; i < rows; i++)
            memcpy(to + i * width, from + i * cols, (size_t)cols * sizeof *to);
        to += cols;
    }
    return SNUG_OK;
}

SnugStatus cpu_exec_write_rows(Call *c)
{
    const Tensor y = c->op->in[1];
    const size_t row_bytes = tensor_bytes(y) / (size_t)y.shape.dim[0];
    memcpy((unsigned char *)c->at->out + (size_t)c->op->arg.rows.first * row_bytes, c->at->in[1],
           tensor_bytes(y));
    return SNUG_OK;
}

SnugStatus cpu_exec_split_frames(Call *c)
{
    const Shape s = c->op->in[0].shape;
    const int64_t pixels = s.dim[1] * s.dim[2], half = s.dim[3] / 2;
    const float *from = c->at->in[0];
    float *to = c->at->out;
    for (int64_t f = 0; f < s.dim[0]; f++)
        for (int64_t p = 0; p < pixels; p++, from += 2 * half) {
            memcpy(to + (2 * f * pixels + p) * half, from, (size_t)half * sizeof *to);
            memcpy(to + ((2 * f + 1) * pixels + p) * half, from + half, (size_t)half * sizeof *to);
        }
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

SnugStatus cpu_exec_avg_down(Call *c)
{
    const Op *op = c->op;
    const Shape in = op->in[0].shape, out = op->out.shape;
    const int64_t block = (int64_t)op->arg.resample.ft * op->arg.resample.fs * op->arg.resample.fs;
    const int64_t run = in.dim[3] * block / out.dim[3]; /* values averaged into one */
    float *to = c->at->out;
    for (int64_t f = 0; f < out.dim[0]; f++)
        for (int64_t y = 0; y < out.dim[1]; y++)
            for (int64_t x = 0; x < out.dim[2]; x++)
                for (int64_t k = 0; k < out.dim[3]; k++) {
                    float sum = 0.0f;
                    for (int64_t i = k * run; i < (k + 1) * run; i++)
                        sum += block_value(c->at->in[0], in, i, f, y, x, op);
                    *to++ = sum / (float)run;
                }
    return SNUG_OK;
}

SnugStatus cpu_exec_dup_up(Call *c)
{
    const Op *op = c->op;
    const Shape in = op->in[0].shape, out = op->out.shape;
    const int64_t ft = op->arg.resample.ft, fs = op->arg.resample.fs;
    const int64_t repeats = out.dim[3] * ft * fs * fs / in.dim[3];
    const float *from = c->at->in[0];
    float *to = c->at->out;
    for (int64_t f = 0; f < out.dim[0]; f++) {
        const int64_t frame = f + op->arg.resample.drop, dt = frame % ft;
        for (int64_t y = 0; y < out.dim[1]; y++)
            for (int64_t x = 0; x < out.dim[2]; x++) {
                const float *pixel =
                    from + (((frame / ft) * in.dim[1] + y / fs) * in.dim[2] + x / fs) * in.dim[3];
                for (int64_t k = 0; k < out.dim[3]; k++)
                    *to++ = pixel[(((k * ft + dt) * fs + y % fs) * fs + x % fs) / repeats];
            }
    }
    return SNUG_OK;
}
