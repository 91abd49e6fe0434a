/* test_ops_conv.c  What the convolution operation accepts, seen by a rehearsal. */
#include "test.h"

#include <string.h>

#include "compute/ops.h"

/** A device and hooks that take everything: shapes only. */
typedef struct Stage {
    Run run;
    SnugError err;
} Stage;

static size_t no_bytes(const void *self, const Op *op)
{
    (void)self;
    (void)op;
    return 0;
}
static SnugStatus no_work(void *self, const Op *op, const OpPlaces *places, SnugError *err)
{
    (void)self, (void)op, (void)places;
    return error_set(err, SNUG_ERR_INTERNAL, "executed in a rehearsal");
}
static SnugStatus take_op(void *self, const Op *op, OpPlaces *places, SnugError *err)
{
    (void)self, (void)op, (void)places, (void)err;
    return SNUG_OK;
}
static void end_op(void *self, const Op *op)
{
    (void)self, (void)op;
}

static const Device DEVICE = { .name = "none", .workspace_bytes = no_bytes, .execute = no_work };
static const RunHooks HOOKS = { .op = take_op, .op_done = end_op };
static const Weight KERNEL = { .name = "kernel",
                               .shape = { 5, { 6, 4, 3, 3, 3 } },
                               .dtype = DT_F32 };

#define CAUSAL3                                                                                    \
    .kt = 3, .kh = 3, .kw = 3, .stride_t = 1, .stride = 1, .upsample = 1, .n_past = 2, .groups = 1
#define SAME3 .top = 1, .left = 1, .bottom = 1, .right = 1

static Tensor convolve(Stage *s, ConvGeometry g, int n_held, Shape past_shape, Shape residual)
{
    *s = (Stage){ .run = { .device = &DEVICE, .hooks = &HOOKS, .rehearse = true } };
    s->run.err = &s->err;
    Tensor x = op_blank(&s->run, SHAPE(1, 8, 5, 4)), past[4];
    for (int i = 0; i < n_held; i++)
        past[i] = op_blank(&s->run, past_shape);
    Tensor add = residual.rank ? op_blank(&s->run, residual) : NO_TENSOR;
    return op_conv_add(&s->run, x, past, n_held, &KERNEL, NULL, &g, add);
}

static void refused(Stage *s, Tensor y, const char *why)
{
    CHECK(!tensor_exists(y));
    CHECK_INT(s->run.status, SNUG_ERR_INTERNAL);
    CHECK(strstr(s->err.text, why));
}

TEST(ops_conv, results_have_the_size_of_the_geometry)
{
    Stage s;
    Tensor y = convolve(&s, (ConvGeometry){ CAUSAL3, SAME3 }, 2, SHAPE(1, 8, 5, 4), (Shape){ 0 });
    CHECK(tensor_exists(y) && shape_equal(y.shape, SHAPE(1, 8, 5, 6)));
    const ConvGeometry inner = { CAUSAL3, .left = 1, .right = 1, .image_h = 20, .image_w = 5 };
    y = convolve(&s, inner, 1, SHAPE(1, 8, 5, 4), SHAPE(1, 6, 5, 6));
    CHECK(tensor_exists(y) && shape_equal(y.shape, SHAPE(1, 6, 5, 6)));
    ConvGeometry up = { CAUSAL3, .top = -1, .left = 1, .bottom = -1, .right = 1 };
    up.upsample = 2;
    y = convolve(&s, up, 0, SHAPE(1), (Shape){ 0 });
    CHECK(tensor_exists(y) && shape_equal(y.shape, SHAPE(1, 12, 10, 6)));
}

TEST(ops_conv, wrong_operands_are_refused)
{
    Stage s;
    const Shape none = { 0 }, frame = SHAPE(1, 8, 5, 4);
    ConvGeometry g = { CAUSAL3, SAME3 };
    g.n_past = 3; /* the kernel sees two frames before its own */
    refused(&s, convolve(&s, g, 0, frame, none), "does not fit");
    g = (ConvGeometry){ CAUSAL3, SAME3 };
    refused(&s, convolve(&s, g, 3, frame, none), "more past frames");
    refused(&s, convolve(&s, g, 1, SHAPE(1, 7, 5, 4), none), "another size");
    refused(&s, convolve(&s, g, 0, frame, SHAPE(1, 8, 5, 4)), "another shape");
    g.top = -7;
    refused(&s, convolve(&s, g, 0, frame, none), "smaller than the kernel");
    g.left = -1;
    refused(&s, convolve(&s, g, 0, frame, none), "does not fit");
    g = (ConvGeometry){ CAUSAL3, SAME3, .image_h = 7, .image_w = 5 };
    refused(&s, convolve(&s, g, 0, frame, none), "larger than its image");
}
