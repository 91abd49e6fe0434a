/* audio_track.h  The sound track of a video that is being written. */
#ifndef MEDIA_AUDIO_TRACK_H
#define MEDIA_AUDIO_TRACK_H

#include <stdbool.h>

#include "base/heap.h"
#include "snug/status.h"

struct AVFormatContext;
typedef struct AudioTrack AudioTrack;

/** What a track takes at most, its reader included. */
enum { AUDIO_TRACK_BYTES = 16 << 20 };

/**
 * Open a sound file and add a stream for it to the muxer (before its header is written). One or two
 * channels as in the file, 192 kbit/s.
 * @param encoder  libav's name: "aac", "libopus"
 * @param out      closed by the caller, before the muxer; NULL after a failure
 */
SNUG_MUST_USE SnugStatus audio_track_open(AudioTrack **out, Heap *heap, const char *path,
                                          const char *encoder, struct AVFormatContext *format,
                                          SnugError *err);
/** Write sound up to `seconds` from the start, as far as there is any. */
SNUG_MUST_USE SnugStatus audio_track_write(AudioTrack *track, double seconds, SnugError *err);
/** Did the file end? Then *seconds is its length. */
bool audio_track_ended(const AudioTrack *track, double *seconds);
/** Write what the encoder still holds. */
SNUG_MUST_USE SnugStatus audio_track_finish(AudioTrack *track, SnugError *err);
/** NULL is fine. */
void audio_track_close(AudioTrack *track);

#endif
