/* palette.c  Median cut by variance.
 *
 * Colours are counted in 32 x 32 x 32 cells. All cells start in one box; the box with the largest
 * squared error is split at its mean along its widest axis until there are 255; the palette is the
 * mean colour of each box. A table then gives for every cell the nearest palette colour. */
#include "media/palette.h"

#include <math.h>
#include <string.h>

enum { CELL_BITS = 5, N_CELLS = 1 << (3 * CELL_BITS) };

/** Colours that fell into one cell. */
typedef struct Cell {
    uint64_t count, sum[3];
} Cell;

/** A run of `order`, with the statistics that decide which box is split. */
typedef struct Box {
    int first, n;
    uint64_t count;
    double mean[3], error[3]; /* squared, summed over pixels */
} Box;

struct Palette {
    Heap *heap;
    Cell cells[N_CELLS];
    int order[N_CELLS];       /* non-empty cells, grouped by box */
    uint8_t nearest[N_CELLS]; /* cell -> index */
    uint32_t colours[256];
    Box boxes[PALETTE_COLOURS];
    int n_boxes;     /* 0: no palette yet */
    int spread;      /* levels that the dither covers */
    double made_for; /* mean squared error of the frame it was made from */
};

/* 8 x 8 Bayer matrix, 0..63 */
static const int8_t BAYER[8][8] = {
    { 0, 32, 8, 40, 2, 34, 10, 42 },  { 48, 16, 56, 24, 50, 18, 58, 26 },
    { 12, 44, 4, 36, 14, 46, 6, 38 }, { 60, 28, 52, 20, 62, 30, 54, 22 },
    { 3, 35, 11, 43, 1, 33, 9, 41 },  { 51, 19, 59, 27, 49, 17, 57, 25 },
    { 15, 47, 7, 39, 13, 45, 5, 37 }, { 63, 31, 55, 23, 61, 29, 53, 21 },
};

size_t palette_bytes(void)
{
    return sizeof(Palette);
}

Palette *palette_create(Heap *heap)
{
    Palette *palette = heap_take(heap, sizeof *palette, "palette");
    if (palette) palette->heap = heap;
    return palette;
}

void palette_free(Palette *palette)
{
    if (palette) heap_give(palette->heap, palette);
}

const uint32_t *palette_colours(const Palette *palette)
{
    return palette->colours;
}

static int cell_of(int r, int g, int b)
{
    return (r >> 3) << 10 | (g >> 3) << 5 | b >> 3;
}

static void count_colours(Palette *p, const uint8_t *rgb, int64_t n_pixels)
{
    memset(p->cells, 0, sizeof p->cells);
    for (int64_t i = 0; i < n_pixels; i++, rgb += 3) {
        Cell *cell = &p->cells[cell_of(rgb[0], rgb[1], rgb[2])];
        cell->count++;
        for (int c = 0; c < 3; c++)
            cell->sum[c] += rgb[c];
    }
}

static double cell_mean(const Cell *cell, int axis)
{
    return (double)cell->sum[axis] / (double)cell->count;
}

static void measure_box(const Palette *p, Box *box)
{
    uint64_t sum[3] = { 0 };
    box->count = 0;
    for (int i = 0; i < box->n; i++) {
        const Cell *cell = &p->cells[p->order[box->first + i]];
        box->count += cell->count;
        for (int c = 0; c < 3; c++)
            sum[c] += cell->sum[c];
    }
    for (int c = 0; c < 3; c++) {
        box->mean[c] = (double)sum[c] / (double)box->count;
        box->error[c] = 0.0;
        for (int i = 0; i < box->n; i++) {
            const Cell *cell = &p->cells[p->order[box->first + i]];
            double away = cell_mean(cell, c) - box->mean[c];
            box->error[c] += away * away * (double)cell->count;
        }
    }
}

static int widest_axis(const Box *box)
{
    int axis = box->error[1] >= box->error[0] ? 1 : 0;
    return box->error[2] > box->error[axis] ? 2 : axis;
}

/** Move the cells below the mean to the front; returns how many they are. */
static int partition(Palette *p, const Box *box, int axis)
{
    int below = 0;
    for (int i = 0; i < box->n; i++) {
        int *at = &p->order[box->first + i];
        if (cell_mean(&p->cells[*at], axis) >= box->mean[axis]) continue;
        int *to = &p->order[box->first + below++];
        int cell = *at;
        *at = *to;
        *to = cell;
    }
    return below;
}

