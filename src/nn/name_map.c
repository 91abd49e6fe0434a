/* name_map.c  Match the beginning of a name, keep its numbers, write the other side. */
#include "nn/name_map.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/** Numbers that `#` stood for, as they are written. */
typedef struct Numbers {
    TextView at[NAME_MAP_NUMBERS];
    int n;
} Numbers;

/** A name under construction; too long names are cut. */
typedef struct Name {
    char *at;
    size_t n;
} Name;

static void add(Name *name, const char *text, size_t n)
{
    const size_t room = NAME_MAP_TEXT - 1 - name->n;
    if (n > room) n = room;
    memcpy(name->at + name->n, text, n);
    name->n += n;
    name->at[name->n] = '\0';
}

static size_t digits(const char *text)
{
    size_t n = 0;
    while (text[n] >= '0' && text[n] <= '9')
        n++;
    return n;
}

/* The part of `name` behind `pattern`, with its dot; NULL when the pattern does not fit. */
static const char *match(const char *pattern, const char *name, Numbers *numbers)
{
    numbers->n = 0;
    for (; *pattern && *pattern != '@'; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern) return NULL;
            continue;
        }
        const size_t n = digits(name);
        if (n == 0 || numbers->n == NAME_MAP_NUMBERS) return NULL;
        numbers->at[numbers->n++] = (TextView){ name, n };
        name += n;
    }
    return *name == '.' || *name == '\0' ? name : NULL;
}

static void write_pattern(Name *name, const char *pattern, const Numbers *numbers)
{
    int next = 0;
    for (; *pattern && *pattern != '@'; pattern++) {
        if (*pattern != '#')
            add(name, pattern, 1);
        else if (next < numbers->n) {
            add(name, numbers->at[next].at, numbers->at[next].n);
            next++;
        }
    }
}

/* Translate the beginning of `from` by the first row that fits; what is left, or NULL if none fits. */
static const char *translate(const NameRow *rows, int n, bool to_ours, const char *from, Name *to)
{
    for (int i = 0; i < n; i++) {
        Numbers numbers;
        const char *rest = match(to_ours ? rows[i].theirs : rows[i].ours, from, &numbers);
        if (!rest) continue;
        write_pattern(to, to_ours ? rows[i].ours : rows[i].theirs, &numbers);
        return rest;
    }
    return NULL;
}

static bool spell(const NameMap *map, bool to_ours, const char *from, Name *to)
{
    if (map->n_rows == 0) {
        add(to, from, strlen(from));
        return true;
    }
    const char *rest = translate(map->rows, map->n_rows, to_ours, from, to);
    if (!rest) {
        add(to, from, strlen(from));
        return false;
    }
    if (*rest == '.') {
        add(to, ".", 1);
        const char *end = translate(map->tails, map->n_tails, to_ours, rest + 1, to);
        rest = end ? end : rest + 1;
    }
    add(to, rest, strlen(rest));
    return true;
}

bool name_map_to_theirs(const NameMap *map, const char *ours, char out[NAME_MAP_TEXT])
{
    Name to = { out, 0 };
    out[0] = '\0';
    if (map->prefix) add(&to, map->prefix, strlen(map->prefix));
    return spell(map, false, ours, &to);
}

bool name_map_to_ours(const NameMap *map, const char *theirs, char out[NAME_MAP_TEXT])
{
    Name to = { out, 0 };
    const char *name = theirs;
    out[0] = '\0';
    if (map->prefix) {
        if (!text_starts(theirs, map->prefix)) {
            add(&to, theirs, strlen(theirs));
            return false;
        }
        name += strlen(map->prefix);
    }
    if (spell(map, true, name, &to)) return true;
    to.n = 0;
    out[0] = '\0';
    add(&to, theirs, strlen(theirs));
    return false;
}

/* "1/7", "3+4/7" */
static NamePart read_part(const char *text)
{
    NamePart part = { .count = 1 };
    char *end;
    part.first = (int)strtol(text, &end, 10);
    if (*end == '+') part.count = (int)strtol(end + 1, &end, 10);
    part.of = (int)strtol(end + 1, NULL, 10);
    return part;
}

NamePart name_map_part(const NameMap *map, const char *ours)
{
    for (int i = 0; i < map->n_rows; i++) {
        Numbers numbers;
        if (!match(map->rows[i].ours, ours, &numbers)) continue;
        const char *at = strchr(map->rows[i].theirs, '@');
        return at ? read_part(at + 1) : (NamePart){ 0 };
    }
    return (NamePart){ 0 };
}

void name_map_add(NameMapRows *rows, const char *ours, const char *theirs)
{
    if (ours && theirs)
        rows->at[rows->n++] = (NameRow){ ours, theirs };
    else
        rows->failed = true;
}
