/* options.c  Words, SNUG_* variables and the configuration file become engine and job options.
 *
 * Precedence: flag > environment > configuration file. The file is
 * $SNUG_CONFIG, or $XDG_CONFIG_HOME/snug/config, or ~/.config/snug/config; lines "name = value",
 * "#" begins a comment, names as the flags. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/paths.h"

int cli_fail(SnugStatus status, const SnugError *err)
{
    (void)fprintf(stderr, "snug: %s\n", err->text);
    return snug_exit_code(status);
}

/* Engine flags of the command line, with the text that --help shows. */
typedef struct EngineFlag {
    const char *name, *value_name, *help;
} EngineFlag;
static const EngineFlag ENGINE_FLAGS[] = {
    { "ram", "SIZE",
      "hard limit of the process's memory, such as 8GiB; default: what is free, less a reserve" },
    { "curve-svg", "FILE", "snug plan: draw that curve" },
    { "result", "FILE", "snug run: write as JSON what became of the job, also when it failed" },
    { "vram", "SIZE", "hard limit of the device's memory; default: all that it has" },
    { "device", "NAME",
      "cpu, or sim:8GiB,24GB/s: memory of its own behind a link of that speed; default: cpu" },
    { "isa", "NAME",
      "kernels: ref, avx2, avx512, avx512vnni, avx512bf16, neon; default: the best that runs "
      "here" },
    { "threads", "N", "compute threads; default: all processors" },
    { "profile", "FILE",
      "machine profile for forecasts; default: what snug doctor --measure left in the cache "
      "folder" },
};
enum { N_ENGINE_FLAGS = sizeof ENGINE_FLAGS / sizeof ENGINE_FLAGS[0] };

static const EngineFlag SWITCHES[] = {
    { "quiet", "", "no progress" },
    { "events", "", "progress as JSON lines on standard output" },
    { "json", "", "snug plan: the plan as JSON" },
    { "curve", "", "snug plan: time under every budget from the smallest to ample" },
    { "memory-log", "", "a line with what is held at each stage, load and unload" },
};
enum { N_SWITCHES = sizeof SWITCHES / sizeof SWITCHES[0] };

static bool is_engine_flag(const char *name)
{
    for (int i = 0; i < N_ENGINE_FLAGS; i++)
        if (strcmp(ENGINE_FLAGS[i].name, name) == 0) return true;
    return false;
}

static int set_engine_flag(CliOptions *o, const char *name, const char *value)
{
    SnugError err = { { 0 } };
    if (strcmp(name, "ram") == 0 || strcmp(name, "vram") == 0) {
        size_t *to = name[0] == 'r' ? &o->engine.ram_bytes : &o->engine.vram_bytes;
        const SnugStatus status = snug_parse_bytes(value, to, &err);
        if (status != SNUG_OK) {
            (void)fprintf(stderr, "snug: --%s: %s\n", name, err.text);
            return CLI_USAGE;
        }
    } else if (strcmp(name, "threads") == 0) {
        char *end;
        const long n = strtol(value, &end, 10);
        if (*end || end == value || n < 1 || n > 1024) {
            (void)fprintf(stderr, "snug: --threads: \"%s\" is no number from 1 to 1024\n", value);
            return CLI_USAGE;
        }
        o->engine.threads = (int)n;
    } else if (strcmp(name, "isa") == 0)
        o->engine.isa = value;
    else if (strcmp(name, "profile") == 0)
        o->engine.profile = value;
    else if (strcmp(name, "result") == 0)
        (void)snprintf(o->result, sizeof o->result, "%s", value);
    else if (strcmp(name, "curve-svg") == 0)
        (void)snprintf(o->curve_svg, sizeof o->curve_svg, "%s", value);
    else
        o->engine.device = value;
    return 0;
}

static bool set_switch(CliOptions *o, const char *name)
{
    bool *at[] = { &o->quiet, &o->events, &o->json, &o->curve, &o->memory_log };
    for (int i = 0; i < N_SWITCHES; i++) {
        if (strcmp(SWITCHES[i].name, name) == 0) {
            *at[i] = true;
            return true;
        }
    }
    return false;
}

