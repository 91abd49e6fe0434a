/* wan_file.h  A weight file, and which networks of a Wan model are in it.
 *
 * What a file holds is told by its tensors, never by its name. A network is there when the marker
 * of one of its spellings is, perhaps behind a prefix ("model.diffusion_model."); a file may hold
 * several networks. */
#ifndef PIPELINES_WAN_FILE_H
#define PIPELINES_WAN_FILE_H

#include "formats/checkpoint.h"
#include "models/wan_names.h"

/** Lives in an arena; closed by its owner with wan_file_close. */
typedef struct WanFile {
    const char *path;
    Checkpoint *weights;
    const WanSpelling *spelling[WAN_NETS]; /**< NULL: the network is not in it */
    const char *prefix[WAN_NETS];          /**< before every name; NULL or "blocks." */
    struct WanFile *next;                  /* in a layout's list */
} WanFile;

/** Open a file or the index of shards (headers only) and look what it holds. */
SNUG_MUST_USE SnugStatus wan_file_open(WanFile **out, Arena *arena, const char *path,
                                       const ModelRoot *root, SnugError *err);
void wan_file_close(WanFile *file);

/** "a Wan transformer", "a T5 text encoder", "a Wan video VAE" */
const char *wan_network_words(WanNetwork network);
/** What it holds, in words; other known networks are named, too. Static. */
const char *wan_file_words(const WanFile *file);

/** Is it the name of a weight file that should be looked into? Shards are not: their index is. */
bool wan_file_is_weights(const char *name);
/** "x-00001-of-00003.safetensors" */
bool wan_file_is_shard(const char *name);

#endif
