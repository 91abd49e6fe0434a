/* wan_scan.c  Every weight file is opened and told by its tensors; names only tell two experts
 * apart, and the original from a quantised copy beside it. */
#include "pipelines/wan_scan.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/size.h"

static SnugStatus no_memory(const char *path, SnugError *err)
{
    return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
}

/* ---- looking into folders ------------------------------------------------------------------- */

SnugStatus wan_scan_file(WanLayout *l, const char *path, WanFile **out, SnugError *err)
{
    *out = NULL;
    TRY(wan_file_open(out, l->arena, path, &l->root, err));
    (*out)->next = l->files;
    l->files = *out;
    return SNUG_OK;
}

static int count_files(const WanLayout *l)
{
    int n = 0;
    for (const WanFile *f = l->files; f; f = f->next)
        n++;
    return n;
}

/* A file that may be none of ours: what is wrong with it is told only if something is missing. */
static SnugStatus try_file(WanLayout *l, const char *path, SnugError *err)
{
    SnugError why = { { 0 } };
    WanFile *file;
    if (count_files(l) == WAN_SCAN_MAX_FILES)
        return error_set(err, SNUG_ERR_FILE,
                         "%s: more than %d weight files: name those that are meant "
                         "(--transformer, --text-encoder, --vae)",
                         l->path, WAN_SCAN_MAX_FILES);
    const SnugStatus status = wan_scan_file(l, path, &file, &why);
    if (status == SNUG_OK || l->trouble) return SNUG_OK;
    if (status == SNUG_ERR_MEMORY) {
        if (err) *err = why;
        return status;
    }
    l->trouble = arena_text(l->arena, why.text, strlen(why.text));
    return l->trouble ? SNUG_OK : no_memory(path, err);
}

/* What has the name of a weight file, or of the beginnings of one, and is none. */
static SnugStatus note_no_file(WanLayout *l, const char *path, SnugError *err)
{
    static const char *const WHAT[] = { [FILE_ABSENT] = "a symbolic link to nowhere",
                                        [FILE_REGULAR] = "a download that was not finished",
                                        [FILE_DIRECTORY] = "a folder, not a file",
                                        [FILE_OTHER] = "neither a file nor a folder" };
    if (l->trouble) return SNUG_OK;
    l->trouble = arena_printf(l->arena, "%s: this is %s", path, WHAT[file_type(path)]);
    return l->trouble ? SNUG_OK : no_memory(path, err);
}

static bool is_unfinished(const char *name)
{
    static const char *const ENDINGS[] = { ".part", ".incomplete", ".aria2", ".crdownload",
                                           ".download" };
    for (size_t i = 0; i < COUNT(ENDINGS); i++)
        if (text_ends(name, ENDINGS[i])) return true;
    return false;
}

static SnugStatus note_lost_shards(WanLayout *l, const char *folder, const char *shard,
                                   SnugError *err)
{
    if (l->trouble) return SNUG_OK;
    l->trouble =
        arena_printf(l->arena, "%s: %.200s is one of several shards, and there is no index (%s)",
                     folder, shard, "*.safetensors.index.json");
    return l->trouble ? SNUG_OK : no_memory(folder, err);
}

static SnugStatus scan_files(WanLayout *l, const char *folder, const char *const *names, size_t n,
                             SnugError *err)
{
    const char *shard = NULL;
    bool indexed = false;
    for (size_t i = 0; i < n; i++) {
        if (wan_file_is_shard(names[i]) && text_ends(names[i], ".safetensors")) shard = names[i];
        const bool unfinished = is_unfinished(names[i]);
        if (!unfinished && !wan_file_is_weights(names[i])) continue;
        const char *path = file_join(l->arena, folder, names[i]);
        if (!path) return no_memory(folder, err);
        const bool whole = !unfinished && file_type(path) == FILE_REGULAR;
        indexed = indexed || (whole && text_ends(names[i], ".json"));
        TRY(whole ? try_file(l, path, err) : note_no_file(l, path, err));
    }
    return shard && !indexed ? note_lost_shards(l, folder, shard, err) : SNUG_OK;
}

SnugStatus wan_scan_folder(WanLayout *l, const char *path, bool deep, SnugError *err)
{
    const char *const *names;
    size_t n;
    int folders = 0;
    TRY(file_list(l->arena, path, &names, &n, err));
    TRY(scan_files(l, path, names, n, err));
    for (size_t i = 0; deep && i < n && folders < WAN_SCAN_MAX_FOLDERS; i++) {
        const char *below = file_join(l->arena, path, names[i]);
        if (!below) return no_memory(path, err);
        if (names[i][0] == '.' || file_type(below) != FILE_DIRECTORY) continue;
        folders++;
        TRY(wan_scan_folder(l, below, false, err));
    }
    return SNUG_OK;
}

