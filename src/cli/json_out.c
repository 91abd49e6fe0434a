/* json_out.c  Quoting, and members one after the other. */
#include "cli/json_out.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

void json_out_text(const char *text)
{
    const size_t valid = text_utf8_check(text, strlen(text));
    (void)putchar('"');
    for (size_t i = 0; text[i]; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            (void)printf("\\%c", c);
        else if (c < 32)
            (void)printf("\\u%04x", c);
        else
            (void)putchar(i < valid || c < 128 ? c : '?');
    }
    (void)putchar('"');
}

void json_out_member(int *first, const char *name, const char *text)
{
    (void)printf("%s\"%s\":", *first ? "" : ",", name);
    json_out_text(text);
    *first = 0;
}

void json_out_number(int *first, const char *name, double value, int decimals)
{
    (void)printf("%s\"%s\":", *first ? "" : ",", name);
    if (value < 0)
        (void)printf("null");
    else
        (void)printf("%.*f", decimals, value);
    *first = 0;
}
