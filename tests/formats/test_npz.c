/* test_npz.c  Archives of numpy: what is read, what is only listed, what is refused. */
#include "test.h"

#include "base/size.h"
#include "formats/checkpoint.h"
#include "zips.h"

static SnugError err;
static Heap *heap;

static Checkpoint *open_path(const char *path)
{
    Checkpoint *c;
    heap = heap_create();
    err.text[0] = '\0';
    const SnugStatus status = checkpoint_open(&c, heap, path, NULL, &err);
    CHECK((status == SNUG_OK) == (c != NULL));
    return c;
}

static void close_all(Checkpoint *c)
{
    checkpoint_close(c);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static const Entry *find(const Checkpoint *c, const char *name)
{
    const int32_t i = checkpoint_find(c, name);
    CHECK(i >= 0);
    return checkpoint_entry(c, i);
}

TEST(npz, arrays_of_numpy_are_tensors)
{
    Checkpoint *c = open_path(test_path("golden/formats_npz/plain.npz"));
    if (!c) fail_msg("%s", err.text);
    CHECK_INT(checkpoint_count(c), 9);
    float f4[12];
    CHECK_INT(checkpoint_read(c, find(c, "f4"), 0, sizeof f4, f4, &err), SNUG_OK);
    for (int i = 0; i < 12; i++)
        CHECK(f4[i] == (float)i / 8.0f);
    CHECK_INT(find(c, "f4")->dim[1], 4);
    CHECK_INT(find(c, "f2")->dtype, DT_F16);
    CHECK_INT(find(c, "f2")->rank, 3);
    int64_t i8[2];
    CHECK_INT(checkpoint_read(c, find(c, "i8"), 0, sizeof i8, i8, &err), SNUG_OK);
    CHECK(i8[0] == -1 && i8[1] == (int64_t)1 << 40);
    CHECK_INT(find(c, "b1")->dtype, DT_BOOL);
    CHECK_INT(find(c, "scalar")->rank, 0);
    CHECK_INT(find(c, "nested/name")->bytes, 0);
    CHECK_INT(find(c, "column")->dtype, DT_F32); /* one column: both orders are the same */
    CHECK_INT(find(c, "fortran")->dtype, DT_COUNT);
    CHECK_TEXT(find(c, "fortran")->type_name, "F32 (Fortran order)");
    CHECK_TEXT(find(c, "big")->type_name, "F32 (big-endian)");
    close_all(c);
}

static void check_refused(const char *path, const char *words)
{
    Checkpoint *c = open_path(path);
    CHECK(!c);
    CHECK_HAS(err.text, words);
    close_all(c);
}

TEST(npz, NP5_and_NP6_pickles_and_packed_members_are_refused)
{
    check_refused(test_path("golden/formats_npz/objects.npz"), "unsafe");
    check_refused(test_path("golden/formats_npz/packed.npz"), "f4.npy: not supported");
}

static const char HEAD[] = "\x93NUMPY\1\0\x46\0{'descr': '<f4', 'fortran_order': False, 'shape': "
                           "(2,), }            \n";

/* One array x.npy with its member's name, and another. */
static const char *archive(Zips *z, const char *name, const char *other, size_t data)
{
    char bytes[128] = "";
    memset(z, 0, sizeof *z);
    CHECK_INT(sizeof HEAD - 1, 80);
    memcpy(bytes, HEAD, sizeof HEAD - 1);
    zips_add(z, "x.npy", bytes, 80 + data);
    if (name) zips_add(z, name, bytes, 80 + data);
    if (other) zips_add(z, other, "text", 4);
    zips_end(z, false);
    return files_put("a.npz", z->bytes, z->n);
}

TEST(npz, members_that_are_no_arrays_are_passed_over)
{
    static Zips z;
    Checkpoint *c = open_path(archive(&z, "y/z.npy", "readme.txt", 8));
    if (!c) fail_msg("%s", err.text);
    CHECK_INT(checkpoint_count(c), 2);
    CHECK_TEXT(checkpoint_entry(c, 1)->name, "y/z");
    close_all(c);
}

TEST(npz, NP4_and_NP6_hostile_archives_are_refused)
{
    static Zips z;
    check_refused(archive(&z, NULL, NULL, 7), "x.npy: ");
    check_refused(archive(&z, NULL, NULL, 7), "truncated");
    check_refused(archive(&z, NULL, NULL, 9), "expected 8");
    check_refused(archive(&z, "x.npy", NULL, 8), "duplicate");
    check_refused(archive(&z, "../y.npy", NULL, 8), "unsafe");
    check_refused(archive(&z, "/y.npy", NULL, 8), "unsafe");
    const char *path = archive(&z, NULL, NULL, 8);
    z.bytes[z.member[0].data] = 'X';
    check_refused(files_put("a.npz", z.bytes, z.n), "not a NumPy array");
    (void)archive(&z, NULL, NULL, 8);
    for (size_t n = 0; n < z.n; n++) { /* cut anywhere */
        Checkpoint *c = open_path(files_put("cut.npz", z.bytes, n));
        CHECK(!c && err.text[0]);
        close_all(c);
    }
    (void)path;
}
