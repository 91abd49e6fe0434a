/* sweep.h  A request whose n-th allocation is refused, for every n until it ends well. */
#ifndef TESTS_PIPELINES_SWEEP_H
#define TESTS_PIPELINES_SWEEP_H

#include "pipelines/request.h"

#include "base/heap.h"
#include "engine/engine.h"

enum { MAX_FAULTS = 20000 };

/** Each refusal must be reported and leave nothing behind.
 * @param make   the job; the sweep frees it
 * @param after  sees to the files of a run that ended so */
static inline void sweep_allocations(SnugEngine *engine, SnugJob *(*make)(SnugEngine *),
                                     void (*after)(SnugStatus status))
{
    const size_t before = heap_now_bytes(engine->heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        SnugError err = { { 0 } };
        CHECK(++n < MAX_FAULTS);
        SnugJob *job = make(engine);
        heap_fail_at(engine->heap, n);
        status = request_try(job, &err);
        heap_fail_at(engine->heap, 0);
        if (status != SNUG_OK && status != SNUG_ERR_MEMORY)
            fail_msg("allocation %d: %d: %s", n, status, err.text);
        CHECK(status == SNUG_OK || err.text[0]);
        snug_job_free(job);
        if (heap_now_bytes(engine->heap) != before)
            fail_msg("allocation %d: something is leaked", n);
        after(status);
    }
    print_message("%d allocations\n", n - 1);
    CHECK(n > 100);
}

#endif
