/* wan_shapes.h  Asking a file for the shapes of tensors by our names. */
#ifndef PIPELINES_WAN_SHAPES_H
#define PIPELINES_WAN_SHAPES_H

#include "base/text.h"
#include "pipelines/wan_config.h"

/** The tensor of that name of ours, or NULL. */
const Entry *wan_shapes_find(WanTensors tensors, const char *ours);
/** The same; SNUG_ERR_FILE "missing" with the file's own name when it is not there. */
SNUG_MUST_USE SnugStatus wan_shapes_need(WanTensors tensors, const char *ours, const Entry **out,
                                         SnugError *err);
/** One dimension of a tensor; at least 1. */
SNUG_MUST_USE SnugStatus wan_shapes_dim(WanTensors tensors, const char *ours, int dim, int64_t *out,
                                        SnugError *err);
/** SNUG_ERR_FILE: the shape of `entry` makes no sense. */
__attribute__((format(printf, 4, 5))) SnugStatus
wan_shapes_bad(WanTensors tensors, const Entry *entry, SnugError *err, const char *format, ...);
/** How many tensors there are of a name with a number in it, from 0 without a gap; at most 1024. */
int wan_shapes_count(WanTensors tensors, const char *before, const char *after);

/** Parse the text of a builder, which is released in any case. */
SNUG_MUST_USE SnugStatus wan_shapes_parse(JsonDoc **out, Heap *heap, WanTensors tensors,
                                          TextBuilder *text, SnugError *err);

#endif
