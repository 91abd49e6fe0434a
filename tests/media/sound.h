/* sound.h  Makes WAV files. */
#ifndef TESTS_MEDIA_SOUND_H
#define TESTS_MEDIA_SOUND_H

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

static inline void sound_put(unsigned char *p, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

/** A tone of 440 Hz, amplitude 8000 of 32768, 16 bits, the same in every channel. */
static inline void sound_write(const char *path, int rate, int channels, double seconds)
{
    const uint32_t n = (uint32_t)(seconds * rate) * (uint32_t)channels;
    unsigned char *wav = malloc(44 + 2 * (size_t)n);
    CHECK(wav != NULL);
    memcpy(wav, "RIFF....WAVEfmt ", 16);
    sound_put(wav + 4, 36 + 2 * n, 4);
    sound_put(wav + 16, 16, 4);
    sound_put(wav + 20, 1, 2);
    sound_put(wav + 22, (uint32_t)channels, 2);
    sound_put(wav + 24, (uint32_t)rate, 4);
    sound_put(wav + 28, (uint32_t)(rate * channels * 2), 4);
    sound_put(wav + 32, (uint32_t)(channels * 2), 2);
    sound_put(wav + 34, 16, 2);
    memcpy(wav + 36, "data", 4);
    sound_put(wav + 40, 2 * n, 4);
    for (uint32_t i = 0; i < n; i++) {
        const double t = (double)(i / (uint32_t)channels) / rate;
        sound_put(wav + 44 + 2 * i, (uint32_t)(int)(8000.0 * sin(2.0 * M_PI * 440.0 * t)), 2);
    }
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(wav, 1, 44 + 2 * (size_t)n, file) == 44 + 2 * (size_t)n);
    CHECK(fclose(file) == 0);
    free(wav);
}

#endif
