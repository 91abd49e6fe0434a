/* image_model.h  The parts of an image model: a diffusers folder, one file with everything, and files
 * and folders given one by one.
 *
 * What a file holds is told by its tensors, never by its name: a network is there when the marker of
 * one of its spellings is, perhaps behind a prefix ("model.diffusion_model."). Its configuration is
 * then that of the folder, if there is one, else what the shapes tell. */
#ifndef PIPELINES_IMAGE_MODEL_H
#define PIPELINES_IMAGE_MODEL_H

#include "formats/model_dir.h"
#include "nn/weights.h"
#include "pipelines/identity.h"
#include "pipelines/wan_config.h"

/** What a user names; all may be NULL. */
typedef struct ImagePaths {
    const char *model; /**< folder or file with everything that is not named below */
    const char *transformer, *text_encoder, *text_encoder_2, *vae, *tokenizer, *tokenizer_2;
} ImagePaths;

typedef struct ImageModel {
    const char *path;       /**< what the user named first, for messages */
    const char *class_name; /**< of the pipeline, as model_index.json says; or NULL */
    const ImagePaths *paths;
    Json index;    /**< root of model_index.json, or absent */
    ModelDir *dir; /**< NULL: single files only */
    Arena *arena;
    struct ImageFile *files; /* open ones */
} ImageModel;

/** A way in which files spell a network. */
typedef struct ImageSpelling {
    const char *marker; /**< a tensor that only this network has; NULL ends a table */
    const NameMap *map; /**< NULL: our names */
} ImageSpelling;

/** What is needed to find a network. */
typedef struct ImageNetwork {
    const char *name, *flag;        /**< "text_encoder_2", "text-encoder-2" */
    const char *words;              /**< "a T5 text encoder" */
    const char *const *classes;     /**< that will do in a folder, ended by NULL */
    const ImageSpelling *spellings; /**< in files */
    /** A configuration from shapes, as diffusers or transformers would have written it. */
    SnugStatus (*config)(JsonDoc **out, Heap *heap, WanTensors tensors, SnugError *err);
    IdentityKind stranger; /**< its like in other models: refused by name; IDENTITY_NONE: none */
} ImageNetwork;

/** One network. */
typedef struct ImagePart {
    const char *path; /**< for messages */
    const Checkpoint *weights;
    Json config;
    NameMap names;  /**< how the file spells it */
    bool published; /**< the configuration is told by shapes */
} ImagePart;

/** Open the folder or file, if one is named. Release in any case. */
SNUG_MUST_USE SnugStatus image_model_init(ImageModel *model, Arena *arena, const ImagePaths *paths,
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
/**
 * A network: of the file or folder `given`, else of the model's folder or file.
 * @return SNUG_ERR_FILE: it is not there; err tells what there is, or the option that names it
 */
SNUG_MUST_USE SnugStatus image_model_network(ImageModel *model, const ImageNetwork *network,
                                             const char *given, ImagePart *out, SnugError *err);
/** Begin to bind a network of a part, which stays until weights_end: its file's spelling counts. */
void image_part_begin(const ImagePart *part, Weights *w, WeightTable *table, const char *name);
/** Is the network in the file `given`, or in the model's file? Folders are not looked into. */
bool image_model_holds(ImageModel *model, const ImageNetwork *network, const char *given);
/** What the network that gives a model its name is: "an SDXL UNet". For messages; static. */
const char *image_model_words(ImageModel *model);
/** scheduler_config.json; absent where the model brings none. */
SNUG_MUST_USE SnugStatus image_model_scheduler(ImageModel *model, Json *out, SnugError *err);
/** Folder or file of a tokenizer: the `given` one, else the folder's. */
SNUG_MUST_USE SnugStatus image_model_tokenizer(ImageModel *model, const char *name,
                                               const char *given, const char **out, SnugError *err);

#endif
