/* error.c  Error texts are cut, never overrun: the beginning names the place, so it is kept. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

SnugStatus error_set(SnugError *err, SnugStatus status, const char *format, ...)
{
    if (!err) return status;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return status;
}

SnugStatus error_wrap(SnugError *err, SnugStatus status, const char *format, ...)
{
    if (!err || status == SNUG_OK) return status;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    old[sizeof old - 1] = '\0';
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text)
        (void)snprintf(err->text + used, sizeof err->text - (size_t)used, "%s", old);
    return status;
}
