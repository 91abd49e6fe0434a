/* output.c  Sorting the recipe's outputs: "frame", "latents", "preview", and taps by any other name. */
#include "engine/output.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/outfile.h"
#include "engine/from_image.h"
#include "engine/resume.h"
#include "formats/npy_write.h"
#include "media/picture_files.h"
#include "media/preview.h"
#include "media/video.h"

struct Output {
    SnugJob *job;
    VideoWriter *video;
    PictureFiles *pictures;
    float *frame; /* [H, W, 3] in 0..1 */
    float *small; /* preview, [h, w, 3] */
    int64_t n_frames;
};

static VideoOptions video_options(const SnugJob *job)
{
    return (VideoOptions){ .width = job->info.width,
                           .height = job->info.height,
                           .fps = job->info.fps,
                           .n_frames = job->info.frames,
                           .comment = job->method };
}

/* Pictures go into PNG files, each for itself, or as one array into .npy. */
static bool in_png_files(const SnugJob *job, VideoFormat format)
{
    return job->info.pictures && (format == VIDEO_SHEET || format == VIDEO_FOLDER);
}

static SnugStatus check_format(const SnugJob *job, VideoFormat format, SnugError *err)
{
    if (job->info.pictures && !in_png_files(job, format) && format != VIDEO_NPY)
        return error_set(err, SNUG_ERR_ARG,
                         "--output %s: %s makes pictures: .png, .npy, or a folder",
                         job->common.output, job->pipeline->name);
    if (job->pipeline->picture && !in_png_files(job, format))
        return error_set(err, SNUG_ERR_ARG, "--output %s: %s makes a .png", job->common.output,
                         job->pipeline->name);
    if (job->common.audio && format != VIDEO_MP4 && format != VIDEO_WEBM)
        return error_set(err, SNUG_ERR_ARG, "--audio: only .mp4 and .webm carry sound");
    return SNUG_OK;
}

SnugStatus output_memory_bytes(SnugJob *job, size_t *out, SnugError *err)
{
    *out = (size_t)job->info.width * (size_t)job->info.height * 3 * sizeof(float) +
           job->info.result_bytes;
    if (!job->common.output && job->common.audio)
        return error_set(err, SNUG_ERR_ARG, "--audio needs an --output that ends in .mp4 or .webm");
    if (!job->common.output) return SNUG_OK;
    VideoFormat format;
    const VideoOptions options = video_options(job);
    SnugStatus status = video_format_of_path(&format, job->common.output, err);
    if (status != SNUG_OK) return error_wrap(err, status, "--output: ");
    TRY(check_format(job, format, err));
    *out +=
        in_png_files(job, format)
            ? picture_files_memory_bytes(job->info.width, job->info.height, (int)job->info.pictures)
            : video_writer_memory_bytes(format, &options, job->common.audio != NULL);
    return SNUG_OK;
}

static SnugStatus make_folder(const char *path, SnugError *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return SNUG_OK;
    return error_set(err, SNUG_ERR_IO, "%s: cannot make this folder: %s", path, strerror(errno));
}

/* A file that is written much later: say now that it cannot be. */
static SnugStatus try_place(Heap *heap, const char *path, SnugError *err)
{
    OutFile *file = NULL;
    if (!path) return SNUG_OK;
    const SnugStatus status = outfile_open(&file, heap, path, err);
    outfile_close(file);
    return status;
}

static SnugStatus open_result(Output *o, SnugError *err)
{
    const PipelineInfo *info = &o->job->info;
    const CommonRequest *c = &o->job->common;
    Heap *heap = o->job->engine->heap;
    const VideoOptions options = video_options(o->job);
    VideoFormat format;
    TRY(video_format_of_path(&format, c->output, err));
    if (in_png_files(o->job, format))
        return picture_files_open(&o->pictures, heap, c->output, (int)info->pictures, info->seeds,
                                  info->width, info->height, err);
    TRY(video_writer_open(&o->video, heap, c->output, &options, err));
    if (!c->audio) return SNUG_OK;
    SnugStatus status = video_writer_add_audio(o->video, c->audio, 1, err);
    if (status == SNUG_ERR_IO) status = SNUG_ERR_FILE; /* it was named as input */
    return error_wrap(err, status, "--audio: ");
}

