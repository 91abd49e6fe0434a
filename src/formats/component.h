/* component.h  One folder of a pipeline: its configuration and its weights.
 *
 * Which weight file? With variant V and stem S ("diffusion_pytorch_model", "model"):
 *     S.V.safetensors | S.safetensors.index.V.json | S.safetensors.V.index.json   then, warned of,
 *     S.safetensors   | S.safetensors.index.json
 * and where there is none of these, the same with ".bin" (pickled; S also "pytorch_model"), then the
 * variants fp16 and bf16 of all of them.
 * Where single file and index both exist, diffusers takes the index and transformers the single
 * file; so do we, with a warning. */
#ifndef FORMATS_COMPONENT_H
#define FORMATS_COMPONENT_H

#include "base/json.h"
#include "formats/checkpoint.h"
#include "formats/model_root.h"

typedef enum ComponentKind {
    COMPONENT_MODEL,     /* config.json and weights */
    COMPONENT_SCHEDULER, /* scheduler_config.json */
    COMPONENT_TOKENIZER, /* tokenizer_config.json, if there is one, and vocabulary files */
    COMPONENT_PROCESSOR  /* preprocessor_config.json, if there is one */
} ComponentKind;

/** What is known beforehand; all may be NULL. Texts are copied. */
typedef struct ComponentHints {
    const char *library;    /**< "diffusers", "transformers" */
    const char *class_name; /**< decides the kind; NULL: by the configuration that is there */
    const char *variant;    /**< "fp16"; falls back to the plain file */
    const ModelRoot *root;  /**< where files may lie; NULL: anywhere. Outlives the component */
} ComponentHints;

typedef struct Component {
    const char *path;       /**< the folder */
    const char *library;    /**< or NULL */
    const char *class_name; /**< or NULL */
    ComponentKind kind;
    Json config;          /**< absent view if the kind may do without and does */
    Checkpoint *weights;  /**< NULL unless COMPONENT_MODEL */
    const char *warnings; /**< what is odd, one line each; "" if nothing is */
    /* private */
    Arena arena;
    JsonDoc *doc;
    const ModelRoot *root;
} Component;

/** Open a folder: configuration is parsed, weight headers are read and checked, no data. */
SNUG_MUST_USE SnugStatus component_open(Component **out, Heap *heap, const char *dir,
                                        const ComponentHints *hints, SnugError *err);
void component_close(Component *component);

/** Path of another file in the folder ("tokenizer.json"); *out is NULL when it is not there. */
SNUG_MUST_USE SnugStatus component_file(Component *component, const char *name, const char **out,
                                        SnugError *err);

#endif
