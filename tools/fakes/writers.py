"""Weight files written as a stream: safetensors with and without shards, torch's zip archives.

With `sparse` only headers and entries marked `small` are written, and the file gets its length: all other values are
zero and take no room on the disk.
"""

import collections
import json
import os
import struct
import zlib

SIZES = {"I64": 8, "F32": 4, "BF16": 2, "F16": 2, "U8": 1}

# pieces() gives the tensor's bytes bit by bit; small: what a reader of headers needs too
Entry = collections.namedtuple("Entry", "name dtype shape pieces small", defaults=(False,))

ORDER = ("I64", "F32", "BF16", "F16", "U8")  # as the safetensors package sorts them


def entry_bytes(entry):
    n = SIZES[entry.dtype]
    for d in entry.shape:
        n *= d
    return n


def _write(file, entry, sparse):
    if sparse and not entry.small:
        file.seek(entry_bytes(entry), os.SEEK_CUR)
        return
    for piece in entry.pieces():
        file.write(piece)


class _Place:
    """A file under a temporary name until it is whole."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        self.file = open(self.path + ".part", "wb", buffering=0)
        return self.file

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.file.truncate(self.file.tell())  # a sparse file ends in a hole
        self.file.close()
        if kind is None:
            os.replace(self.path + ".part", self.path)
        else:
            os.remove(self.path + ".part")


def safetensors(path, entries, sparse=False):
    entries = sorted(entries, key=lambda e: (ORDER.index(e.dtype), e.name))
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for entry in entries:
        end = at + entry_bytes(entry)
        header[entry.name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with _Place(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for entry in entries:
            _write(file, entry, sparse)


def sharded(folder, stem, entries, n_shards, sparse=False):
    """One file, or shards of about the same size with an index."""
    if n_shards <= 1:
        safetensors(os.path.join(folder, stem + ".safetensors"), entries, sparse)
        return
    total, done = sum(entry_bytes(e) for e in entries), 0
    shards = [[] for _ in range(n_shards)]
    for entry in entries:
        shards[min(n_shards - 1, done * n_shards // total)].append(entry)
        done += entry_bytes(entry)
    places = {}
    for i, shard in enumerate(shards):
        name = f"{stem}-{i + 1:05d}-of-{n_shards:05d}.safetensors"
        places.update((entry.name, name) for entry in shard)
        safetensors(os.path.join(folder, name), shard, sparse)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    with open(os.path.join(folder, stem + ".safetensors.index.json"), "w", encoding="utf-8") as file:
        json.dump(index, file, indent=2)
        file.write("\n")


# ---- torch.save -----------------------------------------------------------------------------------------------------

STORAGES = {"I64": "LongStorage", "F32": "FloatStorage", "BF16": "BFloat16Storage", "F16": "HalfStorage", "U8": "ByteStorage"}


def _text(s):
    raw = s.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _int(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    if 0 <= n < 1 << 31:
        return b"J" + struct.pack("<i", n)
    raw = n.to_bytes(8, "little")  # non-negative and below 2^63
    return b"\x8a\x08" + raw


def _tuple(items):
    return b"(" + b"".join(items) + b"t"


def _pickle(entries):
    """A flat dict of tensors, as torch.save writes it, without memos."""
    out = [b"\x80\x02}("]
    for i, (name, dtype, shape, *_) in enumerate(entries):
        n, strides = 1, []
        for d in reversed(shape):
            strides.insert(0, n)
            n *= d
        storage = _tuple(
            [_text("storage"), b"ctorch\n" + STORAGES[dtype].encode() + b"\n", _text(str(i)), _text("cpu"), _int(n)]
        )
        hooks = b"ccollections\nOrderedDict\n)R"
        sizes = [_tuple(map(_int, shape)) if shape else b")", _tuple(map(_int, strides)) if shape else b")"]
        arguments = [storage + b"Q", _int(0), *sizes, b"\x89", hooks]
        out += [_text(name), b"ctorch._utils\n_rebuild_tensor_v2\n", _tuple(arguments), b"R"]
    return b"".join(out) + b"u."


FULL = 0xFFFFFFFF  # in a 32-bit field: look into the 64-bit one


class _Archive:
    """A stored zip: local headers carry no sizes, a descriptor follows the data, data begins at multiples of 64."""

    def __init__(self, file, sparse):
        self.file, self.sparse, self.rows = file, sparse, []

    def add(self, name, size, pieces):
        raw, start = name.encode(), self.file.tell()
        fill = -(start + 30 + len(raw) + 4) % 64
        extra = b"FB" + struct.pack("<H", fill) + b"Z" * fill
        self.file.write(
            struct.pack("<IHHHHHIIIHH", 0x04034B50, 0, 0x0808, 0, 0, 0, 0, 0, 0, len(raw), len(extra)) + raw + extra
        )
        crc = 0
        if pieces is None:
            self.file.seek(size, os.SEEK_CUR)
        else:
            for piece in pieces:
                self.file.write(piece)
                crc = zlib.crc32(piece, crc)
        wide = size >= FULL
        self.file.write(struct.pack("<IIQQ" if wide else "<IIII", 0x08074B50, crc, size, size))
        self.rows.append((raw, crc, size, start))

    def _row(self, raw, crc, size, start):
        """One row of the central directory."""
        wide = size >= FULL or start >= FULL
        extra = struct.pack("<HHQQQ", 1, 24, size, size, start) if wide else b""
        size, start, version = (FULL, FULL, 45) if wide else (size, start, 0)
        head = struct.pack("<IHHHHHH", 0x02014B50, 0, version, 0x0808, 0, 0, 0)
        head += struct.pack("<IIIHHHHHII", crc, size, size, len(raw), len(extra), 0, 0, 0, 0, start)
        return head + raw + extra

    def finish(self):
        begin = self.file.tell()
        for row in self.rows:
            self.file.write(self._row(*row))
        end, n = self.file.tell(), len(self.rows)
        self.file.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 0x031E, 45, 0, 0, n, n, end - begin, begin))
        self.file.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        few, size, place = min(n, 0xFFFF), min(end - begin, FULL), min(begin, FULL)
        self.file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, few, few, size, place, 0))


def torch_archive(path, entries, sparse=False):
    """What torch.save makes of a dict of tensors; sparse: the checksums of the zeros are left 0."""
    top = os.path.splitext(os.path.basename(path))[0]
    table = _pickle(entries)
    with _Place(path) as file:
        archive = _Archive(file, sparse)
        archive.add(f"{top}/data.pkl", len(table), [table])
        archive.add(f"{top}/.format_version", 1, [b"1"])
        archive.add(f"{top}/.storage_alignment", 2, [b"64"])
        archive.add(f"{top}/byteorder", 6, [b"little"])
        for i, entry in enumerate(entries):
            archive.add(f"{top}/data/{i}", entry_bytes(entry), None if sparse and not entry.small else entry.pieces())
        archive.add(f"{top}/version", 2, [b"3\n"])
        archive.finish()
