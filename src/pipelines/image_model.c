/* image_model.c  Folders of diffusers, part by part. */
#include "pipelines/image_model.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/size.h"

/** An open file or folder of one network. */
typedef struct ImageFile {
    const char *path;
    Checkpoint *weights;  /* of a file */
    Component *component; /* of a folder */
    JsonDoc *config;      /* told by shapes; of the network asked for last */
    struct ImageFile *next;
} ImageFile;

/* A network's folder in place of a pipeline's: say which one it is. */
static SnugStatus refuse_folder(const ImageModel *m, SnugError *why, SnugError *err)
{
    Component *c = NULL;
    Identity found = { .kind = IDENTITY_NONE };
    if (component_open(&c, m->arena->heap, m->path, NULL, NULL) == SNUG_OK && c->weights)
        identity_find(&found, c->weights);
    component_close(c);
    if (found.kind == IDENTITY_NONE) {
        if (err) *err = *why;
        return SNUG_ERR_FILE;
    }
    return error_set(err, SNUG_ERR_FILE,
                     "%s: this is %s: one part of a model, not the folder of a pipeline", m->path,
                     found.words);
}

SnugStatus image_model_init(ImageModel *m, Arena *arena, const ImagePaths *paths, SnugError *err)
{
    *m = (ImageModel){ .path = paths->model ? paths->model : paths->transformer,
                       .paths = paths,
                       .arena = arena };
    if (!m->path) return error_set(err, SNUG_ERR_ARG, "--model is missing");
    if (!paths->model) return SNUG_OK;
    if (file_type(paths->model) == FILE_ABSENT)
        return error_set(err, SNUG_ERR_FILE, "%s: there is no such folder or file", paths->model);
    if (file_type(paths->model) != FILE_DIRECTORY) return SNUG_OK;
    SnugError why = { { 0 } };
    const SnugStatus status = model_dir_open(&m->dir, arena->heap, paths->model, NULL, &why);
    if (status == SNUG_ERR_FILE) return refuse_folder(m, &why, err);
    if (status != SNUG_OK) return error_set(err, status, "%s", why.text);
    m->class_name = model_dir_index(m->dir)->class_name;
    m->index = model_dir_json(m->dir);
    return SNUG_OK;
}

void image_model_release(ImageModel *m)
{
    for (ImageFile *f = m->files; f; f = f->next) {
        checkpoint_close(f->weights);
        component_close(f->component);
        json_close(f->config);
    }
    m->files = NULL;
    model_dir_close(m->dir);
    m->dir = NULL;
}

static bool listed(const char *name, const char *const *classes)
{
    for (int i = 0; name && classes[i]; i++)
        if (strcmp(name, classes[i]) == 0) return true;
    return !name;
}

SnugStatus image_model_part(ImageModel *m, const char *name, const char *const *classes,
                            ImagePart *out, SnugError *err)
{
    Component *c = NULL;
    *out = (ImagePart){ .path = NULL };
    if (!m->dir || !model_dir_has(m->dir, name))
        return error_set(err, SNUG_ERR_FILE, "%s: the model has no %s", m->path, name);
    TRY(model_dir_component(m->dir, name, &c, err));
    if (!listed(c->class_name, classes))
        return error_set(err, SNUG_ERR_FILE, "%s: %s is a %s, %s is needed", m->path, name,
                         c->class_name, classes[0]);
    if (!c->weights) return error_set(err, SNUG_ERR_FILE, "%s: %s has no weights", m->path, name);
    *out = (ImagePart){ .path = c->path, .weights = c->weights, .config = c->config };
    return SNUG_OK;
}

/* ---- files ---------------------------------------------------------------------------------- */

static SnugStatus open_file(ImageModel *m, const char *path, ImageFile **out, SnugError *err)
{
    for (ImageFile *f = m->files; f; f = f->next)
        if (strcmp(f->path, path) == 0) {
            *out = f;
            return SNUG_OK;
        }
    ImageFile *f = arena_take(m->arena, sizeof *f);
    if (!f) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    f->path = path;
    if (file_type(path) == FILE_DIRECTORY)
        TRY(component_open(&f->component, m->arena->heap, path, NULL, err));
    else
        TRY(checkpoint_open(&f->weights, m->arena->heap, path, NULL, err));
    f->next = m->files;
    m->files = f;
    *out = f;
    return SNUG_OK;
}

