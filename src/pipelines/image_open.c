/* image_open.c  From a request to an ImageJob: which family, its networks, settings, pictures, texts.
 * Reads headers, small files and the given pictures. */
#include "pipelines/image.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pipelines/infotext.h"

static const ImageFamily *const FAMILIES[] = { &IMAGE_FLUX, &IMAGE_SDXL };

SnugStatus image_family_find(ImageJob *j, SnugError *err)
{
    for (size_t i = 0; i < sizeof FAMILIES / sizeof FAMILIES[0]; i++)
        if (FAMILIES[i]->knows(&j->model)) {
            j->family = FAMILIES[i];
            return SNUG_OK;
        }
    const char *kind = j->model.class_name;
    return error_set(err, SNUG_ERR_FILE,
                     "%s: this is %s%s%s%s, no image model that snug draws with; there are: "
                     "FLUX.1, SDXL",
                     j->model.path, image_model_words(&j->model), kind ? " (" : "",
                     kind ? kind : "", kind ? ")" : "");
}

/* The user's word over the family's. */
static SnugStatus override(ImageJob *j, SnugError *err)
{
    const ImageRequest *q = j->request;
    ImageSettings *s = &j->settings;
    if (q->steps == 0) return error_set(err, SNUG_ERR_ARG, "--steps: at least 1");
    if (q->steps > 0) s->steps = q->steps;
    if (q->guidance >= 0) s->guidance = q->guidance;
    if (q->strength >= 0) s->strength = q->strength;
    if (q->size.width) {
        s->width = q->size.width;
        s->height = q->size.height;
    }
    return SNUG_OK;
}

static SnugStatus check_task(const ImageJob *j, SnugError *err)
{
    const ImageRequest *q = j->request;
    static const char *const NAMES[] = { "txt2img", "img2img", "inpaint" };
    const char *name = NAMES[j->task];
    if (j->task == IMAGE_TXT2IMG && (q->image || q->mask))
        return error_set(err, SNUG_ERR_ARG, "txt2img takes no --%s: use img2img or inpaint",
                         q->image ? "image" : "mask");
    if (j->task == IMAGE_TXT2IMG && q->strength >= 0)
        return error_set(err, SNUG_ERR_ARG, "txt2img takes no --strength: use img2img or inpaint");
    if (j->task != IMAGE_TXT2IMG && !q->image && !j->given)
        return error_set(err, SNUG_ERR_ARG, "%s needs --image", name);
    if (j->task == IMAGE_INPAINT && !q->mask && !j->given)
        return error_set(err, SNUG_ERR_ARG, "inpaint needs --mask, white where to draw anew");
    if (j->context->keep)
        return error_set(err, SNUG_ERR_ARG, "--checkpoint is for videos: %s keeps no state", name);
    if (j->task == IMAGE_IMG2IMG && q->mask)
        return error_set(err, SNUG_ERR_ARG, "img2img takes no --mask: use inpaint");
    if (j->task != IMAGE_INPAINT && q->keep_unmasked)
        return error_set(err, SNUG_ERR_ARG, "%s takes no --keep-unmasked: use inpaint", name);
    return SNUG_OK;
}

static int nearest_multiple(int value, int grid)
{
    const int below = value / grid * grid, above = below + grid;
    return below > 0 && value - below <= above - value ? below : above;
}

static SnugStatus check_size(const ImageJob *j, SnugError *err)
{
    const ImageSettings *s = &j->settings;
    if (s->width % s->grid == 0 && s->height % s->grid == 0) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG,
                     "--size %dx%d: this model needs multiples of %d; the nearest is %dx%d",
                     s->width, s->height, s->grid, nearest_multiple(s->width, s->grid),
                     nearest_multiple(s->height, s->grid));
}

SnugStatus image_first_step(const ImageJob *j, int *first, SnugError *err)
{
    const double n = (double)j->settings.steps, wish = n * j->settings.strength;
    const double init = wish < n ? wish : n;
    *first = 0;
    if (j->task == IMAGE_TXT2IMG) return SNUG_OK;
    *first = (int)(n - init);
    if (*first < (int)j->settings.steps) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG,
                     "--strength %g of %d steps is less than one step: nothing would change",
                     j->settings.strength, (int)j->settings.steps);
}

SnugStatus image_tokenise(const ImageJob *j, const Tokenizer *t, const char *text, int64_t length,
                          int32_t pad, int64_t vocab, const int32_t **out, SnugError *err)
{
    Arena *arena = j->context->arena;
    int32_t *ids = NULL, *all = arena_array(arena, (size_t)length, sizeof *all);
    int64_t n = 0;
    if (!all) return error_set(err, SNUG_ERR_MEMORY, "no memory for a prompt");
    TRY(tokenizer_encode(t, (TextView){ text, strlen(text) }, length, arena, &ids, &n, err));
    for (int64_t i = 0; i < length; i++) {
        all[i] = i < n ? ids[i] : pad;
        if (all[i] < 0 || all[i] >= vocab)
            return error_set(err, SNUG_ERR_FILE,
                             "the tokenizer gives id %d, the text encoder has %lld rows", all[i],
                             (long long)vocab);
    }
    *out = all;
    return SNUG_OK;
}

