/* measure.c  Matrix products by rows and stored type, attention by keys, convolutions by channels. */
#include "engine/measure.h"

#include <math.h>

#include "base/size.h"

SnugStatus measure_step(const Measure *m, const char *what, double fraction, SnugError *err)
{
    if (m->cancel && atomic_load(m->cancel)) return error_set(err, SNUG_ERR_CANCELLED, "cancelled");
    if (m->step) m->step(m->context, what, fraction);
    return SNUG_OK;
}

/* Slow kernels (ref, emulation): no larger points once a call takes this long; the rate is flat
 * by then. */
static const double LONG_CALL_SECONDS = 0.6;

static void add_point(ProfileCurve *c, int32_t size, double flops, double seconds)
{
    c->size[c->n] = size;
    c->rate[c->n++] = flops / seconds;
}

/* ---- matrix products ------------------------------------------------------------------------ */

/* Weights come from memory, as in a request; for many rows a call must not take long. */
enum { WIDE_K = 2048, WIDE_N_FEW = 6144, WIDE_N_MANY = 1536, FEW_ROWS = 64, NARROW = 256 };

static Tensor linear(OpBench *b, int64_t rows, int64_t k, int64_t n, DType dtype)
{
    Run r = opbench_run(b);
    r.arithmetic = (int)dtype == WORK_BF16   ? ARITHMETIC_BF16
                   : (int)dtype == WORK_INT8 ? ARITHMETIC_INT8
                                             : ARITHMETIC_F32;
    if (r.arithmetic != ARITHMETIC_F32) dtype = DT_BF16; /* as most weights are stored */
    const Tensor x = opbench_tensor(b, &r, SHAPE(rows, k));
    const Weight *w = opbench_weight(b, dtype, SHAPE(n, k));
    const Tensor y = w ? op_linear_coarse(&r, x, w, NULL, ACT_NONE, 0, n) : NO_TENSOR;
    opbench_rotate_weights(b);
    return y;
}

static SnugStatus gemm_curve(Measure *m, DType dtype, bool narrow, ProfileCurve *out,
                             SnugError *err)
{
    static const int32_t ROWS[] = { 1, 4, 16, 64, 256, 1024 };
    out->n = 0;
    for (size_t i = 0; i < COUNT(ROWS) - (m->quick ? 1 : 0); i++) {
        int64_t k = WIDE_K, n = ROWS[i] <= FEW_ROWS ? WIDE_N_FEW : WIDE_N_MANY;
        double seconds;
        if (m->quick) k = n = WORK_WIDE;
        if (narrow) k = n = NARROW;
        (void)linear(&m->bench, ROWS[i], k, n, dtype);
        TRY(opbench_seconds(&m->bench, m->least_seconds, &seconds, err));
        add_point(out, ROWS[i], m->bench.op.flops, seconds);
        if (seconds > LONG_CALL_SECONDS) break;
    }
    return SNUG_OK;
}

static SnugStatus gemms(Measure *m, SnugError *err)
{
    static const DType TYPES[] = { DT_F32, DT_BF16, DT_F16,  DT_F8_E4M3, DT_F8_E5M2, DT_I8,
                                   DT_NF4, DT_Q8_0, DT_Q4_0, DT_Q4_K,    DT_Q5_K,    DT_Q6_K };
    MachineProfile *p = m->out;
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        TRY(measure_step(m, dtype_name(TYPES[i]), 0.5 * (double)i / (double)COUNT(TYPES), err));
        if (m->engine->cpu.kernels.pack[TYPES[i]])
            TRY(gemm_curve(m, TYPES[i], false, &p->gemm[TYPES[i]], err));
    }
    p->work[WORK_GEMM] = p->gemm[DT_F32];
    TRY(measure_step(m, "bf16", 0.48, err));
    TRY(gemm_curve(m, (DType)WORK_BF16, false, &p->gemm[WORK_BF16], err));
    TRY(measure_step(m, "int8", 0.49, err));
    TRY(gemm_curve(m, (DType)WORK_INT8, false, &p->gemm[WORK_INT8], err));
    TRY(measure_step(m, "narrow products", 0.5, err));
    return gemm_curve(m, DT_F32, true, &p->work[WORK_GEMM_NARROW], err);
}

