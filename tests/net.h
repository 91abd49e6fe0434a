/* net.h  Run a recipe in a test exactly as the engine does: rehearse, place, plan, follow. */
#ifndef TESTS_NET_H
#define TESTS_NET_H

#include <stdio.h>

#include "test.h"

#include "base/json.h"
#include "base/pool.h"
#include "compute/cpu/device.h"
#include "nn/weights.h"
#include "plan/follow.h"

/** What a test network stands on; net_open fails the test when something is missing. */
typedef struct Net {
    Heap *heap;
    Arena arena;
    Pool *pool;
    CpuDevice cpu;
    WeightTable table;
    Weights weights;
    Checkpoint *checkpoint, *golden;
    JsonDoc *config;
    RunKnobs knobs;
    size_t slab_limit; /* 0: no limit */
    /* of the last run */
    FollowStats stats;
    size_t planned_top;
    SnugError err;
} Net;

/** Open folder/config.json, the weight file, and a golden file ("" for none); paths below tests/. */
void net_open(Net *net, const char *folder, const char *weights, const char *golden);
void net_close(Net *net);
/** Root of config.json. */
Json net_config(const Net *net);

/** Golden tensor as f32 (or i32 widened) in the net's arena; *n its elements. */
const float *net_golden(Net *net, const char *name, Shape *shape);
bool net_has_golden(Net *net, const char *name);

typedef void NetRecipe(Run *r, void *context);
/** Called for every output and tap. */
typedef void NetOutput(void *context, const char *name, int64_t index, Tensor t, const float *data);
/** Rehearse, plan and run. */
SnugStatus net_run(Net *net, NetRecipe *recipe, NetOutput *output, void *context);

/** InputFill: copy floats. Context: const float *. */
void net_fill(void *context, float *to, int64_t count);
/** [C, T, h, w] as torch has it -> [T, h, w, C], in the arena. */
float *net_channels_last(Net *net, const float *x, Shape shape);
/** The greatest absolute value, at least 1: what a tolerance is a part of. */
double net_greatest(const float *x, int64_t n);

#endif
