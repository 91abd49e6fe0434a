/* ad.c  The recipe of an advertisement (ad.h). Between networks it works on pictures of 8 bits: a
 * network's result is taken from the plan (run_take), and the next one's input given to it; shapes
 * never depend on what they show. In rehearsal the pictures are skipped.
 *
 * Reference: the service's own calls of diffusers, transformers and Pillow (docs/MODELS.md). */
#include "pipelines/ad_dummy.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "media/png.h"
#include "media/resize.h"

/* ---- pictures in and out ---------------------------------------------------------------------- */

/* A step on pictures: nothing in rehearsal, and what fails ends the run. */
#define STEP(r, call)                                                                              \
    do {                                                                                           \
        if (!(r)->rehearse && run_ok(r)) {                                                         \
            const SnugStatus step_status = (call);                                                 \
            if (step_status != SNUG_OK) (r)->status = step_status;                                 \
        }                                                                                          \
    } while (0)

/* -1..1 to bytes as diffusers' exporter of pictures does: halves to even. */
static SnugStatus bytes_of(Image *out, Heap *heap, int side, const float *from, SnugError *err)
{
    const size_t n = image_bytes(side, side, 3);
    image_release(out);
    TRY(image_init(out, heap, side, side, 3, err));
    for (size_t i = 0; i < n; i++) {
        const float v = from[i] * 0.5f + 0.5f;
        if (!isfinite(v))
            return error_set(err, SNUG_ERR_NUMERIC,
                             "a picture holds NaN: the weights may be damaged");
        out->pixels[i] = (uint8_t)rintf((v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v) * 255.0f);
    }
    return SNUG_OK;
}

static SnugStatus take_background(void *context, const float *from, int64_t count, SnugError *err)
{
    AdJob *j = context;
    (void)count;
    return bytes_of(&j->background, j->context->heap, j->side, from, err);
}

static SnugStatus take_letters(void *context, const float *from, int64_t count, SnugError *err)
{
    AdJob *j = context;
    (void)count;
    return bytes_of(&j->letters, j->context->heap, j->side, from, err);
}

static SnugStatus take_soft(void *context, const float *from, int64_t count, SnugError *err)
{
    AdJob *j = context;
    (void)count;
    image_release(&j->soft);
    return cutout_soft_map(&j->soft, j->context->heap, from, j->look, j->look, err);
}

SnugStatus ad_save_step(const AdJob *j, const char *name, const Image *image, SnugError *err)
{
    Arena arena;
    if (!j->request->steps_folder) return SNUG_OK;
    arena_init(&arena, j->context->heap, "output");
    const char *path = file_join(&arena, j->request->steps_folder, name);
    const SnugStatus status = path ? png_write_file(path, j->context->heap, image, NULL, 0, err)
                                   : error_set(err, SNUG_ERR_MEMORY, "no memory for a path");
    arena_release(&arena);
    return status;
}

/* ---- cutting out ------------------------------------------------------------------------------ */

static SnugStatus show_to_birefnet(AdJob *j, const Image *picture, SnugError *err)
{
    Image fitted = { 0 };
    TRY(resize_image(&fitted, j->context->heap, picture, j->look, j->look, RESIZE_LANCZOS, err));
    cutout_values(j->values, &fitted);
    image_release(&fitted);
    return SNUG_OK;
}

static void fill_values(void *context, float *to, int64_t count)
{
    const AdJob *j = context;
    memcpy(to, j->values, (size_t)count * sizeof *to);
}

static SnugStatus finish_cut(AdJob *j, Image *out, const Image *picture, SnugError *err)
{
    enum { SOLID = 128 };
    image_release(out);
    return ad_cut_out(out, j->context->heap, picture, &j->soft, SOLID, err);
}

static void cut_out(Run *r, AdJob *j, const char *stage, const Image *picture, Image *out)
{
    run_stage(r, stage);
    STEP(r, show_to_birefnet(j, picture, r->err));
    const Tensor x = run_input(r, SHAPE(1, j->look, j->look, 3), fill_values, j);
    const Tensor logits = birefnet_forward(r, &j->cutout.net, x);
    run_take(r, op_activation(r, logits, ACT_SIGMOID), take_soft, j);
    STEP(r, finish_cut(j, out, picture, r->err));
}

