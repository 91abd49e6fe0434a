/* bands.h  Frames in bands of rows, with the bits of whole frames.
 *
 * A group of frames [F, H, W, C] is handed from layer to layer in bands of rows, from the top. A
 * 3x3 convolution answers with the rows that it can finish, a little less than it was given, and
 * what later bands will need of its input is kept: nothing is computed twice. A group given as one
 * band keeps nothing and copies nothing.
 *
 * How far a layer has come follows from how far its input has come: results end at multiples of
 * CONV_BAND rows or at the frame's end (nn_band_ready), and its next result begins to look at its
 * input at nn_band_need. So there are no counters, only tensors: the kept rows, and for causal
 * convolutions the two frames before the group.
 *
 * Groups of one frame keep their rows in one place for the whole run; larger groups carry them in a
 * tensor of the group. The frames before the group are kept as whole frames, written band by band
 * behind the convolution, and only if later groups follow. */
#ifndef NN_BANDS_H
#define NN_BANDS_H

#include "nn/layers.h"

/** A stretch of frames of a video at one level: `count` of `total`, the first is number `first`. */
typedef struct Frames {
    int64_t first, count, total;
} Frames;

/** Rows first .. end - 1 of frames that are `height` rows high; x [F, end - first, W, C].
 *  Empty: first == end, x is no tensor. */
typedef struct Band {
    Tensor x;
    int64_t first, end, height;
} Band;
#define NO_BAND ((Band){ .x = NO_TENSOR })

/** Frames that are there as a whole. */
Band nn_band_whole(Run *r, Tensor x);
/** Rows first .. end of a band: a view for a single frame, else a copy. */
Band nn_band_part(Run *r, Band b, int64_t first, int64_t end);

/** How a convolution walks over rows: 3x3 at stride 1 (padding 1), behind nearest upsampling x2
 *  or at stride 2 (padding below and right only); 1x1. */
typedef struct BandStep {
    int kernel, stride, upsample;
} BandStep;
static inline BandStep band_same(void)
{
    return (BandStep){ 3, 1, 1 };
}

/** Rows of the result that `in_end` rows of the input are enough for. */
int64_t nn_band_ready(BandStep step, int64_t in_end, int64_t height);
/** First row of the input that results from row `out_end` on look at. */
int64_t nn_band_need(BandStep step, int64_t out_end, int64_t height);
int64_t nn_band_height(BandStep step, int64_t height);
/** Most rows of the input that are ever kept: what results lag behind, and the row above them. */
int64_t nn_band_most(BandStep step);

/** Rows that were given and are needed again. Zeroed at first. */
typedef struct BandKeep {
    Tensor room; /**< [F, most, W, C] */
    bool has_room;
} BandKeep;
/** Rows `low` .. b.end: what was kept of rows low .. b.first, then b. No copy if nothing was. */
Band nn_band_join(Run *r, const BandKeep *keep, Band b, int64_t low);
/** Keep rows `low` .. b.end for the next band; at the frame's end nothing. `most` >= b.end - low
 *  is the most rows that this will ever keep. */
void nn_band_keep(Run *r, BandKeep *keep, Band b, int64_t low, int64_t most);

/** What a causal convolution remembers. Zeroed at first. */
typedef struct BandConv {
    BandKeep keep;
    Tensor slot[2]; /**< whole frames [1, H, W, C]: frame n before the group lies in slot n % 2 */
    bool has_slot[2];
} BandConv;

/** Causal 3x3x3, 3x1x1 or 1x3x3 convolution of a band; of frames before `f` two are seen. With
 *  `residual`, rows of the result or more, those are added. The result may be empty. */
Band nn_band_causal(Run *r, BandConv *s, const Conv *c, Frames f, Band in, Band residual);

/** Rows [first, end) of the result of a 2-D convolution of every frame; `in` has at least the rows
 *  that these look at. residual: like the result, or NO_TENSOR. */
Tensor nn_band_conv2d(Run *r, const Conv *c, BandStep step, Band in, int64_t first, int64_t end,
                      Tensor residual);

/** Whole frames from bands. Zeroed at first; the same tensor serves group after group. */
typedef struct BandGather {
    Tensor whole;
    bool has_whole;
} BandGather;
/** Add a band; true when the frames are complete: then *whole are all rows. */
bool nn_band_gather(Run *r, BandGather *g, Band b, Band *whole);

#endif
