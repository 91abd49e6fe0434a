/* convert_folder.c  Members of config.json are copied as they are written, but for one. */
#include "engine/convert_folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json_scan.h"
#include "base/text.h"

enum { MAX_CONFIG = 16 << 20 };

static const char INDEX[] = ".index.json", WEIGHTS[] = ".safetensors",
                  KEY[] = "quantization_config";

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to write it", path);
}

bool convert_folder_is(const char *path)
{
    return text_ends(path, "/") || file_type(path) == FILE_DIRECTORY;
}

SnugStatus convert_folder_file(const char **out, Arena *arena, const char *folder,
                               const char *input, SnugError *err)
{
    const char *name = file_basename(input);
    size_t n = strlen(name);
    if (text_ends(name, INDEX)) n -= strlen(INDEX);
    char *own = arena_text(arena, name, n);
    if (!own) return no_memory(folder, err);
    if (!text_ends(own, WEIGHTS)) own = arena_text(arena, "model.safetensors", 17);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return error_set(err, SNUG_ERR_IO, "%s: cannot make the folder: %s", folder,
                         strerror(errno));
    *out = own ? file_join(arena, folder, own) : NULL;
    return *out ? SNUG_OK : no_memory(folder, err);
}

/* ---- config.json ---------------------------------------------------------------------------- */

/* Matrices that stayed as they were: the loader must not look for their scales. */
static void add_skipped(TextBuilder *t, const ConvertPlan *plan)
{
    static const size_t SUFFIX = sizeof ".weight" - 1;
    bool first = true;
    for (int32_t i = 0; i < plan->n; i++) {
        const ConvertTensor *c = &plan->tensors[i];
        const char *name = c->entry->name;
        const bool stays = c->target.kind == CONVERT_COPY || c->target.kind == CONVERT_CAST;
        if (!stays || c->entry->rank != 2 || !text_ends(name, ".weight")) continue;
        text_add(t, ", ", first ? 0 : 2);
        text_add_json(t, name, strlen(name) - SUFFIX);
        first = false;
    }
}

static bool is_bitsandbytes(const ConvertForm *f)
{
    return f->kind == CONVERT_INT8 || f->kind == CONVERT_FOUR || f->kind == CONVERT_NESTED;
}

/* As BitsAndBytesConfig writes itself. */
static void add_quantisation(TextBuilder *t, const ConvertForm *f, const ConvertPlan *plan)
{
    const bool four = f->kind != CONVERT_INT8;
    const char *is_four = four ? "true" : "false", *is_eight = four ? "false" : "true";
    text_addf(t,
              ",\n  \"%s\": {\n    \"_load_in_4bit\": %s,\n    \"_load_in_8bit\": %s,\n"
              "    \"bnb_4bit_compute_dtype\": \"bfloat16\",\n"
              "    \"bnb_4bit_quant_storage\": \"uint8\",\n"
              "    \"bnb_4bit_quant_type\": \"%s\",\n    \"bnb_4bit_use_double_quant\": %s,\n"
              "    \"llm_int8_enable_fp32_cpu_offload\": false,\n"
              "    \"llm_int8_has_fp16_weight\": false,\n    \"llm_int8_skip_modules\": [",
              KEY, is_four, is_eight, f->dtype == DT_FP4 ? "fp4" : "nf4",
              f->kind == CONVERT_NESTED ? "true" : "false");
    add_skipped(t, plan);
    text_addf(t,
              "],\n    \"llm_int8_threshold\": 6.0,\n    \"load_in_4bit\": %s,\n"
              "    \"load_in_8bit\": %s,\n    \"quant_method\": \"bitsandbytes\"\n  }",
              is_four, is_eight);
}

/* All members but the quantisation's, in their own words. */
static bool add_members(TextBuilder *t, JsonScan *s)
{
    bool first = true;
    if (!json_scan_object(s)) return false;
    for (TextView key; json_scan_key(s, &key);) {
        if (text_is(key, KEY)) continue;
        const size_t from = json_scan_place(s);
        if (!json_scan_skip(s)) return false;
        text_addf(t, "%s\n  ", first ? "" : ",");
        text_add_json(t, key.at, key.n);
        text_addf(t, ":");
        text_add(t, s->text + from, json_scan_place(s) - from);
        first = false;
    }
    return s->status == SNUG_OK;
}

SnugStatus convert_folder_config(OutFile **out, Arena *arena, const char *folder, const char *input,
                                 const ConvertForm *form, const ConvertPlan *plan, SnugError *err)
{
    *out = NULL;
    const char *beside = file_dirname(arena, input);
    const char *from = beside ? file_join(arena, beside, "config.json") : NULL;
    const char *to = file_join(arena, folder, "config.json");
    TextView text;
    TextBuilder t;
    JsonScan s;
    if (!from || !to) return no_memory(folder, err);
    if (file_type(from) != FILE_REGULAR) return SNUG_OK;
    TRY(file_read_text(arena, from, MAX_CONFIG, &text, err));
    text_init(&t, arena->heap, "convert");
    text_addf(&t, "{");
    json_scan_init(&s, text.at, text.n, from, "json", arena, err);
    (void)add_members(&t, &s);
    SnugStatus status = json_scan_end(&s);
    if (is_bitsandbytes(form)) add_quantisation(&t, form, plan);
    text_addf(&t, "\n}\n");
    if (status == SNUG_OK && t.failed) status = no_memory(to, err);
    if (status == SNUG_OK) status = outfile_open(out, arena->heap, to, err);
    if (status == SNUG_OK) status = outfile_write(*out, t.at, t.n, err);
    text_release(&t);
    return status;
}
