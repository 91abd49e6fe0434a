/* test_safetensors_write.c  The reference's bytes, round trips, refusals, nothing left behind. */
#include "test.h"

#include "base/fault.h"
#include "base/sort.h"
#include "files.h"
#include "formats/checkpoint.h"
#include "formats/safetensors_write.h"

static SnugError err;

static void item_of(const Entry *e, int32_t index, SafetensorsItem *out)
{
    *out = (SafetensorsItem){ .name = e->name, .dtype = e->dtype, .rank = e->rank, .user = index };
    memcpy(out->dim, e->dim, sizeof out->dim);
}

/* Copy a checkpoint through the writer, in pieces of at most `piece` bytes. */
static void copy(Heap *heap, const Checkpoint *c, const char *path, size_t piece)
{
    SafetensorsItem items[64];
    SafetensorsWriter *w;
    int32_t n_notes, n = checkpoint_count(c);
    const EntryNote *notes = checkpoint_notes(c, 0, &n_notes);
    unsigned char bytes[256];
    CHECK(n <= 64);
    for (int32_t i = 0; i < n; i++) /* any order will do: give them last to first */
        item_of(checkpoint_entry(c, n - 1 - i), n - 1 - i, &items[i]);
    if (safetensors_create(&w, heap, path, items, n, notes, n_notes, &err))
        fail_msg("%s", err.text);
    for (int32_t i = 0; i < n; i++) {
        const Entry *e = checkpoint_entry(c, safetensors_item(w, i)->user);
        CHECK_INT(safetensors_item_bytes(w, i), e->bytes);
        for (size_t at = 0; at < e->bytes; at += piece) {
            size_t size = e->bytes - at < piece ? e->bytes - at : piece;
            CHECK_INT(checkpoint_read(c, e, at, size, bytes, &err), SNUG_OK);
            CHECK_INT(safetensors_append(w, bytes, size, &err), SNUG_OK);
        }
    }
    CHECK_INT(safetensors_commit(w, &err), SNUG_OK);
    safetensors_close(w);
}

/* types.safetensors was written by the safetensors package: the copy must be the same file */
TEST(safetensors_write, writes_the_bytes_of_the_reference)
{
    Heap *heap = heap_create();
    Arena arena;
    Checkpoint *c;
    TextView want, got;
    arena_init(&arena, heap, "test");
    const char *golden = test_path("golden/formats/types.safetensors");
    CHECK_INT(checkpoint_open(&c, heap, golden, NULL, &err), SNUG_OK);
    CHECK_INT(checkpoint_count(c), 26);
    copy(heap, c, files_path("copy.safetensors"), 7);
    CHECK_INT(file_read_text(&arena, golden, 1 << 20, &want, &err), SNUG_OK);
    CHECK_INT(file_read_text(&arena, files_path("copy.safetensors"), 1 << 20, &got, &err), SNUG_OK);
    CHECK(text_equal(want, got));
    checkpoint_close(c);
    arena_release(&arena);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

/* The values in it are 0, 1, 2, ... minus 3, in every type */
TEST(safetensors_write, golden_values_are_read_in_every_dtype)
{
    static const char *const NAMES[] = { "float64",     "int64",   "float32", "int32",
                                         "bfloat16",    "float16", "int16",   "float8_e4m3fn",
                                         "float8_e5m2", "int8" };
    Heap *heap = heap_create();
    Checkpoint *c;
    const char *golden = test_path("golden/formats/types.safetensors");
    CHECK_INT(checkpoint_open(&c, heap, golden, NULL, &err), SNUG_OK);
    CHECK_TEXT(checkpoint_metadata(c, "format"), "pt");
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char name[64], bytes[64];
        float values[6];
        static const float WANT[6] = { -3, -2, -1, 0, 1, 2 };
        (void)snprintf(name, sizeof name, "%s.matrix", NAMES[i]);
        int32_t at = checkpoint_find(c, name);
        CHECK(at >= 0);
        const Entry *e = checkpoint_entry(c, at);
        CHECK_INT(checkpoint_expect_shape(c, e, SHAPE(2, 3), &err), SNUG_OK);
        CHECK_INT(checkpoint_read(c, e, 0, e->bytes, bytes, &err), SNUG_OK);
        CHECK(dtype_widen(e->dtype, bytes, values, 6));
        CHECK_CLOSE(values, WANT, 6, 0); /* small whole numbers are exact in every type */
    }
    CHECK(checkpoint_find(c, "odd \"name\"\\ \n\xc3\xa9") >= 0);
    CHECK_INT(checkpoint_entry(c, checkpoint_find(c, "scalar"))->rank, 0);
    CHECK_INT(checkpoint_entry(c, checkpoint_find(c, "empty"))->bytes, 0);
    checkpoint_close(c);
    heap_free(heap);
}

