/* test_fault_calls.c  Every call to the system fails once: the n-th open, read, write, mapping, thread,
 * rename, for every n in a small run. Right status, a message, no leak, no partial file.
 *
 * The functions below stand before libc's in this program; they count, fail on demand and otherwise
 * pass on. */
#include "pipelines/small.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

typedef enum Call {
    CALL_OPEN,
    CALL_STAT,
    CALL_READ,
    CALL_CREATE,
    CALL_WRITE,
    CALL_SIZE,
    CALL_SYNC,
    CALL_RENAME,
    CALL_MAP,
    CALL_THREAD,
    CALL_COUNT
} Call;

/* Set by the test, read by any thread. */
static atomic_int watched = CALL_COUNT, countdown, seen;
static atomic_bool stutters; /* reads and writes are interrupted and give a part */

/** Whether this call is the one that fails. */
static bool fails(Call call)
{
    if (atomic_load(&watched) != (int)call) return false;
    atomic_fetch_add(&seen, 1);
    return atomic_fetch_sub(&countdown, 1) == 1;
}

static int refuse(int error)
{
    errno = error;
    return -1;
}

/* dlsym gives a data pointer; the detour is what POSIX suggests. */
#define REAL(type, name)                                                                           \
    type *real = *(type **)(void *[])                                                              \
    {                                                                                              \
        dlsym(RTLD_NEXT, name)                                                                     \
    }

typedef int OpenCall(const char *path, int flags, ...);
int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if (fails(flags & O_CREAT ? CALL_CREATE : CALL_OPEN)) return refuse(EMFILE);
    REAL(OpenCall, "open64");
    return real(path, flags, mode);
}

typedef int MakeCall(char *template, int flags);
int mkostemp(char *template, int flags)
{
    if (fails(CALL_CREATE)) return refuse(EACCES);
    REAL(MakeCall, "mkostemp64");
    return real(template, flags);
}

typedef int StatCall(int fd, struct stat *out);
int fstat(int fd, struct stat *out)
{
    if (fails(CALL_STAT)) return refuse(EIO);
    REAL(StatCall, "fstat64");
    return real(fd, out);
}

/** How many of n bytes an unreliable device gives; -1 when interrupted. */
static ssize_t part_of(size_t n)
{
    static atomic_uint turn;
    const unsigned t = atomic_fetch_add(&turn, 1);
    if (t % 3 == 0) return refuse(EINTR);
    return (ssize_t)(n > 1 ? n / 2 + t % 2 : n);
}

typedef ssize_t ReadCall(int fd, void *to, size_t n, off_t at);
ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    if (fails(CALL_READ)) return refuse(EIO);
    REAL(ReadCall, "pread64");
    if (!atomic_load(&stutters) || n == 0) return real(fd, to, n, at);
    const ssize_t part = part_of(n);
    return part < 0 ? part : real(fd, to, (size_t)part, at);
}

typedef ssize_t AppendCall(int fd, const void *from, size_t n);
ssize_t write(int fd, const void *from, size_t n)
{
    if (fails(CALL_WRITE)) return refuse(ENOSPC);
    REAL(AppendCall, "write");
    if (!atomic_load(&stutters) || n == 0) return real(fd, from, n);
    const ssize_t part = part_of(n);
    return part < 0 ? part : real(fd, from, (size_t)part);
}

typedef ssize_t WriteCall(int fd, const void *from, size_t n, off_t at);
ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    if (fails(CALL_WRITE)) return refuse(ENOSPC);
    REAL(WriteCall, "pwrite64");
    if (!atomic_load(&stutters) || n == 0) return real(fd, from, n, at);
    const ssize_t part = part_of(n);
    return part < 0 ? part : real(fd, from, (size_t)part, at);
}

typedef int SizeCall(int fd, off_t bytes);
int ftruncate(int fd, off_t bytes)
{
    if (fails(CALL_SIZE)) return refuse(ENOSPC);
    REAL(SizeCall, "ftruncate64");
    return real(fd, bytes);
}

typedef int ReserveCall(int fd, int mode, off_t at, off_t bytes);
int fallocate(int fd, int mode, off_t at, off_t bytes)
{
    if (fails(CALL_SIZE)) return refuse(ENOSPC);
    REAL(ReserveCall, "fallocate64");
    return real(fd, mode, at, bytes);
}

typedef int SyncCall(int fd);
int fsync(int fd)
{
    if (fails(CALL_SYNC)) return refuse(EIO);
    REAL(SyncCall, "fsync");
    return real(fd);
}

typedef int RenameCall(const char *from, const char *to);
int rename(const char *from, const char *to)
{
    if (fails(CALL_RENAME)) return refuse(EXDEV);
    REAL(RenameCall, "rename");
    return real(from, to);
}

