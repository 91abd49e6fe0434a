/* test_convert.c  Conversions byte for byte, value for value, and what must not happen. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "../formats/files.h"
#include "base/size.h"
#include "engine/convert_source.h"
#include "formats/checkpoint.h"
#include "formats/safetensors_write.h"
#include "snug/snug.h"
#include "tensor/narrow.h"
#include "tensor/narrow_four.h"

static SnugError err;

static SnugStatus convert(const char *input, const char *output, const char *form,
                          SnugConverted *out)
{
    const SnugConvertOptions o = { .input = input, .output = output, .form = form, .threads = 2 };
    err.text[0] = '\0';
    return snug_convert(out, &o, NULL, NULL, &err);
}

static void must_convert(const char *input, const char *output, const char *form)
{
    if (convert(input, output, form, NULL) != SNUG_OK) fail_msg("%s: %s", form, err.text);
}

static void check_same_file(const char *a, const char *b)
{
    Heap *heap = heap_create();
    Arena arena;
    TextView x, y;
    arena_init(&arena, heap, "test");
    CHECK_INT(file_read_text(&arena, a, 1 << 26, &x, &err), SNUG_OK);
    CHECK_INT(file_read_text(&arena, b, 1 << 26, &y, &err), SNUG_OK);
    CHECK(text_equal(x, y));
    arena_release(&arena);
    heap_free(heap);
}

/* ---- files of other tools ---- */

TEST(convert, files_are_those_of_bitsandbytes_and_comfyui)
{
    static const char *const FORMS[] = { "nf4", "nf4-plain", "int8", "fp8" };
    char want[128];
    for (size_t i = 0; i < COUNT(FORMS); i++) {
        const char *got = files_path("got.safetensors");
        must_convert(test_path("golden/convert/source.safetensors"), got, FORMS[i]);
        (void)snprintf(want, sizeof want, "golden/convert/%s.safetensors", FORMS[i]);
        check_same_file(got, test_path(want));
    }
}

TEST(convert, keeping_all_gives_the_same_file)
{
    static const char *const FILES[] = { "golden/convert/source.safetensors",
                                         "golden/convert/nf4.safetensors",
                                         "golden/convert/int8.safetensors" };
    for (size_t i = 0; i < COUNT(FILES); i++) {
        must_convert(test_path(FILES[i]), files_path("kept.safetensors"), "keep");
        check_same_file(files_path("kept.safetensors"), test_path(FILES[i]));
    }
}

/* ---- files of our own ---- */

/** A file of one matrix "a.weight" [rows, cols] and a vector "a.bias" [rows]. */
static const char *put_matrix(const char *name, DType type, int64_t rows, int64_t cols,
                              const float *values)
{
    Heap *heap = heap_create();
    SafetensorsWriter *w;
    const char *path = files_path(name);
    const SafetensorsItem items[] = {
        { .name = "a.weight", .dtype = type, .rank = 2, .dim = { rows, cols } },
        { .name = "a.bias", .dtype = DT_F32, .rank = 1, .dim = { rows } },
    };
    const size_t bytes = (size_t)(rows * cols) * (size_t)dtype_info(type)->bytes;
    void *stored = malloc(bytes);
    narrow_row(type, stored, values, rows * cols);
    CHECK_INT(safetensors_create(&w, heap, path, items, 2, NULL, 0, &err), SNUG_OK);
    for (int32_t i = 0; i < 2; i++) {
        const bool weight = strcmp(safetensors_item(w, i)->name, "a.weight") == 0;
        CHECK_INT(safetensors_put(w, i, 0, weight ? stored : (const void *)values,
                                  safetensors_item_bytes(w, i), &err),
                  SNUG_OK);
    }
    CHECK_INT(safetensors_commit(w, &err), SNUG_OK);
    safetensors_close(w);
    free(stored);
    heap_free(heap);
    return path;
}

