/* test_safetensors.c  Header reading: what is accepted, every malformed input ST1 .. ST16. */
#include "test.h"

#include "base/fault.h"
#include "files.h"
#include "formats/safetensors.h"

typedef struct Opened {
    Heap *heap;
    Arena arena;
    File *file;
    EntryList list;
    SnugError err;
    SnugStatus status;
} Opened;

static Opened open_path(const char *path)
{
    Opened o = { .heap = heap_create() };
    arena_init(&o.arena, o.heap, "test");
    CHECK_INT(file_open(&o.file, o.heap, path, &o.err), SNUG_OK);
    o.status = safetensors_read(o.file, &o.arena, &o.list, &o.err);
    return o;
}

static void done(Opened *o)
{
    arena_release(&o->arena);
    file_close(o->file);
    CHECK_INT(heap_now_bytes(o->heap), 0);
    heap_free(o->heap);
}

static Opened open_good(const char *header, size_t data)
{
    Opened o = open_path(files_safetensors("t.safetensors", header, data));
    if (o.status != SNUG_OK) fail_msg("%s: %s", header, o.err.text);
    return o;
}

/* The header must be refused with that word, and nothing may stay allocated. */
static void refuse(const char *header, size_t data, Fault fault)
{
    Opened o = open_path(files_safetensors("t.safetensors", header, data));
    if (o.status == SNUG_OK) fail_msg("accepted %.300s", header);
    CHECK_INT(o.status, SNUG_ERR_FILE);
    CHECK_INT(o.list.n, 0);
    char word[64];
    (void)snprintf(word, sizeof word, ": %s: ", fault_word(fault));
    CHECK_HAS(o.err.text, word);
    CHECK_HAS(o.err.text, "t.safetensors: safetensors: ");
    done(&o);
}

static void refuse_bytes(const void *bytes, size_t n, Fault fault)
{
    Opened o = open_path(files_put("t.safetensors", bytes, n));
    CHECK_INT(o.status, SNUG_ERR_FILE);
    CHECK_HAS(o.err.text, fault_word(fault));
    done(&o);
}

#define ONE(name, dtype, shape, range)                                                             \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" range "}"

TEST(safetensors, reads_names_shapes_places_and_metadata)
{
    Opened o = open_good(
        "  {\"__metadata__\":{\"format\":\"pt\",\"a\":\"\\u00e9\"}," ONE(
            "b.weight", "F32", "[2,3]", "[4,28]") "," ONE("a", "I8", "[4]", "[0,4]") "}   ",
        28);
    CHECK_INT(o.list.n, 2);
    const Entry *b = &o.list.entries[0], *a = &o.list.entries[1];
    Shape shape;
    CHECK_TEXT(b->name, "b.weight");
    CHECK_INT(b->dtype, DT_F32);
    CHECK(entry_shape(b, &shape) && shape_equal(shape, SHAPE(2, 3)));
    CHECK_INT(b->bytes, 24);
    CHECK_INT(a->dtype, DT_I8);
    CHECK_INT(b->offset - a->offset, 4);
    unsigned char first = 9;
    CHECK_INT(file_pread_all(o.file, b->offset, &first, 1, &o.err), SNUG_OK);
    CHECK_INT(first, 4);
    CHECK_INT(o.list.n_notes, 2);
    CHECK_TEXT(o.list.notes[0].key, "a");
    CHECK_TEXT(o.list.notes[0].text, "\xc3\xa9");
    CHECK_TEXT(o.list.notes[1].text, "pt");
    done(&o);
}

TEST(safetensors, accepts_empty_scalar_zero_sized_and_unknown_keys)
{
    Opened o = open_good("{}", 0);
    CHECK_INT(o.list.n, 0);
    done(&o);
    o = open_good("{" ONE("s", "BF16", "[]", "[0,2]") "," ONE("z", "F32", "[0,7]", "[2,2]") "," ONE(
                      "e", "F64", "[0]", "[2,2]") ",\"t\":{\"x\":[{\"y\":null}],\"dtype\":\"U8\","
                                                  "\"shape\":[1],\"x\":1,\"data_offsets\":[2,3]}}",
                  3);
    CHECK_INT(o.list.n, 4);
    CHECK_INT(o.list.entries[0].rank, 0);
    CHECK_INT(o.list.entries[0].bytes, 2);
    CHECK_INT(o.list.entries[1].bytes, 0);
    done(&o);
    o = open_good("{" ONE("r8", "U8", "[1,1,1,1,1,1,1,2]", "[0,2]") "}", 2);
    CHECK(!entry_shape(&o.list.entries[0], &(Shape){ 0 }));
    done(&o);
}

