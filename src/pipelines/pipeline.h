/* pipeline.h  What the engine knows of a pipeline: options, preparation, recipe. */
#ifndef PIPELINES_PIPELINE_H
#define PIPELINES_PIPELINE_H

#include "compute/run.h"
#include "media/image.h"
#include "nn/weights.h"
#include "pipelines/option.h"

/** What is handed out for --checkpoint when a number of steps is done: one run_output named "keep" for
 *  each tensor, all f32 of one shape, in the order of `names`. The pipeline fills this before. */
enum { PIPELINE_MAX_KEPT = 8 };
typedef struct PipelineKeep {
    int64_t step; /**< steps taken */
    int n;
    const char *names[PIPELINE_MAX_KEPT]; /**< rising by bytes; static */
} PipelineKeep;

/** Values first .. first + n of a weight, in their order. */
typedef SnugStatus WeightTake(void *context, int64_t first, int64_t n, const float *values,
                              SnugError *err);
/** Reads a weight of a network that was bound, from its file, and hands its values over piece by piece
 *  as the kernels compute with them; what LoRA files add is left out. */
typedef SnugStatus WeightValues(Heap *heap, const Weight *weight, WeightTake *take, void *context,
                                SnugError *err);

/** What a pipeline may use while it prepares. */
typedef struct PipelineContext {
    Heap *heap;
    Arena *arena;         /**< lives as long as the job is prepared */
    WeightTable *weights; /**< networks are bound here */
    WeightValues *values; /**< for the few that decide what the recipe does */
    bool preview;         /**< hand out "preview" at each step */
    int64_t keep_every; /**< hand out the state after so many steps, and after the last; 0: never */
    PipelineKeep *keep; /**< to be filled then; NULL: never */
    const Checkpoint
        *resumed;         /**< state that was kept by an earlier run of this request, or NULL */
    int64_t resumed_step; /**< steps it has taken, at least 1 */
} PipelineContext;

/** Phases of a request (run_phase), for --auto-unload. Index 0 is not used. */
enum { PIPELINE_MAX_PHASES = 7, PIPELINE_PHASE_LINES = 6 };
typedef struct PipelinePhases {
    int n;
    const char *unload[PIPELINE_MAX_PHASES + 1]; /**< words of the request: "on", "off"; or NULL */
    /** What is logged where the phase's weights go: first before, the others after. */
    const char *const *lines[PIPELINE_MAX_PHASES + 1];
} PipelinePhases;

/** What the engine needs to know of the result. */
typedef struct PipelineInfo {
    int64_t frames;           /**< of the video, or pictures */
    int64_t pictures;         /**< > 0: the result are so many pictures, each for itself */
    const char *const *texts; /**< [pictures] how each was made, for its file */
    const int64_t *seeds;     /**< [pictures] */
    int width, height;
    /** What frames - 1 and sides are multiples of, for naming requests that would fit; 0: fixed. */
    int64_t frames_step;
    int width_step, height_step;
    double fps;
    int64_t rows;  /**< transformer rows that may be chunked */
    bool guided;   /**< two branches: lock-step is a choice */
    bool camera;   /**< a camera moves every block: what it says may be shared by branches */
    bool by_heads; /**< self-attention may go by groups of heads */
    bool coarse;   /**< it has layers that bear a coarse arithmetic */
    int latent_width, latent_height, latent_channels;
    const float *latent_rgb;      /**< [channels + 1, 3]: factors, then bias; NULL: unknown */
    const PipelinePhases *phases; /**< NULL: none */
    size_t result_bytes;          /**< what `picture` and writing its result take at most */
    /** What is left out on purpose ("step cache ..."), for plan, report and the result's metadata: in
     *  words, one line, and as a member of a JSON object; NULL: nothing. */
    const char *shortcut, *shortcut_json;
} PipelineInfo;

struct About;

/** A job file's name for an option, where it is another one. */
typedef struct PipelineField {
    const char *field, *option;
    bool plain; /**< names without a folder are taken where paths are not */
} PipelineField;

/** A recipe and its table. Adding one: its file, and a row in registry.c. */
typedef struct Pipeline {
    const char *name, *summary;
    const Option *options; /**< ends with a row without a name */
    size_t request_bytes;
    bool auto_unload;            /**< weights go at the end of a phase unless asked otherwise */
    const PipelineField *fields; /**< ends with a row without a name; NULL: none */
    /** Check the request, open files (headers only), bind weights, tokenise. *out lives in the
     *  context's arena; after a failure it is NULL and nothing is left open. */
    SnugStatus (*open)(void **out, PipelineContext *context, void *request, PipelineInfo *info,
                       SnugError *err);
    /** The recipe: rehearsed and run. Outputs: "frame" i [1, H, W, 3] in -1..1, "latents"
     *  [T or pictures, h, w, C], "preview" step [T, h, w, C]. */
    void (*recipe)(Run *r, void *self);
    /** Make the picture that is written from the values of "frame", which may then be of any shape:
     *  released by the caller, empty after a failure. NULL: "frame" is the picture. Such pipelines
     *  write PNG files only. */
    SnugStatus (*picture)(void *self, const float *frame, Image *out, SnugError *err);
    /** A run that failed, not for memory and not by the caller's wish, may still have something to
     *  show: *out, released by the caller. Fails where it has not. NULL: never. */
    SnugStatus (*rescue)(void *self, Image *out, SnugError *err);
    void (*close)(void *self);
    /** Say what lies at that path, if it is a model of this pipeline: see about.h. Pipelines that
     *  share it leave it to the first of them; NULL: says nothing. */
    SnugStatus (*about)(struct About *about, const char *path, SnugError *err);
} Pipeline;

extern const Pipeline PIPELINE_WAN_T2V, PIPELINE_WAN_I2V, PIPELINE_WAN_TI2V;
extern const Pipeline PIPELINE_TXT2IMG, PIPELINE_IMG2IMG, PIPELINE_INPAINT, PIPELINE_CUTOUT,
    PIPELINE_AD;

/** Pipelines in order of listing; NULL past the last. */
const Pipeline *pipeline_at(int index);
const Pipeline *pipeline_find(const char *name);

#endif
