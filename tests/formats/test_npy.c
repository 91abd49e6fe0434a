/* test_npy.c  numpy's files in every type and order; NP1 .. NP5; the writer's bytes. */
#include "test.h"

#include "base/fault.h"
#include "files.h"
#include "formats/npy.h"
#include "formats/npy_write.h"

static SnugError err;

typedef struct Fixture {
    Heap *heap;
    Arena arena;
} Fixture;

static Fixture begin(void)
{
    Fixture f = { .heap = heap_create() };
    arena_init(&f.arena, f.heap, "test");
    return f;
}

static void end(Fixture *f)
{
    arena_release(&f->arena);
    CHECK_INT(heap_now_bytes(f->heap), 0);
    heap_free(f->heap);
}

static const char *golden(const char *name)
{
    char below[128];
    (void)snprintf(below, sizeof below, "golden/formats/%s.npy", name);
    return test_path(below);
}

/* Elements are -3, -2, ... (unsigned: 0, 1, ...; booleans: 0, 1, 0, ...) in C order. */
static void check_values(const char *name, double first, double modulus, int64_t count)
{
    Fixture f = begin();
    NpyArray a32, a64, whole;
    if (npy_read_f32(&f.arena, golden(name), &a32, &err)) fail_msg("%s", err.text);
    CHECK_INT(npy_read_f64(&f.arena, golden(name), &a64, &err), SNUG_OK);
    const bool is_float = strstr(name, "_f") || !strchr(name, '_');
    SnugStatus status = npy_read_i64(&f.arena, golden(name), &whole, &err);
    CHECK_INT(status, is_float ? SNUG_ERR_FILE : SNUG_OK);
    CHECK_INT(a32.count, count);
    CHECK(a32.f32 && !a32.f64 && a64.f64 && !a64.f32);
    for (int64_t i = 0; i < count; i++) {
        double want = modulus > 0 ? fmod((double)i, modulus) : (double)i + first;
        CHECK((double)a32.f32[i] == want && a64.f64[i] == want);
        if (!is_float) CHECK((double)whole.i64[i] == want);
    }
    end(&f);
}

TEST(npy, reads_every_type_in_both_byte_orders)
{
    static const char *const SIGNED[] = { "c_f2",   "c_f4",   "c_f8",   "c_i1",   "c_i2",
                                          "c_i4",   "c_i8",   "big_f2", "big_f4", "big_f8",
                                          "big_i2", "big_i4", "big_i8", "v2",     "v3" };
    static const char *const UNSIGNED[] = { "c_u1", "c_u2", "c_u4", "c_u8", "big_u4" };
    for (size_t i = 0; i < sizeof SIGNED / sizeof *SIGNED; i++)
        check_values(SIGNED[i], -3, 0, 6);
    for (size_t i = 0; i < sizeof UNSIGNED / sizeof *UNSIGNED; i++)
        check_values(UNSIGNED[i], 0, 0, 6);
    check_values("c_b1", 0, 2, 6);
}

TEST(npy, reads_fortran_order_and_every_rank)
{
    check_values("fortran", -3, 0, 24);
    check_values("rank0", -3, 0, 1);
    check_values("rank1", -3, 0, 5);
    check_values("rank4", -3, 0, 120);
    Fixture f = begin();
    NpyArray a;
    CHECK_INT(npy_read_f32(&f.arena, golden("fortran"), &a, &err), SNUG_OK);
    CHECK(a.rank == 3 && a.dim[0] == 2 && a.dim[1] == 3 && a.dim[2] == 4);
    CHECK_INT(npy_read_f32(&f.arena, golden("empty"), &a, &err), SNUG_OK);
    CHECK(a.rank == 2 && a.dim[0] == 0 && a.dim[1] == 4 && a.count == 0);
    end(&f);
}

/* A file with that dictionary, padded as version 1.0 wants, and `data` bytes of zeros. */
static const char *put(const char *dict, size_t data)
{
    unsigned char bytes[4096] = "\x93NUMPY\1";
    size_t n = strlen(dict);
    CHECK(10 + n + data <= sizeof bytes);
    bytes[8] = (unsigned char)(n & 255);
    bytes[9] = (unsigned char)(n >> 8);
    memcpy(bytes + 10, dict, n);
    return files_put("t.npy", bytes, 10 + n + data);
}

static void refuse(const char *path, const char *part)
{
    Fixture f = begin();
    NpyArray a;
    CHECK_INT(npy_read_f32(&f.arena, path, &a, &err), SNUG_ERR_FILE);
    CHECK(!a.f32 && a.count == 0);
    CHECK_HAS(err.text, part);
    CHECK_HAS(err.text, ": npy: ");
    end(&f);
}

