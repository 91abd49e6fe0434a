/* scheduler_config.h  Options of the schedulers as diffusers stores them, and their names.
 *
 * name         class                              table and steps of
 * unipc        UniPCMultistepScheduler            diffusers 0.42 (the table changed after 0.35)
 * unipc-orig   FlowUniPCMultistepScheduler        Wan, LingBot, EchoMimic; diffusers to 0.35
 * euler        FlowMatchEulerDiscreteScheduler    diffusers
 * dpm++        DPMSolverMultistepScheduler        diffusers
 * dpm++-orig   FlowDPMSolverMultistepScheduler    Wan, EchoMimic
 */
#ifndef SAMPLING_SCHEDULER_CONFIG_H
#define SAMPLING_SCHEDULER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum SchedulerKind {
    SCHEDULER_UNIPC,
    SCHEDULER_UNIPC_ORIG,
    SCHEDULER_EULER,
    SCHEDULER_DPMPP,
    SCHEDULER_DPMPP_ORIG,
    SCHEDULER_KINDS
} SchedulerKind;

typedef enum SolverType { SOLVER_BH1, SOLVER_BH2, SOLVER_MIDPOINT, SOLVER_HEUN } SolverType;
typedef enum SigmaSpacing { SIGMAS_FLOW, SIGMAS_KARRAS, SIGMAS_EXPONENTIAL } SigmaSpacing;

typedef struct SchedulerConfig {
    SchedulerKind kind;
    int train_steps;                 /**< network timestep at sigma 1 */
    double shift;                    /**< s in s * t / (1 + (s - 1) * t) */
    bool dynamic_shift;              /**< shift by exp(mu) of the run instead */
    bool linear_shift;               /**< dynamic shift by mu itself */
    double base_shift, max_shift;    /**< mu at base_tokens and at max_tokens */
    int64_t base_tokens, max_tokens; /**< image tokens */
    double shift_terminal;           /**< stretch the table to end here; 0 = do not */
    SigmaSpacing spacing;            /**< Euler: respace between first and last level */
    bool invert_sigmas;              /**< Euler: run from 0 to 1 */
    int order;                       /**< 1..3, UniPC and DPM++ */
    SolverType solver;               /**< UniPC: bh1, bh2; DPM++: midpoint, heun */
    bool lower_order_final;          /**< lower orders in the last steps */
    bool euler_at_final;             /**< DPM++: last step of order 1 in any case */
    bool final_sigma_min;            /**< do not end at sigma 0: UniPC repeats the last level ... */
    double sigma_min;                /**< ... DPM++ ends at this one */
    uint64_t uncorrected;            /**< UniPC: bit k: no correction of what step k predicted */
} SchedulerConfig;

/** Name for --scheduler, and class name in scheduler_config.json. */
const char *scheduler_kind_name(SchedulerKind kind);
const char *scheduler_kind_class(SchedulerKind kind);

/** Kind of a --scheduler name. SNUG_ERR_ARG lists the names there are. */
SNUG_MUST_USE SnugStatus scheduler_kind_of_name(SchedulerKind *out, const char *name,
                                                SnugError *err);
/** Kind of a class name [n bytes]; false when it is none of ours. */
bool scheduler_kind_of_class(SchedulerKind *out, const char *name, size_t n);

/** What the class does when the file says nothing. */
void scheduler_config_defaults(SchedulerConfig *config, SchedulerKind kind);

/** Another class for the same model: its defaults, with the shift and timestep scale kept. */
void scheduler_config_switch(SchedulerConfig *config, SchedulerKind kind);

/** SNUG_ERR_ARG: an option out of range, or a combination the class cannot do. */
SNUG_MUST_USE SnugStatus scheduler_config_check(const SchedulerConfig *config, SnugError *err);

#endif
