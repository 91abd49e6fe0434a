/* test_wan_dit.c  Wan transformer against diffusers 0.42 (tools/oracle/golden_wan_dit.py), with its
 * camera networks against plain torch (golden_camera.py); and that no choice of the plan changes a
 * bit of it. */
#include "wan_case.h"

/* Two blocks, widths of tens, f32 sums in other orders; angles are f64 here and f32 there, which
 * moves the time embedding by up to 1e-4 * 2^-1 of its unit scale at t = 937. */
static const double TOLERANCE = 2e-4;
/* One sum of 144 products of unit size; with a camera's adapter three more, of up to 288, and values
 * up to 8. */
static const double PATCH_TOLERANCE = 1e-5, ADAPTED_PATCH_TOLERANCE = 4e-5;

typedef struct Golden {
    WanCase c;
    WanContext context;
    WanScene scene;
    int compared;
} Golden;

static void recipe(Run *r, void *context)
{
    Golden *g = context;
    WanCase *c = &g->c;
    run_stage(r, "denoise");
    const Tensor latent = wan_case_latent(r, c);
    Tensor out = NO_TENSOR;
    wan_dit_context(r, &c->m, wan_case_text(r, c, c->n_text), &g->context);
    wan_case_scene(r, c, &g->scene);
    WanContext *contexts[1] = { &g->context };
    for (int i = 0; run_step(r, i, 2); i++) { /* twice: the second uses what is kept */
        wan_dit_forward(r, &c->m, latent, c->time, &g->scene, 1, contexts, &out);
        run_output(r, "output", i, out);
    }
}

static void compare(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Golden *g = context;
    Net *net = &g->c.net;
    char golden[64];
    if (strcmp(name, "output") == 0) {
        const float *want = net_channels_last(
            net, g->c.output,
            (Shape){ 4, { t.shape.dim[3], t.shape.dim[0], t.shape.dim[1], t.shape.dim[2] } });
        CHECK_CLOSE(data, want, tensor_count(t), TOLERANCE);
    } else if (strcmp(name, "dit.block") == 0) {
        (void)snprintf(golden, sizeof golden, "blocks.%d", (int)(index % WAN_MAX_LAYERS));
        CHECK_CLOSE(data, net_golden(net, golden, NULL), tensor_count(t), TOLERANCE);
    } else if (strcmp(name, "dit.patch") == 0)
        CHECK_CLOSE(data, net_golden(net, "patch_embedding", NULL), tensor_count(t),
                    g->c.m.camera == WAN_CAMERA_ADAPTER ? ADAPTED_PATCH_TOLERANCE
                                                        : PATCH_TOLERANCE);
    else
        return;
    g->compared++;
}

static void check_folder(const char *folder, int64_t chunk)
{
    static Golden g;
    g = (Golden){ .compared = 0 };
    wan_case_open(&g.c, folder, true);
    g.c.net.knobs.chunk_rows = chunk;
    if (net_run(&g.c.net, recipe, compare, &g) != SNUG_OK) fail_msg("%s", g.c.net.err.text);
    CHECK_INT(g.compared, 2 * (g.c.m.cfg.layers + 2));
    CHECK_INT(g.c.net.stats.slab_peak_bytes, g.c.net.planned_top);
    net_close(&g.c.net);
}

TEST(wan_dit, image_to_video_by_channels_equals_the_reference)
{
    check_folder("golden/wan_dit/i2v36", 0);
}

TEST(wan_dit, a_timestep_per_token_equals_the_reference)
{
    check_folder("golden/wan_dit/ti2v48", 0);
}

TEST(wan_dit, text_to_video_with_full_text_equals_the_reference)
{
    check_folder("golden/wan_dit/t2v16", 0);
}

TEST(wan_dit, image_tokens_equal_the_reference)
{
    check_folder("golden/wan_dit/clip", 0);
    check_folder("golden/wan_dit/first_last", 0);
}

TEST(wan_dit, a_camera_that_moves_each_block_equals_the_reference)
{
    check_folder("golden/camera/inject", 0);
    check_folder("golden/camera/inject", 7);
}

TEST(wan_dit, a_camera_that_joins_the_patches_equals_the_reference)
{
    check_folder("golden/camera/adapter", 0);
    check_folder("golden/camera/adapter", 10);
}

TEST(wan_dit, a_camera_without_a_path_is_left_in_the_file)
{
    static WanCase c;
    static const char *const FOLDERS[] = { "golden/camera/inject", "golden/camera/adapter" };
    for (int i = 0; i < 2; i++) {
        wan_case_open(&c, FOLDERS[i], true);
        size_t with = 0, without = 0;
        for (int32_t k = 0; k < c.net.table.n_units; k++)
            with += c.net.table.units[k].bytes;
        net_close(&c.net);
        wan_case_open(&c, FOLDERS[i], false); /* fails if a tensor counted as unexpected */
        for (int32_t k = 0; k < c.net.table.n_units; k++)
            without += c.net.table.units[k].bytes;
        CHECK(without < with);
        net_close(&c.net);
    }
}

