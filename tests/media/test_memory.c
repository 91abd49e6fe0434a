/* test_memory.c  What the room says it will take against what the process takes.
 *
 * Each case runs in a child of its own, whose resident high-water mark starts at what it holds. */
#include "golden.h"
#include "movie.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"
#include "media/image_read.h"
#include "media/png.h"
#include "media/video.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/** "VmHWM" or "VmRSS" of this process in bytes. */
static size_t resident(const char *key)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) _exit(3);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) kib = strtol(line + strlen(key) + 1, NULL, 10);
    (void)fclose(file);
    return (size_t)kib * 1024;
}

/** Frame t: flat, a moving texture, or noise; nothing in it may be on the test's own conscience. */
static void fill(float *frame, const VideoOptions *o, int t, int kind)
{
    const size_t n = 3 * (size_t)o->width * (size_t)o->height;
    if (kind == 0)
        movie_frame(frame, o->width, o->height, t);
    else
        test_random(frame, n, 0.0f, 1.0f);
}

/** In the child: exit status 0 if the growth stays below `bound`, 2 if it does not. */
static void write_and_measure(const char *path, const VideoOptions *o, size_t bound, int kind)
{
    const int n = o->n_frames ? (int)o->n_frames : 20; /* more than any encoder looks ahead */
    float *frame = malloc(sizeof *frame * 3 * (size_t)o->width * (size_t)o->height);
    Heap *heap = heap_create();
    VideoWriter *w;
    SnugError err = { 0 };
    fill(frame, o, 0, kind);
    const size_t before = resident("VmRSS");
    SnugStatus status = video_writer_open(&w, heap, path, o, &err);
    for (int t = 0; t < n && status == SNUG_OK; t++) {
        fill(frame, o, t, kind);
        status = video_writer_push(w, frame, &err);
    }
    if (status == SNUG_OK) status = video_writer_commit(w, &err);
    const size_t grown = resident("VmHWM") - before;
    print_message("%-40s %4d x %-4d %6.1f MiB of %6.1f\n", path + strlen(test_scratch()), o->width,
                  o->height, (double)grown / 1048576.0, (double)bound / 1048576.0);
    free(frame);
    heap_free(heap);
    _exit(status != SNUG_OK ? 1 : grown > bound ? 2 : 0);
}

static void check_child(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

TEST(memory, writers_stay_below_what_they_announce)
{
    if (SANITIZED) SKIP("sanitizers take memory of their own");
    static const char *const NAMES[] = { "m.mp4", "m.webm", "m.gif", "m.png", "m.npy", "m/" };
    static const int SIZES[][2] = { { 64, 64 }, { 161, 97 }, { 416, 240 }, { 832, 480 } };
    for (size_t i = 0; i < COUNT(NAMES); i++)
        for (size_t k = 0; k < COUNT(SIZES); k++) {
            const VideoOptions o = {
                .width = SIZES[k][0], .height = SIZES[k][1], .fps = 16, .n_frames = i < 3 ? 0 : 9
            };
            char path[600];
            VideoFormat format;
            (void)snprintf(path, sizeof path, "%s/%zu%s", test_scratch(), k, NAMES[i]);
            CHECK(video_format_of_path(&format, path, NULL) == SNUG_OK);
            const size_t bound = video_writer_memory_bytes(format, &o, 0);
            (void)fflush(stdout);
            pid_t child = fork();
            if (child == 0) write_and_measure(path, &o, bound, k == 2);
            check_child(child);
        }
}

static void read_and_measure(const char *path, size_t bound)
{
    Heap *heap = heap_create();
    Image image;
    const size_t before = resident("VmRSS");
    SnugStatus status = image_read_file(&image, heap, path, 4, NULL, NULL);
    const size_t grown = resident("VmHWM") - before;
    print_message("%-40s %6.1f MiB of %6.1f\n", path + strlen(test_scratch()),
                  (double)grown / 1048576.0, (double)bound / 1048576.0);
    image_release(&image);
    heap_free(heap);
    _exit(status != SNUG_OK ? 1 : grown > bound ? 2 : 0);
}

TEST(memory, readers_stay_below_what_the_probe_announces)
{
    if (SANITIZED) SKIP("sanitizers take memory of their own");
    Heap *heap = heap_create();
    Image image;
    char path[600];
    (void)snprintf(path, sizeof path, "%s/large.png", test_scratch());
    CHECK(image_init(&image, heap, 3000, 2000, 3, NULL) == SNUG_OK);
    for (int i = 0; i < 3000 * 2000 * 3; i++)
        image.pixels[i] = (uint8_t)(i * 7 / 3);
    CHECK(png_write_file(path, heap, &image, NULL, 0, NULL) == SNUG_OK);
    image_release(&image);
    ImageProbe probe;
    CHECK(image_read_probe(&probe, heap, path, NULL, NULL) == SNUG_OK);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) read_and_measure(path, probe.read_bytes);
    check_child(child);
    heap_free(heap);
}
