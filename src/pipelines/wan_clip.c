/* wan_clip.c  Pictures for the CLIP network: configuration of the preparation, resampling, values.
 *
 * Source: transformers CLIPImageProcessor (5.23, Pillow) and the original Wan2.1 (clip.py,
 * spec/wan.md 6.3); goldens: tests/golden/pipelines/i2v_clip, first_last. */
#include "pipelines/wan_clip.h"

#include <string.h>

#include "media/image_read.h"

static const float CLIP_MEAN[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
static const float CLIP_STD[3] = { 0.26862954f, 0.26130258f, 0.27577711f };

/* ---- configuration -------------------------------------------------------------------------- */

/* "size" and "crop_size" are a number, or an object with other keys. */
static SnugStatus read_extent(Json config, const char *key, int otherwise, int *width, int *height,
                              int *shortest, SnugError *err)
{
    int64_t w = otherwise, h = otherwise, s = shortest ? otherwise : 0;
    const Json value = json_get(config, key);
    if (json_kind(value) == JSON_KIND_OBJECT) {
        TRY(json_int(value, "shortest_edge", 0, 0, 4096, &s, err));
        TRY(json_int(value, "width", 0, 0, 4096, &w, err));
        TRY(json_int(value, "height", 0, 0, 4096, &h, err));
        if (!(w && h) && !(s && shortest))
            return json_fault(value, err, FAULT_UNSUPPORTED, "needs %swidth and height",
                              shortest ? "shortest_edge, or " : "");
        if (w && h) s = 0;
    } else if (json_has(config, key)) {
        TRY(json_as_int(value, 1, 4096, &w, err));
        h = w;
        s = shortest ? w : 0;
    }
    *width = (int)w;
    *height = (int)h;
    if (shortest) *shortest = (int)s;
    return SNUG_OK;
}

static SnugStatus read_filter(Json config, ResizeFilter *out, SnugError *err)
{
    static const ResizeFilter PILLOW[] = { RESIZE_NEAREST, RESIZE_LANCZOS, RESIZE_BILINEAR,
                                           RESIZE_BICUBIC, RESIZE_BOX };
    int64_t number;
    TRY(json_int(config, "resample", 3, 0, 4, &number, err));
    *out = PILLOW[number];
    return SNUG_OK;
}

static SnugStatus read_values(Json config, WanClipLook *look, SnugError *err)
{
    bool rescale, normalise;
    double mean[3] = { 0 }, std[3] = { 0 };
    int n_mean = 0, n_std = 0;
    TRY(json_bool(config, "do_rescale", true, &rescale, err));
    TRY(json_bool(config, "do_normalize", true, &normalise, err));
    TRY(json_f64(config, "rescale_factor", 1.0 / 255.0, 0.0, 1.0, &look->factor, err));
    TRY(json_f64s(config, "image_mean", -1e3, 1e3, mean, 3, &n_mean, err));
    TRY(json_f64s(config, "image_std", 1e-6, 1e3, std, 3, &n_std, err));
    if ((n_mean != 0 && n_mean != 3) || (n_std != 0 && n_std != 3))
        return json_fault(json_get(config, n_mean % 3 ? "image_mean" : "image_std"), err, FAULT_BAD,
                          "needs three numbers");
    if (!rescale) look->factor = 1.0;
    for (int i = 0; i < 3; i++) {
        look->mean[i] = !normalise ? 0.0f : n_mean ? (float)mean[i] : CLIP_MEAN[i];
        look->std[i] = !normalise ? 1.0f : n_std ? (float)std[i] : CLIP_STD[i];
    }
    return SNUG_OK;
}

/* Does every picture become a square of `want` px, without a border put around it? */
static bool gives_square(const WanClipLook *l, int want)
{
    if (!l->resize) return false;
    if (!l->crop) return !l->shortest_px && l->width_px == want && l->height_px == want;
    const int shorter = l->width_px < l->height_px ? l->width_px : l->height_px;
    return l->crop_width == want && l->crop_height == want &&
           (l->shortest_px ? l->shortest_px : shorter) >= want;
}

static SnugStatus read_look(WanClip *c, Json config, SnugError *err)
{
    const int want = c->net.cfg.image_px;
    WanClipLook *l = &c->look;
    TRY(json_bool(config, "do_resize", true, &l->resize, err));
    TRY(json_bool(config, "do_center_crop", true, &l->crop, err));
    TRY(read_extent(config, "size", 224, &l->width_px, &l->height_px, &l->shortest_px, err));
    TRY(read_extent(config, "crop_size", 224, &l->crop_width, &l->crop_height, NULL, err));
    TRY(read_filter(config, &l->filter, err));
    TRY(read_values(config, l, err));
    if (gives_square(l, want)) return SNUG_OK;
    return json_fault(config, err, FAULT_MISMATCH,
                      "pictures do not become %d x %d px, which the image encoder takes", want,
                      want);
}

SnugStatus wan_clip_bind(WanClip *c, WeightTable *table, const Checkpoint *weights, Json config,
                         Json processor, SnugError *err)
{
    c->path = checkpoint_path(weights);
    if (json_kind(config) == JSON_KIND_NONE)
        TRY(clip_vision_config_guess(&c->net.cfg, weights, err));
    else
        TRY(clip_vision_config_read(&c->net.cfg, config, err));
    if (json_kind(processor) == JSON_KIND_NONE) {
        c->look = (WanClipLook){ .original = true };
        memcpy(c->look.mean, CLIP_MEAN, sizeof CLIP_MEAN);
        memcpy(c->look.std, CLIP_STD, sizeof CLIP_STD);
    } else
        TRY(read_look(c, processor, err));
    Weights w;
    weights_begin(&w, table, weights, "image_encoder");
    clip_vision_weights(&c->net, &w);
    return weights_end(&w, err);
}

/* ---- pictures ------------------------------------------------------------------------------- */

/* Resized, and its middle cut out: as 8 bits. */
static SnugStatus fit(const WanClipLook *look, Heap *heap, const Image *in, Image *out,
                      SnugError *err)
{
    int w = look->width_px, h = look->height_px;
    if (look->shortest_px) { /* the longer edge is cut to a whole number of pixels */
        const double s = look->shortest_px;
        w = in->width <= in->height ? look->shortest_px : (int)(s * in->width / in->height);
        h = in->width <= in->height ? (int)(s * in->height / in->width) : look->shortest_px;
    }
    if (!look->crop) return resize_image(out, heap, in, w, h, look->filter, err);
    Image big = { 0 };
    SnugStatus status = resize_image(&big, heap, in, w, h, look->filter, err);
    if (status == SNUG_OK)
        status = resize_crop_centre(out, heap, &big, look->crop_width, look->crop_height, err);
    image_release(&big);
    return status;
}

static SnugStatus prepare_bytes(const WanClip *c, Heap *heap, const Image *in, float *to,
                                SnugError *err)
{
    const int side = clip_vision_seen_px(&c->net.cfg);
    const WanClipLook *look = &c->look;
    Image fitted = { 0 };
    const SnugStatus status = fit(look, heap, in, &fitted, err);
    for (int y = 0; status == SNUG_OK && y < side; y++) {
        const uint8_t *row = fitted.pixels + (size_t)y * (size_t)fitted.width * 3;
        for (int i = 0; i < 3 * side; i++)
            *to++ = ((float)(row[i] * look->factor) - look->mean[i % 3]) / look->std[i % 3];
    }
    image_release(&fitted);
    return status;
}

/* The original's way: -1..1, bicubic without smoothing, back to 0..1. */
static SnugStatus prepare_floats(const WanClip *c, Heap *heap, const Image *in, float *to,
                                 SnugError *err)
{
    const int full = c->net.cfg.image_px, side = clip_vision_seen_px(&c->net.cfg);
    const size_t n = (size_t)in->width * (size_t)in->height * 3,
                 m = (size_t)full * (size_t)full * 3;
    float *wide = heap_take(heap, (n + m) * sizeof *wide, "image");
    if (!wide) return error_set(err, SNUG_ERR_MEMORY, "no memory for the picture");
    image_to_hwc(wide, in, IMAGE_SIGNED);
    const ResizeShape shape = { 3, in->height, in->width, RESIZE_HWC };
    const SnugStatus status = resize_bicubic_f32(wide + n, full, full, wide, shape, heap, err);
    for (int y = 0; status == SNUG_OK && y < side; y++) {
        const float *row = wide + n + (size_t)y * (size_t)full * 3;
        for (int i = 0; i < 3 * side; i++)
            *to++ = (row[i] * 0.5f + 0.5f - c->look.mean[i % 3]) / c->look.std[i % 3];
    }
    heap_give(heap, wide);
    return status;
}

SnugStatus wan_clip_look_at(WanClip *c, Heap *heap, const char *path, SnugError *err)
{
    const size_t side = (size_t)clip_vision_seen_px(&c->net.cfg);
    Image in = { 0 };
    if (c->n_pictures == CLIP_MAX_PICTURES)
        return error_set(err, SNUG_ERR_INTERNAL, "more than two pictures for the image encoder");
    SnugStatus status = image_read_file(&in, heap, path, 3, NULL, err);
    if (status != SNUG_OK) return status;
    float *pixels = heap_take(heap, side * side * 3 * sizeof *pixels, "image");
    if (!pixels)
        status = error_set(err, SNUG_ERR_MEMORY, "no memory for the picture");
    else {
        c->pixels[c->n_pictures++] = pixels;
        status = c->look.original ? prepare_floats(c, heap, &in, pixels, err)
                                  : prepare_bytes(c, heap, &in, pixels, err);
    }
    image_release(&in);
    return status;
}

void wan_clip_release(WanClip *c, Heap *heap)
{
    for (int i = 0; i < c->n_pictures; i++)
        heap_give(heap, c->pixels[i]);
    c->n_pictures = 0;
}

/* ---- recipe --------------------------------------------------------------------------------- */

static void fill_pixels(void *context, float *to, int64_t count)
{
    memcpy(to, context, (size_t)count * sizeof *to);
}

Tensor wan_clip_encode(Run *r, WanClip *c)
{
    const int side = clip_vision_seen_px(&c->net.cfg);
    Tensor pixels[CLIP_MAX_PICTURES];
    for (int i = 0; i < c->n_pictures; i++)
        pixels[i] = run_input(r, SHAPE(1, side, side, 3), fill_pixels, c->pixels[i]);
    return clip_vision_encode(r, &c->net, c->n_pictures, pixels);
}
