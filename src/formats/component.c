/* component.c  Find the kind, its configuration, and among many possible names the weights. */
#include "formats/component.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"

static const char FORMAT[] = "model";

static const struct {
    ComponentKind kind;
    const char *config;
    bool required;
} CONFIGS[] = {
    { COMPONENT_MODEL, "config.json", true },
    { COMPONENT_SCHEDULER, "scheduler_config.json", true },
    { COMPONENT_TOKENIZER, "tokenizer_config.json", false },
    { COMPONENT_PROCESSOR, "preprocessor_config.json", false },
};

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
}

__attribute__((format(printf, 3, 4))) static SnugStatus warn(Component *c, SnugError *err,
                                                             const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    c->warnings = arena_printf(&c->arena, "%s%s: %s\n", c->warnings, c->path, line);
    return c->warnings ? SNUG_OK : no_memory(c->path, err);
}

/* ---- files of the folder ---- */

SnugStatus component_file(Component *c, const char *name, const char **out, SnugError *err)
{
    *out = NULL;
    if (!file_plain_name(name))
        return error_set(err, SNUG_ERR_ARG, "%s: '%.200s' is no plain name", c->path, name);
    const char *path = file_join(&c->arena, c->path, name);
    if (!path) return no_memory(c->path, err);
    if (file_type(path) != FILE_REGULAR) return SNUG_OK;
    TRY(model_root_check(c->root, path, err));
    *out = path;
    return SNUG_OK;
}