/* An unpadded header puts the data at an odd place. */
TEST(safetensors, keeps_odd_offsets)
{
    Opened o = open_good("{" ONE("a", "F32", "[1]", "[0,4]") "} ", 4);
    CHECK_INT(o.list.entries[0].offset, file_bytes(o.file) - 4);
    CHECK_INT(o.list.entries[0].offset % 2, 1);
    done(&o);
}

TEST(safetensors, knows_every_dtype_of_the_format)
{
    static const struct {
        const char *name;
        int bytes_of_8;
        DType dtype;
    } TYPES[] = {
        { "BOOL", 8, DT_BOOL },
        { "U8", 8, DT_U8 },
        { "I8", 8, DT_I8 },
        { "F16", 16, DT_F16 },
        { "BF16", 16, DT_BF16 },
        { "I16", 16, DT_I16 },
        { "U16", 16, DT_U16 },
        { "F8_E4M3", 8, DT_F8_E4M3 },
        { "F8_E5M2", 8, DT_F8_E5M2 },
        { "F8_E8M0", 8, DT_COUNT },
        { "F8_E4M3FNUZ", 8, DT_COUNT },
        { "F8_E5M2FNUZ", 8, DT_COUNT },
        { "F32", 32, DT_F32 },
        { "I32", 32, DT_I32 },
        { "U32", 32, DT_U32 },
        { "F64", 64, DT_F64 },
        { "I64", 64, DT_I64 },
        { "U64", 64, DT_U64 },
        { "C64", 64, DT_COUNT },
        { "F4", 4, DT_COUNT },
        { "F6_E2M3", 6, DT_COUNT },
        { "F6_E3M2", 6, DT_COUNT },
    };
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        char header[200];
        (void)snprintf(header, sizeof header,
                       "{\"x\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,%d]}}",
                       TYPES[i].name, TYPES[i].bytes_of_8);
        Opened o = open_good(header, (size_t)TYPES[i].bytes_of_8);
        CHECK_INT(o.list.entries[0].dtype, TYPES[i].dtype);
        CHECK_TEXT(o.list.entries[0].type_name, TYPES[i].name);
        done(&o);
    }
}

TEST(safetensors, st1_to_st4_lengths_and_text)
{
    refuse_bytes("\x02\0\0\0\0\0\0", 7, FAULT_TRUNCATED);                    /* ST1 */
    refuse_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, FAULT_TOO_LARGE); /* ST2 */
    refuse_bytes("\x01\xe1\xf5\x05\0\0\0\0{}", 10, FAULT_TOO_LARGE);         /* 10^8 + 1 */
    refuse_bytes("\0\xe1\xf5\x05\0\0\0\0{}", 10, FAULT_TRUNCATED);           /* 10^8 */
    refuse_bytes("\xe8\x03\0\0\0\0\0\0{}", 10, FAULT_TRUNCATED);             /* ST3 */
    refuse_bytes("\x01\0\0\0\0\0\0\0\xff", 9, FAULT_BAD_TEXT);               /* ST4 */
    refuse_bytes("\x01\0\0\0\0\0\0\0{", 9, FAULT_BAD_JSON);
    refuse_bytes("\0\0\0\0\0\0\0\0", 8, FAULT_BAD_JSON);
    refuse_bytes("", 0, FAULT_BAD_MAGIC);
    refuse("{} x", 0, FAULT_BAD_JSON);
    refuse("[]", 0, FAULT_BAD_JSON);
    refuse("{\"a\\ud800\":0}", 0, FAULT_BAD_JSON);
    refuse("{" ONE("a\\u0000b", "U8", "[1]", "[0,1]") "}", 1, FAULT_BAD_TEXT);
}

