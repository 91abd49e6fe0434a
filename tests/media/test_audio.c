/* test_audio.c  Sound is read exactly, resampled plausibly, and hostile files are refused. */
#include "golden.h"
#include "sound.h"

#include "base/size.h"
#include "media/audio.h"

static const char *sound_path(const char *name)
{
    static char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", test_scratch(), name);
    return path;
}

TEST(audio, wav_is_read_exactly_in_pieces_of_any_size)
{
    static const size_t PIECES[] = { 1, 17, 1024, 5000, 100000 };
    Heap *heap = heap_create();
    const char *path = sound_path("a.wav");
    sound_write(path, 16000, 2, 0.5);
    static float got[2 * 8192];
    for (size_t k = 0; k < COUNT(PIECES); k++) {
        AudioReader *reader;
        SnugError err = { 0 };
        if (audio_open(&reader, heap, path, &err) != SNUG_OK) fail_msg("%s", err.text);
        AudioLayout layout = audio_layout(reader);
        CHECK(layout.rate_hz == 16000 && layout.channels == 2);
        size_t n = 0, some = 1;
        while (some) {
            size_t want = PIECES[k] < 8192 - n ? PIECES[k] : 8192 - n;
            CHECK(audio_read(reader, got + 2 * n, want, &some, &err) == SNUG_OK);
            n += some;
        }
        CHECK_INT(n, 8000);
        for (size_t i = 0; i < 2 * n; i++) {
            const int want = (int)(8000.0 * sin(2.0 * M_PI * 440.0 * (double)(i / 2) / 16000.0));
            CHECK(got[i] == (float)want / 32768.0f);
        }
        audio_close(reader);
        CHECK_INT(heap_now_bytes(heap), 0);
    }
    heap_free(heap);
}

TEST(audio, resampled_to_one_channel_it_keeps_length_and_pitch)
{
    Heap *heap = heap_create();
    const char *path = sound_path("b.wav");
    sound_write(path, 44100, 2, 1.0);
    AudioReader *reader;
    SnugError err = { 0 };
    CHECK(audio_open(&reader, heap, path, &err) == SNUG_OK);
    CHECK(audio_convert(reader, (AudioLayout){ 16000, 1 }, &err) == SNUG_OK);
    static float got[20000];
    size_t n;
    CHECK(audio_read(reader, got, COUNT(got), &n, &err) == SNUG_OK);
    CHECK(n >= 15990 && n <= 16010); /* the filter's ends */
    for (size_t i = 100; i < 15900; i++) {
        /* 440 Hz lies far inside the passband; the filter's ripple is below 1 % */
        const double want = 8000.0 / 32768.0 * sin(2.0 * M_PI * 440.0 * (double)i / 16000.0);
        CHECK(fabs((double)got[i] - want) < 0.01);
    }
    audio_close(reader);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(audio, damaged_files_never_crash_or_leak)
{
    Heap *heap = heap_create();
    const char *path = sound_path("c.wav");
    sound_write(path, 8000, 1, 0.05);
    size_t n;
    unsigned char *data = golden_file(path, &n);
    uint32_t random = 5;
    for (int round = 0; round < 400; round++) {
        random = random * 1664525u + 1013904223u;
        const size_t at = (random >> 8) % 48, cut = round % 3 == 0 ? (random >> 12) % n : n;
        const unsigned char old = data[at];
        data[at] = (unsigned char)(random >> 24);
        FILE *file = fopen(path, "wb");
        CHECK(file && fwrite(data, 1, cut, file) == cut);
        CHECK(fclose(file) == 0);
        data[at] = old;
        AudioReader *reader;
        SnugError err = { 0 };
        static float out[8 * 512];
        size_t got = 1;
        SnugStatus status = audio_open(&reader, heap, path, &err);
        if (status != SNUG_OK) CHECK_HAS(err.text, "c.wav");
        for (int i = 0; i < 100 && status == SNUG_OK && got; i++)
            status = audio_read(reader, out, 512, &got, &err);
        CHECK(status == SNUG_OK || status == SNUG_ERR_FILE || status == SNUG_ERR_IO);
        audio_close(reader);
        CHECK_INT(heap_now_bytes(heap), 0);
    }
    free(data);
    heap_free(heap);
}

TEST(audio, a_wav_that_claims_a_gigantic_header_is_refused_unread)
{
    Heap *heap = heap_create();
    const char *path = sound_path("e.wav");
    sound_write(path, 8000, 1, 0.05);
    FILE *file = fopen(path, "r+b");
    CHECK(file && fseek(file, 16, SEEK_SET) == 0 && fwrite("\xff\xff\xff\x7f", 1, 4, file) == 4);
    CHECK(fclose(file) == 0);
    AudioReader *reader;
    SnugError err = { 0 };
    CHECK(audio_open(&reader, heap, path, &err) == SNUG_ERR_FILE);
    CHECK(reader == NULL);
    CHECK_HAS(err.text, "e.wav: WAV: bad value: no format chunk");
    heap_free(heap);
}

TEST(audio, every_refused_allocation_is_reported_and_leaks_nothing)
{
    Heap *heap = heap_create();
    const char *path = sound_path("d.wav");
    sound_write(path, 8000, 1, 0.5);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        AudioReader *reader;
        float out[64];
        size_t got;
        heap_fail_at(heap, ++n);
        status = audio_open(&reader, heap, path, NULL);
        if (status == SNUG_OK) status = audio_read(reader, out, 64, &got, NULL);
        heap_fail_at(heap, 0);
        CHECK(status == SNUG_OK || status == SNUG_ERR_MEMORY);
        audio_close(reader);
        CHECK_INT(heap_now_bytes(heap), 0);
    }
    CHECK(n >= 3); /* reader, texts, samples */
    heap_free(heap);
}
