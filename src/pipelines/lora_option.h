/* lora_option.h  --lora FILE[:strength[:high|low]], given once or several times. */
#ifndef PIPELINES_LORA_OPTION_H
#define PIPELINES_LORA_OPTION_H

#include "nn/lora.h"

/** What LoRA files change, and how strongly: bounds of the strength. */
#define LORA_OPTION_MAX_STRENGTH 100.0

/**
 * Parse the lines of the option and open the files.
 * @param lines    value of the list option; NULL: *out is NULL
 * @param experts  denoising networks that the model has: 1 or 2
 * @return SNUG_ERR_ARG: no such strength or expert; SNUG_ERR_FILE, SNUG_ERR_IO: see lora_open
 */
SNUG_MUST_USE SnugStatus lora_option_open(LoraSet **out, Heap *heap, const char *lines, int experts,
                                          SnugError *err);

#endif
