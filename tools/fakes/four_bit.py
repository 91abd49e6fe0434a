"""4-bit matrices as bitsandbytes stores them: packed codes, a scale every 64 values, scales quantised again."""

import json
import struct

from .writers import Entry

NF4 = (-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634,
       0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0)  # fmt: skip
FP4_HALF = (0.0, 0.005208333333, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25)
TABLES = {"nf4": NF4, "fp4": FP4_HALF + tuple(-x for x in FP4_HALF)}
BLOCK, NESTED_BLOCK = 64, 256
SPREAD = 0.3  # of the scales around their mean


def dynamic_map():
    """The 256 values that quantise scales: seven decades, each twice as fine as the one below."""
    values = [0.0, 1.0]
    for e in range(7):
        step = 0.9 / 2**e
        middles = [(0.1 + step * (i + 0.5)) * 10.0 ** (e - 6) for i in range(2**e)]
        values += middles + [-x for x in middles]
    return sorted(values)


def _floats(numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


def _fixed(name, dtype, shape, data):
    return Entry(name, dtype, shape, lambda: [data], small=True)


def entries(values, key, name, shape, deviation, kind="nf4", nested=True, dtype="bfloat16"):
    """The entries of one matrix [N, K] called `name`; its values hang on `key` and spread by about `deviation`."""
    table = TABLES[kind]
    n = shape[0] * shape[1]
    n_blocks = -(-n // BLOCK)
    mean_square = sum(x * x for x in table) / 16  # every code is as likely
    scale = deviation / mean_square**0.5
    packed = -(-n // 2)
    state = {"quant_type": kind, "blocksize": BLOCK, "dtype": dtype, "shape": list(shape)}
    out = [
        Entry(name, "U8", (packed, 1), lambda: values.pieces(key, "U8", packed)),
        _fixed(name + ".quant_map", "F32", (16,), _floats(table)),
    ]
    if nested:
        n_nested = -(-n_blocks // NESTED_BLOCK)
        state.update(nested_blocksize=NESTED_BLOCK, nested_dtype="float32", nested_offset=scale)
        scales = name + ".absmax"
        out += [
            Entry(scales, "U8", (n_blocks,), lambda: values.pieces(key + ".absmax", "U8", n_blocks)),
            _fixed(name + ".nested_absmax", "F32", (n_nested,), _floats([SPREAD * scale]) * n_nested),
            _fixed(name + ".nested_quant_map", "F32", (256,), _floats(dynamic_map())),
        ]
    else:
        scales = name + ".absmax"
        size, spread = 4 * n_blocks, 0.1 * scale
        out.append(
            Entry(scales, "F32", (n_blocks,), lambda: values.pieces(key + ".absmax", "F32", size, scale, spread))
        )
    text = json.dumps(state).encode()
    out.append(_fixed(name + ".quant_state.bitsandbytes__" + kind, "U8", (len(text),), text))
    return out
