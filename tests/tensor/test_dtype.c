/* test_dtype.c  Conversions round trip over every bit pattern; sizes are checked. */
#include "test.h"

#include "tensor/tensor.h"

TEST(dtype, f16_and_bf16_round_trip_every_finite_pattern)
{
    for (uint32_t i = 0; i < 65536; i++) {
        float h = dtype_f16_to_f32((uint16_t)i), b = dtype_bf16_to_f32((uint16_t)i);
        if (!isnan(h)) CHECK_INT(dtype_f32_to_f16(h), i);
        if (!isnan(b)) CHECK_INT(dtype_f32_to_bf16(b), i);
    }
}

TEST(dtype, narrowing_rounds_to_even)
{
    CHECK_INT(dtype_f32_to_f16(65519.99f), 0x7bff);
    CHECK_INT(dtype_f32_to_f16(65520.0f), 0x7c00);
    CHECK_INT(dtype_f32_to_f16(1.0f + 0x1p-11f), 0x3c00);
    CHECK_INT(dtype_f32_to_f16(1.0f + 3 * 0x1p-11f), 0x3c02);
    CHECK_INT(dtype_f32_to_f16(0x1p-25f), 0);
    CHECK_INT(dtype_f32_to_f16(3 * 0x1p-25f), 2);
    CHECK_INT(dtype_f32_to_f16(NAN), 0x7e00);
    CHECK_INT(dtype_f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
    CHECK_INT(dtype_f32_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
}

TEST(dtype, fp8_has_the_published_extremes)
{
    CHECK(dtype_e4m3_to_f32(0x7e) == 448.0f && isnan(dtype_e4m3_to_f32(0x7f)));
    CHECK(dtype_e4m3_to_f32(0x01) == 0x1p-9f && dtype_e4m3_to_f32(0x88) == -0x1p-6f);
    CHECK(dtype_e5m2_to_f32(0x7b) == 57344.0f && isinf(dtype_e5m2_to_f32(0x7c)));
    CHECK(dtype_e5m2_to_f32(0x01) == 0x1p-16f);
}

TEST(tensor, sizes_that_overflow_are_seen)
{
    CHECK_INT(shape_count(SHAPE(2, 3, 4)), 24);
    CHECK_INT(shape_count(SHAPE(INT64_MAX, 3)), -1);
    CHECK_INT(shape_count(SHAPE(2, -1)), -1);
    Tensor t = { .id = 0, .dtype = DT_Q4_K, .shape = SHAPE(2, 512) };
    CHECK_INT(tensor_bytes(t), 4 * 144);
    t.shape = SHAPE(2, 500);
    CHECK(tensor_bytes(t) == SIZE_MAX);
    char text[SHAPE_TEXT];
    CHECK_TEXT(shape_text(SHAPE(2, 3), text, sizeof text), "[2, 3]");
}
