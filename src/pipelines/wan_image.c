/* wan_image.c  The pictures of an image-to-video request: size by aspect, resampling, values.
 *
 * With --size the picture is brought to exactly that. Without, the size follows the picture
 * (spec/wan.md 6.1, 6.2): by area for models that take it as channels, by the nearest of two grids
 * for first-frame models. Resampling is the original's for original files, else that of diffusers. */
#include "pipelines/wan.h"

#include <math.h>

#include "media/image_read.h"
#include "media/resize.h"

typedef struct Size {
    int width, height;
} Size;

/* Area `area` at the picture's aspect, both sides multiples of the grid (wan.md 6.1). */
static Size size_by_area(const Image *in, double area, int space, int ph, int pw)
{
    const double aspect = (double)in->height / in->width;
    const int h = (int)(floor(floor(sqrt(area * aspect) / space) / ph) * ph);
    const int w = (int)(floor(floor(sqrt(area / aspect) / space) / pw) * pw);
    return (Size){ (w > pw ? w : pw) * space, (h > ph ? h : ph) * space };
}

static double stretch(double a, double b)
{
    return a > b ? a / b : b / a;
}

/* best_output_size of the original TI2V (wan.md 6.2). */
static Size size_by_grid(const Image *in, double area, int gw, int gh)
{
    const double ratio = (double)in->width / in->height, ow = sqrt(area * ratio), oh = area / ow;
    const int w1 = (int)(ow / gw) * gw, h1 = w1 ? (int)(area / w1 / gh) * gh : 0;
    const int h2 = (int)(oh / gh) * gh, w2 = h2 ? (int)(area / h2 / gw) * gw : 0;
    if (!w1 || !h1) return w2 && h2 ? (Size){ w2, h2 } : (Size){ gw, gh };
    if (!w2 || !h2) return (Size){ w1, h1 };
    const double r1 = (double)w1 / h1, r2 = (double)w2 / h2;
    return stretch(ratio, r1) < stretch(ratio, r2) ? (Size){ w1, h1 } : (Size){ w2, h2 };
}

/* Cover the target, then cut the middle out. */
static SnugStatus cover(Image *out, Heap *heap, const Image *in, int width, int height,
                        SnugError *err)
{
    const double sw = (double)width / in->width, sh = (double)height / in->height;
    const double s = sw > sh ? sw : sh;
    const int w = (int)nearbyint(in->width * s), h = (int)nearbyint(in->height * s);
    Image big = { 0 };
    SnugStatus status = resize_image(&big, heap, in, w > width ? w : width, h > height ? h : height,
                                     RESIZE_LANCZOS, err);
    if (status == SNUG_OK) status = resize_crop_centre(out, heap, &big, width, height, err);
    image_release(&big);
    return status;
}

/* Without --size the video follows the picture; the model's own size sets the area. */
static void choose_size(WanJob *j, const Image *in)
{
    const WanVaeConfig *v = &j->vae.cfg;
    const WanDitConfig *d = &j->expert[0].dit.cfg;
    const double area = (double)j->width * j->height;
    if (j->request->size.width) return;
    const Size s = j->mode == WAN_IMAGE_FIRST_FRAME
                       ? size_by_grid(in, area, v->space_factor * d->pw, v->space_factor * d->ph)
                       : size_by_area(in, area, v->space_factor, d->ph, d->pw);
    j->width = s.width;
    j->height = s.height;
}

/* As 8 bits: Lanczos to the video's size, or covering it where the picture becomes the first frame
 * (the original always, diffusers never when told a size). */
static SnugStatus bring_bytes(WanJob *j, const Image *in, float *out, SnugError *err)
{
    Image fitted = { 0 };
    Heap *heap = j->context->heap;
    const bool covers =
        j->mode == WAN_IMAGE_FIRST_FRAME && (j->layout.published || !j->request->size.width);
    const SnugStatus status =
        covers ? cover(&fitted, heap, in, j->width, j->height, err)
               : resize_image(&fitted, heap, in, j->width, j->height, RESIZE_LANCZOS, err);
    if (status == SNUG_OK) image_to_hwc(out, &fitted, IMAGE_SIGNED);
    image_release(&fitted);
    return status;
}

