/* weight_values.h  Values of a bound weight, while a job is prepared. */
#ifndef ENGINE_WEIGHT_VALUES_H
#define ENGINE_WEIGHT_VALUES_H

#include "pipelines/pipeline.h"

/** For PipelineContext.values. Takes up to 17 MiB while it reads. */
WeightValues weight_values;

#endif
