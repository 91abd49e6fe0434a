/* picture_files.h  Several pictures, each in a PNG file of its own; all appear together or none.
 *
 *     one.png, 1 picture     one.png
 *     some.png, 3 pictures   some-0001.png, some-0002.png, some-0003.png
 *     folder/, 2 pictures    folder/0001-42.png, folder/0002-43.png      (number, seed)
 */
#ifndef MEDIA_PICTURE_FILES_H
#define MEDIA_PICTURE_FILES_H

#include "media/png.h"

enum { PICTURE_FILES_MAX = 1024 };

typedef struct PictureFiles PictureFiles;

/** Upper bound of what the writer takes from open to commit. */
size_t picture_files_memory_bytes(int width, int height, int n);

/**
 * Claim the places, which is found out now and not after the work.
 * @param path   ends in ".png", or is a folder, which is made if there is none
 * @param seeds  [n] for names in a folder
 */
SNUG_MUST_USE SnugStatus picture_files_open(PictureFiles **out, Heap *heap, const char *path, int n,
                                            const int64_t *seeds, int width, int height,
                                            SnugError *err);
/** The next picture: rgb [height, width, 3] in 0..1, to the nearest byte (half to even), as
 *  diffusers does it for pictures. */
SNUG_MUST_USE SnugStatus picture_files_push(PictureFiles *files, const float *rgb,
                                            const PngText *texts, int n_texts, SnugError *err);
/** The next picture as it is: any size, 1, 3 or 4 channels. */
SNUG_MUST_USE SnugStatus picture_files_push_image(PictureFiles *files, const Image *image,
                                                  const PngText *texts, int n_texts,
                                                  SnugError *err);
/** Publish; SNUG_ERR_INTERNAL while one is missing. */
SNUG_MUST_USE SnugStatus picture_files_commit(PictureFiles *files, SnugError *err);
/** Free; what was not committed leaves nothing. NULL is fine. */
void picture_files_close(PictureFiles *files);

#endif
