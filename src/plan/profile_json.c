/* profile_json.c  The profile as a file, and whether it belongs to this machine.
 *
 *     { "snug_profile": 1, "cpu": "...", "cores": 2, "processors": 2, "isa": "avx2", "threads": 2,
 *       "error": 0.1, "op_seconds": 4e-6, "disk": { "cold": 1e9, "first": 3e9, "warm": 4e9 }, "disk_cpu": { the same },
 *       "work": { "gemm": [[1, 2e9], [64, 80e9]], ... },     size, FLOP/s
 *       "gemm": { "BF16": [[1, 4e9], ... ] },                 by stored type; in bf16 "U16", in int8 "U8"
 *       "move": { "add": [[1024, 9e9], [65536, 7e9]] } }      KiB, bytes/s */
#include "plan/profile.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"

enum { FORMAT_VERSION = 1, MOST_PROCESSORS = 65536 };

static const double LEAST_RATE = 1e3, MOST_RATE = 1e17;

/* ---- writing -------------------------------------------------------------------------------- */

static void write_curve(TextBuilder *to, const char *name, const ProfileCurve *c, bool *first)
{
    if (!c->n) return;
    text_addf(to, "%s\n    \"%s\": [", *first ? "" : ",", name);
    for (int i = 0; i < c->n; i++)
        text_addf(to, "%s[%d, %.4g]", i ? ", " : "", c->size[i], c->rate[i]);
    text_addf(to, "]");
    *first = false;
}

void profile_write(TextBuilder *to, const MachineProfile *p, const char *when)
{
    text_addf(to,
              "{\n  \"snug_profile\": %d,\n  \"measured\": \"%s\",\n  \"cpu\": ", FORMAT_VERSION,
              when);
    text_add_json(to, p->owner.cpu, strlen(p->owner.cpu));
    text_addf(to,
              ",\n  \"cores\": %d, \"processors\": %d, \"isa\": \"%s\", \"threads\": %d,\n"
              "  \"error\": %.3f, \"op_seconds\": %.4g,\n"
              "  \"disk\": { \"cold\": %.4g, \"first\": %.4g, \"warm\": %.4g },\n"
              "  \"disk_cpu\": { \"cold\": %.4g, \"first\": %.4g, \"warm\": %.4g },\n  \"work\": {",
              p->owner.cores, p->owner.processors, p->owner.isa, p->threads, p->error,
              p->op_seconds, p->disk_cold, p->disk_first, p->disk_warm, p->cpu_cold, p->cpu_first,
              p->cpu_warm);
    bool first = true;
    for (int i = 0; i < WORK_COUNT; i++)
        write_curve(to, work_name((WorkClass)i), &p->work[i], &first);
    text_addf(to, "\n  },\n  \"gemm\": {");
    first = true;
    for (int i = 0; i < DT_COUNT; i++)
        write_curve(to, dtype_name((DType)i), &p->gemm[i], &first);
    text_addf(to, "\n  },\n  \"move\": {");
    first = true;
    for (int i = 0; i < OP_COUNT; i++)
        write_curve(to, op_kind_name((OpKind)i), &p->move[i], &first);
    text_addf(to, "\n  }\n}\n");
}

/* ---- reading -------------------------------------------------------------------------------- */

static SnugStatus read_point(Json pair, int32_t above, int32_t *size, double *rate, SnugError *err)
{
    int64_t value;
    if (json_kind(pair) != JSON_KIND_ARRAY || json_length(pair) != 2)
        return json_fault(pair, err, FAULT_BAD, "a pair [size, rate] is expected");
    TRY(json_as_int(json_item(pair, 0), (int64_t)above + 1, INT32_MAX, &value, err));
    *size = (int32_t)value;
    return json_as_f64(json_item(pair, 1), LEAST_RATE, MOST_RATE, rate, err);
}

/* An absent curve leaves *out as it is. */
static SnugStatus read_curve(Json object, const char *name, ProfileCurve *out, SnugError *err)
{
    Json points;
    TRY(json_get_array(object, name, &points, err));
    const int64_t n = json_length(points);
    if (json_kind(points) == JSON_KIND_NONE) return SNUG_OK;
    if (n < 1 || n > PROFILE_POINTS)
        return json_fault(points, err, FAULT_BAD, "%lld points, 1 to %d are expected", (long long)n,
                          PROFILE_POINTS);
    ProfileCurve c = { .n = (int)n };
    for (int i = 0; i < c.n; i++)
        TRY(read_point(json_item(points, i), i ? c.size[i - 1] : 0, &c.size[i], &c.rate[i], err));
    *out = c;
    return SNUG_OK;
}

static SnugStatus read_text(Json root, const char *key, char *to, size_t room, SnugError *err)
{
    const char *text = NULL;
    TRY(json_require(root, key, err));
    TRY(json_text(root, key, "", &text, err));
    (void)snprintf(to, room, "%s", text);
    return SNUG_OK;
}

