"""A picture to cut something out of: a disc before stripes, as PNG."""

import struct
import zlib


def _colour(x, y, width, height):
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2
    return (200, 40 + x * 80 // width, 60) if inside else (90, 120, 90 + (y // 16 % 2) * 60)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write(path, width, height):
    rows = b"".join(b"\0" + bytes(v for x in range(width) for v in _colour(x, y, width, height)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b""))
