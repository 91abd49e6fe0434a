/* test_video.c  Videos are written, read back, broken off; disks fill up. */
#include "golden.h"
#include "movie.h"
#include "sound.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "media/image_read.h"
#include "media/video.h"

static const char *scratch_path(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ & 3];
    (void)snprintf(path, sizeof paths[0], "%s/%s", test_scratch(), name);
    return path;
}

/** Names in a folder, without "." and "..". */
static int count_names(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;
    CHECK(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(dir);
    return n;
}

/** A fresh empty folder. */
static const char *fresh_folder(const char *name)
{
    const char *path = scratch_path(name);
    CHECK(mkdir(path, 0777) == 0);
    return path;
}

static float *new_frame(const VideoOptions *o)
{
    float *frame = malloc(sizeof(float) * 3 * (size_t)o->width * (size_t)o->height);
    CHECK(frame != NULL);
    return frame;
}

static SnugStatus push_frames(VideoWriter *w, const VideoOptions *o, int n, SnugError *err)
{
    float *frame = new_frame(o);
    SnugStatus status = SNUG_OK;
    for (int t = 0; t < n && status == SNUG_OK; t++) {
        movie_frame(frame, o->width, o->height, t);
        status = video_writer_push(w, frame, err);
    }
    free(frame);
    return status;
}

static SnugStatus write_video(Heap *heap, const char *path, const VideoOptions *o, int n,
                              SnugError *err)
{
    VideoWriter *w;
    SnugStatus status = video_writer_open(&w, heap, path, o, err);
    if (status != SNUG_OK) {
        CHECK(w == NULL);
        return status;
    }
    status = push_frames(w, o, n, err);
    if (status == SNUG_OK) return video_writer_commit(w, err);
    video_writer_abandon(w);
    return status;
}

static void check_frames(const Movie *m, const VideoOptions *o, int n, double min_db)
{
    float *want = new_frame(o);
    CHECK_INT(m->n_frames, n);
    for (int t = 0; t < n; t++) {
        movie_frame(want, o->width, o->height, t);
        double db = movie_psnr(m, t, want, o->width, o->height);
        if (!(db >= min_db)) fail_msg("frame %d: %.1f dB < %.1f", t, db, min_db);
    }
    free(want);
}

/** Smooth waves: 4:2:0 and the quantisers cost little. The bounds lie 3 dB below what FFmpeg 5.1
 *  gave; a swapped channel, range or matrix costs more than 10 dB. */
TEST(video, mp4_comes_back_with_its_size_rate_and_colours)
{
    static const int SIZES[][2] = { { 160, 96 }, { 33, 17 }, { 1, 1 } };
    Heap *heap = heap_create();
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        const VideoOptions o = {
            .width = SIZES[i][0], .height = SIZES[i][1], .fps = 16, .n_frames = 21
        };
        SnugError err = { 0 };
        const char *path = scratch_path("a.mp4");
        if (write_video(heap, path, &o, 21, &err) != SNUG_OK) fail_msg("%s", err.text);
        Movie m = movie_read(path);
        CHECK_INT(m.width, (o.width + 1) & ~1);
        CHECK_INT(m.height, (o.height + 1) & ~1);
        CHECK_INT(m.n_streams, 1);
        CHECK(fabs(m.fps - 16.0) < 1e-6);
        CHECK(m.codec == AV_CODEC_ID_H264 && m.pixels == AV_PIX_FMT_YUV420P);
        CHECK(m.color_space == AVCOL_SPC_BT709 && m.color_range == AVCOL_RANGE_MPEG);
        CHECK(m.index_first);
        for (int t = 0; t < m.n_frames; t++)
            CHECK(fabs(m.start[t] - t / 16.0) < 1e-3);
        check_frames(&m, &o, 21, 33.0);
        movie_free(&m);
    }
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, webm_comes_back_with_its_size_rate_and_colours)
{
    Heap *heap = heap_create();
    const VideoOptions o = { .width = 97, .height = 64, .fps = 24 };
    SnugError err = { 0 };
    const char *path = scratch_path("a.webm");
    if (write_video(heap, path, &o, 20, &err) != SNUG_OK) fail_msg("%s", err.text);
    Movie m = movie_read(path);
    CHECK(m.width == 98 && m.height == 64 && m.codec == AV_CODEC_ID_VP9);
    CHECK(m.color_space == AVCOL_SPC_BT709 && m.color_range == AVCOL_RANGE_MPEG);
    check_frames(&m, &o, 20, 33.0);
    for (int t = 0; t < m.n_frames; t++)
        CHECK(fabs(m.start[t] - t / 24.0) < 2e-3); /* milliseconds are its unit */
    movie_free(&m);
    heap_free(heap);
}