/* How many bytes stand before `marker` in the shortest name that ends in it; SIZE_MAX: none does. */
static size_t find_marker(const Checkpoint *c, const char *marker, const char **name)
{
    const size_t n = strlen(marker);
    size_t best = SIZE_MAX;
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const char *at = checkpoint_entry(c, i)->name;
        const size_t length = strlen(at);
        if (length < n || length - n >= best || strcmp(at + length - n, marker) != 0) continue;
        if (length > n && at[length - n - 1] != '.') continue;
        best = length - n;
        *name = at;
    }
    return best;
}

/* Nothing of that network is in it. */
static SnugStatus refuse(const char *path, const Checkpoint *weights, const ImageNetwork *network,
                         SnugError *err)
{
    Identity found;
    identity_find(&found, weights);
    return error_set(err, SNUG_ERR_FILE, "%s: it holds no %s, it is %s; name another with --%s",
                     path, network->words, found.words, network->flag);
}

static const ImageSpelling *find_spelling(const Checkpoint *c, const ImageNetwork *network,
                                          size_t *prefix, const char **name)
{
    for (const ImageSpelling *s = network->spellings; s->marker; s++) {
        *prefix = find_marker(c, s->marker, name);
        if (*prefix != SIZE_MAX) return s;
    }
    return NULL;
}

/* A document that lives as long as the model. */
static SnugStatus keep_document(ImageModel *m, JsonDoc *doc, SnugError *err)
{
    ImageFile *keeper = arena_take(m->arena, sizeof *keeper);
    if (!keeper) {
        json_close(doc);
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", m->path);
    }
    *keeper = (ImageFile){ .path = "", .config = doc, .next = m->files };
    m->files = keeper;
    return SNUG_OK;
}

/* The folder's word, where there is one, is better than what shapes tell. Its weights may be absent. */
static SnugStatus configure(ImageModel *m, ImageFile *f, const ImageNetwork *network,
                            ImagePart *out, SnugError *err)
{
    JsonDoc *doc = NULL;
    const char *path = NULL;
    if (m->dir) {
        path = arena_printf(m->arena, "%s/%s/config.json", m->paths->model, network->name);
        if (!path) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", f->path);
    }
    if (path && file_type(path) == FILE_REGULAR)
        TRY(json_open(&doc, m->arena->heap, path, err));
    else {
        TRY(network->config(&doc, m->arena->heap, (WanTensors){ f->weights, &out->names }, err));
        out->published = true;
    }
    TRY(keep_document(m, doc, err));
    out->config = json_root(doc);
    return SNUG_OK;
}

/* What a class of diffusers or transformers is known by; IDENTITY_NONE: any. */
static IdentityKind kind_of(const char *class_name)
{
    static const struct {
        const char *name;
        IdentityKind kind;
    } KINDS[] = { { "FluxTransformer2DModel", IDENTITY_FLUX },
                  { "UNet2DConditionModel", IDENTITY_UNET },
                  { "ControlNetModel", IDENTITY_CONTROLNET },
                  { "AutoencoderKL", IDENTITY_VAE },
                  { "CLIPTextModel", IDENTITY_CLIP },
                  { "CLIPTextModelWithProjection", IDENTITY_CLIP },
                  { "T5EncoderModel", IDENTITY_T5 } };
    for (size_t i = 0; i < COUNT(KINDS); i++)
        if (strcmp(KINDS[i].name, class_name) == 0) return KINDS[i].kind;
    return IDENTITY_NONE;
}

static SnugStatus check_stranger(const char *path, const Checkpoint *weights,
                                 const ImageNetwork *network, SnugError *err)
{
    Identity found;
    identity_find(&found, weights);
    if (network->stranger == IDENTITY_NONE || found.kind != network->stranger) return SNUG_OK;
    return refuse(path, weights, network, err);
}

/* A folder's weights must not be those of another network, whatever its configuration says. Which of
 * several UNets it is the family looks at. */
static SnugStatus check_weights(const char *path, const Checkpoint *weights,
                                const ImageNetwork *network, SnugError *err)
{
    const IdentityKind want = kind_of(network->classes[0]);
    Identity found;
    identity_find(&found, weights);
    TRY(check_stranger(path, weights, network, err));
    if (found.kind == IDENTITY_UNET_OTHER || found.kind == IDENTITY_UNET_REFINER)
        found.kind = IDENTITY_UNET;
    if (found.kind == IDENTITY_VAE_FLUX || found.kind == IDENTITY_VAE_STABLE)
        found.kind = IDENTITY_VAE;
    if (want == IDENTITY_NONE || found.kind == IDENTITY_NONE || found.kind == want) return SNUG_OK;
    return refuse(path, weights, network, err);
}

