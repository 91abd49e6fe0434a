/* work.c  Shapes to classes of work. */
#include "plan/work.h"

static const char *const NAMES[WORK_COUNT] = {
    "move",     "gemm",     "gemm_narrow", "attention", "attention_narrow",
    "conv_3x3", "conv_low", "conv_point",  "conv"
};

const char *work_name(WorkClass class)
{
    return NAMES[class];
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int32_t size_of(int64_t n)
{
    return n < 1 ? 1 : n > INT32_MAX ? INT32_MAX : (int32_t)n;
}

/* Tiles of 4x4 in the whole picture, which a band is a part of. */
static int64_t tiles_of(const Op *op)
{
    const ConvGeometry *g = &op->arg.conv;
    const Shape *s = &op->out.shape;
    const int64_t h = g->image_h > 0 ? g->image_h : s->rank >= 3 ? s->dim[s->rank - 3] : 1;
    const int64_t w = g->image_w > 0 ? g->image_w : s->rank >= 2 ? s->dim[s->rank - 2] : 1;
    return ((h + 3) / 4) * ((w + 3) / 4);
}

static WorkClass conv_class(const Op *op, int64_t channels)
{
    const ConvGeometry *g = &op->arg.conv;
    if (g->kh == 1 && g->kw == 1) return WORK_CONV_POINT;
    const bool plain = g->kh == 3 && g->kw == 3 && g->stride == 1 && g->stride_t == 1;
    if (!plain || g->groups > 1 || channels < WORK_CONV_CHANNELS) return WORK_CONV;
    return tiles_of(op) < WORK_CONV_TILES ? WORK_CONV_LOW : WORK_CONV_3X3;
}

OpWork work_of(const Op *op)
{
    OpWork work = { .class = WORK_MOVE, .dtype = DT_F32, .size = 1 };
    if (op->n_weights && op->weight[0]) work.dtype = (uint8_t)op->weight[0]->dtype;
    if (op->kind == OP_LINEAR && op->n_in) {
        const bool wide = least(tensor_cols(op->in[0]), tensor_cols(op->out)) >= WORK_WIDE;
        work.class = wide ? WORK_GEMM : WORK_GEMM_NARROW;
        work.size = size_of(tensor_rows(op->in[0]));
        if (op->arg.linear.arithmetic == ARITHMETIC_BF16) work.dtype = WORK_BF16;
        if (op->arg.linear.arithmetic == ARITHMETIC_INT8) work.dtype = WORK_INT8;
    } else if (op->kind == OP_LINEAR_ADD && op->n_in > 1) {
        const bool wide = least(tensor_cols(op->in[1]), tensor_cols(op->out)) >= WORK_WIDE;
        work.class = wide ? WORK_GEMM : WORK_GEMM_NARROW;
        work.size = size_of(tensor_rows(op->in[1]));
    } else if (op->kind == OP_ATTENTION && op->n_in > 1) {
        const bool narrow = op->arg.attention.head_dim < WORK_HEAD;
        work.class = narrow ? WORK_ATTENTION_NARROW : WORK_ATTENTION;
        work.size = size_of(tensor_rows(op->in[1]));
    } else if (op->kind == OP_CONV && op->n_in) {
        const ConvGeometry *g = &op->arg.conv;
        const int64_t groups = g->groups > 0 ? g->groups : 1;
        const int64_t channels = least(tensor_cols(op->in[0]) / groups, tensor_cols(op->out));
        work.class = (uint8_t)conv_class(op, channels);
        work.size = size_of(channels);
    }
    return work;
}
