/* ad_dummy.c  Ticks and three flat pictures. */
#include "pipelines/ad_dummy.h"

#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/size.h"

/* ---- pictures --------------------------------------------------------------------------------- */

enum { GLYPH_W = 5, GLYPH_H = 7, N_GLYPHS = 5 };

/* Rows of D U M M Y, five bits each. */
static const uint8_t WORD[N_GLYPHS][GLYPH_H] = { { 30, 17, 17, 17, 17, 17, 30 },
                                                 { 17, 17, 17, 17, 17, 17, 14 },
                                                 { 17, 27, 21, 21, 17, 17, 17 },
                                                 { 17, 27, 21, 21, 17, 17, 17 },
                                                 { 17, 17, 10, 4, 4, 4, 4 } };

/* Is pixel (x, y) part of the word, which goes over the middle third? */
static bool in_word(int side, int x, int y)
{
    const int cells = N_GLYPHS * (GLYPH_W + 1) + 1, cell = side / cells;
    if (cell == 0) return false;
    const int col = x / cell - 1, row = (y - (side - GLYPH_H * cell) / 2) / cell;
    if (col < 0 || y < (side - GLYPH_H * cell) / 2 || row >= GLYPH_H) return false;
    const int glyph = col / (GLYPH_W + 1), at = col % (GLYPH_W + 1);
    return glyph < N_GLYPHS && at < GLYPH_W && (WORD[glyph][row] >> (GLYPH_W - 1 - at) & 1);
}

SnugStatus ad_dummy_picture(Image *out, Heap *heap, int side, int step, SnugError *err)
{
    static const uint8_t BLUE[3] = { 173, 216, 230 }, YELLOW[3] = { 255, 255, 0 },
                         BLACK[3] = { 0, 0, 0 };
    const uint8_t *below = step == 2 ? YELLOW : BLUE, *word = step == 3 ? YELLOW : BLACK;
    *out = (Image){ 0 };
    TRY(image_init(out, heap, side, side, 3, err));
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            memcpy(out->pixels + 3 * ((size_t)y * (size_t)side + (size_t)x),
                   in_word(side, x, y) ? word : below, 3);
    return SNUG_OK;
}

/* ---- recipe ----------------------------------------------------------------------------------- */

static void fill_tick(void *context, float *to, int64_t count)
{
    const AdJob *j = context;
    const int64_t ms = j->request->demo_tick_ms;
    const struct timespec wait = { ms / 1000, ms % 1000 * 1000000 };
    memset(to, 0, (size_t)count * sizeof *to);
    (void)nanosleep(&wait, NULL);
}

static SnugStatus take_tick(void *context, const float *from, int64_t count, SnugError *err)
{
    (void)context, (void)from, (void)count, (void)err;
    return SNUG_OK;
}

static SnugStatus end_step(AdJob *j, int step, SnugError *err)
{
    static const char *const NAMES[] = { "step1_result.png", "step2_result.png" };
    TRY(ad_dummy_picture(&j->background, j->context->heap, j->side, step, err));
    return step < 3 && j->last_step > 1 ? ad_save_step(j, NAMES[step - 1], &j->background, err)
                                        : SNUG_OK;
}

static void fill_picture(void *context, float *to, int64_t count)
{
    const AdJob *j = context;
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)j->background.pixels[i] / 127.5f - 1.0f;
}

void ad_dummy_recipe(Run *r, AdJob *j)
{
    static const char *const STAGES[] = { "dummy step 1", "dummy step 2", "dummy step 3" };
    static const int TICKS[] = { 20, 8, 5 };
    for (int step = j->first_step; step <= j->last_step; step++) {
        run_phase(r, step);
        run_stage(r, STAGES[step - 1]);
        for (int i = 0; run_step(r, i, TICKS[step - 1]); i++)
            run_take(r, run_input(r, SHAPE(1), fill_tick, j), take_tick, j);
        if (r->rehearse || !run_ok(r)) continue;
        image_release(&j->background);
        const SnugStatus status = end_step(j, step, r->err);
        if (status != SNUG_OK) r->status = status;
    }
    run_output(r, "frame", 0, run_input(r, SHAPE(1, j->side, j->side, 3), fill_picture, j));
}