/* ---- prompts ---------------------------------------------------------------------------------- */

static FluxJob *flux(const AdJob *j, int which)
{
    return j->flux[which] ? j->flux[which]->own : NULL;
}

/* Jobs with the same networks encode their prompts together. */
static void encode_prompts(Run *r, AdJob *j)
{
    FluxJob *jobs[AD_FLUX_JOBS];
    for (int lender = 0; lender < AD_FLUX_JOBS; lender++) {
        int n = 0;
        if (!j->flux[lender] || j->flux[lender]->lender) continue;
        for (int i = 0; i < AD_FLUX_JOBS; i++)
            if (j->flux[i] && (i == lender || j->flux[i]->lender == j->flux[lender]))
                jobs[n++] = flux(j, i);
        flux_encode_prompts(r, jobs, n);
    }
}

/* A copy of a tensor outside of the plan. */
typedef struct Copy {
    Heap *heap;
    float **to;
} Copy;

static SnugStatus take_copy(void *context, const float *from, int64_t count, SnugError *err)
{
    const Copy *copy = context;
    heap_give(copy->heap, *copy->to);
    *copy->to = heap_take(copy->heap, (size_t)count * sizeof(float), "prompts");
    if (!*copy->to) return error_set(err, SNUG_ERR_MEMORY, "no memory for the prompts");
    memcpy(*copy->to, from, (size_t)count * sizeof(float));
    return SNUG_OK;
}

/* Until the background is known, every place's prompt waits. */
static void keep_prompts(Run *r, AdJob *j)
{
    for (int i = 0; i < j->n_places && j->n_places > 1; i++) {
        FluxJob *f = flux(j, AD_COMPOSITE + i);
        Copy text = { j->context->heap, &j->told[i].text },
             pooled = { j->context->heap, &j->told[i].pooled };
        run_take(r, f->text[0], take_copy, &text);
        run_take(r, f->pooled[0], take_copy, &pooled);
    }
}

static void fill_copy(void *context, float *to, int64_t count)
{
    memcpy(to, context, (size_t)count * sizeof *to);
}

/* The chosen one comes back, in the place of the first. */
static void choose_prompt(Run *r, AdJob *j, AdPosition position)
{
    FluxJob *f = flux(j, AD_COMPOSITE);
    if (j->n_places == 1 || !run_ok(r)) return;
    const AdTold *told = &j->told[position];
    f->text[0] = run_input(r, f->text[0].shape, fill_copy, told->text);
    f->pooled[0] = run_input(r, f->pooled[0].shape, fill_copy, told->pooled);
}

/* ---- steps ------------------------------------------------------------------------------------ */

static SnugStatus place_product(AdJob *j, SnugError *err)
{
    Image draft = { 0 }, mask = { 0 };
    TRY(ad_place_product(&draft, &mask, j->context->heap, &j->background, &j->product_cut, err));
    image_give(j->flux[AD_PRODUCT], &draft, &mask);
    image_release(&draft);
    image_release(&mask);
    return SNUG_OK;
}

static void draw_background(Run *r, AdJob *j)
{
    flux_embed(r, flux(j, AD_BACKGROUND));
    if (j->injects) flux_embed(r, flux(j, AD_PRODUCT));
    flux_paint(r, flux(j, AD_BACKGROUND));
    if (j->injects) {
        STEP(r, place_product(j, r->err));
        flux_paint(r, flux(j, AD_PRODUCT));
    }
    if (j->last_step > 1) STEP(r, ad_save_step(j, "step1_result.png", &j->background, r->err));
}

static void draw_letters(Run *r, AdJob *j)
{
    j->text->family->recipe(r, j->text);
    cut_out(r, j, "letters: cut out", &j->letters, &j->letters_cut);
    STEP(r, ad_save_step(j, "step2_result.png", &j->letters_cut, r->err));
}

