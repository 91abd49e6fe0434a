/* part.c  Reading ahead with a copy of the scan costs nothing but the reading. */
#include "text/part.h"

#include "base/error.h"

bool part_type(JsonScan *scan, TextView *out)
{
    JsonScan ahead = *scan;
    *out = (TextView){ .n = 0 };
    (void)json_scan_object(&ahead);
    for (TextView key; json_scan_key(&ahead, &key);) {
        if (!text_is(key, "type")) continue;
        if (out->n) (void)json_scan_fail(&ahead, FAULT_DUPLICATE, "two types in one object");
        (void)json_scan_text(&ahead, out);
    }
    if (ahead.status != SNUG_OK) *scan = ahead; /* a failure stays one */
    return ahead.status == SNUG_OK;
}

bool part_refuse(JsonScan *scan, const char *what, TextView type)
{
    char shown[TEXT_ESCAPED];
    if (type.n == 0) return json_scan_fail(scan, FAULT_UNSUPPORTED, "%s without a type", what);
    return json_scan_fail(scan, FAULT_UNSUPPORTED, "%s of type '%s'", what,
                          text_escape(shown, type.at, type.n));
}

bool part_keep(JsonScan *scan, Arena *arena, TextView text, TextView *out)
{
    *out = (TextView){ .at = arena_text(arena, text.at, text.n), .n = text.n };
    if (out->at) return true;
    out->n = 0;
    return part_no_memory(scan);
}

bool part_no_memory(JsonScan *scan)
{
    if (scan->status == SNUG_OK)
        scan->status = error_set(scan->err, SNUG_ERR_MEMORY, "%s: no memory", scan->file);
    return false;
}