static SnugStatus open_files(Output *o, SnugError *err)
{
    const PipelineInfo *info = &o->job->info;
    const CommonRequest *c = &o->job->common;
    Heap *heap = o->job->engine->heap;
    const size_t values = (size_t)info->width * (size_t)info->height * 3;
    o->frame = heap_take(heap, values * sizeof(float), "output");
    if (c->preview)
        o->small = heap_take(
            heap, (size_t)info->latent_width * (size_t)info->latent_height * 3 * sizeof(float),
            "output");
    if (!o->frame || (c->preview && !o->small))
        return error_set(err, SNUG_ERR_MEMORY, "no memory for the output");
    TRY(resume_begin(o->job->resume, err));
    TRY(try_place(heap, c->save_latents, err));
    TRY(try_place(heap, c->preview, err));
    TRY(try_place(heap, c->report, err));
    if (c->taps) TRY(make_folder(c->taps, err));
    if (c->preview && !info->latent_rgb)
        return error_set(err, SNUG_ERR_ARG,
                         "--preview: this model brings no latent_rgb_factors for previews");
    if (!c->output) return SNUG_OK;
    return open_result(o, err);
}

SnugStatus output_open(Output **out, SnugJob *job, SnugError *err)
{
    *out = NULL;
    Output *o = heap_take(job->engine->heap, sizeof *o, "output");
    if (!o) return error_set(err, SNUG_ERR_MEMORY, "no memory for the output");
    o->job = job;
    const SnugStatus status = open_files(o, err);
    if (status == SNUG_OK)
        *out = o;
    else
        output_close(o);
    return status;
}

/* How the picture was made: in words, and so that --from-image can do it again. */
static SnugStatus push_picture(Output *o, const Image *image, const char *words, SnugError *err)
{
    const PipelineInfo *info = &o->job->info;
    const int64_t k = o->n_frames;
    TextBuilder json;
    PngText texts[2] = { { .key = "parameters", .value = words ? words : info->texts[k] },
                         { .key = FROM_IMAGE_KEY } };
    text_init(&json, o->job->engine->heap, "output");
    from_image_settings(o->job, info->seeds[k], &json);
    texts[1].value = json.at;
    SnugStatus status = SNUG_OK;
    if (json.failed)
        status = error_set(err, SNUG_ERR_MEMORY, "no memory for the output");
    else if (image)
        status = picture_files_push_image(o->pictures, image, texts, 2, err);
    else
        status = picture_files_push(o->pictures, o->frame, texts, 2, err);
    text_release(&json);
    return status;
}

/* The pipeline makes the picture. */
static SnugStatus take_picture(Output *o, const float *data, SnugError *err)
{
    Image image = { 0 };
    SnugStatus status = o->job->pipeline->picture(o->job->prepared, data, &image, err);
    if (status == SNUG_OK && o->pictures) status = push_picture(o, &image, NULL, err);
    image_release(&image);
    o->n_frames++;
    return status;
}

/* -1..1 to 0..1 as the reference: x / 2 + 0.5, clamped. */
static SnugStatus take_frame(Output *o, const Op *op, const float *data, SnugError *err)
{
    const int64_t n = tensor_count(op->in[0]);
    bool finite = true;
    for (int64_t i = 0; i < n; i++) {
        const float v = data[i] * 0.5f + 0.5f;
        finite = finite && isfinite(v);
        o->frame[i] = v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
    }
    if (!finite)
        return error_set(err, SNUG_ERR_NUMERIC,
                         "frame %lld holds NaN or infinity: the weights may be damaged",
                         (long long)op->arg.output.index);
    if (o->pictures) TRY(push_picture(o, NULL, NULL, err));
    o->n_frames++;
    return o->video ? video_writer_push(o->video, o->frame, err) : SNUG_OK;
}

/* As torch has it: a video [T, h, w, C] becomes [C, T, h, w], pictures [N, C, h, w]. The planes of
 * `n` parts in turn, each [pixels, c]. */
static SnugStatus write_planes(NpyWriter *w, const float *data, int64_t n, int64_t pixels,
                               int64_t c, SnugError *err)
{
    float line[1024];
    for (int64_t part = 0; part < n; part++)
        for (int64_t k = 0; k < c; k++)
            for (int64_t p = 0; p < pixels;) {
                int64_t count = 0;
                while (count < 1024 && p < pixels)
                    line[count++] = data[(part * pixels + p++) * c + k];
                TRY(npy_append(w, line, count, err));
            }
    return SNUG_OK;
}