/* ---- attention ------------------------------------------------------------------------------ */

enum { QUERIES = 512, HEADS = 12, HEAD_DIM = 128 };

static void attention(OpBench *b, int64_t queries, int64_t keys, int heads, int64_t dim)
{
    Run r = opbench_run(b);
    const Heads q = { .x = opbench_tensor(b, &r, SHAPE(queries, heads * dim)) };
    const Heads k = { .x = opbench_tensor(b, &r, SHAPE(keys, heads * dim)) };
    const Heads v = { .x = opbench_tensor(b, &r, SHAPE(keys, heads * dim)) };
    (void)op_attention(&r, q, k, v, heads, dim, NULL);
}

static SnugStatus attention_curve(Measure *m, int heads, int64_t dim, ProfileCurve *out,
                                  SnugError *err)
{
    static const int32_t KEYS[] = { 16, 77, 512, 4096 };
    out->n = 0;
    for (size_t i = 0; i < COUNT(KEYS); i++) {
        double seconds;
        attention(&m->bench, m->quick ? FEW_ROWS : QUERIES, KEYS[i], heads, dim);
        TRY(opbench_seconds(&m->bench, m->least_seconds, &seconds, err));
        add_point(out, KEYS[i], m->bench.op.flops, seconds);
        if (seconds > LONG_CALL_SECONDS) break;
    }
    return SNUG_OK;
}

static SnugStatus attentions(Measure *m, SnugError *err)
{
    ProfileCurve *work = m->out->work;
    TRY(measure_step(m, "attention", 0.54, err));
    TRY(attention_curve(m, HEADS, HEAD_DIM, &work[WORK_ATTENTION], err));
    return attention_curve(m, 2 * HEADS, HEAD_DIM / 2, &work[WORK_ATTENTION_NARROW], err);
}

/* ---- convolution ---------------------------------------------------------------------------- */

typedef struct ConvPoint {
    WorkClass class;
    int64_t side, cin, cout; /* picture side x side */
    int kt, k, stride;
} ConvPoint;

/* As video VAEs use them: 3x3x3 with two past frames, projections, halving. Rising channels. */
static const ConvPoint CONVS[] = {
    { WORK_CONV_3X3, 96, 32, 32, 3, 3, 1 },     { WORK_CONV_3X3, 96, 64, 64, 3, 3, 1 },
    { WORK_CONV_3X3, 96, 96, 96, 3, 3, 1 },     { WORK_CONV_LOW, 16, 32, 32, 3, 3, 1 },
    { WORK_CONV_LOW, 16, 128, 128, 3, 3, 1 },   { WORK_CONV_LOW, 16, 512, 512, 3, 3, 1 },
    { WORK_CONV_3X3, 64, 192, 192, 3, 3, 1 },   { WORK_CONV_3X3, 48, 384, 384, 3, 3, 1 },
    { WORK_CONV_POINT, 96, 16, 16, 1, 1, 1 },   { WORK_CONV_POINT, 96, 96, 96, 1, 1, 1 },
    { WORK_CONV_POINT, 64, 384, 384, 1, 1, 1 }, { WORK_CONV, 128, 96, 3, 3, 3, 1 },
    { WORK_CONV, 96, 16, 64, 3, 3, 1 },         { WORK_CONV, 96, 96, 96, 1, 3, 2 },
    { WORK_CONV, 48, 384, 384, 1, 3, 2 },
};

