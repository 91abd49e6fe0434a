/* test_profile.c  Classes of work, and seconds from rates. */
#include "test.h"

#include <stdio.h>

#include "plan/profile.h"

static Op linear(const Weight *w, int64_t rows)
{
    Op op = { .kind = OP_LINEAR, .n_in = 1, .n_weights = 1, .weight = { w } };
    op.in[0] = (Tensor){ .dtype = DT_F32, .shape = SHAPE(rows, w->shape.dim[1]) };
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(rows, w->shape.dim[0]) };
    return op;
}

static OpWork work_linear(int64_t rows, int64_t k, int64_t n, DType type)
{
    const Weight w = { .name = "w", .dtype = type, .shape = SHAPE(n, k) };
    const Op op = linear(&w, rows);
    return work_of(&op);
}

static OpWork work_coarse(Arithmetic arithmetic)
{
    const Weight w = { .name = "w", .dtype = DT_F32, .shape = SHAPE(1536, 1536) };
    Op op = linear(&w, 77);
    op.arg.linear.arithmetic = arithmetic;
    return work_of(&op);
}

static Op conv_on(int64_t side, int64_t cin, int64_t cout, int kernel, int stride)
{
    Op op = { .kind = OP_CONV, .n_in = 1 };
    op.in[0] = (Tensor){ .dtype = DT_F32, .shape = SHAPE(1, side, side, cin) };
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(1, side, side, cout) };
    op.arg.conv = (ConvGeometry){
        .kt = 1, .kh = kernel, .kw = kernel, .stride = stride, .stride_t = 1, .groups = 1
    };
    return op;
}

static OpWork work_conv(int64_t cin, int64_t cout, int kernel, int stride)
{
    const Op op = conv_on(64, cin, cout, kernel, stride);
    return work_of(&op);
}

static OpWork work_attention(int64_t keys, int64_t head_dim)
{
    Op op = { .kind = OP_ATTENTION, .n_in = 3, .arg.attention = { .heads = 4 } };
    op.arg.attention.head_dim = head_dim;
    op.in[1] = (Tensor){ .dtype = DT_F32, .shape = SHAPE(keys, 4 * head_dim) };
    return work_of(&op);
}

TEST(work, classes_follow_shapes)
{
    CHECK_INT(work_linear(77, 1536, 8960, DT_BF16).class, WORK_GEMM);
    CHECK_INT(work_linear(77, 1536, 8960, DT_BF16).dtype, DT_BF16);
    CHECK_INT(work_linear(77, 1536, 8960, DT_BF16).size, 77);
    CHECK_INT(work_linear(77, 64, 8960, DT_F32).class, WORK_GEMM_NARROW);
    CHECK_INT(work_coarse(ARITHMETIC_F32).dtype, DT_F32);
    CHECK_INT(work_coarse(ARITHMETIC_BF16).dtype, WORK_BF16);
    CHECK_INT(work_coarse(ARITHMETIC_INT8).dtype, WORK_INT8);
    CHECK_INT(work_conv(96, 48, 3, 1).class, WORK_CONV_3X3);
    CHECK_INT(work_conv(96, 48, 3, 1).size, 48);
    CHECK_INT(work_conv(96, 3, 3, 1).class, WORK_CONV);
    CHECK_INT(work_conv(96, 96, 3, 2).class, WORK_CONV);
    CHECK_INT(work_conv(96, 96, 1, 1).class, WORK_CONV_POINT);
    CHECK_INT(work_attention(77, 128).class, WORK_ATTENTION);
    CHECK_INT(work_attention(77, 64).class, WORK_ATTENTION_NARROW);
    CHECK_INT(work_attention(77, 64).size, 77);
    const Op add = { .kind = OP_ADD, .n_in = 2 };
    CHECK_INT(work_of(&add).class, WORK_MOVE);
}

TEST(work, low_pictures_are_a_class_of_their_own_and_bands_count_as_their_picture)
{
    Op op = conv_on(28, 96, 96, 3, 1); /* 7 x 7 tiles */
    CHECK_INT(work_of(&op).class, WORK_CONV_LOW);
    op.arg.conv.image_h = 512; /* a band of a tall picture */
    op.arg.conv.image_w = 28;
    CHECK_INT(work_of(&op).class, WORK_CONV_3X3);
    op = conv_on(29, 96, 96, 3, 1); /* 8 x 8 */
    CHECK_INT(work_of(&op).class, WORK_CONV_3X3);
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

TEST(profile, types_that_are_not_measured_go_by_those_that_widen_alike)
{
    MachineProfile p = profile_default(1);
    p.op_seconds = 0;
    p.work[WORK_GEMM] = (ProfileCurve){ .n = 1, .size = { 1 }, .rate = { 1e9 } };
    p.gemm[DT_NF4] = (ProfileCurve){ .n = 1, .size = { 1 }, .rate = { 0.5e9 } };
    const TraceOp fp4 = gemm_op(4, DT_FP4), q4 = gemm_op(4, DT_Q4_1);
    CHECK(fabs(profile_op_seconds(&p, &fp4) - 2.0) < 1e-9);
    CHECK(fabs(profile_op_seconds(&p, &q4) - 1.0) < 1e-9);
}

TEST(profile, memory_bound_operations_cost_bytes_and_a_start)
{
    MachineProfile p = profile_default(2);
    p.move[OP_ADD] = (ProfileCurve){ .n = 1, .size = { 1 }, .rate = { 2e9 } };
    p.op_seconds = 0.25;
    const TraceOp op = { .kind = OP_ADD, .bytes = 1e9 };
    CHECK(fabs(profile_op_seconds(&p, &op) - 0.75) < 1e-12);
    CHECK(profile_first_rate(&p, 0.0) < profile_first_rate(&p, 0.5));
    CHECK(fabs(profile_first_rate(&p, 1.0) / p.disk_first - 1.0) < 1e-12);
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

/* ---- the file ------------------------------------------------------------------------------- */

static const char *write_file(const char *text, size_t n)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/profile.json", test_scratch());
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(text, 1, n, file) == n && fclose(file) == 0);
    return path;
}

