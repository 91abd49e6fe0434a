/* identity.h  What a weight file holds, told by its tensors, whatever its name and whoever spelled them: for messages
 * that say which model was given where another is needed, and for `snug models inspect`. */
#ifndef PIPELINES_IDENTITY_H
#define PIPELINES_IDENTITY_H

#include "pipelines/about.h"

typedef enum IdentityKind {
    IDENTITY_NONE, /**< nothing that is known here */
    IDENTITY_FLUX,
    IDENTITY_UNET,         /**< of SDXL base */
    IDENTITY_UNET_REFINER, /**< of SDXL refiner */
    IDENTITY_UNET_OTHER,   /**< of Stable Diffusion 1 or 2 */
    IDENTITY_CONTROLNET,
    IDENTITY_VAE_FLUX,
    IDENTITY_VAE_STABLE, /**< of Stable Diffusion: SDXL, 1 or 2 */
    IDENTITY_VAE,        /**< another */
    IDENTITY_CLIP,
    IDENTITY_T5,
    IDENTITY_BIREFNET,
    IDENTITY_OTHER /**< known by name only, or a part of other pipelines */
} IdentityKind;

enum { IDENTITY_SIZES = 160 };

typedef struct Identity {
    IdentityKind kind;
    const char *words;   /**< "a FLUX.1 Fill transformer"; static */
    const char *names;   /**< how its tensors are spelled; static, NULL where nothing is known */
    const char *told_by; /**< the tensor that told; static */
    bool whole;          /**< a checkpoint with encoders and VAE beside the network */
    char sizes[IDENTITY_SIZES]; /**< "19 + 38 blocks of width 3072"; may be "" */
} Identity;

void identity_find(Identity *out, const Checkpoint *weights);

/** Put the words into a part. */
SNUG_MUST_USE SnugStatus identity_part(About *about, AboutPart *part, const Checkpoint *weights,
                                       SnugError *err);
/** Describe a weight file, or the weight files of a folder and one folder below, that hold networks of pictures;
 *  n_parts stays 0 where there are none. */
SNUG_MUST_USE SnugStatus identity_about(About *about, const char *path, SnugError *err);

#endif
