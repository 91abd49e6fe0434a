"""GGUF files as llama.cpp and ComfyUI-GGUF lay them out: little-endian, version 3, data in multiples of 32."""

import os
import struct

from .writers import SIZES, Entry, _Place, entry_bytes

ALIGNMENT = 32
PLAIN = {"F32": 0, "F16": 1, "BF16": 30}
# number, values and bytes of a block, where its f16 scales stand: (offset, factor of the scale); what value the codes spread by
BLOCKS = {
    "Q4_0": (2, 32, 18, ((0, 1.0),), 4.6),
    "Q8_0": (8, 32, 34, ((0, 1.0),), 73.9),
    "Q4_K": (12, 256, 144, ((0, 1.0), (2, 7.5)), 230.0),
    "Q5_K": (13, 256, 176, ((0, 1.0), (2, 15.5)), 470.0),
    "Q6_K": (14, 256, 210, ((208, 1.0),), 1365.0),
}
REPEAT = 4096  # blocks, drawn once


def quantised(values, key, name, dtype, shape, deviation):
    """An entry of random codes that spread by about `deviation`; its dtype is one of BLOCKS."""
    _, n_values, n_bytes, scales, spread = BLOCKS[dtype]
    n = 1
    for d in shape:
        n *= d
    n_blocks = n // n_values

    def pieces():
        few = min(n_blocks, REPEAT)
        noise = bytearray(b"".join(values.pieces(key, "U8", few * n_bytes)))
        for at, factor in scales:
            scale = struct.pack("<e", deviation / spread * factor)
            noise[at::n_bytes], noise[at + 1 :: n_bytes] = scale[:1] * few, scale[1:] * few
        for done in range(0, n_blocks, few):
            yield memoryview(noise)[: min(few, n_blocks - done) * n_bytes]

    return Entry(name, dtype, shape, pieces)


def fits(dtype, shape):
    """Are rows whole numbers of blocks?"""
    return len(shape) == 2 and shape[1] % BLOCKS[dtype][1] == 0


def entry_size(entry):
    if entry.dtype in SIZES:
        return entry_bytes(entry)
    _, n_values, n_bytes, _, _ = BLOCKS[entry.dtype]
    n = 1
    for d in entry.shape:
        n *= d
    return n // n_values * n_bytes


def _string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value):
    """Type and bytes of a metadata value: text, bool, int, or a list of texts, floats or ints."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_string, value))
    kind, letter = (6, "f") if isinstance(value[0], float) else (5, "i")
    return struct.pack(f"<IIQ{len(value)}{letter}", 9, kind, len(value), *value)


def write(path, entries, metadata, sparse=False):
    head = [struct.pack("<4sIQQ", b"GGUF", 3, len(entries), len(metadata))]
    head += [_string(key) + _value(value) for key, value in metadata.items()]
    at = 0
    for entry in entries:
        number = PLAIN[entry.dtype] if entry.dtype in PLAIN else BLOCKS[entry.dtype][0]
        dims = struct.pack(f"<I{len(entry.shape)}Q", len(entry.shape), *reversed(entry.shape))
        head.append(_string(entry.name) + dims + struct.pack("<IQ", number, at))
        at += -(-entry_size(entry) // ALIGNMENT) * ALIGNMENT
    head = b"".join(head)
    with _Place(path) as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for entry in entries:
            size, fill = entry_size(entry), -entry_size(entry) % ALIGNMENT
            if sparse:
                file.seek(size + fill, os.SEEK_CUR)
                continue
            for piece in entry.pieces():
                file.write(piece)
            file.write(bytes(fill))
