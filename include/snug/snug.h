/* snug.h  Run big diffusion pipelines inside a memory budget.
 *
 *     SnugEngine *engine; SnugJob *job; SnugPlan *plan; SnugError err;
 *     snug_engine_open(&engine, &(SnugEngineOptions){ .ram_bytes = 8ull << 30 }, &err);
 *     snug_job_create(&job, engine, "wan-ti2v", &err);
 *     snug_job_set(job, "model", "Wan2.2-TI2V-5B-Diffusers", &err);
 *     snug_job_set(job, "prompt", "a red ball rolls to the right", &err);
 *     snug_job_set(job, "output", "ball.mp4", &err);
 *     snug_plan_create(&plan, job, &err);     // tells first: peak, traffic, time; or refuses
 *     snug_run(job, plan, on_event, NULL, &err);
 *
 * Every call returns a status; on failure the SnugError (which may be NULL) tells what, where and
 * what would do. The library never prints, exits or reads the environment. */
#ifndef SNUG_SNUG_H
#define SNUG_SNUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snug/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SNUG_API __attribute__((visibility("default")))

/** "0.1.0" */
SNUG_API const char *snug_version(void);
/** Exit code of the CLI for a status: 0 done, 1 failed, 2 usage, 3 budget, 4 bad file, 130. */
SNUG_API int snug_exit_code(SnugStatus status);

/* ---- engine --------------------------------------------------------------------------------- */

/** Threads, kernels and the budget. One run at a time; calls from one thread unless said. */
typedef struct SnugEngine SnugEngine;

typedef struct SnugEngineOptions {
    size_t ram_bytes;    /**< hard limit of the process's resident memory; 0: what is free now, less
                             a reserve */
    int threads;         /**< compute threads; 0: one per usable processor */
    const char *isa;     /**< "ref", "avx2", "avx512", "avx512vnni", "avx512bf16", "neon"; NULL: the
                              best here */
    const char *device;  /**< "cpu", or "sim:8GiB,24GB/s": a device made of host memory, with that
                             much of its own behind a link of that speed; NULL: "cpu" */
    size_t vram_bytes;   /**< hard limit of device memory; 0: all that the device has */
    const char *profile; /**< file of snug_profile_measure, for forecasts; NULL: rough defaults */
    bool profile_optional; /**< a profile that is absent, malformed or another machine's is not
                                used, and snug_engine_profile_note says so; else it is an error */
} SnugEngineOptions;

/** *out is NULL after a failure. SNUG_ERR_ARG: an instruction set or device this machine lacks. */
SNUG_API SNUG_MUST_USE SnugStatus snug_engine_open(SnugEngine **out,
                                                   const SnugEngineOptions *options,
                                                   SnugError *err);
/** All jobs and plans of the engine must be freed before. NULL is fine. */
SNUG_API void snug_engine_close(SnugEngine *engine);
/** The budget in force [bytes]. */
SNUG_API size_t snug_engine_ram_bytes(const SnugEngine *engine);
/** Compute threads and instruction set in use. */
SNUG_API int snug_engine_threads(const SnugEngine *engine);
SNUG_API const char *snug_engine_isa(const SnugEngine *engine);

/** Why forecasts are rough: no profile, or one that cannot be used; "" when all is well. */
SNUG_API const char *snug_engine_profile_note(const SnugEngine *engine);
/** The profile in use, as a table for people or as JSON; owned by the engine. */
SNUG_API const char *snug_engine_profile_text(SnugEngine *engine, bool json);

/** "8GiB", "512MiB", "1.5GB" -> bytes. SNUG_ERR_ARG for anything else. */
SNUG_API SNUG_MUST_USE SnugStatus snug_parse_bytes(const char *text, size_t *out, SnugError *err);

/* ---- pipelines and options ------------------------------------------------------------------ */

typedef enum SnugOptionKind {
    SNUG_OPTION_TEXT,
    SNUG_OPTION_PATH,
    SNUG_OPTION_INT,
    SNUG_OPTION_FLOAT,
    SNUG_OPTION_SIZE, /**< WIDTHxHEIGHT [px] */
    SNUG_OPTION_FLAG,
    SNUG_OPTION_SWITCH,  /**< a word; given without one it means "on" */
    SNUG_OPTION_PICTURE, /**< a path, or the file itself: "data:image/png;base64,..." */
    SNUG_OPTION_LIST     /**< texts; each setting adds one, an empty one clears the list */
} SnugOptionKind;

