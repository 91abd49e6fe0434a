/* gpu.c  One line of comma separated values per card; "[N/A]" and its relatives mean unknown. */
#include "cli/gpu.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/now.h"

enum { ANSWER_BYTES = 65536, TIMEOUT_SECONDS = 10, N_FIELDS = 11 };

#define QUERY                                                                                      \
    "--query-gpu=name,driver_version,memory.total,memory.used,power.draw,power.limit,"             \
    "power.default_limit,power.max_limit,utilization.gpu,temperature.gpu,persistence_mode"

extern char **environ;

/* ---- the child ------------------------------------------------------------------------------ */

/* Start nvidia-smi; its output comes from *from. False when there is none to start. */
static bool start(pid_t *child, int *from)
{
    char program[] = "nvidia-smi", query[] = QUERY, format[] = "--format=csv,noheader,nounits";
    char *const words[] = { program, query, format, NULL };
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1],
                                           2); /* its complaints are the reason */
    const int code = posix_spawnp(child, program, &actions, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    *from = ends[0];
    if (code != 0) (void)close(ends[0]);
    return code == 0;
}

/* All that the child says; false when it does not end in time (a hung driver does that). */
static bool read_answer(int from, char *to)
{
    const double until = now_seconds() + TIMEOUT_SECONDS;
    size_t n = 0;
    for (;;) {
        to[n] = '\0';
        const double left = until - now_seconds();
        struct pollfd wait = { .fd = from, .events = POLLIN };
        if (left <= 0 || poll(&wait, 1, (int)(1e3 * left) + 1) == 0) return false;
        const ssize_t got = read(from, to + n, ANSWER_BYTES - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || n == ANSWER_BYTES - 1) return true;
        n += (size_t)got;
    }
}

/* ---- the answer ----------------------------------------------------------------------------- */

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return text;
}

static double number(const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    return end == text || !(value >= 0 && value < 1e12) ? -1.0 : value;
}

static void keep_text(char *to, size_t room, const char *text)
{
    (void)snprintf(to, room, "%s", text);
    for (; *to; to++)
        if ((unsigned char)*to < ' ' || *to == 127) *to = '?';
}

/* One line; false when it is no card ("No devices were found", a warning). */
static bool parse_line(char *line, Gpu *out)
{
    char *field[N_FIELDS];
    int n = 0;
    for (char *at = line; at && n < N_FIELDS; n++) {
        char *comma = strchr(at, ',');
        if (comma) *comma = '\0';
        field[n] = trimmed(at);
        at = comma ? comma + 1 : NULL;
    }
    if (n < N_FIELDS || !field[0][0]) return false;
    *out = (Gpu){ .memory_mib = number(field[2]),
                  .used_mib = number(field[3]),
                  .power_w = number(field[4]),
                  .limit_w = number(field[5]),
                  .default_limit_w = number(field[6]),
                  .most_limit_w = number(field[7]),
                  .load_percent = number(field[8]),
                  .temperature_c = number(field[9]),
                  .persistence = strcasecmp(field[10], "enabled") == 0    ? 1
                                 : strcasecmp(field[10], "disabled") == 0 ? 0
                                                                          : -1 };
    keep_text(out->name, sizeof out->name, field[0]);
    keep_text(out->driver, sizeof out->driver, field[1]);
    return true;
}

static int parse(char *text, Gpu *out)
{
    int n = 0;
    for (char *line = text; line && n < GPU_MAX;) {
        char *end = strchr(line, '\n');
        if (end) *end = '\0';
        if (parse_line(line, &out[n])) n++;
        line = end ? end + 1 : NULL;
    }
    return n;
}

static void first_line(char why[256], char *text)
{
    char *line = trimmed(text);
    line[strcspn(line, "\n")] = '\0';
    keep_text(why, 256, line);
}

static GpuAnswer judge(bool answered, int status, char *text, Gpu *out, int *n, char why[256])
{
    if (!answered) {
        (void)snprintf(why, 256, "nvidia-smi does not answer within %d s", TIMEOUT_SECONDS);
        return GPU_FAILED;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !*text) return GPU_NONE;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        if (strstr(text, "No devices were found")) return GPU_NONE;
        first_line(why, text);
        if (!why[0]) (void)snprintf(why, 256, "nvidia-smi failed");
        return GPU_FAILED;
    }
    *n = parse(text, out);
    return *n ? GPU_FOUND : GPU_NONE;
}

GpuAnswer gpu_list(Gpu out[GPU_MAX], int *n, char why[256])
{
    pid_t child;
    int from, status = 0;
    *n = 0;
    why[0] = '\0';
    char *text = calloc(1, ANSWER_BYTES);
    if (!text || !start(&child, &from)) {
        free(text);
        return GPU_NONE;
    }
    const bool answered = read_answer(from, text);
    (void)close(from);
    if (!answered) (void)kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const GpuAnswer answer = judge(answered, status, text, out, n, why);
    free(text);
    return answer;
}