/* The same for a name put together. */
__attribute__((format(printf, 4, 5))) static SnugStatus
find_file(Component *c, const char **out, SnugError *err, const char *format, ...)
{
    char name[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    *out = NULL;
    if (n < 0 || (size_t)n >= sizeof name) return SNUG_OK; /* no file has such a name */
    return component_file(c, name, out, err);
}

/* ---- weights ---- */

/** How a component's weights may be called. */
typedef struct WeightName {
    const char *stem, *extension;
} WeightName;

/* Single file and index under one name and variant ("" for none); NULL where absent. */
static SnugStatus find_pair(Component *c, WeightName name, const char *variant, const char **single,
                            const char **index, SnugError *err)
{
    const char *stem = name.stem, *ext = name.extension;
    if (!variant[0]) {
        TRY(find_file(c, single, err, "%s.%s", stem, ext));
        return find_file(c, index, err, "%s.%s.index.json", stem, ext);
    }
    TRY(find_file(c, single, err, "%s.%s.%s", stem, variant, ext));
    TRY(find_file(c, index, err, "%s.%s.index.%s.json", stem, ext, variant));
    if (*index) return SNUG_OK;
    return find_file(c, index, err, "%s.%s.%s.index.json", stem, ext, variant);
}

static SnugStatus choose(Component *c, WeightName name, const char *variant, const char **out,
                         SnugError *err)
{
    const char *single, *index;
    TRY(find_pair(c, name, variant, &single, &index, err));
    *out = single ? single : index;
    if (!single || !index) return SNUG_OK;
    const bool by_transformers = c->library ? strcmp(c->library, "transformers") == 0
                                            : strcmp(name.stem, "diffusion_pytorch_model") != 0;
    *out = by_transformers ? single : index;
    return warn(c, err, "has both %s and %s; took the %s, as %s does", file_basename(single),
                file_basename(index), by_transformers ? "former" : "latter",
                by_transformers ? "transformers" : "diffusers");
}

/* Nothing was found: say what is there instead. */
static SnugStatus refuse_weights(Component *c, const char *stem, SnugError *err)
{
    const char *const *names;
    char seen[512] = "";
    size_t n, used = 0;
    TRY(file_list(&c->arena, c->path, &names, &n, err));
    for (size_t i = 0; i < n && used < sizeof seen; i++) {
        char shown[TEXT_ESCAPED];
        if (!text_ends(names[i], ".safetensors") && !text_ends(names[i], ".bin") &&
            !text_ends(names[i], ".pth") && !text_ends(names[i], ".pt") &&
            !text_ends(names[i], ".ckpt") && !text_ends(names[i], ".gguf"))
            continue;
        used += (size_t)snprintf(seen + used, sizeof seen - used, "%s%s", used ? ", " : "",
                                 text_escape(shown, names[i], strlen(names[i])));
    }
    if (!used)
        return fault_set(err, FAULT_MISSING, c->path, FORMAT, NULL, "no %s.safetensors", stem);
    return fault_set(err, FAULT_MISSING, c->path, FORMAT, NULL,
                     "no %s.safetensors; the folder has %s", stem, seen);
}

static SnugStatus find_weights(Component *c, const char *variant, const char **out, SnugError *err)
{
    /* pairs: what diffusers saves, what transformers saves; safetensors before pickles */
    static const WeightName NAMES[] = { { "diffusion_pytorch_model", "safetensors" },
                                        { "model", "safetensors" },
                                        { "diffusion_pytorch_model", "bin" },
                                        { "pytorch_model", "bin" } };
    static const char *const VARIANTS[] = { "fp16", "bf16" };
    const size_t first = c->library && strcmp(c->library, "transformers") == 0;
    for (int plain = !variant || !variant[0]; plain <= 1; plain++) {
        for (size_t i = 0; i < COUNT(NAMES); i++) {
            TRY(choose(c, NAMES[i ^ first], plain ? "" : variant, out, err));
            if (!*out) continue;
            if (!plain || !variant || !variant[0]) return SNUG_OK;
            return warn(c, err, "has no variant '%.64s'; took %s", variant, file_basename(*out));
        }
    }
    /* downloaded with nothing but a variant: there is no choice left to make */
    for (size_t v = 0; v < COUNT(VARIANTS); v++)
        for (size_t i = 0; i < COUNT(NAMES); i++) {
            TRY(choose(c, NAMES[i ^ first], VARIANTS[v], out, err));
            if (*out) return SNUG_OK;
        }
    return refuse_weights(c, NAMES[first].stem, err);
}

static SnugStatus open_weights(Component *c, const char *variant, SnugError *err)
{
    const char *path;
    TRY(find_weights(c, variant, &path, err));
    TRY(checkpoint_open(&c->weights, c->arena.heap, path, c->root, err));
    c->warnings = arena_printf(&c->arena, "%s%s", c->warnings, checkpoint_warnings(c->weights));
    return c->warnings ? SNUG_OK : no_memory(c->path, err);
}

/* ---- the folder ---- */

static ComponentKind kind_of_class(const char *class_name)
{
    if (strstr(class_name, "Scheduler")) return COMPONENT_SCHEDULER;
    if (strstr(class_name, "Tokenizer")) return COMPONENT_TOKENIZER;
    if (text_ends(class_name, "Processor") || strstr(class_name, "ImageProcessor") ||
        text_ends(class_name, "FeatureExtractor"))
        return COMPONENT_PROCESSOR;
    return COMPONENT_MODEL;
}

/* Without a class: the first configuration that is there. */
static SnugStatus find_kind(Component *c, SnugError *err)
{
    const char *path;
    if (c->class_name) {
        c->kind = kind_of_class(c->class_name);
        return SNUG_OK;
    }
    for (size_t i = 0; i < COUNT(CONFIGS); i++) {
        TRY(component_file(c, CONFIGS[i].config, &path, err));
        if (!path) continue;
        c->kind = CONFIGS[i].kind;
        return SNUG_OK;
    }
    return fault_set(err, FAULT_MISSING, c->path, FORMAT, NULL,
                     "no config.json: not the folder of a model");
}

static SnugStatus open_config(Component *c, SnugError *err)
{
    const char *path;
    TRY(component_file(c, CONFIGS[c->kind].config, &path, err));
    if (!path && CONFIGS[c->kind].required)
        return fault_set(err, FAULT_MISSING, c->path, FORMAT, CONFIGS[c->kind].config,
                         "the file is not there");
    if (!path) return SNUG_OK;
    TRY(json_open(&c->doc, c->arena.heap, path, err));
    c->config = json_root(c->doc);
    return SNUG_OK;
}

static SnugStatus copy_text(Component *c, const char *text, const char **out, SnugError *err)
{
    *out = text ? arena_text(&c->arena, text, strlen(text)) : NULL;
    return !text || *out ? SNUG_OK : no_memory(text, err);
}

static SnugStatus open_all(Component *c, const char *dir, const ComponentHints *hints,
                           SnugError *err)
{
    c->warnings = "";
    c->root = hints->root;
    TRY(copy_text(c, dir, &c->path, err));
    TRY(copy_text(c, hints->library, &c->library, err));
    TRY(copy_text(c, hints->class_name, &c->class_name, err));
    if (file_type(dir) != FILE_DIRECTORY)
        return fault_set(err, FAULT_MISSING, dir, FORMAT, NULL, "no such folder");
    TRY(model_root_check(c->root, dir, err));
    TRY(find_kind(c, err));
    TRY(open_config(c, err));
    return c->kind == COMPONENT_MODEL ? open_weights(c, hints->variant, err) : SNUG_OK;
}

SnugStatus component_open(Component **out, Heap *heap, const char *dir, const ComponentHints *hints,
                          SnugError *err)
{
    static const ComponentHints NONE = { 0 };
    *out = NULL;
    Component *c = heap_take(heap, sizeof *c, "model folders");
    if (!c) return no_memory(dir, err);
    arena_init(&c->arena, heap, "model folders");
    SnugStatus status = open_all(c, dir, hints ? hints : &NONE, err);
    if (status == SNUG_OK)
        *out = c;
    else
        component_close(c);
    return status;
}

void component_close(Component *c)
{
    if (!c) return;
    Heap *heap = c->arena.heap;
    checkpoint_close(c->weights);
    json_close(c->doc);
    arena_release(&c->arena);
    heap_give(heap, c);
}
