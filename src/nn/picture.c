/* picture.c  Each layer's result whole, what lies inside a layer in bands of rows. */
#include "nn/picture.h"

/* ---- rows of pictures ----------------------------------------------------------------------- */

static Tensor picture_rows(Run *r, Tensor x, int64_t first, int64_t end)
{
    if (!run_ok(r) || (first == 0 && end == x.shape.dim[1])) return x;
    const int64_t h = x.shape.dim[1], w = x.shape.dim[2], c = x.shape.dim[3];
    Tensor rows = op_rows(r, op_reshape(r, x, SHAPE(h, w * c)), first, end - first);
    return op_reshape(r, rows, SHAPE(1, end - first, w, c));
}

static Tensor write_picture_rows(Run *r, Tensor x, int64_t first, Tensor rows)
{
    if (!run_ok(r)) return NO_TENSOR;
    const Shape shape = x.shape;
    const int64_t row = shape.dim[2] * shape.dim[3];
    x = op_write_rows(r, op_reshape(r, x, SHAPE(shape.dim[1], row)), first,
                      op_reshape(r, rows, SHAPE(rows.shape.dim[1], row)));
    return op_reshape(r, x, shape);
}

/* Rows of a band: the plan's number, in whole blocks of the convolutions. */
static int64_t band_rows(const Run *r, int64_t height)
{
    const int64_t rows = (r->knobs.band_rows + CONV_BAND - 1) / CONV_BAND * CONV_BAND;
    return rows > 0 && rows < height ? rows : height;
}

Tensor nn_picture_moments(Run *r, Tensor x, int64_t groups)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t h = x.shape.dim[1], band = band_rows(r, h);
    if (band == h) return op_group_moments(r, x, groups);
    Tensor all = op_blank(r, SHAPE(h, groups, 2));
    for (int64_t y = 0; y < h && run_ok(r); y += band) {
        Tensor rows = picture_rows(r, x, y, y + band < h ? y + band : h);
        all = op_write_rows(r, all, y, op_group_moments(r, rows, groups));
    }
    return all;
}

/* ---- a layer -------------------------------------------------------------------------------- */

static int64_t result_side(PictureStep step, int64_t side)
{
    switch (step) {
    case PICTURE_UP:
        return 2 * side;
    case PICTURE_DOWN:
        return side / 2;
    case PICTURE_HALVE:
        return (side + 1) / 2;
    case PICTURE_SAME:
    default:
        return side;
    }
}

/* Geometry of result rows y0 .. y1 - 1, and the rows of x they take: *first .. *end - 1. */
static ConvGeometry band_geometry(const PictureLayer *l, int64_t y0, int64_t y1, int64_t *first,
                                  int64_t *end)
{
    const bool halves = l->step == PICTURE_DOWN || l->step == PICTURE_HALVE;
    const int up = l->step == PICTURE_UP ? 2 : 1, stride = halves ? 2 : 1;
    const int kernel = l->conv->kh, pad = l->step == PICTURE_DOWN ? 0 : kernel / 2;
    const int64_t h = l->x.shape.dim[1], w = l->x.shape.dim[2];
    const int64_t low = stride * y0 - pad, high = stride * (y1 - 1) - pad + kernel; /* of up * h */
    *first = low < 0 ? 0 : low / up;
    *end = (high + up - 1) / up < h ? (high + up - 1) / up : h;
    return (ConvGeometry){ .kt = 1,
                           .kh = kernel,
                           .kw = kernel,
                           .stride_t = 1,
                           .stride = stride,
                           .top = (int)(up * *first - low),
                           .bottom = (int)(high - up * *end),
                           .left = pad,
                           .right = l->step == PICTURE_DOWN ? 1 : pad,
                           .upsample = up,
                           .groups = 1,
                           .image_h = result_side(l->step, h),
                           .image_w = result_side(l->step, w) };
}

static Tensor skip_rows(Run *r, const PictureLayer *l, int64_t y0, int64_t y1)
{
    if (!tensor_exists(l->skip)) return NO_TENSOR;
    Tensor rows = picture_rows(r, l->skip, y0, y1);
    if (!l->shortcut) return rows;
    int64_t first, end;
    const PictureLayer point = { .x = l->skip, .conv = l->shortcut };
    const ConvGeometry g = band_geometry(&point, y0, y1, &first, &end);
    return nn_conv_add(r, rows, l->shortcut, &g, NO_TENSOR);
}

static Tensor layer_rows(Run *r, const PictureLayer *l, int64_t y0, int64_t y1)
{
    int64_t first, end;
    const ConvGeometry g = band_geometry(l, y0, y1, &first, &end);
    Tensor skip = skip_rows(r, l, y0, y1);
    Tensor rows = picture_rows(r, l->x, first, end);
    if (l->norm)
        rows = op_group_norm(r, rows, l->moments, l->norm->weight, l->norm->bias, l->eps, ACT_SILU);
    rows = nn_conv_add(r, rows, l->conv, &g, skip);
    if (l->has_shift) rows = op_add(r, rows, l->shift);
    return l->after == ACT_NONE ? rows : op_activation(r, rows, l->after);
}

Tensor nn_picture_layer(Run *r, const PictureLayer *l)
{
    if (!run_ok(r)) return NO_TENSOR;
    const int64_t h = result_side(l->step, l->x.shape.dim[1]), band = band_rows(r, h);
    if (band == h) return layer_rows(r, l, 0, h);
    const int64_t w = result_side(l->step, l->x.shape.dim[2]);
    /* rows that were added are not needed again: the result may lie in their place */
    Tensor y = tensor_exists(l->skip) && !l->shortcut && !l->keeps_skip
                   ? l->skip
                   : op_blank(r, SHAPE(1, h, w, l->conv->weight->shape.dim[0]));
    for (int64_t y0 = 0; y0 < h && run_ok(r); y0 += band)
        y = write_picture_rows(r, y, y0, layer_rows(r, l, y0, y0 + band < h ? y0 + band : h));
    return y;
}

Tensor nn_picture_conv(Run *r, const Conv *conv, Tensor x, PictureStep step)
{
    return nn_picture_layer(
        r, &(PictureLayer){ .x = x, .conv = conv, .step = step, .skip = NO_TENSOR });
}

Tensor nn_picture_normed_conv(Run *r, const NormWeights *norm, int64_t groups, float eps,
                              const Conv *conv, Tensor x)
{
    const PictureLayer l = { .x = x,
                             .norm = norm,
                             .moments = nn_picture_moments(r, x, groups),
                             .eps = eps,
                             .conv = conv,
                             .skip = NO_TENSOR };
    return nn_picture_layer(r, &l);
}
