/* test_wan_names.c  Spellings of the Wan networks, both ways, against lists made from the reference
 * modules (tools/oracle/golden_layouts.py). */
#include "test.h"

#include "base/json.h"
#include "base/size.h"
#include "models/wan_names.h"

/* Every pair of a list, both ways. */
static void check_pairs(const NameMap *map, const char *list)
{
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    Json pairs;
    CHECK(json_open(&doc, heap, test_path("golden/layouts/names.json"), NULL) == SNUG_OK);
    CHECK(json_get_array(json_root(doc), list, &pairs, NULL) == SNUG_OK);
    CHECK(json_length(pairs) > 10);
    for (int64_t i = 0; i < json_length(pairs); i++) {
        const char *ours, *theirs;
        char got[NAME_MAP_TEXT];
        CHECK(json_as_text(json_item(json_item(pairs, i), 0), &ours, NULL) == SNUG_OK);
        CHECK(json_as_text(json_item(json_item(pairs, i), 1), &theirs, NULL) == SNUG_OK);
        CHECK(name_map_to_theirs(map, ours, got));
        CHECK_TEXT(got, theirs);
        CHECK(name_map_to_ours(map, theirs, got));
        CHECK_TEXT(got, ours);
    }
    json_close(doc);
    heap_free(heap);
}

static const NameMap *spelling(const char *marker)
{
    for (const WanSpelling *s = WAN_NAMES_SPELLINGS; s->marker; s++)
        if (strcmp(s->marker, marker) == 0) return &s->map;
    fail_msg("no spelling with %s", marker);
    return NULL;
}

TEST(wan_names, original_transformer_both_ways)
{
    check_pairs(spelling("head.modulation"), "transformer");
}

TEST(wan_names, original_and_gguf_text_encoder_both_ways)
{
    check_pairs(spelling("blocks.0.attn.q.weight"), "text");
    check_pairs(spelling("enc.blk.0.attn_q.weight"), "text_gguf");
}

static void check_vae(const char *list, int res_blocks, bool residual)
{
    Heap *heap = heap_create();
    Arena arena;
    arena_init(&arena, heap, "test");
    NameMap map = { 0 };
    CHECK(wan_names_original_vae(&map, &arena, 4, res_blocks, residual));
    check_pairs(&map, list);
    arena_release(&arena);
    CHECK_INT(heap_now_bytes(heap), 0);
    heap_free(heap);
}

TEST(wan_names, original_vae_of_both_kinds_and_two_depths)
{
    check_vae("vae_21", 2, false);
    check_vae("vae_21_one", 1, false);
    check_vae("vae_22", 2, true);
    check_vae("vae_22_one", 1, true);
}

TEST(wan_names, encoder_of_either_vae_needs_no_configuration)
{
    const NameMap *map = spelling("decoder.middle.0.residual.0.gamma");
    static const char *const PAIRS[][2] = {
        { "encoder.down_blocks.3.norm1.gamma", "encoder.downsamples.3.residual.0.gamma" },
        { "encoder.down_blocks.3.conv_shortcut.bias", "encoder.downsamples.3.shortcut.bias" },
        { "encoder.down_blocks.1.resnets.0.conv2.weight",
          "encoder.downsamples.1.downsamples.0.residual.6.weight" },
        { "encoder.conv_in.weight", "encoder.conv1.weight" },
    };
    char got[NAME_MAP_TEXT];
    for (size_t i = 0; i < COUNT(PAIRS); i++) {
        CHECK(name_map_to_theirs(map, PAIRS[i][0], got));
        CHECK_TEXT(got, PAIRS[i][1]);
    }
}

TEST(name_map, a_prefix_is_put_before_and_taken_off)
{
    NameMap map = *spelling("head.modulation");
    map.prefix = "model.diffusion_model.";
    char got[NAME_MAP_TEXT], back[NAME_MAP_TEXT];
    CHECK(name_map_to_theirs(&map, "proj_out.bias", got));
    CHECK_TEXT(got, "model.diffusion_model.head.head.bias");
    CHECK(name_map_to_ours(&map, got, back));
    CHECK_TEXT(back, "proj_out.bias");
    CHECK(!name_map_to_ours(&map, "head.head.bias", got)); /* the prefix is missing */
    CHECK_TEXT(got, "head.head.bias");
}

TEST(name_map, unknown_names_stay_and_are_told)
{
    const NameMap *map = spelling("head.modulation");
    char got[NAME_MAP_TEXT];
    static const char *const NAMES[] = { "",
                                         "blocks",
                                         "blocks.x.attn1.to_q",
                                         "blocks..attn1.to_q",
                                         "proj_outer.bias",
                                         "vace_blocks.0.norm2.weight" };
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        CHECK(!name_map_to_theirs(map, NAMES[i], got));
        CHECK_TEXT(got, NAMES[i]);
        CHECK(!name_map_to_ours(map, NAMES[i], got));
        CHECK_TEXT(got, NAMES[i]);
    }
}

TEST(name_map, too_long_names_are_cut_and_not_more)
{
    char name[3 * NAME_MAP_TEXT], got[NAME_MAP_TEXT + 8];
    memset(name, '7', sizeof name);
    memcpy(name, "blocks.", 7);
    memcpy(name + sizeof name - 16, ".attn1.to_q.abc", 16);
    memset(got + NAME_MAP_TEXT, 0x55, 8);
    (void)name_map_to_theirs(spelling("head.modulation"), name, got);
    CHECK_INT(strlen(got), NAME_MAP_TEXT - 1);
    CHECK_INT(got[NAME_MAP_TEXT], 0x55);
}

TEST(name_map, without_rows_both_sides_are_the_same)
{
    const NameMap map = { .convention = "ours", .prefix = "m." };
    char got[NAME_MAP_TEXT];
    CHECK(name_map_to_theirs(&map, "a.b", got));
    CHECK_TEXT(got, "m.a.b");
    CHECK(name_map_to_ours(&map, "m.a.b", got));
    CHECK_TEXT(got, "a.b");
}

TEST(name_map, parts_of_a_matrix_are_told)
{
    static const NameRow ROWS[] = { { "blocks.#.to_k", "b.#.qkv@1/3" },
                                    { "blocks.#.mlp", "b.#.linear1@3+4/7" },
                                    { "blocks.#.out", "b.#.out" } };
    const NameMap map = { .prefix = "m.", .rows = ROWS, .n_rows = 3 };
    char got[NAME_MAP_TEXT];
    CHECK(name_map_to_theirs(&map, "blocks.4.to_k.bias", got));
    CHECK_TEXT(got, "m.b.4.qkv.bias");
    CHECK(name_map_to_ours(&map, "m.b.4.linear1.weight", got));
    CHECK_TEXT(got, "blocks.4.mlp.weight");
    const NamePart mlp = name_map_part(&map, "blocks.12.mlp.weight"),
                   out = name_map_part(&map, "blocks.0.out.weight"),
                   none = name_map_part(&map, "blocks.0.norm");
    CHECK(mlp.first == 3 && mlp.count == 4 && mlp.of == 7);
    CHECK(out.of == 0 && none.of == 0);
}
