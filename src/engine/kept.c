/* kept.c  One set of slabs, and what is in them. */
#include "engine/kept.h"

#include <string.h>
#include <sys/stat.h>

#include "base/sha256.h"

/* ---- who a unit is ---------------------------------------------------------------------------- */

static void add_number(Sha256 *sha, uint64_t value)
{
    sha256_add(sha, &value, sizeof value);
}

static bool add_files(Sha256 *sha, const Checkpoint *checkpoint)
{
    for (int32_t i = 0; i < checkpoint_n_files(checkpoint); i++) {
        struct stat s;
        if (stat(file_path(checkpoint_file(checkpoint, i)), &s) != 0) return false;
        add_number(sha, (uint64_t)s.st_dev);
        add_number(sha, (uint64_t)s.st_ino);
        add_number(sha, (uint64_t)s.st_size);
        add_number(sha, (uint64_t)s.st_mtim.tv_sec);
        add_number(sha, (uint64_t)s.st_mtim.tv_nsec);
    }
    return true;
}

static void add_weight(Sha256 *sha, const BoundWeight *b)
{
    const Entry *e = b->entry;
    sha256_add(sha, e->name, strlen(e->name) + 1);
    add_number(sha, (uint64_t)e->file);
    add_number(sha, e->offset);
    add_number(sha, b->weight.unit_offset);
    add_number(sha, b->weight.bytes);
    add_number(sha, (uint64_t)b->weight.dtype);
    for (int32_t i = 0; i < e->n_parts; i++) {
        add_number(sha, e->parts[i].at);
        add_number(sha, e->parts[i].from->offset);
    }
}

/* False for units that are not what a file says (LoRA adds to them), and where files cannot be seen. */
static bool digest_unit(const WeightUnit *unit, unsigned char out[SHA256_BYTES])
{
    const Checkpoint *last = NULL;
    Sha256 sha;
    sha256_init(&sha);
    add_number(&sha, unit->bytes);
    for (const BoundWeight *b = unit->first; b; b = b->next) {
        if (b->deltas) return false;
        if (b->checkpoint != last && !add_files(&sha, b->checkpoint)) return false;
        last = b->checkpoint;
        add_weight(&sha, b);
    }
    sha256_end(&sha, out);
    return true;
}

/* ---- what is kept ----------------------------------------------------------------------------- */

size_t kept_resident_bytes(const SnugEngine *engine)
{
    const Kept *k = engine->kept;
    if (!k) return 0;
    const DeviceMemory *memory = engine->device.memory;
    return slab_resident_bytes(&k->slab) + (memory && memory->in_process ? k->device_bytes : 0);
}

static void close_slabs(const SnugEngine *engine, Slab *slab, unsigned char *device, size_t bytes)
{
    if (device) engine->device.memory->close(engine->device.self, device, bytes);
    slab_close(slab);
}

void kept_drop(SnugEngine *engine)
{
    Kept *k = engine->kept;
    if (!k) return;
    close_slabs(engine, &k->slab, k->device, k->device_bytes);
    heap_give(engine->heap, k->units);
    heap_give(engine->heap, k);
    engine->kept = NULL;
}

static size_t host_bytes(const SnugPlan *plan)
{
    return plan->schedule.two_tiers ? plan->schedule.host.top : plan->schedule.loads.top;
}

static bool fits(const Kept *k, const SnugPlan *plan)
{
    const Schedule *s = &plan->schedule;
    return s->loads.holds && k->slab.bytes == host_bytes(plan) &&
           (k->device != NULL) == s->two_tiers && (!k->device || k->device_bytes == s->loads.top);
}

static void find(KeptFound *f, const Kept *k)
{
    static const unsigned char UNKNOWN[SHA256_BYTES];
    for (int32_t i = 0; i < f->n_units; i++) {
        const KeptUnit *x = &f->units[i];
        if (memcmp(x->digest, UNKNOWN, sizeof UNKNOWN) == 0) continue;
        for (int32_t n = 0; n < k->n_units && !f->there[i]; n++)
            f->there[i] = k->units[n].offset == x->offset &&
                          memcmp(k->units[n].digest, x->digest, sizeof x->digest) == 0;
    }
}

static SnugStatus list_units(KeptFound *f, SnugJob *job, const SnugPlan *plan, SnugError *err)
{
    const WeightTable *w = &job->weights;
    Heap *heap = job->engine->heap;
    f->n_units = w->n_units;
    f->units = heap_take(heap, ((size_t)w->n_units + 1) * sizeof *f->units, "kept");
    f->there = heap_take(heap, ((size_t)w->n_units + 1) * sizeof *f->there, "kept");
    if (!f->units || !f->there) return error_set(err, SNUG_ERR_MEMORY, "no memory to run");
    for (int32_t i = 0; i < plan->schedule.loads.n_loads; i++) {
        const Load *load = &plan->schedule.loads.loads[i];
        KeptUnit *x = &f->units[load->unit];
        x->offset = load->offset;
        if (!digest_unit(&w->units[load->unit], x->digest)) memset(x->digest, 0, sizeof x->digest);
    }
    return SNUG_OK;
}

SnugStatus kept_begin(KeptFound *out, SnugJob *job, const SnugPlan *plan, SnugError *err)
{
    SnugEngine *engine = job->engine;
    *out = (KeptFound){ .n_units = 0 };
    if (plan->schedule.loads.holds) TRY(list_units(out, job, plan, err));
    if (!engine->kept) return SNUG_OK;
    if (fits(engine->kept, plan)) {
        find(out, engine->kept);
        out->resident_bytes = kept_resident_bytes(engine);
        out->slab = engine->kept->slab;
        out->device = engine->kept->device;
        engine->kept->slab = (Slab){ 0 };
        engine->kept->device = NULL;
    }
    kept_drop(engine);
    return SNUG_OK;
}

void kept_end(KeptFound *found, SnugEngine *engine, const SnugPlan *plan, Slab slab,
              unsigned char *device)
{
    Kept *k = heap_take(engine->heap, sizeof *k, "kept");
    if (!k) {
        close_slabs(engine, &slab, device, plan->schedule.loads.top);
        return;
    }
    *k = (Kept){ .slab = slab,
                 .device = device,
                 .device_bytes = device ? plan->schedule.loads.top : 0,
                 .units = found->units,
                 .n_units = found->n_units };
    found->units = NULL;
    engine->kept = k;
}

void kept_release(KeptFound *found, SnugEngine *engine)
{
    heap_give(engine->heap, found->units);
    heap_give(engine->heap, found->there);
    *found = (KeptFound){ .n_units = 0 };
}
