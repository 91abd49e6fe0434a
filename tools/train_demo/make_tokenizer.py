"""Trains the tokenizer: sentencepiece unigram on the caption grammar, every ASCII character a piece.

Writes spiece.model and the transformers fast tokenizer beside it, and checks that both give the
same ids. Ids: pad 0, </s> 1, unk 2; no begin token. Text is not normalised (case counts).

    python make_tokenizer.py --out runs/tokenizer
"""

import argparse
import io
import json
import os

import sentencepiece
from transformers import T5Tokenizer

import data

ASCII = "".join(chr(c) for c in range(33, 127))
STRANGE = [
    "",
    "Hello, World! 42 (snug) #7",
    "a zebra  eats an orange; then 3.14 & more?",
    "a photo of a quick brown fox",
    "caf\u00e9 \u4f60\u597d \u2603",
]


def corpus(n=4000):
    for i in range(n):
        yield from data.clip_captions(i, 2)
    for text in data.every_word() * 40:
        yield text
    for _ in range(20):
        yield from ASCII


def train(folder, vocab):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(),
        model_writer=model,
        model_type="unigram",
        vocab_size=vocab,
        hard_vocab_limit=False,
        character_coverage=1.0,
        required_chars=ASCII,
        normalization_rule_name="identity",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "spiece.model"), "wb") as f:
        f.write(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def save_fast(folder, spm):
    vocab = [(spm.id_to_piece(i), spm.get_score(i)) for i in range(spm.get_piece_size())]
    T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=512).save_pretrained(folder)
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    with open(os.path.join(folder, "special_tokens_map.json"), "w") as f:
        f.write(json.dumps(special, indent=2) + "\n")


def check(folder, spm):
    fast = T5Tokenizer.from_pretrained(folder)
    assert (fast.pad_token_id, fast.eos_token_id, fast.unk_token_id) == (0, 1, 2)
    texts = STRANGE + [c for i in range(500, 1000) for c in data.clip_captions(i, 1)]
    for text in texts:
        want, got = spm.encode(text) + [1], fast(text).input_ids
        assert got == want, (text, want, got)
    longest = max(len(spm.encode(t)) for t in texts)
    print(f"{spm.get_piece_size()} pieces; {len(texts)} texts agree; longest {longest} tokens; fast size {len(fast)}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--out", default="runs/tokenizer")
    p.add_argument("--vocab", type=int, default=320)
    args = p.parse_args()
    spm = train(args.out, args.vocab)
    save_fast(args.out, spm)
    check(args.out, spm)


if __name__ == "__main__":
    main()