static SnugStatus lay_letters(AdJob *j, AdPosition *position, SnugError *err)
{
    Heap *heap = j->context->heap;
    Image moved = { 0 }, draft = { 0 }, mask = { 0 };
    *position = j->position;
    j->laying = true;
    if (j->position == AD_AUTO) TRY(ad_find_position(position, heap, &j->background, err));
    TRY(ad_move_text(&moved, heap, &j->letters_cut, *position, err));
    const SnugStatus status = ad_lay_text(&draft, &mask, heap, &j->background, &moved, err);
    if (status == SNUG_OK) image_give(j->flux[AD_COMPOSITE], &draft, &mask);
    image_release(&moved);
    image_release(&draft);
    image_release(&mask);
    return status;
}

static void draw_composite(Run *r, AdJob *j)
{
    AdPosition position = AD_TOP;
    STEP(r, lay_letters(j, &position, r->err));
    choose_prompt(r, j, position);
    flux_embed(r, flux(j, AD_COMPOSITE));
    flux_paint(r, flux(j, AD_COMPOSITE));
}

/* Results that go on; the last one goes out. */
static void set_takers(AdJob *j)
{
    const AdFlux last = j->injects ? AD_PRODUCT : AD_BACKGROUND; /* of step 1 */
    for (AdFlux i = AD_BACKGROUND; i <= last && j->flux[AD_BACKGROUND]; i++) {
        j->flux[i]->take = i < last || j->last_step > 1 ? take_background : NULL;
        j->flux[i]->take_context = j;
    }
    if (!j->text) return;
    j->text->take = take_letters;
    j->text->take_context = j;
}

static void ad_recipe(Run *r, void *self)
{
    AdJob *j = self;
    if (j->request->demo) {
        ad_dummy_recipe(r, j);
        return;
    }
    j->laying = false;
    set_takers(j);
    run_phase(r, j->first_step);
    for (int i = 0; i < AD_FLUX_JOBS; i++)
        if (j->flux[i]) image_seed(j->flux[i]);
    if (j->text) image_seed(j->text);
    encode_prompts(r, j);
    keep_prompts(r, j);
    if (j->injects) cut_out(r, j, "product: cut out", &j->product, &j->product_cut);
    if (j->first_step == 1) draw_background(r, j);
    run_phase(r, 2);
    if (j->first_step <= 2 && j->last_step == 3) draw_letters(r, j);
    run_phase(r, 3);
    if (j->last_step == 3) draw_composite(r, j);
}

/* What failed in step 3 leaves the letters to be laid over plainly, as the service did. */
static SnugStatus ad_rescue(void *self, Image *out, SnugError *err)
{
    AdJob *j = self;
    Heap *heap = j->context->heap;
    AdPosition position = j->position;
    Image moved = { 0 }, below = { 0 };
    *out = (Image){ 0 };
    if (!j->laying) return error_set(err, SNUG_ERR_ARG, "step 3 has not begun");
    if (position == AD_AUTO) TRY(ad_find_position(&position, heap, &j->background, err));
    TRY(ad_move_text(&moved, heap, &j->letters_cut, position, err));
    SnugStatus status = compose_convert(&below, heap, &j->background, 4, err);
    if (status == SNUG_OK) {
        compose_over(&below, &moved);
        status = compose_convert(out, heap, &below, 3, err);
    }
    image_release(&moved);
    image_release(&below);
    return status;
}

/* Names of the service's requests that are not those of options. */
static const PipelineField FIELDS[] = { { "font_name", "font", true },
                                        { "test_mode", "demo", false },
                                        { NULL, NULL, false } };

const Pipeline PIPELINE_AD = { .name = "ad",
                               .summary = "advertisement: product, background and letters "
                                          "(FLUX.1, SDXL with ControlNet, BiRefNet)",
                               .options = AD_OPTIONS,
                               .request_bytes = sizeof(AdRequest),
                               .auto_unload = true,
                               .fields = FIELDS,
                               .open = ad_open,
                               .recipe = ad_recipe,
                               .rescue = ad_rescue,
                               .close = ad_close };