typedef void *MapCall(void *at, size_t n, int access, int flags, int fd, off_t offset);
void *mmap(void *at, size_t n, int access, int flags, int fd, off_t offset)
{
    if (fails(CALL_MAP)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    REAL(MapCall, "mmap64");
    return real(at, n, access, flags, fd, offset);
}

typedef int ThreadCall(pthread_t *out, const pthread_attr_t *attributes, void *(*start)(void *),
                       void *argument);
int pthread_create(pthread_t *out, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument)
{
    if (fails(CALL_THREAD)) return EAGAIN;
    REAL(ThreadCall, "pthread_create");
    return real(out, attributes, start, argument);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void arm(Call call, int n)
{
    atomic_store(&seen, 0);
    atomic_store(&countdown, n);
    atomic_store(&watched, (int)call);
}

/** Disarm; how many calls of that kind there were. */
static int disarm(void)
{
    atomic_store(&watched, CALL_COUNT);
    return atomic_load(&seen);
}

static bool there(const char *name)
{
    return file_type(request_scratch(name)) != FILE_ABSENT;
}

/** One kind of call to fail in runs that write `output`. */
typedef struct Breakage {
    Call call;
    SnugStatus expected;
    const char *output;
} Breakage;

/** What a failed run leaves: results appear whole, the video before the report, or not at all. */
static void check_outputs(const Breakage *f, int n, SnugStatus status)
{
    const int files = count_files(out_folder());
    const int whole = there(f->output) + there("out/latents.npy") + there("out/report.json");
    if (files != whole) fail_msg("call %d, number %d: a partial file is left", f->call, n);
    if (status == SNUG_OK) {
        CHECK_INT(whole, 3);
    } else if (there("out/report.json"))
        fail_msg("call %d, number %d: a failed run left its report", f->call, n);
    (void)remove(request_scratch(f->output));
    remove_outputs();
}

/** The n-th call of this kind fails in a run; false when there are fewer. */
static bool run_failing(const Breakage *f, int n)
{
    SnugError err = { { 0 } };
    SnugEngine *engine = open_engine();
    const size_t before = heap_now_bytes(engine->heap);
    SnugJob *job = small_job(engine);
    request_option(job, "output", request_scratch(f->output));
    const int files = count_files("/proc/self/fd"), threads = count_threads();
    arm(f->call, n);
    const SnugStatus status = request_try(job, &err);
    const bool failed = disarm() >= n;
    const bool input = f->expected == SNUG_ERR_FILE && status == SNUG_ERR_IO; /* either will do */
    if (status != SNUG_OK && status != f->expected && !input)
        fail_msg("call %d, number %d: status %d: %s", f->call, n, status, err.text);
    CHECK(status == SNUG_OK || (failed && err.text[0]));
    check_outputs(f, n, status);
    snug_job_free(job);
    CHECK_INT(heap_now_bytes(engine->heap), before);
    CHECK(count_files("/proc/self/fd") <= files);
    CHECK_INT(count_threads(), threads);
    snug_engine_close(engine);
    return failed;
}

/** Fails one after the other; how many there were. */
static int every(Call call, SnugStatus expected, const char *output)
{
    const Breakage breakage = { call, expected, output };
    int n = 1;
    while (run_failing(&breakage, n))
        n++;
    return n - 1;
}

TEST(fault_calls, every_refused_open_stat_or_read_of_a_file)
{
    CHECK(every(CALL_OPEN, SNUG_ERR_FILE, "out/frames.npy") > 10);
    CHECK(every(CALL_STAT, SNUG_ERR_FILE, "out/frames.npy") > 5);
    CHECK(every(CALL_READ, SNUG_ERR_FILE, "out/frames.npy") > 50);
}

TEST(fault_calls, every_refused_step_of_writing)
{
    static const char *const OUTPUTS[] = { "out/frames.npy", "out/x.png", "out/x.mp4", "out/x.gif",
                                           "out/x.webm" };
    for (size_t i = 0; i < COUNT(OUTPUTS); i++) {
        CHECK(every(CALL_CREATE, SNUG_ERR_IO, OUTPUTS[i]) >= 3);
        CHECK(every(CALL_WRITE, SNUG_ERR_IO, OUTPUTS[i]) >= 3);
        (void)every(CALL_SIZE, SNUG_ERR_IO, OUTPUTS[i]); /* reserving room is only a wish */
        CHECK(every(CALL_SYNC, SNUG_ERR_IO, OUTPUTS[i]) >= 3);
        CHECK(every(CALL_RENAME, SNUG_ERR_IO, OUTPUTS[i]) >= 3);
    }
}

TEST(fault_calls, a_refused_slab_or_thread_in_a_run)
{
    CHECK(every(CALL_MAP, SNUG_ERR_MEMORY, "out/frames.npy") >= 1);
    CHECK(every(CALL_THREAD, SNUG_ERR_MEMORY, "out/frames.npy") >= 1);
}

TEST(fault_calls, every_refused_thread_while_an_engine_opens)
{
    const int before = count_threads();
    for (int n = 1; n < 8; n++) {
        SnugEngine *engine = NULL;
        SnugError err = { { 0 } };
        const SnugEngineOptions options = { .ram_bytes = GIB, .threads = 6 };
        arm(CALL_THREAD, n);
        const SnugStatus status = snug_engine_open(&engine, &options, &err);
        const bool failed = disarm() >= n;
        CHECK_INT(status, failed ? SNUG_ERR_MEMORY : SNUG_OK);
        CHECK(failed == (engine == NULL) && failed == (err.text[0] != '\0'));
        CHECK_INT(failed, n <= 5); /* five beside the caller */
        snug_engine_close(engine);
        CHECK_INT(count_threads(), before);
    }
}

TEST(fault_calls, interrupted_and_partial_reads_and_writes_change_no_bit)
{
    SnugEngine *engine = open_engine();
    char *bytes[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        SnugError err = { { 0 } };
        SnugJob *job = small_job(engine);
        atomic_store(&stutters, i == 1);
        REQUIRE_OK(request_try(job, &err), &err);
        atomic_store(&stutters, false);
        snug_job_free(job);
        bytes[i] = request_bytes(request_scratch("out/frames.npy"), &n[i]);
        remove_outputs();
    }
    CHECK(n[0] == n[1] && memcmp(bytes[0], bytes[1], n[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
    snug_engine_close(engine);
}
