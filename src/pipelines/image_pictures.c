/* image_pictures.c  Picture and mask of a request, as diffusers prepares them: Lanczos to the size of
 * the result, mask as grey, white from half on (VaeImageProcessor, 0.42). */
#include "pipelines/image.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "compute/ops.h"
#include "formats/npy.h"
#include "media/image_read.h"
#include "media/resize.h"

/* Without --size the result is as large as the picture, cut to the grid. */
static void settle_size(ImageJob *j, const Image *in)
{
    ImageSettings *s = &j->settings;
    if (j->request->size.width) return;
    s->width = in->width > s->grid ? in->width / s->grid * s->grid : s->grid;
    s->height = in->height > s->grid ? in->height / s->grid * s->grid : s->grid;
}

static SnugStatus read_picture(ImageJob *j, Image *in, SnugError *err)
{
    Heap *heap = j->context->heap;
    Image fitted = { 0 };
    ImageSettings *s = &j->settings;
    TRY(image_read_file(in, heap, j->request->image, 3, NULL, err));
    settle_size(j, in);
    TRY(resize_image(&fitted, heap, in, s->width, s->height, RESIZE_LANCZOS, err));
    j->picture = heap_take(heap, (size_t)s->width * (size_t)s->height * 3 * sizeof(float), "image");
    if (j->picture) image_to_hwc(j->picture, &fitted, IMAGE_SIGNED);
    image_release(&fitted);
    return j->picture ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for the picture");
}

/* Ones where the mask is at least half white. */
static SnugStatus threshold(ImageJob *j, const Image *mask, SnugError *err)
{
    const size_t n = (size_t)mask->width * (size_t)mask->height;
    size_t ones = 0;
    j->mask = heap_take(j->context->heap, n, "image");
    if (!j->mask) return error_set(err, SNUG_ERR_MEMORY, "no memory for the mask");
    for (size_t i = 0; i < n; i++)
        ones += j->mask[i] = mask->pixels[i] >= 128;
    if (ones) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG,
                     "%s: the mask is empty: white shows what to draw anew, and nothing is white",
                     j->request->mask);
}

static SnugStatus read_mask(ImageJob *j, const Image *picture, SnugError *err)
{
    Heap *heap = j->context->heap;
    Image in = { 0 }, fitted = { 0 };
    SnugStatus status = image_read_file(&in, heap, j->request->mask, 1, NULL, err);
    if (status == SNUG_OK && (in.width != picture->width || in.height != picture->height))
        status = error_set(err, SNUG_ERR_ARG,
                           "%s: the mask is %dx%d, the picture %dx%d: they must be the same size",
                           j->request->mask, in.width, in.height, picture->width, picture->height);
    if (status == SNUG_OK)
        status = resize_image(&fitted, heap, &in, j->settings.width, j->settings.height,
                              RESIZE_LANCZOS, err);
    if (status == SNUG_OK) status = threshold(j, &fitted, err);
    image_release(&in);
    image_release(&fitted);
    return status;
}

/* Room for what comes later; until then nothing is masked. */
static SnugStatus make_room(ImageJob *j, SnugError *err)
{
    const size_t n = (size_t)j->settings.width * (size_t)j->settings.height;
    j->picture = heap_take(j->context->heap, n * 3 * sizeof(float), "image");
    j->mask = heap_take(j->context->heap, n, "image");
    if (!j->picture || !j->mask)
        return error_set(err, SNUG_ERR_MEMORY, "no memory for the picture");
    memset(j->picture, 0, n * 3 * sizeof(float));
    memset(j->mask, 0, n);
    return SNUG_OK;
}

void image_give(ImageJob *j, const Image *picture, const Image *mask)
{
    const size_t n = (size_t)j->settings.width * (size_t)j->settings.height;
    image_to_hwc(j->picture, picture, IMAGE_SIGNED);
    for (size_t i = 0; mask && i < n; i++)
        j->mask[i] = mask->pixels[i] >= 128;
}

