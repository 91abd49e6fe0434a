/* sdxl_control.c  A ControlNet beside the model: its files, its picture, its share of the steps. */
#include <string.h>

#include "base/error.h"
#include "media/image_read.h"
#include "media/resize.h"
#include "pipelines/sdxl.h"

/* Skips and middle must fit the UNet's, and both are told the same. */
static SnugStatus check_fit(const SdxlJob *j, const UnetConfig *c, const char *path, SnugError *err)
{
    const UnetConfig *u = &j->unet.trunk.cfg;
    if (c->levels == u->levels && c->layers == u->layers && c->in_channels == u->in_channels &&
        memcmp(c->channels, u->channels, (size_t)u->levels * sizeof *u->channels) == 0 &&
        c->cross_dim == u->cross_dim && c->add_dim == u->add_dim && c->pooled_dim == u->pooled_dim)
        return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE,
                     "%s: this ControlNet was not made for the UNet of %s: widths, levels or what "
                     "they are told differ (text of width %lld and %lld)",
                     path, j->image->model.path, (long long)c->cross_dim, (long long)u->cross_dim);
}

static bool asked(const SdxlJob *j)
{
    const ImageRequest *q = j->image->request;
    return q->controlnet || q->control_image || q->control_picture ||
           (j->image->model.dir && model_dir_has(j->image->model.dir, "controlnet"));
}

SnugStatus sdxl_control_open(SdxlJob *j, SnugError *err)
{
    const ImageRequest *q = j->image->request;
    ImagePart part;
    Weights w;
    if (!asked(j)) return SNUG_OK;
    if (!q->control_image && !q->control_picture)
        return error_set(err, SNUG_ERR_ARG,
                         "a ControlNet needs --control-image: what it is to follow");
    SdxlControl *c = arena_take(j->image->context->arena, sizeof *c);
    if (!c) return error_set(err, SNUG_ERR_MEMORY, "no memory for a ControlNet");
    j->control = c;
    c->scale = (float)q->control_scale;
    c->start = q->control_start;
    c->end = q->control_end;
    if (c->start >= c->end)
        return error_set(err, SNUG_ERR_ARG, "--control-start %g is not before --control-end %g",
                         c->start, c->end);
    TRY(image_model_network(&j->image->model, &SDXL_CONTROLNET, q->controlnet, &part, err));
    TRY(controlnet_config_read(&c->net.cfg, part.config, err));
    TRY(check_fit(j, &c->net.cfg.unet, part.path, err));
    TRY(sdxl_networks_names(j, &c->net.cfg.unet, &part, err));
    image_part_begin(&part, &w, j->image->context->weights, "controlnet");
    controlnet_weights(&c->net, &w);
    return weights_end(&w, err);
}

void sdxl_control_close(SdxlJob *j)
{
    if (!j->control) return;
    heap_give(j->image->context->heap, j->control->picture);
    j->control = NULL;
}

SnugStatus sdxl_control_prepare(SdxlJob *j, SnugError *err)
{
    SdxlControl *c = j->control;
    Heap *heap = j->image->context->heap;
    Image in = { 0 }, fitted = { 0 };
    if (!c) return SNUG_OK;
    const int f = controlnet_factor(&c->net.cfg), width = j->image->settings.width,
              height = j->image->settings.height;
    if (f != autoencoder_kl_factor(&j->vae.cfg) || c->net.cfg.picture_channels != 3)
        return error_set(err, SNUG_ERR_FILE,
                         "a ControlNet of %lld channels at 1/%d of the picture's size",
                         (long long)c->net.cfg.picture_channels, f);
    const Image *from = j->image->request->control_picture;
    if (!from) TRY(image_read_file(&in, heap, j->image->request->control_image, 3, NULL, err));
    SnugStatus status =
        resize_image(&fitted, heap, from ? from : &in, width, height, RESIZE_LANCZOS, err);
    const size_t n = (size_t)width * (size_t)height * 3;
    if (status == SNUG_OK) {
        c->picture = heap_take(heap, n * sizeof(float), "image");
        if (c->picture) image_to_hwc(c->picture, &fitted, IMAGE_UNIT);
    }
    for (size_t i = 0; c->picture && c->net.cfg.reversed && i < n; i += 3) {
        const float red = c->picture[i];
        c->picture[i] = c->picture[i + 2];
        c->picture[i + 2] = red;
    }
    image_release(&in);
    image_release(&fitted);
    if (status == SNUG_OK && !c->picture)
        return error_set(err, SNUG_ERR_MEMORY, "no memory for the control picture");
    return status;
}

/* As diffusers keeps it: wholly inside of its share. */
bool sdxl_control_works(const SdxlControl *c, int i, int n)
{
    return (double)i / n >= c->start && (double)(i + 1) / n <= c->end;
}

static void fill_picture(void *context, float *to, int64_t count)
{
    const SdxlJob *j = context;
    memcpy(to, j->control->picture, (size_t)count * sizeof *to);
}

Tensor sdxl_control_input(Run *r, SdxlJob *j)
{
    return run_input(r, SHAPE(1, j->image->settings.height, j->image->settings.width, 3),
                     fill_picture, j);
}
