/* convert_form.c  The forms, and the parts of models that are left alone. */
#include "engine/convert_form.h"

#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "formats/gguf.h"

enum { SMALL = 1024 /* elements */ };

static const ConvertForm FORMS[] = {
    { "keep", CONVERT_COPY, DT_F32, 0, "as it is: for other shards" },
    { "f32", CONVERT_CAST, DT_F32, 0, "32 bits" },
    { "bf16", CONVERT_CAST, DT_BF16, 32, "16 bits, the range of f32" },
    { "f16", CONVERT_CAST, DT_F16, 1, "16 bits, more digits" },
    { "fp8", CONVERT_SCALED, DT_F8_E4M3, 0, "8 bits (e4m3), one scale per matrix" },
    { "fp8-e4m3", CONVERT_CAST, DT_F8_E4M3, 0, "8 bits, plain" },
    { "fp8-e5m2", CONVERT_CAST, DT_F8_E5M2, 0, "8 bits, plain, more range" },
    { "int8", CONVERT_INT8, DT_I8, 0, "8 bits, one scale per row (bitsandbytes)" },
    { "nf4", CONVERT_NESTED, DT_NF4, 0, "4.13 bits (bitsandbytes, double quantisation)" },
    { "nf4-plain", CONVERT_FOUR, DT_NF4, 0, "4.5 bits (bitsandbytes)" },
    { "fp4", CONVERT_NESTED, DT_FP4, 0, "4.13 bits (bitsandbytes, double quantisation)" },
    { "fp4-plain", CONVERT_FOUR, DT_FP4, 0, "4.5 bits (bitsandbytes)" },
    { "q8_0", CONVERT_CAST, DT_Q8_0, 7, "8.5 bits (GGUF)" },
    { "q6_k", CONVERT_CAST, DT_Q6_K, 18, "6.6 bits (GGUF)" },
    { "q5_k", CONVERT_CAST, DT_Q5_K, 16, "5.5 bits (GGUF)" },
    { "q5_1", CONVERT_CAST, DT_Q5_1, 9, "6 bits (GGUF)" },
    { "q5_0", CONVERT_CAST, DT_Q5_0, 8, "5.5 bits (GGUF)" },
    { "q4_k", CONVERT_CAST, DT_Q4_K, 14, "4.5 bits (GGUF)" },
    { "q4_1", CONVERT_CAST, DT_Q4_1, 3, "5 bits (GGUF)" },
    { "q4_0", CONVERT_CAST, DT_Q4_0, 2, "4.5 bits (GGUF)" },
    { "q2_k", CONVERT_CAST, DT_Q2_K, 10, "2.6 bits (GGUF)" },
};

const ConvertForm *convert_form_at(int index)
{
    return index >= 0 && index < (int)COUNT(FORMS) ? &FORMS[index] : NULL;
}

const ConvertForm *convert_form_find(const char *name)
{
    for (size_t i = 0; i < COUNT(FORMS); i++)
        if (strcmp(FORMS[i].name, name) == 0) return &FORMS[i];
    return NULL;
}

static bool is_block(DType type)
{
    return dtype_info(type)->block > 2; /* two: NF4 and FP4, their scales apart */
}

bool convert_form_needs_gguf(const ConvertForm *form)
{
    return form->kind == CONVERT_CAST && is_block(form->dtype);
}

/* ---- which tensors -------------------------------------------------------------------------- */

/* Where errors show first, and what is no matrix of a layer. Beginnings, behind a prefix that all
 * names have; and parts of names. */
static const char *const BEGINNINGS[] = {
    "patch_embedding",
    "img_in",
    "txt_in",
    "time_in",
    "vector_in",
    "guidance_in",
    "final_layer",
    "x_embedder",
    "context_embedder",
    "time_text_embed",
    "pos_embed",
    "text_embedding",
    "time_embedding",
    "time_embed.",
    "time_projection",
    "img_emb",
    "head.",
    "proj_out",
    "norm_out",
    "condition_embedder",
    "label_emb",
    "add_embedding",
    "conv_in",
    "conv_out",
    "shared.",
    "token_embd",
    "token_embedding",
    "lm_head",
    "out.",
    "input_blocks.0.0.",
};
static const char *const PARTS[] = { "relative_attention_bias",
                                     "pos_embedding",
                                     "attn_rel_b",
                                     "embed_tokens",
                                     "embeddings.",
                                     "modulation",
                                     "scale_shift_table",
                                     "positional" };
static const char *const PREFIXES[] = { "model.diffusion_model.", "diffusion_model.", "model." };

static bool is_sensitive(const char *name)
{
    for (size_t i = 0; i < COUNT(PREFIXES); i++)
        if (text_starts(name, PREFIXES[i])) {
            name += strlen(PREFIXES[i]);
            break;
        }
    for (size_t i = 0; i < COUNT(BEGINNINGS); i++)
        if (text_starts(name, BEGINNINGS[i])) return true;
    for (size_t i = 0; i < COUNT(PARTS); i++)
        if (strstr(name, PARTS[i])) return true;
    return false;
}

static bool is_kept(const ConvertChoice *choice, const char *name)
{
    for (int i = 0; i < choice->n_keep; i++)
        if (strstr(name, choice->keep[i])) return true;
    return false;
}

static bool is_float(DType type)
{
    return type == DT_F64 || (type != DT_I8 && type < DT_COUNT && dtype_is_weight(type));
}

/* What stays a float without being chosen: its own type where the file can hold it. */
static ConvertTarget as_it_is(const Entry *e, bool gguf)
{
    const bool plain = dtype_info(e->dtype)->block == 1 && !e->scaling;
    if (gguf ? gguf_type_of(e->dtype) >= 0 && !e->scaling : plain)
        return (ConvertTarget){ CONVERT_COPY, e->dtype };
    return (ConvertTarget){ CONVERT_CAST, gguf ? DT_F16 : DT_BF16 };
}

ConvertTarget convert_form_target(const ConvertForm *form, const ConvertChoice *choice,
                                  const Entry *e, bool gguf)
{
    int64_t n = 0;
    const bool scaled_int8 = e->dtype == DT_I8 && e->scaling;
    if (e->dtype >= DT_COUNT || (!is_float(e->dtype) && !scaled_int8))
        return (ConvertTarget){ CONVERT_COPY, e->dtype };
    if (!entry_elements(e->dim, e->rank, &n) || e->rank < 2 || n <= SMALL ||
        is_kept(choice, e->name) || form->kind == CONVERT_COPY)
        return as_it_is(e, gguf);
    const bool cast =
        form->kind == CONVERT_CAST && dtype_info(form->dtype)->bytes >= 2 && !is_block(form->dtype);
    if (cast) return (ConvertTarget){ CONVERT_CAST, form->dtype };
    if (e->rank != 2 || (!choice->all && is_sensitive(e->name)) || !text_ends(e->name, ".weight"))
        return as_it_is(e, gguf);
    if (e->dim[1] % dtype_info(form->dtype)->block && is_block(form->dtype))
        return (ConvertTarget){ CONVERT_CAST, DT_F16 };
    return (ConvertTarget){ form->kind, form->dtype };
}