SnugStatus image_pictures_read(ImageJob *j, SnugError *err)
{
    Image in = { 0 };
    if (j->task == IMAGE_TXT2IMG) return SNUG_OK;
    if (j->given) return make_room(j, err);
    SnugStatus status = read_picture(j, &in, err);
    if (status == SNUG_OK && j->task == IMAGE_INPAINT) status = read_mask(j, &in, err);
    image_release(&in);
    return status;
}

void image_pictures_release(ImageJob *j)
{
    Heap *heap = j->context->heap;
    heap_give(heap, j->picture);
    heap_give(heap, j->mask);
    j->picture = NULL;
    j->mask = NULL;
}

SnugStatus image_noise_read(ImageJob *j, SnugError *err)
{
    const char *path = j->request->noise;
    if (!path) return SNUG_OK;
    NpyArray a;
    TRY(npy_read_f32(j->context->arena, path, &a, err));
    if (a.rank != 3 && a.rank != 4)
        return error_set(err, SNUG_ERR_FILE, "%s: noise must be [N, C, h, w] or [C, h, w]", path);
    j->noise_dim[0] = 1;
    for (int i = 0; i < a.rank; i++)
        j->noise_dim[4 - a.rank + i] = a.dim[i];
    for (int64_t i = 0; i < a.count; i++)
        if (!isfinite(a.f32[i]))
            return error_set(err, SNUG_ERR_FILE, "%s: the noise holds NaN or infinity", path);
    j->given_noise = a.f32;
    return SNUG_OK;
}

/* ---- in a recipe ------------------------------------------------------------------------------ */

void image_stage(Run *r, const ImageJob *j, ImageStage stage)
{
    run_stage(r, j->stages[stage]);
}

static void fill_drawn(void *context, float *to, int64_t count)
{
    const ImageJob *j = context;
    for (int64_t i = 0; i < count; i++)
        to[i] = j->mask[i / 3] ? 1.0f : 0.0f;
}

void image_frame(Run *r, ImageJob *j, int k, Tensor frame)
{
    if (j->request->keep_unmasked && j->mask && run_ok(r)) {
        const Tensor drawn = run_input(r, frame.shape, fill_drawn, j);
        frame = op_gated_activation(r, drawn, frame, ACT_NONE);
        frame = op_add(r, frame, image_input_masked(r, j));
    }
    if (j->take)
        run_take(r, frame, j->take, j->take_context);
    else
        run_output(r, "frame", k, frame);
}

Noise image_noise(ImageJob *j, int k, int64_t channels)
{
    return (Noise){ &j->random[k], channels, j->by_card ? &j->card[k] : NULL };
}

SnugStatus image_noise_check(const ImageJob *j, int64_t count, SnugError *err)
{
    enum { ONE_EACH = 65536 }; /* see philox.h */
    if (!j->by_card || count <= ONE_EACH) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG,
                     "--rng cuda: noise of %lld values differs from card to card; up to %d it does "
                     "not: use a smaller --size, or --rng cpu",
                     (long long)count, ONE_EACH);
}

void image_seed(ImageJob *j)
{
    for (int k = 0; k < j->n; k++) {
        random_init(&j->random[k], (uint64_t)j->seeds[k]);
        j->card[k] = (Philox){ (uint64_t)j->seeds[k], 0 };
    }
}

static void fill_picture(void *context, float *to, int64_t count)
{
    const ImageJob *j = context;
    memcpy(to, j->picture, (size_t)count * sizeof *to);
}

static void fill_masked(void *context, float *to, int64_t count)
{
    const ImageJob *j = context;
    for (int64_t i = 0; i < count; i++)
        to[i] = j->mask[i / 3] ? 0.0f : j->picture[i];
}

Tensor image_input(Run *r, ImageJob *j)
{
    return run_input(r, SHAPE(1, j->settings.height, j->settings.width, 3), fill_picture, j);
}

Tensor image_input_masked(Run *r, ImageJob *j)
{
    return run_input(r, SHAPE(1, j->settings.height, j->settings.width, 3), fill_masked, j);
}