/** One option of a job: the same row makes the flag, the job field, the range check and the help. */
typedef struct SnugOption {
    const char *name; /**< "guidance-low"; NULL ends a table */
    SnugOptionKind kind;
    const char *default_text; /**< NULL: none, or the model's own */
    double min, max;          /**< numbers and sides of sizes */
    const char *value_name;   /**< "N", "FILE" */
    const char *help;
} SnugOption;

/** Name and one line about pipeline `index` (from 0); NULL past the last. */
SNUG_API const char *snug_pipeline_name(int index);
SNUG_API const char *snug_pipeline_summary(int index);
/** Option `index` of a pipeline, those common to all at the end; NULL past the last. */
SNUG_API const SnugOption *snug_pipeline_option(const char *pipeline, int index);

/* ---- job ------------------------------------------------------------------------------------ */

/** One request. */
typedef struct SnugJob SnugJob;

SNUG_API SNUG_MUST_USE SnugStatus snug_job_create(SnugJob **out, SnugEngine *engine,
                                                  const char *pipeline, SnugError *err);
/** A job as a picture tells that it was made: one of snug's, or with the text "parameters" that other
 *  tools write. Options may then be set as with any job.
 *  @param pipeline  NULL: the one that made it (without that word: txt2img)
 *  @return SNUG_ERR_FILE: no PNG, it says nothing, or something that cannot be */
SNUG_API SNUG_MUST_USE SnugStatus snug_job_create_from_image(SnugJob **out, SnugEngine *engine,
                                                             const char *pipeline, const char *path,
                                                             SnugError *err);
/** Name of the job's pipeline. */
SNUG_API const char *snug_job_pipeline(const SnugJob *job);
/** Set an option by name; the text is copied. SNUG_ERR_ARG names the range. */
SNUG_API SNUG_MUST_USE SnugStatus snug_job_set(SnugJob *job, const char *option, const char *value,
                                               SnugError *err);
/** Set options from a JSON object. Its fields are named as the options, with '_' or '-'; strings, numbers,
 *  true and false, arrays for lists; null leaves an option alone. Pictures: a path, base64, or a data
 *  URL. What is not known, of the wrong type or out of range is an error that names file and field;
 *  fields before it are set.
 *  @param name   of the text in messages
 *  @param paths  false: refuse paths, for requests from elsewhere
 *  @return SNUG_ERR_FILE: something is wrong with the text; SNUG_ERR_MEMORY */
SNUG_API SNUG_MUST_USE SnugStatus snug_job_set_json(SnugJob *job, const char *text, size_t n,
                                                    const char *name, bool paths, SnugError *err);
/** The same from a file of at most 16 MiB; paths are taken. */
SNUG_API SNUG_MUST_USE SnugStatus snug_job_set_file(SnugJob *job, const char *path, SnugError *err);
/** Stop the job's run at the next operation. Any thread, also a signal handler. */
SNUG_API void snug_job_cancel(SnugJob *job);
/** NULL is fine; frees nothing of its plans. */
SNUG_API void snug_job_free(SnugJob *job);

/* ---- plan ----------------------------------------------------------------------------------- */

/** What will happen: peak, residency, traffic, time. */
typedef struct SnugPlan SnugPlan;

/**
 * Plan a job without running it: the pipeline's own code is rehearsed on shapes. Reads checkpoint
 * headers and tokenises, reads no weights.
 * @return SNUG_ERR_ARG: impossible request, err names the nearest possible; SNUG_ERR_FILE: a file
 *         is malformed or does not fit; SNUG_ERR_BUDGET: nothing fits, err names the smallest
 *         budget that would
 */
SNUG_API SNUG_MUST_USE SnugStatus snug_plan_create(SnugPlan **out, SnugJob *job, SnugError *err);
SNUG_API void snug_plan_free(SnugPlan *plan);

/** Figures of a plan or a run. */
typedef struct SnugFigures {
    size_t budget_bytes; /**< the limit of host memory */
    size_t
        device_budget_bytes; /**< the limit of device memory; 0: the device has none of its own */
    size_t fixed_bytes;      /**< code, libraries, tables, output writer: not tensors */
    size_t slab_bytes;       /**< planned: activations and weights, to the byte */
    size_t slab_peak_bytes;  /**< measured; 0 in a plan */
    size_t host_slab_bytes;  /**< planned, with a device: weights and frames on their way */
    size_t host_slab_peak_bytes; /**< measured; 0 in a plan */
    size_t process_peak_bytes;   /**< planned bound, or measured peak resident size */
    double moved_bytes;          /**< weights read */
    double bound_bytes;          /**< no schedule could read less */
    double seconds;              /**< predicted or measured */
    double error;         /**< of a prediction: seconds / (1 + error) to seconds * (1 + error) */
    double stall_seconds; /**< predicted or measured: compute waited for weights */
    double flops;
} SnugFigures;
SNUG_API SnugFigures snug_plan_figures(const SnugPlan *plan);
/** A table by stage for people, and the same as JSON; owned by the plan. */
SNUG_API const char *snug_plan_text(const SnugPlan *plan);
SNUG_API const char *snug_plan_json(const SnugPlan *plan);
/** Budget against time, from the smallest feasible to ample: a table, or a JSON array; owned by
 *  the job until the next call. svg_path: also drawn there; may be NULL. */
