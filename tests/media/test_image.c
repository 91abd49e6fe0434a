/* test_image.c  Reading pictures: against Pillow, from hostile files, with memory refused. */
#include "golden.h"

#include "base/size.h"
#include "media/image_read.h"
#include "media/png.h"

static const char *image_path(const char *name)
{
    static char below[256];
    (void)snprintf(below, sizeof below, "golden/media/images/%s", name);
    return test_path(below);
}

/** FFmpeg's IDCT passes rows before columns, libjpeg columns before rows: samples may differ by one
 *  after the intermediate rounding, colours then by up to 1 + 1.772 in one channel. Through libav's
 *  conversion, CMYK differs by one more. Everything else is exact. */
static int allowed_difference(const char *name)
{
    if (!strstr(name, ".jpg")) return 0;
    return strncmp(name, "cmyk", 4) == 0 ? 4 : 3;
}

static void check_golden(const char *list, int channels)
{
    Heap *heap = heap_create();
    Golden golden = golden_open(list);
    char name[64];
    int w, h, n = 0;
    while (fscanf(golden.lines, "%63s %d %d", name, &w, &h) == 3) {
        const size_t bytes = image_bytes(w, h, channels);
        const unsigned char *want = golden_take(&golden, bytes);
        Image got;
        SnugError err = { 0 };
        if (image_read_file(&got, heap, image_path(name), channels, NULL, &err) != SNUG_OK)
            fail_msg("%s", err.text);
        CHECK_INT(got.width, w);
        CHECK_INT(got.height, h);
        size_t n_far = 0, n_other = 0;
        for (size_t i = 0; i < bytes; i++) {
            const int difference = abs(got.pixels[i] - want[i]);
            n_far += difference > allowed_difference(name);
            n_other += difference != 0;
        }
        if (n_far) fail_msg("%s: %zu of %zu bytes differ", name, n_far, bytes);
        /* few, unless it is CMYK */
        if (n_other > 1 + bytes / 5 && allowed_difference(name) < 4)
            fail_msg("%s: %zu of %zu bytes differ a little", name, n_other, bytes);
        image_release(&got);
        n++;
    }
    CHECK(n >= 10);
    golden_close(&golden);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(image, rgb_equals_pillow)
{
    check_golden("images", 3);
}

TEST(image, rgba_equals_pillow)
{
    check_golden("rgba", 4);
}

TEST(image, probe_says_the_upright_size)
{
    Heap *heap = heap_create();
    Golden golden = golden_open("images");
    char name[64];
    int w, h;
    while (fscanf(golden.lines, "%63s %d %d", name, &w, &h) == 3) {
        ImageProbe probe;
        CHECK(image_read_probe(&probe, heap, image_path(name), NULL, NULL) == SNUG_OK);
        CHECK_INT(probe.width, w);
        CHECK_INT(probe.height, h);
        CHECK(probe.read_bytes > image_bytes(w, h, 4));
        (void)golden_take(&golden, image_bytes(w, h, 3));
    }
    golden_close(&golden);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(image, png_of_every_kind_comes_back_as_written)
{
    static const int SIZES[][2] = { { 1, 1 }, { 7, 5 }, { 64, 33 }, { 301, 2 } };
    Heap *heap = heap_create();
    char path[512];
    (void)snprintf(path, sizeof path, "%s/round.png", test_scratch());
    for (size_t i = 0; i < COUNT(SIZES); i++)
        for (int channels = 1; channels <= 4; channels++) {
            if (channels == 2) continue;
            Image out, in;
            SnugError err;
            CHECK(image_init(&out, heap, SIZES[i][0], SIZES[i][1], channels, &err) == SNUG_OK);
            const size_t n = image_bytes(out.width, out.height, channels);
            for (size_t k = 0; k < n; k++)
                out.pixels[k] = (uint8_t)(k * k * 31 + k);
            CHECK(png_write_file(path, heap, &out, NULL, 0, &err) == SNUG_OK);
            CHECK(image_read_file(&in, heap, path, channels, NULL, &err) == SNUG_OK);
            CHECK(in.width == out.width && in.height == out.height);
            CHECK(memcmp(in.pixels, out.pixels, n) == 0);
            image_release(&in);
            image_release(&out);
        }
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static void write_file(const char *path, const void *data, size_t n)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, n, file) == n);
    CHECK(fclose(file) == 0);
}

