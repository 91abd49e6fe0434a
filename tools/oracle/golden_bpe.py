"""Goldens of src/text, byte pair encoding: tokenizers of CLIP's kind and their ids for the texts of golden_text.py.

tests/golden/bpe/
  flux/       vocab.json, merges.txt, tokenizer_config.json as FLUX.1 has them
  sdxl2/      the same with the special tokens of SDXL's second tokenizer, in special_tokens_map.json
  saved/      tokenizer.json, tokenizer_config.json: the first as transformers 5 saves it
  gpt2.json   ByteLevel alone, as GPT-2 has it: spaces kept, a space in front, merges ignored for whole words
  <name>.ids  one line a text, template included; flux_77.ids: cut to 77
"""

import json
import os
import tempfile

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import CLIPTokenizer

import text_corpus as corpus

START, END = "<|startoftext|>", "<|endoftext|>"
SPECIAL_TEXTS = [
    "A photo of a Cat, 4k!!",
    "it's 2024, we're DONE''re it'S they'll",
    "½ ² Ⅳ ٣ x² ₂",
    f"a{START}b {START.upper()} c{END}d {END.upper()} !",
    "İstanbul ΑΣ ﬁ é e\u0301 \u212b",
    "  spaces \t\n lead and trail \u3000 ",
    "a" * 3000,
    "ab" * 2000,
    "",
    "!",
    "don't  stop \n\n now   ",
]


def alphabet():
    """GPT-2's order: visible bytes first, then the others."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in visible]
    return [chr(b) for b in visible] + [chr(256 + i) for i in range(len(rest))]


def train(suffix):
    t = Tokenizer(models.BPE(end_of_word_suffix=suffix) if suffix else models.BPE())
    t.normalizer = None
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    options = dict(end_of_word_suffix=suffix) if suffix else {}
    trainer = trainers.BpeTrainer(vocab_size=1400, initial_alphabet=alphabet(), show_progress=False, **options)
    t.train_from_iterator((line.lower() for line in corpus.training_lines()), trainer)
    return [tuple(m) if not isinstance(m, str) else tuple(m.split(" ")) for m in json.loads(t.to_str())["model"]["merges"]]


def vocabulary(merges, suffix, specials):
    """The alphabet, the alphabet at a word's end, the merges in order, the special tokens."""
    pieces = alphabet() + ([a + suffix for a in alphabet()] if suffix else [])
    pieces += list(dict.fromkeys(a + b for a, b in merges)) + specials
    return {piece: i for i, piece in enumerate(pieces)}


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def write_ids(path, encode, texts):
    write(path, "\n".join(" ".join(str(i) for i in encode(t)) for t in texts) + "\n")


def write_files(folder, vocab, merges, config_name, config):
    write(os.path.join(folder, "vocab.json"), json.dumps(vocab, ensure_ascii=True))
    write(os.path.join(folder, "merges.txt"), "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    write(os.path.join(folder, config_name), json.dumps(config, indent=2) + "\n")


def token(content, normalized):
    return dict(content=content, lstrip=False, normalized=normalized, rstrip=False, single_word=False)


def flux_config(vocab):
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(vocab[START]): dict(token(START, True), special=True),
            str(vocab[END]): dict(token(END, False), special=True),
        },
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "model_max_length": 77,
        "tokenizer_class": "CLIPTokenizer",
    }


def sdxl2_config():
    return {"bos_token": token(START, True), "eos_token": token(END, True), "unk_token": token(END, True), "pad_token": "!"}


def gpt2(merges):
    vocab = vocabulary(merges, "", [END])
    model = models.BPE(vocab=vocab, merges=merges, unk_token=END, fuse_unk=True, ignore_merges=True)
    t = Tokenizer(model)
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.decoder = decoders.ByteLevel()
    return t


def make(folder):
    with open(os.path.join(os.path.dirname(folder), "text", "texts.json"), encoding="utf-8") as f:
        texts = json.load(f)
    texts = texts + SPECIAL_TEXTS
    write(os.path.join(folder, "more.json"), json.dumps(SPECIAL_TEXTS, ensure_ascii=False, indent=0) + "\n")
    merges = train("</w>")
    vocab = vocabulary(merges, "</w>", [START, END])
    write_files(os.path.join(folder, "flux"), vocab, merges, "tokenizer_config.json", flux_config(vocab))
    write_files(os.path.join(folder, "sdxl2"), vocab, merges, "special_tokens_map.json", sdxl2_config())
    for name in ("flux", "sdxl2"):
        t = CLIPTokenizer.from_pretrained(os.path.join(folder, name))
        write_ids(os.path.join(folder, name + ".ids"), lambda s: t(s).input_ids, texts)
        if name == "flux":
            cut = lambda s: t(s, max_length=77, truncation=True).input_ids
            write_ids(os.path.join(folder, "flux_77.ids"), cut, texts)
            with tempfile.TemporaryDirectory() as scratch:
                t.save_pretrained(scratch)
                for file in ("tokenizer.json", "tokenizer_config.json"):
                    with open(os.path.join(scratch, file), encoding="utf-8") as f:
                        write(os.path.join(folder, "saved", file), f.read())
                again = Tokenizer.from_file(os.path.join(scratch, "tokenizer.json"))
                again.no_truncation()
                write_ids(os.path.join(folder, "saved.ids"), lambda s: again.encode(s).ids, texts)
    t = gpt2(train(""))
    write(os.path.join(folder, "gpt2.json"), t.to_str())
    write_ids(os.path.join(folder, "gpt2.ids"), lambda s: t.encode(s).ids, texts)
