/* test_constraints.c  The switches: words, ranges, contradictions. */
#include "test.h"

#include "engine/constraints.h"

static PlanConstraints parsed(ConstraintRequest r)
{
    PlanConstraints c;
    SnugError err = { { 0 } };
    if (constraints_parse(&c, &r, &err) != SNUG_OK) fail_msg("%s", err.text);
    return c;
}

static void check_refused(ConstraintRequest r, const char *words)
{
    PlanConstraints c;
    SnugError err = { { 0 } };
    CHECK(constraints_parse(&c, &r, &err) == SNUG_ERR_ARG);
    CHECK_HAS(err.text, words);
}

TEST(constraints, nothing_given_leaves_the_plan_free)
{
    const PlanConstraints none = { 0 }, c = parsed((ConstraintRequest){ 0 });
    CHECK(memcmp(&c, &none, sizeof c) == 0);
    const PlanConstraints a =
        parsed((ConstraintRequest){ "auto", "auto", "auto", "auto", "auto", "auto", "auto", NULL });
    CHECK(memcmp(&a, &none, sizeof a) == 0);
}

TEST(constraints, words_become_what_they_say)
{
    CHECK(parsed((ConstraintRequest){ .memory_mode = "lightweight" }).smallest);
    CHECK(parsed((ConstraintRequest){ .memory_mode = "beefy" }).largest);
    CHECK(parsed((ConstraintRequest){ .auto_unload = "on" }).unload == UNLOAD_ALWAYS);
    CHECK(parsed((ConstraintRequest){ .auto_unload = "true" }).unload == UNLOAD_ALWAYS);
    CHECK(parsed((ConstraintRequest){ .auto_unload = "1" }).unload == UNLOAD_ALWAYS);
    CHECK(parsed((ConstraintRequest){ .auto_unload = "off" }).unload == UNLOAD_NEVER);
    const PlanConstraints part = parsed((ConstraintRequest){ .auto_unload = "0.9" });
    CHECK(part.unload == UNLOAD_ABOVE && part.unload_above == 0.9);
    CHECK(parsed((ConstraintRequest){ .offload = "none" }).offload == OFFLOAD_NONE);
    CHECK(parsed((ConstraintRequest){ .offload = "model" }).offload == OFFLOAD_MODEL);
    CHECK(parsed((ConstraintRequest){ .offload = "sequential" }).offload == OFFLOAD_SEQUENTIAL);
    CHECK(parsed((ConstraintRequest){ .vae_tiling = "on" }).vae_tiling == SWITCH_ON);
    CHECK(parsed((ConstraintRequest){ .vae_slicing = "no" }).vae_slicing == SWITCH_OFF);
    CHECK(parsed((ConstraintRequest){ .attention_slicing = "0" }).attention_slicing == SWITCH_OFF);
    CHECK(parsed((ConstraintRequest){ .text_encoder_device = "cpu" }).text_encoder_on_host);
}

TEST(constraints, unknown_words_are_refused_with_those_there_are)
{
    check_refused((ConstraintRequest){ .memory_mode = "fat" }, "auto, lightweight, beefy");
    check_refused((ConstraintRequest){ .offload = "disk" }, "sequential");
    check_refused((ConstraintRequest){ .vae_tiling = "maybe" }, "--vae-tiling");
    check_refused((ConstraintRequest){ .vae_slicing = "" }, "--vae-slicing");
    check_refused((ConstraintRequest){ .attention_slicing = "2" }, "--attention-slicing");
    check_refused((ConstraintRequest){ .text_encoder_device = "cuda" }, "auto, cpu");
    static const char *const BAD[] = { "", "0.0", "1.5", "-0.1", "nan", "inf", "0.9x", "often" };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        check_refused((ConstraintRequest){ .auto_unload = BAD[i] }, "--auto-unload");
}

TEST(constraints, contradictions_name_both_switches)
{
    check_refused((ConstraintRequest){ .memory_mode = "beefy", .auto_unload = "on" }, "beefy");
    check_refused((ConstraintRequest){ .memory_mode = "beefy", .auto_unload = "0.5" }, "threshold");
    check_refused((ConstraintRequest){ .memory_mode = "beefy", .offload = "model" }, "--offload");
    check_refused((ConstraintRequest){ .memory_mode = "beefy", .text_encoder_device = "cpu" },
                  "--text-encoder-device");
    check_refused((ConstraintRequest){ .memory_mode = "lightweight", .auto_unload = "off" },
                  "lightweight");
    check_refused((ConstraintRequest){ .memory_mode = "lightweight", .offload = "none" },
                  "--offload none");
    check_refused((ConstraintRequest){ .offload = "model", .auto_unload = "off" }, "--auto-unload");
    check_refused((ConstraintRequest){ .offload = "sequential", .auto_unload = "off" },
                  "--offload sequential");
    /* the same thing said twice is none */
    CHECK(parsed((ConstraintRequest){ .memory_mode = "beefy", .auto_unload = "off" }).largest);
    CHECK(parsed((ConstraintRequest){ .offload = "model", .auto_unload = "on" }).offload ==
          OFFLOAD_MODEL);
}

TEST(constraints, those_that_ask_for_memory_are_named_and_cut_to_their_room)
{
    char text[160], small[12];
    const PlanConstraints none = { .smallest = true, .vae_tiling = SWITCH_ON };
    CHECK_TEXT(constraints_costly(&none, text, sizeof text), "");
    const PlanConstraints two = { .offload = OFFLOAD_NONE, .vae_tiling = SWITCH_OFF };
    CHECK_TEXT(constraints_costly(&two, text, sizeof text),
               "with --offload none, --vae-tiling=off: ");
    CHECK(strlen(constraints_costly(&two, small, sizeof small)) < sizeof small);
}
