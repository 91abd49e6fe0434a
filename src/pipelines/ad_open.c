/* ad_open.c  From a request to an AdJob: which steps, their networks and prompts, the pictures that
 * are given. Reads headers, small files and pictures. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/file.h"
#include "media/fonts.h"
#include "media/png.h"
#include "media/resize.h"
#include "pipelines/ad.h"
#include "pipelines/picture_option.h"

/* ---- the request ------------------------------------------------------------------------------ */

static SnugStatus choose(const char *option, const char *given, const char *const *words, int *out,
                         SnugError *err)
{
    char list[160] = "";
    for (int i = 0; words[i]; i++) {
        if (strcmp(given, words[i]) == 0) {
            *out = i;
            return SNUG_OK;
        }
        const size_t n = strlen(list);
        (void)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", words[i]);
    }
    return error_set(err, SNUG_ERR_ARG, "--%s %.40s: there are %s", option, given, list);
}

static bool fills(const AdRequest *q)
{
    return q->fill && strcmp(q->composite_model, "dev") != 0;
}

static bool is_blank(const char *text)
{
    return !text || text[strspn(text, " \t\r\n")] == '\0';
}

static SnugStatus need(const char *option, const char *given, const char *why, SnugError *err)
{
    if (given) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG, "--%s is missing: %s", option, why);
}

static SnugStatus check_paths(const AdJob *j, SnugError *err)
{
    const AdRequest *q = j->request;
    const bool letters = j->first_step <= 2 && j->last_step == 3;
    if (j->first_step == 1 || (j->last_step == 3 && !fills(q)))
        TRY(need("flux", q->flux, "FLUX.1 dev draws background and composite", err));
    if (letters) {
        TRY(need("sdxl", q->sdxl, "it draws the letters", err));
        TRY(need("controlnet", q->controlnet, "it gives the letters their form", err));
    }
    if (j->injects || letters)
        TRY(need("birefnet", q->birefnet, "it cuts out product and letters", err));
    if (j->first_step > 1)
        TRY(need("step1-image", q->step1_image, "--start-step goes on from it", err));
    if (j->first_step > 2)
        TRY(need("step2-image", q->step2_image, "--start-step 3 goes on from it", err));
    return SNUG_OK;
}

static SnugStatus check_request(AdJob *j, SnugError *err)
{
    static const char *const MODES[] = { "overlay", "blend", "behind", NULL };
    static const char *const PLACES[] = { "top", "center", "bottom", "auto", NULL };
    static const char *const MODELS[] = { "auto", "dev", "fill", NULL };
    const AdRequest *q = j->request;
    int mode, place, model;
    TRY(choose("composite-model", q->composite_model, MODELS, &model, err));
    if (model == 2) TRY(need("fill", q->fill, "--composite-model fill draws with it", err));
    TRY(choose("composition-mode", q->composition_mode, MODES, &mode, err));
    TRY(choose("text-position", q->text_position, PLACES, &place, err));
    j->mode = (AdMode)mode;
    j->position = (AdPosition)place;
    j->n_places = j->position == AD_AUTO ? 3 : 1;
    j->side = q->size.width;
    j->look = (int)q->cutout_size;
    if (j->look % BIREFNET_GRID)
        return error_set(err, SNUG_ERR_ARG, "--cutout-size %d: must be a multiple of %d", j->look,
                         BIREFNET_GRID);
    j->first_step = (int)q->start_step;
    j->last_step = is_blank(q->text_content) && j->first_step < 3 ? 1 : 3;
    j->injects = j->first_step == 1 && (q->input_image || !q->skips_injection);
    if (q->size.width != q->size.height)
        return error_set(err, SNUG_ERR_ARG, "--size %dx%d: pictures of an advertisement are square",
                         q->size.width, q->size.height);
    if (j->first_step > j->last_step)
        return error_set(err, SNUG_ERR_ARG,
                         "--start-step 2 draws letters: --text-content is blank");
    if (j->context->keep) return error_set(err, SNUG_ERR_ARG, "--checkpoint is for videos");
    if (q->steps_folder && file_type(q->steps_folder) != FILE_DIRECTORY)
        return error_set(err, SNUG_ERR_ARG, "--steps-folder: %s is no folder", q->steps_folder);
    return q->demo ? SNUG_OK : check_paths(j, err);
}

