/* audio.h  Sound from any common file (WAV, MP3, AAC, M4A, FLAC, Ogg (Vorbis, Opus), the track of an MP4, MOV, MKV or WebM) as
 * floats at a rate and channel count of the caller's choice. */
#ifndef MEDIA_AUDIO_H
#define MEDIA_AUDIO_H

#include "base/heap.h"
#include "snug/status.h"

enum { AUDIO_MAX_CHANNELS = 8, AUDIO_MAX_RATE_HZ = 192000 };

/** Samples a second, and channels of each sample. */
typedef struct AudioLayout {
    int rate_hz, channels;
} AudioLayout;

typedef struct AudioReader AudioReader;

/** What an open reader takes at most, FFmpeg's demuxer, decoder and resampler included. */
enum { AUDIO_READER_BYTES = 10 << 20 };

/**
 * Open the first (best) sound track. Only local files are opened, and only plain containers: a
 * playlist that points elsewhere is refused.
 * @param out  closed by the caller; NULL after a failure
 * @return SNUG_ERR_IO: cannot be opened; SNUG_ERR_FILE: not a sound file, no sound in it, damaged;
 *         SNUG_ERR_MEMORY
 */
SNUG_MUST_USE SnugStatus audio_open(AudioReader **out, Heap *heap, const char *path,
                                    SnugError *err);
/** NULL is fine. */
void audio_close(AudioReader *reader);

/** As the file has it. */
AudioLayout audio_layout(const AudioReader *reader);

/**
 * Choose what audio_read gives; once, before the first read. Without it: as the file has it.
 * More channels than asked are mixed down without clipping (stereo to one: the mean), fewer are
 * spread.
 */
SNUG_MUST_USE SnugStatus audio_convert(AudioReader *reader, AudioLayout want, SnugError *err);

/**
 * The next n samples.
 * @param out  [n, channels], -1..1 and possibly a little beyond
 * @param got  n, or fewer: the end of the file
 */
SNUG_MUST_USE SnugStatus audio_read(AudioReader *reader, float *out, size_t n, size_t *got,
                                    SnugError *err);

#endif
