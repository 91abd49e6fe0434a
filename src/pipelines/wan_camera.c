/* wan_camera.c  From --camera to rays.
 *
 * Source: spec/wan.md 6.4, 6.5; goldens: tests/golden/camera, pipelines/camera. */
#include "pipelines/wan_camera.h"

#include <math.h>
#include <string.h>

#include "formats/npy.h"

enum { LENS_WIDTH = 832, LENS_HEIGHT = 480, TEXT_WIDTH = 1280, TEXT_HEIGHT = 720 };
enum { MAX_POSES = 1 << 16, MAX_TEXT_BYTES = 32 << 20 };

/* Poses that one latent frame stands for. */
static int stack_of(WanCameraKind kind, const WanCameraShape *s)
{
    return kind == WAN_CAMERA_ADAPTER ? s->time : 1;
}

int64_t wan_camera_features(WanCameraKind kind, const WanCameraShape *s)
{
    return 6 * (int64_t)stack_of(kind, s) * s->space * s->space * s->ph * s->pw;
}

/* ---- reading -------------------------------------------------------------------------------- */

static SnugStatus no_memory(SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "no memory for the camera's path");
}

/* A file of numbers whose last dimensions are `tail`; the first is counted into *n. */
static SnugStatus read_array(Arena *scratch, const char *path, const int64_t *tail, int n_tail,
                             double **out, int64_t *n, SnugError *err)
{
    File *file = NULL;
    NpyHeader head;
    NpyArray array;
    TRY(file_open(&file, scratch->heap, path, err));
    const SnugStatus status = npy_read_header(file, &head, err);
    file_close(file);
    if (status != SNUG_OK) return status;
    bool fits = head.rank == n_tail + 1;
    for (int i = 0; fits && i < n_tail; i++)
        fits = head.dim[i + 1] == tail[i];
    if (!fits)
        return error_set(err, SNUG_ERR_FILE, "%s: needs the shape %s", path,
                         n_tail == 2 ? "[frames, 4, 4]: camera-to-world matrices"
                                     : "[frames, 4]: fx, fy, cx, cy");
    if (head.dim[0] < 1 || head.dim[0] > MAX_POSES)
        return error_set(err, SNUG_ERR_FILE, "%s: %lld frames, can be 1 to %d", path,
                         (long long)head.dim[0], MAX_POSES);
    TRY(npy_read_f64(scratch, path, &array, err));
    *out = array.f64;
    *n = head.dim[0];
    return SNUG_OK;
}

static SnugStatus read_poses(WanCamera *c, Arena *arena, Arena *scratch, const char *path,
                             SnugError *err)
{
    double *m;
    TRY(read_array(scratch, path, (int64_t[]){ 4, 4 }, 2, &m, &c->path.n, err));
    c->path.poses = arena_array(arena, (size_t)c->path.n, sizeof *c->path.poses);
    if (!c->path.poses) return no_memory(err);
    for (int64_t i = 0; i < c->path.n; i++) {
        const SnugStatus status = pose_from_matrix(&c->path.poses[i], m + 16 * i, err);
        if (status != SNUG_OK)
            return error_wrap(err, status, "%s: pose %lld: ", path, (long long)i);
    }
    return SNUG_OK;
}

static SnugStatus read_lenses(WanCamera *c, Arena *arena, Arena *scratch, const char *path,
                              SnugError *err)
{
    double *v;
    TRY(read_array(scratch, path, (int64_t[]){ 4 }, 1, &v, &c->n_lenses, err));
    if (c->n_lenses != 1 && c->n_lenses != c->path.n)
        return error_set(err, SNUG_ERR_FILE, "%s: %lld frames, poses.npy has %lld", path,
                         (long long)c->n_lenses, (long long)c->path.n);
    c->lenses = arena_array(arena, (size_t)c->n_lenses, sizeof *c->lenses);
    if (!c->lenses) return no_memory(err);
    for (int64_t i = 0; i < c->n_lenses; i++, v += 4) {
        if (!(v[0] > 1e-3 && v[0] < 1e9 && v[1] > 1e-3 && v[1] < 1e9 && fabs(v[2]) < 1e9 &&
              fabs(v[3]) < 1e9))
            return error_set(err, SNUG_ERR_FILE,
                             "%s: frame %lld: fx, fy, cx, cy are %g, %g, %g, %g: no lens", path,
                             (long long)i, v[0], v[1], v[2], v[3]);
        c->lenses[i] = (CameraLens){ v[0], v[1], v[2], v[3] };
    }
    c->lens_kind = WAN_LENS_PIXELS;
    return SNUG_OK;
}

static SnugStatus read_folder(WanCamera *c, Arena *arena, const char *dir, SnugError *err)
{
    Arena scratch;
    arena_init(&scratch, arena->heap, "camera");
    const char *poses = file_join(arena, dir, "poses.npy");
    const char *lenses = file_join(arena, dir, "intrinsics.npy");
    SnugStatus status = poses && lenses ? SNUG_OK : no_memory(err);
    if (status == SNUG_OK) status = read_poses(c, arena, &scratch, poses, err);
    if (status == SNUG_OK) status = read_lenses(c, arena, &scratch, lenses, err);
    arena_release(&scratch);
    return status;
}

