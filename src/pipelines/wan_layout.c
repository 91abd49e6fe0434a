/* wan_layout.c  What was named first, then what the model's folder adds; last the configurations. */
#include "pipelines/wan_layout.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/size.h"
#include "pipelines/wan_config.h"
#include "pipelines/wan_scan.h"
#include "pipelines/wan_tokenizer.h"

/** Configurations that were parsed, to be closed. */
typedef struct WanLayoutDoc {
    JsonDoc *doc;
    struct WanLayoutDoc *next;
} WanLayoutDoc;

static const struct {
    const char *name, *words, *flag;
    WanNetwork network;
} ROLES[WAN_ROLES] = {
    [WAN_TRANSFORMER] = { "transformer",
                          "transformer (diffusion_pytorch_model*.safetensors in the folder, or "
                          "high_noise_model/)",
                          "transformer", WAN_NET_TRANSFORMER },
    [WAN_TRANSFORMER_LOW] = { "transformer_2", "low-noise transformer (low_noise_model/)",
                              "transformer-low", WAN_NET_TRANSFORMER },
    [WAN_TEXT_ENCODER] = { "text_encoder", "text encoder (models_t5_umt5-xxl-enc-bf16.pth)",
                           "text-encoder", WAN_NET_TEXT },
    [WAN_VAE] = { "vae", "VAE (Wan2.1_VAE.pth or Wan2.2_VAE.pth)", "vae", WAN_NET_VAE },
    [WAN_IMAGE_ENCODER] = { "image_encoder",
                            "image encoder "
                            "(models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth)",
                            "image-encoder", WAN_NET_IMAGE },
};

const char *wan_role_name(WanRole role)
{
    return ROLES[role].name;
}

const char *wan_role_flag(WanRole role)
{
    return ROLES[role].flag;
}

WanNetwork wan_role_network(WanRole role)
{
    return ROLES[role].network;
}

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
}

/* ---- configurations ------------------------------------------------------------------------- */

/* The document is closed with the layout, also when there is no memory to note it. */
static SnugStatus keep_doc(WanLayout *l, JsonDoc *doc, SnugError *err)
{
    WanLayoutDoc *keep = arena_take(l->arena, sizeof *keep);
    if (!keep) {
        json_close(doc);
        return no_memory(l->path, err);
    }
    *keep = (WanLayoutDoc){ doc, l->docs };
    l->docs = keep;
    return SNUG_OK;
}

/* config.json beside the weights, if it is of this network. */
static SnugStatus read_config(WanLayout *l, const WanPart *part, WanNetwork network, Json *out,
                              WanConfigKind *kind, SnugError *err)
{
    JsonDoc *doc = NULL;
    const char *folder = file_dirname(l->arena, part->path);
    const char *path = folder ? file_join(l->arena, folder, "config.json") : NULL;
    *out = (Json){ 0 };
    *kind = WAN_CONFIG_FOREIGN;
    if (!path) return no_memory(part->path, err);
    if (file_type(path) != FILE_REGULAR) return SNUG_OK;
    TRY(model_root_check(&l->root, path, err));
    TRY(json_open(&doc, l->arena->heap, path, err));
    TRY(keep_doc(l, doc, err));
    *kind = wan_config_kind(json_root(doc), network);
    if (*kind != WAN_CONFIG_FOREIGN) *out = json_root(doc);
    return SNUG_OK;
}

static SnugStatus derive(WanLayout *l, WanPart *part, WanNetwork network, Json original,
                         JsonDoc **doc, SnugError *err)
{
    const WanTensors tensors = { part->weights, &part->names };
    Heap *heap = l->arena->heap;
    if (network == WAN_NET_TRANSFORMER)
        return wan_config_transformer(doc, heap, tensors, original, err);
    if (network == WAN_NET_TEXT) return wan_config_text(doc, heap, tensors, err);
    WanVaeLevels levels;
    NameMap complete = part->names;
    TRY(wan_config_vae(doc, heap, tensors, &levels, err));
    if (part->names.n_rows == 0) return SNUG_OK;
    if (wan_names_original_vae(&complete, l->arena, levels.levels, levels.res_blocks,
                               levels.residual)) {
        part->names = complete;
        return SNUG_OK;
    }
    json_close(*doc);
    *doc = NULL;
    return no_memory(part->path, err);
}

