/* test_torch.c  Files of torch.save: every golden tensor, and the malformed kinds PT1 to PT12. */
#include "zips.h"

#include <dirent.h>
#include <unistd.h>

#include "formats/checkpoint.h"

static SnugError err;
static Zips zips;

/* ---- goldens ---- */

static void check_same_tensor(const Checkpoint *a, const Entry *x, const Checkpoint *b,
                              const Entry *y)
{
    unsigned char got[4096], want[4096], part[4096];
    CHECK_INT(x->dtype, y->dtype);
    CHECK_INT(x->rank, y->rank);
    for (int i = 0; i < x->rank; i++)
        CHECK_INT(x->dim[i], y->dim[i]);
    CHECK_INT(x->bytes, y->bytes);
    CHECK(x->bytes <= sizeof got);
    CHECK_INT(checkpoint_read(a, x, 0, x->bytes, got, &err), SNUG_OK);
    CHECK_INT(checkpoint_read(b, y, 0, y->bytes, want, &err), SNUG_OK);
    assert_memory_equal(got, want, x->bytes);
    for (size_t from = 0; from < x->bytes; from += 5) { /* ranges that cut elements and rows */
        const size_t n = x->bytes - from < 7 ? x->bytes - from : 7;
        CHECK_INT(checkpoint_read(a, x, from, n, part, &err), SNUG_OK);
        assert_memory_equal(part, want + from, n);
    }
}

static void check_golden(const char *name)
{
    char path[2][128];
    Checkpoint *c[2];
    Heap *heap = heap_create();
    (void)snprintf(path[0], sizeof path[0], "golden/formats_torch/%s.pth", name);
    (void)snprintf(path[1], sizeof path[1], "golden/formats_torch/%s.safetensors", name);
    for (int i = 0; i < 2; i++)
        if (checkpoint_open(&c[i], heap, test_path(path[i]), NULL, &err) != SNUG_OK)
            fail_msg("%s", err.text);
    CHECK_INT(checkpoint_count(c[0]), checkpoint_count(c[1]));
    for (int32_t i = 0; i < checkpoint_count(c[0]); i++) {
        CHECK_TEXT(checkpoint_entry(c[0], i)->name, checkpoint_entry(c[1], i)->name);
        check_same_tensor(c[0], checkpoint_entry(c[0], i), c[1], checkpoint_entry(c[1], i));
        checkpoint_forget(c[0], checkpoint_entry(c[0], i));
    }
    checkpoint_close(c[0]);
    checkpoint_close(c[1]);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(torch, every_tensor_of_the_goldens)
{
    static const char *const NAMES[] = { "types",   "strides",  "stacked_strides", "module",
                                         "wrapped", "only_key", "stacked_module",  "parameters",
                                         "many",    "compiled" };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        check_golden(NAMES[i]);
}

TEST(torch, says_what_was_unwrapped)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    CHECK_INT(checkpoint_open(&c, heap, test_path("golden/formats_torch/wrapped.pth"), NULL, &err),
              SNUG_OK);
    CHECK_TEXT(checkpoint_metadata(c, "torch.unwrapped"), "params_ema");
    checkpoint_close(c);
    heap_free(heap);
}

/* ---- files that must be refused ---- */

static void refuse_file(const char *path, const char *part)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    CHECK_INT(checkpoint_open(&c, heap, path, NULL, &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, part);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

static void refuse_zip(const char *part)
{
    refuse_file(files_put("bad.pth", zips.bytes, zips.n), part);
}

static void refuse_pickle(const char *pickle, size_t n, const char *part)
{
    zips_torch(&zips, pickle, n, 24);
    refuse_zip(part);
}

TEST(torch, refuses_what_it_cannot_read_by_name)
{
    refuse_file(test_path("golden/formats_torch/whole_module.pth"), "a whole pickled module");
    refuse_file(test_path("golden/formats_torch/script.pth"), "TorchScript");
    refuse_file(test_path("golden/formats_torch/single.pth"), "a single tensor");
    refuse_file(test_path("golden/formats_torch/complex.pth"), "torch.ComplexFloatStorage");
}

/* {"w": tensor [2, 3] of f32}, as torch writes it; the tests change single bytes of it. */
#define STORAGE                                                                                    \
    "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                            \
    "0X\3\0\0\0cpuK\6tQ"
#define TENSOR "ctorch._utils\n_rebuild_tensor_v2\n" STORAGE
#define REST   "K\0K\2K\3\x86K\3K\1\x86\x89}tR"
#define WHOLE  "\x80\2}X\1\0\0\0w" TENSOR REST "s."

static const char GOOD[] = WHOLE;

TEST(torch, a_hand_made_file_is_read)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    zips_torch(&zips, GOOD, sizeof GOOD - 1, 24);
    if (checkpoint_open(&c, heap, files_put("good.pth", zips.bytes, zips.n), NULL, &err) != SNUG_OK)
        fail_msg("%s", err.text);
    CHECK_INT(checkpoint_count(c), 1);
    CHECK_TEXT(checkpoint_entry(c, 0)->name, "w");
    CHECK_INT(checkpoint_entry(c, 0)->dim[1], 3);
    CHECK_INT(checkpoint_entry(c, 0)->offset, zips.member[1].data);
    checkpoint_close(c);
    heap_free(heap);
}

