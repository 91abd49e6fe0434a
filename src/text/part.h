/* part.h  Parts of tokenizer.json say what they are by a "type" that may stand anywhere in
 * them: it is looked up first, then the part is read by its own rules. */
#ifndef TEXT_PART_H
#define TEXT_PART_H

#include "base/json_scan.h"

/** The "type" of the object that comes next, which stays unread; out->n is 0 when it has none. */
bool part_type(JsonScan *scan, TextView *out);

/** Fail: "<what> of type '<type>'" is not supported. Returns false. */
bool part_refuse(JsonScan *scan, const char *what, TextView type);

/** A copy of `text` in `arena`; *out is empty and the scan failed when memory is refused. */
bool part_keep(JsonScan *scan, Arena *arena, TextView text, TextView *out);

/** Fail with SNUG_ERR_MEMORY. Returns false. */
bool part_no_memory(JsonScan *scan);

#endif
