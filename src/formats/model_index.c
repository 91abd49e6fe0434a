/* model_index.c  Every key that is no private one and holds a pair names a component. */
#include "formats/model_index.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"

/* "_class_name": "X", or ["module", "X"] for pipelines that bring their own code. */
static SnugStatus read_class(ModelIndex *out, Json root, SnugError *err)
{
    Json value = json_get(root, "_class_name");
    TRY(json_require(root, "_class_name", err));
    if (json_kind(value) != JSON_KIND_ARRAY) return json_as_text(value, &out->class_name, err);
    if (json_length(value) != 2)
        return json_fault(value, err, FAULT_BAD_JSON, "expected a name, or module and name");
    TRY(json_as_text(json_item(value, 0), &out->class_module, err));
    return json_as_text(json_item(value, 1), &out->class_name, err);
}

static SnugStatus read_part(ModelPart *part, const char *name, Json pair, SnugError *err)
{
    Json library = json_item(pair, 0), class_name = json_item(pair, 1);
    *part = (ModelPart){ .name = name };
    if (!file_plain_name(name))
        return json_fault(pair, err, FAULT_UNSAFE, "not the plain name of a folder");
    if (json_kind(library) == JSON_KIND_NULL && json_kind(class_name) == JSON_KIND_NULL)
        return SNUG_OK;
    TRY(json_as_text(library, &part->library, err));
    return json_as_text(class_name, &part->class_name, err);
}

/* Pipeline scalars may be arrays too; a component is a pair of two texts or two nulls. */
static bool is_pair(Json value)
{
    if (json_kind(value) != JSON_KIND_ARRAY || json_length(value) != 2) return false;
    JsonKind a = json_kind(json_item(value, 0)), b = json_kind(json_item(value, 1));
    return (a == JSON_KIND_TEXT || a == JSON_KIND_NULL) &&
           (b == JSON_KIND_TEXT || b == JSON_KIND_NULL);
}

SnugStatus model_index_read(ModelIndex *out, Arena *arena, const JsonDoc *doc, SnugError *err)
{
    const Json root = json_root(doc);
    *out = (ModelIndex){ 0 };
    TRY(read_class(out, root, err));
    TRY(json_text(root, "_diffusers_version", NULL, &out->diffusers_version, err));
    out->parts = arena_array(arena, MODEL_INDEX_MAX_COMPONENTS, sizeof *out->parts);
    if (!out->parts)
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to read it", json_name(doc));
    for (JsonMember m = { 0 }; json_next(root, &m);) {
        if (m.key[0] == '_' || !is_pair(m.value)) continue;
        if (out->n_parts == MODEL_INDEX_MAX_COMPONENTS)
            return json_fault(m.value, err, FAULT_TOO_LARGE, "too many components (limit %d)",
                              MODEL_INDEX_MAX_COMPONENTS);
        TRY(read_part(&out->parts[out->n_parts++], m.key, m.value, err));
    }
    return SNUG_OK;
}
