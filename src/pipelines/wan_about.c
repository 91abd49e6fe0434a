/* wan_about.c  A Wan model as it would be opened for a run, part by part: what is wrong with one does not
 * hide the others. */
#include "pipelines/identity.h"
#include "pipelines/wan.h"

#include <string.h>

#include "base/error.h"

/** What a described model keeps open. */
typedef struct Found {
    WanJob job;
    WanRequest request;
    AboutLook look;
} Found;

/* ---- is it ours? ---------------------------------------------------------------------------- */

/* A folder of diffusers is, when one of its parts is a network of Wan's. */
static SnugStatus index_is_ours(Heap *heap, const char *path, bool *out, SnugError *err)
{
    ModelDir *dir = NULL;
    *out = false;
    TRY(model_dir_open(&dir, heap, path, NULL, err));
    const ModelIndex *index = model_dir_index(dir);
    for (int32_t i = 0; i < index->n_parts; i++) {
        const char *name = index->parts[i].class_name;
        if (name &&
            (strcmp(name, "WanTransformer3DModel") == 0 || strcmp(name, "AutoencoderKLWan") == 0))
            *out = true;
    }
    model_dir_close(dir);
    return SNUG_OK;
}

/* A T5 encoder by itself, or among files of a model that is not ours, is one of FLUX. */
static bool only_t5(const WanLayout *l)
{
    Identity found;
    for (int i = 0; i < WAN_ROLES; i++)
        if ((l->part[i].path != NULL) != (i == WAN_TEXT_ENCODER)) return false;
    identity_find(&found, l->part[WAN_TEXT_ENCODER].weights);
    return found.kind == IDENTITY_T5;
}

/* Without an index: what could not be opened as a model of ours is none; `a->problem` says why. */
static SnugStatus find_layout(About *a, Found *f, const char *path, bool *ours, SnugError *err)
{
    WanLayout *l = &f->job.layout;
    SnugError why = { { 0 } };
    const char *index = file_join(f->look.context.arena, path, "model_index.json");
    if (!index) return about_no_memory(path, err);
    *ours = true;
    if (file_type(index) == FILE_REGULAR) TRY(index_is_ours(f->look.context.heap, path, ours, err));
    if (!*ours) return SNUG_OK;
    f->request.paths.model = path;
    const SnugStatus status = wan_layout_init(l, f->look.context.arena, &f->request.paths, &why);
    if (status == SNUG_OK) {
        *ours = !only_t5(l);
        return SNUG_OK;
    }
    bool found = l->dir != NULL;
    for (int i = 0; i < WAN_ROLES; i++)
        found = found || l->part[i].path;
    *ours = false;
    if (found || status == SNUG_ERR_MEMORY) {
        if (err) *err = why;
        return status;
    }
    return about_problem(a, &a->problem, &why, path, err);
}

/* ---- sizes in words ------------------------------------------------------------------------- */

static const char *transformer_sizes(Arena *arena, const WanExpert *e)
{
    static const char *const CAMERAS[] = { [WAN_CAMERA_NONE] = "",
                                           [WAN_CAMERA_INJECT] = ", camera (LingBot-World)",
                                           [WAN_CAMERA_ADAPTER] = ", camera (Wan-Fun)" };
    const WanDitConfig *c = &e->dit.cfg;
    return arena_printf(
        arena, "%d blocks, width %lld, %d heads, feed-forward %lld, channels %lld in %lld out%s%s",
        c->layers, (long long)(c->heads * c->head_dim), c->heads, (long long)c->ffn_dim,
        (long long)c->in_channels, (long long)c->out_channels,
        c->image_tokens ? ", sees two pictures (CLIP)"
        : c->image_dim  ? ", sees pictures (CLIP)"
                        : "",
        CAMERAS[e->carries]);
}

static const char *sizes_of(Found *f, WanRole role)
{
    const WanJob *j = &f->job;
    Arena *arena = f->look.context.arena;
    const Umt5Config *t = &j->text.cfg;
    const WanVaeConfig *v = &j->vae.cfg;
    const ClipVisionConfig *c = &j->clip.net.cfg;
    switch (role) {
    case WAN_TRANSFORMER:
    case WAN_TRANSFORMER_LOW:
        return transformer_sizes(arena, &j->expert[role == WAN_TRANSFORMER_LOW]);
    case WAN_TEXT_ENCODER:
        return arena_printf(arena, "%d layers, width %lld, %d heads, %lld words%s", t->layers,
                            (long long)t->dim, t->heads, (long long)t->vocab,
                            t->shared_bias ? ", T5" : ", umT5");
    case WAN_VAE:
        return arena_printf(arena, "%lld channels, %dx%dx%d pixels each, as %s", (long long)v->z,
                            v->time_factor, v->space_factor, v->space_factor,
                            v->residual ? "Wan2.2" : "Wan2.1");
    case WAN_IMAGE_ENCODER:
    case WAN_ROLES:
    default:
        return arena_printf(arena, "%d layers, width %lld, pictures of %d px", c->layers,
                            (long long)c->dim, c->image_px);
    }
}

static bool has_sizes(const WanJob *j, WanRole role)
{
    if (role == WAN_TEXT_ENCODER) return j->text.cfg.layers > 0;
    if (role == WAN_VAE) return j->vae.cfg.levels > 0;
    if (role == WAN_IMAGE_ENCODER) return j->clip.net.cfg.layers > 0;
    return j->expert[role == WAN_TRANSFORMER_LOW].dit.cfg.layers > 0;
}

/* ---- parts ---------------------------------------------------------------------------------- */