SNUG_API SNUG_MUST_USE SnugStatus snug_plan_curve(const char **out, SnugJob *job, bool json,
                                                  const char *svg_path, SnugError *err);

/* ---- run ------------------------------------------------------------------------------------ */

typedef enum SnugEventKind {
    SNUG_EVENT_STAGE,    /**< a stage begins */
    SNUG_EVENT_PROGRESS, /**< now and then inside a stage, and at each step */
    SNUG_EVENT_MEMORY,  /**< text: "before load transformer", "after unload vae", "stage denoise" */
    SNUG_EVENT_WARNING, /**< text */
    SNUG_EVENT_OUTPUT,  /**< text: a file was written */
    SNUG_EVENT_DONE     /**< figures are final */
} SnugEventKind;

/** What one tier holds. One tier: "device" is the process's memory, where everything is computed.
 *  Two: "device" is the device's own memory, "host" the process's. */
typedef struct SnugTierUse {
    const char *tier;
    size_t used_bytes;     /**< tensors and weights held now, by the ledger */
    size_t reserved_bytes; /**< taken from the system: resident size, or the device's slab */
    size_t limit_bytes;    /**< the budget */
    size_t peak_bytes;     /**< most that was used so far */
} SnugTierUse;

typedef struct SnugEvent {
    SnugEventKind kind;
    const char *stage;                 /**< name of the stage in progress */
    int step, n_steps;                 /**< step counts from 1; 0: no steps here */
    double fraction;                   /**< of the whole request's work, 0..1 */
    double seconds, seconds_left;      /**< since the start; seconds_left < 0: not known yet */
    size_t memory_bytes, budget_bytes; /**< resident now, and the limit */
    const SnugTierUse *tiers;          /**< [n_tiers] at the moment of the event */
    int n_tiers;
    const char *text;
} SnugEvent;

/** "[before unload vae] device: allocated=1.25GB, reserved=2.00GB, limit=8.00GB" (GB: 2^30 bytes);
 *  returns `to`. The line of the log, the server and reports. */
SNUG_API const char *snug_memory_line(char *to, size_t room, const char *label,
                                      const SnugTierUse *tier);

/** Called on the thread of snug_run. The event lives during the call. */
typedef void SnugEventFunction(void *context, const SnugEvent *event);

/**
 * Run a job as planned. Output files appear under their final names only when complete.
 * @param plan      a plan of this job as it is set now
 * @param on_event  may be NULL
 * @return SNUG_ERR_CANCELLED after snug_job_cancel; SNUG_ERR_FILE, SNUG_ERR_IO, SNUG_ERR_NUMERIC
 */
SNUG_API SNUG_MUST_USE SnugStatus snug_run(SnugJob *job, const SnugPlan *plan,
                                           SnugEventFunction *on_event, void *context,
                                           SnugError *err);
/** Why the result of the last run is a substitute (a warning said so, too); "": it is none. */
SNUG_API const char *snug_job_degraded(const SnugJob *job);
/** What became of a job as JSON: status (completed, failed, stopped), degraded, message, exit_code,
 *  elapsed_sec, bytes_read, seed, final_result (path), parameters as the result's file has them. Free with
 *  snug_text_free.
 *  @param status, why  what planning or running ended with */
SNUG_API SNUG_MUST_USE SnugStatus snug_job_result(char **out, const SnugJob *job, SnugStatus status,
                                                  const SnugError *why, SnugError *err);
/** Measured figures of the last run. */
SNUG_API SnugFigures snug_job_figures(const SnugJob *job);
/** Where the memory went in the last run, a table for people; owned by the job. */
SNUG_API const char *snug_job_memory_text(const SnugJob *job);

/* ---- machine -------------------------------------------------------------------------------- */

typedef struct SnugMeasureOptions {
    const char *path;        /**< the profile is written there; NULL: it is only used */
    const char *disk_folder; /**< its disk is measured with a file that is removed again */
    bool quick;              /**< small shapes, one call each, for tests: rates are rough */
} SnugMeasureOptions;