static void begin_good(void)
{
    zips_torch(&zips, GOOD, sizeof GOOD - 1, 24);
}

TEST(torch, pt1_end_records_that_lie)
{
    begin_good();
    zips.n = zips.end;
    refuse_zip("no directory at the end");
    begin_good();
    zips_put(&zips, "x", 1);
    refuse_zip("no directory at the end");
    begin_good();
    zips_number(&zips, zips.end64 + 48, zips.n + 5, 8);
    refuse_zip("directory");
    begin_good();
    zips_number(&zips, zips.end64 + 40, 1 << 20, 8);
    refuse_zip("directory");
    begin_good();
    zips_number(&zips, zips.end64 + 32, 4, 8);
    refuse_zip("disagree");
    begin_good();
    zips_number(&zips, zips.end64 + 32, 4, 8);
    zips_number(&zips, zips.end64 + 24, 4, 8);
    refuse_zip("4 members do not fit a directory");
    begin_good();
    zips.bytes[zips.member[2].central] = 'x';
    refuse_zip("the directory ends before its last member");
    begin_good();
    zips_number(&zips, zips.end64 + 32, 2, 8);
    zips_number(&zips, zips.end64 + 24, 2, 8);
    refuse_zip("the directory has more than its members");
    begin_good();
    zips_number(&zips, zips.end64 + 32, UINT64_MAX, 8);
    zips_number(&zips, zips.end64 + 24, UINT64_MAX, 8);
    refuse_zip("too large");
    begin_good();
    zips_number(&zips, zips.end - 12, UINT64_MAX, 8);
    refuse_zip("zip64 record lies outside");
    begin_good();
    zips_number(&zips, zips.end - 12, 3, 8);
    refuse_zip("zip64 record is not where");
    begin_good();
    zips_number(&zips, zips.end64 + 16, 1, 4);
    refuse_zip("several parts");
}

TEST(torch, pt2_members_that_are_not_plain)
{
    begin_good();
    zips_number(&zips, zips.member[1].central + 10, 8, 2);
    refuse_zip("a compressed member (method 8)");
    begin_good();
    zips_number(&zips, zips.member[0].central + 10, 99, 2);
    refuse_zip("a compressed member (method 99)");
    begin_good();
    zips_number(&zips, zips.member[1].central + 8, 1, 2);
    refuse_zip("an encrypted member");
    begin_good();
    zips.bytes[zips.member[1].local + 30] = 'b';
    refuse_zip("its header gives another name");
    begin_good();
    zips_number(&zips, zips.member[1].central + 20, 1 << 20, 4);
    refuse_zip("two sizes differ");
    begin_good();
    zips_number(&zips, zips.member[1].central + 20, 1 << 20, 4);
    zips_number(&zips, zips.member[1].central + 24, 1 << 20, 4);
    refuse_zip("truncated");
    begin_good();
    zips_number(&zips, zips.member[1].central + 42, zips.member[1].local + 1, 4);
    refuse_zip("its header is not where the directory says");
    begin_good();
    zips_number(&zips, zips.member[1].central + 42, zips.n, 4);
    refuse_zip("its header lies outside the archive");
    begin_good();
    zips_number(&zips, zips.member[1].central + 24, 0xffffffff, 4);
    refuse_zip("two sizes differ");
    begin_good();
    zips_number(&zips, zips.member[1].local + 28, 0xffff, 2);
    refuse_zip("do not fit the archive");
}