/** A tensor of a file as values; free them. */
static float *load(const char *path, const char *name, const char *type, int64_t *n)
{
    Heap *heap = heap_create();
    Arena arena;
    Checkpoint *c;
    ConvertSource s;
    arena_init(&arena, heap, "test");
    if (checkpoint_open(&c, heap, path, NULL, &err) != SNUG_OK) fail_msg("%s", err.text);
    const int32_t i = checkpoint_find(c, name);
    CHECK(i >= 0);
    CHECK_TEXT(checkpoint_entry(c, i)->type_name, type);
    unsigned char *raw = malloc((size_t)CONVERT_CHUNK * sizeof(double));
    CHECK_INT(convert_source_open(&s, &arena, c, checkpoint_entry(c, i), raw, &err), SNUG_OK);
    float *values = malloc((size_t)s.count * sizeof *values);
    for (int64_t at = 0; at < s.count; at += CONVERT_CHUNK) {
        CHECK_INT(convert_source_read(&s, at, &err), SNUG_OK);
        convert_source_widen(&s, 0, convert_source_elements(&s), values + at);
    }
    *n = s.count;
    free(raw);
    checkpoint_close(c);
    arena_release(&arena);
    heap_free(heap);
    return values;
}

enum { ROWS = 9, COLS = 512 };

/* Root mean square of the difference, over that of the values. */
static double distance(const float *got, const float *want, int64_t n)
{
    double off = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        all += (double)want[i] * (double)want[i];
    }
    return sqrt(off / all);
}

TEST(convert, every_form_is_near_and_is_read_again)
{
    /* uniform values: an error of half a step, s / sqrt(12) under a range of sqrt(12) sigma, is
     * 1 / levels of their size; twice that for scales that are rounded, too */
    static const struct {
        const char *form, *type;
        double near;
    } CASES[] = {
        { "f32", "F32", 0 },        { "bf16", "BF16", 0.004 },       { "f16", "F16", 0.0005 },
        { "fp8", "F8_E4M3", 0.05 }, { "fp8-e4m3", "F8_E4M3", 0.05 }, { "fp8-e5m2", "F8_E5M2", 0.1 },
        { "int8", "I8", 0.01 },     { "nf4", "NF4", 0.12 },          { "nf4-plain", "NF4", 0.12 },
        { "fp4", "FP4", 0.2 },      { "fp4-plain", "FP4", 0.2 },     { "q8_0", "Q8_0", 0.01 },
        { "q6_k", "Q6_K", 0.03 },   { "q5_k", "Q5_K", 0.06 },        { "q5_1", "Q5_1", 0.06 },
        { "q5_0", "Q5_0", 0.06 },   { "q4_k", "Q4_K", 0.12 },        { "q4_1", "Q4_1", 0.12 },
        { "q4_0", "Q4_0", 0.12 },   { "q2_k", "Q2_K", 0.4 }
    };
    static float values[ROWS * COLS];
    int64_t n;
    test_random(values, COUNT(values), -0.1f, 0.1f);
    char source[600]; /* files_path has 32 of them */
    (void)snprintf(source, sizeof source, "%s",
                   put_matrix("source.safetensors", DT_F32, ROWS, COLS, values));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const bool gguf = CASES[i].type[0] == 'Q';
        char to[600];
        (void)snprintf(to, sizeof to, "%s", files_path(gguf ? "form.gguf" : "form.safetensors"));
        must_convert(source, to, CASES[i].form);
        float *got = load(to, "a.weight", CASES[i].type, &n);
        CHECK_INT(n, COUNT(values));
        const double off = distance(got, values, n);
        if (!(off <= CASES[i].near)) fail_msg("%s: %.3g from the values", CASES[i].form, off);
        free(got);
        got = load(to, "a.bias", "F32", &n); /* vectors stay */
        CHECK(memcmp(got, values, (size_t)n * sizeof *got) == 0);
        free(got);
        /* and back: a float of the same values */
        float *before = load(to, "a.weight", CASES[i].type, &n);
        must_convert(to, files_path("back.safetensors"), "f32");
        got = load(files_path("back.safetensors"), "a.weight", "F32", &n);
        CHECK(memcmp(got, before, (size_t)n * sizeof *got) == 0);
        free(before);
        free(got);
    }
}

