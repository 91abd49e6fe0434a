/* image_model.c  Folders of diffusers, part by part. */
#include "pipelines/image_model.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"

SnugStatus image_model_init(ImageModel *m, Heap *heap, const ImagePaths *paths, SnugError *err)
{
    *m = (ImageModel){ .path = paths->model, .paths = paths, .heap = heap };
    if (!paths->model) return error_set(err, SNUG_ERR_ARG, "--model is missing");
    if (file_type(paths->model) == FILE_ABSENT)
        return error_set(err, SNUG_ERR_FILE, "%s: there is no such folder", paths->model);
    TRY(model_dir_open(&m->dir, heap, paths->model, NULL, err));
    m->class_name = model_dir_index(m->dir)->class_name;
    m->index = model_dir_json(m->dir);
    return SNUG_OK;
}

void image_model_release(ImageModel *m)
{
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
        return error_set(err, SNUG_ERR_FILE, "%s: the model has no %s", m->path, name);
    TRY(model_dir_component(m->dir, name, &c, err));
    *out = c->path;
    return SNUG_OK;
}