/* ---- pictures --------------------------------------------------------------------------------- */

static SnugStatus read_square(const AdJob *j, const char *option, const char *value, int channels,
                              Image *out, SnugError *err)
{
    TRY(picture_option_read(out, j->context->heap, option, value, channels, err));
    if (out->width == j->side && out->height == j->side) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG, "--%s is %dx%d: results of a step are %dx%d here (--size)",
                     option, out->width, out->height, j->side, j->side);
}

/* Without a product a white picture is cut out and drawn in, as the service does. */
static SnugStatus read_product(AdJob *j, SnugError *err)
{
    enum { BLANK_PX = 512 };
    if (j->request->input_image)
        return picture_option_read(&j->product, j->context->heap, "input-image",
                                   j->request->input_image, 3, err);
    TRY(image_init(&j->product, j->context->heap, BLANK_PX, BLANK_PX, 3, err));
    memset(j->product.pixels, 255, image_bytes(BLANK_PX, BLANK_PX, 3));
    return SNUG_OK;
}

static SnugStatus draw_guide(AdJob *j, SnugError *err)
{
    const AdRequest *q = j->request;
    Heap *heap = j->context->heap;
    TextFont *font = NULL;
    Image guide = { 0 };
    const char *path;
    TRY(fonts_choose(&path, j->context->arena, q->font, q->font_folder, q->text_content, err));
    TRY(text_draw_open(&font, heap, path, (int)q->text_size, err));
    SnugStatus status = ad_text_guide(&guide, heap, font, q->text_content, j->side, err);
    text_draw_close(font);
    if (status == SNUG_OK) status = ad_guide_edges(&j->edges, heap, &guide, err);
    image_release(&guide);
    return error_wrap(err, status, "--text-content: ");
}

static SnugStatus read_pictures(AdJob *j, SnugError *err)
{
    const AdRequest *q = j->request;
    const bool letters = j->first_step <= 2 && j->last_step == 3;
    if (j->injects) TRY(read_product(j, err));
    if (j->first_step > 1)
        TRY(read_square(j, "step1-image", q->step1_image, 3, &j->background, err));
    if (j->first_step > 2)
        TRY(read_square(j, "step2-image", q->step2_image, 4, &j->letters_cut, err));
    if (letters) TRY(draw_guide(j, err));
    if (!j->injects && !letters) return SNUG_OK;
    const size_t n = (size_t)j->look * (size_t)j->look * 3;
    j->values = heap_take(j->context->heap, n * sizeof(float), "image");
    return j->values ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for a picture");
}

/* ---- jobs ------------------------------------------------------------------------------------- */

static SnugStatus open_image(AdJob *j, ImageJob **out, ImageRequest *q, ImageTask task,
                             const char *title, const ImageJob *lender, PipelineInfo *info,
                             SnugError *err)
{
    PipelineInfo own = { .frames = 0 };
    ImageJob *job = arena_take(j->context->arena, sizeof *job);
    if (!job) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    *out = job;
    job->context = j->context;
    job->request = q;
    job->task = task;
    job->lender = lender;
    job->given = task == IMAGE_INPAINT;
    job->title = title;
    const SnugStatus status = image_job_open(job, &own, err);
    if (own.rows > info->rows) info->rows = own.rows;
    info->guided = info->guided || own.guided;
    info->coarse = info->coarse || own.coarse;
    return error_wrap(err, status, "%s: ", title);
}

static SnugStatus begin_request(const AdJob *j, ImageRequest *q, SnugError *err)
{
    TRY(option_defaults(IMAGE_OPTIONS, q, j->context->arena, err));
    q->size = j->request->size;
    q->seed = j->request->seed;
    return SNUG_OK;
}

