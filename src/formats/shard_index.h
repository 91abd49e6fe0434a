/* shard_index.h  The index of a sharded checkpoint: {"weight_map": {tensor: shard file name}}. */
#ifndef FORMATS_SHARD_INDEX_H
#define FORMATS_SHARD_INDEX_H

#include "base/arena.h"
#include "base/text.h"
#include "snug/status.h"

/** One tensor's place as the index claims it. */
typedef struct ShardClaim {
    const char *name;
    int32_t shard;
} ShardClaim;

typedef struct ShardIndex {
    const char **shards; /**< plain file names, sorted, each once */
    int32_t n_shards;
    ShardClaim *claims; /**< in the order of the index; names may repeat */
    int32_t n;
} ShardIndex;

/** Parse the text of an index; `path` is for messages. All goes to the arena. */
SNUG_MUST_USE SnugStatus shard_index_parse(ShardIndex *out, Arena *arena, TextView text,
                                           const char *path, SnugError *err);

#endif