TEST(torch, pt3_names_twice_and_shared_bytes)
{
    zips = (Zips){ .n = 0 };
    zips_add(&zips, "a/data.pkl", GOOD, sizeof GOOD - 1);
    zips_add(&zips, "a/data/0", GOOD, 24);
    zips_add(&zips, "a/data/0", GOOD, 24);
    zips_end(&zips, false);
    refuse_zip("duplicate");
    begin_good();
    zips_number(&zips, zips.member[2].central + 42, zips.member[1].local, 4);
    memcpy(zips.bytes + zips.member[2].central + 46, "a/data/0x", 9);
    refuse_zip("its header gives another name");
    begin_good(); /* the version's bytes reach over the directory's border, the pickle's over 0 */
    zips_number(&zips, zips.member[0].central + 20, sizeof GOOD - 1 + 60, 4);
    zips_number(&zips, zips.member[0].central + 24, sizeof GOOD - 1 + 60, 4);
    refuse_zip("overlap");
}

TEST(torch, pt4_names_that_lead_out)
{
    static const char *const NAMES[] = { "../x", "/etc/x", "a/../../x", "a\\x", "c:x", "a/.." };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        zips = (Zips){ .n = 0 };
        zips_add(&zips, "a/data.pkl", GOOD, sizeof GOOD - 1);
        zips_add(&zips, NAMES[i], "", 0);
        zips_end(&zips, false);
        refuse_zip("unsafe");
    }
}

#define PICKLE(text) text, sizeof text - 1

TEST(torch, pt5_globals_outside_the_table)
{
    static const char *const NAMES[] = { "os\nsystem",
                                         "builtins\neval",
                                         "__builtin__\nexec",
                                         "posix\nsystem",
                                         "nt\nsystem",
                                         "subprocess\nPopen",
                                         "torch.hub\nload",
                                         "torch._utils\n_rebuild_device_tensor_from_numpy",
                                         "numpy.core.multiarray\n_reconstruct",
                                         "builtins\ngetattr" };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char text[128];
        const int n = snprintf(text, sizeof text, "\x80\2c%s\n(U\2lstR.", NAMES[i]);
        refuse_pickle(text, (size_t)n, "unsafe: refusing pickle global");
        CHECK_HAS(err.text, "convert the file to safetensors");
    }
}

TEST(torch, pt6_calls_of_anything_else)
{
    refuse_pickle(PICKLE("\x80\2})R."), "a call of something that is no known function");
    refuse_pickle(PICKLE("\x80\2ctorch\nFloatStorage\n)R."), "a call of torch.FloatStorage");
    refuse_pickle(PICKLE("\x80\2ctorch\nfloat32\n)R."), "a call of torch.float32");
    refuse_pickle(PICKLE("\x80\2ccollections\nOrderedDict\n)R}b)R."), "no known function");
    refuse_pickle(PICKLE("\x80\2ctorch\ndevice\n)\x81."), "a new object of torch.device");
    refuse_pickle(PICKLE("\x80\2K\1}b."), "state for something");
    refuse_pickle(PICKLE("\x80\2ccollections\nOrderedDict\nK\1R."), "without a tuple");
    refuse_pickle(PICKLE("\x80\2ccollections\nOrderedDict\nK\1\x85R."), "odd arguments");
    refuse_pickle(PICKLE("\x80\2ccollections\nOrderedDict\n]K\1a\x85R."), "else than pairs");
    refuse_pickle(PICKLE("\x80\2ctorch._utils\n_rebuild_parameter\nK\1\x85R."), "odd arguments");
    refuse_pickle(PICKLE("\x80\2ctorch._utils\n_rebuild_tensor_v2\nK\1\x85R."), "odd arguments");
    refuse_pickle(PICKLE("\x80\2ctorch._utils\n_rebuild_tensor_v3\n" STORAGE REST),
                  "odd arguments");
}

TEST(torch, pt7_stack_faults)
{
    refuse_pickle(PICKLE("\x80\2."), "a value is missing on the stack");
    refuse_pickle(PICKLE("\x80\2\x85."), "a value is missing on the stack");
    refuse_pickle(PICKLE("\x80\2(K\1\x86."), "a value is missing on the stack");
    refuse_pickle(PICKLE("\x80\2}(K\1u."), "a key without a value");
    refuse_pickle(PICKLE("\x80\2}K\1u."), "no mark on the stack");
    refuse_pickle(PICKLE("\x80\2K\1K\2a."), "no list");
    refuse_pickle(PICKLE("\x80\2]K\1K\2s."), "no dictionary");
    refuse_pickle(PICKLE("\x80\2h\5."), "memo index 5 was never set");
    refuse_pickle(PICKLE("\x80\2}"), "the pickle has no end");
    refuse_pickle(PICKLE("\x80\2X\xff\xff\xff\x7f"), "limit 1048576");
    refuse_pickle(PICKLE("\x80\2X\xff\0\0\0abc."), "truncated: 255 bytes expected, 4 are left");
    refuse_pickle(PICKLE("\x80\2X\2\0\0\0\xff\xfe."), "invalid UTF-8");
    refuse_pickle(PICKLE("\x80\2G123"), "truncated");
    refuse_pickle(PICKLE("\x80\2ctorch"), "a name without an end");
    refuse_pickle(PICKLE("\x80\4\x95\1\0\0\0\0\0\0\0}."), "opcode 0x95");
    refuse_pickle(PICKLE("\x80\2I1\n."), "opcode 0x49 (pickle protocol 4?)");
}

