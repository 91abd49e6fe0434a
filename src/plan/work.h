/* work.h  What an operation's speed depends on beside its FLOPs: class, stored type and one size.
 *
 * The machine profile is measured class by class on the device's own operations, so the classes
 * follow shapes alone and hold for every device. */
#ifndef PLAN_WORK_H
#define PLAN_WORK_H

#include "compute/op.h"

typedef enum WorkClass {
    WORK_MOVE = 0,         /**< limited by memory: all kinds that are not below */
    WORK_GEMM,             /**< linear layer; size: rows of x */
    WORK_GEMM_NARROW,      /**< one with fewer than WORK_WIDE inputs or outputs; size: rows of x */
    WORK_ATTENTION,        /**< size: keys */
    WORK_ATTENTION_NARROW, /**< with heads of fewer than WORK_HEAD values; size: keys */
    WORK_CONV_3X3,   /**< 3x3 in space, stride 1, WORK_CONV_CHANNELS and more; size: channels */
    WORK_CONV_LOW,   /**< the same on fewer than WORK_CONV_TILES tiles of 4x4; size: channels */
    WORK_CONV_POINT, /**< 1x1 in space; size: channels */
    WORK_CONV,       /**< any other convolution; size: channels */
    WORK_COUNT
} WorkClass;

/** Channels of a convolution: the fewer of inputs (per group) and outputs. */
typedef struct OpWork {
    uint8_t class;
    uint8_t dtype; /**< DType of the weight, DT_F32 without one; WORK_BF16, WORK_INT8 */
    int32_t size;  /**< >= 1 */
} OpWork;

/** Products in bf16 and int8 go by no stored type, but by one of their size that no weight has. */
enum { WORK_BF16 = DT_U16, WORK_INT8 = DT_U8 };

enum { WORK_WIDE = 512, WORK_CONV_CHANNELS = 32, WORK_CONV_TILES = 64, WORK_HEAD = 96 };

OpWork work_of(const Op *op);
/** "gemm", "conv_3x3"; never NULL for a valid class. */
const char *work_name(WorkClass class);

#endif