TEST(convert, chunks_leave_no_seam)
{
    enum { R = 3001, C = 2999 }; /* three chunks; blocks of scales straddle rows, the last is cut */
    const int64_t n = (int64_t)R * C;
    float *values = malloc((size_t)n * sizeof *values),
          *absmax = malloc((size_t)(n / 64 + 1) * sizeof *absmax);
    uint8_t *codes = malloc((size_t)n / 2 + 1);
    int64_t count;
    test_random(values, (size_t)n, -1.0f, 1.0f);
    const char *source = put_matrix("large.safetensors", DT_F32, R, C, values);
    must_convert(source, files_path("large_nf4.safetensors"), "nf4-plain");
    float *got = load(files_path("large_nf4.safetensors"), "a.weight", "NF4", &count);
    narrow_four(DT_NF4, codes, absmax, values, n, NARROW_FOUR_BLOCK);
    for (int64_t i = 0; i < n; i++) {
        const int code = i % 2 ? codes[i / 2] & 15 : codes[i / 2] >> 4;
        const float want = narrow_four_values(DT_NF4)[code] * absmax[i / NARROW_FOUR_BLOCK];
        if (got[i] != want)
            fail_msg("element %lld: %g, not %g", (long long)i, (double)got[i], (double)want);
    }
    free(got);
    must_convert(source, files_path("large_int8.safetensors"), "int8");
    got = load(files_path("large_int8.safetensors"), "a.weight", "I8", &count);
    CHECK(distance(got, values, n) < 0.01);
    free(got);
    must_convert(source, files_path("large_nested.safetensors"), "nf4");
    got = load(files_path("large_nested.safetensors"), "a.weight", "NF4", &count);
    CHECK(distance(got, values, n) < 0.12);
    must_convert(files_path("large_nested.safetensors"), files_path("large_back.safetensors"),
                 "f32");
    float *back = load(files_path("large_back.safetensors"), "a.weight", "F32", &count);
    CHECK(memcmp(back, got, (size_t)n * sizeof *got) == 0);
    free(back);
    free(got);
    free(codes);
    free(absmax);
    free(values);
}

TEST(convert, rows_that_blocks_do_not_divide_become_f16)
{
    static float values[40 * 96];
    int64_t n;
    test_random(values, COUNT(values), -0.1f, 0.1f);
    const char *source = put_matrix("narrow.safetensors", DT_F32, 40, 96, values);
    must_convert(source, files_path("narrow.gguf"), "q4_k");
    free(load(files_path("narrow.gguf"), "a.weight", "F16", &n));
    must_convert(source, files_path("narrow.gguf"), "q4_0");
    free(load(files_path("narrow.gguf"), "a.weight", "Q4_0", &n));
}

/* ---- which tensors, which files ---- */

static void check_types(const char *path, const char *const want[][2])
{
    Heap *heap = heap_create();
    Checkpoint *c;
    CHECK_INT(checkpoint_open(&c, heap, path, NULL, &err), SNUG_OK);
    for (int i = 0; want[i][0]; i++) {
        const int32_t k = checkpoint_find(c, want[i][0]);
        CHECK(k >= 0);
        CHECK_TEXT(checkpoint_entry(c, k)->type_name, want[i][1]);
    }
    checkpoint_close(c);
    heap_free(heap);
}

