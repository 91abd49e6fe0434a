/* convert_plan.h  What is written: every tensor of a conversion, and the tensors it becomes. */
#ifndef ENGINE_CONVERT_PLAN_H
#define ENGINE_CONVERT_PLAN_H

#include "engine/convert_form.h"
#include "formats/checkpoint.h"
#include "formats/safetensors_write.h"

/** Places of the tensors that one becomes, counted from its first. */
enum {
    CONVERT_DATA = 0,
    CONVERT_SCALE = 1,  /**< SCALED, INT8: scale, scales by row; INT8: then the format's number */
    CONVERT_ABSMAX = 1, /**< FOUR, NESTED; then the map of codes */
    CONVERT_MAP = 2,
    CONVERT_STATE = 3, /**< FOUR; NESTED: nested absmax, nested map, state */
    CONVERT_NESTED_ABSMAX = 3,
    CONVERT_NESTED_MAP = 4,
    CONVERT_NESTED_STATE = 5,
    CONVERT_MAX_ITEMS = 6
};

typedef struct ConvertTensor {
    const Entry *entry;
    ConvertTarget target;
    int64_t count;
    float offset;      /**< NESTED: what is taken from all scales, known after a first reading */
    const char *state; /**< FOUR, NESTED: the description */
    int32_t first_item, n_items;
    int32_t shard;
} ConvertTensor;

typedef struct ConvertPlan {
    ConvertTensor *tensors;
    SafetensorsItem *items; /**< `user`: the tensor */
    int32_t n, n_items, n_shards;
    size_t bytes; /**< of all items */
} ConvertPlan;

/** Choose what every tensor becomes. SNUG_ERR_FILE: one that cannot be written. */
SNUG_MUST_USE SnugStatus convert_plan_init(ConvertPlan *plan, Arena *arena,
                                           const Checkpoint *checkpoint, const ConvertForm *form,
                                           const ConvertChoice *choice, bool gguf, SnugError *err);
/** Name and size the items, now that all offsets are known, and share them out to files of up to
 *  `shard_bytes` (0: one); what belongs together stays together. */
SNUG_MUST_USE SnugStatus convert_plan_items(ConvertPlan *plan, Arena *arena, size_t shard_bytes,
                                            const char *path, SnugError *err);

#endif