TEST(npy, accepts_what_python_2_and_others_wrote)
{
    static const char *const GOOD[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L), }     \n",
        "{\"shape\":(2,),\"descr\":\"=f4\",\"fortran_order\":True}",
        "{'descr':'f4','fortran_order':False,'shape':(2,1,1,),}\n",
        " { 'shape' : ( 1 , 2 ) , 'descr' : '<f4' , 'fortran_order' : False } ",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (8,)}",
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        Fixture f = begin();
        NpyArray a;
        if (npy_read_f32(&f.arena, put(GOOD[i], 8), &a, &err))
            fail_msg("%s: %s", GOOD[i], err.text);
        end(&f);
    }
}

TEST(npy, np1_np2_versions_and_lengths)
{
    refuse(files_put("t.npy", "\x93NUMPY\4\0\2\0\0\0{}", 14), "bad version: got 4.0");
    refuse(files_put("t.npy", "\x93NUMPY\0\0\2\0{}", 12), "bad version");
    refuse(files_put("t.npy", "\x93NUMPY\1\1\2\0{}", 12), "bad version");
    refuse(files_put("t.npy", "\x93NUMPY\1\0\x11\x27{}", 12),
           "too large: got 10001 bytes"); /* NP2 */
    refuse(files_put("t.npy", "\x93NUMPY\2\0\xff\xff\xff\xff{}", 14), "too large");
    refuse(files_put("t.npy", "\x93NUMPY\1\0\3\0{}", 12), "header: truncated"); /* NP2 */
    refuse(files_put("t.npy", "\x93NUMPY\2\0\3\0", 10), "header: truncated");
    refuse(files_put("t.npy", "\x93NUMPY", 6), "truncated");
    refuse(files_put("t.npy", "\x93NUMPX\1\0\2\0{}", 12), "wrong kind of file");
    refuse(files_put("t.npy", "", 0), "empty file");
    refuse(files_put("t.npy", "\x93NUMPY\3\0\2\0\0\0\xff\xff", 14), "bad text");
}

TEST(npy, np3_dictionaries)
{
    static const char *const BAD[] = {
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ('1',)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ((1,),)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': <f4, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<\\x664', 'fortran_order': False, 'shape': (1,)}",
        "{descr: '<f4', 'fortran_order': False, 'shape': (1,)}",
        "['descr', '<f4']",
        "",
        "{",
        "{'",
        "__import__('os')",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        refuse(put(BAD[i], 4), "npy: header byte ");
    refuse(
        put("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
            "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
            4),
        "over 32 dimensions");
}

TEST(npy, np4_sizes)
{
#define DICT(shape) "{'descr': '<f8', 'fortran_order': False, 'shape': " shape "}"
    refuse(put(DICT("(4611686018427387904, 4611686018427387904)"), 8), "overflow");
    refuse(put(DICT("(9223372036854775807,)"), 8), "overflow");
    refuse(put(DICT("(9223372036854775808,)"), 8), "overflow");
    refuse(put(DICT("(2,)"), 15), "data: truncated: got 15 bytes, expected 16");
    refuse(put(DICT("(2,)"), 17), "data: hole: got 17 bytes, expected 16");
    refuse(put(DICT("(1000000000,)"), 8), "truncated");
}

TEST(npy, np5_other_types)
{
    refuse(golden("objects"), "unsafe: an object array is a pickle");
    refuse(golden("structured"), "not supported: structured dtypes");
    refuse(golden("complex"), "not supported: dtype '<c8'");
    refuse(golden("text"), "not supported: dtype '<U2'");
    refuse(put("{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", 16), "dtype '<f16'");
    refuse(put("{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,)}", 8), "not supported");
    refuse(put("{'descr': '', 'fortran_order': False, 'shape': (1,)}", 8), "not supported");
}

