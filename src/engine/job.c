/* job.c  A request: options by name, and the open files behind it. */
#include "engine/engine.h"
#include "engine/resume.h"

#include <stdio.h>
#include <string.h>

#include "engine/from_image.h"
#include "engine/method.h"
#include "engine/weight_values.h"
#include "memory/process.h"

#define AT(field) offsetof(CommonRequest, field)

/* clang-format off */
const Option JOB_OPTIONS[] = {
    { { "output",       SNUG_OPTION_PATH, NULL, 0, 0, "FILE", "result: .mp4 .webm .gif .png (grid) .npy (f32 [F, H, W, 3] in 0..1), or a folder for PNGs" }, AT(output) },
    { { "audio",        SNUG_OPTION_PATH, NULL, 0, 0, "FILE", "sound track for .mp4 (AAC) and .webm (Opus); the file ends with the shorter of sound and video" }, AT(audio) },
    { { "save-latents", SNUG_OPTION_PATH, NULL, 0, 0, "FILE", "write the final latents as .npy [C, T, h, w]" }, AT(save_latents) },
    { { "taps",         SNUG_OPTION_PATH, NULL, 0, 0, "DIR",  "write intermediates as .npy for comparison" }, AT(taps) },
    { { "checkpoint",   SNUG_OPTION_PATH, NULL, 0, 0, "DIR",  "keep the state of the run in this folder; the same request goes on from there, with the same bits" }, AT(checkpoint) },
    { { "checkpoint-every", SNUG_OPTION_INT, "1", 1, 1000, "N", "keep the state after every N denoising steps" }, AT(checkpoint_every) },
    { { "dtype",        SNUG_OPTION_TEXT, "auto", 0, 0, "TYPE", "type to compute in: auto, f32; int8: large layers of transformers in bytes, faster, another result; bf16: the same layers in bf16, for processors with AVX-512-BF16; f16: refused" }, AT(dtype) },
    { { "preview",      SNUG_OPTION_PATH, NULL, 0, 0, "FILE", "small PNG of the latent, rewritten after each step" }, AT(preview) },
    { { "report",       SNUG_OPTION_PATH, NULL, 0, 0, "FILE", "write plan and measurements: .json, or .html to look at" }, AT(report) },
    { { "memory-mode",  SNUG_OPTION_TEXT, "auto", 0, 0, "MODE", "auto: fastest that fits; lightweight: least memory; beefy: each weight is read once, or refused" }, AT(constraints.memory_mode) },
    { { "auto-unload",  SNUG_OPTION_SWITCH, NULL, 0, 0, "[=on|off|PART]", "give weights up at each stage's end (of ad: each step's): always, never, or when more than that part of the budget is held; default: auto, for ad on" }, AT(constraints.auto_unload) },
    { { "auto-unload-threshold", SNUG_OPTION_TEXT, NULL, 0, 0, "PART", "the same part beside --auto-unload=off; with on it says nothing" }, AT(constraints.auto_unload_threshold) },
    { { "offload",      SNUG_OPTION_TEXT, "auto", 0, 0, "HOW", "none: no weight is read twice while its stage runs; model: and all go at its end; sequential: read for each use" }, AT(constraints.offload) },
    { { "vae-tiling",   SNUG_OPTION_SWITCH, "auto", 0, 0, "[=on|off]", "VAE in bands of rows, exact" }, AT(constraints.vae_tiling) },
    { { "vae-slicing",  SNUG_OPTION_SWITCH, "auto", 0, 0, "[=on|off]", "VAE frame by frame" }, AT(constraints.vae_slicing) },
    { { "attention-slicing", SNUG_OPTION_SWITCH, "auto", 0, 0, "[=on|off]", "transformer rows in chunks" }, AT(constraints.attention_slicing) },
    { { "text-encoder-device", SNUG_OPTION_TEXT, "auto", 0, 0, "NAME", "cpu: the text encoder takes no device memory" }, AT(constraints.text_encoder_device) },
    { { NULL, SNUG_OPTION_TEXT, NULL, 0, 0, NULL, NULL }, 0 },
};
/* clang-format on */

