/* flux_latent.c  Packing, noise and masks of FLUX latents.
 *
 * A token is a 2x2 square of the latent: channel, row, column in this order of significance. Masks
 * are made in that order at once. Traps: the latent's mask is the mask's pixel [f y, f x], not an
 * average; Fill's mask keeps every pixel: f f "channels" of the latent's size, packed like one. */
#include "pipelines/flux.h"

static void fill_draw(void *context, float *to, int64_t count)
{
    FluxDraw *d = context;
    const int64_t c = d->noise.channels, pixels = count / c;
    if (d->skips) noise_fill(&d->noise, to, count);
    if (!d->given) {
        noise_fill(&d->noise, to, count);
        return;
    }
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < c; k++)
            to[p * c + k] = d->given[k * pixels + p];
}

Tensor flux_draw(Run *r, FluxJob *j, FluxDraw *draw)
{
    return run_input(r, SHAPE(1, j->h, j->w, j->vae.cfg.z), fill_draw, draw);
}

Tensor flux_pack(Run *r, Tensor latent)
{
    return op_patchify(r, latent, 1, 2, 2, PATCH_CTHW);
}

Tensor flux_unpack(Run *r, const FluxJob *j, Tensor tokens)
{
    return op_unpatchify(r, tokens, j->grid, 1, 2, 2, PATCH_CTHW);
}

/* ---- masks ---------------------------------------------------------------------------------- */

static void fill_pixels(void *context, float *to, int64_t count)
{
    const FluxJob *j = context;
    const int64_t f = autoencoder_kl_factor(&j->vae.cfg), width = j->image->settings.width;
    (void)count;
    for (int64_t row = 0; row < j->grid.height; row++)
        for (int64_t column = 0; column < j->grid.width; column++)
            for (int64_t c = 0; c < f * f; c++)
                for (int64_t k = 0; k < 4; k++) {
                    const int64_t y = (2 * row + k / 2) * f + c / f,
                                  x = (2 * column + k % 2) * f + c % f;
                    *to++ = (float)j->image->mask[y * width + x];
                }
}

Tensor flux_mask_pixels(Run *r, FluxJob *j)
{
    const int64_t f = autoencoder_kl_factor(&j->vae.cfg);
    return run_input(r, SHAPE(j->grid.height * j->grid.width, 4 * f * f), fill_pixels, j);
}

static void put_latent(const FluxJob *j, float *to, bool inverse)
{
    const int64_t f = autoencoder_kl_factor(&j->vae.cfg), width = j->image->settings.width;
    for (int64_t row = 0; row < j->grid.height; row++)
        for (int64_t column = 0; column < j->grid.width; column++)
            for (int64_t i = 0; i < 4 * j->vae.cfg.z; i++) {
                const int64_t y = (2 * row + i % 4 / 2) * f, x = (2 * column + i % 2) * f;
                *to++ = (j->image->mask[y * width + x] != 0) != inverse ? 1.0f : 0.0f;
            }
}

static void fill_latent(void *context, float *to, int64_t count)
{
    (void)count;
    put_latent(context, to, false);
}

static void fill_inverse(void *context, float *to, int64_t count)
{
    (void)count;
    put_latent(context, to, true);
}

Tensor flux_mask_latent(Run *r, FluxJob *j, bool inverse)
{
    return run_input(r, SHAPE(j->grid.height * j->grid.width, 4 * j->vae.cfg.z),
                     inverse ? fill_inverse : fill_latent, j);
}