/* Any tensor as it lies, but those with channels. */
static SnugStatus write_array(Output *o, const char *path, Tensor t, const float *data,
                              SnugError *err)
{
    Heap *heap = o->job->engine->heap;
    if (t.shape.rank != 4) return npy_write_f32(heap, path, data, t.shape.dim, t.shape.rank, err);
    const bool still = o->job->info.pictures > 0;
    const int64_t *d = t.shape.dim, n = still ? d[0] : 1;
    const int64_t video[4] = { d[3], d[0], d[1], d[2] }, pictures[4] = { d[0], d[3], d[1], d[2] };
    NpyWriter *w = NULL;
    SnugStatus status = npy_create(&w, heap, path, still ? pictures : video, 4, err);
    if (status == SNUG_OK) status = write_planes(w, data, n, tensor_count(t) / d[3] / n, d[3], err);
    if (status == SNUG_OK) status = npy_commit(w, err);
    npy_close(w);
    return status;
}

static SnugStatus take_tap(Output *o, const Op *op, const float *data, SnugError *err)
{
    char path[4096], name[64];
    (void)snprintf(name, sizeof name, "%s", op->arg.output.name);
    if (snprintf(path, sizeof path, "%s/%s-%05lld.npy", o->job->common.taps, name,
                 (long long)op->arg.output.index) >= (int)sizeof path)
        return error_set(err, SNUG_ERR_ARG, "--taps: the path is too long");
    return write_array(o, path, op->in[0], data, err);
}

/* Middle frame of the latent [T, h, w, C], each pixel a linear map to RGB. */
static SnugStatus take_preview(Output *o, const Op *op, const float *data, SnugError *err)
{
    const PipelineInfo *info = &o->job->info;
    const int64_t c = info->latent_channels,
                  pixels = (int64_t)info->latent_width * info->latent_height;
    const float *at = data + op->in[0].shape.dim[0] / 2 * pixels * c;
    for (int64_t p = 0; p < pixels; p++)
        for (int k = 0; k < 3; k++) {
            float v = info->latent_rgb[c * 3 + k];
            for (int64_t i = 0; i < c; i++)
                v += at[p * c + i] * info->latent_rgb[i * 3 + k];
            o->small[p * 3 + k] = v;
        }
    return preview_write(o->job->common.preview, o->job->engine->heap, o->small, info->latent_width,
                         info->latent_height, 8, err);
}

SnugStatus output_take(Output *o, const Op *op, const void *data, SnugError *err)
{
    const char *name = op->arg.output.name;
    if (strcmp(name, "frame") == 0)
        return o->job->pipeline->picture ? take_picture(o, data, err)
                                         : take_frame(o, op, data, err);
    if (strcmp(name, "preview") == 0) return take_preview(o, op, data, err);
    if (strcmp(name, "keep") == 0) return resume_take(o->job->resume, op, data, err);
    if (strcmp(name, "latents") == 0 && o->job->common.save_latents)
        TRY(write_array(o, o->job->common.save_latents, op->in[0], data, err));
    return o->job->common.taps ? take_tap(o, op, data, err) : SNUG_OK;
}

SnugStatus output_rescue(Output *o, const Image *image, const char *why, SnugError *err)
{
    const PipelineInfo *info = &o->job->info;
    const size_t n = image_bytes(image->width, image->height, 3);
    if (o->n_frames || info->pictures != 1 || image->channels != 3 || image->width != info->width ||
        image->height != info->height)
        return error_set(err, SNUG_ERR_ARG, "no place for another picture");
    for (size_t i = 0; i < n; i++)
        o->frame[i] = (float)image->pixels[i] / 255.0f;
    TextBuilder words;
    text_init(&words, o->job->engine->heap, "output");
    text_addf(&words, "%s, Degraded: %s", info->texts[0], why);
    SnugStatus status =
        words.failed ? error_set(err, SNUG_ERR_MEMORY, "no memory for the output") : SNUG_OK;
    if (status == SNUG_OK && o->pictures) status = push_picture(o, image, words.at, err);
    if (status == SNUG_OK && o->video) status = video_writer_push(o->video, o->frame, err);
    text_release(&words);
    o->n_frames++;
    return status;
}

SnugStatus output_commit(Output *o, SnugError *err)
{
    VideoWriter *video = o->video;
    o->video = NULL; /* freed by commit, also when it fails */
    if (video) TRY(video_writer_commit(video, err));
    if (o->pictures) TRY(picture_files_commit(o->pictures, err));
    resume_done(o->job->resume);
    return SNUG_OK;
}

void output_close(Output *o)
{
    if (!o) return;
    Heap *heap = o->job->engine->heap;
    video_writer_abandon(o->video);
    picture_files_close(o->pictures);
    heap_give(heap, o->frame);
    heap_give(heap, o->small);
    heap_give(heap, o);
}