/* An image encoder by itself is bound as if a transformer wanted it. */
static SnugStatus bind(Found *f, WanRole role, SnugError *err)
{
    WanJob *j = &f->job;
    const WanPart *p = &j->layout.part[role];
    if (role != WAN_IMAGE_ENCODER || j->expert[0].dit.cfg.image_dim)
        return wan_networks_bind(j, role, err);
    return wan_clip_bind(&j->clip, &f->look.table, p->weights, p->config, j->layout.image_processor,
                         err);
}

static SnugStatus add_part(About *a, Found *f, WanRole role, SnugError *err)
{
    const WanPart *p = &f->job.layout.part[role];
    AboutPart *out = &a->part[a->n_parts++];
    SnugError why = { { 0 } };
    const SnugStatus status = bind(f, role, &why);
    *out = (AboutPart){ .role = wan_role_name(role),
                        .words = wan_network_words(wan_role_network(role)),
                        .path = p->path,
                        .class_name = p->class_name,
                        .names = p->names.convention,
                        .told_by = p->marker,
                        .config_from = p->config_from,
                        .weights = p->weights };
    if (has_sizes(&f->job, role)) {
        out->sizes = sizes_of(f, role);
        if (!out->sizes) return about_no_memory(p->path, err);
    }
    if (status == SNUG_OK) return SNUG_OK;
    if (status == SNUG_ERR_MEMORY) return about_no_memory(p->path, err);
    return about_problem(a, &out->problem, &why, p->path, err);
}

/* In the order of the roles, though bound in another. */
static int by_role(const WanLayout *l, WanRole role)
{
    int before = 0;
    for (WanRole k = 0; k < role; k++)
        if (l->part[k].path) before++;
    return before;
}

static SnugStatus add_parts(About *a, Found *f, SnugError *err)
{
    const WanLayout *l = &f->job.layout;
    AboutPart sorted[WAN_ROLES];
    for (int i = 0; i < WAN_ROLES; i++) {
        const WanRole role = WAN_NETWORKS_ORDER[i];
        if (!l->part[role].path) continue;
        TRY(add_part(a, f, role, err));
        sorted[by_role(l, role)] = a->part[a->n_parts - 1];
    }
    memcpy(a->part, sorted, (size_t)a->n_parts * sizeof sorted[0]);
    return SNUG_OK;
}

/* ---- what they make up ---------------------------------------------------------------------- */

static SnugStatus add_settings(About *a, WanJob *j, SnugError *err)
{
    const WanSettings *s = &j->settings;
    SchedulerConfig scheduler;
    TRY(wan_settings_read(j, err));
    j->width = (int)s->width;
    j->height = (int)s->height;
    TRY(wan_settings_scheduler(j, &scheduler, err));
    TRY(about_setting(a, "size", err, "%lldx%lld", (long long)s->width, (long long)s->height));
    TRY(about_setting(a, "frames", err, "%lld", (long long)s->frames));
    TRY(about_setting(a, "fps", err, "%g", s->fps));
    TRY(about_setting(a, "steps", err, "%lld", (long long)s->steps));
    TRY(about_setting(a, "guidance", err, "%g", s->guidance));
    if (j->n_experts == 2) {
        TRY(about_setting(a, "guidance-low", err, "%g", s->guidance_low));
        TRY(about_setting(a, "boundary", err, "%g", s->boundary));
    }
    TRY(about_setting(a, "scheduler", err, "%s", scheduler_kind_name(scheduler.kind)));
    return about_setting(a, "shift", err, "%g", scheduler.shift);
}

static SnugStatus add_model(About *a, Found *f, SnugError *err)
{
    WanJob *j = &f->job;
    SnugError why = { { 0 } };
    if (!has_sizes(j, WAN_TRANSFORMER)) return SNUG_OK;
    SnugStatus status = wan_networks_variant(j, &why);
    if (status == SNUG_OK) {
        a->model = j->variant->name;
        a->words = j->variant->words;
        a->pipeline = j->variant->command;
        status = add_settings(a, j, &why);
    }
    if (status == SNUG_OK) return SNUG_OK;
    return about_problem(a, &a->problem, &why, j->layout.path, err);
}

static SnugStatus describe(About *a, Found *f, SnugError *err)
{
    const WanLayout *l = &f->job.layout;
    TRY(option_defaults(WAN_OPTIONS, &f->request, f->look.context.arena, err));
    f->request.paths.model = l->path;
    TRY(add_parts(a, f, err));
    TRY(add_model(a, f, err));
    TRY(wan_layout_missing(l, &a->missing, err));
    a->form = l->form;
    a->tokenizer = l->tokenizer;
    if (l->tokenizer_inside) a->tokenizer = arena_printf(&a->arena, "in %s", l->tokenizer);
    a->warnings = arena_printf(&a->arena, "%s%s%s%s", l->warnings, f->look.table.warnings,
                               l->trouble ? l->trouble : "", l->trouble ? ": left out\n" : "");
    const bool fine = a->warnings && (a->tokenizer || !l->tokenizer);
    return fine ? SNUG_OK : about_no_memory(l->path, err);
}

static void close_found(void *owner)
{
    wan_close(&((Found *)owner)->job);
}

SnugStatus wan_about(About *a, const char *path, SnugError *err)
{
    bool ours = false;
    Found *f = arena_take(&a->arena, sizeof *f);
    if (!f) return about_no_memory(path, err);
    about_look_init(&f->look, a);
    f->job.context = &f->look.context;
    f->job.request = &f->request;
    SnugStatus status = find_layout(a, f, path, &ours, err);
    if (status == SNUG_OK && ours) status = describe(a, f, err);
    return about_look_end(a, status, ours, f, close_found);
}
