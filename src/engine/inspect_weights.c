/* inspect_weights.c  Sums by stored type, and the list of tensors. */
#include "engine/inspect_weights.h"

#include <string.h>

enum { MAX_TYPES = 64 };

/** One stored type. */
typedef struct Tally {
    const char *type;
    int64_t tensors;
    size_t bytes;
} Tally;

void inspect_add_name(TextBuilder *b, const char *name)
{
    char shown[TEXT_ESCAPED];
    text_addf(b, "%s", text_escape(shown, name, strlen(name)));
}

void inspect_add_member(TextBuilder *b, const char *key, const char *text, bool first)
{
    text_addf(b, "%s\"%s\":", first ? "" : ",", key);
    if (!text)
        text_addf(b, "null");
    else if (text_utf8_check(text, strlen(text)) == strlen(text))
        text_add_json(b, text, strlen(text));
    else { /* a path of the file system need not be UTF-8 */
        char shown[TEXT_ESCAPED];
        text_escape(shown, text, strlen(text));
        text_add_json(b, shown, strlen(shown));
    }
}

/* "9.3 GiB" */
static void add_bytes(TextBuilder *b, size_t bytes)
{
    static const char *const UNITS[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    text_addf(b, unit ? "%.1f %s" : "%.0f %s", value, UNITS[unit]);
}

static int tally_types(const Checkpoint *c, Tally out[MAX_TYPES])
{
    int n = 0;
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const Entry *e = checkpoint_entry(c, i);
        int k = 0;
        while (k < n && strcmp(out[k].type, e->type_name) != 0)
            k++;
        if (k == MAX_TYPES) continue; /* no format has so many */
        if (k == n) out[n++] = (Tally){ .type = e->type_name };
        out[k].tensors++;
        out[k].bytes += e->bytes;
    }
    return n;
}

static void add_types(TextBuilder *b, const Tally *tally, int n, bool json)
{
    for (int k = 0; k < n; k++) {
        if (json) {
            text_addf(b, "%s{", k ? "," : "");
            inspect_add_member(b, "type", tally[k].type, true);
            text_addf(b, ",\"tensors\":%lld,\"bytes\":%zu}", (long long)tally[k].tensors,
                      tally[k].bytes);
            continue;
        }
        text_addf(b, "%s", k ? ", " : "");
        inspect_add_name(b, tally[k].type);
        text_addf(b, " x %lld = ", (long long)tally[k].tensors);
        add_bytes(b, tally[k].bytes);
    }
}

static void add_tensor(TextBuilder *b, const Entry *e, bool json, bool first)
{
    char shape[SHAPE_TEXT], name[TEXT_ESCAPED], type[TEXT_ESCAPED];
    (void)entry_shape_text(e, shape, sizeof shape);
    if (json) {
        text_addf(b, "%s{", first ? "" : ",");
        inspect_add_member(b, "name", e->name, true);
        inspect_add_member(b, "type", e->type_name, false);
        text_addf(b, ",\"shape\":%s,\"bytes\":%zu}", shape, e->bytes);
        return;
    }
    text_escape(name, e->name, strlen(e->name));
    text_escape(type, e->type_name, strlen(e->type_name));
    text_addf(b, "    %-60s %-8s %s\n", name, type, shape);
}

void inspect_add_weights(TextBuilder *b, const Checkpoint *c, InspectStyle style)
{
    Tally tally[MAX_TYPES];
    const int n = tally_types(c, tally), files = checkpoint_n_files(c);
    if (style.json) {
        inspect_add_member(b, "path", checkpoint_path(c), true);
        text_addf(b, ",\"files\":%d,\"count\":%d,\"bytes\":%zu,\"types\":[", files,
                  checkpoint_count(c), checkpoint_bytes(c));
        add_types(b, tally, n, true);
        text_addf(b, "]%s", style.tensors ? ",\"tensors\":[" : "");
    } else {
        text_addf(b, "  ");
        inspect_add_name(b, checkpoint_path(c));
        text_addf(b, "\n  %d file%s, %d tensors, ", files, files == 1 ? "" : "s",
                  checkpoint_count(c));
        add_bytes(b, checkpoint_bytes(c));
        text_addf(b, ": ");
        add_types(b, tally, n, false);
        text_addf(b, "\n");
    }
    for (int32_t i = 0; style.tensors && i < checkpoint_count(c); i++)
        add_tensor(b, checkpoint_entry(c, i), style.json, i == 0);
    if (style.json && style.tensors) text_addf(b, "]");
}
