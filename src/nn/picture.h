/* picture.h  One picture through the layers of a convolutional network, in bands of rows.
 *
 * A group norm looks at the whole picture before it gives its first value, so a picture cannot run
 * through all layers band by band as a video frame does (bands.h). Each layer's result is kept
 * whole, with the moments of its rows; norm, activation and convolution then go over it in bands
 * (the plan's `band_rows`), and only a band of what lies between them exists. No band changes a bit.
 * Letters: H W of the picture, C channels. */
#ifndef NN_PICTURE_H
#define NN_PICTURE_H

#include "nn/layers.h"

/** How the result's size follows from the input's. */
typedef enum PictureStep {
    PICTURE_SAME,  /**< zero padding all round */
    PICTURE_UP,    /**< behind nearest x2 */
    PICTURE_DOWN,  /**< stride 2, zeros at the right and the bottom only: the VAE */
    PICTURE_HALVE, /**< stride 2, zeros all round: UNet and ControlNet */
} PictureStep;

/** One layer: norm and SiLU (where there is a norm), convolution, what is added. */
typedef struct PictureLayer {
    Tensor x;                /**< [1, H, W, C] */
    const NormWeights *norm; /**< or NULL */
    Tensor moments;          /**< of x, with a norm */
    float eps;
    const Conv *conv;
    PictureStep step;
    bool has_shift;
    Tensor shift;         /**< has_shift: [1, Cout], added to every pixel */
    Activation after;     /**< of the result */
    Tensor skip;          /**< added to the result, or NO_TENSOR */
    bool keeps_skip;      /**< skip is needed later; else the result may take its place */
    const Conv *shortcut; /**< 1x1, of `skip` first; or NULL */
} PictureLayer;

/** Moments of all rows of x for a norm of `groups` groups: [H, groups, 2]. */
Tensor nn_picture_moments(Run *r, Tensor x, int64_t groups);
Tensor nn_picture_layer(Run *r, const PictureLayer *layer);
/** A convolution alone. */
Tensor nn_picture_conv(Run *r, const Conv *conv, Tensor x, PictureStep step);
/** Group norm over x, SiLU, convolution. */
Tensor nn_picture_normed_conv(Run *r, const NormWeights *norm, int64_t groups, float eps,
                              const Conv *conv, Tensor x);

#endif
