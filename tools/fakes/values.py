"""Seeded values, as many as a disk takes: one block of normal numbers is drawn, scaled, packed and repeated.

The block's length is a prime, so that rows of a matrix never line up with it.
"""

import array
import collections
import random
import struct
import zlib

PERIOD = 65521
WRITE_BYTES = 8 << 20  # of one write, at most
KEPT_BLOCKS = 16

SIZES = {"F32": 4, "BF16": 2, "F16": 2, "U8": 1}


def _pack(dtype, numbers):
    if dtype == "F16":
        return struct.pack(f"<{len(numbers)}e", *numbers)
    raw = array.array("f", numbers).tobytes()  # little-endian wherever snug runs
    if dtype == "F32":
        return raw
    half = bytearray(len(raw) // 2)  # bf16 is the upper half of an f32
    half[0::2], half[1::2] = raw[2::4], raw[3::4]
    return bytes(half)


class Values:
    """Streams of values; the same seed, name and shape give the same bytes."""

    def __init__(self, seed):
        self.seed = seed
        draw = random.Random(seed)
        self.normal = [draw.gauss(0.0, 1.0) for _ in range(PERIOD)]
        self.noise = draw.randbytes(PERIOD)
        self.blocks = collections.OrderedDict()

    def _block(self, dtype, n_bytes, mean, deviation):
        """Whole periods; long enough that few writes do."""
        key = dtype, mean, deviation
        block = self.blocks.pop(key, None)
        if not block:
            block = self.noise if dtype == "U8" else _pack(dtype, [mean + deviation * x for x in self.normal])
        period = PERIOD * SIZES[dtype]
        if len(block) < min(n_bytes, WRITE_BYTES):
            block = bytes(block[:period]) * (min(n_bytes, WRITE_BYTES) // period + 1)
        self.blocks[key] = block
        while len(self.blocks) > KEPT_BLOCKS:
            self.blocks.popitem(last=False)
        return block

    def pieces(self, name, dtype, n_bytes, mean=0.0, deviation=1.0):
        """Pieces of bytes that make up a tensor; U8: every byte is as likely."""
        block = memoryview(self._block(dtype, n_bytes, mean, deviation))
        at = zlib.crc32(name.encode(), self.seed & 0xFFFFFFFF) % PERIOD * SIZES[dtype]
        while n_bytes > 0:
            piece = block[at : at + n_bytes]
            yield piece
            n_bytes -= len(piece)
            at = 0
