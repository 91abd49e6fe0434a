/* scheduler_config_json.h  scheduler_config.json of a checkpoint, as diffusers writes it.
 *
 * An absent or null key means the default of the class; unknown keys are skipped, as there. What
 * the file asks for and snug cannot do is a refusal that names the key, never another sampler. */
#ifndef SAMPLING_SCHEDULER_CONFIG_JSON_H
#define SAMPLING_SCHEDULER_CONFIG_JSON_H

#include "base/json.h"
#include "sampling/scheduler_config.h"

/** Options from the object that holds "_class_name".
 *  @return SNUG_ERR_FILE: no class of ours, a value of wrong type, out of range or not supported */
SNUG_MUST_USE SnugStatus scheduler_config_json_read(SchedulerConfig *out, Json object,
                                                    SnugError *err);

#endif