const char *snug_pipeline_name(int index)
{
    const Pipeline *p = pipeline_at(index);
    return p ? p->name : NULL;
}

const char *snug_pipeline_summary(int index)
{
    const Pipeline *p = pipeline_at(index);
    return p ? p->summary : NULL;
}

const SnugOption *snug_pipeline_option(const char *pipeline, int index)
{
    const Pipeline *p = pipeline_find(pipeline);
    const Option *tables[] = { p ? p->options : NULL, JOB_OPTIONS };
    for (int t = 0; t < 2 && index >= 0; t++)
        for (const Option *o = tables[t]; o && o->public_part.name; o++)
            if (index-- == 0) return &o->public_part;
    return NULL;
}

static SnugStatus unknown_pipeline(const char *name, SnugError *err)
{
    (void)error_set(err, SNUG_ERR_ARG, "pipeline \"%.50s\" is not known; there are:", name);
    for (int i = 0; err && pipeline_at(i); i++) {
        const size_t used = strlen(err->text);
        (void)strncat(err->text, " ", sizeof err->text - used - 1);
        (void)strncat(err->text, pipeline_at(i)->name, sizeof err->text - used - 2);
    }
    return SNUG_ERR_ARG;
}

static SnugStatus fill_defaults(SnugJob *job, SnugError *err)
{
    job->request = arena_take(&job->request_arena, job->pipeline->request_bytes);
    if (!job->request) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    TRY(option_defaults(job->pipeline->options, job->request, &job->request_arena, err));
    return option_defaults(JOB_OPTIONS, &job->common, &job->request_arena, err);
}

SnugStatus snug_job_create(SnugJob **out, SnugEngine *engine, const char *pipeline, SnugError *err)
{
    *out = NULL;
    const Pipeline *p = pipeline_find(pipeline);
    if (!p) return unknown_pipeline(pipeline, err);
    SnugJob *job = heap_take(engine->heap, sizeof *job, "job");
    if (!job) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    job->engine = engine;
    job->pipeline = p;
    arena_init(&job->request_arena, engine->heap, "request");
    arena_init(&job->arena, engine->heap, "job");
    const SnugStatus status = fill_defaults(job, err);
    if (status == SNUG_OK)
        *out = job;
    else
        snug_job_free(job);
    return status;
}

SnugStatus snug_job_set(SnugJob *job, const char *option, const char *value, SnugError *err)
{
    const Option *o = option_find(job->pipeline->options, option);
    void *request = job->request;
    if (!o) {
        o = option_find(JOB_OPTIONS, option);
        request = &job->common;
    }
    if (!o)
        return error_set(err, SNUG_ERR_ARG, "--%.50s is not an option of %s", option,
                         job->pipeline->name);
    TRY(option_parse(o, request, &job->request_arena, value, err));
    if (request == job->request) TRY(from_image_note(job, option, value, err));
    job->version++;
    job_unprepare(job);
    return SNUG_OK;
}

const char *snug_job_pipeline(const SnugJob *job)
{
    return job->pipeline->name;
}

void snug_job_cancel(SnugJob *job)
{
    atomic_store(&job->cancel, true);
}

void snug_job_free(SnugJob *job)
{
    if (!job) return;
    Heap *heap = job->engine->heap;
    job_unprepare(job);
    heap_give(heap, job->memory_text);
    heap_give(heap, job->curve_text);
    arena_release(&job->arena);
    arena_release(&job->request_arena);
    heap_give(heap, job);
}

static SnugStatus list_units(SnugJob *job, SnugError *err)
{
    job->unit_bytes = arena_array(&job->arena, (size_t)job->weights.n_units + 1, sizeof(size_t));
    if (!job->unit_bytes) return error_set(err, SNUG_ERR_MEMORY, "no memory for a job");
    for (int32_t i = 0; i < job->weights.n_units; i++)
        job->unit_bytes[i] = job->weights.units[i].bytes;
    return SNUG_OK;
}

