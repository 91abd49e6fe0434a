"""Tokenizers as large as the published ones, of made-up words: valid, and any text can be cut by them.

CLIP: 49,408 ids, of which 48,894 come from merges of two and two. T5: 32,100 pieces, sentinels among them.
"""

import itertools
import json
import struct

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CLIP_MERGES = 48_894
T5_WORDS, T5_SENTINELS = 32_000, 100
START, END = "<|startoftext|>", "<|endoftext|>"


def _byte_characters():
    """GPT-2's printable stand-ins of the 256 bytes, in the order of CLIP's ids."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def _merges():
    """Each makes a new piece of two that are there."""
    pairs = [a + b for a, b in itertools.product(LETTERS, LETTERS)]
    yield from itertools.product(LETTERS, LETTERS)
    yield from ((a, b + "</w>") for a, b in itertools.product(LETTERS, LETTERS))
    yield from ((p, c + "</w>") for p, c in itertools.product(pairs, LETTERS))
    yield from itertools.product(pairs, LETTERS)
    yield from ((p, q + "</w>") for p, q in itertools.product(pairs, pairs))


def clip_files(pad):
    """{name: text} of a CLIPTokenizer's folder."""
    merges = list(itertools.islice(_merges(), CLIP_MERGES))
    characters = _byte_characters()
    pieces = [*characters, *(c + "</w>" for c in characters), *map("".join, merges), START, END]
    special = {"bos_token": START, "eos_token": END, "pad_token": pad, "unk_token": END}
    config = dict(
        special,
        add_prefix_space=False,
        do_lower_case=True,
        errors="replace",
        model_max_length=77,
        tokenizer_class="CLIPTokenizer",
    )
    return {
        "vocab.json": json.dumps({piece: i for i, piece in enumerate(pieces)}, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges),
        "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2, sort_keys=True) + "\n",
    }


def t5_pieces():
    """(piece, score), likeliest first; the shortest are the least likely, so that words stay whole."""
    syllables = [a + b for a, b in itertools.product("bcdfghjklmnpqrstvwxz", "aeiou")]
    single = [chr(c) for c in range(33, 127)]
    short = ["\u2581", *single, *("\u2581" + c for c in single)]
    words = itertools.chain(
        syllables,
        ("\u2581" + s for s in syllables),
        ("\u2581" + a + b for a, b in itertools.product(syllables, syllables)),
        (a + b for a, b in itertools.product(syllables, syllables)),
        ("\u2581" + a + b + c for a, b, c in itertools.product(syllables, syllables, syllables)),
    )
    words = [*itertools.islice(words, T5_WORDS - 3 - len(short)), *short]
    scored = [(piece, -3.0 - 10.5 * i / len(words)) for i, piece in enumerate(words)]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return special + scored + [(f"<extra_id_{T5_SENTINELS - 1 - i}>", 0.0) for i in range(T5_SENTINELS)]


def _added(i, content):
    return {"content": content, "id": i, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}


def _t5_json(pieces):
    metaspace = {"type": "Metaspace", "prepend_scheme": "first", "replacement": "\u2581", "split": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    one, two = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}
    strip = {"type": "Strip", "strip_left": False, "strip_right": True}
    joined = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
    whole = [*range(3), *range(T5_WORDS, T5_WORDS + T5_SENTINELS)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(i, pieces[i][0]) for i in whole],
        "normalizer": {"type": "Sequence", "normalizers": [strip, joined]},
        "pre_tokenizer": metaspace,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [one, end],
            "pair": [one, end, two, end],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces, "byte_fallback": False},
    }


def _field(number, data):
    size, out = len(data), b""
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + out + bytes([size]) + data


def _spiece(pieces):
    """sentencepiece's model: the pieces without sentinels, and what trains nothing."""
    kinds = {"<unk>": 2, "<pad>": 3, "</s>": 3}
    out = []
    for piece, score in pieces[:T5_WORDS]:
        row = _field(1, piece.encode()) + b"\x15" + struct.pack("<f", score)
        out.append(_field(1, row + (b"\x18" + bytes([kinds[piece]]) if piece in kinds else b"")))
    trainer = b"\x18\x01"  # unigram
    normalizer = _field(1, b"identity") + b"\x18\x01\x20\x01\x28\x01"  # a space in front, spaces joined, spaces escaped
    return b"".join(out) + _field(2, trainer) + _field(3, normalizer)


def t5_files():
    """{name: text or bytes} of a T5Tokenizer's folder."""
    pieces = t5_pieces()
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    names = [piece for piece, _ in pieces[:T5_WORDS - 1 : -1]]
    config = dict(special, additional_special_tokens=names, extra_ids=T5_SENTINELS, model_max_length=512, tokenizer_class="T5Tokenizer")
    return {
        "tokenizer.json": json.dumps(_t5_json(pieces), ensure_ascii=False),
        "spiece.model": _spiece(pieces),
        "special_tokens_map.json": json.dumps(dict(special, additional_special_tokens=names), indent=2) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2, sort_keys=True) + "\n",
    }
