/* lives.h  Which tensors share one place, and which segments share their places.
 *
 * In-place chains: an output joins its input's place where the operation allows it and the input
 * ends there. A chain inside one segment is a local item; segments with the same template whose
 * chains end alike form a class and share their items. A chain that crosses segments is a group of
 * carried tensors and stands alone. Workspaces are items that live for one operation. */
#ifndef PLAN_LIVES_H
#define PLAN_LIVES_H

#include "base/arena.h"
#include "plan/trace.h"

enum { LIVES_ALIGN = 64 };

/** A local item: lives from `born` to `dies`, relative to the first operation of its segment. */
typedef struct LifeItem {
    size_t bytes;
    int32_t class_id, born, dies;
} LifeItem;

/** A place that several segments see; times in operations of the request. */
typedef struct LifeGroup {
    size_t bytes;
    int32_t born, dies;
} LifeGroup;

typedef struct LifeClass {
    int32_t template_id;
    int32_t first_item, n_items;
    int32_t first_place;             /* into place: one a tensor of the template */
    int32_t first_workspace;         /* into workspace: one an operation */
    int32_t first_member, n_members; /* into members */
    int32_t n_escapes;
} LifeClass;

typedef struct Lives {
    const Trace *trace;
    Arena arena;
    LifeClass *classes;
    int32_t n_classes;
    LifeItem *items;
    int32_t n_items;
    LifeGroup *groups;
    int32_t n_groups;
    int32_t *class_of;     /* [n_segments] */
    int32_t *first_escape; /* [n_segments + 1] into escapes */
    int32_t *escapes;      /* [n_carried] indices of carried tensors, by id */
    int32_t *group_of;     /* [n_carried] */
    int32_t *place;        /* item, or -1 - k: the k-th of the segment's tensors from before, then
                              of its escapes */
    int32_t *workspace;    /* item, or -1 */
    int32_t *members;      /* segments of each class, ascending */
} Lives;

/** SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus lives_make(Lives *out, const Trace *trace, SnugError *err);
void lives_release(Lives *lives);

/** A tensor's item (>= 0), or -1 - group. */
int32_t lives_place(const Lives *lives, int32_t segment, TraceRef ref);

#endif