/* The first FLUX job of a set of networks lends them to the others. */
static SnugStatus open_flux(AdJob *j, AdFlux which, const ImageJob *lender, PipelineInfo *info,
                            SnugError *err)
{
    static const char *const TITLES[] = { "background", "product", "composite" };
    const AdRequest *r = j->request;
    ImageRequest *q = &j->flux_request[which];
    TRY(begin_request(j, q, err));
    const int kind = which > AD_COMPOSITE ? AD_COMPOSITE : (int)which;
    const int place = (int)which - AD_COMPOSITE;
    q->paths.model = kind == AD_COMPOSITE && fills(r) ? r->fill : r->flux;
    q->guidance = kind == AD_COMPOSITE ? 3.5 : r->guidance_scale;
    if (kind == AD_COMPOSITE && r->forward_guidance) q->guidance = r->composition_guidance;
    q->true_cfg = r->true_cfg;
    q->keep_unmasked = r->keep_unmasked && kind != AD_BACKGROUND;
    /* the chosen place's prompt takes the first place, with the negative one there */
    if (!is_blank(r->negative[kind]) && place <= 0) q->negative = r->negative[kind];
    switch (kind) {
    case AD_BACKGROUND:
        q->prompt = r->bg_prompt;
        q->steps = r->bg_steps;
        break;
    case AD_PRODUCT:
        q->prompt = r->bg_composition_prompt;
        q->steps = r->product_steps;
        q->strength = r->strength;
        break;
    default:
        q->prompt = j->prompt[place];
        q->steps = r->composition_steps;
        q->strength = r->composition_strength;
    }
    return open_image(j, &j->flux[which], q, kind == AD_BACKGROUND ? IMAGE_TXT2IMG : IMAGE_INPAINT,
                      TITLES[kind], lender, info, err);
}

static SnugStatus open_composite(AdJob *j, const ImageJob *lender, PipelineInfo *info,
                                 SnugError *err)
{
    for (int i = 0; i < j->n_places; i++) {
        const AdPosition place = j->n_places > 1 ? (AdPosition)i : j->position;
        ad_composite_prompt(j->prompt[i], sizeof j->prompt[i], j->mode, place,
                            j->request->composition_prompt);
        TRY(open_flux(j, (AdFlux)(AD_COMPOSITE + i), lender, info, err));
        if (!lender) lender = j->flux[AD_COMPOSITE];
    }
    return SNUG_OK;
}

static SnugStatus open_letters(AdJob *j, PipelineInfo *info, SnugError *err)
{
    const AdRequest *r = j->request;
    ImageRequest *q = &j->text_request;
    TRY(begin_request(j, q, err));
    q->paths.model = r->sdxl;
    q->paths.vae = r->sdxl_vae;
    q->controlnet = r->controlnet;
    q->control_picture = &j->edges;
    q->prompt = r->text_model_prompt;
    q->negative = r->negative_prompt;
    q->guidance = r->text_guidance;
    q->steps = r->text_steps;
    q->scheduler = "euler";
    q->rng = "cuda"; /* the service draws this one on the card */
    return open_image(j, &j->text, q, IMAGE_TXT2IMG, "letters", NULL, info, err);
}

static SnugStatus open_jobs(AdJob *j, PipelineInfo *info, SnugError *err)
{
    const AdRequest *q = j->request;
    const ImageJob *lender = NULL; /* one that encodes pictures, too */
    if (j->injects) {
        TRY(open_flux(j, AD_PRODUCT, NULL, info, err));
        lender = j->flux[AD_PRODUCT];
    } else if (j->first_step == 1 && j->last_step == 3 && !fills(q)) {
        TRY(open_composite(j, NULL, info, err));
        lender = j->flux[AD_COMPOSITE];
    }
    if (j->first_step == 1) TRY(open_flux(j, AD_BACKGROUND, lender, info, err));
    if (j->values)
        TRY(cutout_net_open(&j->cutout, j->context, q->birefnet, BIREFNET_PATCHES_HF, err));
    if (j->last_step < 3) return SNUG_OK;
    if (j->first_step <= 2) TRY(open_letters(j, info, err));
    return j->flux[AD_COMPOSITE] ? SNUG_OK : open_composite(j, fills(q) ? NULL : lender, info, err);
}

/* ---- all of it -------------------------------------------------------------------------------- */

