/* bands.c  Keeping rows and frames between bands. */
#include "nn/bands.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* [F, H, W, C] as [F, H W C]: rows of frames are columns then. */
static Tensor flat(Run *r, Tensor x)
{
    if (!run_ok(r)) return NO_TENSOR;
    return op_reshape(r, x, SHAPE(x.shape.dim[0], tensor_count(x) / x.shape.dim[0]));
}

static int64_t row_values(Tensor x)
{
    return x.shape.dim[2] * x.shape.dim[3];
}

static Tensor blank_rows(Run *r, Tensor like, int64_t frames, int64_t rows)
{
    return op_blank(r, SHAPE(frames, rows, like.shape.dim[2], like.shape.dim[3]));
}

/* Rows from .. from + count of y become rows to .. of x, frame by frame. */
static void copy_rows(Run *r, Tensor x, int64_t to, Tensor y, int64_t from, int64_t count)
{
    if (!run_ok(r) || count <= 0) return;
    const int64_t row = row_values(x);
    (void)op_write_columns(r, flat(r, x), to * row, flat(r, y), from * row, count * row);
}

Band nn_band_whole(Run *r, Tensor x)
{
    if (!run_ok(r)) return (Band){ .x = NO_TENSOR };
    return (Band){ x, 0, x.shape.dim[1], x.shape.dim[1] };
}

Band nn_band_part(Run *r, Band b, int64_t first, int64_t end)
{
    if (!run_ok(r) || (first == b.first && end == b.end)) return b;
    const int64_t row = row_values(b.x), frames = b.x.shape.dim[0];
    Tensor part = flat(r, b.x);
    if (frames == 1) {
        part = op_reshape(r, part, SHAPE(b.end - b.first, row));
        part = op_rows(r, part, first - b.first, end - first);
    } else
        part = op_columns(r, part, (first - b.first) * row, (end - first) * row);
    part = op_reshape(r, part, SHAPE(frames, end - first, b.x.shape.dim[2], b.x.shape.dim[3]));
    return (Band){ part, first, end, b.height };
}

/* ---- how far rows reach --------------------------------------------------------------------- */

int64_t nn_band_height(BandStep s, int64_t height)
{
    return height * s.upsample / s.stride;
}

int64_t nn_band_ready(BandStep s, int64_t in_end, int64_t height)
{
    if (in_end >= height) return nn_band_height(s, height);
    if (s.kernel == 1) return in_end;
    const int64_t rows = (in_end * s.upsample - 1) / s.stride; /* one more row is seen below */
    return rows > 0 ? rows / CONV_BAND * CONV_BAND : 0;
}

int64_t nn_band_need(BandStep s, int64_t out_end, int64_t height)
{
    if (out_end >= nn_band_height(s, height)) return height;
    if (s.kernel == 1) return out_end;
    const int64_t above = s.stride == 1 ? 1 : 0, row = out_end * s.stride - above;
    return row > 0 ? row / s.upsample : 0;
}

int64_t nn_band_most(BandStep s)
{
    return s.kernel == 1 ? 0 : (CONV_BAND * s.stride + 1) / s.upsample + 1;
}

/* ---- rows ----------------------------------------------------------------------------------- */

Band nn_band_join(Run *r, const BandKeep *keep, Band b, int64_t low)
{
    if (low >= b.first) return b;
    const int64_t kept = b.first - low;
    Band all = { NO_TENSOR, low, b.end, b.height };
    if (!run_ok(r)) return all;
    all.x = blank_rows(r, b.x, b.x.shape.dim[0], b.end - low);
    copy_rows(r, all.x, 0, keep->room, 0, kept);
    copy_rows(r, all.x, kept, b.x, 0, b.end - b.first);
    return all;
}

void nn_band_keep(Run *r, BandKeep *keep, Band b, int64_t low, int64_t most)
{
    if (!run_ok(r) || b.end >= b.height || low >= b.end) return;
    const int64_t frames = b.x.shape.dim[0];
    if (!keep->has_room || frames > 1 || keep->room.shape.dim[0] != frames) {
        keep->room = blank_rows(r, b.x, frames, frames > 1 ? b.end - low : least(most, b.height));
        keep->has_room = true;
    }
    copy_rows(r, keep->room, 0, b.x, low - b.first, b.end - low);
}

/* ---- convolutions --------------------------------------------------------------------------- */

/* Padding that makes rows first .. end of the result out of the rows of `in`: rows of `in` that
 * they do not look at are cut off by negative padding. */
