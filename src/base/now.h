/* now.h  Time since some moment in the past, which no clock change moves: for differences only. */
#ifndef BASE_NOW_H
#define BASE_NOW_H

#include <stdint.h>

double now_seconds(void);
int64_t now_ns(void);
/** Processor time that the calling thread has taken. */
double now_thread_seconds(void);

#endif
