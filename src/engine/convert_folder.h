/* convert_folder.h  A component's folder as the result: weights under their usual name, and a
 * config.json that says how they are quantised, so that diffusers and transformers load it. */
#ifndef ENGINE_CONVERT_FOLDER_H
#define ENGINE_CONVERT_FOLDER_H

#include "base/arena.h"
#include "base/outfile.h"
#include "engine/convert_plan.h"

/** Does the path name a folder: one that is there, or with a '/' at its end? */
bool convert_folder_is(const char *path);
/** Make the folder if it is not there, and name the weights in it as those of `input`. */
SNUG_MUST_USE SnugStatus convert_folder_file(const char **out, Arena *arena, const char *folder,
                                             const char *input, SnugError *err);
/** Copy the config.json beside `input` with the new quantisation: *out is written, but not committed;
 *  NULL if there is none to copy. */
SNUG_MUST_USE SnugStatus convert_folder_config(OutFile **out, Arena *arena, const char *folder,
                                               const char *input, const ConvertForm *form,
                                               const ConvertPlan *plan, SnugError *err);

#endif
