/* wan_camera.h  --camera: a path from a folder, a file or words, as the transformer takes it.
 *
 * | what is given | poses                          | lens                                        |
 * |---------------|--------------------------------|---------------------------------------------|
 * | folder        | poses.npy [N, 4, 4], camera to | intrinsics.npy [N, 4]: fx fy cx cy in pixels |
 * |               | world, axes as in OpenCV       | of a picture of 832 x 480                   |
 * | file          | CameraCtrl's text              | in the same lines                           |
 * | words         | camera_path.h                  | by its angle of view                        |
 *
 * LingBot-World's networks take the motion between the first frames of latent frames, scaled, and
 * the first lens; Wan-Fun's take every pose relative to the first, unscaled, each with its lens. */
#ifndef PIPELINES_WAN_CAMERA_H
#define PIPELINES_WAN_CAMERA_H

#include "geometry/camera_path.h"
#include "geometry/ray_map.h"
#include "models/wan_dit.h"

typedef enum WanLensKind {
    WAN_LENS_PIXELS, /**< of 832 x 480 */
    WAN_LENS_PARTS,  /**< of width and height of 1280 x 720 */
    WAN_LENS_ANGLE   /**< of view */
} WanLensKind;

typedef struct WanCamera {
    CameraPath path;
    CameraLens *lenses; /**< [n_lenses] */
    int64_t n_lenses;   /**< 1, or one a pose */
    WanLensKind lens_kind;
    RayMap map;
    int64_t first; /* token of the rows that are being made */
} WanCamera;

/** What decides the shape of the features. */
typedef struct WanCameraShape {
    int space, time; /**< pixels and frames per latent: the VAE's factors */
    int ph, pw;      /**< patch */
} WanCameraShape;

/** Numbers per token that a network takes. */
int64_t wan_camera_features(WanCameraKind kind, const WanCameraShape *shape);
/**
 * Read the path and settle the number of frames.
 * @param given    the value of --camera
 * @param frames   in: wanted, out: what the path is long enough for
 * @param must     the user said so many frames: fewer poses are SNUG_ERR_ARG
 * @param arena    everything lives in it
 */
SNUG_MUST_USE SnugStatus wan_camera_read(WanCamera *camera, Arena *arena, const char *given,
                                         int time, int64_t *frames, bool must, SnugError *err);
/** Bring it to the form of the network; sizes [px] are multiples of space and patch. */
SNUG_MUST_USE SnugStatus wan_camera_fit(WanCamera *camera, Arena *arena, WanCameraKind kind,
                                        const WanCameraShape *shape, int64_t frames, int width,
                                        int height, SnugError *err);
/** WanCameraRows; context: the WanCamera. */
Tensor wan_camera_rows(void *camera, Run *r, int64_t first, int64_t count);

#endif
