/* rows_split.c  Units are large enough to hide the pool's dispatch (about 1 us asleep 10 us) and
 * small enough that a slow thread costs little. */
#include "compute/cpu/rows_split.h"

enum { UNIT_ELEMENTS = 65536 };

typedef struct Split {
    RowsWork *work;
    void *context;
    int64_t rows, step;
} Split;

static void unit(void *context, int64_t index, int worker)
{
    const Split *split = context;
    const int64_t first = index * split->step, left = split->rows - first;
    (void)worker;
    split->work(split->context, first, left < split->step ? left : split->step);
}

void rows_split(Pool *pool, int64_t rows, int64_t cols, RowsWork *work, void *context)
{
    const int64_t fit = UNIT_ELEMENTS / (cols > 0 ? cols : 1);
    Split split = { .work = work, .context = context, .rows = rows, .step = fit > 0 ? fit : 1 };
    const int64_t units = (rows + split.step - 1) / split.step;
    if (rows <= 0) return;
    if (!pool || units == 1)
        work(context, 0, rows);
    else
        pool_run(pool, units, unit, &split);
}
