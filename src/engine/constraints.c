/* constraints.c  Words to constraints; docs/MEMORY.md says what each means. */
#include "engine/constraints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const MODES[] = { "auto", "lightweight", "beefy", NULL };
static const char *const OFFLOADS[] = { "auto", "none", "model", "sequential", NULL };
static const char *const SWITCHES[] = { "auto", "on", "off", "true", "false",
                                        "yes",  "no", "1",   "0",    NULL };
static const char *const DEVICES[] = { "auto", "cpu", NULL };

/* Index in `words`, 0 for a word not given, -1 for an unknown one. */
static int find(const char *const *words, const char *word)
{
    if (!word) return 0;
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0) return i;
    return -1;
}

static SnugStatus unknown(const char *option, const char *word, const char *choices, SnugError *err)
{
    return error_set(err, SNUG_ERR_ARG, "--%s: \"%.50s\" is none of %s", option, word, choices);
}

static SnugStatus parse_switch(const char *option, const char *word, PlanSwitch *out,
                               SnugError *err)
{
    const int i = find(SWITCHES, word);
    if (i < 0) return unknown(option, word, "on, off, auto", err);
    *out = i == 0 ? SWITCH_FREE : i % 2 ? SWITCH_ON : SWITCH_OFF;
    return SNUG_OK;
}

/* on, off, auto, or a part of the budget; "1" and "0" are on and off, as elsewhere. */
static SnugStatus parse_unload(const char *word, PlanConstraints *out, SnugError *err)
{
    const int i = find(SWITCHES, word);
    if (i >= 0) {
        out->unload = i == 0 ? UNLOAD_FREE : i % 2 ? UNLOAD_ALWAYS : UNLOAD_NEVER;
        return SNUG_OK;
    }
    char *end;
    const double part = strtod(word, &end);
    if (end == word || *end || !(part > 0.0 && part < 1.0))
        return unknown("auto-unload", word, "on, off, auto, a part of the budget such as 0.9", err);
    out->unload = UNLOAD_ABOVE;
    out->unload_above = part;
    return SNUG_OK;
}

/* Relative to the budget; a request that always unloads has no use for it. */
static SnugStatus parse_threshold(const char *word, PlanConstraints *out, SnugError *err)
{
    char *end;
    if (!word || strcmp(word, "auto") == 0) return SNUG_OK;
    const double part = strtod(word, &end);
    if (end == word || *end || !(part > 0.0 && part < 1.0))
        return unknown("auto-unload-threshold", word, "parts of the budget such as 0.9", err);
    if (out->unload == UNLOAD_ALWAYS) return SNUG_OK;
    out->unload = UNLOAD_ABOVE;
    out->unload_above = part;
    return SNUG_OK;
}

static SnugStatus contradiction(const char *a, const char *b, const char *why, SnugError *err)
{
    return error_set(err, SNUG_ERR_ARG, "%s contradicts %s: %s", a, b, why);
}

static SnugStatus check(const PlanConstraints *c, SnugError *err)
{
    const char *unload =
        c->unload == UNLOAD_ABOVE ? "--auto-unload with a threshold" : "--auto-unload=on";
    const bool unloads = c->unload == UNLOAD_ALWAYS || c->unload == UNLOAD_ABOVE;
    if (c->largest && unloads)
        return contradiction("--memory-mode beefy", unload, "beefy keeps every weight", err);
    if (c->largest && (c->offload == OFFLOAD_MODEL || c->offload == OFFLOAD_SEQUENTIAL))
        return contradiction("--memory-mode beefy", "--offload", "beefy keeps every weight", err);
    if (c->largest && c->text_encoder_on_host)
        return contradiction("--memory-mode beefy", "--text-encoder-device cpu",
                             "beefy keeps every weight on the device", err);
    if (c->smallest && c->unload == UNLOAD_NEVER)
        return contradiction("--memory-mode lightweight", "--auto-unload=off",
                             "weights that stay are not the least memory", err);
    if (c->smallest && c->offload == OFFLOAD_NONE)
        return contradiction("--memory-mode lightweight", "--offload none",
                             "weights that stay are not the least memory", err);
    if (c->offload == OFFLOAD_MODEL && (c->unload == UNLOAD_NEVER || c->unload == UNLOAD_ABOVE))
        return contradiction("--offload model", "--auto-unload",
                             "it gives a model up at the end of its stage, always", err);
    if (c->offload == OFFLOAD_SEQUENTIAL && c->unload == UNLOAD_NEVER)
        return contradiction("--offload sequential", "--auto-unload=off",
                             "it gives each unit up after its use", err);
    return SNUG_OK;
}

