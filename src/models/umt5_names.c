/* umt5_names.c  Names of transformers beside those of llama.cpp.
 * Source: llama.cpp's tensor names of T5 encoders; golden: tests/golden/layouts. */
#include "models/umt5_names.h"

/* clang-format off */
const NameRow UMT5_NAMES_GGUF[UMT5_NAMES_GGUF_ROWS] = {
    { "shared",                                  "token_embd" },
    { "encoder.block.#.layer.0.SelfAttention.relative_attention_bias", "enc.blk.#.attn_rel_b" },
    { "encoder.block.#.layer.0.SelfAttention.q", "enc.blk.#.attn_q" },
    { "encoder.block.#.layer.0.SelfAttention.k", "enc.blk.#.attn_k" },
    { "encoder.block.#.layer.0.SelfAttention.v", "enc.blk.#.attn_v" },
    { "encoder.block.#.layer.0.SelfAttention.o", "enc.blk.#.attn_o" },
    { "encoder.block.#.layer.0.layer_norm",      "enc.blk.#.attn_norm" },
    { "encoder.block.#.layer.1.layer_norm",      "enc.blk.#.ffn_norm" },
    { "encoder.block.#.layer.1.DenseReluDense.wi_0", "enc.blk.#.ffn_gate" },
    { "encoder.block.#.layer.1.DenseReluDense.wi_1", "enc.blk.#.ffn_up" },
    { "encoder.block.#.layer.1.DenseReluDense.wi",   "enc.blk.#.ffn_up" }, /* not gated */
    { "encoder.block.#.layer.1.DenseReluDense.wo",   "enc.blk.#.ffn_down" },
    { "encoder.final_layer_norm",                "enc.output_norm" },
};
/* clang-format on */
