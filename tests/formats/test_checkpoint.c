/* test_checkpoint.c  Files as one name space: single, sharded (ST17), kinds that are refused. */
#include "test.h"

#include <unistd.h>

#include "base/fault.h"
#include "files.h"
#include "formats/checkpoint.h"

static SnugError err;

static Checkpoint *open_good(Heap *heap, const char *path)
{
    Checkpoint *c;
    if (checkpoint_open(&c, heap, path, NULL, &err) != SNUG_OK) fail_msg("%s", err.text);
    return c;
}

static void refuse(const char *path, const char *part)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    CHECK_INT(checkpoint_open(&c, heap, path, NULL, &err), SNUG_ERR_FILE);
    CHECK(!c);
    CHECK_HAS(err.text, part);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static const char TWO[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                          "\"b\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[0,6]},"
                          "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[6,8]}}";
static const char ONE_C[] = "{\"c\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}";

TEST(checkpoint, opens_a_single_file)
{
    Heap *heap = heap_create();
    const char *path = files_safetensors("one.safetensors", TWO, 8);
    Checkpoint *c = open_good(heap, path);
    unsigned char got[4] = { 0 };
    CHECK_TEXT(checkpoint_path(c), path);
    CHECK_INT(checkpoint_count(c), 2);
    CHECK_INT(checkpoint_bytes(c), 8);
    CHECK_INT(checkpoint_n_files(c), 1);
    CHECK_TEXT(checkpoint_entry(c, 0)->name, "a");
    CHECK_INT(checkpoint_find(c, "a"), 0);
    CHECK_INT(checkpoint_find(c, "b"), 1);
    CHECK_INT(checkpoint_find(c, "aa"), -1);
    CHECK_INT(checkpoint_find(c, ""), -1);
    CHECK_TEXT(checkpoint_metadata(c, "format"), "pt");
    CHECK(!checkpoint_metadata(c, "x"));
    int32_t n;
    CHECK_TEXT(checkpoint_notes(c, 0, &n)[0].key, "format");
    CHECK_INT(n, 1);
    CHECK_TEXT(checkpoint_warnings(c), "");

    const Entry *b = checkpoint_entry(c, 1);
    CHECK_INT(checkpoint_read(c, b, 3, 3, got, &err), SNUG_OK);
    CHECK(got[0] == 3 && got[2] == 5);
    CHECK_INT(file_pread_all(checkpoint_file(c, b->file), b->offset, got, 2, &err), SNUG_OK);
    CHECK(got[0] == 0 && got[1] == 1);
    CHECK_INT(checkpoint_read(c, b, 4, 3, got, &err), SNUG_ERR_INTERNAL);
    checkpoint_forget(c, b);
    CHECK_INT(checkpoint_expect_shape(c, b, SHAPE(2, 3), &err), SNUG_OK);
    CHECK_INT(checkpoint_expect_shape(c, b, SHAPE(3, 2), &err), SNUG_ERR_FILE); /* MD4 */
    CHECK_HAS(err.text, "b: mismatch: file has [2, 3], network needs [3, 2]");
    checkpoint_close(c);
    checkpoint_close(NULL);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(checkpoint, a_file_that_shrinks_is_an_error_with_the_tensors_name)
{
    Heap *heap = heap_create();
    const char *path = files_safetensors("s.safetensors", TWO, 8);
    Checkpoint *c = open_good(heap, path);
    char got[8];
    CHECK_INT(truncate(path, 100), 0);
    CHECK_INT(checkpoint_read(c, checkpoint_entry(c, 0), 0, 2, got, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "a: ");
    CHECK_HAS(err.text, "truncated");
    checkpoint_close(c);
    heap_free(heap);
}

TEST(checkpoint, lists_the_first_ten_unused)
{
    Heap *heap = heap_create();
    char header[4096] = "{", names[1024];
    size_t used = 1;
    for (int i = 0; i < 20; i++)
        used += (size_t)snprintf(header + used, sizeof header - used,
                                 "%s\"t%02d\":{\"dtype\":\"U8\",\"shape\":[0],"
                                 "\"data_offsets\":[0,0]}",
                                 i ? "," : "", i);
    (void)snprintf(header + used, sizeof header - used, "}");
    Checkpoint *c = open_good(heap, files_safetensors("many.safetensors", header, 0));
    bool seen[20] = { true };
    CHECK_INT(checkpoint_unused(c, seen, names, sizeof names), 19);
    CHECK_TEXT(names, "t01, t02, t03, t04, t05, t06, t07, t08, t09, t10, ...");
    CHECK_INT(checkpoint_unused(c, seen, names, 9), 19);
    CHECK_TEXT(names, "t01, t02");
    memset(seen, true, sizeof seen);
    CHECK_INT(checkpoint_unused(c, seen, names, sizeof names), 0);
    CHECK_TEXT(names, "");
    checkpoint_close(c);
    heap_free(heap);
}

TEST(checkpoint, joins_shards)
{
    Heap *heap = heap_create();
    (void)files_safetensors("sh/m-00001-of-00002.safetensors", TWO, 8);
    (void)files_safetensors("sh/m-00002-of-00002.safetensors", ONE_C, 4);
    const char *path =
        files_text("sh/m.safetensors.index.json",
                   "{\"metadata\":{\"total_size\":12.0},\"weight_map\":{"
                   "\"c\":\"m-00002-of-00002.safetensors\",\"a\":\"m-00001-of-00002.safetensors\","
                   "\"b\":\"m-00001-of-00002.safetensors\"}}");
    Checkpoint *c = open_good(heap, path);
    char got[4];
    CHECK_INT(checkpoint_count(c), 3);
    CHECK_INT(checkpoint_n_files(c), 2);
    CHECK_INT(checkpoint_bytes(c), 12);
    CHECK_INT(checkpoint_entry(c, 2)->file, 1);
    CHECK_INT(checkpoint_read(c, checkpoint_entry(c, 2), 1, 2, got, &err), SNUG_OK);
    CHECK(got[0] == 1 && got[1] == 2);
    CHECK_TEXT(checkpoint_warnings(c), "");
    checkpoint_close(c);

    path =
        files_text("sh/partial.json", "{\"weight_map\":{\"a\":\"m-00001-of-00002.safetensors\"}}");
    c = open_good(heap, path);
    CHECK_INT(checkpoint_count(c), 2);
    CHECK_HAS(checkpoint_warnings(c), "1 tensors of its shards are not in the index: b");
    checkpoint_close(c);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(checkpoint, st17_bad_indexes)
{
    (void)files_safetensors("bad/x.safetensors", TWO, 8);
    (void)files_safetensors("bad/again.safetensors", TWO, 8);
    (void)files_safetensors("x.safetensors", TWO, 8);
    static const struct {
        const char *json, *part;
    } CASES[] = {
        { "{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "unsafe" },
        { "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "unsafe" },
        { "{\"weight_map\":{\"a\":\"..\\\\x.safetensors\"}}", "unsafe" },
        { "{\"weight_map\":{\"a\":\"C:x.safetensors\"}}", "unsafe" },
        { "{\"weight_map\":{\"a\":\"\"}}", "unsafe" },
        { "{\"weight_map\":{\"a\":\"gone.safetensors\"}}", "gone.safetensors: missing" },
        { "{\"weight_map\":{\"zz\":\"x.safetensors\"}}", "zz: missing: the tensor is not in" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"x.safetensors\"}}", "duplicate" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\",\"b\":\"again.safetensors\"}}",
          "in two files" },
        { "{\"weight_map\":{\"a\":1}}", "bad JSON" },
        { "{\"weight_map\":[]}", "bad JSON" },
        { "{\"weight_map\":{},\"weight_map\":{}}", "duplicate" },
        { "{\"metadata\":{}}", "weight_map: missing" },
        { "{\"weight_map\":{\"a\":\"x.safetensors\"}} 1", "bad JSON" },
        { "", "empty file" },
        { "version https://git-lfs.github.com/spec/v1", "Git LFS pointer" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        refuse(files_text("bad/i.index.json", CASES[i].json), CASES[i].part);
}

TEST(checkpoint, too_many_shards_are_refused)
{
    char *text = malloc(64 * 1100), *at = text + sprintf(text, "{\"weight_map\":{");
    for (int i = 0; i < CHECKPOINT_MAX_SHARDS + 1; i++)
        at += sprintf(at, "%s\"%d\":\"s%d\"", i ? "," : "", i, i);
    strcpy(at, "}}");
    refuse(files_text("many.index.json", text), "too many shards (limit 1024)");
    free(text);
}

TEST(checkpoint, other_kinds_are_refused_by_name)
{
    char tar[512] = { 0 };
    memcpy(tar + 257, "ustar", 5);
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *part;
    } CASES[] = {
        { "m.gguf", "GGUF\3\0\0\0", 8, "gguf: header: truncated" },
        { "m.gguf", "FUGG\0\0\0\3", 8, "big-endian GGUF" },
        { "m.bin", "ggjt\3\0\0\0", 8, "before GGUF" },
        { "m.pt", "PK\3\4\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0archive/data.pkl",
          46, "torch: zip: truncated" },
        { "m.npz", "PK\3\4\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0x.npy", 35,
          "npz: zip: truncated" },
        { "m.zip", "PK\3\4", 4, "a zip archive, but no torch checkpoint" },
        { "m.pth", "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15,
          "torch: pickle byte 0: truncated" },
        { "m.pkl", "\x80\x04}.", 4, "unsafe: this is a bare pickle" },
        { "m.ckpt", "PYTORCH1", 8, "preview release" },
        { "m.npy", "\x93NUMPY\1\0", 8, "a NumPy array, not a checkpoint" },
        { "m.dat", "hello, world", 12, "not a weight file snug knows" },
        { "m.safetensors", "hello, world", 12, "safetensors: header: too large" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        refuse(files_put(CASES[i].name, CASES[i].bytes, CASES[i].n), CASES[i].part);
    refuse(files_put("m.tar", tar, sizeof tar), "a tar file");
}

/* The name decides nothing when the content is known. */
TEST(checkpoint, reads_safetensors_under_any_name)
{
    Heap *heap = heap_create();
    checkpoint_close(open_good(heap, files_safetensors("weights.bin", TWO, 8)));
    refuse(files_text("x.safetensors", "GGUF\3"), "gguf: header: truncated");
    heap_free(heap);
}

TEST(checkpoint, links_must_stay_inside_the_root)
{
    Heap *heap = heap_create();
    Arena arena;
    ModelRoot root, open_root, cache;
    Checkpoint *c;
    arena_init(&arena, heap, "test");
    const char *target = files_safetensors("outside/w.safetensors", TWO, 8);
    (void)files_text("model/x", "");
    const char *dir = files_path("model"), *link = files_path("model/w.safetensors");
    CHECK_INT(symlink(target, link), 0);
    CHECK_INT(model_root_init(&root, &arena, dir, false, &err), SNUG_OK);
    CHECK_INT(checkpoint_open(&c, heap, link, &root, &err), SNUG_ERR_FILE); /* MD2 */
    CHECK_HAS(err.text, "unsafe: a symbolic link leads out");
    CHECK_INT(model_root_init(&open_root, &arena, dir, true, &err), SNUG_OK);
    CHECK_INT(checkpoint_open(&c, heap, link, &open_root, &err), SNUG_OK);
    checkpoint_close(c);
    CHECK_INT(model_root_init(&root, &arena, files_path("absent"), false, &err), SNUG_ERR_IO);

    /* a hub cache: snapshots/REVISION/vae/w.safetensors -> blobs/HASH */
    target = files_safetensors("hub/blobs/0123", TWO, 8);
    (void)files_text("hub/snapshots/rev/vae/x", "");
    link = files_path("hub/snapshots/rev/vae/w.safetensors");
    CHECK_INT(symlink(target, link), 0);
    CHECK_INT(model_root_init(&cache, &arena, files_path("hub/snapshots/rev"), false, &err),
              SNUG_OK);
    CHECK_INT(checkpoint_open(&c, heap, link, &cache, &err), SNUG_OK);
    checkpoint_close(c);
    /* a folder whose name only begins alike is outside */
    target = files_safetensors("model2/w.safetensors", TWO, 8);
    link = files_path("model/near.safetensors");
    CHECK_INT(symlink(target, link), 0);
    CHECK_INT(model_root_init(&root, &arena, dir, false, &err), SNUG_OK);
    CHECK_INT(checkpoint_open(&c, heap, link, &root, &err), SNUG_ERR_FILE);
    arena_release(&arena);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(checkpoint, every_refused_block_ends_cleanly)
{
    (void)files_safetensors("fault/1.safetensors", TWO, 8);
    (void)files_safetensors("fault/2.safetensors", ONE_C, 4);
    const char *path = files_text(
        "fault/i.json", "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}}");
    SnugStatus status = SNUG_ERR_MEMORY;
    for (int n = 1; status != SNUG_OK; n++) {
        Heap *heap = heap_create();
        Checkpoint *c;
        heap_fail_at(heap, n);
        status = checkpoint_open(&c, heap, path, NULL, &err);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        CHECK(n < 60);
        checkpoint_close(c);
        CHECK_INT(heap_now_bytes(heap), 0);
        heap_free(heap);
    }
}