TEST(torch, pt8_sizes_of_the_machine)
{
    static char marks[70000];
    refuse_pickle(PICKLE("\x80\2}r\0\0\0\x80."), "memo index 2147483648");
    refuse_pickle(PICKLE("\x80\2}q\xff."), "memo index 255");
    memset(marks, '(', sizeof marks);
    refuse_pickle(marks, sizeof marks, "too deep");
    /* a dictionary that is its own only value */
    refuse_pickle(PICKLE("\x80\2}q\0U\1kh\0s."), "too deep: dictionaries inside dictionaries");
    /* a list that holds itself is never walked */
    refuse_pickle(PICKLE("\x80\2]q\0h\0a."), "no dictionary of tensors");
}

#define STORED(id) "\x80\2}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((" id "tQ" REST "s."
#define KIND       "X\7\0\0\0storage"
#define FLOATS     "ctorch\nFloatStorage\n"

TEST(torch, pt9_storages_that_are_not_there)
{
    refuse_pickle(PICKLE(STORED(KIND FLOATS "U\1"
                                            "0U\3cpu")),
                  "describes no storage");
    refuse_pickle(PICKLE(STORED("K\1" FLOATS "U\1"
                                "0U\3cpuK\6")),
                  "describes no storage");
    refuse_pickle(PICKLE(STORED(KIND "NU\1"
                                     "0U\3cpuK\6")),
                  "describes no storage");
    refuse_pickle(PICKLE(STORED("U\6moduleNNNN")), "a whole pickled module");
    refuse_pickle(PICKLE(STORED(KIND FLOATS "U\1"
                                            "7U\3cpuK\6")),
                  "storage 7 is not in the file");
    refuse_pickle(PICKLE(STORED(KIND FLOATS "U\5../..U\3cpuK\6")), "unsafe");
    refuse_pickle(PICKLE(STORED(KIND FLOATS "U\1"
                                            "0U\3cpuK\7")),
                  "does not fit its 24 bytes");
    refuse_pickle(PICKLE(STORED(KIND FLOATS "U\1"
                                            "0U\3cpuJ\xff\xff\xff\xff")),
                  "does not fit");
    refuse_pickle(PICKLE(STORED(KIND FLOATS "U\1"
                                            "0U\3cpu\x8a\x8\0\0\0\0\0\0\0\x40")),
                  "does not fit");
    refuse_pickle(PICKLE(STORED(KIND "ctorch\nUntypedStorage\nU\1"
                                     "0U\3cpuK\6")),
                  "a tensor without a dtype");
}

#define SHAPED(rest) "\x80\2}X\1\0\0\0w" TENSOR rest "s."

TEST(torch, pt10_views_past_their_storage)
{
    refuse_pickle(PICKLE(SHAPED("K\1K\2K\3\x86K\3K\1\x86\x89}tR")), "reaches element 6");
    refuse_pickle(PICKLE(SHAPED("K\0K\2K\3\x86K\4K\1\x86\x89}tR")), "reaches element 6");
    refuse_pickle(PICKLE(SHAPED("K\0K\2K\3\x86J\xff\xff\xff\xffK\1\x86\x89}tR")),
                  "no whole number");
    refuse_pickle(PICKLE(SHAPED("K\0J\xff\xff\xff\xffK\3\x86K\3K\1\x86\x89}tR")),
                  "no whole number");
    refuse_pickle(PICKLE(SHAPED("J\xff\xff\xff\xffK\2K\3\x86K\3K\1\x86\x89}tR")),
                  "reaches element");
    refuse_pickle(PICKLE(SHAPED("K\0K\2K\3\x86K\3\x85\x89}tR")), "2 sizes, but 1 strides");
    refuse_pickle(PICKLE(SHAPED("K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1K\1K\1K\1K\1t\x89}"
                                "tR")),
                  "9 dimensions, limit 8");
    refuse_pickle(PICKLE(SHAPED("K\0\x8a\x8\0\0\0\0\0\0\0\x40K\3\x86K\0K\1\x86\x89}tR")),
                  "overflow");
    refuse_pickle(PICKLE(SHAPED("K\0K\2K\3\x86\x8a\x8\0\0\0\0\0\0\0\x7f\x8a\x8\0\0\0\0\0\0\0\x40"
                                "\x86\x89}tR")),
                  "overflow");
    refuse_pickle(PICKLE(SHAPED("K\0M\xff\xffM\xff\xff\x86K\0K\0\x86\x89}tR")),
                  "4294836225 elements, repeated, from a storage of 6");
}

