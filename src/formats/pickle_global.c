/* pickle_global.c  The closed table of names that a pickle may mention. */
#include <string.h>

#include "base/size.h"
#include "formats/pickle.h"

static const char UTILS[] = "torch._utils";

/* clang-format off */
static const PickleGlobal TABLE[] = {
    { "collections", "OrderedDict", MEANS_DICT, DT_COUNT },
    { "torch", "FloatStorage", MEANS_STORAGE, DT_F32 },
    { "torch", "DoubleStorage", MEANS_STORAGE, DT_F64 },
    { "torch", "HalfStorage", MEANS_STORAGE, DT_F16 },
    { "torch", "BFloat16Storage", MEANS_STORAGE, DT_BF16 },
    { "torch", "LongStorage", MEANS_STORAGE, DT_I64 },
    { "torch", "IntStorage", MEANS_STORAGE, DT_I32 },
    { "torch", "ShortStorage", MEANS_STORAGE, DT_I16 },
    { "torch", "CharStorage", MEANS_STORAGE, DT_I8 },
    { "torch", "ByteStorage", MEANS_STORAGE, DT_U8 },
    { "torch", "BoolStorage", MEANS_STORAGE, DT_BOOL },
    { "torch", "UntypedStorage", MEANS_STORAGE, DT_COUNT },
    { "torch.storage", "UntypedStorage", MEANS_STORAGE, DT_COUNT },
    { "torch", "ComplexFloatStorage", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "ComplexDoubleStorage", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "QInt8Storage", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "QUInt8Storage", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "QInt32Storage", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "QUInt4x2Storage", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "QUInt2x4Storage", MEANS_UNSUPPORTED, DT_COUNT },
    { UTILS, "_rebuild_qtensor", MEANS_UNSUPPORTED, DT_COUNT },
    { UTILS, "_rebuild_sparse_tensor", MEANS_UNSUPPORTED, DT_COUNT },
    { UTILS, "_rebuild_tensor", MEANS_TENSOR, DT_COUNT },
    { UTILS, "_rebuild_tensor_v2", MEANS_TENSOR, DT_COUNT },
    { UTILS, "_rebuild_tensor_v3", MEANS_TENSOR_DTYPE, DT_COUNT },
    { UTILS, "_rebuild_parameter", MEANS_FIRST, DT_COUNT },
    { UTILS, "_rebuild_parameter_with_state", MEANS_FIRST, DT_COUNT },
    { "torch.nn.parameter", "Parameter", MEANS_FIRST, DT_COUNT },
    { "torch", "Size", MEANS_FIRST, DT_COUNT },
    { "torch", "device", MEANS_OPAQUE, DT_COUNT },
    { "torch.serialization", "_get_layout", MEANS_OPAQUE, DT_COUNT },
    { "_codecs", "encode", MEANS_OPAQUE, DT_COUNT },
    { "builtins", "set", MEANS_OPAQUE, DT_COUNT },
    { "builtins", "bytearray", MEANS_OPAQUE, DT_COUNT },
    { "builtins", "complex", MEANS_OPAQUE, DT_COUNT },
    { "collections", "Counter", MEANS_OPAQUE, DT_COUNT },
    { "torch", "float32", MEANS_DTYPE, DT_F32 },
    { "torch", "float64", MEANS_DTYPE, DT_F64 },
    { "torch", "float16", MEANS_DTYPE, DT_F16 },
    { "torch", "bfloat16", MEANS_DTYPE, DT_BF16 },
    { "torch", "float8_e4m3fn", MEANS_DTYPE, DT_F8_E4M3 },
    { "torch", "float8_e5m2", MEANS_DTYPE, DT_F8_E5M2 },
    { "torch", "int64", MEANS_DTYPE, DT_I64 },
    { "torch", "uint64", MEANS_DTYPE, DT_U64 },
    { "torch", "int32", MEANS_DTYPE, DT_I32 },
    { "torch", "uint32", MEANS_DTYPE, DT_U32 },
    { "torch", "int16", MEANS_DTYPE, DT_I16 },
    { "torch", "uint16", MEANS_DTYPE, DT_U16 },
    { "torch", "int8", MEANS_DTYPE, DT_I8 },
    { "torch", "uint8", MEANS_DTYPE, DT_U8 },
    { "torch", "bool", MEANS_DTYPE, DT_BOOL },
    { "torch", "complex64", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "complex128", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "float8_e4m3fnuz", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "float8_e5m2fnuz", MEANS_UNSUPPORTED, DT_COUNT },
    { "torch", "float8_e8m0fnu", MEANS_UNSUPPORTED, DT_COUNT },
};
/* clang-format on */

static bool same(const char *literal, const char *text, size_t n)
{
    return strlen(literal) == n && memcmp(literal, text, n) == 0;
}

const PickleGlobal *pickle_global(const char *module, size_t module_n, const char *name,
                                  size_t name_n)
{
    if (same("__builtin__", module, module_n)) { /* written by Python 2 */
        module = "builtins";
        module_n = strlen(module);
    }
    for (size_t i = 0; i < COUNT(TABLE); i++)
        if (same(TABLE[i].module, module, module_n) && same(TABLE[i].name, name, name_n))
            return &TABLE[i];
    return NULL;
}
