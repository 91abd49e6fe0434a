/* lora_option.c  Names of files may hold colons: what stands behind the last ones is taken for
 * settings only if it reads as such and no file has the whole name. */
#include "pipelines/lora_option.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

/* Cut off ":high" or ":low". */
static unsigned take_expert(char *text)
{
    char *colon = strrchr(text, ':');
    unsigned expert = LORA_BOTH;
    if (!colon) return expert;
    if (strcmp(colon, ":high") == 0) expert = LORA_HIGH;
    if (strcmp(colon, ":low") == 0) expert = LORA_LOW;
    if (expert != LORA_BOTH) *colon = '\0';
    return expert;
}

/* Cut off ":0.8"; false: it is no strength. */
static bool take_strength(char *text, double *out)
{
    char *colon = strrchr(text, ':'), *end;
    *out = 1.0;
    if (!colon || colon == text || strchr(colon, '/')) return true;
    const double value = strtod(colon + 1, &end);
    if (*end || end == colon + 1 || !isfinite(value) || fabs(value) > LORA_OPTION_MAX_STRENGTH)
        return false;
    *out = value;
    *colon = '\0';
    return true;
}

static SnugStatus parse(LoraRequest *out, char *text, int experts, SnugError *err)
{
    *out = (LoraRequest){ .path = text, .strength = 1.0, .experts = LORA_BOTH };
    if (file_type(text) != FILE_ABSENT) return SNUG_OK;
    out->experts = take_expert(text);
    if (file_type(text) == FILE_ABSENT && !take_strength(text, &out->strength))
        return error_set(err, SNUG_ERR_ARG,
                         "--lora: \"%.300s\" is neither a file nor FILE:strength with a strength "
                         "from -%.0f to %.0f",
                         text, LORA_OPTION_MAX_STRENGTH, LORA_OPTION_MAX_STRENGTH);
    if (experts == 2 || out->experts == LORA_BOTH) return SNUG_OK;
    return error_set(err, SNUG_ERR_ARG,
                     "--lora %.300s: the model has one transformer, not one for high and one for "
                     "low noise",
                     text);
}

SnugStatus lora_option_open(LoraSet **out, Heap *heap, const char *lines, int experts,
                            SnugError *err)
{
    LoraRequest requests[LORA_MAX_FILES];
    Arena arena;
    int n = 0;
    *out = NULL;
    if (!lines) return SNUG_OK;
    arena_init(&arena, heap, "LoRA");
    char *at = arena_text(&arena, lines, strlen(lines)), *next = NULL;
    SnugStatus status = at ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for --lora");
    for (; status == SNUG_OK && at; at = next) {
        next = strchr(at, '\n');
        if (next) *next++ = '\0';
        if (n == LORA_MAX_FILES)
            status =
                error_set(err, SNUG_ERR_ARG, "--lora: more than %d files", (int)LORA_MAX_FILES);
        else
            status = parse(&requests[n++], at, experts, err);
    }
    if (status == SNUG_OK) status = lora_open(out, heap, requests, n, err);
    arena_release(&arena);
    return status;
}