static SnugStatus read_count(Json root, const char *key, int *to, SnugError *err)
{
    int64_t value;
    TRY(json_require(root, key, err));
    TRY(json_int(root, key, 0, 0, MOST_PROCESSORS, &value, err));
    *to = (int)value;
    return SNUG_OK;
}

static SnugStatus read_owner(Json root, MachineProfile *out, SnugError *err)
{
    int64_t version;
    TRY(json_require(root, "snug_profile", err));
    TRY(json_int(root, "snug_profile", 0, 1, FORMAT_VERSION, &version, err));
    TRY(read_text(root, "cpu", out->owner.cpu, sizeof out->owner.cpu, err));
    TRY(read_text(root, "isa", out->owner.isa, sizeof out->owner.isa, err));
    TRY(read_count(root, "cores", &out->owner.cores, err));
    TRY(read_count(root, "processors", &out->owner.processors, err));
    return read_count(root, "threads", &out->threads, err);
}

static SnugStatus read_rates(Json root, MachineProfile *out, SnugError *err)
{
    Json work, gemm, move, disk, cpu;
    TRY(json_get_object(root, "work", &work, err));
    TRY(json_get_object(root, "gemm", &gemm, err));
    TRY(json_get_object(root, "move", &move, err));
    TRY(json_get_object(root, "disk", &disk, err));
    TRY(json_get_object(root, "disk_cpu", &cpu, err));
    TRY(json_f64(root, "error", out->error, 0.0, 10.0, &out->error, err));
    TRY(json_f64(root, "op_seconds", out->op_seconds, 0.0, 1.0, &out->op_seconds, err));
    TRY(json_f64(disk, "cold", out->disk_cold, LEAST_RATE, MOST_RATE, &out->disk_cold, err));
    TRY(json_f64(disk, "warm", out->disk_warm, LEAST_RATE, MOST_RATE, &out->disk_warm, err));
    out->disk_first = out->disk_warm;
    TRY(json_f64(disk, "first", out->disk_first, LEAST_RATE, MOST_RATE, &out->disk_first, err));
    TRY(json_f64(cpu, "cold", out->disk_warm, LEAST_RATE, MOST_RATE, &out->cpu_cold, err));
    TRY(json_f64(cpu, "warm", out->disk_warm, LEAST_RATE, MOST_RATE, &out->cpu_warm, err));
    TRY(json_f64(cpu, "first", out->disk_first, LEAST_RATE, MOST_RATE, &out->cpu_first, err));
    for (int i = 0; i < WORK_COUNT; i++) {
        if (i == WORK_ATTENTION_NARROW) out->work[i] = out->work[WORK_ATTENTION];
        TRY(read_curve(work, work_name((WorkClass)i), &out->work[i], err));
    }
    for (int i = 0; i < DT_COUNT; i++)
        TRY(read_curve(gemm, dtype_name((DType)i), &out->gemm[i], err));
    /* A kind that was not measured moves memory as an addition does. */
    TRY(read_curve(move, op_kind_name(OP_ADD), &out->move[OP_ADD], err));
    for (int i = 0; i < OP_COUNT; i++) {
        out->move[i] = out->move[OP_ADD];
        TRY(read_curve(move, op_kind_name((OpKind)i), &out->move[i], err));
    }
    return SNUG_OK;
}

SnugStatus profile_read(MachineProfile *out, Heap *heap, const char *path, SnugError *err)
{
    JsonDoc *doc = NULL;
    MachineProfile head = { 0 };
    SnugStatus status = json_open(&doc, heap, path, err);
    if (status == SNUG_ERR_IO) return SNUG_ERR_FILE; /* it was named as input */
    if (status != SNUG_OK) return status;
    status = read_owner(json_root(doc), &head, err);
    if (status == SNUG_OK && head.threads < 1)
        status = json_fault(json_get(json_root(doc), "threads"), err, FAULT_BAD, "no threads");
    if (status == SNUG_OK) {
        *out = profile_default(head.threads);
        out->owner = head.owner;
        out->measured = true;
        status = read_rates(json_root(doc), out, err);
    }
    json_close(doc);
    return status;
}

/* ---- whose ---------------------------------------------------------------------------------- */

SnugStatus profile_check_owner(const MachineProfile *p, const ProfileOwner *here, const char *path,
                               SnugError *err)
{
    const ProfileOwner *o = &p->owner;
    if (strcmp(o->cpu, here->cpu) != 0 || o->cores != here->cores ||
        o->processors != here->processors)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: measured on another machine: %s, %d cores, %d processors; this is "
                         "%s, %d cores, %d processors",
                         path, o->cpu, o->cores, o->processors, here->cpu, here->cores,
                         here->processors);
    if (strcmp(o->isa, here->isa) != 0)
        return error_set(err, SNUG_ERR_FILE, "%s: measured with %s kernels; this run uses %s", path,
                         o->isa, here->isa);
    return SNUG_OK;
}
