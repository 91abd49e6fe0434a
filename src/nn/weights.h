/* weights.h  The one list of a network's weights: bind by name, check shapes, group into units.
 *
 * A model writes its list once (`toy_weights(m, w)`); the same list loads, checks, prices and
 * streams. Errors are collected: weights_end names the missing, mis-shaped and unexpected. */
#ifndef NN_WEIGHTS_H
#define NN_WEIGHTS_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/error.h"
#include "compute/weight.h"
#include "formats/checkpoint.h"
#include "nn/lora.h"
#include "nn/name_map.h"

/** Something added to a small weight when it is read: w + scale * delta. */
typedef struct WeightDelta {
    const Checkpoint *checkpoint;
    const Entry *entry;
    float scale;
    const struct WeightDelta *next;
} WeightDelta;

/** A weight and where it comes from. */
typedef struct BoundWeight {
    Weight weight; /* first: a const Weight * of this table is a BoundWeight * */
    const Checkpoint *checkpoint;
    const Entry *entry;
    const WeightDelta *deltas;       /* none for most; else the weight is kept as F32 */
    struct BoundWeight *next;        /* in the unit; of a part: the next part */
    const struct BoundWeight *whole; /* of a part: whose place it shares; in no unit itself */
    atomic_bool checked;             /* scanned for NaN and infinity once */
} BoundWeight;

/** A block of weights that the planner keeps, evicts and prefetches as one. */
typedef struct WeightUnit {
    char name[64];             /**< "transformer.blocks.3" */
    size_t bytes;              /**< of the block, a multiple of 64 */
    BoundWeight *first, *last; /**< chain of its weights */
} WeightUnit;

/** All weights of a job: units of all its networks. Lives in its arena. */
typedef struct WeightTable {
    Arena *arena;
    WeightUnit *units;
    int32_t n_units, max_units;
    bool keep_cached; /**< leave the page cache as reads find it; else they drop what they read */
    char warnings[1024]; /**< lines, say about tensors that no network asked for */
} WeightTable;

void weight_table_init(WeightTable *table, Arena *arena);

/** Read every weight of a unit to its place in the block at `to`. SNUG_ERR_FILE also when a value
 *  is NaN or infinite (looked for once per weight). Threads: any. */
SNUG_MUST_USE SnugStatus weight_table_read(const WeightTable *table, int32_t unit, void *to,
                                           SnugError *err);
/** Part of all units' bytes that is in the page cache, 0..1. */
double weight_table_cached(const WeightTable *table);
/** Read one row of a by_row weight, in its stored dtype. */
SNUG_MUST_USE SnugStatus weight_table_read_row(const WeightTable *table, const Weight *weight,
                                               int64_t row, void *to, SnugError *err);

/** Builder for one network. Fields are private. */
typedef struct Weights {
    WeightTable *table;
    const Checkpoint *checkpoint;
    const NameMap *names; /* NULL: the file spells names as we do */
    const char *model;    /* "transformer" */
    char prefix[128];     /* "blocks.3." */
    int32_t first_unit;   /* of this network */
    int32_t unit;         /* -1 before the first weights_unit */
    bool *used;           /* [tensors of the checkpoint] */
    LoraSet *loras;       /* changes that apply; NULL: none */
    LoraNetwork lora_network;
    unsigned lora_expert;
    const NameMap *lora_names; /* what LoRA files may call our names; NULL: nothing else */
    BoundWeight *parts;        /* of stored matrices, the last one first */
    char problems[1536];
    size_t n_problem_text;
    int n_problems;
    bool no_memory;
} Weights;

typedef enum Bias { NO_BIAS = 0, BIAS } Bias;

/** A change to a layer, applied beside it: y += up (down x) + bias. */
typedef struct LowRank {
    const Weight *down; /**< [r, in (, kh, kw)]; NULL: of full size, `up` has the layer's shape */
    const Weight *up;   /**< [out, r], scaled */
    const Weight *bias; /**< [out], scaled; or NULL */
    const struct LowRank *next;
} LowRank;

