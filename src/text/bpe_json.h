/* bpe_json.h  The "model" of type BPE in tokenizer.json. */
#ifndef TEXT_BPE_JSON_H
#define TEXT_BPE_JSON_H

#include "base/json_scan.h"
#include "text/bpe.h"

/** Read the object `scan` stands at; tables go into `arena`. A failure is the scan's. Refused:
 *  dropout, a prefix of continued pieces, byte_fallback. */
bool bpe_json_read(Bpe *bpe, Vocab *vocab, JsonScan *scan, Arena *arena);

#endif
