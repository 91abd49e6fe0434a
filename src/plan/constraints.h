/* constraints.h  What a caller forbids or demands of a plan: the switches other tools are known for.
 *
 * A plan under constraints is the best of those that keep them. None changes a bit of the result.
 * One that cannot hold under the budget is refused (SNUG_ERR_BUDGET, naming the switch and what it
 * would take), never dropped. Zeroed: no constraint, the plan is free. */
#ifndef PLAN_CONSTRAINTS_H
#define PLAN_CONSTRAINTS_H

#include <stdbool.h>

/** What weights do once a stage that used them has ended (--auto-unload). */
typedef enum PlanUnload {
    UNLOAD_FREE = 0, /**< the plan decides (auto) */
    UNLOAD_ALWAYS,   /**< on: at each stage border all weights that the stage held are given up; a
                          later stage that uses them reads them again */
    UNLOAD_NEVER, /**< off: each unit is read once in the whole request and stays to its end, at a
                          place of its own: the next request may find it there */
    UNLOAD_ABOVE  /**< 0..1: before a stage begins, weights of earlier stages are given up if
                          what is held exceeds `unload_above` of the budget, else they stay */
} PlanUnload;

/** Where weights live while their stage runs (--offload). */
typedef enum PlanOffload {
    OFFLOAD_FREE = 0,  /**< the plan decides (auto) */
    OFFLOAD_NONE,      /**< a weight stays from its first use in a stage to its last: none is
                            read twice while a stage runs */
    OFFLOAD_MODEL,     /**< as none, and given up at the stage's end (implies UNLOAD_ALWAYS): one
                            whole model on the device at a time */
    OFFLOAD_SEQUENTIAL /**< no unit stays: every use of a unit streams it again, least memory */
} PlanOffload;

/** A choice that a switch forces on or off, or leaves to the plan. */
typedef enum PlanSwitch { SWITCH_FREE = 0, SWITCH_ON, SWITCH_OFF } PlanSwitch;

enum { PLAN_PHASES = 8 }; /* index 0: requests without phases */

typedef struct PlanConstraints {
    PlanUnload unload;
    PlanUnload phase[PLAN_PHASES]; /**< what weights do when a phase (run_phase) that used them has
                                        ended; UNLOAD_FREE: as `unload` says */
    double unload_above;           /**< of the budget, with UNLOAD_ABOVE */
    PlanOffload offload;
    PlanSwitch vae_tiling;  /**< on: the VAE works in bands of rows with exact halos, at least two;
                                 off: whole frames only */
    PlanSwitch vae_slicing; /**< on: the VAE handles one frame (one picture of a batch) at a time;
                                 off: a whole group of frames at once where that fits */
    PlanSwitch attention_slicing; /**< on: queries (and the rows of the block around them) in
                                       chunks, at least two; off: all rows at once */
    bool text_encoder_on_host;    /**< the stages of text encoders run on the CPU, their weights
                                       never take device memory */
    bool smallest; /**< --memory-mode lightweight: of the plans that keep the rest, the one with the
                        smallest peak instead of the fastest */
    bool largest;  /**< --memory-mode beefy: offload none and unload never, refused unless
                        everything fits at once */
} PlanConstraints;

/** What becomes of weights at the end of a phase: its own rule, or that of the request. */
static inline PlanUnload plan_unload_of(const PlanConstraints *c, int phase)
{
    return c->phase[phase] != UNLOAD_FREE ? c->phase[phase] : c->unload;
}

#endif