static SnugStatus configure(WanLayout *l, WanPart *part, WanNetwork network, SnugError *err)
{
    Json beside;
    WanConfigKind kind;
    JsonDoc *doc = NULL;
    TRY(read_config(l, part, network, &beside, &kind, err));
    if (network == WAN_NET_IMAGE) { /* it knows its sizes from the tensors, too */
        part->config = beside;
        part->config_from = kind == WAN_CONFIG_OURS ? "config.json" : "tensor shapes";
        return SNUG_OK;
    }
    const bool numbered = network == WAN_NET_VAE && part->names.n_rows > 0;
    if (kind != WAN_CONFIG_OURS || numbered) {
        TRY(derive(l, part, network, beside, &doc, err));
        TRY(keep_doc(l, doc, err));
    }
    part->config = kind == WAN_CONFIG_OURS ? beside : json_root(doc);
    part->config_from = kind == WAN_CONFIG_OURS       ? "config.json"
                        : kind == WAN_CONFIG_ORIGINAL ? "config.json and tensor shapes"
                                                      : "tensor shapes";
    return SNUG_OK;
}

/* ---- parts ---------------------------------------------------------------------------------- */

static SnugStatus take_file(WanLayout *l, WanRole role, const WanFile *file, SnugError *err)
{
    const WanNetwork network = ROLES[role].network;
    WanPart *part = &l->part[role];
    if (!file->spelling[network])
        return error_set(err, SNUG_ERR_FILE, "%s: this is %s; %s is needed", file->path,
                         wan_file_words(file), wan_network_words(network));
    part->path = file->path;
    part->weights = file->weights;
    part->marker = file->spelling[network]->marker;
    part->names = file->spelling[network]->map;
    part->names.prefix = file->prefix[network];
    return configure(l, part, network, err);
}

/* A file, or a folder that holds one, named for this role. */
static SnugStatus open_named(WanLayout *l, WanRole role, const char *path, SnugError *err)
{
    WanFile *file = NULL;
    if (!path) return SNUG_OK;
    const FileType type = file_type(path);
    if (type == FILE_ABSENT)
        return error_set(err, SNUG_ERR_FILE, "%s: no such file or folder", path);
    if (type != FILE_DIRECTORY) {
        TRY(wan_scan_file(l, path, &file, err));
        return take_file(l, role, file, err);
    }
    TRY(wan_scan_folder(l, path, false, err));
    TRY(wan_scan_choose_in(l, role, path, &file, err));
    if (file) return take_file(l, role, file, err);
    if (l->trouble) return error_set(err, SNUG_ERR_FILE, "%s", l->trouble);
    const WanFile *other = wan_scan_first(l, path);
    return fault_set(err, FAULT_MISSING, path, "model", NULL, "no file in it holds %s%s%s",
                     wan_network_words(ROLES[role].network), other ? "; there is " : "",
                     other ? wan_file_words(other) : "");
}

/* ---- the folder of the model ---------------------------------------------------------------- */

/* config.json names the class, too; that of another network would only give a list of odd shapes. */
static SnugStatus check_class(const WanLayout *l, const Component *c, SnugError *err)
{
    const char *name;
    TRY(json_text(c->config, "_class_name", c->class_name, &name, err));
    if (!name || !c->class_name || strcmp(name, c->class_name) == 0) return SNUG_OK;
    return json_fault(json_get(c->config, "_class_name"), err, FAULT_MISMATCH,
                      "it is of a %.100s, %s/model_index.json says %s", name, l->path,
                      c->class_name);
}

static SnugStatus take_component(WanLayout *l, WanRole role, SnugError *err)
{
    Component *c = NULL;
    WanPart *part = &l->part[role];
    if (part->path || !model_dir_has(l->dir, ROLES[role].name)) return SNUG_OK;
    TRY(model_dir_component(l->dir, ROLES[role].name, &c, err));
    if (!c->weights)
        return error_set(err, SNUG_ERR_FILE, "%s: %s is a %s: not a network", l->path,
                         ROLES[role].name, c->class_name);
    TRY(check_class(l, c, err));
    *part = (WanPart){ .path = c->path,
                       .class_name = c->class_name,
                       .config_from = "config.json",
                       .weights = c->weights,
                       .config = c->config,
                       .names = { .convention = "diffusers names" } };
    if (!c->warnings || !c->warnings[0]) return SNUG_OK;
    l->warnings = arena_printf(l->arena, "%s%s", l->warnings, c->warnings);
    return l->warnings ? SNUG_OK : no_memory(l->path, err);
}

/* The configuration of a component that is no network. */
static SnugStatus settings_of(WanLayout *l, const char *name, Json *out, SnugError *err)
{
    Component *c = NULL;
    if (!model_dir_has(l->dir, name)) return SNUG_OK;
    TRY(model_dir_component(l->dir, name, &c, err));
    *out = c->config;
    return SNUG_OK;
}