TEST(video, gif_comes_back_with_its_size_rate_and_colours)
{
    static const double FPS[] = { 16.0, 50.0, 3.0 };
    Heap *heap = heap_create();
    for (size_t i = 0; i < COUNT(FPS); i++) {
        const VideoOptions o = { .width = 75, .height = 40, .fps = FPS[i] };
        SnugError err = { 0 };
        const char *path = scratch_path("a.gif");
        if (write_video(heap, path, &o, 17, &err) != SNUG_OK) fail_msg("%s", err.text);
        Movie m = movie_read(path);
        CHECK(m.width == 75 && m.height == 40);
        check_frames(&m, &o, 17, 25.0); /* dither of up to 8 levels: 27 dB or so */
        for (int t = 0; t < m.n_frames; t++)
            CHECK(fabs(m.start[t] - t / FPS[i]) < 0.0051); /* hundredths, rounded */
        movie_free(&m);
    }
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, the_same_frames_give_the_same_bytes)
{
    static const char *const ENDINGS[] = { "mp4", "webm", "gif", "png", "npy" };
    Heap *heap = heap_create();
    const VideoOptions o = { .width = 64, .height = 48, .fps = 16, .n_frames = 9, .comment = "x" };
    for (size_t i = 0; i < COUNT(ENDINGS); i++) {
        char name[2][32];
        unsigned char *data[2];
        size_t n[2];
        for (int k = 0; k < 2; k++) {
            (void)snprintf(name[k], sizeof name[k], "same%d.%s", k, ENDINGS[i]);
            CHECK(write_video(heap, scratch_path(name[k]), &o, 9, NULL) == SNUG_OK);
            data[k] = golden_file(scratch_path(name[k]), &n[k]);
        }
        if (n[0] != n[1] || memcmp(data[0], data[1], n[0]) != 0) fail_msg("%s", ENDINGS[i]);
        free(data[0]);
        free(data[1]);
    }
    heap_free(heap);
}

TEST(video, npy_holds_the_values_as_pushed)
{
    Heap *heap = heap_create();
    const VideoOptions o = { .width = 5, .height = 3, .fps = 16, .n_frames = 2 };
    float frames[2][45];
    SnugError err = { 0 };
    VideoWriter *w;
    const char *path = scratch_path("a.npy");
    test_random(frames[0], 90, -0.5f, 1.5f);
    CHECK(video_writer_open(&w, heap, path, &o, &err) == SNUG_OK);
    CHECK(video_writer_push(w, frames[0], &err) == SNUG_OK);
    CHECK(video_writer_push(w, frames[1], &err) == SNUG_OK);
    CHECK(video_writer_commit(w, &err) == SNUG_OK);
    size_t n;
    unsigned char *data = golden_file(path, &n);
    CHECK_INT(n, 192 + sizeof frames);
    static const char HEADER[] =
        "\x93NUMPY\x01\x00\xb6\x00{'descr': '<f4', 'fortran_order': False, "
        "'shape': (2, 3, 5, 3), } ";
    CHECK(memcmp(data, HEADER, sizeof HEADER - 1) == 0);
    CHECK(data[191] == '\n');
    CHECK(memcmp(data + 192, frames, sizeof frames) == 0);
    free(data);
    heap_free(heap);
}

static void check_picture(Heap *heap, const char *path, const VideoOptions *o, int t)
{
    Image image;
    float *want = new_frame(o);
    CHECK(image_read_file(&image, heap, path, 3, NULL, NULL) == SNUG_OK);
    CHECK(image.width == o->width && image.height == o->height);
    movie_frame(want, o->width, o->height, t);
    for (int i = 0; i < 3 * o->width * o->height; i++)
        CHECK_INT(image.pixels[i], (int)(want[i] * 255.0f));
    image_release(&image);
    free(want);
}