static SnugStatus read_text(WanCamera *c, Arena *arena, const char *path, SnugError *err)
{
    Arena scratch;
    TextView text;
    arena_init(&scratch, arena->heap, "camera");
    SnugStatus status = file_read_text(&scratch, path, MAX_TEXT_BYTES, &text, err);
    if (status == SNUG_OK)
        status = camera_path_from_text(&c->path, &c->lenses, arena, text, path, err);
    arena_release(&scratch);
    c->n_lenses = c->path.n;
    c->lens_kind = WAN_LENS_PARTS;
    return status;
}

static SnugStatus read_words(WanCamera *c, Arena *arena, const char *words, int64_t frames,
                             SnugError *err)
{
    c->lens_kind = WAN_LENS_ANGLE;
    const SnugStatus status = camera_path_from_words(&c->path, arena, words, frames, err);
    if (status != SNUG_ERR_ARG) return status;
    char shown[TEXT_ESCAPED];
    return error_wrap(err, status, "\"%s\" is no folder, no file, and no path in words: ",
                      text_escape(shown, words, strlen(words)));
}

SnugStatus wan_camera_read(WanCamera *c, Arena *arena, const char *given, int time, int64_t *frames,
                           bool must, SnugError *err)
{
    *c = (WanCamera){ .n_lenses = 0 };
    const FileType type = file_type(given);
    SnugStatus status;
    if (type == FILE_DIRECTORY)
        status = read_folder(c, arena, given, err);
    else if (type == FILE_REGULAR)
        status = read_text(c, arena, given, err);
    else
        status = read_words(c, arena, given, *frames, err);
    if (status != SNUG_OK) return error_wrap(err, status, "--camera: ");
    if (c->lens_kind == WAN_LENS_ANGLE) return SNUG_OK; /* words are as long as the video */
    const int64_t most = (c->path.n - 1) / time * time + 1;
    if (*frames > most && must)
        return error_set(err, SNUG_ERR_ARG,
                         "--camera: %s has %lld poses, enough for %lld frames; --frames is %lld",
                         given, (long long)c->path.n, (long long)most, (long long)*frames);
    if (*frames > most) *frames = most;
    return SNUG_OK;
}

/* ---- the network's form --------------------------------------------------------------------- */

static Lens lens_of(const WanCamera *c, int64_t pose, double w, double h)
{
    if (c->lens_kind == WAN_LENS_ANGLE) {
        const double f = 0.5 * w / tan(c->path.fov_degrees * 3.14159265358979323846 / 360.0);
        return (Lens){ f, f, 0.5 * w, 0.5 * h };
    }
    const CameraLens *l = &c->lenses[c->n_lenses == 1 ? 0 : pose];
    if (c->lens_kind == WAN_LENS_PIXELS)
        return (Lens){ l->fx * w / LENS_WIDTH, l->fy * h / LENS_HEIGHT, l->cx * w / LENS_WIDTH,
                       l->cy * h / LENS_HEIGHT };
    /* The picture of TEXT_WIDTH x TEXT_HEIGHT is cut to the aspect of the video. */
    const double aspect = (double)TEXT_WIDTH / TEXT_HEIGHT;
    const bool wide = aspect > w / h;
    return (Lens){ l->fx * (wide ? h * aspect : w), l->fy * (wide ? h : w / aspect), l->cx * w,
                   l->cy * h };
}

SnugStatus wan_camera_fit(WanCamera *c, Arena *arena, WanCameraKind kind, const WanCameraShape *s,
                          int64_t frames, int width, int height, SnugError *err)
{
    const int stack = stack_of(kind, s);
    const int64_t latent = (frames - 1) / s->time + 1, n = latent * stack;
    Pose *poses = arena_array(arena, (size_t)n, sizeof *poses);
    Lens *lenses = arena_array(arena, (size_t)n, sizeof *lenses);
    if (!poses || !lenses) return no_memory(err);
    if (kind == WAN_CAMERA_INJECT) camera_path_motions(&c->path, s->time, latent, poses);
    for (int64_t i = 0; i < n; i++) {
        /* as in the VAE, the first latent frame is the first frame alone */
        const int64_t frame = kind == WAN_CAMERA_INJECT ? 0 : i < stack ? 0 : i - (stack - 1);
        if (kind == WAN_CAMERA_ADAPTER) poses[i] = camera_path_relative(&c->path, frame);
        lenses[i] = lens_of(c, frame, width, height);
    }
    c->map = (RayMap){ .poses = poses,
                       .lenses = lenses,
                       .stack = stack,
                       .moment = kind == WAN_CAMERA_ADAPTER,
                       .frames = latent,
                       .rows = height / (s->space * s->ph),
                       .cols = width / (s->space * s->pw),
                       .cell = s->space,
                       .ph = s->ph,
                       .pw = s->pw };
    return SNUG_OK;
}

static void fill_rays(void *context, float *to, int64_t count)
{
    const WanCamera *c = context;
    ray_map_fill(&c->map, c->first, count / ray_map_features(&c->map), to);
}

/* run_input calls fill_rays before it returns: the token it begins with can stand in one place. */
Tensor wan_camera_rows(void *camera, Run *r, int64_t first, int64_t count)
{
    WanCamera *c = camera;
    c->first = first;
    return run_input(r, SHAPE(count, ray_map_features(&c->map)), fill_rays, c);
}
