/* wan_case.h  A golden folder of the Wan transformer as a test case, with or without a camera. */
#ifndef TESTS_MODELS_WAN_CASE_H
#define TESTS_MODELS_WAN_CASE_H

#include "net.h"

#include "models/wan_dit.h"

typedef struct WanCase {
    Net net;
    WanDit m;
    float *latent;
    const float *text, *image, *camera, *output;
    Shape latent_shape, image_shape, camera_shape;
    int64_t n_text;
    WanTime time;
} WanCase;

/** Rows of the text that are not padding. */
static inline int64_t wan_case_text_rows(const float *text, int64_t dim)
{
    for (int64_t n = WAN_TEXT_ROWS; n > 0; n--)
        for (int64_t k = 0; k < dim; k++)
            if (text[(n - 1) * dim + k] != 0.0f) return n;
    return 0;
}

static inline void wan_case_read_time(WanCase *c)
{
    Shape s;
    const float *t = net_golden(&c->net, "in.timestep", &s);
    const int64_t n = shape_count(s);
    c->time = (WanTime){ .t = (double)t[n - 1] };
    if (n == 1 || t[0] == t[n - 1]) return;
    c->time.t_first = (double)t[0];
    c->time.split_frames = 1;
}

/** Bind the network; `camera`: with its camera network, where the golden has a path. */
static inline void wan_case_open(WanCase *c, const char *folder, bool camera)
{
    *c = (WanCase){ 0 };
    net_open(&c->net, folder, "diffusion_pytorch_model.safetensors", "taps.safetensors");
    CHECK_INT(wan_dit_config_read(&c->m.cfg, net_config(&c->net), &c->net.err), SNUG_OK);
    weights_begin(&c->net.weights, &c->net.table, c->net.checkpoint, "transformer");
    if (camera && net_has_golden(&c->net, "in.camera")) {
        c->camera = net_golden(&c->net, "in.camera", &c->camera_shape);
        c->m.camera = wan_dit_camera_kind(&c->net.weights);
        c->m.camera_features = c->camera_shape.dim[1];
    }
    wan_dit_weights(&c->m, &c->net.weights);
    if (weights_end(&c->net.weights, &c->net.err) != SNUG_OK) fail_msg("%s", c->net.err.text);
    CHECK_TEXT(c->net.table.warnings, "");
    const float *latent = net_golden(&c->net, "in.latent", &c->latent_shape);
    c->latent = net_channels_last(&c->net, latent, c->latent_shape);
    c->text = net_golden(&c->net, "in.text", NULL);
    c->n_text = wan_case_text_rows(c->text, c->m.cfg.text_dim);
    if (net_has_golden(&c->net, "in.image"))
        c->image = net_golden(&c->net, "in.image", &c->image_shape);
    c->output = net_golden(&c->net, "output", NULL);
    wan_case_read_time(c);
}

/* ---- inputs --------------------------------------------------------------------------------- */

static inline Tensor wan_case_latent(Run *r, WanCase *c)
{
    const Shape s = c->latent_shape;
    return run_input(r, SHAPE(s.dim[1], s.dim[2], s.dim[3], s.dim[0]), net_fill, c->latent);
}

/** The first n rows of the text. */
static inline Tensor wan_case_text(Run *r, WanCase *c, int64_t n)
{
    return run_input(r, SHAPE(n, c->m.cfg.text_dim), net_fill, (void *)(uintptr_t)c->text);
}

static inline Tensor wan_case_camera_rows(void *context, Run *r, int64_t first, int64_t count)
{
    WanCase *c = context;
    const float *from = c->camera + first * c->camera_shape.dim[1];
    return run_input(r, SHAPE(count, c->camera_shape.dim[1]), net_fill, (void *)(uintptr_t)from);
}

/** Picture and camera, as far as the golden has them. */
static inline void wan_case_scene(Run *r, WanCase *c, WanScene *scene)
{
    Tensor image = NO_TENSOR;
    if (c->image)
        image = run_input(
            r, SHAPE(c->image_shape.dim[0] * c->image_shape.dim[1], c->image_shape.dim[2]),
            net_fill, (void *)(uintptr_t)c->image);
    wan_dit_scene(r, &c->m, image, wan_case_camera_rows, c, scene);
}

#endif