/** Dense layer: weight [out, in], bias [out] or NULL. */
typedef struct Linear {
    const Weight *weight, *bias;
    const LowRank *lora; /**< NULL: none */
    bool coarse; /**< bears a coarse arithmetic (op_linear_coarse): set by the network's list */
} Linear;
/** Convolution: weight [out, in, kt, kh, kw] (2-D: kt = 1), bias or NULL. */
typedef struct Conv {
    const Weight *weight, *bias;
    int kt, kh, kw;
    const LowRank *lora; /**< NULL: none; heeded by nn_conv_add and what is made of it */
} Conv;

/** `model` is a static string for unit names and messages. */
void weights_begin(Weights *w, WeightTable *table, const Checkpoint *checkpoint, const char *model);
/** How the file spells names, from here on; the map is borrowed until weights_end. Messages keep the
 *  file's own names; tensors outside the map's prefix belong to others and are not unexpected. */
void weights_names(Weights *w, const NameMap *names);
/** LoRA files that change this network, from here on; borrowed until weights_end. Their tensors join
 *  the units of the layers they change. Small tensors (norms, biases) take their changes as they are
 *  read. Afterwards: lora_check.
 *  @param expert  LORA_HIGH, LORA_LOW or both: which of two networks this is
 *  @param names   the convention that files may use beside ours, without a prefix; or NULL */
void weights_loras(Weights *w, LoraSet *loras, LoraNetwork network, unsigned expert,
                   const NameMap *names);
/** Cuts large units, too: a unit of the finished table is about a hundredth of its network, or one
 *  weight. SNUG_ERR_FILE when a tensor is missing, mis-shaped or of a dtype no kernel takes; tensors
 *  nobody asked for become a line of table->warnings. */
SNUG_MUST_USE SnugStatus weights_end(Weights *w, SnugError *err);

/** Start a unit; its name is also the prefix of the names that follow: "blocks.%d". "" is none. */
__attribute__((format(printf, 2, 3))) void weights_unit(Weights *w, const char *format, ...);
/** Other prefix, same unit: "decoder.mid_block". "" is none. */
__attribute__((format(printf, 2, 3))) void weights_prefix(Weights *w, const char *format, ...);

/** Tensor prefix.name; dimensions equal to 1 are not compared. NULL (and noted) if absent. */
const Weight *weights_tensor(Weights *w, const char *name, Shape shape);
/** Is there a tensor prefix.name? (optional parts) */
bool weights_has(const Weights *w, const char *name);
/** Embedding table [rows, cols], read row by row, in no unit. */
const Weight *weights_table(Weights *w, const char *name, int64_t rows, int64_t cols);
/** name.weight, name.bias. */
void weights_linear(Weights *w, Linear *linear, const char *name, int64_t in, int64_t out,
                    Bias bias);
void weights_conv(Weights *w, Conv *conv, const char *name, int64_t in, int64_t out, int kt, int kh,
                  int kw, Bias bias);
/** What LoRA files change in a layer whose weight was bound by weights_tensor. */
void weights_adapt(Weights *w, Linear *linear, const char *name, int64_t in, int64_t out);
/** A tensor that files may carry and snug does not need ("position_ids"): not unexpected. */
void weights_ignore(Weights *w, const char *name);
/** The same for all tensors whose names begin so ("text_model."), whatever the current prefix: as
 *  the file spells them, behind the prefix of all its names. */
void weights_ignore_all(Weights *w, const char *beginning);

/* ---- inside nn ------------------------------------------------------------------------------ */

/** Note a problem, one line of weights_end's message. */
__attribute__((format(printf, 2, 3))) void weights_problem(Weights *w, const char *format, ...);
/** Put a weight of any file into the unit in progress. NULL: no memory, or no unit. */
BoundWeight *weights_add(Weights *w, const Checkpoint *checkpoint, const Entry *entry, Shape shape,
                         const Scaling *scaling);
/** Rows of a matrix that a file keeps with others in one: [shape.dim[0] / part.count * part.of, ..] in
 *  all, which joins the unit once. */
BoundWeight *weights_add_part(Weights *w, const Checkpoint *checkpoint, const Entry *entry,
                              Shape shape, const Scaling *scaling, NamePart part);

#endif