/* What the pipeline does where nobody says what becomes of weights. */
static void default_unload(SnugJob *job)
{
    PlanConstraints *c = &job->constraints;
    if (job->common.constraints.auto_unload || !job->pipeline->auto_unload) return;
    if (constraints_open(c)) c->unload = UNLOAD_ALWAYS;
}

static SnugStatus check_phases(SnugJob *job, SnugError *err)
{
    const PipelinePhases *p = job->info.phases;
    return p ? constraints_phases(&job->constraints, p->unload, p->n, err) : SNUG_OK;
}

static SnugStatus check_request(SnugJob *job, SnugError *err)
{
    const CommonRequest *c = &job->common;
    TRY(constraints_parse(&job->constraints, &c->constraints, err));
    default_unload(job);
    if (job->constraints.text_encoder_on_host && job->engine->device.memory)
        return error_set(err, SNUG_ERR_ARG,
                         "--text-encoder-device cpu: on device %s all networks run on the device; "
                         "the text encoder's weights leave it when its stage ends",
                         job->engine->device.name);
    if (c->report && c->output && strcmp(c->report, c->output) == 0)
        return error_set(err, SNUG_ERR_ARG, "--report and --output name the same file, %s",
                         c->report);
    return SNUG_OK;
}

/* The page cache may keep the weights if there is room for them beside this run, which takes its
 * budget or, where that is ample, the weights and half as much again. Otherwise they would push out
 * what others have there, and be gone before they are read again. */
static void look_at_cache(SnugJob *job)
{
    size_t weights = 0;
    for (int32_t i = 0; i < job->weights.n_units; i++)
        weights += job->unit_bytes[i];
    const size_t ample = weights + weights / 2, ram = job->engine->ram_bytes;
    job->weights.keep_cached = process_available_bytes() > weights + (ram < ample ? ram : ample);
    job->cached = weight_table_cached(&job->weights);
}

SnugStatus job_prepare(SnugJob *job, SnugError *err)
{
    if (job->prepared) return SNUG_OK;
    TRY(check_request(job, err));
    job->info = (PipelineInfo){ 0 };
    weight_table_init(&job->weights, &job->arena);
    job->context = (PipelineContext){ .heap = job->engine->heap,
                                      .arena = &job->arena,
                                      .weights = &job->weights,
                                      .values = weight_values,
                                      .preview = job->common.preview != NULL };
    SnugStatus status = method_choose(job, err);
    if (status == SNUG_OK) status = resume_open(job, err);
    if (status == SNUG_OK)
        status = job->pipeline->open(&job->prepared, &job->context, job->request, &job->info, err);
    if (status == SNUG_ERR_IO) status = SNUG_ERR_FILE; /* what is opened here was named as input */
    if (status != SNUG_OK && job->source) status = error_wrap(err, status, "%s: ", job->source);
    if (status == SNUG_OK) status = method_check(job, err);
    if (status == SNUG_OK) status = check_phases(job, err);
    if (status == SNUG_OK) status = list_units(job, err);
    if (status == SNUG_OK) look_at_cache(job);
    if (status != SNUG_OK) job_unprepare(job);
    return status;
}

void job_unprepare(SnugJob *job)
{
    if (job->prepared) job->pipeline->close(job->prepared);
    job->prepared = NULL;
    resume_close(job->resume);
    job->resume = NULL;
    arena_release(&job->arena);
}

SnugFigures snug_job_figures(const SnugJob *job)
{
    return job->figures;
}

const char *snug_job_degraded(const SnugJob *job)
{
    return job->degraded;
}

const char *snug_job_memory_text(const SnugJob *job)
{
    return job->memory_text ? job->memory_text : "";
}
