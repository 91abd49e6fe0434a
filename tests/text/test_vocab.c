/* test_vocab.c  The sorted list finds what a plain search finds. */
#include "test.h"

#include <stdio.h>

#include "text/vocab.h"

static TextView view(const char *text)
{
    return (TextView){ text, strlen(text) };
}

typedef struct Fixture {
    Heap *heap;
    Arena arena;
    Vocab vocab;
    int32_t twin;
} Fixture;

static void build(Fixture *f, const char *const *pieces, uint32_t n)
{
    size_t bytes = 0;
    *f = (Fixture){ .heap = heap_create() };
    arena_init(&f->arena, f->heap, "test");
    for (uint32_t i = 0; i < n; i++)
        bytes += strlen(pieces[i]);
    CHECK(vocab_init(&f->vocab, n, bytes, &f->arena));
    for (uint32_t i = 0; i < n; i++)
        vocab_push(&f->vocab, view(pieces[i]), -(double)i, VOCAB_NORMAL);
    CHECK(vocab_seal(&f->vocab, f->heap, &f->twin));
}

static void finish(Fixture *f)
{
    arena_release(&f->arena);
    CHECK_INT(heap_now_bytes(f->heap), 0);
    heap_free(f->heap);
}

TEST(vocab, finds_whole_pieces_and_only_them)
{
    static const char *const PIECES[] = { "b", "a", "abc", "\xff", "ab", "abd", "\xe2\x96\x81" };
    Fixture f;
    build(&f, PIECES, 7);
    CHECK_INT(f.twin, -1);
    for (int i = 0; i < 7; i++)
        CHECK_INT(vocab_find(&f.vocab, view(PIECES[i])), i);
    CHECK_INT(vocab_find(&f.vocab, view("")), -1);
    CHECK_INT(vocab_find(&f.vocab, view("abcd")), -1);
    CHECK_INT(vocab_find(&f.vocab, view("\xe2")), -1);
    finish(&f);
}

TEST(vocab, a_walk_meets_every_piece_on_the_way)
{
    static const char *const PIECES[] = { "abcd", "a", "abc", "b", "abd" };
    Fixture f;
    int32_t id;
    build(&f, PIECES, 5);
    VocabWalk walk = vocab_walk(&f.vocab);
    CHECK(vocab_step(&f.vocab, &walk, 'a', &id));
    CHECK_INT(id, 1);
    CHECK(vocab_step(&f.vocab, &walk, 'b', &id));
    CHECK_INT(id, -1);
    CHECK(vocab_step(&f.vocab, &walk, 'c', &id));
    CHECK_INT(id, 2);
    CHECK(vocab_step(&f.vocab, &walk, 'd', &id));
    CHECK_INT(id, 0);
    CHECK(!vocab_step(&f.vocab, &walk, 'd', &id));
    CHECK_INT(id, -1);
    walk = vocab_walk(&f.vocab);
    CHECK(!vocab_step(&f.vocab, &walk, 'z', &id));
    finish(&f);
}

TEST(vocab, names_a_piece_that_is_there_twice)
{
    static const char *const PIECES[] = { "x", "yy", "z", "yy" };
    Fixture f;
    build(&f, PIECES, 4);
    CHECK_TEXT("yy", PIECES[f.twin]);
    finish(&f);
}

TEST(vocab, an_empty_one_holds_nothing)
{
    Fixture f;
    int32_t id;
    build(&f, NULL, 0);
    VocabWalk walk = vocab_walk(&f.vocab);
    CHECK(!vocab_step(&f.vocab, &walk, 'a', &id));
    CHECK_INT(vocab_find(&f.vocab, view("a")), -1);
    finish(&f);
}

TEST(vocab, umt5s_size_fits_eight_megabytes)
{
    enum { PIECES = 256300 };
    Heap *heap = heap_create();
    Arena arena;
    Vocab vocab;
    int32_t twin;
    char name[32];
    arena_init(&arena, heap, "test");
    CHECK(vocab_init(&vocab, PIECES, 10 * PIECES, &arena)); /* umT5's mean is 7.5 bytes */
    for (uint32_t i = 0; i < PIECES; i++) {
        int n = snprintf(name, sizeof name, "%x", i * 2654435761u);
        vocab_push(&vocab, (TextView){ name, (size_t)n }, 0, VOCAB_NORMAL);
    }
    CHECK(vocab_seal(&vocab, heap, &twin));
    CHECK_INT(vocab.n, PIECES);
    CHECK_INT(twin, -1);
    for (uint32_t i = 1; i < PIECES; i++)
        CHECK(text_compare(vocab_piece(&vocab, vocab.sorted[i - 1]),
                           vocab_piece(&vocab, vocab.sorted[i])) < 0);
    CHECK(heap_now_bytes(heap) < 8u << 20);
    arena_release(&arena);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}
