/* wan_variant.h  Which published model is it, and with which settings was it published?
 *
 * Told by structure alone: how a picture enters, how many experts, CLIP branch, camera tensors. So a
 * tiny network of the same build has the settings of its big sister. Source: spec wan 1. */
#ifndef PIPELINES_WAN_VARIANT_H
#define PIPELINES_WAN_VARIANT_H

#include <stdbool.h>
#include <stdint.h>

/** How the picture enters: not at all, as channels beside the noise, or as clean first frame. */
typedef enum WanImageMode { WAN_NO_IMAGE, WAN_IMAGE_CHANNELS, WAN_IMAGE_FIRST_FRAME } WanImageMode;

/** What a model is built of. */
typedef struct WanBuild {
    WanImageMode image; /**< WAN_IMAGE_FIRST_FRAME: can take one, need not */
    int experts;
    bool clip, two_pictures, camera;
} WanBuild;

typedef struct WanVariant {
    const char *name;    /**< "Wan2.2 I2V-A14B" */
    const char *words;   /**< "image to video" */
    const char *command; /**< "wan-i2v" */
    WanBuild build;
    int64_t frames, steps;
    int width, height; /**< px */
    double fps, guidance, guidance_low, shift, boundary;
    double shift_small;   /**< at the area of 832x480 or less; 0: the same */
    const char *negative; /**< prompt; what the original takes when none is given */
} WanVariant;

/** Never NULL: the nearest of the published ones. */
const WanVariant *wan_variant_of(const WanBuild *build);

#endif