TEST(image, png_text_is_written_in_order_and_bad_keys_are_refused)
{
    Heap *heap = heap_create();
    char path[512];
    (void)snprintf(path, sizeof path, "%s/text.png", test_scratch());
    Image image;
    SnugError err = { 0 };
    CHECK(image_init(&image, heap, 3, 2, 3, &err) == SNUG_OK);
    const PngText texts[] = { { "prompt", "a cat" }, { "parameters", "caf\xc3\xa9 \xe7\x8c\xab" } };
    CHECK(png_write_file(path, heap, &image, texts, 2, &err) == SNUG_OK);
    size_t n;
    unsigned char *data = golden_file(path, &n);
    /* after signature and IHDR; the checksum is zlib.crc32(b"tEXtprompt\0a cat") */
    static const char PLAIN[] = "\0\0\0\x0ctEXtprompt\0a cat\xae\x43\xef\x9d";
    static const char UTF8[] = "\0\0\0\x18iTXtparameters\0\0\0\0\0caf\xc3\xa9 \xe7\x8c\xab";
    CHECK(n > 33 + sizeof PLAIN + sizeof UTF8);
    CHECK(memcmp(data + 33, PLAIN, sizeof PLAIN - 1) == 0);
    CHECK(memcmp(data + 33 + sizeof PLAIN - 1, UTF8, sizeof UTF8 - 1) == 0);
    free(data);
    Image back;
    CHECK(image_read_file(&back, heap, path, 3, NULL, &err) == SNUG_OK);
    image_release(&back);
    static const char *const BAD[] = { "", " x", "x ", "caf\xc3\xa9", "a\nb" };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        const PngText bad = { BAD[i], "v" };
        CHECK(png_write_file(path, heap, &image, &bad, 1, &err) == SNUG_ERR_ARG);
    }
    image_release(&image);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

/** Every beginning of a file: an error that names the file, or (where only trailing bytes are cut)
 *  the same picture. Never a picture with missing rows. */
static void check_truncation(Heap *heap, const char *name)
{
    size_t n;
    unsigned char *data = golden_file(image_path(name), &n);
    Image whole;
    CHECK(image_read_memory(&whole, heap, data, n, name, 3, NULL, NULL) == SNUG_OK);
    for (size_t cut = 0; cut < n; cut++) {
        Image part;
        SnugError err = { 0 };
        SnugStatus status = image_read_memory(&part, heap, data, cut, name, 3, NULL, &err);
        if (status == SNUG_OK) {
            CHECK(memcmp(part.pixels, whole.pixels, image_bytes(whole.width, whole.height, 3)) ==
                  0);
            image_release(&part);
        } else {
            CHECK_INT(status, SNUG_ERR_FILE);
            CHECK_HAS(err.text, name);
            CHECK(part.pixels == NULL);
        }
    }
    image_release(&whole);
    free(data);
}