/* ---- which is which ------------------------------------------------------------------------- */

/* Does a word of the path begin with `word`: "high" in "high_noise_model" and "A14B-HighNoise-Q4",
 * not "low" in "yellow"? Words are runs of letters; a capital begins one, too. */
static bool has_word(const char *path, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = path; *at; at++) {
        const bool begins = at == path || !isalpha((unsigned char)at[-1]) ||
                            (isupper((unsigned char)at[0]) && islower((unsigned char)at[-1]));
        if (!begins || strncasecmp(at, word, n) != 0) continue;
        const unsigned char next = (unsigned char)at[n];
        if (!islower(next) || strncasecmp(at + n, "noise", 5) == 0) return true;
    }
    return false;
}

typedef enum Noise { NOISE_ANY, NOISE_HIGH, NOISE_LOW } Noise;

/* Which expert a path speaks of, below the folder that the user named. */
static Noise noise_of(const WanLayout *l, const char *path)
{
    const size_t root = strlen(l->path);
    if (strncmp(path, l->path, root) == 0 && path[root] == '/') path += root;
    const bool high = has_word(path, "high"), low = has_word(path, "low");
    return high == low ? NOISE_ANY : high ? NOISE_HIGH : NOISE_LOW;
}

bool wan_scan_is_high(const WanLayout *l, const char *path)
{
    return noise_of(l, path) == NOISE_HIGH;
}

static bool inside(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    if (strncmp(path, folder, n) != 0) return false;
    return path[n] == '/' || path[n] == '\0' || (n > 0 && folder[n - 1] == '/');
}

/* Of a full and a quantised copy in one folder the full one is meant: nothing that changes the
 * picture is chosen silently. */
static bool is_copy(const WanFile *file)
{
    return strstr(file->path, "_bnb_nf4/") || strstr(file->path, "_bnb_fp4/");
}

typedef struct Choice {
    WanFile *best, *second;
    int n;
} Choice;

static Choice choose(const WanLayout *l, WanNetwork network, const Noise *noise, const char *within,
                     bool copies)
{
    Choice c = { 0 };
    for (WanFile *f = l->files; f; f = f->next) {
        if (!f->spelling[network] || !inside(f->path, within) || is_copy(f) != copies) continue;
        if (noise && noise_of(l, f->path) != *noise) continue;
        c.second = c.best;
        c.best = f;
        c.n++;
    }
    return c;
}

static SnugStatus warn_of_copy(WanLayout *l, const WanFile *taken, const WanFile *copy,
                               SnugError *err)
{
    l->warnings = arena_printf(l->arena,
                               "%s%s: taken, though %s is there, too (choose by "
                               "--transformer and --transformer-low)\n",
                               l->warnings, taken->path, copy->path);
    return l->warnings ? SNUG_OK : no_memory(l->path, err);
}

static SnugStatus settle(WanLayout *l, WanRole role, const Noise *noise, const char *within,
                         WanFile **out, SnugError *err)
{
    const WanNetwork network = wan_role_network(role);
    Choice c = choose(l, network, noise, within, false),
           copy = choose(l, network, noise, within, true);
    if (c.n && copy.n) TRY(warn_of_copy(l, c.best, copy.best, err));
    if (c.n == 0) c = copy;
    *out = c.best;
    if (c.n <= 1) return SNUG_OK;
    *out = NULL;
    return error_set(err, SNUG_ERR_FILE, "%s: %s and %s both hold %s: choose one with --%s",
                     l->path, c.second->path, c.best->path, wan_network_words(network),
                     wan_role_flag(role));
}

const WanFile *wan_scan_first(const WanLayout *l, const char *folder)
{
    for (const WanFile *f = l->files; f; f = f->next)
        if (inside(f->path, folder)) return f;
    return NULL;
}

SnugStatus wan_scan_choose(WanLayout *l, WanRole role, WanFile **out, SnugError *err)
{
    static const Noise HIGH = NOISE_HIGH, LOW = NOISE_LOW, ANY = NOISE_ANY;
    if (role == WAN_TRANSFORMER_LOW) return settle(l, role, &LOW, l->path, out, err);
    if (role != WAN_TRANSFORMER) return settle(l, role, NULL, l->path, out, err);
    TRY(settle(l, role, &HIGH, l->path, out, err));
    return *out ? SNUG_OK : settle(l, role, &ANY, l->path, out, err);
}

SnugStatus wan_scan_choose_in(WanLayout *l, WanRole role, const char *folder, WanFile **out,
                              SnugError *err)
{
    return settle(l, role, NULL, folder, out, err);
}
