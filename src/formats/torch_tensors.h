/* torch_tensors.h  From a read pickle and the places of its storages to entries. */
#ifndef FORMATS_TORCH_TENSORS_H
#define FORMATS_TORCH_TENSORS_H

#include "base/text.h"
#include "formats/entry.h"
#include "formats/pickle.h"

/** One storage: a run of bytes that tensors are views of. */
typedef struct TorchStorage {
    TextView key;
    size_t offset, bytes; /**< in the file */
} TorchStorage;

typedef struct TorchStorages {
    const TorchStorage *at; /**< sorted by key */
    int32_t n;
} TorchStorages;

/** Find the dictionary of tensors below `root` and list it. */
SNUG_MUST_USE SnugStatus torch_tensors_list(EntryList *out, Arena *arena, const File *file,
                                            PickleValue root, TorchStorages storages,
                                            SnugError *err);
/** Storage keys are numbers: nothing that could name another file. */
bool torch_tensors_key_ok(TextView key);

#endif