TEST(safetensors, st5_aliases_are_an_overlap)
{
    static char header[10 * 80];
    size_t used = (size_t)snprintf(header, sizeof header, "{");
    for (int i = 0; i < 10; i++)
        used += (size_t)snprintf(header + used, sizeof header - used,
                                 "%s\"t%d\":{\"dtype\":\"F32\",\"shape\":[2,2],"
                                 "\"data_offsets\":[0,16]}",
                                 i ? "," : "", i);
    (void)snprintf(header + used, sizeof header - used, "}");
    refuse(header, 16, FAULT_OVERLAP);
    refuse("{" ONE("a", "U8", "[2]", "[0,2]") "," ONE("b", "U8", "[2]", "[1,3]") "}", 3,
           FAULT_OVERLAP);
    /* an empty tensor inside another one's data */
    refuse("{" ONE("a", "U8", "[2]", "[0,2]") "," ONE("b", "U8", "[0]", "[1,1]") "}", 2,
           FAULT_OVERLAP);
}

TEST(safetensors, st6_to_st9_ranges_tile_the_data)
{
    refuse("{" ONE("a", "U8", "[4]", "[0,4]") "}", 5, FAULT_HOLE);      /* ST6 */
    refuse("{" ONE("a", "U8", "[4]", "[0,4]") "}", 2, FAULT_TRUNCATED); /* ST6 */
    refuse("{}", 1, FAULT_HOLE);
    refuse("{" ONE("a", "I32", "[2,2]", "[0,4]") "}", 4, FAULT_MISMATCH); /* ST7 */
    refuse("{" ONE("a", "I32", "[2,18446744073709551614]", "[0,4]") "}", 4,
           FAULT_OVERFLOW); /* ST8 */
    refuse("{" ONE("a", "I32", "[2,9223372036854775807]", "[0,4]") "}", 4,
           FAULT_OVERFLOW); /* ST8 */
    refuse("{" ONE("a", "I32", "[9223372036854775807]", "[0,4]") "}", 4, FAULT_OVERFLOW);
    refuse("{" ONE("a", "U8", "[1]", "[2,1]") "}", 2, FAULT_OVERLAP); /* ST9 */
    refuse("{" ONE("a", "U8", "[1]", "[1,2]") "}", 2, FAULT_HOLE);    /* ST9 */
    refuse("{" ONE("a", "U8", "[1]", "[0,1]") "," ONE("b", "U8", "[1]", "[2,3]") "}", 3,
           FAULT_HOLE); /* ST9 */
    refuse("{" ONE("a", "U8", "[1]", "[18446744073709551614,18446744073709551615]") "}", 2,
           FAULT_TRUNCATED);
}

