/* zips.h  Zip archives put together byte by byte, as torch lays them out, with handles to spoil. */
#ifndef TESTS_FORMATS_ZIPS_H
#define TESTS_FORMATS_ZIPS_H

#include "files.h"

enum { ZIPS_MAX = 16, ZIPS_ROOM = 1 << 18 };

typedef struct Zips {
    unsigned char bytes[ZIPS_ROOM];
    size_t n;
    struct ZipsMember {
        const char *name;
        size_t local, data, central, size;
    } member[ZIPS_MAX];
    int n_members;
    size_t directory, end; /* set by zips_end */
    size_t end64;          /* 0: none */
} Zips;

static inline void zips_number(Zips *z, size_t at, uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        z->bytes[at + (size_t)i] = (unsigned char)(value >> 8 * i & 255);
}

static inline void zips_put(Zips *z, const void *bytes, size_t n)
{
    CHECK(z->n + n <= ZIPS_ROOM);
    if (n) memcpy(z->bytes + z->n, bytes, n);
    z->n += n;
}

static inline void zips_zero(Zips *z, size_t n)
{
    CHECK(z->n + n <= ZIPS_ROOM);
    memset(z->bytes + z->n, 0, n);
    z->n += n;
}

/** A stored member; its local header has zeros for sizes, as torch writes it. */
static inline void zips_add(Zips *z, const char *name, const void *bytes, size_t n)
{
    struct ZipsMember *m = &z->member[z->n_members++];
    m->name = name;
    m->size = n;
    m->local = z->n;
    zips_put(z, "PK\3\4", 4);
    zips_zero(z, 26);
    zips_number(z, m->local + 26, strlen(name), 2);
    zips_number(z, m->local + 28, 3, 2);
    zips_put(z, name, strlen(name));
    zips_put(z, "FBZ", 3);
    m->data = z->n;
    zips_put(z, bytes, n);
}

/** Write the directory and the end records. */
static inline void zips_end(Zips *z, bool zip64)
{
    z->directory = z->n;
    for (int i = 0; i < z->n_members; i++) {
        struct ZipsMember *m = &z->member[i];
        m->central = z->n;
        zips_put(z, "PK\1\2", 4);
        zips_zero(z, 42);
        zips_number(z, m->central + 20, m->size, 4);
        zips_number(z, m->central + 24, m->size, 4);
        zips_number(z, m->central + 28, strlen(m->name), 2);
        zips_number(z, m->central + 42, m->local, 4);
        zips_put(z, m->name, strlen(m->name));
    }
    const size_t size = z->n - z->directory;
    if (zip64) {
        z->end64 = z->n;
        zips_put(z, "PK\6\6", 4);
        zips_zero(z, 52);
        zips_number(z, z->end64 + 24, (uint64_t)z->n_members, 8);
        zips_number(z, z->end64 + 32, (uint64_t)z->n_members, 8);
        zips_number(z, z->end64 + 40, size, 8);
        zips_number(z, z->end64 + 48, z->directory, 8);
        const size_t locator = z->n;
        zips_put(z, "PK\6\7", 4);
        zips_zero(z, 16);
        zips_number(z, locator + 8, z->end64, 8);
        zips_number(z, locator + 16, 1, 4);
    }
    z->end = z->n;
    zips_put(z, "PK\5\6", 4);
    zips_zero(z, 18);
    zips_number(z, z->end + 8, zip64 ? 0xffff : (uint64_t)z->n_members, 2);
    zips_number(z, z->end + 10, zip64 ? 0xffff : (uint64_t)z->n_members, 2);
    zips_number(z, z->end + 12, zip64 ? 0xffffffff : size, 4);
    zips_number(z, z->end + 16, zip64 ? 0xffffffff : z->directory, 4);
}

/** A torch archive of one pickle and one storage "0" of `storage` zero bytes. */
static inline void zips_torch(Zips *z, const void *pickle, size_t n, size_t storage)
{
    static const unsigned char zeros[4096];
    *z = (Zips){ .n = 0 };
    zips_add(z, "a/data.pkl", pickle, n);
    zips_add(z, "a/data/0", zeros, storage);
    zips_add(z, "a/version", "3\n", 2);
    zips_end(z, true);
}

#endif
