/* about.h  What a folder or file is, said by the pipeline that can use it: for `snug models inspect`.
 *
 * A pipeline's `about` looks at a path as its `open` would, binds what is there, and tells what it
 * found, what it was told by, what is missing and what does not fit. Headers only. */
#ifndef PIPELINES_ABOUT_H
#define PIPELINES_ABOUT_H

#include "formats/checkpoint.h"
#include "pipelines/pipeline.h"

enum { ABOUT_MAX_PARTS = 8, ABOUT_MAX_SETTINGS = 16 };

/** One network. Texts may be NULL where nothing is known. */
typedef struct AboutPart {
    const char *role;        /**< "transformer": as diffusers calls it */
    const char *words;       /**< "a Wan transformer" */
    const char *path;        /**< of its weights */
    const char *class_name;  /**< as model_index.json says */
    const char *names;       /**< how its tensors are spelled: "original Wan names" */
    const char *told_by;     /**< the tensor that told; NULL: model_index.json did */
    const char *config_from; /**< "config.json", "tensor shapes" */
    const char *sizes;       /**< "30 blocks of width 3072, ..." */
    const char *problem;     /**< why it cannot be used */
    const Checkpoint *weights;
} AboutPart;

/** "steps", "50" */
typedef struct AboutSetting {
    const char *name, *value;
} AboutSetting;

/** Everything lives in `arena`, or as long as `owner` is not closed. */
typedef struct About {
    Arena arena;
    const char *form;     /**< "original Wan folder" */
    const char *model;    /**< "Wan2.2 TI2V-5B"; NULL: cannot be told from what is there */
    const char *words;    /**< "text to video" */
    const char *pipeline; /**< "wan-t2v" */
    AboutPart part[ABOUT_MAX_PARTS];
    int n_parts;
    AboutSetting setting[ABOUT_MAX_SETTINGS]; /**< what a run without options takes */
    int n_settings;
    const char *tokenizer; /**< file or folder */
    const char *missing;   /**< what a run needs beside it, in words; "": nothing */
    const char *problem;   /**< why the parts do not make a model, or why there are none */
    const char *warnings;  /**< lines */
    void *owner;           /* whose files are open */
    void (*close)(void *owner);
} About;

/**
 * Ask the pipelines in turn.
 * @param about  n_parts is 0 afterwards when no pipeline knows what lies there; release in any case
 * @return SNUG_ERR_FILE, SNUG_ERR_IO: of a pipeline's model, but something cannot be read
 */
SNUG_MUST_USE SnugStatus about_init(About *about, Heap *heap, const char *path, SnugError *err);
void about_release(About *about);

/* ---- for the pipelines ---------------------------------------------------------------------- */

/** What a pipeline looks with. */
typedef struct AboutLook {
    PipelineContext context;
    WeightTable table;
} AboutLook;

void about_look_init(AboutLook *look, About *about);
/** Keep open what a look has found, or close it if it is not ours or the look failed.
 *  @return `status` */
SnugStatus about_look_end(About *about, SnugStatus status, bool ours, void *owner,
                          void (*close)(void *owner));

/** Keep why something cannot be used; SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus about_problem(About *about, const char **out, const SnugError *why,
                                       const char *path, SnugError *err);
SnugStatus about_no_memory(const char *path, SnugError *err);
/** A setting, formatted; SNUG_ERR_MEMORY. */
__attribute__((format(printf, 4, 5))) SNUG_MUST_USE SnugStatus
about_setting(About *about, const char *name, SnugError *err, const char *format, ...);

#endif
