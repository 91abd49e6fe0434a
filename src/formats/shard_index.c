/* shard_index.c  Two passes: collect and sort the shards' names, then the claims. */
#include "formats/shard_index.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json_scan.h"
#include "formats/checkpoint.h"

typedef struct Parser {
    ShardIndex *out;
    Arena *arena;
    JsonScan scan;
    JsonScan map; /* bookmark: inside weight_map */
    const char *path;
    SnugError *err;
    bool map_seen;
} Parser;

static bool out_of_memory(Parser *p)
{
    if (p->scan.status == SNUG_OK)
        p->scan.status =
            error_set(p->err, SNUG_ERR_MEMORY, "%s: no memory for the shard index", p->path);
    return false;
}

/* Place of a shard in the sorted names, or where it belongs. */
static int32_t search(const ShardIndex *index, TextView name, bool *found)
{
    int32_t low = 0, high = index->n_shards;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        const char *there = index->shards[middle];
        int order = text_compare((TextView){ there, strlen(there) }, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static bool keep_text(Parser *p, TextView view, const char **out)
{
    if (view.n > ENTRY_MAX_NAME)
        return json_scan_fail(&p->scan, FAULT_TOO_LARGE, "a name of %zu bytes (limit %d)", view.n,
                              ENTRY_MAX_NAME);
    if (view.n && memchr(view.at, 0, view.n))
        return json_scan_fail(&p->scan, FAULT_BAD_TEXT, "a NUL character in a name");
    *out = arena_text(p->arena, view.at, view.n);
    return *out || out_of_memory(p);
}

static bool add_shard(Parser *p, TextView name)
{
    ShardIndex *index = p->out;
    bool found;
    int32_t at = search(index, name, &found);
    const char *kept;
    char shown[TEXT_ESCAPED];
    if (found) return true;
    if (index->n_shards == CHECKPOINT_MAX_SHARDS)
        return json_scan_fail(&p->scan, FAULT_TOO_LARGE, "too many shards (limit %d)",
                              CHECKPOINT_MAX_SHARDS);
    if (!keep_text(p, name, &kept)) return false;
    if (!file_plain_name(kept))
        return json_scan_fail(&p->scan, FAULT_UNSAFE, "'%s' is not the plain name of a file",
                              text_escape(shown, name.at, name.n));
    memmove(index->shards + at + 1, index->shards + at,
            (size_t)(index->n_shards - at) * sizeof *index->shards);
    index->shards[at] = kept;
    index->n_shards++;
    return true;
}

/* First pass, inside weight_map. */
static bool read_shards(Parser *p)
{
    JsonScan *s = &p->scan;
    TextView key, shard;
    if (p->map_seen) return json_scan_fail(s, FAULT_DUPLICATE, "key given twice");
    p->map_seen = true;
    if (!json_scan_object(s)) return false;
    p->map = *s;
    while (json_scan_key(s, &key)) {
        if (!json_scan_text(s, &shard) || !add_shard(p, shard)) return false;
        if (++p->out->n > ENTRY_MAX_COUNT)
            return json_scan_fail(s, FAULT_TOO_LARGE, "too many tensors (limit %d)",
                                  ENTRY_MAX_COUNT);
    }
    return s->status == SNUG_OK;
}

/* Second pass: the shards are known. */
static bool read_claims(Parser *p)
{
    JsonScan *s = &p->scan;
    TextView key, shard;
    int32_t used = 0;
    bool found;
    p->out->claims = arena_array(p->arena, (size_t)p->out->n + 1, sizeof *p->out->claims);
    if (!p->out->claims) return out_of_memory(p);
    *s = p->map;
    while (json_scan_key(s, &key)) {
        ShardClaim *claim = &p->out->claims[used++];
        if (!json_scan_text(s, &shard) || !keep_text(p, key, &claim->name)) return false;
        claim->shard = search(p->out, shard, &found);
    }
    return s->status == SNUG_OK;
}

static SnugStatus parse(Parser *p, TextView text)
{
    JsonScan *s = &p->scan;
    json_scan_init(s, text.at, text.n, p->path, "shard index", p->arena, p->err);
    if (json_scan_object(s)) {
        for (TextView key; json_scan_key(s, &key);)
            if (text_is(key, "weight_map") && !read_shards(p)) break;
    }
    TRY(json_scan_end(s));
    if (!p->map_seen)
        return fault_set(p->err, FAULT_MISSING, p->path, "shard index", "weight_map",
                         "it is required");
    return read_claims(p) ? SNUG_OK : s->status;
}

SnugStatus shard_index_parse(ShardIndex *out, Arena *arena, TextView text, const char *path,
                             SnugError *err)
{
    *out = (ShardIndex){ 0 };
    Parser *p = arena_take(arena, sizeof *p);
    out->shards = arena_array(arena, CHECKPOINT_MAX_SHARDS, sizeof *out->shards);
    if (!p || !out->shards)
        return error_set(err, SNUG_ERR_MEMORY, "%s: no memory for the shard index", path);
    *p = (Parser){ .out = out, .arena = arena, .path = path, .err = err };
    return parse(p, text);
}
