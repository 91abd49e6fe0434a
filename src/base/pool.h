/* pool.h  Thread pool: one per engine, work split into many small units by an atomic counter. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdint.h>

#include "base/heap.h"

typedef struct Pool Pool;

/** One unit of work. `worker` is 0..threads-1, for per-thread scratch. */
typedef void PoolWork(void *context, int64_t unit, int worker);

/** `threads` >= 1 in all, the caller counts as one. NULL when memory or threads are refused. */
Pool *pool_create(Heap *heap, int threads);
void pool_free(Pool *pool);
int pool_threads(const Pool *pool);

/** Run units 0..n_units-1, each once, in any order on any thread; returns when all are done.
 *  Not re-entrant. Results must not depend on who ran what (docs/ARCHITECTURE: numbers). */
void pool_run(Pool *pool, int64_t n_units, PoolWork *work, void *context);

#endif
