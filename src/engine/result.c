/* result.c  What became of a job, as JSON: the fields that clients of the advertisement's service read. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "engine/engine.h"
#include "engine/from_image.h"
#include "engine/inspect_weights.h"

static const char *status_word(SnugStatus status)
{
    if (status == SNUG_OK) return "completed";
    return status == SNUG_ERR_CANCELLED ? "stopped" : "failed";
}

static void add_text(TextBuilder *to, const char *key, const char *value)
{
    text_addf(to, ",\"%s\":", key);
    if (value)
        text_add_json(to, value, strlen(value));
    else
        text_addf(to, "null");
}

SnugStatus snug_job_result(char **out, const SnugJob *job, SnugStatus status, const SnugError *why,
                           SnugError *err)
{
    TextBuilder b;
    const bool done = status == SNUG_OK;
    const char *words = done ? job->degraded : why->text;
    const int64_t seed = job->prepared && job->info.seeds ? job->info.seeds[0] : 0;
    *out = NULL;
    text_init(&b, job->engine->heap, "result");
    text_addf(&b, "{\"status\":\"%s\",\"exit_code\":%d,\"degraded\":%s", status_word(status),
              snug_exit_code(status), done && words[0] ? "true" : "false");
    add_text(&b, "message", words);
    text_addf(&b, ",\"elapsed_sec\":%.3f,\"bytes_read\":%.0f", done ? job->figures.seconds : 0.0,
              done ? job->figures.moved_bytes : 0.0);
    if (job->prepared && job->info.seeds) text_addf(&b, ",\"seed\":%lld", (long long)seed);
    add_text(&b, "final_result", done ? job->common.output : NULL);
    text_addf(&b, ",\"parameters\":");
    from_image_settings(job, seed, &b);
    text_addf(&b, "}\n");
    return inspect_hand_out(out, &b, SNUG_OK, err);
}
