/* lora.h  LoRA files: small changes to a network's weights, applied beside them at run time.
 *
 * A file holds, for each dense layer that it changes, two thin matrices: down [r, in], up [out, r].
 * The layer then gives x W^T + b + s (x down^T) up^T, s = strength * alpha / r; the weights stay as
 * they are stored, quantised or not. Tensors of full size (".diff") are applied the same way.
 *
 * Files spell the names of layers in many ways (lora_names.h). They are never taken apart: a layer's
 * own names, ours and the original's, are looked up among those of the files, dots and underscores
 * being the same. Opening reads headers and single scales; nothing changes after binding. */
#ifndef NN_LORA_H
#define NN_LORA_H

#include "formats/checkpoint.h"

enum { LORA_MAX_FILES = 64 };

/** Networks that one file may change. */
typedef enum LoraNetwork {
    LORA_DENOISER, /**< transformer or U-Net */
    LORA_TEXT_1,
    LORA_TEXT_2,
    LORA_TEXT_3,
    LORA_NETWORKS
} LoraNetwork;

/** Which of two denoising networks: bits. */
enum { LORA_HIGH = 1, LORA_LOW = 2, LORA_BOTH = LORA_HIGH | LORA_LOW };

/** A file as the user asks for it. */
typedef struct LoraRequest {
    const char *path;
    double strength;
    unsigned experts; /**< LORA_HIGH, LORA_LOW or both */
} LoraRequest;

/** What tensors a module of a file may have. */
typedef enum LoraPart {
    LORA_DOWN,
    LORA_UP,
    LORA_UP_BIAS,
    LORA_ALPHA,
    LORA_DIFF,      /**< added to the weight */
    LORA_DIFF_BIAS, /**< added to the bias */
    LORA_PARTS
} LoraPart;

/** The change to one layer in one file. */
typedef struct LoraModule {
    const char *key;  /**< its name, '_' for '.' */
    const char *name; /**< as the file has it, without what stands before all names */
    LoraNetwork network;
    unsigned experts;
    const Entry *part[LORA_PARTS]; /**< NULL: none */
    bool used[LORA_PARTS];
    int64_t rank; /**< 0 without LORA_DOWN */
    float scale;  /**< strength * alpha / rank; of differences: strength */
} LoraModule;

/** The files of a job. */
typedef struct LoraSet LoraSet;

/**
 * @param requests  files of strength 0 are opened and left aside
 * @return SNUG_ERR_FILE: malformed, or of a kind that is not applied (DoRA, LoHa, LoKr: named)
 */
SNUG_MUST_USE SnugStatus lora_open(LoraSet **out, Heap *heap, const LoraRequest *requests, int n,
                                   SnugError *err);
/** NULL is fine. */
void lora_close(LoraSet *set);

int lora_n_files(const LoraSet *set);
const Checkpoint *lora_file(const LoraSet *set, int file);
/** What file `file` changes in a layer of that name, under any of its spellings; NULL: nothing.
 *  SNUG_ERR_FILE when it does so under two names.
 *  @param other  the same layer's name in another convention, or NULL */
SNUG_MUST_USE SnugStatus lora_find(LoraSet *set, int file, LoraNetwork network, unsigned expert,
                                   const char *name, const char *other, LoraModule **out,
                                   SnugError *err);

/**
 * After all networks are bound: what did nobody use?
 * @param strict    unused tensors are an error
 * @param warnings  lines are appended
 * @return SNUG_ERR_FILE: a file fits nothing of the model, or `strict`
 */
SNUG_MUST_USE SnugStatus lora_check(const LoraSet *set, bool strict, char *warnings, size_t size,
                                    SnugError *err);

#endif