/* What the files say about themselves. */
static SnugStatus write_texts(ImageJob *j, SnugError *err)
{
    const ImageSettings *s = &j->settings;
    const ImageRequest *q = j->request;
    for (int k = 0; k < j->n; k++) {
        Infotext t = { .prompt = q->prompt,
                       .negative = q->negative ? q->negative : "",
                       .steps = s->steps,
                       .sampler = s->sampler,
                       .guidance_key = s->guidance_key,
                       .guidance = s->guidance,
                       .true_cfg = q->true_cfg > 1 && q->negative ? q->true_cfg : -1,
                       .seed = j->seeds[k],
                       .width = s->width,
                       .height = s->height,
                       .strength = j->task == IMAGE_TXT2IMG ? -1 : s->strength,
                       .model = j->model.path };
        j->texts[k] = infotext_write(&t, j->context->arena);
        if (!j->texts[k]) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    }
    return SNUG_OK;
}

static void number_seeds(ImageJob *j)
{
    j->n = (int)j->request->batch;
    for (int k = 0; k < j->n; k++) /* wraps like torch's generators, whose seeds are 64 bits */
        j->seeds[k] = (int64_t)((uint64_t)j->request->seed + (uint64_t)k);
}

/* Names of stages: the task's own word in front, where several jobs make one. */
static SnugStatus name_stages(ImageJob *j, SnugError *err)
{
    static const char *const NAMES[IMAGE_STAGES] = {
        "text encoder", "text encoder 2", "embedding", "vae encode", "denoise", "vae decode"
    };
    for (int i = 0; i < IMAGE_STAGES; i++) {
        char name[48];
        const int n = snprintf(name, sizeof name, "%s: %s", j->title ? j->title : "", NAMES[i]);
        j->stages[i] = j->title ? arena_text(j->context->arena, name, (size_t)n) : NAMES[i];
        if (!j->stages[i]) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    }
    return SNUG_OK;
}

static SnugStatus find_model(ImageJob *j, SnugError *err)
{
    if (!j->lender) {
        TRY(image_model_init(&j->model, j->context->arena, &j->request->paths, err));
        return image_family_find(j, err);
    }
    j->model = j->lender->model;
    j->family = j->lender->family;
    return SNUG_OK;
}

static SnugStatus choose_rng(ImageJob *j, SnugError *err)
{
    const char *rng = j->request->rng ? j->request->rng : "cpu";
    j->by_card = strcmp(rng, "cuda") == 0;
    if (j->by_card || strcmp(rng, "cpu") == 0) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG, "--rng %.40s: cpu or cuda", rng);
}

SnugStatus image_job_open(ImageJob *j, PipelineInfo *info, SnugError *err)
{
    TRY(check_task(j, err));
    TRY(name_stages(j, err));
    TRY(find_model(j, err));
    if (j->request->loras && !j->family->takes_loras)
        return error_set(err, SNUG_ERR_ARG, "--lora: not with models of %s", j->family->name);
    TRY(j->family->open(j, err));
    TRY(override(j, err));
    TRY(image_pictures_read(j, err));
    TRY(check_size(j, err));
    number_seeds(j);
    TRY(choose_rng(j, err));
    TRY(image_noise_read(j, err));
    *info = (PipelineInfo){ .frames = j->n,
                            .pictures = j->n,
                            .width = j->settings.width,
                            .height = j->settings.height,
                            .width_step = j->settings.grid,
                            .height_step = j->settings.grid,
                            .texts = j->texts,
                            .seeds = j->seeds,
                            .fps = 1 };
    TRY(j->family->prepare(j, info, err));
    return write_texts(j, err);
}

SnugStatus image_open(void **out, PipelineContext *context, ImageRequest *request,
                      PipelineInfo *info, ImageTask task, SnugError *err)
{
    *out = NULL;
    ImageJob *j = arena_take(context->arena, sizeof *j);
    if (!j) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    j->context = context;
    j->request = request;
    j->task = task;
    const SnugStatus status = image_job_open(j, info, err);
    if (status == SNUG_OK)
        *out = j;
    else
        image_close(j);
    return status;
}

void image_close(void *job)
{
    ImageJob *j = job;
    if (j->family && j->family->close) j->family->close(j);
    image_pictures_release(j);
    if (!j->lender) image_model_release(&j->model);
}