/* 40 levels of [x, x]: nothing ever walks them. */
TEST(torch, pt11_doubled_values_cost_nothing)
{
    char text[512];
    size_t n = 0;
    text[n++] = ']';
    text[n++] = 'q';
    text[n++] = 0;
    for (int i = 0; i < 40; i++) {
        const char level[] = { ']', '(', 'h', (char)i, 'h', (char)i, 'e', 'q', (char)(i + 1) };
        memcpy(text + n, level, sizeof level);
        n += sizeof level;
    }
    text[n++] = '.';
    refuse_pickle(text, n, "no dictionary of tensors");
}

TEST(torch, pt12_numbers_of_many_bytes)
{
    char text[256] = "\x80\2\x8a\xc8";
    refuse_pickle(text, 210, "overflow: a whole number of 200 bytes");
}

TEST(torch, other_malformed_contents)
{
    refuse_pickle(PICKLE("\x80\2}."), "there is no tensor in it");
    refuse_pickle(PICKLE("\x80\2}(X\1\0\0\0w" TENSOR REST "X\1\0\0\0w" TENSOR REST "u."),
                  "two tensors of that name");
    refuse_pickle(PICKLE("\x80\2}X\1\0\0\0\0" TENSOR REST "s."), "no name for a tensor");
    zips = (Zips){ .n = 0 };
    zips_add(&zips, "a/data/0", GOOD, 24);
    zips_end(&zips, false);
    refuse_zip("data.pkl: missing");
    zips = (Zips){ .n = 0 };
    zips_add(&zips, "a/data.pkl", GOOD, sizeof GOOD - 1);
    zips_add(&zips, "a/byteorder", "big", 3);
    zips_end(&zips, false);
    refuse_zip("big-endian");
    zips = (Zips){ .n = 0 };
    zips_add(&zips, "a/data.pkl", GOOD, sizeof GOOD - 1);
    zips_add(&zips, "a/version", "77\n", 3);
    zips_end(&zips, false);
    refuse_zip("bad version");
}

static void read_golden(const char *name, unsigned char *to, size_t room, size_t *n)
{
    FILE *f = fopen(test_path(name), "rb");
    CHECK(f);
    *n = fread(to, 1, room, f);
    (void)fclose(f);
}

TEST(torch, stacked_files_that_are_spoilt)
{
    static unsigned char bytes[65536];
    size_t n;
    read_golden("golden/formats_torch/stacked_module.pth", bytes, sizeof bytes, &n);
    refuse_file(files_put("s.pth", bytes, n - 1), "truncated");
    refuse_file(files_put("s.pth", bytes, 15), "the pickle has no end");
    refuse_file(files_put("s.pth", bytes, 200), "truncated");
    bytes[18] ^= 1; /* 1001, the protocol */
    refuse_file(files_put("s.pth", bytes, n), "expected protocol 1001");
    bytes[18] ^= 1;
    bytes[n - 16] ^= 0x40; /* somewhere in the last storage's count or data */
    bytes[n - 9] = 0x7f;
    refuse_file(files_put("s.pth", bytes, n), "truncated");
}

TEST(torch, every_refused_block_ends_cleanly)
{
    static const char *const NAMES[] = { "golden/formats_torch/wrapped.pth",
                                         "golden/formats_torch/stacked_module.pth" };
    for (int k = 0; k < 2; k++) {
        SnugStatus status = SNUG_ERR_MEMORY;
        for (int n = 1; status != SNUG_OK; n++) {
            Heap *heap = heap_create();
            Checkpoint *c;
            heap_fail_at(heap, n);
            status = checkpoint_open(&c, heap, test_path(NAMES[k]), NULL, &err);
            CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
            CHECK(n < 100);
            checkpoint_close(c);
            CHECK_INT(heap_now_bytes(heap), 0);
            heap_free(heap);
        }
    }
}