static void conv(OpBench *b, const ConvPoint *p)
{
    Run r = opbench_run(b);
    const int64_t n_past = p->kt - 1;
    const Tensor x = opbench_tensor(b, &r, SHAPE(1, p->side, p->side, p->cin));
    Tensor past[2];
    for (int i = 0; i < n_past; i++)
        past[i] = opbench_tensor(b, &r, SHAPE(1, p->side, p->side, p->cin));
    const Weight *w = opbench_weight(b, DT_F32, SHAPE(p->cout, p->cin, p->kt, p->k, p->k));
    const int pad = p->k / 2;
    const ConvGeometry g = { .kt = p->kt,
                             .kh = p->k,
                             .kw = p->k,
                             .stride_t = 1,
                             .stride = p->stride,
                             .top = pad,
                             .left = pad,
                             .bottom = pad,
                             .right = pad,
                             .upsample = 1,
                             .n_past = (int)n_past,
                             .groups = 1 };
    if (w) (void)op_conv(&r, x, past, (int)n_past, w, NULL, &g);
}

static SnugStatus convs(Measure *m, SnugError *err)
{
    TRY(measure_step(m, "convolution", 0.6, err));
    for (int i = WORK_CONV_3X3; i < WORK_COUNT; i++)
        m->out->work[i].n = 0;
    for (size_t i = 0; i < COUNT(CONVS); i++) {
        ConvPoint point = CONVS[i];
        double seconds;
        if (m->quick && point.side >= 64) point.side /= 2;
        conv(&m->bench, &point);
        TRY(opbench_seconds(&m->bench, m->least_seconds, &seconds, err));
        const TraceOp row = opbench_row(&m->bench);
        add_point(&m->out->work[row.work.class], row.work.size, row.flops, seconds);
    }
    return SNUG_OK;
}

SnugStatus measure_work(Measure *m, SnugError *err)
{
    TRY(gemms(m, err));
    TRY(attentions(m, err));
    return convs(m, err);
}

/* ---- how good it is ------------------------------------------------------------------------- */

/* Least error that a forecast admits to: other processes, heat, what lies between operations. */
static const double LEAST_ERROR = 0.10, MOST_ERROR = 9.0;

static SnugStatus see_error(Measure *m, double *worst, SnugError *err)
{
    double seconds;
    TRY(opbench_seconds(&m->bench, m->least_seconds, &seconds, err));
    const TraceOp row = opbench_row(&m->bench);
    const double off = fabs(log(profile_op_seconds(m->out, &row) / seconds));
    if (off > *worst) *worst = off;
    return SNUG_OK;
}

SnugStatus measure_error(Measure *m, SnugError *err)
{
    static const struct {
        int64_t rows, k, n;
        DType dtype;
    } GEMMS[] = { { 8, 1536, 8960, DT_BF16 },
                  { 32, 4096, 2048, DT_F32 },
                  { 128, 3072, 3072, DT_BF16 },
                  { 600, 1024, 1536, DT_F32 } };
    static const ConvPoint OTHERS[] = { { WORK_CONV_3X3, 80, 128, 128, 3, 3, 1 },
                                        { WORK_CONV_POINT, 80, 192, 192, 1, 1, 1 },
                                        { WORK_CONV, 80, 192, 192, 1, 3, 2 } };
    double worst = 0;
    TRY(measure_step(m, "check on other shapes", 0.9, err));
    for (size_t i = 0; i < COUNT(GEMMS); i++) {
        (void)linear(&m->bench, GEMMS[i].rows, GEMMS[i].k, GEMMS[i].n, GEMMS[i].dtype);
        TRY(see_error(m, &worst, err));
    }
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        conv(&m->bench, &OTHERS[i]);
        TRY(see_error(m, &worst, err));
    }
    attention(&m->bench, 256, 1500, 16, 64);
    TRY(see_error(m, &worst, err));
    const double error = exp(worst) - 1.0;
    m->out->error = error < LEAST_ERROR ? LEAST_ERROR : error > MOST_ERROR ? MOST_ERROR : error;
    return SNUG_OK;
}