/** The box worth most; NULL when every box is a single cell. */
static Box *worst_box(Palette *p)
{
    Box *worst = NULL;
    for (int i = 0; i < p->n_boxes; i++) {
        Box *box = &p->boxes[i];
        if (box->n < 2 || !(box->error[widest_axis(box)] > 0.0)) continue;
        if (!worst || box->error[widest_axis(box)] > worst->error[widest_axis(worst)]) worst = box;
    }
    return worst;
}

static void split_all(Palette *p)
{
    Box *all = &p->boxes[0];
    *all = (Box){ 0 };
    for (int i = 0; i < N_CELLS; i++)
        if (p->cells[i].count) p->order[all->n++] = i;
    measure_box(p, all);
    p->n_boxes = 1;
    for (Box *box; p->n_boxes < PALETTE_COLOURS && (box = worst_box(p)) != NULL;) {
        int below = partition(p, box, widest_axis(box));
        if (below == 0 || below == box->n) break; /* equal up to rounding */
        Box *upper = &p->boxes[p->n_boxes++];
        *upper = (Box){ .first = box->first + below, .n = box->n - below };
        box->n = below;
        measure_box(p, box);
        measure_box(p, upper);
    }
}

static int channel(uint32_t colour, int c)
{
    return (int)(colour >> (16 - 8 * c) & 255);
}

/** Nearest palette colour of the centre of each cell. */
static void fill_nearest(Palette *p)
{
    for (int cell = 0; cell < N_CELLS; cell++) {
        const int at[3] = { (cell >> 10) * 8 + 4, (cell >> 5 & 31) * 8 + 4, (cell & 31) * 8 + 4 };
        int best = 0, best_distance = INT32_MAX;
        for (int i = 0; i < p->n_boxes; i++) {
            int distance = 0;
            for (int c = 0; c < 3; c++) {
                int away = at[c] - channel(p->colours[i], c);
                distance += away * away;
            }
            if (distance >= best_distance) continue;
            best_distance = distance;
            best = i;
        }
        p->nearest[cell] = (uint8_t)best;
    }
}

/** Dither over about the distance between neighbouring colours: a uniform error over a distance d has
 *  a mean square of d * d / 12 in each channel. */
static int find_spread(const Palette *p)
{
    double error = 0.0, count = 0.0;
    for (int i = 0; i < p->n_boxes; i++) {
        const Box *box = &p->boxes[i];
        error += box->error[0] + box->error[1] + box->error[2];
        count += (double)box->count;
    }
    const double distance = sqrt(12.0 * error / (3.0 * count));
    return (int)(distance < 48.0 ? distance : 48.0);
}

static void make_palette(Palette *p, const uint8_t *rgb, int64_t n_pixels)
{
    count_colours(p, rgb, n_pixels);
    split_all(p);
    p->spread = find_spread(p);
    for (int i = 0; i < 256; i++) {
        p->colours[i] = i < PALETTE_COLOURS ? 0xff000000u : 0;
        for (int c = 0; c < 3 && i < p->n_boxes; c++)
            p->colours[i] |= (uint32_t)(p->boxes[i].mean[c] + 0.5) << (16 - 8 * c);
    }
    fill_nearest(p);
}

static int clamp255(int value)
{
    return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Returns the mean squared error a pixel, dither included. */
static double map_pixels(const Palette *p, uint8_t *out, int stride, const uint8_t *rgb, int width,
                         int height)
{
    uint64_t error = 0;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++, rgb += 3) {
            const int dither = (BAYER[y & 7][x & 7] - 32) * p->spread / 64;
            uint8_t index = p->nearest[cell_of(clamp255(rgb[0] + dither), clamp255(rgb[1] + dither),
                                               clamp255(rgb[2] + dither))];
            out[(int64_t)y * stride + x] = index;
            for (int c = 0; c < 3; c++) {
                int away = rgb[c] - channel(p->colours[index], c);
                error += (uint64_t)(away * away);
            }
        }
    }
    return (double)error / ((double)width * height);
}

void palette_map(Palette *palette, uint8_t *out, int stride, const uint8_t *rgb, int width,
                 int height)
{
    if (palette->n_boxes) {
        double error = map_pixels(palette, out, stride, rgb, width, height);
        if (error <= 1.25 * palette->made_for + 3.0) return;
    }
    make_palette(palette, rgb, (int64_t)width * height);
    palette->made_for = map_pixels(palette, out, stride, rgb, width, height);
}
