/* noise.c  The draw is taken in pieces and each value is put where its channel and place say. */
#include "sampling/noise.h"

#include <assert.h>

enum { PIECE = 64 * RANDOM_BLOCK };

static void fill_by_card(const Noise *n, float *to, int64_t count)
{
    const int64_t channels = n->channels > 1 ? n->channels : 1, places = count / channels;
    for (int64_t i = 0; i < count; i++)
        philox_normal(*n->card, (uint64_t)i, &to[i % places * channels + i / places], 1);
    n->card->draw++;
}

void noise_fill(void *noise, float *to, int64_t count)
{
    const Noise *n = noise;
    if (n->card) {
        fill_by_card(n, to, count);
        return;
    }
    if (n->channels <= 1) {
        random_normal(n->random, to, count);
        return;
    }
    assert(count % n->channels == 0);
    const int64_t places = count / n->channels;
    RandomNormal draw;
    float piece[PIECE];
    int64_t channel = 0, place = 0; /* [C, places] -> [places, C] */
    random_normal_begin(&draw, n->random, count);
    while (draw.left > 0) {
        const int64_t some = draw.left < PIECE ? draw.left : PIECE;
        random_normal_next(&draw, piece, some);
        for (int64_t i = 0; i < some; i++) {
            to[place * n->channels + channel] = piece[i];
            if (++place < places) continue;
            place = 0;
            channel++;
        }
    }
}
