/* option.c  Strict parsing: a value is taken whole or refused with its range. */
#include "pipelines/option.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static SnugStatus refuse(const Option *o, const char *value, SnugError *err)
{
    const SnugOption *p = &o->public_part;
    switch (p->kind) {
    case SNUG_OPTION_INT:
    case SNUG_OPTION_FLOAT:
        return error_set(err, SNUG_ERR_ARG, "--%s: \"%.100s\" is no %s from %.10g to %.10g",
                         p->name, value, p->kind == SNUG_OPTION_INT ? "whole number" : "number",
                         p->min, p->max);
    case SNUG_OPTION_SIZE:
        return error_set(err, SNUG_ERR_ARG,
                         "--%s: \"%.100s\" is no size such as 832x480 (each side %.0f to %.0f)",
                         p->name, value, p->min, p->max);
    case SNUG_OPTION_FLAG:
        return error_set(err, SNUG_ERR_ARG, "--%s: \"%.100s\" is neither true nor false", p->name,
                         value);
    case SNUG_OPTION_LIST:
        return error_set(err, SNUG_ERR_ARG, "--%s: \"%.100s\" holds a line break", p->name, value);
    case SNUG_OPTION_TEXT:
    case SNUG_OPTION_SWITCH:
    case SNUG_OPTION_PATH:
    case SNUG_OPTION_PICTURE:
    default:
        return error_set(err, SNUG_ERR_ARG, "--%s: needs a value", p->name);
    }
}

static bool parse_int(const SnugOption *p, const char *value, int64_t *out)
{
    char *end;
    if (p->default_text && strcmp(p->default_text, OPTION_RANDOM_WORD) == 0 &&
        strcmp(value, OPTION_RANDOM_WORD) == 0) {
        *out = OPTION_RANDOM;
        return true;
    }
    errno = 0;
    const long long v = strtoll(value, &end, 10);
    if (errno || end == value || *end || (double)v < p->min || (double)v > p->max) return false;
    *out = v;
    return true;
}

static bool parse_float(const SnugOption *p, const char *value, double *out)
{
    char *end;
    const double v = strtod(value, &end);
    if (end == value || *end || !isfinite(v) || v < p->min || v > p->max) return false;
    *out = v;
    return true;
}

static bool parse_size(const SnugOption *p, const char *value, OptionSize *out)
{
    char *end;
    errno = 0;
    const long w = strtol(value, &end, 10);
    if (errno || end == value || (*end != 'x' && *end != 'X' && *end != '*')) return false;
    const char *second = end + 1;
    const long h = strtol(second, &end, 10);
    if (errno || end == second || *end) return false;
    if ((double)w < p->min || (double)h < p->min || (double)w > p->max || (double)h > p->max)
        return false;
    *out = (OptionSize){ (int)w, (int)h };
    return true;
}

static bool parse_flag(const char *value, bool *out)
{
    static const char *const YES[] = { "true", "on", "yes", "1" }, *const NO[] = { "false", "off",
                                                                                   "no", "0" };
    for (int i = 0; i < 4; i++) {
        if (strcmp(value, YES[i]) == 0 || strcmp(value, NO[i]) == 0) {
            *out = strcmp(value, YES[i]) == 0;
            return true;
        }
    }
    return false;
}

/* Another line of a list; an empty one clears it. */
static SnugStatus add_line(const Option *o, Arena *arena, const char *value, const char **list,
                           SnugError *err)
{
    if (strchr(value, '\n')) return refuse(o, value, err);
    const char *before = *list;
    *list = NULL;
    if (!*value) return SNUG_OK;
    *list = before ? arena_printf(arena, "%s\n%s", before, value)
                   : arena_text(arena, value, strlen(value));
    if (*list) return SNUG_OK;
    return error_set(err, SNUG_ERR_MEMORY, "no memory for --%s", o->public_part.name);
}

SnugStatus option_parse(const Option *o, void *request, Arena *arena, const char *value,
                        SnugError *err)
{
    void *at = (char *)request + o->offset;
    bool fine = true;
    switch (o->public_part.kind) {
    case SNUG_OPTION_INT:
        fine = parse_int(&o->public_part, value, at);
        break;
    case SNUG_OPTION_FLOAT:
        fine = parse_float(&o->public_part, value, at);
        break;
    case SNUG_OPTION_SIZE:
        fine = parse_size(&o->public_part, value, at);
        break;
    case SNUG_OPTION_FLAG:
        fine = parse_flag(value, at);
        break;
    case SNUG_OPTION_TEXT:
    case SNUG_OPTION_SWITCH:
    case SNUG_OPTION_PATH:
    case SNUG_OPTION_PICTURE: {
        char *copy = arena_text(arena, value, strlen(value));
        if (!copy)
            return error_set(err, SNUG_ERR_MEMORY, "no memory for --%s", o->public_part.name);
        *(const char **)at = copy;
        break;
    }
    case SNUG_OPTION_LIST:
        return add_line(o, arena, value, at, err);
    default:
        fine = false;
    }
    return fine ? SNUG_OK : refuse(o, value, err);
}

SnugStatus option_defaults(const Option *table, void *request, Arena *arena, SnugError *err)
{
    for (const Option *o = table; o->public_part.name; o++)
        if (o->public_part.default_text)
            TRY(option_parse(o, request, arena, o->public_part.default_text, err));
    return SNUG_OK;
}

const Option *option_find(const Option *table, const char *name)
{
    for (const Option *o = table; o->public_part.name; o++)
        if (strcmp(o->public_part.name, name) == 0) return o;
    return NULL;
}

SnugStatus option_parse_bytes(const char *text, size_t *out, SnugError *err)
{
    static const struct {
        const char *suffix;
        double bytes;
    } UNITS[] = { { "", 1 },
                  { "b", 1 },
                  { "k", 1024 },
                  { "kib", 1024 },
                  { "kb", 1e3 },
                  { "m", 1048576 },
                  { "mib", 1048576 },
                  { "mb", 1e6 },
                  { "g", 1073741824 },
                  { "gib", 1073741824 },
                  { "gb", 1e9 },
                  { "t", 1099511627776.0 },
                  { "tib", 1099511627776.0 },
                  { "tb", 1e12 } };
    char *end;
    const double value = strtod(text, &end);
    const size_t digits = strspn(text, "0123456789.");
    const bool plain = digits > 0 && (size_t)(end - text) == digits; /* no hex, 1e9, nan */
    while (*end == ' ')
        end++;
    for (size_t i = 0; plain && i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (strcasecmp(end, UNITS[i].suffix) != 0) continue;
        const double bytes = value * UNITS[i].bytes;
        if (!(bytes >= 1.0) || bytes > 1e18) break;
        *out = (size_t)bytes;
        return SNUG_OK;
    }
    return error_set(err, SNUG_ERR_ARG, "\"%.100s\" is no size of memory such as 8GiB or 512MiB",
                     text);
}
