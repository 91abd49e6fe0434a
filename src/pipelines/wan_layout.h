/* wan_layout.h  Where the parts of a Wan model are, in whatever form people have it.
 *
 * | form              | recognised by                                   | parts                        |
 * |-------------------|-------------------------------------------------|------------------------------|
 * | diffusers folder  | model_index.json                                | as it says                   |
 * | original folder   | weight files in it or one folder below, told by | transformer(s) told apart by |
 * |                   | their tensors: .safetensors, .pth, .gguf        | high_noise / low_noise in    |
 * |                   |                                                 | their path                   |
 * | one file          | tensors of all parts in it                      | behind prefixes              |
 * | single files      | given one by one                                | replace those of the folder  |
 *
 * The tokenizer is a folder (tokenizer/, google/umt5-xxl/), a file, or inside the text encoder's
 * file. Opening reads headers only; nothing is executed, no link leads out of the folder. */
#ifndef PIPELINES_WAN_LAYOUT_H
#define PIPELINES_WAN_LAYOUT_H

#include "formats/model_dir.h"
#include "pipelines/wan_file.h"

/** What a user names; all may be NULL. */
typedef struct WanPaths {
    const char *model; /**< folder or file with everything that is not named below */
    /* each a file or folder */
    const char *transformer, *transformer_low, *text_encoder, *vae, *image_encoder, *tokenizer;
} WanPaths;

typedef enum WanRole {
    WAN_TRANSFORMER, /**< the only one, or the one for high noise */
    WAN_TRANSFORMER_LOW,
    WAN_TEXT_ENCODER,
    WAN_VAE,
    WAN_IMAGE_ENCODER, /**< Wan2.1 image to video only */
    WAN_ROLES
} WanRole;

/** One network of a model. */
typedef struct WanPart {
    const char *path;        /**< of its weights; NULL: not there */
    const char *class_name;  /**< as model_index.json says, or NULL */
    const char *marker;      /**< tensor that told what it is; NULL: model_index.json did */
    const char *config_from; /**< "config.json", "tensor shapes", ... */
    const Checkpoint *weights;
    Json config; /**< as diffusers or transformers write it; of an image encoder perhaps absent */
    NameMap names;
} WanPart;

typedef struct WanLayout {
    const char *path; /**< what the user named first */
    const char *form; /**< "diffusers folder", "original Wan folder", "one file", "single files" */
    bool published;   /**< no model_index.json: the published settings of the original apply */
    WanPart part[WAN_ROLES];
    const char *tokenizer; /**< file or folder; NULL: none found */
    bool tokenizer_inside; /**< it is in the text encoder's file */
    Json index;            /**< root of model_index.json, or absent */
    Json scheduler;        /**< scheduler_config.json, or absent */
    Json image_processor;  /**< preprocessor_config.json, or absent */
    const char *warnings;  /**< lines; "" if nothing is odd */
    /* private */
    Arena *arena;
    ModelDir *dir;
    ModelRoot root;
    WanFile *files;
    struct WanLayoutDoc *docs;
    const char *trouble; /* the first file that could not be read, and why */
} WanLayout;

/**
 * Find what there is. Parts that are missing are no failure here: see wan_layout_require.
 * @param arena  the layout's texts live in it; must outlive the layout
 * @return SNUG_ERR_FILE, SNUG_ERR_IO: something named is not there, is malformed, or is another
 *         network than the one it was named as; two files would do and none is preferred.
 *         Release in any case.
 */
SNUG_MUST_USE SnugStatus wan_layout_init(WanLayout *layout, Arena *arena, const WanPaths *paths,
                                         SnugError *err);
void wan_layout_release(WanLayout *layout);

/** "transformer", "transformer_2", "text_encoder", "vae", "image_encoder": the names of diffusers. */
const char *wan_role_name(WanRole role);
/** "transformer", "transformer-low", "text-encoder", "vae", "image-encoder": the options. */
const char *wan_role_flag(WanRole role);
WanNetwork wan_role_network(WanRole role);
/** Everything a run needs that was not found, in words ("" if nothing is missing). */
SNUG_MUST_USE SnugStatus wan_layout_missing(const WanLayout *layout, const char **out,
                                            SnugError *err);
/** SNUG_ERR_FILE with all that is missing, unless the model is complete. */
SNUG_MUST_USE SnugStatus wan_layout_require(const WanLayout *layout, SnugError *err);

#endif
