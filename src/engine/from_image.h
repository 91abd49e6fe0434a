/* from_image.h  A picture carries the job that made it, and gives it back.
 *
 * Pictures have two texts: "parameters" for people and other tools (pipelines/infotext.h), and "snug"
 * with the options that were set, the seed being that of this picture:
 *
 *     {"snug":"0.1.0","pipeline":"txt2img","options":{"model":"flux","prompt":"a ball","seed":"43"}}
 */
#ifndef ENGINE_FROM_IMAGE_H
#define ENGINE_FROM_IMAGE_H

#include "base/text.h"
#include "engine/engine.h"

#define FROM_IMAGE_KEY "snug"

/** One option as it was set. */
typedef struct JobSetting {
    const char *name, *value;
    struct JobSetting *next;
} JobSetting;

/** Remember an option of the pipeline; a later value replaces an earlier one. */
SNUG_MUST_USE SnugStatus from_image_note(SnugJob *job, const char *name, const char *value,
                                         SnugError *err);
/** The text "snug" of a picture of the job. */
void from_image_settings(const SnugJob *job, int64_t seed, TextBuilder *to);

#endif