/* ---- one setting after the other ------------------------------------------------------------- */

/* Settings in rising precedence; values live as long as the process. */
typedef struct Setting {
    char name[64];
    char *value;
    const char *from; /* for messages */
} Setting;
enum { MAX_SETTINGS = 256 };
typedef struct Settings {
    Setting at[MAX_SETTINGS];
    int n;
} Settings;

static int add(Settings *s, const char *name, const char *value, const char *from)
{
    if (s->n == MAX_SETTINGS || strlen(name) >= sizeof s->at[0].name) {
        (void)fprintf(stderr, "snug: %s: too many settings, or a name too long: %.80s\n", from,
                      name);
        return CLI_USAGE;
    }
    Setting *to = &s->at[s->n];
    (void)snprintf(to->name, sizeof to->name, "%s", name);
    to->value = strdup(value);
    to->from = from;
    if (!to->value) return 1;
    s->n++;
    return 0;
}

static void release(Settings *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->at[i].value);
    s->n = 0;
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return text;
}

static int read_config(Settings *s)
{
    static const char FROM[] = "configuration file";
    char path[PATH_MAX];
    const char *given = getenv("SNUG_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"),
               *home = getenv("HOME");
    if (given)
        (void)snprintf(path, sizeof path, "%s", given);
    else if (xdg && *xdg)
        (void)snprintf(path, sizeof path, "%s/snug/config", xdg);
    else if (home)
        (void)snprintf(path, sizeof path, "%s/.config/snug/config", home);
    else
        return 0;
    FILE *file = fopen(path, "re");
    if (!file) {
        if (given) (void)fprintf(stderr, "snug: cannot read SNUG_CONFIG=%s\n", path);
        return given ? CLI_USAGE : 0;
    }
    char line[4096];
    int code = 0, number = 0;
    while (code == 0 && fgets(line, sizeof line, file)) {
        number++;
        char *text = trim(line), *equals = strchr(text, '=');
        if (!*text || *text == '#') continue;
        if (!equals) {
            (void)fprintf(stderr, "snug: %s:%d: \"name = value\" expected\n", path, number);
            code = CLI_USAGE;
            break;
        }
        *equals = '\0';
        const char *name = trim(text);
        if (strcmp(name, "AUTO_UNLOAD_DEFAULT") == 0) name = "auto-unload";
        code = add(s, name, trim(equals + 1), FROM);
    }
    (void)fclose(file);
    return code;
}

extern char **environ;

/* SNUG_RAM=8GiB is --ram 8GiB; SNUG_GUIDANCE_LOW is --guidance-low. AUTO_UNLOAD_DEFAULT is what services
 * before this one read; SNUG_AUTO_UNLOAD counts over it. */
static int read_environment(Settings *s)
{
    const char *unload = getenv("AUTO_UNLOAD_DEFAULT");
    if (unload && add(s, "auto-unload", unload, "AUTO_UNLOAD_DEFAULT") != 0) return 1;
    for (char **e = environ; *e; e++) {
        const char *equals = strchr(*e, '=');
        if (strncmp(*e, "SNUG_", 5) != 0 || !equals || strncmp(*e, "SNUG_CONFIG=", 12) == 0)
            continue;
        char name[64] = "";
        const size_t n = (size_t)(equals - *e) - 5;
        if (n == 0 || n >= sizeof name) continue;
        for (size_t i = 0; i < n; i++) {
            const char c = (*e)[5 + i];
            name[i] = c == '_' ? '-' : (char)tolower((unsigned char)c);
        }
        if (add(s, name, equals + 1, "environment") != 0) return 1;
    }
    return 0;
}

/* What an option means that is given without a value; NULL: it needs one. */
static const char *bare_value(const char *pipeline, const char *name)
{
    const SnugOption *o;
    for (int i = 0; (o = snug_pipeline_option(pipeline, i)); i++) {
        if (strcmp(o->name, name) != 0) continue;
        return o->kind == SNUG_OPTION_FLAG ? "true" : o->kind == SNUG_OPTION_SWITCH ? "on" : NULL;
    }
    return NULL;
}