static ConvGeometry geometry(const Conv *c, BandStep s, Band in, int64_t first, int64_t end)
{
    const int64_t height = nn_band_height(s, in.height);
    const int up = s.upsample, around = s.kernel == 1 || s.stride > 1 ? 0 : 1;
    const int64_t top = in.first * up - (first * s.stride - around);
    const int64_t bottom = (end - 1) * s.stride - around + s.kernel - in.end * up;
    return (ConvGeometry){ .kt = c->kt,
                           .kh = c->kh,
                           .kw = c->kw,
                           .stride_t = 1,
                           .stride = s.stride,
                           .top = (int)top,
                           .left = around,
                           .bottom = (int)bottom,
                           .right = s.kernel == 1 ? 0 : 1,
                           .upsample = up,
                           .n_past = c->kt - 1,
                           .groups = 1,
                           .image_h = height,
                           .image_w = in.x.shape.dim[2] * up / s.stride };
}

Tensor nn_band_conv2d(Run *r, const Conv *c, BandStep step, Band in, int64_t first, int64_t end,
                      Tensor residual)
{
    if (!run_ok(r)) return NO_TENSOR;
    const ConvGeometry g = geometry(c, step, in, first, end);
    return op_conv_add(r, in.x, NULL, 0, c->weight, c->bias, &g, residual);
}

/* The frames before the group that are kept, oldest first, cut to the rows of `in`. */
static int past_rows(Run *r, const BandConv *s, Frames f, Band in, int reach, Tensor past[2])
{
    const int held = (int)least(f.first, reach);
    for (int i = 0; i < held; i++) {
        const Band slot = { s->slot[(f.first - held + i) % 2], 0, in.height, in.height };
        past[i] = nn_band_part(r, slot, in.first, in.end).x;
    }
    return held;
}

/* Rows in.first .. low of the last frames of the group are not looked at again in the frames
 * whose place they take: they become the past of the next group. */
static void remember(Run *r, BandConv *s, Frames f, Band in, int64_t low, int reach)
{
    if (f.first + f.count >= f.total || low <= in.first) return;
    for (int64_t i = f.count > reach ? f.count - reach : 0; i < f.count && run_ok(r); i++) {
        const int64_t k = (f.first + i) % 2;
        if (!s->has_slot[k]) s->slot[k] = blank_rows(r, in.x, 1, in.height);
        s->has_slot[k] = true;
        copy_rows(r, s->slot[k], in.first, op_rows(r, in.x, i, 1), 0, low - in.first);
    }
}

Band nn_band_causal(Run *r, BandConv *s, const Conv *c, Frames f, Band in, Band residual)
{
    const BandStep step = { c->kh, 1, 1 };
    const int64_t first = nn_band_ready(step, in.first, in.height);
    const int64_t end = nn_band_ready(step, in.end, in.height);
    const int64_t low = nn_band_need(step, end, in.height);
    const int reach = c->kt - 1;
    Band out = { NO_TENSOR, first, end, in.height };
    const Band all = nn_band_join(r, &s->keep, in, nn_band_need(step, first, in.height));
    if (!run_ok(r)) return out;
    if (end > first) {
        Tensor past[2], add = NO_TENSOR;
        const int held = past_rows(r, s, f, all, reach, past);
        const ConvGeometry g = geometry(c, step, all, first, end);
        if (tensor_exists(residual.x)) add = nn_band_part(r, residual, first, end).x;
        out.x = op_conv_add(r, all.x, past, held, c->weight, c->bias, &g, add);
        if (run_ok(r)) remember(r, s, f, all, low, reach);
    }
    nn_band_keep(r, &s->keep, all, low, nn_band_most(step));
    return out;
}

/* ---- whole frames --------------------------------------------------------------------------- */

bool nn_band_gather(Run *r, BandGather *g, Band b, Band *whole)
{
    *whole = b;
    if (!run_ok(r)) return false;
    if (b.first == 0 && b.end == b.height) return true;
    if (b.first == b.end) return false;
    const int64_t frames = b.x.shape.dim[0];
    if (!g->has_whole || g->whole.shape.dim[0] != frames)
        g->whole = blank_rows(r, b.x, frames, b.height);
    g->has_whole = true;
    copy_rows(r, g->whole, b.first, b.x, 0, b.end - b.first);
    *whole = (Band){ g->whole, 0, b.height, b.height };
    return run_ok(r) && b.end == b.height;
}
