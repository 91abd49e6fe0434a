/* image_model.h  The parts of an image model: a diffusers folder, and files given one by one. */
#ifndef PIPELINES_IMAGE_MODEL_H
#define PIPELINES_IMAGE_MODEL_H

#include "formats/model_dir.h"
#include "nn/name_map.h"

/** What a user names; all may be NULL. */
typedef struct ImagePaths {
    const char *model; /**< folder with everything that is not named below */
    const char *transformer, *text_encoder, *text_encoder_2, *vae, *tokenizer, *tokenizer_2;
} ImagePaths;

typedef struct ImageModel {
    const char *path;       /**< what the user named first, for messages */
    const char *class_name; /**< of the pipeline, as model_index.json says; or NULL */
    const ImagePaths *paths;
    Json index;    /**< root of model_index.json, or absent */
    ModelDir *dir; /**< NULL: single files only */
    Heap *heap;
} ImageModel;

/** One network. */
typedef struct ImagePart {
    const char *path; /**< for messages */
    const Checkpoint *weights;
    Json config;
} ImagePart;

/** Open the folder. Release in any case. */
SNUG_MUST_USE SnugStatus image_model_init(ImageModel *model, Heap *heap, const ImagePaths *paths,
                                          SnugError *err);
void image_model_release(ImageModel *model);

/**
 * A network of the folder.
 * @param name     "transformer", "text_encoder_2", ...: as diffusers names it
 * @param classes  those that will do, ended by NULL
 * @return SNUG_ERR_FILE: it is not there, or of another class; err names both
 */
SNUG_MUST_USE SnugStatus image_model_part(ImageModel *model, const char *name,
                                          const char *const *classes, ImagePart *out,
                                          SnugError *err);
/** scheduler_config.json; absent where the model brings none. */
SNUG_MUST_USE SnugStatus image_model_scheduler(ImageModel *model, Json *out, SnugError *err);
/** Folder or file of a tokenizer: the `given` one, else the folder's. */
SNUG_MUST_USE SnugStatus image_model_tokenizer(ImageModel *model, const char *name,
                                               const char *given, const char **out, SnugError *err);

#endif
