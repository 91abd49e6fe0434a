/* image.c  txt2img, img2img, inpaint: three names for one frame (image.h). */
#include "pipelines/image.h"

static void image_recipe(Run *r, void *self)
{
    ImageJob *j = self;
    image_seed(j);
    j->family->recipe(r, j);
}

static SnugStatus open_txt2img(void **out, PipelineContext *c, void *request, PipelineInfo *info,
                               SnugError *err)
{
    return image_open(out, c, request, info, IMAGE_TXT2IMG, err);
}

static SnugStatus open_img2img(void **out, PipelineContext *c, void *request, PipelineInfo *info,
                               SnugError *err)
{
    return image_open(out, c, request, info, IMAGE_IMG2IMG, err);
}

static SnugStatus open_inpaint(void **out, PipelineContext *c, void *request, PipelineInfo *info,
                               SnugError *err)
{
    return image_open(out, c, request, info, IMAGE_INPAINT, err);
}

#define IMAGE(title, look, text)                                                                   \
    {                                                                                              \
        .name = #title, .summary = text, .options = IMAGE_OPTIONS,                                 \
        .request_bytes = sizeof(ImageRequest), .open = open_##title, .recipe = image_recipe,       \
        .close = image_close, .about = look                                                        \
    }

const Pipeline PIPELINE_TXT2IMG =
    IMAGE(txt2img, image_about, "text to picture (FLUX.1 dev and schnell, SDXL)");
const Pipeline PIPELINE_IMG2IMG =
    IMAGE(img2img, NULL, "picture and text to picture (FLUX.1 dev and schnell, SDXL)");
const Pipeline PIPELINE_INPAINT =
    IMAGE(inpaint, NULL, "draw what a mask shows anew (FLUX.1 dev, schnell and Fill)");
