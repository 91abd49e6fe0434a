/* phase_lines.h  When a run says what its phases hold: before the weights of a phase go, and after.
 *
 * "Before" is where the network that moved most in the phase is about to be given up for good; "after"
 * is the phase's end, in the last phase when the memory is back at the system. Phases that give nothing
 * up say nothing. */
#ifndef ENGINE_PHASE_LINES_H
#define ENGINE_PHASE_LINES_H

#include "engine/engine.h"
#include "plan/held.h"

typedef struct PhaseLines {
    const PipelinePhases *phases;            /**< NULL: nothing is said */
    int32_t before[PIPELINE_MAX_PHASES + 1]; /**< operation, -1: none */
    int32_t end[PIPELINE_MAX_PHASES + 1];    /**< last operation, -1: the phase says nothing */
    int last;                                /**< phase that ends with the request */
} PhaseLines;

/** SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus phase_lines_init(PhaseLines *out, const SnugJob *job, const SnugPlan *plan,
                                          const Held *held, SnugError *err);
/** What is said as operation `op` ends and before its weights go; NULL: nothing. */
const char *phase_lines_before(const PhaseLines *lines, int32_t op);
/** What is said after; the i-th from 0, NULL: no more. */
const char *phase_lines_after(const PhaseLines *lines, int32_t op, int i);
/** What is said when all memory is given back; NULL: nothing. */
const char *phase_lines_end(const PhaseLines *lines);

#endif
