/* picture_option.c  Opening it either way. */
#include "pipelines/picture_option.h"

#include <stdbool.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "media/image_read.h"

static const char DATA[] = "data:", BASE64[] = ";base64,", DIGEST[] = "inline:";

bool picture_option_inline(const char *value)
{
    return strncmp(value, DATA, sizeof DATA - 1) == 0;
}

/* The bytes behind "data:TYPE;base64,". */
static const char *payload(const char *value)
{
    enum { LONGEST_TYPE = 100 };
    const char *comma = strchr(value, ',');
    const size_t tail = sizeof BASE64 - 1;
    if (!comma || comma - value > LONGEST_TYPE || (size_t)(comma + 1 - value) < tail) return NULL;
    return strncmp(comma + 1 - tail, BASE64, tail) == 0 ? comma + 1 : NULL;
}

static SnugStatus read_inline(Image *out, Heap *heap, const char *option, const char *value,
                              int channels, SnugError *err)
{
    unsigned char *bytes = NULL;
    size_t n;
    const char *text = payload(value);
    if (!text)
        return error_set(err, SNUG_ERR_FILE, "--%s: a data URL begins \"data:image/png;base64,\"",
                         option);
    SnugStatus status = base64_decode(&bytes, &n, heap, text, strlen(text), err);
    if (status != SNUG_OK) return error_wrap(err, status, "--%s: ", option);
    status = image_read_memory(out, heap, bytes, n, option, channels, NULL, err);
    heap_give(heap, bytes);
    return status;
}

SnugStatus picture_option_read(Image *out, Heap *heap, const char *option, const char *value,
                               int channels, SnugError *err)
{
    *out = (Image){ 0 };
    if (picture_option_inline(value)) return read_inline(out, heap, option, value, channels, err);
    if (strncmp(value, DIGEST, sizeof DIGEST - 1) == 0)
        return error_set(err, SNUG_ERR_FILE,
                         "--%s: this picture came inside the job and is not kept: give it again "
                         "(%.80s)",
                         option, value + sizeof DIGEST - 1);
    return image_read_file(out, heap, value, channels, NULL, err);
}
