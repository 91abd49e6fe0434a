/* join.h  Quantised weights that files keep as several tensors, joined into one entry each.
 *
 *     bitsandbytes 4 bit   P.weight, P.weight.absmax, .quant_map, [.nested_absmax,
 *                          .nested_quant_map,] .quant_state.bitsandbytes__nf4 or __fp4
 *     bitsandbytes int8    P.weight, P.SCB, [P.weight_format]
 *     scaled fp8, int8     P.weight, P.scale_weight or P.weight_scale, [P.scale_input,
 *                          P.input_scale, P.comfy_quant, scaled_fp8]
 *
 * The joined entry has the name and shape of the weight, the dtype of its codes, and a Scaling; its
 * bytes are the parts one after the other (tensor/scaling.h). Only small descriptions and single
 * scales are read here. What is recognised but cannot be computed with stays an entry without a
 * dtype, under the name of its kind ("nvfp4"), so that it can be listed. */
#ifndef FORMATS_JOIN_H
#define FORMATS_JOIN_H

#include "formats/checkpoint.h"

enum { JOIN_MAX_BLOB = 64 * 1024 /* bytes of a description */ };

/**
 * @param checkpoint  its pieces are known and readable
 * @param entries     [checkpoint_n_pieces] in: the pieces; out: the same, a joined entry in place
 *                    of the weight, NULL in place of its companions
 * @param warning     a line about what is odd, or untouched
 */
SNUG_MUST_USE SnugStatus join_quantised(const Checkpoint *checkpoint, Arena *arena,
                                        const Entry **entries, const char **warning,
                                        SnugError *err);

#endif
