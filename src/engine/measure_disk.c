/* measure_disk.c  Reading a file of our own: from the page cache and from the disk. */
#include "engine/measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/now.h"
#include "base/outfile.h"
#include "tensor/finite.h"

enum { BLOCK_BYTES = 8 << 20, MOST_BLOCKS = 32, LEAST_BLOCKS = 2 };

/* An eighth of what is free at most; 0 when that is next to nothing. */
static SnugStatus blocks_that_fit(const char *folder, int most, int *out, SnugError *err)
{
    struct statvfs fs;
    if (statvfs(folder, &fs) != 0)
        return error_set(err, SNUG_ERR_IO, "%s: its disk cannot be measured: %s", folder,
                         strerror(errno));
    const double fit = (double)fs.f_bavail * (double)fs.f_frsize / 8 / BLOCK_BYTES;
    *out = fit >= most ? most : fit >= LEAST_BLOCKS ? (int)fit : 0;
    return SNUG_OK;
}

static SnugStatus write_blocks(Measure *m, const char *path, int blocks, SnugError *err)
{
    OutFile *file = NULL;
    SnugStatus status = outfile_open(&file, m->engine->heap, path, err);
    for (int i = 0; i < blocks && status == SNUG_OK;
         i++) /* no two blocks alike, for clever disks */
        status = outfile_write(file, m->bench.slab.base + i * 64, BLOCK_BYTES - 64, err);
    if (status == SNUG_OK) status = outfile_commit(file, err);
    outfile_close(file);
    return status;
}

/* As the loader reads: blocks one after the other, each looked through once if `check`. */
static SnugStatus read_all(const File *file, unsigned char *to, bool check, double *rate,
                           double *cpu_rate, SnugError *err)
{
    const size_t bytes = file_bytes(file);
    const double begin = now_seconds(), cpu_begin = now_thread_seconds();
    for (size_t at = 0; at < bytes; at += BLOCK_BYTES) {
        const size_t n = bytes - at < BLOCK_BYTES ? bytes - at : BLOCK_BYTES;
        TRY(file_pread_all(file, at, to + at, n, err));
        if (check) (void)finite_find(DT_BF16, to + at, n & ~(size_t)1);
    }
    const double took = now_seconds() - begin, cpu = now_thread_seconds() - cpu_begin;
    *rate = (double)bytes / (took > 1e-6 ? took : 1e-6);
    *cpu_rate = (double)bytes / (cpu > 1e-6 ? cpu : 1e-6);
    return SNUG_OK;
}

/* From the page cache, with a look at every value as at a weight's first read, and from the disk.
 * Into memory used before: what fresh pages cost differs by ten from time to time. */
static SnugStatus read_three(Measure *m, const File *file, SnugError *err)
{
    Slab slab;
    double ignored;
    MachineProfile *p = m->out;
    TRY(slab_open(&slab, file_bytes(file), err));
    SnugStatus status = read_all(file, slab.base, false, &ignored, &ignored, err);
    if (status == SNUG_OK)
        status = read_all(file, slab.base, false, &p->disk_warm, &p->cpu_warm, err);
    if (status == SNUG_OK)
        status = read_all(file, slab.base, true, &p->disk_first, &p->cpu_first, err);
    file_forget(file, 0, file_bytes(file));
    if (status == SNUG_OK)
        status = read_all(file, slab.base, false, &p->disk_cold, &p->cpu_cold, err);
    slab_close(&slab);
    return status;
}

SnugStatus measure_disk(Measure *m, const char *folder, SnugError *err)
{
    char path[4096];
    int blocks = 0;
    TRY(measure_step(m, "disk", 0.95, err));
    TRY(blocks_that_fit(folder, m->quick ? LEAST_BLOCKS : MOST_BLOCKS, &blocks, err));
    if (!blocks) return SNUG_OK; /* the defaults stay */
    const int n = snprintf(path, sizeof path, "%s/snug-measure-%ld.tmp", folder, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, SNUG_ERR_ARG, "the folder's name is too long: %.100s", folder);
    File *file = NULL;
    SnugStatus status = write_blocks(m, path, blocks, err);
    if (status == SNUG_OK) status = file_open(&file, m->engine->heap, path, err);
    if (status == SNUG_OK) status = read_three(m, file, err);
    file_close(file);
    (void)unlink(path);
    return status;
}