TEST(image, truncated_files_are_errors)
{
    static const char *const NAMES[] = { "layout_2_8.png",     "layout_3_4.png",   "420_37.jpg",
                                         "progressive_16.jpg", "lossless_16.webp", "RGB_16.bmp",
                                         "plain_16.gif" };
    Heap *heap = heap_create();
    for (size_t i = 0; i < COUNT(NAMES); i++)
        check_truncation(heap, NAMES[i]);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(image, damaged_files_never_crash_or_leak)
{
    Heap *heap = heap_create();
    Golden golden = golden_open("images");
    char name[64];
    int w, h;
    uint32_t random = 1;
    while (fscanf(golden.lines, "%63s %d %d", name, &w, &h) == 3) {
        (void)golden_take(&golden, image_bytes(w, h, 3));
        size_t n;
        unsigned char *data = golden_file(image_path(name), &n);
        for (int round = 0; round < 60; round++) {
            unsigned char old[4];
            size_t at[4];
            for (int k = 0; k < 4; k++) { /* two of the four near the headers */
                random = random * 1664525u + 1013904223u;
                at[k] = (random >> 8) % (k < 2 && n > 64 ? 64 : n);
                old[k] = data[at[k]];
                data[at[k]] = (unsigned char)(random >> 24);
            }
            Image image;
            SnugStatus status = image_read_memory(&image, heap, data, n, name, 3, NULL, NULL);
            CHECK(status == SNUG_OK || status == SNUG_ERR_FILE);
            image_release(&image);
            for (int k = 3; k >= 0; k--)
                data[at[k]] = old[k];
        }
        free(data);
    }
    golden_close(&golden);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static void put_be32(unsigned char *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(value >> (24 - 8 * i));
}

TEST(image, sizes_are_checked_before_decoding)
{
    Heap *heap = heap_create();
    size_t n;
    unsigned char *data = golden_file(image_path("layout_2_8.png"), &n);
    static const struct {
        uint32_t w, h;
        const char *word;
    } CASES[] = { { 16385, 1, "16385 x 1" },
                  { 10000, 10000, "10000 x 10000" },
                  { 0, 5, "no pixels" },
                  { 5, 0, "no pixels" },
                  { 0x80000000u, 1, "too large" },
                  { 0xffffffffu, 0xffffffffu, "too large" },
                  { 16384, 16384, "limit 64000000" } };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Image image;
        SnugError err = { 0 };
        put_be32(data + 16, CASES[i].w);
        put_be32(data + 20, CASES[i].h);
        CHECK(image_read_memory(&image, heap, data, n, "bomb.png", 3, NULL, &err) == SNUG_ERR_FILE);
        CHECK_HAS(err.text, "bomb.png: PNG: headers: ");
        CHECK_HAS(err.text, CASES[i].word);
    }
    /* only the file itself was held */
    CHECK(heap_peak_bytes(heap) < n + 4096);
    free(data);
    heap_free(heap);
}

TEST(image, limits_of_the_caller_are_kept)
{
    Heap *heap = heap_create();
    Image image;
    SnugError err = { 0 };
    ImageLimits limits = IMAGE_READ_LIMITS;
    const char *path = image_path("RGB_37.bmp"); /* 37 x 29 px */
    limits.max_side_px = 36;
    CHECK(image_read_file(&image, heap, path, 3, &limits, &err) == SNUG_ERR_FILE);
    limits = IMAGE_READ_LIMITS;
    limits.max_pixels = 37 * 29 - 1;
    CHECK(image_read_file(&image, heap, path, 3, &limits, &err) == SNUG_ERR_FILE);
    limits = IMAGE_READ_LIMITS;
    limits.max_file_bytes = 100;
    CHECK(image_read_file(&image, heap, path, 3, &limits, &err) == SNUG_ERR_FILE);
    CHECK_HAS(err.text, "RGB_37.bmp");
    CHECK_HAS(err.text, "limit 100");
    ImageProbe probe;
    CHECK(image_read_probe(&probe, heap, path, &limits, &err) == SNUG_ERR_FILE);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(image, kind_is_told_by_content_and_what_is_no_picture_is_named)
{
    Heap *heap = heap_create();
    Image image;
    SnugError err = { 0 };
    char path[512];
    size_t n;
    unsigned char *data = golden_file(image_path("420_37.jpg"), &n);
    (void)snprintf(path, sizeof path, "%s/wrong.png", test_scratch());
    write_file(path, data, n);
    free(data);
    CHECK(image_read_file(&image, heap, path, 3, NULL, &err) == SNUG_OK);
    image_release(&image);
    write_file(path, "hello, I am a text", 18);
    CHECK(image_read_file(&image, heap, path, 3, NULL, &err) == SNUG_ERR_FILE);
    CHECK_HAS(err.text, "wrong.png: picture: headers: wrong kind of file");
    write_file(path, "", 0);
    CHECK(image_read_file(&image, heap, path, 3, NULL, &err) == SNUG_ERR_FILE);
    CHECK_HAS(err.text, "the file is empty");
    CHECK(image_read_file(&image, heap, "/nowhere/a.png", 3, NULL, &err) == SNUG_ERR_IO);
    CHECK_HAS(err.text, "/nowhere/a.png");
    CHECK(image_read_file(&image, heap, test_scratch(), 3, NULL, &err) == SNUG_ERR_FILE);
    CHECK_HAS(err.text, "directory");
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(image, a_jpeg_with_countless_scans_is_refused)
{
    static const unsigned char SCAN[] = { 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0 };
    Heap *heap = heap_create();
    size_t n;
    unsigned char *data = golden_file(image_path("grey_16.jpg"), &n);
    unsigned char *many = malloc(n + 200 * sizeof SCAN);
    CHECK(many != NULL);
    size_t end = n - 2; /* before the end mark */
    memcpy(many, data, end);
    for (int i = 0; i < 200; i++, end += sizeof SCAN)
        memcpy(many + end, SCAN, sizeof SCAN);
    memcpy(many + end, "\xff\xd9", 2);
    Image image;
    SnugError err = { 0 };
    CHECK(image_read_memory(&image, heap, many, end + 2, "scans.jpg", 3, NULL, &err) ==
          SNUG_ERR_FILE);
    CHECK_HAS(err.text, "scans");
    free(many);
    free(data);
    heap_free(heap);
}

TEST(image, every_refused_allocation_is_reported_and_leaks_nothing)
{
    static const char *const NAMES[] = { "layout_2_8.png", "420_37.jpg", "lossy_37.webp" };
    Heap *heap = heap_create();
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        SnugStatus status = SNUG_ERR_MEMORY;
        int n = 0;
        while (status != SNUG_OK) {
            Image image;
            SnugError err = { 0 };
            heap_fail_at(heap, ++n);
            status = image_read_file(&image, heap, image_path(NAMES[i]), 3, NULL, &err);
            heap_fail_at(heap, 0);
            CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && image.pixels == NULL));
            if (status != SNUG_OK) CHECK_HAS(err.text, NAMES[i]);
            image_release(&image);
            CHECK_INT(heap_now_bytes(heap), 0);
        }
        CHECK(n >= 4); /* file, its bytes, a row, the picture */
    }
    heap_free(heap);
}