TEST(convert, sensitive_and_kept_tensors_stay)
{
    static const char *const KEEP[] = { "attn.q" };
    static const char *const WANT[][2] = { { "blocks.0.attn.q.weight", "BF16" },
                                           { "blocks.1.ffn.up.weight", "NF4" },
                                           { "proj_out.weight", "BF16" },
                                           { "patch_embedding.weight", "BF16" },
                                           { "steps", "I64" },
                                           { NULL, NULL } };
    static const char *const ALL[][2] = { { "proj_out.weight", "NF4" },
                                          { "patch_embedding.weight", "BF16" },
                                          { NULL, NULL } };
    SnugConvertOptions o = { .input = test_path("golden/convert/source.safetensors"),
                             .output = files_path("chosen.safetensors"),
                             .form = "nf4",
                             .keep = KEEP,
                             .n_keep = 1 };
    SnugConverted done;
    CHECK_INT(snug_convert(&done, &o, NULL, NULL, &err), SNUG_OK);
    CHECK_INT(done.tensors, 7);
    CHECK_INT(done.changed, 1);
    check_types(o.output, WANT);
    o.n_keep = 0;
    o.all = true;
    CHECK_INT(snug_convert(&done, &o, NULL, NULL, &err), SNUG_OK);
    CHECK_INT(done.changed, 3);
    check_types(o.output, ALL);
}

TEST(convert, shards_have_an_index_and_keep_what_belongs_together)
{
    const SnugConvertOptions o = { .input = test_path("golden/convert/source.safetensors"),
                                   .output = files_path("cut.safetensors"),
                                   .form = "nf4",
                                   .shard_bytes = 9000 };
    SnugConverted done;
    char name[64];
    Heap *heap = heap_create();
    Checkpoint *c;
    CHECK_INT(snug_convert(&done, &o, NULL, NULL, &err), SNUG_OK);
    CHECK(done.files > 1);
    CHECK_INT(checkpoint_open(&c, heap, files_path("cut.safetensors.index.json"), NULL, &err),
              SNUG_OK);
    CHECK_INT(checkpoint_n_files(c), done.files);
    CHECK_TEXT(checkpoint_warnings(c), "");
    checkpoint_close(c);
    for (int i = 1; i <= done.files; i++) { /* each is whole by itself: weights and their scales */
        (void)snprintf(name, sizeof name, "cut-%05d-of-%05d.safetensors", i, done.files);
        if (checkpoint_open(&c, heap, files_path(name), NULL, &err) != SNUG_OK)
            fail_msg("%s", err.text);
        checkpoint_close(c);
    }
    heap_free(heap);
    /* and together again: the file that was cut */
    must_convert(files_path("cut.safetensors.index.json"), files_path("whole.safetensors"), "keep");
    check_same_file(files_path("whole.safetensors"), test_path("golden/convert/nf4.safetensors"));
}

TEST(convert, a_folder_with_one_model_is_enough)
{
    static float values[4 * 512];
    (void)files_text("one/config.json", "{}");
    (void)put_matrix("one/model.safetensors", DT_BF16, 4, 512, values);
    must_convert(files_path("one"), files_path("from_folder.gguf"), "q8_0");
    (void)put_matrix("one/other.safetensors", DT_BF16, 4, 512, values);
    CHECK_INT(convert(files_path("one"), files_path("never.gguf"), "q8_0", NULL), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "several weight files");
    (void)files_text("none/config.json", "{}");
    CHECK_INT(convert(files_path("none"), files_path("never.gguf"), "q8_0", NULL), SNUG_ERR_ARG);
    CHECK_HAS(err.text, "no weights");
}

static void check_text(const char *path, const char *want)
{
    Heap *heap = heap_create();
    Arena arena;
    TextView text;
    arena_init(&arena, heap, "test");
    CHECK_INT(file_read_text(&arena, path, 1 << 20, &text, &err), SNUG_OK);
    CHECK_TEXT(text.at, want);
    arena_release(&arena);
    heap_free(heap);
}

