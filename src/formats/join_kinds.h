/* join_kinds.h  Inside join.c: what the kinds of quantised weights share. */
#ifndef FORMATS_JOIN_KINDS_H
#define FORMATS_JOIN_KINDS_H

#include "base/json_scan.h"
#include "formats/join.h"

typedef struct Join {
    const Checkpoint *checkpoint;
    Arena *arena;
    const Entry **entries;
    SnugError *err;
    bool scaled_marker, any_scale; /* of scaled fp8: seen */
    const char *marker;
} Join;

/** A kind is told of every piece whose name ends in its suffix; `stem` is what stands before. */
typedef SnugStatus JoinKind(Join *join, const Entry *piece, const char *stem);
JoinKind join_four_bit, join_absmax, join_int8, join_scale, join_comfy, join_marker;

/** The same knowledge from the files' metadata. */
SNUG_MUST_USE SnugStatus join_metadata(Join *join);

/** Complain about a piece in the common shape; SNUG_ERR_FILE. */
__attribute__((format(printf, 4, 5))) SnugStatus
join_fail(const Join *join, Fault fault, const Entry *piece, const char *what, ...);
SnugStatus join_no_memory(const Join *join);
/** The piece named stem + suffix, NULL if there is none. */
const Entry *join_find(const Join *join, const char *stem, const char *suffix);
/** Take a companion out of the entries; NULL is fine. */
void join_hide(Join *join, const Entry *piece);
/** Put a joined entry in the place of its weight. */
void join_replace(Join *join, const Entry *weight, const Entry *joined);
/** A copy of `weight` to be completed: no parts yet, room for `max_parts`. NULL: no memory. */
Entry *join_begin(const Join *join, const Entry *weight, int32_t max_parts);
/** Append a part at the next aligned place; returns that place. */
size_t join_add(Entry *joined, const Entry *part);
/** Text of a small U8 piece, for the JSON parser. */
SNUG_MUST_USE SnugStatus join_read_blob(const Join *join, const Entry *piece, TextView *out);
/** A scale of a single float; must be finite and > 0. */
SNUG_MUST_USE SnugStatus join_read_scale(const Join *join, const Entry *piece, float *out);

#endif
