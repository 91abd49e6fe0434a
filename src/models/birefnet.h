/* birefnet.h  BiRefNet cuts out what stands in front: a picture in, a map of logits out.
 *
 * Reference: github.com/ZhengPeng7/BiRefNet, models/birefnet.py with the options of the published
 * weights; arXiv:2401.03407; golden: tools/oracle, tests/golden/birefnet. */
#ifndef MODELS_BIREFNET_H
#define MODELS_BIREFNET_H

#include "models/swin.h"

enum { BIREFNET_GRID = 32, BIREFNET_BRANCHES = 4, BIREFNET_LEVELS = 5 };

/** How pieces of the picture stand in the channels of a level: the weights were trained with one. */
typedef enum BirefnetPatches {
    BIREFNET_PATCHES_HF,   /**< colour, row, column of the piece: the code beside the weights */
    BIREFNET_PATCHES_TRAIN /**< column, row, colour: before November 2024, and ComfyUI */
} BirefnetPatches;

/** Modulated deformable convolution k x k, batch norm. */
typedef struct BirefnetDeform {
    Conv offset, factor;
    const Weight *weight;
    BatchStatistics norm;
    int kernel;
} BirefnetDeform;

/** Decoder block: in, what the deformable branches and the mean see, out. */
typedef struct BirefnetBlock {
    Conv in, out;
    BatchStatistics norm_in, norm_out, norm_pool, norm_join;
    BirefnetDeform branch[BIREFNET_BRANCHES];
    Linear pool, join;
} BirefnetBlock;

typedef struct BirefnetGate {
    Conv conv, attention;
    BatchStatistics norm;
} BirefnetGate;

typedef struct Birefnet {
    Swin backbone;
    BirefnetPatches patches;
    BirefnetBlock squeeze, block[4];                       /**< block[0]: decoder_block4 */
    Conv patch1[BIREFNET_LEVELS], patch2[BIREFNET_LEVELS]; /**< [0]: ipt_blk5 */
    Conv lateral[3];                                       /**< [0]: lateral_block4 */
    BirefnetGate gate[3];                                  /**< [0]: 4 */
    Linear out;
} Birefnet;

/** "" or what stands before every name of a trained file: "module.", "_orig_mod."; NULL: this is no
 *  BiRefNet. */
const char *birefnet_prefix(const Checkpoint *weights);
/** Bind the weights; m->backbone.cfg (swin_config_detect, prefix + "bb.") and m->patches are set. */
void birefnet_weights(Birefnet *m, Weights *w);

/** Picture [1, H, W, 3], normalised by the colours' mean and deviation, sides multiples of
 *  BIREFNET_GRID -> logits [1, H, W, 1]. knobs.lock_step: both sizes of the backbone together. */
Tensor birefnet_forward(Run *r, const Birefnet *m, Tensor picture);

#endif