TEST(convert, a_folder_says_how_its_weights_are_quantised)
{
    static float values[64 * 64];
    test_random(values, COUNT(values), -1.0f, 1.0f);
    (void)files_text("part/config.json",
                     "{ \"dim\": [1,\n 2],\"n\" : 1e-06,\n \"q\":{\"quantization_config\":1}}");
    (void)put_matrix("part/model.safetensors", DT_BF16, 64, 64, values);
    must_convert(files_path("part"), files_path("part_nf4/"), "nf4-plain");
    check_text(files_path("part_nf4/config.json"),
               "{\n  \"dim\": [1,\n 2],\n  \"n\": 1e-06,\n"
               "  \"q\":{\"quantization_config\":1},\n  \"quantization_config\": {\n"
               "    \"_load_in_4bit\": true,\n    \"_load_in_8bit\": false,\n"
               "    \"bnb_4bit_compute_dtype\": \"bfloat16\",\n"
               "    \"bnb_4bit_quant_storage\": \"uint8\",\n"
               "    \"bnb_4bit_quant_type\": \"nf4\",\n"
               "    \"bnb_4bit_use_double_quant\": false,\n"
               "    \"llm_int8_enable_fp32_cpu_offload\": false,\n"
               "    \"llm_int8_has_fp16_weight\": false,\n    \"llm_int8_skip_modules\": [],\n"
               "    \"llm_int8_threshold\": 6.0,\n    \"load_in_4bit\": true,\n"
               "    \"load_in_8bit\": false,\n    \"quant_method\": \"bitsandbytes\"\n  }\n}\n");
    /* and back: the quantisation is gone */
    must_convert(files_path("part_nf4"), files_path("part_back/"), "bf16");
    check_text(files_path("part_back/config.json"), "{\n  \"dim\": [1,\n 2],\n  \"n\": 1e-06,\n"
                                                    "  \"q\":{\"quantization_config\":1}\n}\n");
    int64_t n;
    free(load(files_path("part_back/model.safetensors"), "a.weight", "BF16", &n));
    (void)files_text("part/config.json", "{\"a\":}");
    CHECK_INT(convert(files_path("part"), files_path("part_bad/"), "bf16", NULL), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "config.json: json: ");
    CHECK(file_type(files_path("part_bad/model.safetensors")) == FILE_ABSENT);
}

/* ---- what must not happen ---- */

static void check_refused(const char *input, const char *output, const char *form, SnugStatus want,
                          const char *words)
{
    CHECK_INT(convert(input, output, form, NULL), want);
    CHECK_HAS(err.text, words);
}

/* Only what the tests of this process put there: no temporary files. */
static void check_nothing_left(const char *name)
{
    Heap *heap = heap_create();
    Arena arena;
    const char *const *names;
    size_t n;
    arena_init(&arena, heap, "test");
    CHECK_INT(file_list(&arena, test_scratch(), &names, &n, &err), SNUG_OK);
    for (size_t i = 0; i < n; i++)
        CHECK(strcmp(names[i], name) != 0 && !strstr(names[i], ".tmp"));
    arena_release(&arena);
    heap_free(heap);
}

TEST(convert, values_that_cannot_be_written_leave_nothing)
{
    static float values[4 * 512];
    values[777] = NAN;
    const char *source = put_matrix("nan.safetensors", DT_F32, 4, 512, values);
    const char *to = files_path("never.safetensors");
    check_refused(source, to, "nf4", SNUG_ERR_FILE, "a.weight: it holds NaN or infinity");
    check_refused(source, to, "bf16", SNUG_ERR_FILE, "a.weight: it holds NaN or infinity");
    values[777] = 70000.0f;
    source = put_matrix("large.safetensors", DT_F32, 4, 512, values);
    check_refused(source, to, "f16", SNUG_ERR_FILE, "too large for F16");
    check_refused(source, to, "int8", SNUG_ERR_FILE, "too large");
    must_convert(source, files_path("fine.safetensors"), "bf16");
    check_nothing_left("never.safetensors");
}