/* As the original does for pictures that enter as channels: bicubic on the values in -1..1. */
static SnugStatus bring_floats(WanJob *j, const Image *in, float *out, SnugError *err)
{
    Heap *heap = j->context->heap;
    float *wide =
        heap_take(heap, (size_t)in->width * (size_t)in->height * 3 * sizeof *wide, "image");
    if (!wide) return error_set(err, SNUG_ERR_MEMORY, "no memory for the picture");
    image_to_hwc(wide, in, IMAGE_SIGNED);
    const ResizeShape shape = { 3, in->height, in->width, RESIZE_HWC };
    const SnugStatus status = resize_bicubic_f32(out, j->height, j->width, wide, shape, heap, err);
    heap_give(heap, wide);
    return status;
}

static SnugStatus bring(WanJob *j, const Image *in, float **out, SnugError *err)
{
    *out = heap_take(j->context->heap, (size_t)j->width * (size_t)j->height * 3 * sizeof(float),
                     "image");
    if (!*out) return error_set(err, SNUG_ERR_MEMORY, "no memory for the picture");
    if (j->layout.published && j->mode == WAN_IMAGE_CHANNELS) return bring_floats(j, in, *out, err);
    return bring_bytes(j, in, *out, err);
}

static SnugStatus prepare_first(WanJob *j, SnugError *err)
{
    Image in = { 0 };
    SnugStatus status = image_read_file(&in, j->context->heap, j->request->image, 3, NULL, err);
    if (status == SNUG_OK) {
        choose_size(j, &in);
        status = bring(j, &in, &j->image, err);
    }
    image_release(&in);
    return status;
}

/* The last frame takes the size of the video, whatever its own aspect, as diffusers does it. */
static SnugStatus prepare_last(WanJob *j, SnugError *err)
{
    Image in = { 0 };
    SnugStatus status =
        image_read_file(&in, j->context->heap, j->request->last_image, 3, NULL, err);
    if (status == SNUG_OK) status = bring(j, &in, &j->last_image, err);
    image_release(&in);
    return status;
}

static SnugStatus check_last(const WanJob *j, SnugError *err)
{
    if (j->mode != WAN_IMAGE_CHANNELS)
        return error_set(err, SNUG_ERR_ARG,
                         "--last-image: this model takes no last frame (Wan2.1 FLF2V and Wan2.2 "
                         "I2V do)");
    if (j->frames <= j->vae.cfg.time_factor)
        return error_set(err, SNUG_ERR_ARG,
                         "--last-image needs at least %d frames, --frames is %lld",
                         j->vae.cfg.time_factor + 1, (long long)j->frames);
    return SNUG_OK;
}

/* The CLIP network's rows must be those that the transformer has positions for. */
static SnugStatus see(WanJob *j, SnugError *err)
{
    const WanRequest *q = j->request;
    const int64_t known = j->expert[0].dit.cfg.image_tokens,
                  rows = clip_vision_tokens(&j->clip.net.cfg);
    if (known && known != rows && known != 2 * rows)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: pos_embed_seq_len is %lld, the image encoder gives %lld rows a "
                         "picture",
                         j->layout.part[WAN_TRANSFORMER].path, (long long)known, (long long)rows);
    if (known == 2 * rows && !q->last_image)
        return error_set(err, SNUG_ERR_ARG,
                         "this model goes from a first to a last frame: --last-image is missing");
    if (known != 2 * rows && q->last_image)
        return error_set(err, SNUG_ERR_ARG,
                         "--last-image: this model looks at one picture only (Wan2.1 FLF2V looks "
                         "at two)");
    TRY(wan_clip_look_at(&j->clip, j->context->heap, q->image, err));
    if (q->last_image) TRY(wan_clip_look_at(&j->clip, j->context->heap, q->last_image, err));
    return SNUG_OK;
}

SnugStatus wan_image_prepare(WanJob *j, SnugError *err)
{
    if (j->request->last_image) TRY(check_last(j, err));
    if (j->mode == WAN_NO_IMAGE) return SNUG_OK;
    TRY(prepare_first(j, err));
    if (j->request->last_image) TRY(prepare_last(j, err));
    return j->expert[0].dit.cfg.image_dim ? see(j, err) : SNUG_OK;
}

void wan_image_release(WanJob *j)
{
    Heap *heap = j->context->heap;
    heap_give(heap, j->image);
    heap_give(heap, j->last_image);
    j->image = j->last_image = NULL;
    wan_clip_release(&j->clip, heap);
}
