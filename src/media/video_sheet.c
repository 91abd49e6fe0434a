/* video_sheet.c  All frames side by side in one picture; a single frame is that picture. */
#include <string.h>

#include "base/error.h"
#include "media/png.h"
#include "media/resize.h"
#include "media/video_sink.h"

enum { MAX_SHEET_PX = 4096 };

/** How the frames lie. */
typedef struct Grid {
    int columns, rows, cell_width, cell_height;
} Grid;

typedef struct Sheet {
    Heap *heap;
    OutFile *out;
    const VideoOptions *options;
    Grid grid;
    Image image;
} Sheet;

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/** The number of columns that makes the sheet most nearly square; then shrunk to fit. */
static Grid make_grid(const VideoOptions *o)
{
    const int n = (int)o->n_frames;
    if (n == 1) return (Grid){ 1, 1, o->width, o->height };
    int64_t best_side = INT64_MAX;
    Grid grid = { 0 };
    for (int columns = 1; columns <= n; columns++) {
        const int rows = (n + columns - 1) / columns;
        const int64_t across = (int64_t)columns * o->width, down = (int64_t)rows * o->height;
        const int64_t side = across > down ? across : down;
        if (side >= best_side) continue;
        best_side = side;
        grid = (Grid){ columns, rows, o->width, o->height };
    }
    if (best_side > MAX_SHEET_PX) {
        grid.cell_width = larger(1, (int)((int64_t)o->width * MAX_SHEET_PX / best_side));
        grid.cell_height = larger(1, (int)((int64_t)o->height * MAX_SHEET_PX / best_side));
    }
    return grid;
}

static void sheet_close(void *state)
{
    Sheet *sheet = state;
    outfile_close(sheet->out);
    image_release(&sheet->image);
    heap_give(sheet->heap, sheet);
}

static SnugStatus sheet_open(void **state, Heap *heap, const char *path, VideoFormat format,
                             const VideoOptions *o, SnugError *err)
{
    (void)format;
    Sheet *sheet = heap_take(heap, sizeof *sheet, "video");
    if (!sheet) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    *sheet = (Sheet){ .heap = heap, .options = o, .grid = make_grid(o) };
    const Grid *g = &sheet->grid;
    SnugStatus status = outfile_open(&sheet->out, heap, path, err);
    if (status == SNUG_OK)
        status = image_init(&sheet->image, heap, g->columns * g->cell_width,
                            g->rows * g->cell_height, 3, err);
    if (status == SNUG_OK)
        *state = sheet;
    else
        sheet_close(sheet);
    return status;
}

static void place(Sheet *sheet, const Image *cell, int64_t index)
{
    const Grid *g = &sheet->grid;
    const int column = (int)(index % g->columns), row = (int)(index / g->columns);
    const size_t row_bytes = image_bytes(cell->width, 1, 3);
    for (int y = 0; y < cell->height; y++)
        memcpy(sheet->image.pixels + image_bytes(sheet->image.width, row * g->cell_height + y, 3) +
                   (size_t)column * row_bytes,
               cell->pixels + (size_t)y * row_bytes, row_bytes);
}

static SnugStatus sheet_push(void *state, const uint8_t *bytes, const float *rgb, int64_t index,
                             SnugError *err)
{
    (void)rgb;
    Sheet *sheet = state;
    const VideoOptions *o = sheet->options;
    const Grid *g = &sheet->grid;
    uint8_t *pixels = (uint8_t *)(uintptr_t)bytes; /* Image has no const form; only read below */
    const Image frame = { o->width, o->height, 3, pixels, NULL };
    if (g->cell_width == o->width && g->cell_height == o->height) {
        place(sheet, &frame, index);
        return SNUG_OK;
    }
    Image cell;
    TRY(resize_image(&cell, sheet->heap, &frame, g->cell_width, g->cell_height, RESIZE_BILINEAR,
                     err));
    place(sheet, &cell, index);
    image_release(&cell);
    return SNUG_OK;
}

static SnugStatus sheet_commit(void *state, int64_t n_frames, SnugError *err)
{
    (void)n_frames;
    Sheet *sheet = state;
    const PngText text = { "comment", sheet->options->comment };
    TRY(png_write(sheet->out, &sheet->image, &text, text.value ? 1 : 0, err));
    return outfile_commit(sheet->out, err);
}

static size_t sheet_memory_bytes(VideoFormat format, const VideoOptions *o)
{
    (void)format;
    const Grid g = make_grid(o);
    const int width = g.columns * g.cell_width, height = g.rows * g.cell_height;
    /* the sheet and its encoder; while a frame is shrunk, the passes of resize_image */
    return image_bytes(width, height, 3) + png_write_bytes(width, height, 3) +
           image_bytes(g.cell_width, o->height, 3) + image_bytes(g.cell_width, g.cell_height, 3) +
           256 * 1024;
}

const VideoSink VIDEO_SHEET_SINK = { sheet_open,  sheet_push,         sheet_commit,
                                     sheet_close, sheet_memory_bytes, NULL };
