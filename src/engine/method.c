/* method.c  The CPU computes in f32 whatever the weights are stored in; int8 is another arithmetic, and
 * must be asked for. Results made otherwise than plainly say so. */
#include "engine/method.h"

#include <string.h>

static const char INT8[] = "large transformer layers in int8";

SnugStatus method_choose(SnugJob *job, SnugError *err)
{
    static const char *const NAMES[] = { "auto", "f32", "int8", "bf16", "f16" };
    enum { N_NAMES = sizeof NAMES / sizeof NAMES[0], IS_INT8 = 2 };
    const char *asked = job->common.dtype;
    int i = 0;
    while (i < N_NAMES && strcmp(asked, NAMES[i]) != 0)
        i++;
    if (i == N_NAMES)
        return error_set(err, SNUG_ERR_ARG,
                         "--dtype: \"%.50s\" is none of auto, f32, int8, bf16, f16", asked);
    job->int8 = i == IS_INT8;
    if (i > IS_INT8)
        return error_set(
            err, SNUG_ERR_ARG,
            "--dtype %s: the %s device computes in f32 and int8; %s; weights that are "
            "stored as bf16 or f16 stay so without it",
            asked, job->engine->device.name,
            strcmp(asked, "bf16") == 0
                ? "products in bf16 need AVX-512-BF16, for which there is no kernel yet"
                : "products in f16 need a GPU");
    return SNUG_OK;
}

SnugStatus method_check(SnugJob *job, SnugError *err)
{
    const char *shortcut = job->info.shortcut;
    if (job->int8 && !job->info.int8)
        return error_set(
            err, SNUG_ERR_ARG,
            "--dtype int8: %s has no layers that bear it; it is for the transformers of "
            "the Wan and FLUX pipelines",
            job->pipeline->name);
    job->method = job->int8 ? INT8 : shortcut;
    if (!job->int8 || !shortcut) return SNUG_OK;
    job->method = arena_printf(&job->arena, "%s; %s", shortcut, INT8);
    return job->method ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
}