/* ---- choices of the plan -------------------------------------------------------------------- */

enum { BRANCHES = 2, STEPS = 2, N_CHUNKS = 4 };

/* Two prompts, two steps, as a recipe runs them. */
typedef struct Ways {
    WanCase c;
    WanContext context[BRANCHES];
    WanScene scene;
    float *want, *got;
    int64_t n; /* of one output */
} Ways;

static void two_branches(Run *r, void *context)
{
    Ways *w = context;
    WanCase *c = &w->c;
    run_stage(r, "denoise");
    const Tensor latent = wan_case_latent(r, c);
    WanContext *contexts[BRANCHES] = { &w->context[0], &w->context[1] };
    for (int k = 0; k < BRANCHES; k++)
        wan_dit_context(r, &c->m, wan_case_text(r, c, k ? 1 : c->n_text), &w->context[k]);
    wan_case_scene(r, c, &w->scene);
    for (int i = 0; run_step(r, i, STEPS); i++) {
        Tensor out[BRANCHES];
        if (r->knobs.lock_step)
            wan_dit_forward(r, &c->m, latent, c->time, &w->scene, BRANCHES, contexts, out);
        else
            for (int k = 0; k < BRANCHES; k++)
                wan_dit_forward(r, &c->m, latent, c->time, &w->scene, 1, contexts + k, out + k);
        for (int k = 0; k < BRANCHES; k++)
            run_output(r, "output", i * BRANCHES + k, out[k]);
    }
}

static void keep(void *context, const char *name, int64_t index, Tensor t, const float *data)
{
    Ways *w = context;
    if (strcmp(name, "output") != 0) return;
    if (!w->got) {
        w->n = tensor_count(t);
        w->got = arena_array(&w->c.net.arena, (size_t)(STEPS * BRANCHES * w->n), sizeof *data);
    }
    memcpy(w->got + index * w->n, data, (size_t)w->n * sizeof *data);
}

static void check_way(Ways *w, RunKnobs knobs, bool stream)
{
    Net *net = &w->c.net;
    net->knobs = knobs;
    w->got = NULL;
    net->slab_limit = 0;
    if (net_run(net, two_branches, keep, w) != SNUG_OK) fail_msg("%s", net->err.text);
    if (stream) { /* once more with as little room as will do: weights stream */
        net->slab_limit = 1;
        CHECK_INT(net_run(net, two_branches, keep, w), SNUG_ERR_BUDGET);
        net->slab_limit = net->planned_top;
        if (net_run(net, two_branches, keep, w) != SNUG_OK) fail_msg("%s", net->err.text);
    }
    CHECK_INT(net->stats.slab_peak_bytes, net->planned_top);
    if (!w->want) w->want = w->got;
    if (memcmp(w->want, w->got, (size_t)(STEPS * BRANCHES * w->n) * sizeof *w->got) != 0)
        fail_msg("chunk %d, heads %d, lock %d, cross %d, camera %d, join %d changes bits",
                 (int)knobs.chunk_rows, knobs.head_groups, knobs.lock_step, knobs.cache_cross,
                 knobs.keep_camera, knobs.join_branches);
}

static void check_ways(const char *folder)
{
    static const int64_t CHUNKS[N_CHUNKS] = { 0, 7, 13, 32 };
    static const int GROUPS[] = { 0, 2, 9 }; /* of two or three heads */
    static Ways w;
    w = (Ways){ .n = 0 };
    wan_case_open(&w.c, folder, true);
    for (int i = 0; i < N_CHUNKS * 16; i++)
        check_way(&w,
                  (RunKnobs){ .chunk_rows = CHUNKS[i % N_CHUNKS],
                              .head_groups = GROUPS[i % 3],
                              .lock_step = i / N_CHUNKS & 1,
                              .cache_cross = i / N_CHUNKS & 2,
                              .keep_camera = i / N_CHUNKS & 4,
                              .join_branches = i / N_CHUNKS & 8 },
                  i % 5 == 0);
    CHECK(memcmp(w.want, w.want + w.n, (size_t)w.n * sizeof *w.want) != 0); /* the prompts differ */
    net_close(&w.c.net);
}

TEST(wan_dit, no_choice_of_the_plan_changes_a_bit)
{
    check_ways("golden/wan_dit/i2v36");
    check_ways("golden/wan_dit/ti2v48");
    check_ways("golden/wan_dit/clip");
}

TEST(wan_dit, no_choice_of_the_plan_changes_a_bit_of_a_camera)
{
    check_ways("golden/camera/inject");
    check_ways("golden/camera/adapter");
}
