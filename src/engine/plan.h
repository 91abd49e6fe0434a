/* plan.h  Making plans: the parts that the verdict, the alternatives and the curve share. */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "engine/layout.h"

/** A plan with nothing laid out yet; free with snug_plan_free. */
SNUG_MUST_USE SnugStatus plan_open(SnugPlan **out, SnugJob *job, SnugError *err);
/** Room that the budgets leave beside the process as it is now; also sets plan->fixed_bytes. */
LayoutRoom plan_room(SnugPlan *plan);

/** After a refusal: "; it would fit with --frames 61, or ..." for the nearest requests that fit `room`,
 *  "" if there is none (alternatives.c). */
void plan_alternatives(SnugPlan *plan, const LayoutRoom *room, char *to, size_t to_bytes);

#endif
