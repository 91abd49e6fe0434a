/* bound.c  The least that must be moved: Belady's rule on units that may be kept in part.
 *
 * Every 64 bytes of a unit are a page of their own; a use asks for all pages of its unit at once.
 * Evicting the pages needed again latest is optimal for pages of one size, and allowing parts only
 * helps, so the result is below every schedule of whole units. The units of one size alone, whole,
 * are the same problem with larger pages: as many fit as the space holds, fewer while a unit of
 * another size is in use. Also a bound; the greatest is taken. A unit that an earlier stage used may
 * still be there: its first use is free. */
#include "plan/residency.h"

#include "base/arena.h"

typedef struct Bound {
    const Uses *uses;
    const size_t *unit_bytes;
    double *present; /* [n_units] bytes in memory */
    int32_t *next;   /* [n_units] next use */
    int32_t *seen;   /* [n_units] stage + 1 that used it last before, 0 never */
    int32_t *in;     /* units with present > 0 */
    int32_t n_in;
    double total;
} Bound;

/* Free `need` bytes, what is needed again latest first; never of units in use at `use`. */
static void make_room(Bound *b, double need, int32_t use)
{
    const UnitUse *now = &b->uses->list[use];
    while (need > 0) {
        int32_t worst = -1;
        for (int32_t i = 0; i < b->n_in; i++) {
            const int32_t next = b->next[b->in[i]];
            if (b->in[i] == now->unit) continue;
            if (next < b->uses->n && b->uses->list[next].first <= now->last) continue;
            if (worst < 0 || next > b->next[b->in[worst]]) worst = i;
        }
        if (worst < 0) return;
        const int32_t unit = b->in[worst];
        const double part = b->present[unit] < need ? b->present[unit] : need;
        b->present[unit] -= part;
        b->total -= part;
        need -= part;
        if (b->present[unit] <= 0) b->in[worst] = b->in[--b->n_in];
    }
}

/* Room for pages while `bytes` of other units are in use. */
static double room_for_pages(double space, size_t page, double bytes)
{
    return bytes >= space ? 0.0 : (double)((size_t)(space - bytes) / page) * (double)page;
}

/* A use of a unit that is no page: it is read once at least, and pages must make room for it. */
static double use_other(Bound *b, int32_t use, double space, size_t page, bool seen)
{
    const double size = (double)b->unit_bytes[b->uses->list[use].unit];
    make_room(b, b->total - room_for_pages(space, page, size), use);
    return seen ? 0.0 : size;
}

/* `page`: only units of this size count, and they are kept whole; 0: all count, in part too. */
static double walk(Bound *b, int32_t stage, int32_t n_units, double space, size_t page)
{
    const double room = page ? room_for_pages(space, page, 0) : space;
    double moved = 0;
    b->total = 0;
    b->n_in = 0;
    for (int32_t i = 0; i < n_units; i++)
        b->present[i] = 0;
    for (int32_t i = b->uses->stage_first[stage]; i < b->uses->stage_first[stage + 1]; i++) {
        const UnitUse *use = &b->uses->list[i];
        const double size = (double)b->unit_bytes[use->unit];
        const bool seen = b->seen[use->unit] == stage + 1, stayed = !seen && b->seen[use->unit];
        b->next[use->unit] = use->next;
        b->seen[use->unit] = stage + 1;
        if (page && b->unit_bytes[use->unit] != page) {
            moved += use_other(b, i, space, page, seen || stayed);
            continue;
        }
        const double missing = size - b->present[use->unit];
        if (missing <= 0) continue;
        if (!stayed) moved += missing;
        if (b->present[use->unit] <= 0) b->in[b->n_in++] = use->unit;
        make_room(b, b->total + missing - room, i);
        b->present[use->unit] = size;
        b->total += missing;
    }
    return moved;
}

/* Which stage used each unit last before this one. */
static void mark_seen(Bound *b, int32_t stage, int32_t n_units)
{
    for (int32_t i = 0; i < n_units; i++)
        b->seen[i] = 0;
    for (int32_t s = 0; s < stage; s++)
        for (int32_t i = b->uses->stage_first[s]; i < b->uses->stage_first[s + 1]; i++)
            b->seen[b->uses->list[i].unit] = s + 1;
}

enum { MAX_PAGES = 4 };

/* The largest sizes of units in the stage. */
static int page_sizes(const Uses *uses, int32_t stage, const size_t *unit_bytes,
                      size_t pages[MAX_PAGES])
{
    int n = 0;
    for (size_t below = SIZE_MAX; n < MAX_PAGES; below = pages[n - 1]) {
        size_t most = 0;
        for (int32_t i = uses->stage_first[stage]; i < uses->stage_first[stage + 1]; i++) {
            const size_t bytes = unit_bytes[uses->list[i].unit];
            if (bytes < below && bytes > most) most = bytes;
        }
        if (!most) break;
        pages[n++] = most;
    }
    return n;
}

SnugStatus residency_bound(const Uses *uses, int32_t stage, const size_t *unit_bytes,
                           int32_t n_units, size_t space, double *out, SnugError *err)
{
    Arena arena;
    arena_init(&arena, uses->heap, "planning");
    const size_t n = (size_t)n_units + 1;
    Bound b = { .uses = uses,
                .unit_bytes = unit_bytes,
                .present = arena_array(&arena, n, sizeof(double)),
                .next = arena_array(&arena, n, sizeof(int32_t)),
                .seen = arena_array(&arena, n, sizeof(int32_t)),
                .in = arena_array(&arena, n, sizeof(int32_t)) };
    const bool good = b.present && b.next && b.seen && b.in;
    *out = 0;
    if (good) {
        mark_seen(&b, stage, n_units);
        *out = walk(&b, stage, n_units, (double)space, 0);
        size_t pages[MAX_PAGES];
        const int n_pages = page_sizes(uses, stage, unit_bytes, pages);
        for (int i = 0; i < n_pages; i++) {
            mark_seen(&b, stage, n_units);
            const double whole = walk(&b, stage, n_units, (double)space, pages[i]);
            if (whole > *out) *out = whole;
        }
    }
    arena_release(&arena);
    return good ? SNUG_OK : error_set(err, SNUG_ERR_MEMORY, "no memory to plan the weights");
}
