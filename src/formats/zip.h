/* zip.h  Reader of a zip archive's directory: which members it has, and where their bytes lie.
 *
 *     local header, name, data | ... | central directory | [zip64 end, locator] | end
 *
 * Sizes come from the central directory: torch writes local headers with zeros. Checked: the
 * directories agree, members do not overlap, names are unique and stay inside the archive. */
#ifndef FORMATS_ZIP_H
#define FORMATS_ZIP_H

#include "base/arena.h"
#include "base/file.h"

enum {
    ZIP_MAX_MEMBERS = 1 << 20,
    ZIP_MAX_NAME = 1024,           /* bytes */
    ZIP_MAX_DIRECTORY = 256 << 20, /* bytes */
    ZIP_STORED = 0,
    ZIP_DEFLATED = 8 /* methods */
};

typedef struct ZipMember {
    const char *name;    /**< UTF-8 */
    size_t offset;       /**< of the first data byte in the file */
    size_t stored_bytes; /**< in the file */
    size_t bytes;        /**< unpacked */
    uint32_t crc;        /**< CRC-32 of the unpacked bytes */
    int method;          /**< ZIP_STORED, ZIP_DEFLATED, or one nobody here reads */
    bool encrypted;
} ZipMember;

typedef struct ZipDirectory {
    ZipMember *members; /**< sorted by name */
    int32_t n;
    const char *first; /**< name of the member that lies first in the file; NULL: none */
} ZipDirectory;

/** Read and check the directory into the arena; `format` begins the messages. */
SNUG_MUST_USE SnugStatus zip_read(ZipDirectory *out, Arena *arena, const File *file,
                                  const char *format, SnugError *err);
/** Binary search; NULL if there is none. */
const ZipMember *zip_find(const ZipDirectory *directory, const char *name);
/** SNUG_ERR_FILE "not supported" unless the member's bytes lie in the file as they are. */
SNUG_MUST_USE SnugStatus zip_require_stored(const ZipMember *member, const File *file,
                                            const char *format, SnugError *err);

#endif
