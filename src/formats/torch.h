/* torch.h  Reader of what torch.save writes (.pth, .pt, .bin, .ckpt), as a list of entries.
 *
 *     since 1.6   zip: A/data.pkl describes, A/data/<key> holds one storage each, uncompressed
 *     before      five pickles one after the other, then the storages ("stacked")
 *
 * No code of the file runs (pickle.h). A dictionary of tensors is looked for inside the usual
 * wrappers (state_dict, model, params_ema, ...); what was unwrapped is the note "torch.unwrapped".
 * Tensors may share storages, and those that do not lie in C order are gathered when read. */
#ifndef FORMATS_TORCH_H
#define FORMATS_TORCH_H

#include "formats/entry.h"

/** Read and check the zip form. See FormatRead. */
SNUG_MUST_USE SnugStatus torch_read_zip(const File *file, Arena *arena, EntryList *out,
                                        SnugError *err);
/** The same for files of torch 0.1.10 to 1.5. */
SNUG_MUST_USE SnugStatus torch_read_stacked(const File *file, Arena *arena, EntryList *out,
                                            SnugError *err);

#endif
