/* libav.h  What every user of FFmpeg's libraries in this room needs: silence and error texts. */
#ifndef MEDIA_LIBAV_H
#define MEDIA_LIBAV_H

#include "snug/status.h"

/** Stop libav from printing. Every open of this room calls it; calling it again changes nothing. */
void libav_quiet(void);

/**
 * Turn an AVERROR code into a status and a text "<format>: <what libav says>".
 * Out of memory is SNUG_ERR_MEMORY, what the system refused SNUG_ERR_IO, the rest SNUG_ERR_FILE.
 */
__attribute__((format(printf, 3, 4))) SnugStatus libav_fail(SnugError *err, int code,
                                                            const char *format, ...);

#endif
