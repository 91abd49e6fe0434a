/* npy.h  Reader of NumPy .npy arrays (writer: npy_write.h).
 *
 *     \x93NUMPY major minor | header length | {'descr': '<f4', 'fortran_order': False,
 *                                              'shape': (2, 3), } ...\n | data
 *
 * Versions 1.0, 2.0, 3.0; f2 f4 f8, i1 i2 i4 i8, u1 u2 u4 u8, b1 in either byte order; C and
 * Fortran order. Object arrays are pickles and are refused. */
#ifndef FORMATS_NPY_H
#define FORMATS_NPY_H

#include "base/arena.h"
#include "base/file.h"
#include "tensor/dtype.h"

enum { NPY_MAX_RANK = 32, NPY_MAX_HEADER = 10000 /* bytes, numpy's constant */ };

typedef struct NpyHeader {
    DType dtype; /**< a plain type */
    bool big_endian;
    bool fortran_order; /**< first dimension varies fastest */
    int rank;
    int64_t dim[NPY_MAX_RANK];
    int64_t count;             /**< elements */
    size_t data_offset, bytes; /**< place in the file; it ends with the data */
} NpyHeader;

/** Read and check a header; no data are read. */
SNUG_MUST_USE SnugStatus npy_read_header(const File *file, NpyHeader *out, SnugError *err);
/** The same from the file's first n bytes; `file_bytes` is its whole length. */
SNUG_MUST_USE SnugStatus npy_parse_header(const void *head, size_t n, size_t file_bytes,
                                          const char *path, NpyHeader *out, SnugError *err);

/** A whole array in C order. */
typedef struct NpyArray {
    int rank;
    int64_t dim[NPY_MAX_RANK];
    int64_t count;
    float *f32; /**< exactly one of the three is set */
    double *f64;
    int64_t *i64;
} NpyArray;

/** Read a file into the arena. Conversions: any number to f32 or f64 (a finite f64 that overflows
 *  f32 is refused), whole numbers and booleans to i64. */
SNUG_MUST_USE SnugStatus npy_read_f32(Arena *arena, const char *path, NpyArray *out,
                                      SnugError *err);
SNUG_MUST_USE SnugStatus npy_read_f64(Arena *arena, const char *path, NpyArray *out,
                                      SnugError *err);
SNUG_MUST_USE SnugStatus npy_read_i64(Arena *arena, const char *path, NpyArray *out,
                                      SnugError *err);

#endif
