/* model_dir.h  A pipeline's folder as diffusers saves it: model_index.json and one subfolder per
 * component. Nothing in it is ever executed; links must not lead out of it (model_root.h). */
#ifndef FORMATS_MODEL_DIR_H
#define FORMATS_MODEL_DIR_H

#include "formats/component.h"
#include "formats/model_index.h"

typedef struct ModelDir ModelDir;

typedef struct ModelDirOptions {
    const char *variant; /**< "fp16"; NULL: the plain files */
    bool follow_links;   /**< the user allows symbolic links that lead anywhere */
} ModelDirOptions;

/** Read model_index.json. `options` may be NULL. */
SNUG_MUST_USE SnugStatus model_dir_open(ModelDir **out, Heap *heap, const char *path,
                                        const ModelDirOptions *options, SnugError *err);
/** Closes its components, too. */
void model_dir_close(ModelDir *dir);

const char *model_dir_path(const ModelDir *dir);
const ModelIndex *model_dir_index(const ModelDir *dir);
/** The root of model_index.json: scalars of the pipeline. */
Json model_dir_json(const ModelDir *dir);
/** Is the component named in the index, and not absent on purpose? */
bool model_dir_has(const ModelDir *dir, const char *name);
/** Open a component; the first call opens it, later ones return the same. It belongs to `dir`.
 *  Threads: one at a time. */
SNUG_MUST_USE SnugStatus model_dir_component(ModelDir *dir, const char *name, Component **out,
                                             SnugError *err);

#endif
