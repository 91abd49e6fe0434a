/* name_map.h  One network, several spellings of its weights: tables translate names both ways.
 *
 * Model code knows one list of names, those of diffusers and transformers ("ours"). A file may spell
 * them otherwise ("theirs"). A row says how the beginning of a name is spelled on both sides; `#`
 * stands for a number that both sides share, the rest of the name follows as it is:
 *
 *     { "blocks.#.attn1.to_q", "blocks.#.self_attn.q" }
 *     blocks.17.attn1.to_q.bias  <->  blocks.17.self_attn.q.bias
 *
 * A file may keep several of our matrices in one, one above the other: `@first/of` or `@first+count/of`
 * behind their name says which rows of it are ours, in equal parts:
 *
 *     { "single_blocks.#.to_k", "single_blocks.#.linear1@1/7" }   rows 1/7 to 2/7
 *
 * Rows end at a dot or at the end of the name; the first row that fits counts. What is left may be
 * translated by a second table, the tails: parts that occur inside many blocks. */
#ifndef NN_NAME_MAP_H
#define NN_NAME_MAP_H

#include <stdbool.h>

#include "base/arena.h"

enum { NAME_MAP_TEXT = 512, NAME_MAP_NUMBERS = 4 };

typedef struct NameRow {
    const char *ours, *theirs;
} NameRow;

/** Tables are borrowed. All empty: names are the same on both sides. */
typedef struct NameMap {
    const char *convention; /**< "original Wan names", for messages */
    const char *prefix; /**< begins every name in the file: "model.diffusion_model."; may be NULL */
    const NameRow *rows;
    int n_rows;
    const NameRow *tails;
    int n_tails;
} NameMap;

/** Spell our name as the file does. False: no row knows it; then, and when there are no rows, it is
 *  spelled the same, behind the prefix. Names too long for `out` are cut. */
bool name_map_to_theirs(const NameMap *map, const char *ours, char out[NAME_MAP_TEXT]);
/** Spell the file's name as we do. False: it lacks the prefix, or no row knows it; `out` is then
 *  the name as it was. */
bool name_map_to_ours(const NameMap *map, const char *theirs, char out[NAME_MAP_TEXT]);

/** A table under construction, for networks whose numbers depend on their configuration. */
typedef struct NameMapRows {
    Arena *arena; /**< of the names */
    NameRow *at;  /**< with room for what is added */
    int n;
    bool failed; /**< no memory for a name */
} NameMapRows;

/** Add a row; NULL is a name that there was no memory for. */
void name_map_add(NameMapRows *rows, const char *ours, const char *theirs);

/** Which rows of their matrix our name stands for, in parts of its height; of = 0: all. */
typedef struct NamePart {
    int first, count, of;
} NamePart;
NamePart name_map_part(const NameMap *map, const char *ours);

#endif
