/* speed.h  The engine's machine profile: found at opening, or measured. */
#ifndef ENGINE_SPEED_H
#define ENGINE_SPEED_H

#include "engine/engine.h"

/** Take the profile that the options name, or defaults. With profile_optional a profile that is
 *  absent, malformed or another machine's leaves a note instead of an error. */
SNUG_MUST_USE SnugStatus speed_open(SnugEngine *engine, const SnugEngineOptions *options,
                                    SnugError *err);
/** Frees the texts made from the profile. */
void speed_close(SnugEngine *engine);

#endif
