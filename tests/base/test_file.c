/* test_file.c  Reading whole or saying why; human answers; sorted listings; atomic output. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/outfile.h"
#include "base/sort.h"

static const char *scratch_path(const char *name)
{
    static char path[8][512];
    static int next;
    char *at = path[next++ & 7];
    (void)snprintf(at, sizeof path[0], "%s/%s", test_scratch(), name);
    return at;
}

static const char *put(const char *name, const void *bytes, size_t n)
{
    const char *path = scratch_path(name);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    return path;
}

static int count_files(Heap *heap)
{
    Arena arena;
    const char *const *names;
    size_t n = 0;
    arena_init(&arena, heap, "test");
    CHECK_INT(file_list(&arena, test_scratch(), &names, &n, NULL), SNUG_OK);
    arena_release(&arena);
    return (int)n;
}

TEST(file, reads_ranges_and_refuses_past_the_end)
{
    Heap *heap = heap_create();
    File *file;
    SnugError err;
    char got[8] = { 0 };
    const char *path = put("ten", "0123456789", 10);
    CHECK_INT(file_open(&file, heap, path, &err), SNUG_OK);
    CHECK_INT(file_bytes(file), 10);
    CHECK_TEXT(file_path(file), path);
    CHECK_INT(file_pread_all(file, 7, got, 3, &err), SNUG_OK);
    CHECK_TEXT(got, "789");
    CHECK_INT(file_pread_all(file, 10, got, 0, &err), SNUG_OK);
    CHECK_INT(file_pread_all(file, 8, got, 3, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "truncated");
    CHECK_INT(file_pread_all(file, SIZE_MAX, got, 3, &err), SNUG_ERR_FILE);
    CHECK_INT(file_pread_all(file, 3, got, SIZE_MAX, &err), SNUG_ERR_FILE);
    file_forget(file, 0, 10);
    CHECK_INT(file_check_unchanged(file, &err), SNUG_OK);
    CHECK_INT(truncate(path, 5), 0);
    CHECK_INT(file_check_unchanged(file, &err), SNUG_ERR_FILE);
    CHECK_INT(file_pread_all(file, 4, got, 4, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "shrank while in use");
    file_close(file);
    file_close(NULL);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(file, opens_regular_files_only)
{
    Heap *heap = heap_create();
    File *file, *link_file;
    SnugError err;
    CHECK_INT(file_open(&file, heap, scratch_path("absent"), &err), SNUG_ERR_IO);
    CHECK_HAS(err.text, "cannot open: No such file");
    CHECK(!file);
    CHECK_INT(file_open(&file, heap, test_scratch(), &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "a directory, not a regular file");
    CHECK_INT(file_open(&file, heap, "/dev/null", &err), SNUG_ERR_FILE);
    const char *fifo = scratch_path("fifo");
    CHECK_INT(mkfifo(fifo, 0600), 0);
    CHECK_INT(file_open(&file, heap, fifo, &err), SNUG_ERR_FILE); /* and does not hang */
    CHECK_INT(file_type(fifo), FILE_OTHER);
    CHECK_INT(unlink(fifo), 0);

    const char *path = put("real", "x", 1), *link = scratch_path("link");
    CHECK_INT(symlink(path, link), 0);
    CHECK_INT(file_open(&file, heap, path, &err), SNUG_OK);
    CHECK_INT(file_open(&link_file, heap, link, &err), SNUG_OK);
    CHECK(file_same(file, link_file));
    file_close(file);
    file_close(link_file);
    heap_fail_at(heap, 1);
    CHECK_INT(file_open(&file, heap, path, &err), SNUG_ERR_MEMORY);
    CHECK_INT(file_type(path), FILE_REGULAR);
    CHECK_INT(file_type(test_scratch()), FILE_DIRECTORY);
    CHECK_INT(file_type(scratch_path("absent")), FILE_ABSENT);
    heap_free(heap);
}

TEST(file, answers_a_human_about_common_wrong_files)
{
    static const struct {
        const char *name, *content, *answer;
    } CASES[] = {
        { "lfs.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
          "Git LFS pointer" },
        { "a.safetensors", " \n<!DOCTYPE html><html>", "HTML page" },
        { "b.safetensors", "<HTML><body>404", "HTML page" },
        { "c.json", "{\"error\": \"not authorised\"}", "JSON error message" },
        { "d.safetensors", "", "empty file" },
        { "e.safetensors.incomplete", "x", "unfinished download" },
        { "f.safetensors.part", "", "unfinished download" },
        { "good", "version 5", NULL },
        { "short", "<", NULL },
    };
    Heap *heap = heap_create();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        File *file;
        SnugError err;
        const char *path = put(CASES[i].name, CASES[i].content, strlen(CASES[i].content));
        CHECK_INT(file_open(&file, heap, path, &err), SNUG_OK);
        SnugStatus status = file_refuse_impostor(file, "safetensors", &err);
        CHECK_INT(status, CASES[i].answer ? SNUG_ERR_FILE : SNUG_OK);
        if (CASES[i].answer) CHECK_HAS(err.text, CASES[i].answer);
        file_close(file);
    }
    heap_free(heap);
}

