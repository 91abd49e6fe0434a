/* sdxl_schedule.c  Which scheduler, and where image to image begins. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "pipelines/sdxl.h"

/* "dpm++-karras" is dpm++ on Karras' levels. */
static SnugStatus named(const char *name, DiffusionConfig *config, SnugError *err)
{
    static const char KARRAS[] = "-karras";
    const size_t n = strlen(name), tail = sizeof KARRAS - 1;
    const bool karras = n > tail && strcmp(name + n - tail, KARRAS) == 0;
    char plain[48];
    DiffusionKind kind = DIFFUSION_EULER;
    (void)snprintf(plain, sizeof plain, "%.*s", (int)(karras ? n - tail : n < 47 ? n : 47), name);
    if (n >= sizeof plain) return diffusion_kind_of_name(&kind, name, err);
    TRY(diffusion_kind_of_name(&kind, plain, err));
    if (karras && kind != DIFFUSION_EULER && kind != DIFFUSION_DPMPP)
        return error_set(err, SNUG_ERR_ARG, "scheduler '%s': only euler and dpm++ have it", name);
    config->respacing = RESPACING_NONE;
    diffusion_config_switch(config, kind);
    if (karras) config->respacing = RESPACING_KARRAS;
    return SNUG_OK;
}

static const char *sampler_name(const DiffusionConfig *c)
{
    const bool karras = c->respacing == RESPACING_KARRAS;
    switch (c->kind) {
    case DIFFUSION_EULER_A:
        return "Euler a";
    case DIFFUSION_DDIM:
        return "DDIM";
    case DIFFUSION_DPMPP:
        if (c->stochastic) return karras ? "DPM++ 2M SDE Karras" : "DPM++ 2M SDE";
        return karras ? "DPM++ 2M Karras" : "DPM++ 2M";
    case DIFFUSION_EULER:
    default:
        return karras ? "Euler Karras" : "Euler";
    }
}

SnugStatus sdxl_schedule_choose(const ImageJob *job, DiffusionConfig *config, const char **sampler,
                                SnugError *err)
{
    Json given;
    ImageJob *j = (ImageJob *)(uintptr_t)job;
    TRY(image_model_scheduler(&j->model, &given, err));
    if (json_kind(given) == JSON_KIND_OBJECT)
        TRY(diffusion_config_read(config, given, err));
    else
        diffusion_config_sdxl(config);
    if (job->request->scheduler) TRY(named(job->request->scheduler, config, err));
    *sampler = sampler_name(config);
    return SNUG_OK;
}

/* As diffusers' SDXL counts: so many steps are done, cut to a whole number. */
static SnugStatus first_step(const ImageJob *j, int *first, SnugError *err)
{
    const int n = (int)j->settings.steps, wish = (int)((double)n * j->settings.strength);
    *first = 0;
    if (j->task == IMAGE_TXT2IMG) return SNUG_OK;
    *first = n - (wish < n ? wish : n);
    if (*first < n) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG,
                     "--strength %g of %d steps is less than one step: nothing would change",
                     j->settings.strength, n);
}

SnugStatus sdxl_schedule_make(SdxlJob *j, SnugError *err)
{
    DiffusionConfig config;
    const char *sampler;
    DiffusionRun run = { .steps = (int)j->image->settings.steps,
                         .eta = j->image->request->eta,
                         .from_data = j->image->picture != NULL };
    TRY(sdxl_schedule_choose(j->image, &config, &sampler, err));
    TRY(first_step(j->image, &run.first, err));
    TRY(diffusion_init(&j->scheduler, &config, &run, err));
    for (int i = run.first; i < run.steps; i++)
        j->times[i - run.first] = (double)j->scheduler.timesteps[i];
    return SNUG_OK;
}
