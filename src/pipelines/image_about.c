/* image_about.c  A folder of a model that draws pictures, as it would be opened for a run: its family says
 * whether the parts are whole and what a run takes. What has no index is told file by file. */
#include <string.h>

#include "base/error.h"
#include "pipelines/identity.h"
#include "pipelines/image.h"

/** What a described model keeps open. */
typedef struct Found {
    ImageJob job;
    ImageRequest request;
    AboutLook look;
} Found;

static SnugStatus add_parts(About *a, ModelDir *dir, SnugError *err)
{
    const ModelIndex *index = model_dir_index(dir);
    for (int32_t i = 0; i < index->n_parts && a->n_parts < ABOUT_MAX_PARTS; i++) {
        Component *c = NULL;
        if (!index->parts[i].library) continue; /* absent on purpose */
        TRY(model_dir_component(dir, index->parts[i].name, &c, err));
        if (!c->weights) continue;
        AboutPart *part = &a->part[a->n_parts++];
        *part = (AboutPart){ .role = index->parts[i].name,
                             .words = "a network",
                             .path = c->path,
                             .class_name = index->parts[i].class_name,
                             .config_from = "tensor shapes",
                             .weights = c->weights };
        TRY(identity_part(a, part, c->weights, err));
    }
    return SNUG_OK;
}

static SnugStatus add_settings(About *a, const ImageSettings *s, SnugError *err)
{
    TRY(about_setting(a, "size", err, "%dx%d", s->width, s->height));
    TRY(about_setting(a, "steps", err, "%lld", (long long)s->steps));
    TRY(about_setting(a, "guidance", err, "%g", s->guidance));
    return s->sampler ? about_setting(a, "sampler", err, "%s", s->sampler) : SNUG_OK;
}

/* Some models do one task only. */
static SnugStatus add_model(About *a, Found *f, SnugError *err)
{
    ImageJob *j = &f->job;
    SnugError why = { { 0 } };
    a->model = j->family->name;
    a->words = "pictures";
    if (strstr(j->model.class_name, "Fill")) j->task = IMAGE_INPAINT;
    a->pipeline = j->task == IMAGE_INPAINT ? "inpaint" : "txt2img";
    if (j->family->open(j, &why) == SNUG_OK) return add_settings(a, &j->settings, err);
    return about_problem(a, &a->problem, &why, j->model.path, err);
}

static void close_found(void *owner)
{
    image_close(&((Found *)owner)->job);
}

static SnugStatus look(About *a, Found *f, const char *path, bool *ours, SnugError *err)
{
    const char *index = file_join(&a->arena, path, "model_index.json");
    *ours = false;
    if (!index) return about_no_memory(path, err);
    if (file_type(index) != FILE_REGULAR) return identity_about(a, path, err);
    TRY(option_defaults(IMAGE_OPTIONS, &f->request, &a->arena, err));
    f->request.paths.model = path;
    TRY(image_model_init(&f->job.model, &a->arena, &f->request.paths, err));
    *ours = image_family_find(&f->job, NULL) == SNUG_OK;
    if (!*ours) return SNUG_OK;
    a->form = "diffusers folder";
    TRY(add_parts(a, f->job.model.dir, err));
    return add_model(a, f, err);
}

SnugStatus image_about(About *a, const char *path, SnugError *err)
{
    bool ours = false;
    Found *f = arena_take(&a->arena, sizeof *f);
    if (!f) return about_no_memory(path, err);
    about_look_init(&f->look, a);
    f->job.context = &f->look.context;
    f->job.request = &f->request;
    const SnugStatus status = look(a, f, path, &ours, err);
    return about_look_end(a, status, ours, f, close_found);
}
