/* infotext.h  How a picture was made, in the words that AUTOMATIC1111's web UI puts into PNG files
 * under the key "parameters", and that many tools read:
 *
 *     a red ball
 *     Negative prompt: blurry
 *     Steps: 28, Sampler: Euler, Distilled CFG Scale: 3.5, Seed: 42, Size: 1024x1024, Model: ...
 *
 * Values with a comma, a colon, a quote or a line break are quoted as in JSON. */
#ifndef PIPELINES_INFOTEXT_H
#define PIPELINES_INFOTEXT_H

#include <stdint.h>

#include "base/arena.h"

/** Negative numbers and NULL: not told. */
typedef struct Infotext {
    const char *prompt, *negative;
    const char *sampler, *guidance_key, *model; /**< model: a path, its last part is told */
    int64_t steps, seed;
    int width, height;
    double guidance, true_cfg, strength;
} Infotext;

/** NULL without memory. */
const char *infotext_write(const Infotext *t, Arena *arena);

/** Called for every value of a text, under the name of the option that sets it. */
typedef void InfotextValue(void *context, const char *option, const char *value);
/**
 * Read a text: prompt, negative, steps, seed, size, guidance, true-cfg, strength are given to
 * `value`, other keys are skipped. A text without a line of keys is all prompt.
 * @return false without memory
 */
bool infotext_read(const char *text, Arena *arena, InfotextValue *value, void *context);

#endif
