/* wan_dit.h  Wan video transformer: noisy latent video in, flow velocity out.
 *
 * Reference: diffusers WanTransformer3DModel (0.42); goldens: tests/golden/wan_dit, wan_camera.
 * One network for Wan2.1 and 2.2, text or image to video, one or two timesteps per frame, with or
 * without one of the camera networks (LingBot-World's, Wan-Fun's). */
#ifndef MODELS_WAN_DIT_H
#define MODELS_WAN_DIT_H

#include "base/json.h"
#include "nn/layers.h"

enum { WAN_MAX_LAYERS = 128, WAN_TEXT_ROWS = 512, WAN_MAX_BRANCHES = 2 };

typedef struct WanDitConfig {
    int64_t head_dim, in_channels, out_channels, text_dim, freq_dim, ffn_dim;
    int64_t image_dim;    /**< 0: no CLIP branch */
    int64_t image_tokens; /**< pos_embed_seq_len, 0: no position embedding */
    int heads, layers, pt, ph, pw;
    bool cross_norm;
    float eps;
} WanDitConfig;

/** How a checkpoint takes a camera's path. */
typedef enum WanCameraKind {
    WAN_CAMERA_NONE,
    WAN_CAMERA_INJECT, /**< LingBot-World: scale and shift after the self-attention of every block */
    WAN_CAMERA_ADAPTER /**< Wan-Fun: a small convolutional network, added to the patches */
} WanCameraKind;

typedef struct WanAttention {
    Linear q, k, v, o, image_k, image_v;
    const Weight *norm_q, *norm_k, *norm_image_k;
} WanAttention;

typedef struct WanBlock {
    const Weight *modulation; /* [1, 6, C] */
    const Weight *cross_norm_weight, *cross_norm_bias;
    WanAttention self, cross;
    Linear up, down;
    Linear camera_in1, camera_in2, camera_scale, camera_shift;
} WanBlock;

typedef struct WanDit {
    WanDitConfig cfg;
    WanCameraKind camera;    /**< set before wan_dit_weights; NONE leaves its tensors in the file */
    int64_t camera_features; /**< per token, set with it */
    Linear patch, time1, time2, time_proj, text1, text2, image1, image2, head;
    const Weight *image_norm1[2], *image_norm2[2], *image_positions;
    const Weight *head_modulation;                 /* [1, 2, C] */
    Linear camera_patch, camera_mid1, camera_mid2; /* INJECT; ADAPTER: the patch alone */
    Conv camera_conv1, camera_conv2;               /* ADAPTER */
    WanBlock block[WAN_MAX_LAYERS];
} WanDit;

/** What a prompt means to one expert: projected text, and its keys and values where kept. */
typedef struct WanContext {
    Tensor text;     /**< [n + 1, C]: the real rows, then one padding row */
    Tensor key_bias; /**< [n + 1]: 0, and ln(512 - n) for the padding row */
    bool cached;     /**< k, v below are filled */
    Tensor k[WAN_MAX_LAYERS], v[WAN_MAX_LAYERS];
    /* Step cache: what the blocks added, taken over from one pass to the next. */
    bool keep;       /**< a later pass of this branch will take over what this one adds */
    bool skip;       /**< this pass takes over; for all branches of a call alike */
    Tensor residual; /**< [T, C], between such passes */
} WanContext;

/** Camera features of tokens first .. first + count: [count, camera_features], made on demand, so
 *  that those of all tokens never lie in memory. */
typedef Tensor WanCameraRows(void *context, Run *r, int64_t first, int64_t count);

/** What all prompts see alike, to one expert: picture and camera, and what is kept of them. */
typedef struct WanScene {
    Tensor image; /**< [tokens, C] */
    bool has_image;
    WanCameraRows *camera_rows; /**< NULL: no camera */
    void *camera_context;
    bool cached; /**< what follows is filled, as far as the plan keeps it */
    Tensor image_k[WAN_MAX_LAYERS], image_v[WAN_MAX_LAYERS];
    Tensor camera; /**< [T, C] */
} WanScene;

SNUG_MUST_USE SnugStatus wan_dit_config_read(WanDitConfig *cfg, Json config, SnugError *err);
/** What `w`'s checkpoint carries, right after weights_begin. */
WanCameraKind wan_dit_camera_kind(const Weights *w);
void wan_dit_weights(WanDit *m, Weights *w);

/** `text`: [n <= 512, text_dim] encoder rows. The context belongs to this expert alone: each has
 *  its own text projection. */
void wan_dit_context(Run *r, const WanDit *m, Tensor text, WanContext *out);
/** `image`: [tokens, image_dim] of the CLIP network (two pictures: one after the other) or
 *  NO_TENSOR; `rows`: camera features, NULL for none. Belongs to this expert, too. */
void wan_dit_scene(Run *r, const WanDit *m, Tensor image, WanCameraRows *rows, void *context,
                   WanScene *out);

/** Timesteps of the tokens: all `t`, or the first `split_frames` frames at `t_first`. */
typedef struct WanTime {
    double t, t_first;
    int64_t split_frames; /**< 0: one timestep for all */
} WanTime;

/**
 * One forward pass for each of n_branches contexts on the same input, block by block together.
 * @param latent  [F, H, W, in_channels], sizes multiples of the patch
 * @param out     out[i]: [F, H, W, out_channels]
 */
void wan_dit_forward(Run *r, const WanDit *m, Tensor latent, WanTime time, WanScene *scene,
                     int n_branches, WanContext *const *contexts, Tensor *out);

/* ---- inside the network (wan_dit_camera.c) -------------------------------------------------- */

/** INJECT: what the blocks take from tokens first .. first + count -> [count, C]. */
Tensor wan_dit_camera_rows(Run *r, const WanDit *m, const WanScene *s, int64_t first,
                           int64_t count);
/** INJECT: (1 + scale(h)) x + shift(h), h from the camera's rows. */
typedef struct WanCameraMotion {
    Tensor scale, shift; /* [rows, C] */
} WanCameraMotion;
WanCameraMotion wan_dit_camera_motion(Run *r, const WanBlock *b, Tensor camera);
Tensor wan_dit_camera_move(Run *r, Tensor x, const WanCameraMotion *motion);
/** ADAPTER: x [T, C] plus what the camera adds to the patches of each frame. */
Tensor wan_dit_camera_patches(Run *r, const WanDit *m, WanScene *s, TokenGrid grid, Tensor x);
/** INJECT: fill scene->camera where the plan keeps it; chunk: rows at a time. */
void wan_dit_camera_keep(Run *r, const WanDit *m, WanScene *s, int64_t tokens, int64_t chunk);

#endif
