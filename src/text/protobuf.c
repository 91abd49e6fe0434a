/* protobuf.c  Tag, value, tag, value. */
#include "text/protobuf.h"

#include <string.h>

enum { VARINT_BYTES = 10, LARGEST_FIELD = (1 << 29) - 1 };

static bool fail(Protobuf *walk, const char *what)
{
    walk->fault = what;
    return false;
}

static bool varint(Protobuf *walk, uint64_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < VARINT_BYTES; i++) {
        if (walk->at == walk->bytes.n) return fail(walk, "a number goes on past the end");
        uint64_t byte = (unsigned char)walk->bytes.at[walk->at++];
        if (i == VARINT_BYTES - 1 && byte > 1) break;
        *out |= (byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) return true;
    }
    return fail(walk, "a number of more than 64 bits");
}

static bool fixed(Protobuf *walk, unsigned n, uint64_t *out)
{
    if (walk->bytes.n - walk->at < n) return fail(walk, "a number goes on past the end");
    *out = 0;
    for (unsigned i = 0; i < n; i++)
        *out |= (uint64_t)(unsigned char)walk->bytes.at[walk->at++] << (8 * i);
    return true;
}

bool protobuf_next(Protobuf *walk, ProtobufField *field)
{
    uint64_t tag, n;
    if (walk->fault || walk->at == walk->bytes.n || !varint(walk, &tag)) return false;
    if (tag >> 3 == 0 || tag >> 3 > LARGEST_FIELD) return fail(walk, "an impossible field number");
    *field = (ProtobufField){ .number = (uint32_t)(tag >> 3), .wire = (ProtobufWire)(tag & 7) };
    switch (field->wire) {
    case PROTOBUF_VARINT:
        return varint(walk, &field->value);
    case PROTOBUF_FIXED64:
        return fixed(walk, 8, &field->value);
    case PROTOBUF_FIXED32:
        return fixed(walk, 4, &field->value);
    case PROTOBUF_BYTES:
        if (!varint(walk, &n)) return false;
        if (n > walk->bytes.n - walk->at) return fail(walk, "a field is longer than what is left");
        field->bytes = (TextView){ walk->bytes.at + walk->at, (size_t)n };
        walk->at += (size_t)n;
        return true;
    default:
        return fail(walk, "a field of a kind that is not used any more (group)");
    }
}

float protobuf_float(const ProtobufField *field)
{
    uint32_t bits = (uint32_t)field->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
