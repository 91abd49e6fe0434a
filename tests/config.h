/* config.h  Configurations that must be refused. */
#ifndef TESTS_CONFIG_H
#define TESTS_CONFIG_H

#include "test.h"

#include "base/json.h"

/** Reads a configuration and forgets it. */
typedef SnugStatus ConfigRead(Json config, SnugError *err);

/** The text is JSON, but nothing that `read` takes, and its error mentions `what`. */
static inline void config_check_refused(ConfigRead *read, const char *json, const char *what)
{
    Heap *heap = heap_create();
    JsonDoc *doc = NULL;
    SnugError err = { { 0 } };
    CHECK_INT(json_parse(&doc, heap, json, strlen(json), "config.json", &err), SNUG_OK);
    CHECK_INT(read(json_root(doc), &err), SNUG_ERR_FILE);
    CHECK_HAS(err.text, what);
    json_close(doc);
    heap_free(heap);
}

#endif
