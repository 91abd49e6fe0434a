/* infotext.c  Writing and reading the text; the last line holds the keys, as in the original's
 * parse_generation_parameters: at least three of them, or it belongs to the prompt. */
#include "pipelines/infotext.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "snug/snug.h"

static const char NEGATIVE[] = "Negative prompt:";

/* ---- writing -------------------------------------------------------------------------------- */

static void add_value(TextBuilder *b, const char *value)
{
    if (strpbrk(value, ",:\"\n"))
        text_add_json(b, value, strlen(value));
    else
        text_addf(b, "%s", value);
}

/* The last part of a path, without a weight file's ending. */
static void add_model(TextBuilder *b, const char *path)
{
    char name[256];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    const char *at = path + n;
    while (at > path && at[-1] != '/')
        at--;
    n -= (size_t)(at - path);
    if (n > 12 && memcmp(at + n - 12, ".safetensors", 12) == 0) n -= 12;
    if (n > 5 && memcmp(at + n - 5, ".gguf", 5) == 0) n -= 5;
    if (n >= sizeof name || text_utf8_check(at, n) != n) return; /* a name, not a message */
    memcpy(name, at, n);
    name[n] = '\0';
    text_addf(b, ", Model: ");
    add_value(b, name);
}

static void add_keys(TextBuilder *b, const Infotext *t)
{
    text_addf(b, "\nSteps: %lld", (long long)t->steps);
    if (t->sampler) text_addf(b, ", Sampler: %s", t->sampler);
    if (t->guidance_key) text_addf(b, ", %s: %.6g", t->guidance_key, t->guidance);
    if (t->true_cfg >= 0) text_addf(b, ", CFG scale: %.6g", t->true_cfg);
    text_addf(b, ", Seed: %lld, Size: %dx%d", (long long)t->seed, t->width, t->height);
    if (t->model) add_model(b, t->model);
    if (t->strength >= 0) text_addf(b, ", Denoising strength: %.6g", t->strength);
    text_addf(b, ", Version: snug %s", snug_version());
}

const char *infotext_write(const Infotext *t, Arena *arena)
{
    TextBuilder b;
    text_init(&b, arena->heap, "infotext");
    text_addf(&b, "%s", t->prompt ? t->prompt : "");
    if (t->negative && t->negative[0]) text_addf(&b, "\n%s %s", NEGATIVE, t->negative);
    add_keys(&b, t);
    const char *out = b.failed ? NULL : arena_text(arena, b.at, b.n);
    text_release(&b);
    return out;
}

/* ---- reading -------------------------------------------------------------------------------- */

static const struct {
    const char *key, *option;
} KEYS[] = { { "Steps", "steps" },
             { "Seed", "seed" },
             { "Size", "size" },
             { "Denoising strength", "strength" },
             { "Distilled CFG Scale", "guidance" },
             { "CFG scale", "guidance" } };

/* One "key: value" of the line, from *at on; false at its end or at what is none. */
typedef struct Pair {
    TextView key, value; /* value: quotes and escapes removed, in `room` */
    char *room;
} Pair;

static const char *read_quoted(const char *at, Pair *p)
{
    size_t n = 0;
    for (at++; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1]) at++;
        p->room[n++] = *at;
    }
    p->value = (TextView){ p->room, n };
    return *at == '"' ? at + 1 : NULL;
}

static const char *read_pair(const char *at, Pair *p)
{
    const char *colon = strchr(at, ':');
    if (!colon) return NULL;
    p->key = (TextView){ at, (size_t)(colon - at) };
    at = colon + 1;
    while (*at == ' ')
        at++;
    if (*at == '"')
        at = read_quoted(at, p);
    else {
        const size_t n = strcspn(at, ",");
        p->value = (TextView){ at, n };
        at += n;
    }
    if (!at || (*at && *at != ',')) return NULL;
    while (*at == ',' || *at == ' ')
        at++;
    return at;
}

/* How many pairs the line is made of; 0: it is no such line. */
static int count_pairs(const char *line, char *room)
{
    int n = 0;
    Pair p = { .room = room };
    while (*line) {
        line = read_pair(line, &p);
        if (!line) return 0;
        n++;
    }
    return n;
}

static void give_pairs(const char *line, Arena *arena, char *room, InfotextValue *value,
                       void *context)
{
    Pair p = { .room = room };
    bool distilled = strstr(line, "Distilled CFG Scale:") != NULL;
    while (*line && (line = read_pair(line, &p))) {
        const char *text = arena_text(arena, p.value.at, p.value.n);
        for (size_t i = 0; text && i < sizeof KEYS / sizeof KEYS[0]; i++) {
            if (!text_is(p.key, KEYS[i].key)) continue;
            const bool real = distilled && strcmp(KEYS[i].key, "CFG scale") == 0;
            value(context, real ? "true-cfg" : KEYS[i].option, text);
        }
    }
}

bool infotext_read(const char *text, Arena *arena, InfotextValue *value, void *context)
{
    const size_t n = strlen(text);
    char *copy = arena_text(arena, text, n), *room = arena_take(arena, n + 1);
    if (!copy || !room) return false;
    char *end = copy + n;
    while (end > copy && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
        *--end = '\0';
    char *line = strrchr(copy, '\n');
    line = line ? line + 1 : copy;
    const bool keys = count_pairs(line, room) >= 3;
    if (keys) {
        give_pairs(line, arena, room, value, context);
        if (line > copy) line[-1] = '\0';
        if (line == copy) line[0] = '\0';
    }
    char *negative = strncmp(copy, NEGATIVE, sizeof NEGATIVE - 1) == 0 ? copy : NULL;
    for (char *at = copy; !negative && (at = strchr(at, '\n')); at++)
        if (strncmp(at + 1, NEGATIVE, sizeof NEGATIVE - 1) == 0) negative = at + 1;
    if (negative) {
        char *words = negative + sizeof NEGATIVE - 1;
        while (*words == ' ')
            words++;
        value(context, "negative", words);
        if (negative > copy) negative[-1] = '\0';
        if (negative == copy) copy[0] = '\0';
    }
    value(context, "prompt", copy);
    return true;
}