/* Drawn once for a job: planning, running and what the result says go by the same. */
static SnugStatus draw_seed(AdRequest *q, SnugError *err)
{
    uint32_t drawn;
    if (q->seed != OPTION_RANDOM) return SNUG_OK;
    if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn)
        return error_set(err, SNUG_ERR_IO, "the system gave no random seed: give one (--seed)");
    q->seed = drawn;
    return SNUG_OK;
}

/* Pictures between networks, and what resizing, filtering and writing take beside them. */
static size_t pictures_bytes(const AdJob *j)
{
    const size_t product = image_bytes(j->product.width, j->product.height, 1);
    return 12 * product + 40 * image_bytes(j->side, j->side, 1) +
           6 * image_bytes(j->look, j->look, 1) + png_write_bytes(j->side, j->side, 4);
}

/* Labels that logs of the service had, in its order; monitors look for them. */
static void set_phases(AdJob *j)
{
    static const char *const STEP1[] = { "Before Step1 models unload",
                                         "FluxGenerator unload (no-op)",
                                         "After Step1 models unload", NULL },
                             *const STEP2[] = { "Before Step2 models unload",
                                                "SDXLTextGenerator unload (no-op)",
                                                "BiRefNet unload (no-op)",
                                                "After Step2 models unload", NULL },
                             *const STEP3[] = { "Before Flux Inpainting unload",
                                                "After Flux Inpainting unload", NULL };
    const char *const *lines[] = { STEP1, STEP2, STEP3 };
    j->phases.n = 3;
    for (int i = 0; i < 3; i++) {
        j->phases.unload[i + 1] = j->request->unload[i];
        j->phases.lines[i + 1] = lines[i];
    }
}

static SnugStatus open_job(AdJob *j, PipelineInfo *info, SnugError *err)
{
    set_phases(j);
    TRY(check_request(j, err));
    if (!j->request->demo) TRY(read_pictures(j, err));
    *info = (PipelineInfo){ .frames = 1,
                            .pictures = 1,
                            .width = j->side,
                            .height = j->side,
                            .texts = j->text_of_file,
                            .seeds = j->seeds,
                            .phases = &j->phases,
                            .fps = 1 };
    if (!j->request->demo) TRY(open_jobs(j, info, err));
    j->seeds[0] = j->request->seed;
    j->text_of_file[0] =
        arena_printf(j->context->arena, "%s%s\nSeed: %lld, Size: %dx%d",
                     j->request->demo ? "DUMMY: no model has drawn this. " : "",
                     j->last_step == 3 ? j->request->text_content : j->request->bg_prompt,
                     (long long)j->request->seed, j->side, j->side);
    if (!j->text_of_file[0]) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    info->result_bytes = pictures_bytes(j);
    return SNUG_OK;
}

SnugStatus ad_open(void **out, PipelineContext *context, void *request, PipelineInfo *info,
                   SnugError *err)
{
    *out = NULL;
    AdJob *j = arena_take(context->arena, sizeof *j);
    if (!j) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    j->context = context;
    j->request = request;
    TRY(draw_seed(request, err));
    const SnugStatus status = open_job(j, info, err);
    if (status == SNUG_OK)
        *out = j;
    else
        ad_close(j);
    return status;
}

void ad_close(void *job)
{
    AdJob *j = job;
    Heap *heap = j->context->heap;
    for (int i = AD_FLUX_JOBS; i-- > 0;) /* lenders last */
        if (j->flux[i] && j->flux[i]->lender) image_close(j->flux[i]);
    for (int i = 0; i < AD_FLUX_JOBS; i++)
        if (j->flux[i] && !j->flux[i]->lender) image_close(j->flux[i]);
    if (j->text) image_close(j->text);
    cutout_net_close(&j->cutout);
    heap_give(heap, j->values);
    for (int i = 0; i < 3; i++) {
        heap_give(heap, j->told[i].text);
        heap_give(heap, j->told[i].pooled);
    }
    Image *const pictures[] = { &j->product, &j->product_cut, &j->background, &j->edges,
                                &j->letters, &j->letters_cut, &j->soft };
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++)
        image_release(pictures[i]);
    j->values = NULL;
}