/**
 * Measure this machine: matrix products by rows and stored type, attention, convolution, memory,
 * disk; about 20 s. The engine uses the result from then on. Takes 224 MiB beside the budget.
 * @param on_event  SNUG_EVENT_PROGRESS with what is measured in `stage`; may be NULL
 */
SNUG_API SNUG_MUST_USE SnugStatus snug_profile_measure(SnugEngine *engine,
                                                       const SnugMeasureOptions *options,
                                                       SnugEventFunction *on_event, void *context,
                                                       SnugError *err);

/** One attention: `batch` problems of `length` queries and keys in `heads` heads of `dim`. */
typedef struct SnugAttentionBench {
    int batch, length, heads, dim;
    int runs; /**< timed calls after one that is not, 1 to SNUG_BENCH_RUNS */
} SnugAttentionBench;
enum { SNUG_BENCH_RUNS = 1000000 };
/** What one call took. */
typedef struct SnugBench {
    double best_seconds, median_seconds, mean_seconds;
    double flops;        /**< of one call */
    size_t memory_bytes; /**< operands, results and workspace */
} SnugBench;
/** SNUG_ERR_ARG: out of range; SNUG_ERR_BUDGET: the operands do not fit the engine's budget. */
SNUG_API SNUG_MUST_USE SnugStatus snug_bench_attention(SnugBench *out, SnugEngine *engine,
                                                       const SnugAttentionBench *options,
                                                       SnugError *err);

/* ---- models --------------------------------------------------------------------------------- */

/** What a folder or file holds: components, classes, tensors, dtypes, sizes, as text; free with
 *  snug_text_free. Reads headers only. */
SNUG_API SNUG_MUST_USE SnugStatus snug_models_inspect(char **out, const char *path, bool json,
                                                      bool tensors, SnugError *err);
SNUG_API void snug_text_free(char *text);

/** Font files below folders and the scripts that they can write, as a table or as JSON; free with
 *  snug_text_free.
 *  @param folders  ends with NULL; NULL: where Debian's packages put fonts */
SNUG_API SNUG_MUST_USE SnugStatus snug_fonts_list(char **out, const char *const *folders, bool json,
                                                  SnugError *err);

/** What a verification found. */
typedef struct SnugVerified {
    int files, tensors;
    double bytes;
    int checksums; /**< files whose checksum was known and right */
    char what[96]; /**< "FLUX", "a T5 text encoder"; "": nothing that is known */
} SnugVerified;
/**
 * Read every tensor of a folder or file: data that cannot be read, NaN and infinity, and checksums
 * where there are some (CRC of torch archives; FILE.sha256, SHA256SUMS; names in a hub's cache).
 * @param cancel  not NULL: stop with SNUG_ERR_CANCELLED when it becomes non-zero
 * @return SNUG_ERR_FILE names the first tensor or file that is wrong
 */
SNUG_API SNUG_MUST_USE SnugStatus snug_models_verify(SnugVerified *out, const char *path,
                                                     SnugEventFunction *on_event, void *context,
                                                     const volatile int *cancel, SnugError *err);

typedef struct SnugConvertOptions {
    const char *input; /**< weight file, index of shards, or a folder with one of them */
    /** ".safetensors", ".gguf", or a folder: with config.json, as diffusers and transformers load it */
    const char *output;
    const char *form; /**< "nf4", "q4_k", ...: snug_convert_form */
    const char *const
        *keep; /**< [n_keep] tensors with one of these in their names stay as they are */
    int n_keep;
    bool all;                   /**< quantise embeddings, first and last layers, too */
    size_t shard_bytes;         /**< 0: one file */
    int threads;                /**< 0: one per usable processor */
    const volatile int *cancel; /**< not NULL: stop with SNUG_ERR_CANCELLED when it is not 0 */
} SnugConvertOptions;

typedef struct SnugConverted {
    int tensors, changed, files;
    double read_bytes, written_bytes, seconds;
} SnugConverted;

/** Name and one line about form `index` (from 0); NULL past the last. */
SNUG_API const char *snug_convert_form(int index);
SNUG_API const char *snug_convert_form_summary(int index);
/**
 * Write weights in another form, tensor by tensor: memory does not grow with the file (scales of one
 * tensor, and 64 MiB). Files appear complete or not at all.
 * @param on_event  SNUG_EVENT_PROGRESS; may be NULL
 * @return SNUG_ERR_ARG: no such form, or not in such a file; SNUG_ERR_FILE, SNUG_ERR_IO
 */
SNUG_API SNUG_MUST_USE SnugStatus snug_convert(SnugConverted *out,
                                               const SnugConvertOptions *options,
                                               SnugEventFunction *on_event, void *context,
                                               SnugError *err);

#ifdef __cplusplus
}
#endif
#endif
