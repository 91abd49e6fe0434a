/* test_memory.c  Heap book, arena, error texts. */
#include "test.h"

#include "base/arena.h"
#include "base/error.h"

TEST(heap, books_every_block_and_returns_to_zero)
{
    Heap *heap = heap_create();
    void *a = heap_take(heap, 1000, "a"), *b = heap_take(heap, 0, "b");
    CHECK(a && b);
    CHECK(heap_now_bytes(heap) >= 1000);
    heap_give(heap, a);
    heap_give(heap, b);
    CHECK_INT(heap_now_bytes(heap), 0);
    CHECK(heap_peak_bytes(heap) >= 1000);
    HeapLabel rows[4];
    CHECK_INT(heap_labels(heap, rows, 4), 2);
    CHECK(rows[0].peak_bytes >= 1000 && rows[0].now_bytes == 0);
    heap_free(heap);
}

TEST(heap, fails_exactly_the_nth_block)
{
    Heap *heap = heap_create();
    heap_fail_at(heap, 2);
    void *a = heap_take(heap, 8, "a");
    CHECK(a);
    CHECK(!heap_take(heap, 8, "a"));
    void *c = heap_take(heap, 8, "a");
    CHECK(c);
    CHECK(!heap_take(heap, SIZE_MAX - 8, "a"));
    heap_give(heap, a);
    heap_give(heap, c);
    heap_free(heap);
}

TEST(arena, keeps_blocks_of_any_size_and_frees_all)
{
    Heap *heap = heap_create();
    Arena arena;
    arena_init(&arena, heap, "arena");
    char *text = arena_text(&arena, "hello", 5);
    for (size_t i = 0; i < 300; i++) {
        char *block = arena_take(&arena, i * 331);
        CHECK(block);
        memset(block, 0xee, i * 331);
    }
    CHECK_TEXT(text, "hello");
    CHECK_TEXT(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    CHECK(!arena_array(&arena, SIZE_MAX / 2, 4));
    arena_release(&arena);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(error, wraps_from_the_inside_out)
{
    SnugError err = { { 0 } };
    CHECK_INT(error_set(&err, SNUG_ERR_FILE, "bad %d", 5), SNUG_ERR_FILE);
    CHECK_INT(error_wrap(&err, SNUG_ERR_FILE, "file %s: ", "x"), SNUG_ERR_FILE);
    CHECK_TEXT(err.text, "file x: bad 5");
    CHECK_INT(error_wrap(&err, SNUG_OK, "no"), SNUG_OK);
    CHECK_TEXT(err.text, "file x: bad 5");
}
