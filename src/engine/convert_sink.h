/* convert_sink.h  Where a conversion goes: one safetensors file, shards with an index, or GGUF. All
 * appear together at the end, or none. */
#ifndef ENGINE_CONVERT_SINK_H
#define ENGINE_CONVERT_SINK_H

#include "engine/convert_plan.h"
#include "formats/gguf_write.h"

typedef struct ConvertSink {
    Arena *arena;
    const ConvertPlan *plan;
    const char *path;
    GgufWriter *gguf;
    SafetensorsWriter **shards; /**< [plan->n_shards] */
    const char **names;         /**< [plan->n_shards] without folder */
    int32_t *place;             /**< [plan->n_items] in its file's order */
} ConvertSink;

/** @param form  for GGUF's file type; @param notes  metadata */
SNUG_MUST_USE SnugStatus convert_sink_open(ConvertSink *sink, Arena *arena, const ConvertPlan *plan,
                                           const char *path, bool gguf, const ConvertForm *form,
                                           const EntryNote *notes, int32_t n_notes, SnugError *err);
/** Put bytes of an item. */
SNUG_MUST_USE SnugStatus convert_sink_put(ConvertSink *sink, int32_t item, size_t from,
                                          const void *bytes, size_t n, SnugError *err);
SNUG_MUST_USE SnugStatus convert_sink_commit(ConvertSink *sink, SnugError *err);
/** Also after a failed open. What was not committed is removed. */
void convert_sink_close(ConvertSink *sink);

#endif
