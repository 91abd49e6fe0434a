/* test_profile.c  Classes of work, and seconds from rates. */
#include "test.h"

#include "plan/profile.h"

static OpWork work_linear(int64_t rows, int64_t k, int64_t n, DType type)
{
    const Weight w = { .name = "w", .dtype = type, .shape = SHAPE(n, k) };
    Op op = { .kind = OP_LINEAR, .n_in = 1, .n_weights = 1, .weight = { &w } };
    op.in[0] = (Tensor){ .dtype = DT_F32, .shape = SHAPE(rows, k) };
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(rows, n) };
    return work_of(&op);
}

static OpWork work_conv(int64_t cin, int64_t cout, int kernel, int stride)
{
    Op op = { .kind = OP_CONV, .n_in = 1 };
    op.in[0] = (Tensor){ .dtype = DT_F32, .shape = SHAPE(1, 64, 64, cin) };
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(1, 64, 64, cout) };
    op.arg.conv = (ConvGeometry){
        .kt = 1, .kh = kernel, .kw = kernel, .stride = stride, .stride_t = 1, .groups = 1
    };
    return work_of(&op);
}

TEST(work, classes_follow_shapes)
{
    CHECK_INT(work_linear(77, 1536, 8960, DT_BF16).class, WORK_GEMM);
    CHECK_INT(work_linear(77, 1536, 8960, DT_BF16).dtype, DT_BF16);
    CHECK_INT(work_linear(77, 1536, 8960, DT_BF16).size, 77);
    CHECK_INT(work_linear(77, 64, 8960, DT_F32).class, WORK_GEMM_NARROW);
    CHECK_INT(work_conv(96, 48, 3, 1).class, WORK_CONV_3X3);
    CHECK_INT(work_conv(96, 48, 3, 1).size, 48);
    CHECK_INT(work_conv(96, 3, 3, 1).class, WORK_CONV);
    CHECK_INT(work_conv(96, 96, 3, 2).class, WORK_CONV);
    CHECK_INT(work_conv(96, 96, 1, 1).class, WORK_CONV_POINT);
    const Op add = { .kind = OP_ADD, .n_in = 2 };
    CHECK_INT(work_of(&add).class, WORK_MOVE);
}

static TraceOp gemm_op(int32_t rows, DType type)
{
    return (TraceOp){ .kind = OP_LINEAR,
                      .work = { .class = WORK_GEMM, .dtype = (uint8_t)type, .size = rows },
                      .flops = 1e9 };
}

TEST(profile, time_per_flop_is_interpolated_over_the_logarithm_of_size)
{
    MachineProfile p = profile_default(1);
    p.op_seconds = 0;
    p.work[WORK_GEMM] = (ProfileCurve){ .n = 3, .size = { 1, 4, 64 }, .rate = { 1e9, 2e9, 10e9 } };
    const struct {
        int32_t rows;
        double seconds;
    } WANT[] = { { 1, 1.0 }, { 2, 0.75 }, { 4, 0.5 }, { 16, 0.3 }, { 64, 0.1 }, { 5000, 0.1 } };
    for (size_t i = 0; i < sizeof WANT / sizeof WANT[0]; i++) {
        const TraceOp op = gemm_op(WANT[i].rows, DT_F32);
        CHECK(fabs(profile_op_seconds(&p, &op) - WANT[i].seconds) < 1e-12);
    }
    /* Another stored type: its own curve; a type that was not measured is taken as f32. */
    p.gemm[DT_BF16] = (ProfileCurve){ .n = 1, .size = { 1 }, .rate = { 4e9 } };
    const TraceOp bf16 = gemm_op(1, DT_BF16), f16 = gemm_op(1, DT_F16);
    CHECK(fabs(profile_op_seconds(&p, &bf16) - 0.25) < 1e-12);
    CHECK(fabs(profile_op_seconds(&p, &f16) - 1.0) < 1e-12);
}

TEST(profile, memory_bound_operations_cost_bytes_and_a_start)
{
    MachineProfile p = profile_default(2);
    p.move[OP_ADD] = 2e9;
    p.op_seconds = 0.25;
    const TraceOp op = { .kind = OP_ADD, .bytes = 1e9 };
    CHECK(fabs(profile_op_seconds(&p, &op) - 0.75) < 1e-12);
    CHECK(profile_read_seconds(&p, 1e9, true) > profile_read_seconds(&p, 1e9, false));
}

TEST(profile, other_thread_counts_scale_rates_and_widen_the_error)
{
    MachineProfile p = profile_default(4);
    const double error = p.error;
    const TraceOp op = gemm_op(512, DT_F32);
    const double before = profile_op_seconds(&p, &op) - p.op_seconds;
    profile_scale_threads(&p, 4);
    CHECK(p.error == error);
    profile_scale_threads(&p, 1);
    CHECK(fabs(profile_op_seconds(&p, &op) - p.op_seconds - 4.0 * before) < 1e-9);
    CHECK(p.error > error);
    CHECK_INT(p.threads, 1);
}
