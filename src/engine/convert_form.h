/* convert_form.h  What weights can be converted to, and which tensors of a model take part. */
#ifndef ENGINE_CONVERT_FORM_H
#define ENGINE_CONVERT_FORM_H

#include "formats/entry.h"

typedef enum ConvertKind {
    CONVERT_COPY,   /**< bytes as they are */
    CONVERT_CAST,   /**< every value by itself, or blocks of a GGUF type */
    CONVERT_SCALED, /**< fp8 with one scale */
    CONVERT_INT8,   /**< int8 with a scale per row, as bitsandbytes */
    CONVERT_FOUR,   /**< NF4, FP4 with f32 scales, as bitsandbytes */
    CONVERT_NESTED  /**< the same, with 8-bit scales */
} ConvertKind;

typedef struct ConvertForm {
    const char *name; /**< "nf4" */
    ConvertKind kind;
    DType dtype;
    uint32_t file_type; /**< general.file_type of GGUF */
    const char *words;
} ConvertForm;

/** NULL past the last. */
const ConvertForm *convert_form_at(int index);
const ConvertForm *convert_form_find(const char *name);
/** Only GGUF has its blocks. */
bool convert_form_needs_gguf(const ConvertForm *form);

/** What the user wants of single tensors: parts of names. */
typedef struct ConvertChoice {
    const char *const *keep; /**< stay as they are */
    int n_keep;
    bool all; /**< also what models are sensitive in: embeddings, first and last layers */
} ConvertChoice;

/**
 * What a tensor becomes. Tensors of one dimension and of up to 1024 elements stay; of the rest,
 * matrices are quantised and anything is cast. Rows that GGUF blocks do not divide become F16.
 */
typedef struct ConvertTarget {
    ConvertKind kind;
    DType dtype;
} ConvertTarget;
ConvertTarget convert_form_target(const ConvertForm *form, const ConvertChoice *choice,
                                  const Entry *entry, bool gguf);

#endif
