/* protobuf.h  Walk over the fields of one protobuf message: no schema, nothing built. */
#ifndef TEXT_PROTOBUF_H
#define TEXT_PROTOBUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/** A walk; `fault` says what is wrong once a step failed, NULL while all is well. */
typedef struct Protobuf {
    TextView bytes;
    size_t at;
    const char *fault;
} Protobuf;

/** Wire types, as in the file. Groups (3, 4) are refused. */
typedef enum ProtobufWire {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5
} ProtobufWire;

typedef struct ProtobufField {
    uint32_t number;
    ProtobufWire wire;
    uint64_t value; /**< VARINT, FIXED64, FIXED32 */
    TextView bytes; /**< BYTES: a view of the message */
} ProtobufField;

/** Next field; false at the end and after a fault. */
bool protobuf_next(Protobuf *walk, ProtobufField *field);
/** The FIXED32 value as a float. */
float protobuf_float(const ProtobufField *field);

#endif