static int read_words(Settings *s, CliOptions *o, const char *pipeline, int argc, char **argv)
{
    static const char FROM[] = "command line";
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || !argv[i][2]) {
            (void)fprintf(stderr, "snug: \"%s\" is no option (options begin with --)\n", argv[i]);
            return CLI_USAGE;
        }
        char name[64];
        const char *equals = strchr(argv[i], '=');
        const size_t n = (equals ? (size_t)(equals - argv[i]) : strlen(argv[i])) - 2;
        if (n >= sizeof name) {
            (void)fprintf(stderr, "snug: option name too long: %.80s\n", argv[i]);
            return CLI_USAGE;
        }
        memcpy(name, argv[i] + 2, n);
        name[n] = '\0';
        if (!equals && set_switch(o, name)) continue;
        const char *value = equals ? equals + 1 : bare_value(pipeline, name);
        if (!value && i + 1 < argc) value = argv[++i];
        if (!value) {
            (void)fprintf(stderr, "snug: --%s needs a value\n", name);
            return CLI_USAGE;
        }
        const int code = add(s, name, value, FROM);
        if (code) return code;
    }
    return 0;
}

static bool job_has(const char *pipeline, const char *name)
{
    const SnugOption *o;
    for (int i = 0; (o = snug_pipeline_option(pipeline, i)); i++)
        if (strcmp(o->name, name) == 0) return true;
    return false;
}

static bool is_list(const char *pipeline, const char *name)
{
    const SnugOption *o;
    for (int i = 0; (o = snug_pipeline_option(pipeline, i)); i++)
        if (strcmp(o->name, name) == 0) return o->kind == SNUG_OPTION_LIST;
    return false;
}

/* Does a setting of higher precedence, another source, set the same list? */
static bool is_overruled(const Settings *s, int i)
{
    for (int k = i + 1; k < s->n; k++)
        if (s->at[k].from != s->at[i].from && strcmp(s->at[k].name, s->at[i].name) == 0)
            return true;
    return false;
}

/* The last value of an option of the command line, or NULL. */
static const char *given(const Settings *s, const char *name)
{
    for (int i = s->n - 1; i >= 0; i--)
        if (strcmp(s->at[i].name, name) == 0 && strcmp(s->at[i].from, "command line") == 0)
            return s->at[i].value;
    return NULL;
}

/* Where a job comes from, not what it asks for. */
static bool is_source(const char *name)
{
    return strcmp(name, "from-image") == 0 || strcmp(name, "job") == 0;
}

static int apply_to_job(const Settings *s, SnugJob *job, const char *pipeline)
{
    SnugError err = { { 0 } };
    const char *file = given(s, "job");
    for (int i = 0; i <= s->n; i++) {
        const bool flags = i == s->n || strcmp(s->at[i].from, "command line") == 0;
        if (file && flags) { /* over the environment, under the flags */
            const SnugStatus status = snug_job_set_file(job, file, &err);
            if (status != SNUG_OK) return cli_fail(status, &err);
            file = NULL;
        }
        if (i == s->n) break;
        const Setting *at = &s->at[i];
        if (is_engine_flag(at->name) || is_source(at->name)) continue;
        /* What other commands and tests keep in the environment or the file is not our mistake. */
        if (strcmp(at->from, "command line") != 0 && !job_has(pipeline, at->name)) continue;
        if (is_list(pipeline, at->name) && is_overruled(s, i)) continue;
        const SnugStatus status = snug_job_set(job, at->name, at->value, &err);
        if (status != SNUG_OK) {
            (void)fprintf(stderr, "snug: %s (%s)\n", err.text, at->from);
            return snug_exit_code(status);
        }
    }
    return 0;
}

/* With the profile that snug doctor left, unless one was named. */
static SnugStatus open_engine(SnugEngine **engine, const SnugEngineOptions *options, SnugError *err)
{
    char path[PATHS_MAX];
    SnugEngineOptions o = *options;
    if (!o.profile && paths_cache(path, "profile.json")) {
        o.profile = path;
        o.profile_optional = true;
    }
    return snug_engine_open(engine, &o, err);
}

