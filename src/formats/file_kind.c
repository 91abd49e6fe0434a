/* file_kind.c  First bytes of the weight files one meets in the wild. */
#include "formats/file_kind.h"

#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "formats/safetensors.h"

enum { HEAD_BYTES = 512, ZIP_NAME = 30, TAR_MAGIC = 257 };

static const struct {
    FileKind kind;
    int n;
    const char *bytes;
} MAGIC[] = {
    { KIND_GGUF, 4, "GGUF" },
    { KIND_GGUF_BIG_ENDIAN, 4, "FUGG" },
    { KIND_TORCH_STACKED, 15, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e" },
    { KIND_NPY, 6, "\x93NUMPY" },
    { KIND_GGML_OLD, 4, "ggml" },
    { KIND_GGML_OLD, 4, "ggmf" },
    { KIND_GGML_OLD, 4, "ggjt" },
    { KIND_GGML_OLD, 4, "lmgg" },
    { KIND_TORCH_PREVIEW, 8, "PYTORCH1" },
    { KIND_ZIP, 4, "PK\x03\x04" },
};

/* The first entry's name tells what wrote the archive. */
static FileKind zip_kind(const unsigned char *head, size_t n)
{
    if (n < ZIP_NAME) return KIND_ZIP;
    size_t length = (size_t)head[26] | (size_t)head[27] << 8;
    if (length > n - ZIP_NAME) length = n - ZIP_NAME;
    const char *name = (const char *)head + ZIP_NAME;
    if (length >= 4 && memcmp(name + length - 4, ".npy", 4) == 0) return KIND_ZIP_NPZ;
    const char *slash = memchr(name, '/', length);
    return slash && (size_t)(slash - name) + 1 < length ? KIND_ZIP_TORCH : KIND_ZIP;
}

/* A plausible length and a '{' after white space. */
static bool is_safetensors(const unsigned char *head, size_t n, size_t file_size)
{
    uint64_t length = 0;
    size_t at = 8;
    if (n < 10) return false;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | head[i];
    while (at < n && (head[at] == ' ' || head[at] == '\n' || head[at] == '\r' || head[at] == '\t'))
        at++;
    return length >= 2 && length <= SAFETENSORS_MAX_HEADER && length <= file_size - 8 && at < n &&
           head[at] == '{';
}

static FileKind kind_of(const unsigned char *head, size_t n, size_t file_size)
{
    for (size_t i = 0; i < COUNT(MAGIC); i++) {
        if (n < (size_t)MAGIC[i].n || memcmp(head, MAGIC[i].bytes, (size_t)MAGIC[i].n) != 0)
            continue;
        return MAGIC[i].kind == KIND_ZIP ? zip_kind(head, n) : MAGIC[i].kind;
    }
    if (n >= TAR_MAGIC + 5 && memcmp(head + TAR_MAGIC, "ustar", 5) == 0) return KIND_TORCH_TAR;
    if (is_safetensors(head, n, file_size)) return KIND_SAFETENSORS;
    if (n >= 2 && head[0] == 0x80 && head[1] >= 1 && head[1] <= 5) return KIND_PICKLE;
    return KIND_UNKNOWN;
}

SnugStatus file_kind_find(const File *file, FileKind *out, SnugError *err)
{
    unsigned char head[HEAD_BYTES];
    size_t n = file_bytes(file) < sizeof head ? file_bytes(file) : sizeof head;
    *out = KIND_UNKNOWN;
    TRY(file_pread_all(file, 0, head, n, err));
    *out = kind_of(head, n, file_bytes(file));
    return SNUG_OK;
}

static const struct {
    const char *words;
    Fault fault;
    const char *advice;
} REFUSAL[KIND_COUNT] = {
    [KIND_UNKNOWN] = { "not a weight file snug knows", FAULT_BAD_MAGIC, "" },
    [KIND_SAFETENSORS] = { "a safetensors file", FAULT_UNSUPPORTED, "" },
    [KIND_NPY] = { "a NumPy array", FAULT_BAD_MAGIC, ", not a checkpoint" },
    [KIND_GGUF] = { "a GGUF file", FAULT_UNSUPPORTED, "" },
    [KIND_GGUF_BIG_ENDIAN] = { "a big-endian GGUF file", FAULT_UNSUPPORTED, "" },
    [KIND_GGML_OLD] = { "a ggml file from before GGUF", FAULT_UNSUPPORTED,
                        ": convert it with the tool that made it" },
    [KIND_ZIP_TORCH] = { "a torch checkpoint (zip with pickle)", FAULT_UNSUPPORTED, "" },
    [KIND_ZIP_NPZ] = { "a NumPy archive (.npz)", FAULT_UNSUPPORTED, "" },
    [KIND_ZIP] = { "a zip archive", FAULT_BAD_MAGIC, ", but no torch checkpoint" },
    [KIND_TORCH_STACKED] = { "a torch checkpoint of before 1.6 (stacked pickles)",
                             FAULT_UNSUPPORTED, "" },
    [KIND_TORCH_TAR] = { "a tar file, perhaps a torch checkpoint of 2016", FAULT_UNSUPPORTED, "" },
    [KIND_TORCH_PREVIEW] = { "a torch archive of a preview release", FAULT_UNSUPPORTED, "" },
    [KIND_PICKLE] = { "a bare pickle, not a torch.save file", FAULT_UNSAFE,
                      ": it could run code, convert it to safetensors" },
};

const char *file_kind_words(FileKind kind)
{
    return REFUSAL[kind].words;
}

SnugStatus file_kind_refuse(FileKind kind, const char *path, SnugError *err)
{
    return fault_set(err, REFUSAL[kind].fault, path, "checkpoint", NULL, "this is %s%s",
                     REFUSAL[kind].words, REFUSAL[kind].advice);
}
