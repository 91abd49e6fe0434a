/* bpe_files.h  CLIP's tokenizer in its older form: vocab.json and merges.txt, special tokens in
 * tokenizer_config.json or special_tokens_map.json. Retold as a tokenizer.json, so that one reader
 * serves both. */
#ifndef TEXT_BPE_FILES_H
#define TEXT_BPE_FILES_H

#include "base/json.h"

enum { BPE_FILES_MAX_BYTES = 16 * 1024 * 1024 /* each */ };

/** Where they are. */
typedef struct BpeFiles {
    const char *vocab, *merges;
    Json config; /**< tokenizer_config.json or special_tokens_map.json; may be absent */
} BpeFiles;

/** What transformers 5 would save for these files.
 *  @param out  in `arena`
 *  @return SNUG_ERR_FILE: malformed, or the files of another tokenizer than CLIP's */
SNUG_MUST_USE SnugStatus bpe_files_retell(const BpeFiles *files, Arena *arena, TextView *out,
                                          SnugError *err);

#endif
