/* libav.c  Error codes of FFmpeg in this project's terms. */
#include "media/libav.h"

#include <stdarg.h>
#include <stdio.h>

#include <libavutil/error.h>
#include <libavutil/log.h>

#include "base/error.h"

void libav_quiet(void)
{
    av_log_set_level(AV_LOG_QUIET);
}

static SnugStatus status_of(int code)
{
    if (code == AVERROR(ENOMEM)) return SNUG_ERR_MEMORY;
    if (code == AVERROR(EINVAL) || code == AVERROR(EAGAIN)) return SNUG_ERR_FILE;
    /* libav's own codes are four letters, far below any -errno */
    return code > -4096 ? SNUG_ERR_IO : SNUG_ERR_FILE;
}

SnugStatus libav_fail(SnugError *err, int code, const char *format, ...)
{
    char what[1024], why[AV_ERROR_MAX_STRING_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (av_strerror(code, why, sizeof why) < 0) (void)snprintf(why, sizeof why, "code %d", code);
    return error_set(err, status_of(code), "%s: %s", what, why);
}