TEST(file, reads_texts_up_to_the_limit)
{
    Heap *heap = heap_create();
    Arena arena;
    SnugError err;
    TextView text = { 0 };
    arena_init(&arena, heap, "test");
    const char *path = put("text", "ab\0cd", 5);
    CHECK_INT(file_read_text(&arena, path, 5, &text, &err), SNUG_OK);
    CHECK(text.n == 5 && memcmp(text.at, "ab\0cd", 6) == 0);
    CHECK_INT(file_read_text(&arena, path, 4, &text, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "too large: got 5 bytes, limit 4");
    CHECK_INT(file_read_text(&arena, put("none", "", 0), 4, &text, &err), SNUG_OK);
    CHECK_INT(text.n, 0);
    arena_release(&arena);
    heap_free(heap);
}

TEST(file, takes_paths_apart_and_together)
{
    Heap *heap = heap_create();
    Arena arena;
    arena_init(&arena, heap, "test");
    CHECK_TEXT(file_join(&arena, "a", "b"), "a/b");
    CHECK_TEXT(file_join(&arena, "/", "b"), "/b");
    CHECK_TEXT(file_join(&arena, "", "b"), "b");
    CHECK_TEXT(file_dirname(&arena, "a/b/c"), "a/b");
    CHECK_TEXT(file_dirname(&arena, "c"), ".");
    CHECK_TEXT(file_dirname(&arena, "/c"), "/");
    CHECK_TEXT(file_basename("a/b/c"), "c");
    CHECK_TEXT(file_basename("c"), "c");
    static const char *const PLAIN[] = { "x.safetensors", "..x", "a b", "\xc3\xa9" };
    static const char *const NOT[] = { "", ".", "..", "a/b", "/a", "..\\a", "C:x", "a\nb" };
    for (size_t i = 0; i < 4; i++)
        CHECK(file_plain_name(PLAIN[i]));
    for (size_t i = 0; i < 8; i++)
        CHECK(!file_plain_name(NOT[i]));
    arena_release(&arena);
    heap_free(heap);
}

TEST(file, lists_directories_sorted)
{
    Heap *heap = heap_create();
    Arena arena;
    SnugError err;
    const char *const *names;
    size_t n = 0;
    arena_init(&arena, heap, "test");
    const char *dir = scratch_path("dir");
    CHECK_INT(mkdir(dir, 0700), 0);
    static const char *const NAMES[] = { "dir/b", "dir/a10", "dir/a1", "dir/.h", "dir/a2" };
    for (size_t i = 0; i < 5; i++)
        (void)put(NAMES[i], "", 0);
    CHECK_INT(file_list(&arena, dir, &names, &n, &err), SNUG_OK);
    CHECK_INT(n, 5);
    static const char *const WANT[] = { ".h", "a1", "a10", "a2", "b" };
    for (size_t i = 0; i < n; i++)
        CHECK_TEXT(names[i], WANT[i]);
    CHECK_INT(file_list(&arena, scratch_path("absent"), &names, &n, &err), SNUG_ERR_IO);
    arena_release(&arena);
    heap_free(heap);
}

TEST(sort, is_stable_and_right_for_every_small_size)
{
    static const char *const WORDS[] = { "b", "a", "c", "a", "b", "", "aa", "c", "a", "ab", "z" };
    const void *items[11], *scratch[11];
    for (size_t n = 0; n <= 11; n++) {
        for (size_t i = 0; i < n; i++)
            items[i] = WORDS[i];
        sort_pointers(items, scratch, n, sort_by_text);
        for (size_t i = 1; i < n; i++)
            CHECK(strcmp(items[i - 1], items[i]) <= 0);
    }
}

/* ---- output ---- */

TEST(outfile, appears_whole_or_not_at_all)
{
    Heap *heap = heap_create();
    Arena arena;
    OutFile *file;
    SnugError err;
    TextView text;
    arena_init(&arena, heap, "test");
    const char *path = put("out", "old", 3);
    const int before = count_files(heap);

    CHECK_INT(outfile_open(&file, heap, path, &err), SNUG_OK);
    CHECK_INT(outfile_write(file, "new", 3, &err), SNUG_OK);
    CHECK_INT(count_files(heap), before + 1);
    outfile_close(file); /* abandoned */
    CHECK_INT(count_files(heap), before);
    CHECK_INT(file_read_text(&arena, path, 100, &text, &err), SNUG_OK);
    CHECK(text_is(text, "old"));

    CHECK_INT(outfile_open(&file, heap, path, &err), SNUG_OK);
    CHECK_INT(outfile_reserve(file, 1 << 20, &err), SNUG_OK);
    static char block[200000];
    memset(block, 'x', sizeof block);
    CHECK_INT(outfile_write(file, "new", 3, &err), SNUG_OK);
    CHECK_INT(outfile_write(file, block, sizeof block, &err), SNUG_OK);
    CHECK_INT(outfile_write(file, "end", 3, &err), SNUG_OK);
    CHECK_INT(outfile_bytes(file), 200006);
    CHECK_INT(outfile_commit(file, &err), SNUG_OK);
    CHECK_INT(outfile_commit(file, &err), SNUG_ERR_IO);
    CHECK_INT(outfile_write(file, "x", 1, &err), SNUG_ERR_IO);
    outfile_close(file);
    CHECK_INT(count_files(heap), before);
    CHECK_INT(file_read_text(&arena, path, 1 << 20, &text, &err), SNUG_OK);
    CHECK(text.n == 200006 && memcmp(text.at, "newxx", 5) == 0);
    CHECK(memcmp(text.at + text.n - 4, "xend", 4) == 0);
    struct stat st;
    mode_t mask = umask(0);
    (void)umask(mask);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == (0666 & ~mask));
    arena_release(&arena);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(outfile, refuses_directories_devices_and_absent_folders)
{
    Heap *heap = heap_create();
    OutFile *file;
    SnugError err;
    CHECK_INT(outfile_open(&file, heap, test_scratch(), &err), SNUG_ERR_IO);
    CHECK_HAS(err.text, "a directory");
    CHECK_INT(outfile_open(&file, heap, "/dev/null", &err), SNUG_ERR_IO);
    CHECK_INT(outfile_open(&file, heap, scratch_path("no/such/file"), &err), SNUG_ERR_IO);
    CHECK_HAS(err.text, "cannot create: No such file");
    CHECK_INT(outfile_open(&file, heap, scratch_path("ends/"), &err), SNUG_ERR_IO);
    CHECK(!file);
    for (int i = 1; i <= 2; i++) {
        heap_fail_at(heap, i);
        CHECK_INT(outfile_open(&file, heap, scratch_path("x"), &err), SNUG_ERR_MEMORY);
    }
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

/* A full disk by way of the file size limit: the same write() fails, without filling a disk. */
TEST(outfile, a_full_disk_is_an_error_and_leaves_nothing)
{
    Heap *heap = heap_create();
    OutFile *file;
    SnugError err;
    struct rlimit old, small;
    const int before = count_files(heap);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(outfile_open(&file, heap, scratch_path("full"), &err), SNUG_OK);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    static char block[70000];
    SnugStatus first = outfile_write(file, block, sizeof block, &err);
    SnugStatus second = outfile_write(file, block, sizeof block, &err);
    SnugStatus third = outfile_write(file, "x", 1, NULL);
    SnugStatus commit = outfile_commit(file, NULL);
    (void)setrlimit(RLIMIT_FSIZE, &old);
    (void)signal(SIGXFSZ, SIG_DFL);
    CHECK_INT(first, SNUG_OK);
    CHECK_INT(second, SNUG_ERR_IO);
    CHECK_HAS(err.text, "cannot write: File too large");
    CHECK_INT(third, SNUG_ERR_IO);
    CHECK_INT(commit, SNUG_ERR_IO);
    outfile_close(file);
    CHECK_INT(count_files(heap), before);
    heap_free(heap);
}

TEST(outfile, says_that_the_disk_is_full)
{
    Heap *heap = heap_create();
    OutFile *file;
    SnugError err;
    CHECK_INT(outfile_open(&file, heap, scratch_path("huge"), &err), SNUG_OK);
    SnugStatus status = outfile_reserve(file, (size_t)1 << 50, &err); /* 1 PiB */
    if (status == SNUG_OK) {
        outfile_close(file);
        heap_free(heap);
        SKIP("this file system does not reserve space");
    }
    CHECK_INT(status, SNUG_ERR_IO);
    CHECK_HAS(err.text, "cannot reserve");
    outfile_close(file);
    heap_free(heap);
}

TEST(file, tells_what_the_page_cache_holds)
{
    Heap *heap = heap_create();
    const char *path = scratch_path("cached");
    FILE *out = fopen(path, "wb");
    CHECK(out != NULL);
    for (int i = 0; i < 5000; i++)
        CHECK(fputc('x', out) == 'x');
    CHECK_INT(fclose(out), 0);
    File *file;
    SnugError err;
    CHECK_INT(file_open(&file, heap, path, &err), SNUG_OK);
    char byte;
    CHECK_INT(file_pread_all(file, 4999, &byte, 1, &err), SNUG_OK);
    CHECK(file_in_cache(file, 0));
    CHECK(file_in_cache(file, 4999));
    CHECK(!file_in_cache(file, 5000)); /* past the end */
    CHECK(!file_in_cache(file, SIZE_MAX));
    file_close(file);
    heap_free(heap);
}
