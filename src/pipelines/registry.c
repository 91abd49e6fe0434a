/* registry.c  The list of pipelines: one row each. */
#include "pipelines/pipeline.h"

#include <string.h>

static const Pipeline *const PIPELINES[] = { &PIPELINE_WAN_TI2V, &PIPELINE_WAN_T2V,
                                             &PIPELINE_WAN_I2V,  &PIPELINE_TXT2IMG,
                                             &PIPELINE_IMG2IMG,  &PIPELINE_INPAINT,
                                             &PIPELINE_CUTOUT,   &PIPELINE_AD };

const Pipeline *pipeline_at(int index)
{
    const int n = (int)(sizeof PIPELINES / sizeof PIPELINES[0]);
    return index >= 0 && index < n ? PIPELINES[index] : NULL;
}

const Pipeline *pipeline_find(const char *name)
{
    const Pipeline *p;
    for (int i = 0; (p = pipeline_at(i)); i++)
        if (strcmp(p->name, name) == 0) return p;
    return NULL;
}
