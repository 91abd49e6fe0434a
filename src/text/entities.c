/* entities.c  The table is generated; the odd rules for numbers are those of the HTML standard
 * (section 13.2.5.80), as Python's html.unescape has them. */
#include "text/entities.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static const Entity ENTITIES[] = {
#define E(name, code)          { #name, false, { code, 0 } },
#define L(name, code)          { #name, true, { code, 0 } },
#define D(name, first, second) { #name, false, { first, second } },
#include "text/entities.def"
#undef E
#undef L
#undef D
};

static const uint16_t WINDOWS_1252[32] = {
    0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021, 0x2c6,  0x2030, 0x160,
    0x2039, 0x152,  0x8d,   0x17d,  0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178,
};

static int name_against(const void *name, const void *at)
{
    const Entity *entity = at;
    return text_compare(*(const TextView *)name, (TextView){ entity->name, strlen(entity->name) });
}

const Entity *entities_find(TextView name)
{
    return bsearch(&name, ENTITIES, COUNT(ENTITIES), sizeof *ENTITIES, name_against);
}

const Entity *entities_find_bare(TextView text, size_t longest)
{
    for (size_t n = longest < text.n ? longest : text.n; n >= 2; n--) {
        const Entity *entity = entities_find((TextView){ text.at, n });
        if (entity && entity->bare) return entity;
    }
    return NULL;
}

uint32_t entities_c1(uint32_t code)
{
    return code >= 0x80 && code < 0xa0 ? WINDOWS_1252[code - 0x80] : code;
}

bool entities_number(uint32_t number, uint32_t *code)
{
    *code = entities_c1(number);
    if (*code != number || number == 0x0d) return true;
    if (number >= 0x80 && number < 0xa0) return true; /* the five that windows-1252 lacks */
    if (number == 0 || (number >= 0xd800 && number <= 0xdfff) || number > 0x10ffff) {
        *code = 0xfffd;
        return true;
    }
    bool control =
        number < 0x09 || number == 0x0b || (number >= 0x0e && number < 0x20) || number == 0x7f;
    bool none = (number >= 0xfdd0 && number <= 0xfdef) || (number & 0xfffe) == 0xfffe;
    return !control && !none;
}