SnugStatus constraints_parse(PlanConstraints *out, const ConstraintRequest *r, SnugError *err)
{
    *out = (PlanConstraints){ 0 };
    const int mode = find(MODES, r->memory_mode), offload = find(OFFLOADS, r->offload),
              device = find(DEVICES, r->text_encoder_device);
    if (mode < 0) return unknown("memory-mode", r->memory_mode, "auto, lightweight, beefy", err);
    if (offload < 0) return unknown("offload", r->offload, "auto, none, model, sequential", err);
    if (device < 0) return unknown("text-encoder-device", r->text_encoder_device, "auto, cpu", err);
    out->smallest = mode == 1;
    out->largest = mode == 2;
    out->offload = (PlanOffload)offload;
    out->text_encoder_on_host = device == 1;
    TRY(parse_unload(r->auto_unload, out, err));
    TRY(parse_threshold(r->auto_unload_threshold, out, err));
    TRY(parse_switch("vae-tiling", r->vae_tiling, &out->vae_tiling, err));
    TRY(parse_switch("vae-slicing", r->vae_slicing, &out->vae_slicing, err));
    TRY(parse_switch("attention-slicing", r->attention_slicing, &out->attention_slicing, err));
    return check(out, err);
}

SnugStatus constraints_phases(PlanConstraints *out, const char *const *words, int n, SnugError *err)
{
    for (int i = 1; i <= n && i < PLAN_PHASES; i++) {
        char name[32];
        PlanSwitch chosen;
        (void)snprintf(name, sizeof name, "auto-unload-step%d", i);
        TRY(parse_switch(name, words[i], &chosen, err));
        if (chosen == SWITCH_FREE) continue;
        out->phase[i] = chosen == SWITCH_ON ? UNLOAD_ALWAYS : UNLOAD_NEVER;
        if (out->offload == OFFLOAD_SEQUENTIAL || out->offload == OFFLOAD_MODEL || out->largest ||
            out->smallest)
            return contradiction("--auto-unload-stepN", "--offload or --memory-mode",
                                 "both say what becomes of weights", err);
    }
    return SNUG_OK;
}

bool constraints_open(const PlanConstraints *c)
{
    bool open =
        c->unload == UNLOAD_FREE && c->offload == OFFLOAD_FREE && !c->smallest && !c->largest;
    for (int i = 0; i < PLAN_PHASES; i++)
        open = open && c->phase[i] == UNLOAD_FREE;
    return open;
}

const char *constraints_costly(const PlanConstraints *c, char *to, size_t room)
{
    const struct {
        bool given;
        const char *name;
    } rows[] = { { c->largest, "--memory-mode beefy" },
                 { c->offload == OFFLOAD_NONE, "--offload none" },
                 { c->offload == OFFLOAD_MODEL, "--offload model" },
                 { c->unload == UNLOAD_NEVER, "--auto-unload=off" },
                 { c->vae_tiling == SWITCH_OFF, "--vae-tiling=off" },
                 { c->vae_slicing == SWITCH_OFF, "--vae-slicing=off" },
                 { c->attention_slicing == SWITCH_OFF, "--attention-slicing=off" } };
    size_t n = 0;
    to[0] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!rows[i].given) continue;
        const int more = snprintf(to + n, room - n, "%s%s", n ? ", " : "with ", rows[i].name);
        if (more < 0 || (size_t)more >= room - n) break;
        n += (size_t)more;
    }
    if (n && room - n > 2) memcpy(to + n, ": ", 3);
    return to;
}
