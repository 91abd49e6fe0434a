/* cutout.c  The pipeline `cutout`: a picture without what stands behind.
 *
 * Reference: the steps of BiRefNet's model card (--resize bilinear --threshold -1) and of the
 * advertisement service (Lanczos both ways, hard edges), which are the defaults; golden:
 * tests/golden/cutout. The map is looked at by bytes, cut off, not rounded. */
#include "pipelines/cutout.h"

#include <string.h>

#include "base/error.h"
#include "media/compose.h"
#include "media/image_read.h"
#include "media/png.h"
#include "media/resize.h"

typedef struct CutoutRequest {
    const char *model, *image, *resize, *patches, *result;
    OptionSize size;
    int64_t threshold;
} CutoutRequest;

typedef struct CutoutJob {
    PipelineContext *context;
    const CutoutRequest *request;
    CutoutNet net;
    Image picture; /* RGB, as it was given */
    float *values; /* [height, width, 3], the network's input */
    int width, height;
    ResizeFilter in, back; /* to the network's size, and back */
    bool mask_only;
} CutoutJob;

static const char *const TEXTS[1] = { "Cut out by BiRefNet" };
static const int64_t SEEDS[1] = { 0 };

#define AT(field) offsetof(CutoutRequest, field)

/* clang-format off */
static const Option OPTIONS[] = {
    { { "model",       SNUG_OPTION_PATH, NULL,   0, 0, "PATH", "BiRefNet: its folder, or a weight file (.safetensors, .pth)" }, AT(model) },
    { { "image",       SNUG_OPTION_PATH, NULL,   0, 0, "FILE", "picture (PNG, JPEG, WebP); its own alpha is dropped" }, AT(image) },
    { { "size",        SNUG_OPTION_SIZE, "1024x1024", 32, 8192, "WxH", "what the network looks at, multiples of 32; the result is as large as the picture" }, AT(size) },
    { { "threshold",   SNUG_OPTION_INT,  "128", -1, 254, "N", "alpha above it becomes 255, the rest 0; -1: soft edges" }, AT(threshold) },
    { { "resize",      SNUG_OPTION_TEXT, "lanczos", 0, 0, "NAME", "lanczos both ways, or bilinear in and bicubic back as the model card has it" }, AT(resize) },
    { { "patch-order", SNUG_OPTION_TEXT, "hf", 0, 0, "NAME", "order of the picture's pieces: hf (the code beside the published weights) or train (before November 2024)" }, AT(patches) },
    { { "result",      SNUG_OPTION_TEXT, "cutout", 0, 0, "NAME", "cutout: the picture with alpha; mask: the alpha alone" }, AT(result) },
    { { NULL, SNUG_OPTION_TEXT, NULL, 0, 0, NULL, NULL }, 0 },
};
/* clang-format on */

/* ---- open ----------------------------------------------------------------------------------- */

/* One of two words. */
static SnugStatus choose(const char *option, const char *given, const char *first,
                         const char *second, bool *is_second, SnugError *err)
{
    *is_second = strcmp(given, second) == 0;
    if (*is_second || strcmp(given, first) == 0) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG, "--%s %.40s: %s or %s", option, given, first, second);
}

static SnugStatus check_request(CutoutJob *j, SnugError *err)
{
    const CutoutRequest *q = j->request;
    bool bilinear = false;
    if (!q->model) return error_set(err, SNUG_ERR_ARG, "--model is missing");
    if (!q->image) return error_set(err, SNUG_ERR_ARG, "--image is missing");
    if (j->context->keep) return error_set(err, SNUG_ERR_ARG, "--checkpoint is for videos");
    j->width = q->size.width;
    j->height = q->size.height;
    if (j->width % BIREFNET_GRID || j->height % BIREFNET_GRID)
        return error_set(err, SNUG_ERR_ARG, "--size %dx%d: the network needs multiples of %d",
                         j->width, j->height, BIREFNET_GRID);
    TRY(choose("resize", q->resize, "lanczos", "bilinear", &bilinear, err));
    j->in = bilinear ? RESIZE_BILINEAR : RESIZE_LANCZOS;
    j->back = bilinear ? RESIZE_BICUBIC : RESIZE_LANCZOS;
    return choose("result", q->result, "cutout", "mask", &j->mask_only, err);
}

static SnugStatus read_picture(CutoutJob *j, SnugError *err)
{
    Heap *heap = j->context->heap;
    Image fitted = { 0 };
    TRY(image_read_file(&j->picture, heap, j->request->image, 3, NULL, err));
    TRY(resize_image(&fitted, heap, &j->picture, j->width, j->height, j->in, err));
    j->values = heap_take(heap, (size_t)j->width * (size_t)j->height * 3 * sizeof(float), "image");
    if (j->values) cutout_values(j->values, &fitted);
    image_release(&fitted);
    return j->values ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for the picture");
}

