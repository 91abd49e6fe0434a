/* model_index.h  model_index.json: which pipeline a diffusers folder holds, and of what parts. */
#ifndef FORMATS_MODEL_INDEX_H
#define FORMATS_MODEL_INDEX_H

#include "base/arena.h"
#include "base/json.h"

enum { MODEL_INDEX_MAX_COMPONENTS = 64 };

/** "vae": ["diffusers", "AutoencoderKLWan"] */
typedef struct ModelPart {
    const char *name;       /**< key, and name of the subfolder */
    const char *library;    /**< "diffusers", "transformers", a module; NULL: absent on purpose */
    const char *class_name; /**< NULL: absent on purpose ([null, null]) */
} ModelPart;

typedef struct ModelIndex {
    const char *class_name;        /**< "WanPipeline" */
    const char *class_module;      /**< code the pipeline brings, which is never run; or NULL */
    const char *diffusers_version; /**< or NULL */
    ModelPart *parts;              /**< in the order of the file */
    int32_t n_parts;
} ModelIndex;

/** Read a parsed model_index.json. Texts live in `doc`, the rest in the arena. Other keys, which
 *  are scalars of the pipeline, are read from json_root(doc) by who knows them. */
SNUG_MUST_USE SnugStatus model_index_read(ModelIndex *out, Arena *arena, const JsonDoc *doc,
                                          SnugError *err);

#endif
