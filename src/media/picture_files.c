/* picture_files.c  Every file is written in full under a temporary name; commit renames them. */
#include "media/picture_files.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

struct PictureFiles {
    Heap *heap;
    Arena arena; /* names */
    OutFile **file;
    int n, pushed;
    Image image;
    const char *made; /* a folder that was not there before */
    bool committed;
};

size_t picture_files_memory_bytes(int width, int height, int n)
{
    enum { OUTFILE_BYTES = 80 << 10 }; /* a buffer each */
    return image_bytes(width, height, 3) + png_write_bytes(width, height, 3) +
           (size_t)n * OUTFILE_BYTES;
}

static bool is_png(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && strcasecmp(path + n - 4, ".png") == 0 && file_type(path) != FILE_DIRECTORY;
}

static char *name_of(PictureFiles *p, const char *path, int k, const int64_t *seeds)
{
    size_t n = strlen(path);
    if (is_png(path)) {
        if (p->n == 1) return arena_text(&p->arena, path, n);
        return arena_printf(&p->arena, "%.*s-%04d.png", (int)(n - 4), path, k + 1);
    }
    while (n > 1 && path[n - 1] == '/')
        n--;
    return arena_printf(&p->arena, "%.*s/%04d-%lld.png", (int)n, path, k + 1, (long long)seeds[k]);
}

static SnugStatus make_folder(PictureFiles *p, const char *path, SnugError *err)
{
    if (is_png(path)) return SNUG_OK;
    if (mkdir(path, 0777) == 0) {
        p->made = arena_text(&p->arena, path, strlen(path));
        return SNUG_OK;
    }
    if (errno == EEXIST && file_type(path) == FILE_DIRECTORY) return SNUG_OK;
    return error_set(err, SNUG_ERR_IO, "%s: cannot make this folder: %s", path, strerror(errno));
}

static SnugStatus open_files(PictureFiles *p, const char *path, const int64_t *seeds, int width,
                             int height, SnugError *err)
{
    TRY(image_init(&p->image, p->heap, width, height, 3, err));
    p->file = arena_array(&p->arena, (size_t)p->n, sizeof(OutFile *));
    if (!p->file) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    TRY(make_folder(p, path, err));
    for (int k = 0; k < p->n; k++) {
        const char *name = name_of(p, path, k, seeds);
        if (!name) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
        TRY(outfile_open(&p->file[k], p->heap, name, err));
    }
    return SNUG_OK;
}

SnugStatus picture_files_open(PictureFiles **out, Heap *heap, const char *path, int n,
                              const int64_t *seeds, int width, int height, SnugError *err)
{
    *out = NULL;
    if (n < 1 || n > PICTURE_FILES_MAX)
        return error_set(err, SNUG_ERR_ARG, "%s: %d pictures: 1 to %d", path, n, PICTURE_FILES_MAX);
    PictureFiles *p = heap_take(heap, sizeof *p, "pictures");
    if (!p) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    p->heap = heap;
    p->n = n;
    arena_init(&p->arena, heap, "pictures");
    const SnugStatus status = open_files(p, path, seeds, width, height, err);
    if (status == SNUG_OK)
        *out = p;
    else
        picture_files_close(p);
    return status;
}

SnugStatus picture_files_push(PictureFiles *p, const float *rgb, const PngText *texts, int n_texts,
                              SnugError *err)
{
    const size_t n = image_bytes(p->image.width, p->image.height, 3);
    for (size_t i = 0; i < n; i++) {
        const float v = rgb[i] > 0.0f ? rgb[i] < 1.0f ? rgb[i] : 1.0f : 0.0f; /* NaN: 0 */
        p->image.pixels[i] = (uint8_t)nearbyintf(v * 255.0f);
    }
    return picture_files_push_image(p, &p->image, texts, n_texts, err);
}

SnugStatus picture_files_push_image(PictureFiles *p, const Image *image, const PngText *texts,
                                    int n_texts, SnugError *err)
{
    if (p->pushed == p->n) return error_set(err, SNUG_ERR_INTERNAL, "more than %d pictures", p->n);
    return png_write(p->file[p->pushed++], image, texts, n_texts, err);
}

SnugStatus picture_files_commit(PictureFiles *p, SnugError *err)
{
    if (p->pushed != p->n)
        return error_set(err, SNUG_ERR_INTERNAL, "%d of %d pictures came", p->pushed, p->n);
    for (int k = 0; k < p->n; k++)
        TRY(outfile_commit(p->file[k], err));
    p->committed = true;
    return SNUG_OK;
}

void picture_files_close(PictureFiles *p)
{
    if (!p) return;
    Heap *heap = p->heap;
    for (int k = 0; p->file && k < p->n; k++)
        outfile_close(p->file[k]);
    if (p->made && !p->committed) (void)rmdir(p->made); /* only when it is empty */
    image_release(&p->image);
    arena_release(&p->arena);
    heap_give(heap, p);
}
