/* join_scaled.c  fp8 and int8 weights with a scale of their own, as ComfyUI and others write them. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "formats/join_kinds.h"

static bool is_fp8(DType type)
{
    return type == DT_F8_E4M3 || type == DT_F8_E5M2;
}

/* Scale of the whole, or one per row. */
static SnugStatus add_scale(const Join *j, const Entry *weight, const Entry *scale, Entry *joined,
                            Scaling *scaling)
{
    int64_t n;
    *scaling = (Scaling){ .whole = 1.0f };
    if (!entry_elements(scale->dim, scale->rank, &n)) n = -1;
    if (n == 1) return join_read_scale(j, scale, &scaling->whole);
    if (weight->rank != 2 || n != weight->dim[0])
        return join_fail(j, FAULT_MISMATCH, scale, "%lld scales for a weight of %lld rows",
                         (long long)n, weight->rank ? (long long)weight->dim[0] : 0);
    if (scale->dtype != DT_F32)
        return join_fail(j, FAULT_UNSUPPORTED, scale, "scales of rows stored as %s",
                         scale->type_name);
    scaling->row_at = join_add(joined, scale);
    return SNUG_OK;
}

SnugStatus join_scale(Join *j, const Entry *scale, const char *stem)
{
    static const char *const USELESS[] = { ".scale_input", ".input_scale" };
    const Entry *weight = join_find(j, stem, ".weight");
    const bool both = join_find(j, stem, ".scale_weight") && join_find(j, stem, ".weight_scale");
    if (!weight || (!is_fp8(weight->dtype) && weight->dtype != DT_I8)) return SNUG_OK;
    if (both || (weight->dtype == DT_I8 && join_find(j, stem, ".SCB")))
        return join_fail(j, FAULT_DUPLICATE, weight, "two kinds of scales");
    Entry *joined = join_begin(j, weight, 2);
    Scaling *scaling = arena_take(j->arena, sizeof *scaling);
    if (!joined || !scaling) return join_no_memory(j);
    (void)join_add(joined, weight);
    TRY(add_scale(j, weight, scale, joined, scaling));
    joined->scaling = scaling;
    join_replace(j, weight, joined);
    join_hide(j, scale);
    for (size_t i = 0; i < COUNT(USELESS); i++) /* the input is not quantised here */
        join_hide(j, join_find(j, stem, USELESS[i]));
    j->any_scale = true;
    return SNUG_OK;
}

/** {"format": F, "convrot": bool, ...} */
typedef struct Quant {
    TextView format;
    bool rotated;
} Quant;

static bool read_quant(JsonScan *s, Quant *out)
{
    *out = (Quant){ .format = { "", 0 } };
    if (!json_scan_object(s)) return false;
    for (TextView key; json_scan_key(s, &key);) {
        const bool fine = text_is(key, "format")    ? json_scan_text(s, &out->format)
                          : text_is(key, "convrot") ? json_scan_bool(s, &out->rotated)
                                                    : json_scan_skip(s);
        if (!fine) return false;
    }
    return s->status == SNUG_OK;
}

/* Keep it as something to be listed under the name of its kind. */
static SnugStatus list_only(Join *j, const Entry *weight, const char *stem, const Quant *q)
{
    static const char *const PARTS[] = { ".weight_scale", ".weight_scale_2", ".input_scale",
                                         ".pre_quant_scale" };
    char shown[TEXT_ESCAPED];
    Entry *joined = join_begin(j, weight, 1);
    if (!joined) return join_no_memory(j);
    (void)join_add(joined, weight);
    joined->dtype = DT_COUNT;
    joined->type_name =
        arena_printf(j->arena, "%s%s", text_escape(shown, q->format.at, q->format.n),
                     q->rotated ? " (rotated)" : "");
    if (!joined->type_name) return join_no_memory(j);
    join_replace(j, weight, joined);
    for (size_t i = 0; i < COUNT(PARTS); i++)
        join_hide(j, join_find(j, stem, PARTS[i]));
    return SNUG_OK;
}

/* A layer whose description is known: what has a scale was or will be joined by it. */
static SnugStatus join_described(Join *j, const Entry *weight, const char *stem, const Quant *q)
{
    const bool known = text_is(q->format, "float8_e4m3fn")     ? weight->dtype == DT_F8_E4M3
                       : text_is(q->format, "float8_e5m2")     ? weight->dtype == DT_F8_E5M2
                       : text_is(q->format, "int8_tensorwise") ? weight->dtype == DT_I8
                                                               : false;
    if (!known || q->rotated) return list_only(j, weight, stem, q);
    if (join_find(j, stem, ".weight_scale")) return SNUG_OK;
    return join_fail(j, FAULT_MISSING, weight, "its weight_scale");
}

SnugStatus join_comfy(Join *j, const Entry *piece, const char *stem)
{
    const Entry *weight = join_find(j, stem, ".weight");
    TextView text;
    JsonScan s;
    Quant q;
    if (!weight) return join_fail(j, FAULT_MISSING, piece, "the weight it describes");
    TRY(join_read_blob(j, piece, &text));
    json_scan_init(&s, text.at, text.n, checkpoint_path(j->checkpoint), piece->name, j->arena,
                   j->err);
    (void)read_quant(&s, &q);
    TRY(json_scan_end(&s));
    join_hide(j, piece);
    return join_described(j, weight, stem, &q);
}

/* Names of layers may lack what stands before all names of the model. */
static SnugStatus describe_layer(Join *j, TextView layer, const Quant *q)
{
    static const char *const PREFIXES[] = { "", "model.diffusion_model.", "diffusion_model." };
    char stem[ENTRY_MAX_NAME];
    for (size_t i = 0; i < COUNT(PREFIXES); i++) {
        const int n = snprintf(stem, sizeof stem, "%s%.*s", PREFIXES[i], (int)layer.n, layer.at);
        const Entry *weight = n < (int)sizeof stem ? join_find(j, stem, ".weight") : NULL;
        if (weight) return join_described(j, weight, stem, q);
    }
    return SNUG_OK; /* of a part that this file lacks */
}

/* {"layers": {name: quant, ...}} in the files' metadata. */
SnugStatus join_metadata(Join *j)
{
    static const char KEY[] = "_quantization_metadata";
    const char *text = checkpoint_metadata(j->checkpoint, KEY);
    SnugStatus status = SNUG_OK;
    JsonScan s;
    Quant q;
    if (!text) return SNUG_OK;
    json_scan_init(&s, text, strlen(text), checkpoint_path(j->checkpoint), KEY, j->arena, j->err);
    if (json_scan_object(&s)) {
        for (TextView key; status == SNUG_OK && json_scan_key(&s, &key);) {
            if (!text_is(key, "layers")) continue;
            if (!json_scan_object(&s)) break;
            for (TextView layer; status == SNUG_OK && json_scan_key(&s, &layer);)
                if (read_quant(&s, &q)) status = describe_layer(j, layer, &q);
        }
    }
    return status != SNUG_OK ? status : json_scan_end(&s);
}

/* "<prefix>scaled_fp8": its dtype repeats what the weights say. */
SnugStatus join_marker(Join *j, const Entry *piece, const char *stem)
{
    (void)stem;
    j->scaled_marker = true;
    j->marker = piece->name;
    join_hide(j, piece);
    return SNUG_OK;
}