static MachineProfile sample(void)
{
    MachineProfile p = profile_default(3);
    p.measured = true;
    p.error = 0.125;
    p.owner = (ProfileOwner){ "A \"quoted\" CPU", "avx2", 4, 8 };
    p.work[WORK_GEMM] = (ProfileCurve){ .n = 2, .size = { 1, 64 }, .rate = { 2e9, 5e10 } };
    p.gemm[DT_BF16] = (ProfileCurve){ .n = 1, .size = { 1 }, .rate = { 4e9 } };
    p.move[OP_ADD] = (ProfileCurve){ .n = 2, .size = { 16, 4096 }, .rate = { 2e10, 8e9 } };
    p.move[OP_ROPE].n = 0;
    return p;
}

TEST(profile, what_is_written_is_read_back)
{
    Heap *heap = heap_create();
    SnugError err = { { 0 } };
    TextBuilder b;
    const MachineProfile p = sample();
    MachineProfile got;
    text_init(&b, heap, "test");
    profile_write(&b, &p, "2026-01-01");
    if (profile_read(&got, heap, write_file(b.at, b.n), &err) != SNUG_OK) fail_msg("%s", err.text);
    CHECK(got.measured && got.threads == 3 && got.error == p.error);
    CHECK(memcmp(&got.owner, &p.owner, sizeof p.owner) == 0);
    CHECK(memcmp(got.work, p.work, sizeof p.work) == 0);
    CHECK(memcmp(got.gemm, p.gemm, sizeof p.gemm) == 0);
    CHECK(got.disk_cold == p.disk_cold && got.disk_warm == p.disk_warm);
    /* a kind that was not measured moves memory as an addition does */
    CHECK(memcmp(&got.move[OP_ROPE], &p.move[OP_ADD], sizeof p.move[OP_ADD]) == 0);
    text_release(&b);
    heap_free(heap);
}

TEST(profile, of_another_machine_or_other_kernels_is_told)
{
    const MachineProfile p = sample();
    SnugError err = { { 0 } };
    ProfileOwner here = p.owner;
    CHECK(profile_check_owner(&p, &here, "p.json", &err) == SNUG_OK);
    here.cores = 5;
    CHECK(profile_check_owner(&p, &here, "p.json", &err) == SNUG_ERR_FILE);
    CHECK_HAS(err.text, "p.json: measured on another machine");
    here = p.owner;
    (void)snprintf(here.isa, sizeof here.isa, "ref");
    CHECK(profile_check_owner(&p, &here, "p.json", &err) == SNUG_ERR_FILE);
    CHECK_HAS(err.text, "avx2");
}

TEST(profile, malformed_files_are_refused_with_field_and_reason)
{
#define HEAD                                                                                       \
    "\"snug_profile\":1,\"cpu\":\"c\",\"isa\":\"avx2\",\"cores\":1,\"processors\":1,\"threads\":1"
    static const char *const BAD[][2] = {
        { "", "empty" },
        { "{", "bad JSON" },
        { "[]", "object" },
        { "{}", "snug_profile" },
        { "{\"snug_profile\":2}", "snug_profile" },
        { "{\"snug_profile\":1}", "cpu" },
        { "{\"snug_profile\":1,\"cpu\":7}", "cpu" },
        { "{\"snug_profile\":1,\"cpu\":\"c\",\"isa\":\"avx2\",\"cores\":1,\"processors\":1,"
          "\"threads\":0}",
          "threads" },
        { "{" HEAD ",\"error\":-1}", "error" },
        { "{" HEAD ",\"error\":1e99}", "error" },
        { "{" HEAD ",\"disk\":{\"cold\":0}}", "disk" },
        { "{" HEAD ",\"work\":{\"gemm\":[[4,1e9],[1,1e9]]}}", "work" },
        { "{" HEAD ",\"work\":{\"gemm\":[[1,-5]]}}", "work" },
        { "{" HEAD ",\"work\":{\"gemm\":[[1]]}}", "pair" },
        { "{" HEAD ",\"work\":{\"gemm\":[]}}", "points" },
        { "{" HEAD ",\"work\":{\"gemm\":7}}", "work" },
        { "{" HEAD ",\"move\":{\"add\":[[1,1e9],[2,1e9],[3,1e9],[4,1e9],[5,1e9],[6,1e9],[7,1e9],"
          "[8,1e9],[9,1e9]]}}",
          "points" },
    };
    Heap *heap = heap_create();
    MachineProfile p;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        SnugError err = { { 0 } };
        if (profile_read(&p, heap, write_file(BAD[i][0], strlen(BAD[i][0])), &err) != SNUG_ERR_FILE)
            fail_msg("accepted: %s", BAD[i][0]);
        CHECK_HAS(err.text, "profile.json");
        CHECK_HAS(err.text, BAD[i][1]);
    }
    SnugError err = { { 0 } };
    CHECK(profile_read(&p, heap, "/nonexistent/profile.json", &err) == SNUG_ERR_FILE);
    if (profile_read(&p, heap, write_file("{" HEAD "}", strlen("{" HEAD "}")), &err) != SNUG_OK)
        fail_msg("%s", err.text);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
#undef HEAD
}