static void cutout_close(void *job)
{
    CutoutJob *j = job;
    cutout_net_close(&j->net);
    image_release(&j->picture);
    heap_give(j->context->heap, j->values);
    j->values = NULL;
}

static SnugStatus open_job(CutoutJob *j, SnugError *err)
{
    bool train = false;
    TRY(check_request(j, err));
    TRY(choose("patch-order", j->request->patches, "hf", "train", &train, err));
    TRY(cutout_net_open(&j->net, j->context, j->request->model,
                        train ? BIREFNET_PATCHES_TRAIN : BIREFNET_PATCHES_HF, err));
    return read_picture(j, err);
}

/* Map, map in the picture's size and what resizing takes between, the result, its PNG. */
static size_t result_bytes(const CutoutJob *j)
{
    const int w = j->picture.width, h = j->picture.height;
    return image_bytes(j->width, j->height, 1) + image_bytes(w, j->height, 1) +
           2 * image_bytes(w, h, 1) + image_bytes(w, h, 4) + png_write_bytes(w, h, 4) +
           ((size_t)w + (size_t)h + (size_t)j->width + (size_t)j->height) * 256;
}

static SnugStatus cutout_open(void **out, PipelineContext *context, void *request,
                              PipelineInfo *info, SnugError *err)
{
    *out = NULL;
    CutoutJob *j = arena_take(context->arena, sizeof *j);
    if (!j) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    j->context = context;
    j->request = request;
    const SnugStatus status = open_job(j, err);
    if (status != SNUG_OK) {
        cutout_close(j);
        return status;
    }
    const int64_t rows = (int64_t)(j->height / SWIN_PATCH) * (j->width / SWIN_PATCH);
    *info = (PipelineInfo){ .frames = 1,
                            .pictures = 1,
                            .width = j->picture.width,
                            .height = j->picture.height,
                            .texts = TEXTS,
                            .seeds = SEEDS,
                            .fps = 1,
                            .rows = rows,
                            .guided = true, /* both sizes of the picture: together, or in turn */
                            .result_bytes = result_bytes(j) };
    *out = j;
    return SNUG_OK;
}

/* ---- run ------------------------------------------------------------------------------------ */

static void fill_values(void *context, float *to, int64_t count)
{
    const CutoutJob *j = context;
    memcpy(to, j->values, (size_t)count * sizeof *to);
}

static void cutout_recipe(Run *r, void *self)
{
    CutoutJob *j = self;
    run_stage(r, "cutout");
    Tensor x = run_input(r, SHAPE(1, j->height, j->width, 3), fill_values, j);
    Tensor logits = birefnet_forward(r, &j->net.net, x);
    run_output(r, "latents", 0, logits);
    run_output(r, "frame", 0, op_activation(r, logits, ACT_SIGMOID));
}

static SnugStatus with_alpha(Image *out, const CutoutJob *j, const Image *alpha, SnugError *err)
{
    TRY(compose_convert(out, j->context->heap, &j->picture, 4, err));
    const size_t n = image_bytes(alpha->width, alpha->height, 1);
    for (size_t i = 0; i < n; i++)
        out->pixels[4 * i + 3] = alpha->pixels[i];
    return SNUG_OK;
}

static SnugStatus cutout_picture(void *self, const float *frame, Image *out, SnugError *err)
{
    CutoutJob *j = self;
    Heap *heap = j->context->heap;
    Image soft = { 0 }, alpha = { 0 };
    *out = (Image){ 0 };
    SnugStatus status = cutout_soft_map(&soft, heap, frame, j->width, j->height, err);
    if (status == SNUG_OK)
        status =
            resize_image(&alpha, heap, &soft, j->picture.width, j->picture.height, j->back, err);
    image_release(&soft);
    if (status == SNUG_OK && j->request->threshold >= 0)
        compose_threshold(&alpha, (int)j->request->threshold);
    if (status == SNUG_OK && j->mask_only) {
        *out = alpha;
        return SNUG_OK;
    }
    if (status == SNUG_OK) status = with_alpha(out, j, &alpha, err);
    image_release(&alpha);
    return status;
}

const Pipeline PIPELINE_CUTOUT = { .name = "cutout",
                                   .summary = "cut out what stands in front (BiRefNet)",
                                   .options = OPTIONS,
                                   .request_bytes = sizeof(CutoutRequest),
                                   .open = cutout_open,
                                   .recipe = cutout_recipe,
                                   .picture = cutout_picture,
                                   .close = cutout_close };
