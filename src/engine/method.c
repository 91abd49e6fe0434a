/* method.c  The CPU computes in f32 whatever the weights are stored in; bf16 and int8 give other
 * results, and must be asked for. Results made otherwise than plainly say so. */
#include "engine/method.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

/* By Arithmetic. */
static const struct Coarse {
    const char *dtype, *words;
} COARSE[] = {
    [ARITHMETIC_F32] = { "f32", NULL },
    [ARITHMETIC_BF16] = { "bf16", "large transformer layers in bf16" },
    [ARITHMETIC_INT8] = { "int8", "large transformer layers in int8" },
};

const char *method_dtype(const SnugJob *job)
{
    return COARSE[job->arithmetic].dtype;
}

SnugStatus method_choose(SnugJob *job, SnugError *err)
{
    const char *asked = job->common.dtype;
    size_t i = 0;
    while (i < COUNT(COARSE) && strcmp(asked, COARSE[i].dtype) != 0)
        i++;
    if (strcmp(asked, "auto") == 0) i = ARITHMETIC_F32;
    if (strcmp(asked, "f16") == 0)
        return error_set(err, SNUG_ERR_ARG,
                         "--dtype f16: the %s device computes in f32, bf16 and int8; products in "
                         "f16 need a GPU; weights that are stored as f16 stay so without it",
                         job->engine->device.name);
    if (i == COUNT(COARSE))
        return error_set(err, SNUG_ERR_ARG,
                         "--dtype: \"%.50s\" is none of auto, f32, bf16, int8, f16", asked);
    job->arithmetic = (Arithmetic)i;
    return SNUG_OK;
}

/* Once per run, with what else it warns of. */
static void warn_of_no_gain(SnugJob *job)
{
    const Isa isa = job->engine->cpu.kernels.isa;
    char *warnings = job->weights.warnings;
    const size_t used = strlen(warnings);
    if (job->arithmetic != ARITHMETIC_BF16 || isa_covers(isa, ISA_BF16)) return;
    (void)snprintf(warnings + used, sizeof job->weights.warnings - used,
                   "--dtype bf16: %s kernels have no instruction for it (AVX-512-BF16); it is "
                   "slower than f32 here\n",
                   isa_name(isa));
}

SnugStatus method_check(SnugJob *job, SnugError *err)
{
    const char *shortcut = job->info.shortcut, *words = COARSE[job->arithmetic].words;
    if (words && !job->info.coarse)
        return error_set(err, SNUG_ERR_ARG,
                         "--dtype %s: %s has no layers that bear it; it is for the transformers of "
                         "the Wan and FLUX pipelines",
                         method_dtype(job), job->pipeline->name);
    warn_of_no_gain(job);
    job->method = words ? words : shortcut;
    if (!words || !shortcut) return SNUG_OK;
    job->method = arena_printf(&job->arena, "%s; %s", shortcut, words);
    return job->method ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
}