static SnugStatus open_diffusers(WanLayout *l, SnugError *err)
{
    Component *c = NULL;
    l->form = "diffusers folder";
    l->published = false;
    TRY(model_dir_open(&l->dir, l->arena->heap, l->path, NULL, err));
    l->index = model_dir_json(l->dir);
    /* one network given by hand replaces both of the folder */
    const bool own = l->part[WAN_TRANSFORMER].path != NULL;
    for (WanRole role = 0; role < WAN_ROLES; role++)
        if (role != WAN_TRANSFORMER_LOW || !own) TRY(take_component(l, role, err));
    TRY(settings_of(l, "scheduler", &l->scheduler, err));
    TRY(settings_of(l, "image_processor", &l->image_processor, err));
    if (l->tokenizer || !model_dir_has(l->dir, "tokenizer")) return SNUG_OK;
    TRY(model_dir_component(l->dir, "tokenizer", &c, err));
    l->tokenizer = c->path;
    return SNUG_OK;
}

static SnugStatus has_vocabulary(WanLayout *l, const char *folder, bool *out, SnugError *err)
{
    static const char *const NAMES[] = { "tokenizer.json", "spiece.model", "tokenizer.model" };
    *out = false;
    for (int i = 0; i < 3 && !*out; i++) {
        const char *path = file_join(l->arena, folder, NAMES[i]);
        if (!path) return no_memory(folder, err);
        if (file_type(path) != FILE_REGULAR) continue;
        TRY(model_root_check(&l->root, path, err));
        *out = true;
    }
    return SNUG_OK;
}

static SnugStatus find_tokenizer(WanLayout *l, const char *folder, SnugError *err)
{
    static const char *const PLACES[] = { "tokenizer", "google/umt5-xxl", "umt5-xxl", "." };
    for (int i = 0; i < 4 && !l->tokenizer; i++) {
        bool there;
        const char *path = i < 3 ? file_join(l->arena, folder, PLACES[i]) : folder;
        if (!path) return no_memory(folder, err);
        TRY(has_vocabulary(l, path, &there, err));
        if (there) l->tokenizer = path;
    }
    return SNUG_OK;
}

static SnugStatus take_found(WanLayout *l, SnugError *err)
{
    const bool own = l->part[WAN_TRANSFORMER].path != NULL;
    for (WanRole role = 0; role < WAN_ROLES; role++) {
        WanFile *file = NULL;
        if (l->part[role].path || (role == WAN_TRANSFORMER_LOW && own)) continue;
        TRY(wan_scan_choose(l, role, &file, err));
        if (file) TRY(take_file(l, role, file, err));
    }
    return SNUG_OK;
}

/* A folder without model_index.json in which nothing of ours was found: the common mistakes. */
static SnugStatus refuse_folder(const WanLayout *l, SnugError *err)
{
    const char *snapshots = file_join(l->arena, l->path, "snapshots");
    if (!snapshots) return no_memory(l->path, err);
    if (file_type(snapshots) == FILE_DIRECTORY)
        return fault_set(err, FAULT_MISSING, l->path, "model", "model_index.json",
                         "this is a hub cache: name its snapshots/REVISION folder");
    if (l->trouble) return error_set(err, SNUG_ERR_FILE, "%s", l->trouble);
    return fault_set(err, FAULT_MISSING, l->path, "model", NULL,
                     "neither model_index.json nor a weight file of a Wan model in this folder or "
                     "one below it");
}

/* The original's folders say so by what lies beside the weights. */
static SnugStatus name_form(WanLayout *l, SnugError *err)
{
    static const char *const MARKS[] = { "config.json", "high_noise_model", "low_noise_model",
                                         "high_noise_model_bnb_nf4", "google/umt5-xxl" };
    const WanPart *t = &l->part[WAN_TRANSFORMER];
    l->form = "folder of single files";
    for (size_t i = 0; i < COUNT(MARKS); i++) {
        const char *path = file_join(l->arena, l->path, MARKS[i]);
        if (!path) return no_memory(l->path, err);
        if (file_type(path) == FILE_ABSENT || (t->path && t->names.n_rows == 0)) continue;
        l->form = "original Wan folder";
    }
    return SNUG_OK;
}

static SnugStatus open_folder(WanLayout *l, SnugError *err)
{
    const char *index = file_join(l->arena, l->path, "model_index.json");
    if (!index) return no_memory(l->path, err);
    if (file_type(index) == FILE_REGULAR) return open_diffusers(l, err);
    TRY(model_root_init(&l->root, l->arena, l->path, false, err));
    TRY(wan_scan_folder(l, l->path, true, err));
    TRY(take_found(l, err));
    TRY(find_tokenizer(l, l->path, err));
    TRY(name_form(l, err));
    for (WanRole role = 0; role < WAN_ROLES; role++)
        if (l->part[role].path) return SNUG_OK;
    return refuse_folder(l, err);
}