TEST(image, bytes_are_cut_off_not_rounded)
{
    static const float IN[] = {
        -1.0f, 0.0f, 0.5f, 0.999f, 1.0f, 2.0f, NAN, 1.0f / 255.0f, 0.00391f
    };
    static const uint8_t WANT[] = { 0, 0, 127, 254, 255, 255, 0, 1, 0 };
    uint8_t got[COUNT(IN)];
    image_bytes_from_unit(got, IN, COUNT(IN));
    for (size_t i = 0; i < COUNT(IN); i++)
        CHECK_INT(got[i], WANT[i]);
}

TEST(image, floats_are_those_of_numpy)
{
    Heap *heap = heap_create();
    Image image;
    CHECK(image_init(&image, heap, 2, 1, 3, NULL) == SNUG_OK);
    memcpy(image.pixels, "\x00\x33\xff\x01\x80\xfe", 6);
    float chw[6], hwc[6];
    image_to_chw(chw, &image, IMAGE_SIGNED);
    image_to_hwc(hwc, &image, IMAGE_UNIT);
    static const float UNIT[] = {
        0.0f, 0.2f, 1.0f, 1.0f / 255.0f, 128.0f / 255.0f, 254.0f / 255.0f
    };
    for (int i = 0; i < 6; i++) {
        CHECK(hwc[i] == UNIT[i]);
        CHECK(chw[(i % 3) * 2 + i / 3] == 2.0f * UNIT[i] - 1.0f);
    }
    image_release(&image);
    heap_free(heap);
}