TEST(safetensors, st10_offsets_are_two_whole_numbers)
{
    refuse("{" ONE("a", "U8", "[1]", "[0,1e0]") "}", 1, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "[1]", "[0,1.0]") "}", 1, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "[1]", "[-1,0]") "}", 1, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "[1]", "[\"0\",1]") "}", 1, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "[1]", "[0,1,2]") "}", 1, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "[1]", "[0]") "}", 1, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "[-1]", "[0,1]") "}", 1, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "[1.0]", "[0,1]") "}", 1, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "1", "[0,1]") "}", 1, FAULT_BAD_JSON);
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, FAULT_BAD_JSON);
    refuse("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, FAULT_BAD_JSON);
    refuse("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, FAULT_BAD_JSON);
    refuse("{\"a\":[]}", 0, FAULT_BAD_JSON);
    refuse("{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, FAULT_BAD_JSON);
}

TEST(safetensors, st11_to_st14_types_duplicates_metadata)
{
    refuse("{" ONE("a", "F4", "[3]", "[0,2]") "}", 2, FAULT_MISMATCH);        /* ST11 */
    refuse("{" ONE("a", "F128", "[1]", "[0,16]") "}", 16, FAULT_UNSUPPORTED); /* ST12 */
    refuse("{" ONE("a", "U8", "[1]", "[0,1]") "," ONE("a", "U8", "[1]", "[1,2]") "}", 2,
           FAULT_DUPLICATE); /* ST13 */
    refuse("{" ONE("a", "U8", "[1]", "[0,1]") "," ONE("\\u0061", "U8", "[1]", "[1,2]") "}", 2,
           FAULT_DUPLICATE); /* the same name, escaped */
    refuse("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           FAULT_DUPLICATE);                                   /* ST13 */
    refuse("{\"__metadata__\":{\"k\":1}}", 0, FAULT_BAD_JSON); /* ST14 */
    refuse("{\"__metadata__\":{\"k\":{}}}", 0, FAULT_BAD_JSON);
    refuse("{\"__metadata__\":[]}", 0, FAULT_BAD_JSON);
    refuse("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, FAULT_DUPLICATE);
    refuse("{\"__metadata__\":{},\"__metadata__\":{}}", 0, FAULT_DUPLICATE);
}

TEST(safetensors, st15_st16_depth_digits_rank_and_names)
{
    enum { DEEP = 100000, DIGITS = 1000000, NAME = 1025 };
    static const char LEAD[] = "{\"a\":{\"x\":";
    static char header[DIGITS + 200];
    memcpy(header, LEAD, sizeof LEAD - 1);
    memset(header + sizeof LEAD - 1, '[', DEEP);
    refuse(header, 0, FAULT_TOO_DEEP);
    memset(header + sizeof LEAD - 1, '7', DIGITS);
    refuse(header, 0, FAULT_BAD_JSON);
    refuse("{" ONE("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", 1, FAULT_TOO_LARGE); /* ST16 */
    memset(header, 0, DIGITS);
    memcpy(header, "{\"", 2);
    memset(header + 2, 'n', NAME);
    strcpy(header + 2 + NAME, "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}");
    refuse(header, 1, FAULT_TOO_LARGE);
    memmove(header + 2, header + 3, strlen(header + 3) + 1); /* 1024 are fine */
    Opened o = open_good(header, 1);
    done(&o);
}

TEST(safetensors, too_many_tensors_or_notes_are_refused)
{
    enum { N = ENTRY_MAX_COUNT + 1, RECORD = 64 };
    char *header = malloc((size_t)N * RECORD + 8), *at = header + sprintf(header, "{");
    for (int i = 0; i < N; i++)
        at += sprintf(at, "%s\"%x\":{\"dtype\":\"F4\",\"shape\":[0],\"data_offsets\":[0,0]}",
                      i ? "," : "", (unsigned)i);
    strcpy(at, "}");
    refuse(header, 0, FAULT_TOO_LARGE);
    at = header + sprintf(header, "{\"__metadata__\":{");
    for (int i = 0; i < ENTRY_MAX_NOTES + 1; i++)
        at += sprintf(at, "%s\"%x\":\"\"", i ? "," : "", (unsigned)i);
    strcpy(at, "}}");
    refuse(header, 0, FAULT_TOO_LARGE);
    free(header);
}

/* Opening may cost four times the header and little else, whatever the header says. */
TEST(safetensors, memory_stays_in_proportion)
{
    enum { N = 20000 };
    char *header = malloc((size_t)N * 96), *at = header + sprintf(header, "{");
    for (int i = 0; i < N; i++)
        at += sprintf(at, "%s\"%x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                      i ? "," : "", (unsigned)i, i, i + 1);
    strcpy(at, "}");
    Opened o = open_good(header, N);
    CHECK_INT(o.list.n, N);
    CHECK(heap_peak_bytes(o.heap) <= 4 * strlen(header) + (1 << 20));
    done(&o);
    free(header);
}

TEST(safetensors, every_refused_block_ends_cleanly)
{
    const char *path = files_safetensors(
        "t.safetensors", "{\"__metadata__\":{\"\\n\":\"x\"}," ONE("a\\n", "U8", "[1]", "[0,1]") "}",
        1);
    for (int n = 1; n < 12; n++) {
        Opened o = { .heap = heap_create() };
        arena_init(&o.arena, o.heap, "test");
        CHECK_INT(file_open(&o.file, o.heap, path, &o.err), SNUG_OK);
        heap_fail_at(o.heap, n);
        o.status = safetensors_read(o.file, &o.arena, &o.list, &o.err);
        CHECK(o.status == SNUG_ERR_MEMORY || o.status == SNUG_OK);
        CHECK_INT(o.list.n, o.status == SNUG_OK ? 1 : 0);
        done(&o);
    }
}

TEST(safetensors, answers_a_human)
{
    Opened o = open_path(files_text("x.safetensors", "version https://git-lfs.github.com/spec/v1"));
    CHECK_INT(o.status, SNUG_ERR_FILE);
    CHECK_HAS(o.err.text, "Git LFS pointer");
    done(&o);
}
