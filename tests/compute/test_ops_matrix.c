/* test_ops_matrix.c  Products that are added to a tensor that is there. */
#include "eager.h"

#include "compute/equal_bits.h"

enum { R = 37, FIRST = 512, K = 700, N = 41 }; /* FIRST: terms of one chain, GEMM_KB */

static float x[R * K], start[R * N], w[N * K], bias[N], head[N * FIRST], tail[N * (K - FIRST)];

static void draw(void)
{
    test_random(x, R * K, -1.0f, 1.0f);
    test_random(start, R * N, -1.0f, 1.0f);
    test_random(w, N * K, -0.1f, 0.1f);
    test_random(bias, N, -1.0f, 1.0f);
    for (int j = 0; j < N; j++) {
        memcpy(head + (size_t)j * FIRST, w + (size_t)j * K, FIRST * sizeof *w);
        memcpy(tail + (size_t)j * (K - FIRST), w + (size_t)j * K + FIRST, (K - FIRST) * sizeof *w);
    }
}

/* What it means: sums of chains, one after the other, then the bias, then the activation. */
static void by_parts(float *to)
{
    Eager e;
    eager_open(&e, ISA_REF, 1);
    Run *r = &e.run;
    const Tensor all = eager_input(&e, x, SHAPE(R, K));
    Tensor y = eager_input(&e, start, SHAPE(R, N));
    y = op_add(r, y,
               op_linear(r, op_columns(r, all, 0, FIRST), eager_weight(&e, head, SHAPE(N, FIRST)),
                         NULL, ACT_NONE));
    y = op_add(r, y,
               op_linear(r, op_columns(r, all, FIRST, K - FIRST),
                         eager_weight(&e, tail, SHAPE(N, K - FIRST)), NULL, ACT_NONE));
    y = op_activation(r, op_add_weight(r, y, eager_weight(&e, bias, SHAPE(N))), ACT_GELU_TANH);
    memcpy(to, eager_data(&e, y), sizeof start);
    eager_close(&e);
}

/* In place, rows 0 .. cut first, then the rest. */
static void at_once(Isa isa, int threads, int64_t cut, float *to)
{
    Eager e;
    eager_open(&e, isa, threads);
    Run *r = &e.run;
    const Tensor all = eager_input(&e, x, SHAPE(R, K)), y = eager_input(&e, start, SHAPE(R, N));
    const Weight *m = eager_weight(&e, w, SHAPE(N, K)), *b = eager_weight(&e, bias, SHAPE(N));
    for (int64_t i = 0; i < R; i += cut) {
        const int64_t n = R - i < cut ? R - i : cut;
        const Tensor part = op_rows(r, y, i, n);
        const Tensor same = op_linear_add(r, part, op_rows(r, all, i, n), m, b, ACT_GELU_TANH);
        CHECK(same.id == y.id && same.first == part.first);
    }
    memcpy(to, eager_data(&e, y), sizeof start);
    eager_close(&e);
}

TEST(ops_matrix, a_product_is_added_in_place_in_one_order)
{
    static float want[R * N], got[R * N];
    draw();
    by_parts(want);
    at_once(ISA_REF, 1, R, got);
    CHECK(equal_bits(got, want, R * N));
    for (int threads = 1; threads <= 2; threads++)
        for (int64_t cut = 5; cut <= R; cut += 16) {
            at_once(isa_detect(), threads, cut, got);
            CHECK(equal_bits(got, want, R * N));
        }
}

TEST(ops_matrix, operands_that_do_not_fit_stop_the_run)
{
    Eager e;
    eager_open(&e, ISA_REF, 1);
    const Tensor a = eager_input(&e, x, SHAPE(4, 5)), y = eager_input(&e, x, SHAPE(3, 6));
    (void)op_linear_add(&e.run, y, a, eager_weight(&e, w, SHAPE(6, 5)), NULL, ACT_NONE);
    CHECK_INT(e.run.status, SNUG_ERR_INTERNAL);
    CHECK_HAS(e.err.text, "linear_add: the rows differ");
    e.run.status = SNUG_OK;
    (void)op_linear_add(&e.run, y, op_rows(&e.run, a, 0, 3), eager_weight(&e, w, SHAPE(6, 4)), NULL,
                        ACT_NONE);
    CHECK_HAS(e.err.text, "needs 30 elements");
    e.run.status = SNUG_OK;
    eager_close(&e);
}
