/* weight_delta.c  In pieces that lie on the stack. */
#include "nn/weight_delta.h"

enum { PIECE = 1024 /* elements */ };

/* Elements first .. first + n of a tensor of a plain type, as f32. */
static SnugStatus read_piece(const Checkpoint *c, const Entry *e, int64_t first, int64_t n,
                             float *to, SnugError *err)
{
    unsigned char raw[PIECE * sizeof(double)];
    const size_t width = (size_t)dtype_info(e->dtype)->bytes;
    TRY(checkpoint_read(c, e, (size_t)first * width, (size_t)n * width, raw, err));
    (void)dtype_widen(e->dtype, raw, to, n);
    return SNUG_OK;
}

SnugStatus weight_delta_read(const BoundWeight *b, float *to, SnugError *err)
{
    const int64_t count = shape_count(b->weight.shape);
    float part[PIECE];
    for (int64_t i = 0; i < count; i += PIECE) {
        const int64_t n = count - i < PIECE ? count - i : PIECE;
        TRY(read_piece(b->checkpoint, b->entry, i, n, to + i, err));
        for (const WeightDelta *d = b->deltas; d; d = d->next) {
            TRY(read_piece(d->checkpoint, d->entry, i, n, part, err));
            for (int64_t k = 0; k < n; k++)
                to[i + k] += d->scale * part[k];
        }
    }
    return SNUG_OK;
}