TEST(npy, values_that_do_not_fit_are_refused)
{
    Fixture f = begin();
    NpyArray a;
    static const char F8[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}";
    static const char U8[] = "{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}";
    char bytes[200] = "\x93NUMPY\1";
    const double huge = 1e300, infinite = (double)INFINITY;
    bytes[8] = sizeof F8 - 1;
    memcpy(bytes + 10, F8, sizeof F8 - 1);
    memcpy(bytes + 10 + sizeof F8 - 1, &huge, 8);
    refuse(files_put("t.npy", bytes, 10 + sizeof F8 - 1 + 8), "a value does not fit f32");
    CHECK_INT(npy_read_f64(&f.arena, files_path("t.npy"), &a, &err), SNUG_OK);
    CHECK(a.f64[0] == huge);
    memcpy(bytes + 10 + sizeof F8 - 1, &infinite, 8);
    const char *path = files_put("t.npy", bytes, 10 + sizeof F8 - 1 + 8);
    CHECK_INT(npy_read_f32(&f.arena, path, &a, &err), SNUG_OK);
    CHECK(isinf(a.f32[0]));
    memcpy(bytes + 10, U8, sizeof U8 - 1);
    memset(bytes + 10 + sizeof U8 - 1, 0xff, 8);
    path = files_put("t.npy", bytes, 10 + sizeof U8 - 1 + 8);
    CHECK_INT(npy_read_i64(&f.arena, path, &a, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "a value does not fit i64");
    CHECK_INT(npy_read_f64(&f.arena, path, &a, &err), SNUG_OK);
    CHECK(a.f64[0] == 0x1p64);
    end(&f);
}

TEST(npy, the_header_alone_gives_the_sizes)
{
    Heap *heap = heap_create();
    File *file;
    NpyHeader h;
    CHECK_INT(file_open(&file, heap, golden("fortran"), &err), SNUG_OK);
    CHECK_INT(npy_read_header(file, &h, &err), SNUG_OK);
    CHECK(h.dtype == DT_F32 && h.fortran_order && !h.big_endian && h.rank == 3 && h.count == 24);
    CHECK(h.data_offset == 128 && h.bytes == 96);
    file_close(file);
    heap_free(heap);
}

TEST(npy, a_long_array_crosses_chunks)
{
    enum { N = 100003 };
    Fixture f = begin();
    NpyArray a;
    static float values[N];
    test_random(values, N, -1, 1);
    const char *path = files_path("long.npy");
    CHECK_INT(npy_write_f32(f.heap, path, values, (int64_t[]){ 1, N }, 2, &err), SNUG_OK);
    CHECK_INT(npy_read_f64(&f.arena, path, &a, &err), SNUG_OK);
    CHECK_INT(a.count, N);
    for (int i = 0; i < N; i++)
        CHECK(a.f64[i] == (double)values[i]);
    end(&f);
}

static void same_bytes(const char *name, const int64_t *dim, int rank)
{
    Fixture f = begin();
    NpyArray a;
    TextView want, got;
    CHECK_INT(npy_read_f32(&f.arena, golden(name), &a, &err), SNUG_OK);
    const char *path = files_path("w.npy");
    CHECK_INT(npy_write_f32(f.heap, path, a.f32, dim, rank, &err), SNUG_OK);
    CHECK_INT(file_read_text(&f.arena, golden(name), 1 << 20, &want, &err), SNUG_OK);
    CHECK_INT(file_read_text(&f.arena, path, 1 << 20, &got, &err), SNUG_OK);
    CHECK(text_equal(want, got));
    end(&f);
}

TEST(npy, the_writer_makes_numpys_bytes)
{
    same_bytes("rank0", NULL, 0);
    same_bytes("rank1", (int64_t[]){ 5 }, 1);
    same_bytes("c_f4", (int64_t[]){ 2, 3 }, 2);
    same_bytes("rank4", (int64_t[]){ 2, 3, 4, 5 }, 4);
    same_bytes("empty", (int64_t[]){ 0, 4 }, 2);
}

TEST(npy, the_writer_streams_and_is_atomic)
{
    Fixture f = begin();
    NpyWriter *w;
    NpyArray a;
    const float row[3] = { 1, 2, 3 };
    const char *path = files_path("s.npy");
    CHECK_INT(npy_create(&w, f.heap, path, (int64_t[]){ 2, 3 }, 2, &err), SNUG_OK);
    CHECK_INT(npy_append(w, row, 3, &err), SNUG_OK);
    CHECK_INT(npy_commit(w, &err), SNUG_ERR_INTERNAL);
    CHECK_INT(npy_append(w, row, 4, &err), SNUG_ERR_INTERNAL);
    CHECK_INT(npy_append(w, row, 3, &err), SNUG_OK);
    CHECK_INT(file_type(path), FILE_ABSENT);
    CHECK_INT(npy_commit(w, &err), SNUG_OK);
    npy_close(w);
    CHECK_INT(npy_read_f32(&f.arena, path, &a, &err), SNUG_OK);
    CHECK(a.count == 6 && a.f32[5] == 3);
    CHECK_INT(npy_create(&w, f.heap, path, (int64_t[]){ -1 }, 1, &err), SNUG_ERR_ARG);
    CHECK_INT(npy_create(&w, f.heap, path, (int64_t[]){ INT64_MAX }, 1, &err), SNUG_ERR_ARG);
    CHECK_INT(npy_create(&w, f.heap, path, NULL, 33, &err), SNUG_ERR_ARG);
    CHECK_INT(npy_create(&w, f.heap, files_path("no/dir.npy"), NULL, 0, &err), SNUG_ERR_IO);
    npy_close(NULL);
    int64_t big[32];
    for (int i = 0; i < 32; i++)
        big[i] = i == 7 ? 0 : 1000000007;
    big[8] = big[9] = 1;
    for (int i = 0; i < 7; i++)
        big[i] = 1;
    CHECK_INT(npy_write_f32(f.heap, path, NULL, big, 32, &err), SNUG_OK);
    CHECK_INT(npy_read_f32(&f.arena, path, &a, &err), SNUG_OK);
    CHECK(a.rank == 32 && a.count == 0 && a.dim[31] == 1000000007);
    end(&f);
}

TEST(npy, every_refused_block_ends_cleanly)
{
    for (int n = 1; n < 6; n++) {
        Fixture f = begin();
        NpyArray a;
        heap_fail_at(f.heap, n);
        SnugStatus status = npy_read_f64(&f.arena, golden("c_i4"), &a, &err);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        end(&f);
    }
}