static SnugStatus file_part(ImageModel *m, ImageFile *f, const ImageNetwork *network,
                            ImagePart *out, SnugError *err)
{
    size_t prefix;
    const char *name = NULL;
    const ImageSpelling *s = find_spelling(f->weights, network, &prefix, &name);
    if (!s) return refuse(f->path, f->weights, network, err);
    TRY(check_stranger(f->path, f->weights, network, err));
    *out = (ImagePart){ .path = f->path, .weights = f->weights };
    if (s->map) out->names = *s->map;
    if (prefix) out->names.prefix = arena_text(m->arena, name, prefix);
    if (prefix && !out->names.prefix)
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", f->path);
    return configure(m, f, network, out, err);
}

SnugStatus image_model_network(ImageModel *m, const ImageNetwork *network, const char *given,
                               ImagePart *out, SnugError *err)
{
    ImageFile *f = NULL;
    if (!given && m->dir) {
        TRY(image_model_part(m, network->name, network->classes, out, err));
        return check_weights(out->path, out->weights, network, err);
    }
    if (!given) given = m->paths->model;
    *out = (ImagePart){ .path = NULL };
    if (!given)
        return error_set(err, SNUG_ERR_ARG,
                         "%s is missing: name it with --%s, or a model with --model",
                         network->words, network->flag);
    TRY(open_file(m, given, &f, err));
    if (f->weights) return file_part(m, f, network, out, err);
    if (!listed(f->component->class_name, network->classes) || !f->component->weights)
        return error_set(err, SNUG_ERR_FILE, "%s: it holds no %s", given, network->words);
    TRY(check_weights(given, f->component->weights, network, err));
    *out = (ImagePart){ .path = f->component->path,
                        .weights = f->component->weights,
                        .config = f->component->config };
    return SNUG_OK;
}

void image_part_begin(const ImagePart *part, Weights *w, WeightTable *table, const char *name)
{
    weights_begin(w, table, part->weights, name);
    weights_names(w, &part->names);
}

const char *image_model_words(ImageModel *m)
{
    static const char *const NAMES[] = { "transformer", "unet" };
    Identity found = { .words = "no model that snug knows" };
    const char *path = m->paths->transformer ? m->paths->transformer : m->paths->model;
    Component *c = NULL;
    ImageFile *f = NULL;
    for (int i = 0; m->dir && !c && i < 2; i++)
        if (model_dir_has(m->dir, NAMES[i]) &&
            model_dir_component(m->dir, NAMES[i], &c, NULL) != SNUG_OK)
            c = NULL; /* what is wrong with it is not what is asked here */
    if (!m->dir && path && open_file(m, path, &f, NULL) == SNUG_OK) c = f->component;
    if (c && c->weights)
        identity_find(&found, c->weights);
    else if (f && f->weights)
        identity_find(&found, f->weights);
    return found.words;
}

bool image_model_holds(ImageModel *m, const ImageNetwork *network, const char *given)
{
    ImageFile *f = NULL;
    size_t prefix;
    const char *name;
    if (!given && !m->dir) given = m->paths->model;
    if (!given || open_file(m, given, &f, NULL) != SNUG_OK || !f->weights) return false;
    return find_spelling(f->weights, network, &prefix, &name) != NULL;
}

/* ---- what is no network --------------------------------------------------------------------- */

SnugStatus image_model_scheduler(ImageModel *m, Json *out, SnugError *err)
{
    Component *c = NULL;
    *out = (Json){ .doc = NULL };
    if (!m->dir || !model_dir_has(m->dir, "scheduler")) return SNUG_OK;
    TRY(model_dir_component(m->dir, "scheduler", &c, err));
    *out = c->config;
    return SNUG_OK;
}

SnugStatus image_model_tokenizer(ImageModel *m, const char *name, const char *given,
                                 const char **out, SnugError *err)
{
    Component *c = NULL;
    *out = given;
    if (given) return SNUG_OK;
    if (!m->dir || !model_dir_has(m->dir, name))
        return error_set(err, SNUG_ERR_FILE,
                         "%s: the model has no %s: give its file or folder (--%s)", m->path, name,
                         strcmp(name, "tokenizer") == 0 ? "tokenizer" : "tokenizer-2");
    TRY(model_dir_component(m->dir, name, &c, err));
    *out = c->path;
    return SNUG_OK;
}