TEST(convert, what_makes_no_sense_is_refused)
{
    const char *source = test_path("golden/convert/source.safetensors");
    check_refused(source, files_path("x.safetensors"), "q3", SNUG_ERR_ARG, "is no form");
    check_refused(source, files_path("x.safetensors"), "q4_k", SNUG_ERR_ARG, "only GGUF files");
    check_refused(source, files_path("x.gguf"), "nf4", SNUG_ERR_ARG, "do not hold nf4");
    check_refused(source, files_path("x.gguf"), "fp8-e5m2", SNUG_ERR_ARG, "do not hold fp8-e5m2");
    check_refused(source, files_path("x.bin"), "bf16", SNUG_ERR_ARG, "neither .safetensors nor");
    check_refused(files_path("absent.safetensors"), files_path("x.gguf"), "q8_0", SNUG_ERR_FILE,
                  "absent.safetensors");
    check_refused(source, files_path("no_such/x.gguf"), "q8_0", SNUG_ERR_IO, "no_such");
    static float values[4 * 512];
    const char *own = put_matrix("own.safetensors", DT_F32, 4, 512, values);
    check_refused(own, own, "bf16", SNUG_ERR_ARG, "the same file");
    check_nothing_left("x.gguf");
}

static volatile int stop;

static void stop_early(void *context, const SnugEvent *event)
{
    (void)context;
    CHECK(event->fraction >= 0 && event->fraction <= 1);
    stop = 1;
}

TEST(convert, a_cancelled_conversion_leaves_nothing)
{
    enum { R = 4096, C = 4096 };
    float *values = calloc((size_t)R * C, sizeof *values);
    const char *source = put_matrix("slow.safetensors", DT_F32, R, C, values);
    const SnugConvertOptions o = { .input = source,
                                   .output = files_path("stopped.gguf"),
                                   .form = "q2_k",
                                   .threads = 1,
                                   .cancel = &stop };
    free(values);
    stop = 1;
    CHECK_INT(snug_convert(NULL, &o, stop_early, NULL, &err), SNUG_ERR_CANCELLED);
    check_nothing_left("stopped.gguf");
    stop = 0;
}

/* ---- verification ---- */

static void change_byte(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    CHECK(f && fseek(f, at, at < 0 ? SEEK_END : SEEK_SET) == 0);
    const int byte = fgetc(f);
    CHECK(fseek(f, -1, SEEK_CUR) == 0 && fputc(byte ^ 1, f) != EOF && fclose(f) == 0);
}

static SnugStatus verify(const char *path, SnugVerified *out)
{
    err.text[0] = '\0';
    return snug_models_verify(out, path, NULL, NULL, NULL, &err);
}

TEST(verify, folders_files_and_archives_that_are_fine)
{
    SnugVerified v;
    CHECK_INT(verify(test_path("golden/pipelines/t2v/model"), &v), SNUG_OK);
    CHECK_INT(v.files, 3);
    CHECK_INT(v.checksums, 0);
    CHECK_INT(verify(test_path("golden/formats_torch/many.pth"), &v), SNUG_OK);
    CHECK_INT(v.tensors, 1100);
    CHECK_INT(v.checksums, 1); /* of the archive */
    CHECK_INT(verify(test_path("golden/formats_gguf/all.gguf"), &v), SNUG_OK);
    CHECK_INT(verify(test_path("golden/convert/nf4.safetensors"), &v), SNUG_OK);
    CHECK(v.bytes > 10000);
}

TEST(verify, nan_infinity_and_lost_bytes_are_found)
{
    static float values[4 * 512];
    SnugVerified v;
    values[700] = INFINITY;
    CHECK_INT(verify(put_matrix("inf.safetensors", DT_F32, 4, 512, values), &v), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "a.weight: bad value: NaN or infinity in element 700");
    (void)files_text("sub/deeper/bad.safetensors", "version https://git-lfs.github.com/spec/v1\n");
    CHECK_INT(verify(files_path("sub"), &v), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "Git LFS pointer");
    (void)files_text("hollow/notes.txt", "");
    CHECK_INT(verify(files_path("hollow"), &v), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "no weights");
    CHECK_INT(verify(files_path("nowhere"), &v), SNUG_ERR_FILE);
}

/* A copy of a golden file in a folder of its own. */
static const char *copy(const char *from, const char *to)
{
    Heap *heap = heap_create();
    Arena arena;
    TextView x;
    arena_init(&arena, heap, "test");
    CHECK_INT(file_read_text(&arena, test_path(from), 1 << 24, &x, &err), SNUG_OK);
    const char *path = files_put(to, x.at, x.n);
    arena_release(&arena);
    heap_free(heap);
    return path;
}

