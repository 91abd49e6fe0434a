/* lora_scale.c  Alpha of a module: its pattern, else the file's, else none. */
#include "nn/lora_scale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"
#include "base/text.h"

static const char NOTE[] = "lora_adapter_metadata";
static const double MAX_ALPHA = 1e6;

/* The configuration beside a PEFT file. */
static SnugStatus open_config(LoraScale *out, Heap *heap, const char *path, SnugError *err)
{
    Arena scratch;
    if (strcmp(file_basename(path), "adapter_model.safetensors") != 0) return SNUG_OK;
    arena_init(&scratch, heap, "LoRA");
    const char *folder = file_dirname(&scratch, path);
    const char *config = folder ? file_join(&scratch, folder, "adapter_config.json") : NULL;
    SnugStatus status = config ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory for a LoRA");
    if (status == SNUG_OK && file_type(config) == FILE_REGULAR)
        status = json_open(&out->doc, heap, config, err);
    arena_release(&scratch);
    return status;
}

SnugStatus lora_scale_open(LoraScale *out, Heap *heap, const Checkpoint *file, SnugError *err)
{
    const char *note = checkpoint_metadata(file, NOTE);
    *out = (LoraScale){ .components = note != NULL };
    if (note) return json_parse(&out->doc, heap, note, strlen(note), NOTE, err);
    return open_config(out, heap, checkpoint_path(file), err);
}

void lora_scale_close(LoraScale *scale)
{
    json_close(scale->doc);
    scale->doc = NULL;
}

/* Does a pattern, a name or the end of one, mean this module? PEFT takes it for a regular expression;
 * what is more than a name is refused. */
static SnugStatus fits(Json value, const char *pattern, const char *module, bool *out,
                       SnugError *err)
{
    const bool whole = pattern[0] == '^';
    if (whole) pattern++;
    if (pattern[strcspn(pattern, "*+?()[]{}|\\$^")])
        return json_fault(value, err, FAULT_UNSUPPORTED, "a regular expression for names");
    const size_t n = strlen(pattern), all = strlen(module);
    *out = n <= all && strcmp(module + all - n, pattern) == 0 &&
           (n == all || (!whole && module[all - n - 1] == '.'));
    return SNUG_OK;
}

static SnugStatus read_pattern(Json patterns, const char *module, double *alpha, SnugError *err)
{
    for (JsonMember m = { 0 }; json_next(patterns, &m);) {
        bool here = false;
        TRY(fits(m.value, m.key, module, &here, err));
        if (here) return json_as_f64(m.value, 0.0, MAX_ALPHA, alpha, err);
    }
    return SNUG_OK;
}

/* Key of a setting for the component. */
static const char *key_of(const LoraScale *s, char *to, size_t size, const char *component,
                          const char *setting)
{
    (void)snprintf(to, size, "%s%s%s", s->components ? component : "", s->components ? "." : "",
                   setting);
    return to;
}

/* Files whose names say no component: whichever the metadata know. */
static const char *component_of(const LoraScale *s, const char *component)
{
    static const char *const KNOWN[] = { "transformer", "unet", "text_encoder" };
    char key[64];
    if (component || !s->components) return component ? component : "";
    for (size_t i = 0; i < COUNT(KNOWN); i++)
        if (json_has(json_root(s->doc), key_of(s, key, sizeof key, KNOWN[i], "r"))) return KNOWN[i];
    return "";
}

SnugStatus lora_scale_find(const LoraScale *s, const char *component, const char *module,
                           int64_t rank, double *out, SnugError *err)
{
    char key[64];
    double alpha;
    bool root_of_rank, dora;
    Json patterns;
    *out = 1.0;
    if (!s->doc || rank < 1) return SNUG_OK;
    const Json root = json_root(s->doc);
    const char *c = component_of(s, component);
    TRY(json_bool(root, key_of(s, key, sizeof key, c, "use_dora"), false, &dora, err));
    if (dora) return json_fault(json_get(root, key), err, FAULT_UNSUPPORTED, "DoRA");
    TRY(json_bool(root, key_of(s, key, sizeof key, c, "use_rslora"), false, &root_of_rank, err));
    TRY(json_f64(root, key_of(s, key, sizeof key, c, "lora_alpha"), -1.0, 0.0, MAX_ALPHA, &alpha,
                 err));
    TRY(json_get_object(root, key_of(s, key, sizeof key, c, "alpha_pattern"), &patterns, err));
    TRY(read_pattern(patterns, module, &alpha, err));
    if (alpha >= 0.0) *out = alpha / (root_of_rank ? sqrt((double)rank) : (double)rank);
    return SNUG_OK;
}