TEST(video, one_frame_as_png_is_that_picture)
{
    Heap *heap = heap_create();
    const VideoOptions o = { .width = 50, .height = 31, .n_frames = 1 };
    CHECK(write_video(heap, scratch_path("one.png"), &o, 1, NULL) == SNUG_OK);
    check_picture(heap, scratch_path("one.png"), &o, 0);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, several_frames_as_png_are_a_contact_sheet)
{
    Heap *heap = heap_create();
    const VideoOptions o = { .width = 40, .height = 20, .n_frames = 7 };
    Image sheet;
    CHECK(write_video(heap, scratch_path("sheet.png"), &o, 7, NULL) == SNUG_OK);
    CHECK(image_read_file(&sheet, heap, scratch_path("sheet.png"), 3, NULL, NULL) == SNUG_OK);
    /* 2 columns of 40 and 4 rows of 20 are square */
    CHECK(sheet.width == 80 && sheet.height == 80);
    float frame[40 * 20 * 3];
    movie_frame(frame, 40, 20, 5); /* row 2, column 1 */
    for (int y = 0; y < 20; y++)
        for (int x = 0; x < 120; x++)
            CHECK_INT(sheet.pixels[(40 + y) * 240 + 120 + x], (int)(frame[y * 120 + x] * 255.0f));
    CHECK_INT(sheet.pixels[79 * 240 + 239], 0); /* no eighth frame */
    image_release(&sheet);
    const VideoOptions large = { .width = 1500, .height = 700, .n_frames = 12 };
    CHECK(write_video(heap, scratch_path("sheet.png"), &large, 12, NULL) == SNUG_OK);
    CHECK(image_read_file(&sheet, heap, scratch_path("sheet.png"), 3, NULL, NULL) == SNUG_OK);
    CHECK(sheet.width <= 4096 && sheet.height <= 4096 && sheet.height > 3500);
    image_release(&sheet);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, a_folder_gets_numbered_pictures)
{
    Heap *heap = heap_create();
    SnugError err = { 0 };
    const VideoOptions o = { .width = 20, .height = 10, .comment = "c" };
    CHECK(write_video(heap, scratch_path("new/"), &o, 3, &err) == SNUG_OK);
    CHECK_INT(count_names(scratch_path("new")), 3);
    check_picture(heap, scratch_path("new/frame_0002.png"), &o, 2);
    /* an existing folder, given without the slash */
    const char *old = fresh_folder("old");
    CHECK(write_video(heap, old, &o, 2, &err) == SNUG_OK);
    CHECK_INT(count_names(old), 2);
    check_picture(heap, scratch_path("old/frame_0001.png"), &o, 1);
    /* it holds frames now */
    CHECK(write_video(heap, old, &o, 1, &err) == SNUG_ERR_IO);
    CHECK_HAS(err.text, "frame_0000.png");
    CHECK_INT(count_names(old), 2);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, names_and_options_are_checked)
{
    static const struct {
        const char *name;
        VideoOptions o;
        const char *word;
    } CASES[] = {
        { "x.avi", { .width = 8, .height = 8, .fps = 16 }, ".mp4" },
        { ".mp4", { .width = 8, .height = 8, .fps = 16 }, ".mp4" },
        { "x.mp4", { .width = 0, .height = 8, .fps = 16 }, "0 x 8" },
        { "x.mp4", { .width = 8, .height = 8193, .fps = 16 }, "8193" },
        { "x.mp4", { .width = 8, .height = 8, .fps = 0 }, "0.1..240" },
        { "x.mp4", { .width = 8, .height = 8, .fps = (double)NAN }, "0.1..240" },
        { "x.gif", { .width = 8, .height = 8, .fps = 60 }, "0.1..50" },
        { "x.mp4", { .width = 8, .height = 8, .fps = 16, .crf = 52 }, "crf 52" },
        { "x.mp4", { .width = 8, .height = 8, .fps = 16, .n_frames = -1 }, "-1 frames" },
        { "x.npy", { .width = 8, .height = 8, .fps = 16 }, "must be known" },
        { "x.png", { .width = 8, .height = 8, .fps = 16 }, "must be known" },
        { "x.png", { .width = 8, .height = 8, .n_frames = 10001 }, "10000" },
    };
    Heap *heap = heap_create();
    const char *folder = fresh_folder("options");
    for (size_t i = 0; i < COUNT(CASES); i++) {
        SnugError err = { 0 };
        VideoWriter *w;
        char path[600];
        (void)snprintf(path, sizeof path, "%s%s%s", CASES[i].name[0] == '.' ? "" : folder,
                       CASES[i].name[0] == '.' ? "" : "/", CASES[i].name);
        CHECK(video_writer_open(&w, heap, path, &CASES[i].o, &err) == SNUG_ERR_ARG);
        CHECK(w == NULL);
        CHECK_HAS(err.text, CASES[i].word);
    }
    CHECK_INT(count_names(folder), 0);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static const char *const ALL[] = { "v.mp4", "v.webm", "v.gif", "v.png", "v.npy", "v/" };

TEST(video, abandoned_or_incomplete_videos_leave_nothing_and_keep_the_old)
{
    const VideoOptions o = { .width = 32, .height = 32, .fps = 16, .n_frames = 4 };
    Heap *heap = heap_create();
    const char *folder = fresh_folder("abandon");
    for (size_t i = 0; i < COUNT(ALL); i++)
        for (int n = 0; n <= 3; n++) {
            char path[600];
            VideoWriter *w;
            SnugError err = { 0 };
            (void)snprintf(path, sizeof path, "%s/%s", folder, ALL[i]);
            CHECK(video_writer_open(&w, heap, path, &o, &err) == SNUG_OK);
            CHECK(push_frames(w, &o, n, &err) == SNUG_OK);
            if (n & 1)
                video_writer_abandon(w);
            else
                CHECK(video_writer_commit(w, &err) == SNUG_ERR_ARG);
            CHECK_INT(count_names(folder), 0);
        }
    /* an older file survives a failed newer one */
    char path[600];
    (void)snprintf(path, sizeof path, "%s/v.mp4", folder);
    CHECK(write_video(heap, path, &o, 4, NULL) == SNUG_OK);
    size_t before, after;
    free(golden_file(path, &before));
    CHECK(write_video(heap, path, &o, 2, NULL) == SNUG_ERR_ARG);
    CHECK(write_video(heap, path, &o, 5, NULL) == SNUG_ERR_ARG);
    free(golden_file(path, &after));
    CHECK_INT(after, before);
    CHECK_INT(count_names(folder), 1);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, paths_that_cannot_be_written_are_known_at_open)
{
    const VideoOptions o = { .width = 32, .height = 32, .fps = 16, .n_frames = 1 };
    Heap *heap = heap_create();
    for (size_t i = 0; i < COUNT(ALL); i++) {
        char path[600];
        VideoWriter *w;
        SnugError err = { 0 };
        (void)snprintf(path, sizeof path, "%s/absent/%s", test_scratch(), ALL[i]);
        CHECK(video_writer_open(&w, heap, path, &o, &err) == SNUG_ERR_IO);
        CHECK_HAS(err.text, ALL[i]);
        CHECK_HAS(err.text, "No such file");
    }
    VideoWriter *w;
    SnugError err = { 0 };
    CHECK(write_video(heap, scratch_path("file.png"), &o, 1, &err) == SNUG_OK);
    CHECK(video_writer_open(&w, heap, scratch_path("file.png/"), &o, &err) == SNUG_ERR_IO);
    CHECK(video_writer_open(&w, heap, scratch_path("file.png/x.mp4"), &o, &err) == SNUG_ERR_IO);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

/** A disk that takes `limit` bytes a file, as far as the process can tell. */
static void with_file_limit(rlim_t limit)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit r;
    CHECK(getrlimit(RLIMIT_FSIZE, &r) == 0);
    r.rlim_cur = limit;
    CHECK(setrlimit(RLIMIT_FSIZE, &r) == 0);
}

TEST(video, a_full_disk_is_an_io_error_and_leaves_nothing)
{
    static const rlim_t LIMITS[] = { 0, 40, 700, 1200 };
    Heap *heap = heap_create();
    const char *folder = fresh_folder("full");
    const VideoOptions o = { .width = 160, .height = 96, .fps = 16, .n_frames = 12 };
    for (size_t i = 0; i < COUNT(ALL); i++)
        for (size_t k = 0; k < COUNT(LIMITS); k++) {
            char path[600];
            SnugError err = { 0 };
            (void)snprintf(path, sizeof path, "%s/%s", folder, ALL[i]);
            with_file_limit(LIMITS[k]);
            SnugStatus status = write_video(heap, path, &o, 12, &err);
            with_file_limit(RLIM_INFINITY);
            if (status != SNUG_ERR_IO)
                fail_msg("%s at %d: status %d %s", ALL[i], (int)LIMITS[k], status, err.text);
            CHECK_HAS(err.text, folder);
            CHECK_HAS(err.text, "File too large");
            CHECK_INT(count_names(folder), 0);
        }
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, every_refused_allocation_is_reported_and_leaves_nothing)
{
    Heap *heap = heap_create();
    const char *folder = fresh_folder("memory");
    const VideoOptions o = { .width = 32, .height = 32, .fps = 16, .n_frames = 3, .comment = "c" };
    for (size_t i = 0; i < COUNT(ALL); i++) {
        char path[600], old[600];
        (void)snprintf(path, sizeof path, "%s/%s", folder, ALL[i]);
        SnugStatus status = SNUG_ERR_MEMORY;
        for (int n = 1; status != SNUG_OK; n++) {
            SnugError err = { 0 };
            heap_fail_at(heap, n);
            status = write_video(heap, path, &o, 3, &err);
            heap_fail_at(heap, 0);
            if (status != SNUG_OK) {
                CHECK_INT(status, SNUG_ERR_MEMORY);
                CHECK(err.text[0]);
                CHECK_INT(count_names(folder), 0);
            }
            CHECK_INT(heap_now_bytes(heap), 0);
        }
        CHECK_INT(count_names(folder), 1);
        (void)snprintf(old, sizeof old, "%s/../%zu.old", folder, i);
        CHECK(rename(path, old) == 0);
    }
    heap_free(heap);
}

/* ---- sound ---- */

static Movie write_with_sound(Heap *heap, const char *path, const char *sound, int shortest)
{
    const VideoOptions o = { .width = 64, .height = 48, .fps = 16 };
    SnugError err = { 0 };
    VideoWriter *w;
    CHECK(video_writer_open(&w, heap, path, &o, &err) == SNUG_OK);
    if (video_writer_add_audio(w, sound, shortest, &err) != SNUG_OK) fail_msg("%s", err.text);
    CHECK(push_frames(w, &o, 32, &err) == SNUG_OK); /* 2 s */
    if (video_writer_commit(w, &err) != SNUG_OK) fail_msg("%s", err.text);
    return movie_read(path);
}

TEST(video, sound_is_cut_where_the_video_ends)
{
    static const struct {
        const char *name;
        int rate, channels;
    } CASES[] = { { "s.mp4", 44100, 2 }, { "s.mp4", 22050, 1 }, { "s.webm", 44100, 2 } };
    Heap *heap = heap_create();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const char *wav = scratch_path("long.wav");
        sound_write(wav, CASES[i].rate, CASES[i].channels, 3.0);
        Movie m = write_with_sound(heap, scratch_path(CASES[i].name), wav, 1);
        CHECK_INT(m.n_streams, 2);
        CHECK_INT(m.n_frames, 32);
        /* a coded block of 1024 samples more or less */
        if (fabs(m.sound_s - 2.0) > 0.06) fail_msg("%s: %.3f s", CASES[i].name, m.sound_s);
        movie_free(&m);
    }
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, shortest_cuts_the_video_where_the_sound_ends)
{
    Heap *heap = heap_create();
    const char *wav = scratch_path("short.wav");
    sound_write(wav, 48000, 1, 1.0);
    Movie m = write_with_sound(heap, scratch_path("t.mp4"), wav, 1);
    CHECK_INT(m.n_frames, 16);
    CHECK(fabs(m.sound_s - 1.0) < 0.06);
    movie_free(&m);
    m = write_with_sound(heap, scratch_path("t.mp4"), wav, 0);
    CHECK_INT(m.n_frames, 32);
    CHECK(fabs(m.sound_s - 1.0) < 0.06);
    movie_free(&m);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(video, sound_that_cannot_be_used_is_refused)
{
    Heap *heap = heap_create();
    const VideoOptions o = { .width = 64, .height = 48, .fps = 16 };
    const char *folder = fresh_folder("sound");
    const char *text = scratch_path("list.m3u8"), *wav = scratch_path("ok.wav");
    FILE *file = fopen(text, "w");
    (void)fprintf(file, "#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n");
    (void)fclose(file);
    sound_write(wav, 48000, 1, 0.1);
    const char *const BAD[] = { scratch_path("none.wav"), text, test_scratch() };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        SnugError err = { 0 };
        VideoWriter *w;
        char path[600];
        (void)snprintf(path, sizeof path, "%s/x.mp4", folder);
        CHECK(video_writer_open(&w, heap, path, &o, &err) == SNUG_OK);
        SnugStatus status = video_writer_add_audio(w, BAD[i], 0, &err);
        CHECK(status == SNUG_ERR_IO || status == SNUG_ERR_FILE);
        CHECK_HAS(err.text, BAD[i]);
        CHECK(video_writer_commit(w, &err) != SNUG_OK);
        (void)snprintf(path, sizeof path, "%s/x.gif", folder);
        CHECK(video_writer_open(&w, heap, path, &o, &err) == SNUG_OK);
        CHECK(video_writer_add_audio(w, wav, 0, &err) == SNUG_ERR_ARG);
        video_writer_abandon(w);
        CHECK_INT(count_names(folder), 0);
    }
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}