static SnugStatus open_model(WanLayout *l, const char *path, SnugError *err)
{
    WanFile *file = NULL;
    switch (file_type(path)) {
    case FILE_DIRECTORY:
        return open_folder(l, err);
    case FILE_ABSENT:
        return error_set(err, SNUG_ERR_IO, "%s: no such folder or file", path);
    case FILE_REGULAR:
    case FILE_OTHER:
    default:
        l->form = "one file";
        TRY(wan_scan_file(l, path, &file, err));
        TRY(take_found(l, err));
        for (int k = 0; k < WAN_NETS; k++)
            if (file->spelling[k]) return SNUG_OK;
        return error_set(err, SNUG_ERR_FILE, "%s: this is %s; a Wan model is needed", path,
                         wan_file_words(file));
    }
}

/* Not named, not in the model's folder: beside the text encoder, or in its file. */
static SnugStatus settle_tokenizer(WanLayout *l, SnugError *err)
{
    const WanPart *text = &l->part[WAN_TEXT_ENCODER];
    if (l->tokenizer || !text->path) return SNUG_OK;
    if (!l->dir) {
        const char *beside = file_dirname(l->arena, text->path);
        if (!beside) return no_memory(text->path, err);
        TRY(find_tokenizer(l, beside, err));
    }
    if (l->tokenizer || !wan_tokenizer_inside(text->weights)) return SNUG_OK;
    l->tokenizer = text->path;
    l->tokenizer_inside = true;
    return SNUG_OK;
}

SnugStatus wan_layout_init(WanLayout *l, Arena *arena, const WanPaths *paths, SnugError *err)
{
    const char *const named[WAN_ROLES] = { paths->transformer, paths->transformer_low,
                                           paths->text_encoder, paths->vae, paths->image_encoder };
    *l = (WanLayout){ .arena = arena, .form = "single files", .published = true, .warnings = "" };
    l->path = paths->model;
    for (int i = 0; i < WAN_ROLES && !l->path; i++)
        l->path = named[i];
    if (!l->path) return error_set(err, SNUG_ERR_ARG, "--model is missing: a folder or file");
    l->tokenizer = paths->tokenizer;
    for (WanRole role = 0; role < WAN_ROLES; role++)
        TRY(open_named(l, role, named[role], err));
    if (paths->model) TRY(open_model(l, paths->model, err));
    return settle_tokenizer(l, err);
}

void wan_layout_release(WanLayout *l)
{
    for (WanFile *f = l->files; f; f = f->next)
        wan_file_close(f);
    for (WanLayoutDoc *d = l->docs; d; d = d->next)
        json_close(d->doc);
    model_dir_close(l->dir);
    *l = (WanLayout){ 0 };
}

/* ---- completeness --------------------------------------------------------------------------- */

/* A transformer that calls itself the one for high noise is one of two. */
static bool is_needed(const WanLayout *l, WanRole role)
{
    const WanPart *first = &l->part[WAN_TRANSFORMER];
    if (role == WAN_IMAGE_ENCODER) {
        int64_t dim = 0;
        return first->path &&
               json_int(first->config, "image_dim", 0, 0, INT32_MAX, &dim, NULL) == SNUG_OK && dim;
    }
    if (role != WAN_TRANSFORMER_LOW) return true;
    return !l->dir && first->path && wan_scan_is_high(l, first->path);
}

SnugStatus wan_layout_missing(const WanLayout *l, const char **out, SnugError *err)
{
    *out = "";
    for (WanRole role = 0; role < WAN_ROLES && *out; role++) {
        if (l->part[role].path || !is_needed(l, role)) continue;
        const bool other = role == WAN_TRANSFORMER && l->part[WAN_TRANSFORMER_LOW].path;
        *out = arena_printf(l->arena, "%s%s%s [--%s]", *out, **out ? ", no " : "",
                            l->dir  ? ROLES[role].name
                            : other ? "high-noise transformer (high_noise_model/)"
                                    : ROLES[role].words,
                            ROLES[role].flag);
    }
    if (*out && !l->tokenizer)
        *out = arena_printf(l->arena, "%s%stokenizer%s [--tokenizer]", *out, **out ? ", no " : "",
                            l->dir ? "" : " (tokenizer/ or google/umt5-xxl/)");
    return *out ? SNUG_OK : no_memory(l->path, err);
}

SnugStatus wan_layout_require(const WanLayout *l, SnugError *err)
{
    const char *missing;
    TRY(wan_layout_missing(l, &missing, err));
    if (!*missing) return SNUG_OK;
    return error_set(err, SNUG_ERR_FILE, "%s (%s) has no %s%s%s", l->path, l->form, missing,
                     l->trouble ? "; could not be read: " : "", l->trouble ? l->trouble : "");
}