/* Place of some tensor's first byte. */
static long first_data(const char *path)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    CHECK_INT(checkpoint_open(&c, heap, path, NULL, &err), SNUG_OK);
    const long at = (long)checkpoint_entry(c, 0)->offset;
    checkpoint_close(c);
    heap_free(heap);
    return at;
}

/* Put bytes at a tensor's beginning, `at` bytes in. */
static void spoil(const char *path, const char *piece, long at, const void *bytes, size_t n)
{
    Heap *heap = heap_create();
    Checkpoint *c;
    CHECK_INT(checkpoint_open(&c, heap, path, NULL, &err), SNUG_OK);
    const Entry *e = checkpoint_find_piece(c, piece);
    CHECK(e != NULL);
    at += (long)e->offset;
    checkpoint_close(c);
    heap_free(heap);
    FILE *f = fopen(path, "r+b");
    CHECK(f && fseek(f, at, SEEK_SET) == 0 && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

TEST(verify, GG14_scales_of_blocks_that_are_no_numbers)
{
    static float values[4 * 512];
    SnugVerified v;
    must_convert(put_matrix("fine.safetensors", DT_F32, 4, 512, values), files_path("bad.gguf"),
                 "q4_k");
    CHECK_INT(verify(files_path("bad.gguf"), &v), SNUG_OK);
    spoil(files_path("bad.gguf"), "a.weight", 3 * 144 + 2, "\0\x7c", 2); /* dmin of block 3 */
    CHECK_INT(verify(files_path("bad.gguf"), &v), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "a.weight: bad value: NaN or infinity in the scales of block 3");
}

TEST(verify, BN6_absmax_that_is_no_number)
{
    SnugVerified v;
    const char *path = copy("golden/convert/nf4-plain.safetensors", "absmax/a.safetensors");
    spoil(path, "blocks.0.attn.q.weight.absmax", 8, "\0\0\x80\x7f", 4);
    CHECK_INT(verify(path, &v), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "blocks.0.attn.q.weight.absmax: bad value: NaN or infinity in element 2");
    CHECK_INT(convert(path, files_path("never.safetensors"), "bf16", NULL), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "blocks.0.attn.q.weight: it holds NaN or infinity");
}

TEST(verify, checksums_are_compared_where_there_are_some)
{
    static const char SUM[] = "0000000000000000000000000000000000000000000000000000000000000000";
    SnugVerified v;
    char text[256];
    const char *path = copy("golden/convert/int8.safetensors", "sums/a.safetensors");
    (void)snprintf(text, sizeof text, "%s *b.safetensors\n%s  a.safetensors\n", SUM, SUM);
    (void)files_text("sums/SHA256SUMS", text);
    CHECK_INT(verify(path, &v), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "its SHA-256 is ");
    char digest[65];
    (void)snprintf(digest, sizeof digest, "%.64s", strstr(err.text, "SHA-256 is ") + 11);
    (void)snprintf(text, sizeof text, "%s  a.safetensors\n", digest);
    (void)files_text("sums/SHA256SUMS", text);
    CHECK_INT(verify(path, &v), SNUG_OK);
    CHECK_INT(v.checksums, 1);
    change_byte(path, -1);
    CHECK_INT(verify(path, &v), SNUG_ERR_FILE);
    path = copy("golden/convert/int8.safetensors", "side/a.safetensors");
    (void)files_text("side/a.safetensors.sha256", digest);
    CHECK_INT(verify(path, &v), SNUG_OK);
    CHECK_INT(v.checksums, 1);
    path = copy("golden/formats_torch/many.pth", "crc/a.pth");
    change_byte(path, first_data(path));
    CHECK_INT(verify(path, &v), SNUG_ERR_FILE);
    CHECK_HAS(err.text, "its CRC-32 is ");
}
