/* pickle.h  Reader of the pickles that torch.save writes. Nothing is imported and nothing is called:
 * a global is a row of a closed table, "calling" one builds a plain value or is refused.
 *
 * Opcodes are those of torch's weights-only unpickler (protocol 2). Tensors and storages are not
 * made: their descriptions stay in the tuples they came in, torch_tensors.c reads those. */
#ifndef FORMATS_PICKLE_H
#define FORMATS_PICKLE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/fault.h"
#include "tensor/dtype.h"

enum {
    PICKLE_MAX_BYTES = 256 << 20,
    PICKLE_MAX_STACK = 1000000, /* values */
    PICKLE_MAX_MARKS = 64,      /* nesting */
    PICKLE_MAX_MEMO = 1 << 24,  /* index */
    PICKLE_MAX_TEXT = 1 << 20,  /* bytes of one string */
    PICKLE_MAX_BOXES = 1 << 22  /* tuples, lists and dictionaries */
};

typedef enum PickleKind {
    PICKLE_UNSET = 0, /**< an empty place of the memo */
    PICKLE_MARK,
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT, /**< items are key, value, key, value, ... */
    PICKLE_GLOBAL,
    PICKLE_STORAGE, /**< box: ("storage", type, key, location, elements[, view]) */
    PICKLE_TENSOR,  /**< box: (storage, offset, size, stride, ...[, dtype at 6]) */
    PICKLE_OPAQUE   /**< of no use to us, and harmless */
} PickleKind;

struct PickleBox;
struct PickleGlobal;

typedef struct PickleValue {
    PickleKind kind;
    uint32_t n; /**< TEXT: bytes */
    union {
        int64_t whole; /**< INT, BOOL */
        double real;
        const char *text; /**< view of the pickle */
        struct PickleBox *box;
        const struct PickleGlobal *global;
    } as;
} PickleValue;

typedef struct PickleBox {
    PickleValue *items;
    uint32_t n, room;
} PickleBox;

/** What a global means to us. */
typedef enum PickleMeaning {
    MEANS_DICT,
    MEANS_STORAGE, /**< a storage type; DT_COUNT: untyped, counted in bytes */
    MEANS_DTYPE,
    MEANS_TENSOR,       /**< _rebuild_tensor, _rebuild_tensor_v2 */
    MEANS_TENSOR_DTYPE, /**< _rebuild_tensor_v3 */
    MEANS_FIRST,        /**< the call gives its first argument: parameters, torch.Size */
    MEANS_OPAQUE,
    MEANS_UNSUPPORTED /**< harmless, but nothing we can read */
} PickleMeaning;

typedef struct PickleGlobal {
    const char *module, *name;
    PickleMeaning meaning;
    DType dtype; /**< MEANS_STORAGE, MEANS_DTYPE */
} PickleGlobal;

/** One pickle to read. */
typedef struct PickleSource {
    const char *path;           /**< for messages */
    const unsigned char *bytes; /**< must outlive the values: texts are views */
    size_t n;
    bool stacked;        /**< of torch before 1.6: storages are described by six values */
    PickleBox *storages; /**< every storage that was mentioned is added here; may be NULL */
    Arena *arena;        /**< of the values */
} PickleSource;

/** Read one pickle from the front. *used: its bytes, STOP included; all there are when it goes on
 *  past them. */
SNUG_MUST_USE SnugStatus pickle_read(const PickleSource *source, PickleValue *out, size_t *used,
                                     SnugError *err);

/** Is it text of exactly these characters? */
bool pickle_is(PickleValue value, const char *text);
/** Value of a key in a dictionary, or NULL. The last one counts, as in Python. */
const PickleValue *pickle_get(PickleValue dict, const char *key);

/** Row of a global, NULL for what must not be touched. */
const PickleGlobal *pickle_global(const char *module, size_t module_n, const char *name,
                                  size_t name_n);

#endif
