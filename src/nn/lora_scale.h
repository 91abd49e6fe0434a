/* lora_scale.h  What the metadata of PEFT and diffusers say about the scale of a LoRA.
 *
 * diffusers: metadata of the file, "lora_adapter_metadata" = {"transformer.lora_alpha": 8, ...}.
 * PEFT: adapter_config.json beside adapter_model.safetensors = {"lora_alpha": 8, ...}.
 * Also use_rslora, use_dora (refused) and alpha_pattern: alphas of single modules by literal names.
 * Source: formats.md 10.2; peft 0.21, diffusers 0.42. */
#ifndef NN_LORA_SCALE_H
#define NN_LORA_SCALE_H

#include "base/json.h"
#include "formats/checkpoint.h"

typedef struct LoraScale {
    JsonDoc *doc;    /**< NULL: no metadata */
    bool components; /**< keys begin with the component's name */
} LoraScale;

SNUG_MUST_USE SnugStatus lora_scale_open(LoraScale *out, Heap *heap, const Checkpoint *file,
                                         SnugError *err);
void lora_scale_close(LoraScale *scale);
/**
 * The factor alpha / rank (rsLoRA: alpha / sqrt(rank)) of a module without an alpha of its own; 1
 * where nothing is said.
 * @param component  "transformer", or NULL: whatever there is
 */
SNUG_MUST_USE SnugStatus lora_scale_find(const LoraScale *scale, const char *component,
                                         const char *module, int64_t rank, double *out,
                                         SnugError *err);

#endif
