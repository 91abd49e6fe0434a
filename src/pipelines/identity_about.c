/* identity_about.c  Weight files without a pipeline's index, for `snug models inspect`: each told by its tensors, and
 * what a run needs beside them. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "pipelines/identity.h"
#include "pipelines/wan_file.h"

/** What a described folder keeps open. */
typedef struct Files {
    Checkpoint *open[ABOUT_MAX_PARTS];
    Identity identity[ABOUT_MAX_PARTS];
    int n;
} Files;

static void close_files(void *owner)
{
    Files *files = owner;
    for (int i = 0; i < files->n; i++)
        checkpoint_close(files->open[i]);
    files->n = 0;
}

static SnugStatus put_words(About *a, AboutPart *part, const Identity *identity, SnugError *err)
{
    part->words = identity->words;
    part->names = identity->names;
    part->sizes = identity->sizes[0] ? arena_printf(&a->arena, "%s", identity->sizes) : NULL;
    if (identity->sizes[0] && !part->sizes) return about_no_memory(part->path, err);
    return SNUG_OK;
}

SnugStatus identity_part(About *a, AboutPart *part, const Checkpoint *weights, SnugError *err)
{
    Identity found;
    identity_find(&found, weights);
    if (found.kind == IDENTITY_NONE) return SNUG_OK;
    return put_words(a, part, &found, err);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* What cannot be read, or is nothing that is known here, is left out. */
static void try_file(Files *files, Heap *heap, const char *path)
{
    Checkpoint *c = NULL;
    if (files->n == ABOUT_MAX_PARTS || checkpoint_open(&c, heap, path, NULL, NULL) != SNUG_OK)
        return;
    identity_find(&files->identity[files->n], c);
    if (files->identity[files->n].kind == IDENTITY_NONE)
        checkpoint_close(c);
    else
        files->open[files->n++] = c;
}

static SnugStatus look_into(About *a, Files *files, const char *folder, bool deep, SnugError *err)
{
    const char *const *names;
    size_t n;
    TRY(file_list(&a->arena, folder, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const char *path = file_join(&a->arena, folder, names[i]);
        if (!path) return about_no_memory(folder, err);
        const FileType type = file_type(path);
        if (type == FILE_REGULAR && wan_file_is_weights(names[i]))
            try_file(files, a->arena.heap, path);
        else if (type == FILE_DIRECTORY && deep && names[i][0] != '.')
            TRY(look_into(a, files, path, false, err));
    }
    return SNUG_OK;
}

/* ---- what they are -------------------------------------------------------------------------- */

static const char *role_of(const Identity *identity)
{
    static const char *const ROLES[] = { [IDENTITY_FLUX] = "transformer",
                                         [IDENTITY_UNET] = "unet",
                                         [IDENTITY_UNET_REFINER] = "unet",
                                         [IDENTITY_UNET_OTHER] = "unet",
                                         [IDENTITY_CONTROLNET] = "controlnet",
                                         [IDENTITY_VAE_FLUX] = "vae",
                                         [IDENTITY_VAE_STABLE] = "vae",
                                         [IDENTITY_VAE] = "vae",
                                         [IDENTITY_CLIP] = "text_encoder",
                                         [IDENTITY_T5] = "text_encoder_2",
                                         [IDENTITY_BIREFNET] = "birefnet",
                                         [IDENTITY_OTHER] = "other",
                                         [IDENTITY_NONE] = "other" };
    return identity->whole ? "checkpoint" : ROLES[identity->kind];
}

static const char *problem_of(const Identity *identity)
{
    if (identity->kind == IDENTITY_UNET_REFINER || identity->kind == IDENTITY_UNET_OTHER)
        return "snug draws with SDXL base, not with this";
    return NULL;
}

static bool has(const Files *files, IdentityKind kind)
{
    for (int i = 0; i < files->n; i++)
        if (files->identity[i].kind == kind) return true;
    return false;
}

static bool has_vae(const Files *files)
{
    return has(files, IDENTITY_VAE) || has(files, IDENTITY_VAE_FLUX) ||
           has(files, IDENTITY_VAE_STABLE);
}

static SnugStatus add_parts(About *a, const Files *files, SnugError *err)
{
    for (int i = 0; i < files->n; i++) {
        const Identity *identity = &files->identity[i];
        AboutPart *part = &a->part[a->n_parts++];
        *part = (AboutPart){ .role = role_of(identity),
                             .path = checkpoint_path(files->open[i]),
                             .told_by = identity->told_by,
                             .config_from = "tensor shapes",
                             .problem = problem_of(identity),
                             .weights = files->open[i] };
        TRY(put_words(a, part, identity, err));
    }
    return SNUG_OK;
}

/* Whose model it is, when the network that makes it is there, and what it cannot do without. */
static SnugStatus add_model(About *a, const Files *files, const char *path, SnugError *err)
{
    const bool flux = has(files, IDENTITY_FLUX), unet = has(files, IDENTITY_UNET);
    const Identity *first = &files->identity[0];
    if (has(files, IDENTITY_BIREFNET)) {
        a->model = "BiRefNet";
        a->words = "cut-outs";
        a->pipeline = "cutout";
        return SNUG_OK;
    }
    if (!flux && !unet) return SNUG_OK;
    a->model = flux ? "FLUX" : "SDXL";
    a->words = "pictures";
    a->pipeline = flux && strstr(first->words, "Fill") ? "inpaint" : "txt2img";
    const bool whole = first->whole;
    const char *tokenizer = file_join(&a->arena, path, "tokenizer");
    const bool words = tokenizer && file_type(tokenizer) == FILE_DIRECTORY;
    a->missing = arena_printf(
        &a->arena, "%s%s%s%s",
        whole || has(files, IDENTITY_CLIP) ? "" : "CLIP text encoder (--text-encoder), ",
        whole || !flux || has(files, IDENTITY_T5) ? "" : "T5 text encoder (--text-encoder-2), ",
        whole || has_vae(files) ? "" : "VAE (--vae), ",
        words ? "" : "tokenizers (--tokenizer, --tokenizer-2), ");
    if (!a->missing) return about_no_memory(path, err);
    const size_t n = strlen(a->missing); /* ends in a comma, if anything is */
    if (n >= 2) a->missing = arena_text(&a->arena, a->missing, n - 2);
    return a->missing ? SNUG_OK : about_no_memory(path, err);
}

static bool any_of_ours(const Files *files)
{
    for (int i = 0; i < files->n; i++)
        if (files->identity[i].kind != IDENTITY_OTHER) return true;
    return false;
}

SnugStatus identity_about(About *a, const char *path, SnugError *err)
{
    Files *files = arena_take(&a->arena, sizeof *files);
    if (!files) return about_no_memory(path, err);
    const bool folder = file_type(path) == FILE_DIRECTORY;
    SnugStatus status = SNUG_OK;
    if (folder)
        status = look_into(a, files, path, true, err);
    else
        try_file(files, a->arena.heap, path);
    if (status != SNUG_OK || !any_of_ours(files)) {
        close_files(files);
        return status;
    }
    a->owner = files;
    a->close = close_files;
    a->form = folder ? "folder of weight files" : "one file";
    a->problem = NULL;
    TRY(add_parts(a, files, err));
    return add_model(a, files, path, err);
}
