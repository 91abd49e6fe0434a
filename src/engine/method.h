/* method.h  What makes a result another one than the plain computation: --dtype, and shortcuts. */
#ifndef ENGINE_METHOD_H
#define ENGINE_METHOD_H

#include "engine/engine.h"

/** Before the pipeline is opened: --dtype. SNUG_ERR_ARG: what the device cannot do, with the reason. */
SNUG_MUST_USE SnugStatus method_choose(SnugJob *job, SnugError *err);
/** When it is open: refuse what it cannot do, put job->method into words, warn where it gains nothing. */
SNUG_MUST_USE SnugStatus method_check(SnugJob *job, SnugError *err);
/** "f32", "bf16" or "int8": what was chosen. */
const char *method_dtype(const SnugJob *job);

#endif
