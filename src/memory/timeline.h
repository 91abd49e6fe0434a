/* timeline.h  What was held when, in a fixed number of points however long a run takes.
 *
 * A point stands for a stretch of time and keeps the highest of each figure in it. When the points
 * are used up, neighbours are joined and stretches become twice as long: peaks are never lost. */
#ifndef MEMORY_TIMELINE_H
#define MEMORY_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

enum { TIMELINE_POINTS = 800 };

typedef struct TimelinePoint {
    double seconds;                       /**< of its first figure */
    int32_t first_op, last_op;            /**< operations that fell into it */
    size_t tensors, weights, staged, rss; /**< bytes; staged: on their way in host memory */
} TimelinePoint;

typedef struct Timeline {
    TimelinePoint at[TIMELINE_POINTS];
    int n;
    double stretch; /**< seconds a point stands for */
} Timeline;

void timeline_init(Timeline *timeline);
/** Times and operations must not fall. */
void timeline_add(Timeline *timeline, const TimelinePoint *point);

#endif
