/* dtype.h  Element types that files store and kernels compute from, with their block layout. */
#ifndef TENSOR_DTYPE_H
#define TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Stored element types. GGUF block types keep ggml's names. */
typedef enum DType {
    DT_F32 = 0,
    DT_F16,
    DT_BF16,
    DT_F8_E4M3,
    DT_F8_E5M2,
    DT_F64,
    DT_I8,
    DT_U8,
    DT_I16,
    DT_U16,
    DT_I32,
    DT_U32,
    DT_I64,
    DT_U64,
    DT_BOOL,
    DT_NF4, /* bitsandbytes 4-bit, scales apart */
    DT_FP4,
    DT_Q4_0,
    DT_Q4_1,
    DT_Q5_0,
    DT_Q5_1,
    DT_Q8_0,
    DT_Q2_K,
    DT_Q3_K,
    DT_Q4_K,
    DT_Q5_K,
    DT_Q6_K,
    DT_IQ4_NL,
    DT_IQ4_XS,
    DT_COUNT
} DType;

/** Layout of one type: `block` elements take `bytes` bytes. */
typedef struct DTypeInfo {
    const char *name; /**< "F32", "Q4_K"; as safetensors or ggml spell it */
    int block;        /**< elements per block, >= 1 */
    int bytes;        /**< bytes per block */
} DTypeInfo;

/** Never NULL for 0 <= type < DT_COUNT. */
const DTypeInfo *dtype_info(DType type);
const char *dtype_name(DType type);
/** Type of that name (exact spelling), or DT_COUNT. */
DType dtype_find(const char *name);
/** Bytes of `n` elements; false when n is no multiple of the block or the size overflows. */
bool dtype_bytes(DType type, int64_t n, size_t *out);

/** Can a weight be stored so? All but NF4 and FP4 also stand alone; those need scales. */
bool dtype_is_weight(DType type);

/** Scalar conversions: exact widening, round-to-nearest-even narrowing (formats.md 0.5). */
float dtype_f16_to_f32(uint16_t bits);
uint16_t dtype_f32_to_f16(float x);
float dtype_bf16_to_f32(uint16_t bits);
uint16_t dtype_f32_to_bf16(float x);
float dtype_e4m3_to_f32(uint8_t bits);
float dtype_e5m2_to_f32(uint8_t bits);

/** Widen n elements of a plain type (F32, F16, BF16, F8, F64, I8..I64, BOOL) to f32;
 *  false for block types. `from` need not be aligned. */
bool dtype_widen(DType type, const void *from, float *to, int64_t n);

#endif