static SnugStatus create_job(SnugJob **job, SnugEngine *engine, const char *pipeline,
                             const char *from_image, SnugError *err)
{
    return from_image ? snug_job_create_from_image(job, engine, pipeline, from_image, err)
                      : snug_job_create(job, engine, pipeline, err);
}

static int open_all(Settings *s, SnugEngine **engine, SnugJob **job, CliOptions *options,
                    const char *pipeline, int argc, char **argv)
{
    int code = read_config(s);
    if (code == 0) code = read_environment(s);
    /* a picture names its pipeline; those that make pictures have the same options */
    if (code == 0) code = read_words(s, options, pipeline ? pipeline : "txt2img", argc, argv);
    const char *from_image = given(s, "from-image");
    if (code == 0 && !pipeline && !from_image) {
        (void)fprintf(stderr, "snug: name a pipeline first, or a picture with --from-image\n");
        code = CLI_USAGE;
    }
    for (int i = 0; code == 0 && i < s->n; i++)
        if (is_engine_flag(s->at[i].name))
            code = set_engine_flag(options, s->at[i].name, s->at[i].value);
    if (code) return code;
    SnugError err = { { 0 } };
    SnugStatus status = open_engine(engine, &options->engine, &err);
    if (status == SNUG_OK) status = create_job(job, *engine, pipeline, from_image, &err);
    if (status != SNUG_OK) return cli_fail(status, &err);
    return apply_to_job(s, *job, pipeline ? pipeline : snug_job_pipeline(*job));
}

int cli_open(SnugEngine **engine, SnugJob **job, CliOptions *options, const char *pipeline,
             int argc, char **argv)
{
    *options = (CliOptions){ 0 };
    Settings *s = calloc(1, sizeof *s);
    if (!s) return 1;
    const int code = open_all(s, engine, job, options, pipeline, argc, argv);
    release(s);
    free(s);
    return code;
}

/* ---- help ----------------------------------------------------------------------------------- */

static void help_row(const char *name, const char *value_name, const char *help,
                     const char *otherwise)
{
    char left[64];
    (void)snprintf(left, sizeof left, "--%s%s%s", name, *value_name == '[' ? "" : " ", value_name);
    (void)printf("  %-24s %s", left, help);
    if (otherwise && *otherwise && strcmp(otherwise, "-1") != 0)
        (void)printf(" (default: %s)", otherwise);
    (void)printf("\n");
}

void cli_help_pipelines(const char *command)
{
    (void)printf("usage: snug %s PIPELINE [options]\n\npipelines:\n", command);
    for (int i = 0; snug_pipeline_name(i); i++)
        (void)printf("  %-12s %s\n", snug_pipeline_name(i), snug_pipeline_summary(i));
    (void)printf("\n`snug %s PIPELINE --help` lists the options.\n", command);
}

void cli_help_pipeline(const char *command, const char *pipeline)
{
    const SnugOption *o;
    (void)printf("usage: snug %s %s [options]\n\n", command, pipeline);
    for (int i = 0; (o = snug_pipeline_option(pipeline, i)); i++)
        help_row(o->name, o->value_name, o->help, o->default_text);
    (void)printf("\nengine:\n");
    for (int i = 0; i < N_ENGINE_FLAGS; i++)
        help_row(ENGINE_FLAGS[i].name, ENGINE_FLAGS[i].value_name, ENGINE_FLAGS[i].help, NULL);
    help_row("from-image", "FILE",
             "begin with the options that made this picture; what else is given counts over them",
             NULL);
    help_row(
        "job", "FILE",
        "options from a JSON object: fields as the options' names, pictures as paths or base64; "
        "flags count over them",
        NULL);
    for (int i = 0; i < N_SWITCHES; i++)
        help_row(SWITCHES[i].name, SWITCHES[i].value_name, SWITCHES[i].help, NULL);
    (void)printf("\nEvery option may also come from SNUG_NAME in the environment or from the\n"
                 "configuration file (~/.config/snug/config, lines \"name = value\").\n");
}
