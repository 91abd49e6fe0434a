"""A T5 tokenizer of some hundred pieces: sentencepiece unigram, saved as transformers saves one."""

import io
import os
import tempfile

import sentencepiece
from transformers import T5Tokenizer

COLOURS = "red green blue yellow white black orange purple".split()
THINGS = "ball box star ring cat dog train river mountain lantern".split()
MOVES = "rolls jumps spins drifts falls rises turns waits".split()
PLACES = ["over the hills", "under a bridge", "in the rain", "on green grass", "through fog", "at night, slowly"]
CHINESE = ["红色的球在草地上滚动", "画面静止，细节模糊不清，字幕", "低质量，多余的手指，杂乱的背景"]
CHARACTERS = ["".join(chr(c) for c in range(33, 127)), "àéîõü"]
# Code points of a source and of what it becomes: a charsmap of some bytes, where nmt_nfkc has 240 kB.
FEW_RULES = "FB01\t66 69\nFF0C\t2C\nFF01\t21\n3000\t20\nE9\t65\n2460\t31\n"


def corpus():
    for i, colour in enumerate(COLOURS):
        for j, thing in enumerate(THINGS):
            for k, move in enumerate(MOVES):
                yield f"a {colour} {thing} {move} {PLACES[(i + j + k) % len(PLACES)]}"
    for _ in range(20):
        yield from CHINESE
        yield from CHARACTERS


def train(folder, vocab, rule):
    """Pad 0, end 1, unknown 2, no begin: the ids T5Tokenizer expects."""
    model = io.BytesIO()
    tsv = os.path.join(folder, "rules.tsv")
    if rule == "few":
        with open(tsv, "w", encoding="utf-8") as f:
            f.write(FEW_RULES)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=corpus(),
        model_writer=model,
        model_type="unigram",
        vocab_size=vocab,
        hard_vocab_limit=False,
        character_coverage=1.0,
        **(dict(normalization_rule_tsv=tsv) if rule == "few" else dict(normalization_rule_name=rule)),
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    with open(os.path.join(folder, "spiece.model"), "wb") as f:
        f.write(model.getvalue())


def build(vocab=200, rule="identity", extra_ids=0):
    """rule: identity (no normaliser), few (a small charsmap), nmt_nfkc (the one of T5)."""
    with tempfile.TemporaryDirectory() as folder:
        train(folder, vocab, rule)
        return T5Tokenizer.from_pretrained(folder, extra_ids=extra_ids)
