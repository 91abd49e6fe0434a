/* op.h  One operation as data: what the rehearsal records and a device executes. */
#ifndef COMPUTE_OP_H
#define COMPUTE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "compute/weight.h"
#include "tensor/tensor.h"

typedef enum OpKind {
#define OP(kind, name) OP_##kind,
#include "compute/ops.def"
#undef OP
    OP_COUNT
} OpKind;

typedef enum Activation {
    ACT_NONE = 0,
    ACT_SILU,
    ACT_GELU_TANH,
    ACT_GELU_ERF,
    ACT_RELU,
    ACT_EXP,
    ACT_GELU_QUICK, /**< x sigmoid(1.702 x), as OpenAI's CLIP has it */
    ACT_SIGMOID,
} Activation;

enum { OP_MAX_IN = 8, OP_MAX_WEIGHTS = 4 };
/** How the products of a linear layer are computed; weights may be stored as anything. */
typedef enum Arithmetic {
    ARITHMETIC_F32 = 0,
    ARITHMETIC_BF16, /**< activations and weights rounded to bf16, sums in f32 */
    ARITHMETIC_INT8, /**< both rounded to bytes by a scale per row, sums exact */
} Arithmetic;

/** Products of so many bytes fit 32 bits. */
enum { OP_INT8_TERMS = 1 << 17 };

/** Order of the values inside one patch, slowest first. */
typedef enum PatchOrder {
    PATCH_CTHW = 0, /**< [C, pt, ph, pw]: convolution weights */
    PATCH_THWC,     /**< [pt, ph, pw, C]: the Wan transformer's head */
    PATCH_CTWH,     /**< [C, pt, pw, ph]: the Wan 2.2 VAE's pixels */
} PatchOrder;

/** Host side of OP_INPUT: write `count` floats to `to`. */
typedef void InputFill(void *context, float *to, int64_t count);
/** Host side of run_take: `count` floats at `from`, which are gone when it returns. */
typedef SnugStatus OutputTake(void *context, const float *from, int64_t count, SnugError *err);

/** Convolution geometry; weights [Cout, Cin / groups, kt, kh, kw]. */
typedef struct ConvGeometry {
    int kt, kh, kw;               /**< kernel */
    int stride_t, stride;         /**< in time, in space */
    int top, left, bottom, right; /**< zero padding [px]; top, bottom < 0: rows not looked at */
    int upsample;                 /**< 1, or 2: nearest x2 of the input, fused */
    int n_past;                   /**< frames before x: inputs 1.. of the op (fewer: zeros first) */
    int groups;
    /** When the result is a band of rows: size of the whole result; else 0. A band begins and ends
     *  at multiples of CONV_BAND rows or at the image's edge; its halo rows are part of x. */
    int64_t image_h, image_w;
    bool residual; /**< the last input is added to the result (op_conv_add sets it) */
} ConvGeometry;

enum { CONV_BAND = 4 };

/** What differs between kinds. */
typedef union OpArg {
    struct {
        InputFill *fill;
        void *context;
    } input;
    struct {
        const char *name;
        int64_t index;
        OutputTake *take; /* NULL: for the outside */
        void *context;
    } output;
    struct {
        Activation activation;
        int64_t first;         /* output of the layer that out's first column is */
        Arithmetic arithmetic; /* in int8 up to OP_INT8_TERMS inputs */
    } linear;
    struct {
        const int32_t *ids; /* [rows], owned by the caller until the run ends */
    } embed;
    struct {
        float eps;
        int64_t split;       /* rows below it use row 0 of the modulation, the rest the last row */
        int64_t first;       /* column of the weight that x's first one has (op_rms_norm_part) */
        int8_t shift, scale; /* which of the modulation's n vectors */
        Activation activation;
    } norm;
    struct {
        int64_t split;
        int8_t gate;
    } gated;
    struct {
        Activation activation;
    } act;
    struct {
        float coef[OP_MAX_IN];
    } combine;
    struct {
        float low, high;
    } clamp;
    struct {
        const float *mul, *add; /* [C], owned by the caller until the run ends */
    } affine;
    struct {
        int64_t frames, height, width; /* token grid */
        int64_t pairs[3];              /* of a head: by frame, row, column */
        int64_t first;                 /* token index of row 0 */
        int heads;
    } rope;
    struct {
        int heads;
        int64_t head_dim;
        int64_t q_col, k_col, v_col; /* first column of each inside its rows */
        float scale;
        bool has_bias, has_key_bias; /* in[3..]: relative bias, then key bias */
        int64_t q_first;             /* position of query row 0, for the relative bias */
        bool causal;                 /* query i sees keys up to q_first + i */
    } attention;
    struct {
        int64_t length;
        int buckets, max_distance;
    } bias;
    struct {
        const double *t; /* [n], valid during the call */
        int n;
        bool single; /* angles in f32 */
    } timestep;
    ConvGeometry conv;
    struct {
        int pt, ph, pw;
        PatchOrder order;
    } patch;
    struct {
        int64_t height, first; /* of the whole result; its first row here */
    } resize;
    struct {
        int64_t height, width; /* of the map of tokens */
        int heads, size, shift;
    } window;
    struct {
        int kernel;
        int64_t first; /* row of the map */
    } deform;
    struct {
        int64_t first;
    } rows; /* also columns */
    struct {
        int64_t to, from, count;
    } columns;
    struct {
        int ft, fs;
        int drop; /* dup_up: output frames dropped in front */
    } resample;
} OpArg;

/** One operation. */
typedef struct Op {
    OpKind kind;
    int n_in, n_weights;
    Tensor in[OP_MAX_IN];
    const Weight *weight[OP_MAX_WEIGHTS];
    Tensor out;   /**< id -1 for OP_OUTPUT */
    int in_place; /**< input whose place the output may take when it ends here; -1: none */
    bool mutates; /**< out is the same buffer as in[0], updated */
    double flops; /**< multiplications and additions */
    size_t workspace_bytes; /**< device scratch for this call, part of the plan */
    OpArg arg;
} Op;

/** Reads row `row` of a by_row weight in its stored dtype to `to`. */
typedef SnugStatus ReadRow(void *context, const Weight *weight, int64_t row, void *to,
                           SnugError *err);

/** Where an operation's operands lie; filled by the plan, used by the device. */
typedef struct OpPlaces {
    const void *in[OP_MAX_IN];
    const void *weight[OP_MAX_WEIGHTS]; /* NULL for by_row weights */
    void *out;
    void *workspace;
    void *staging; /* host memory for what enters or leaves a device with memory of its own */
    ReadRow *read_row;
    void *read_context;
} OpPlaces;

/** "linear"; never NULL for a valid kind. */
const char *op_kind_name(OpKind kind);

#endif