static SnugStatus create(const SafetensorsItem *items, int32_t n, const EntryNote *notes,
                         int32_t n_notes)
{
    Heap *heap = heap_create();
    SafetensorsWriter *w;
    SnugStatus status =
        safetensors_create(&w, heap, files_path("w.safetensors"), items, n, notes, n_notes, &err);
    safetensors_close(w);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
    return status;
}

TEST(safetensors_write, refuses_what_cannot_be_stored)
{
    const SafetensorsItem two[] = { { .name = "a", .dtype = DT_F32, .rank = 1, .dim = { 1 } },
                                    { .name = "a", .dtype = DT_U8, .rank = 1, .dim = { 1 } } };
    CHECK_INT(create(two, 1, NULL, 0), SNUG_OK);
    CHECK_INT(create(NULL, 0, NULL, 0), SNUG_OK);
    CHECK_INT(create(two, 2, NULL, 0), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "two tensors named 'a'");
    SafetensorsItem bad = two[0];
    bad.dtype = DT_Q4_K;
    CHECK_INT(create(&bad, 1, NULL, 0), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "cannot store Q4_K");
    bad = two[0];
    bad.dim[0] = -1;
    CHECK_INT(create(&bad, 1, NULL, 0), SNUG_ERR_ARG);
    bad = (SafetensorsItem){ .name = "b", .dtype = DT_F64, .rank = 2, .dim = { INT64_MAX, 2 } };
    CHECK_INT(create(&bad, 1, NULL, 0), SNUG_ERR_ARG);
    bad = (SafetensorsItem){ .name = "b", .dtype = DT_F64, .rank = 9 };
    CHECK_INT(create(&bad, 1, NULL, 0), SNUG_ERR_ARG);
    bad = (SafetensorsItem){ .name = "b\xff", .dtype = DT_F64, .rank = 0 };
    CHECK_INT(create(&bad, 1, NULL, 0), SNUG_ERR_ARG);
    bad.name = "__metadata__";
    CHECK_INT(create(&bad, 1, NULL, 0), SNUG_ERR_ARG);
    const EntryNote notes[] = { { "k", "1" }, { "l", "2" }, { "k", "3" }, { "m", "\xff" } };
    CHECK_INT(create(two, 1, notes, 2), SNUG_OK);
    CHECK_INT(create(two, 1, notes, 3), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "metadata key 'k' given twice");
    CHECK_INT(create(two, 1, notes + 3, 1), SNUG_ERR_ARG);
    CHECK_INT(create(two, -1, NULL, 0), SNUG_ERR_ARG);
    CHECK_INT(file_type(files_path("w.safetensors")), FILE_ABSENT);
}

TEST(safetensors_write, commits_only_what_is_complete)
{
    Heap *heap = heap_create();
    SafetensorsWriter *w;
    const SafetensorsItem item = { .name = "a", .dtype = DT_F32, .rank = 1, .dim = { 2 } };
    const char *path = files_path("w.safetensors");
    CHECK_INT(safetensors_create(&w, heap, path, &item, 1, NULL, 0, &err), SNUG_OK);
    CHECK_INT(safetensors_append(w, "12345", 5, &err), SNUG_OK);
    CHECK_INT(safetensors_commit(w, &err), SNUG_ERR_INTERNAL);
    CHECK_INT(safetensors_append(w, "1234", 4, &err), SNUG_ERR_INTERNAL);
    CHECK_INT(safetensors_append(w, "123", 3, &err), SNUG_OK);
    CHECK_INT(file_type(path), FILE_ABSENT);
    CHECK_INT(safetensors_commit(w, &err), SNUG_OK);
    CHECK_INT(file_type(path), FILE_REGULAR);
    safetensors_close(w);
    CHECK_INT(safetensors_create(&w, heap, files_path("no/such/x"), &item, 1, NULL, 0, &err),
              SNUG_ERR_IO);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(safetensors_write, every_refused_block_ends_cleanly)
{
    const SafetensorsItem item = { .name = "a", .dtype = DT_F32, .rank = 1, .dim = { 2 } };
    const EntryNote note = { "format", "pt" };
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        Heap *heap = heap_create();
        SafetensorsWriter *w;
        heap_fail_at(heap, n);
        status =
            safetensors_create(&w, heap, files_path("f.safetensors"), &item, 1, &note, 1, &err);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        safetensors_close(w);
        CHECK_INT(heap_now_bytes(heap), 0);
        heap_free(heap);
        CHECK(n < 50);
    }
    CHECK_INT(file_type(files_path("f.safetensors")), FILE_ABSENT);
}
