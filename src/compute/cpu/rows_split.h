/* rows_split.h  Split rows over the pool's threads: units of about 64k elements. */
#ifndef CPU_ROWS_SPLIT_H
#define CPU_ROWS_SPLIT_H

#include <stdint.h>

#include "base/pool.h"

/** Handle rows first .. first + count - 1. Called from any thread of the pool. */
typedef void RowsWork(void *context, int64_t first, int64_t count);

/**
 * Call `work` over rows 0 .. rows - 1, each row once. `cols` sizes the units (elements per row;
 * 1 for flat arrays). Small jobs, and all jobs when `pool` is NULL, run on the caller at once.
 */
void rows_split(Pool *pool, int64_t rows, int64_t cols, RowsWork *work, void *context);

#endif
