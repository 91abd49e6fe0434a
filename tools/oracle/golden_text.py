"""Goldens of src/text: small tokenizers as people have them, texts in many scripts, their ids.

tests/golden/text/
  texts.json            the texts, in order
  umt5/                 tokenizer.json as transformers 4 converts a sentencepiece model of umT5's kind
                        (nmt_nfkc charsmap; pad 0, </s> 1, <s> 2, <unk> 3; extra ids), spiece.model
  <name>.json           another tokenizer.json; @charsmap@ and @vocab@ stand for those of umt5/
  <name>.model          another sentencepiece model
  <name>.ids            one line a text: ids of tokenizers.Tokenizer.from_file or sentencepiece; the long
                        texts, which come last, only for umt5/
  saved_16.ids          the same cut to 16 ids by transformers
  clean.json            [prompt, what ftfy and html make of it]
  negative.json         the cleaned negative prompts of src/text/negative_prompts.h, and their SHA-256

Versions as in requirements.txt; nothing is downloaded.
"""

import hashlib
import html
import io
import itertools
import json
import os
import random
import re
import struct
import tempfile
from html.entities import html5

import ftfy
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5Tokenizer

import text_corpus as corpus

EXTRA_IDS = 20
MARK = "▁"


# ---- sentencepiece models ----


def train(vocab, scripts=None, **options):
    model = io.BytesIO()
    base = dict(pad_id=0, eos_id=1, bos_id=2, unk_id=3, character_coverage=0.9995, hard_vocab_limit=False)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus.training_lines(scripts)),
        model_writer=model,
        model_type="unigram",
        vocab_size=vocab,
        num_threads=1,
        minloglevel=2,
        **{**base, **options},
    )
    return model.getvalue()


def train_users():
    """User-defined and control symbols, a charsmap of a few rules of one to three characters, spaces behind."""
    rules = "FB01\t66 69\nFF0C\t2C\n61 300\tE0\n61 300 301\t41\n2D 2D\t2014\n200B\t\n3000\t20\nA0\t20\n"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.tsv")
        with open(path, "w", encoding="utf-8") as f:
            f.write(rules)
        return train(
            500,
            scripts=3,
            normalization_rule_tsv=path,
            user_defined_symbols=["<Mark>", "hello world", "cat", "ee", "eee"],
            control_symbols=["<extra_id_0>"],
            treat_whitespace_as_suffix=True,
        )


def models_of():
    return {
        "umt5/spiece": train(1500, normalization_rule_name="nmt_nfkc"),
        "bytes": train(700, normalization_rule_name="identity", byte_fallback=True, scripts=3),
        "users": train_users(),
        "spaces": train(
            400,
            scripts=3,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
        ),
    }


# ---- tokenizer.json ----


def pieces(spm, extra_ids):
    vocab = [(spm.id_to_piece(i), spm.get_score(i)) for i in range(spm.get_piece_size())]
    return vocab + [(f"<extra_id_{i}>", 0.0) for i in range(extra_ids - 1, -1, -1)]


def charsmap_of(model):
    from transformers.convert_slow_tokenizer import import_protobuf

    proto = import_protobuf().ModelProto()
    proto.ParseFromString(model)
    return proto.normalizer_spec.precompiled_charsmap


def build(vocab, normalizer, pre_tokenizer, unk_id=3, byte_fallback=False, extra_ids=EXTRA_IDS, eos=1):
    t = Tokenizer(models.Unigram(vocab, unk_id=unk_id, byte_fallback=byte_fallback))
    if normalizer:
        t.normalizer = normalizers.Sequence(normalizer) if isinstance(normalizer, list) else normalizer
    if pre_tokenizer:
        t.pre_tokenizer = pre_tokenizer
    t.decoder = decoders.Metaspace()
    specials = ["<pad>", "</s>", "<s>", "<unk>"] + [f"<extra_id_{i}>" for i in range(extra_ids)]
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in specials])
    t.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", eos)]
    )
    return t


def odd_tokens(t):
    """Every flag of an added token, in the vocabulary and behind it."""
    t.add_tokens([
        AddedToken("<Mark>", normalized=True, lstrip=True, rstrip=True),
        AddedToken("snug", normalized=True, single_word=True),
        AddedToken("mark", normalized=False, single_word=True),
        AddedToken("cat", normalized=False, rstrip=True),
        AddedToken("  ", normalized=False),
        AddedToken("photo of", normalized=False),
        AddedToken("photo", normalized=False),
    ])
    return t


def repeats(seed=7):
    """Pieces of which many rows have nearly the same sum, with f32 scores as sentencepiece writes them."""
    draw = random.Random(seed)
    runs = ["a", "aa", "aaa", "aaaa", "n", "an", "na", "nn"]
    scores = [struct.unpack("f", struct.pack("f", -2 - draw.random() * len(p)))[0] for p in runs]
    return [("<pad>", 0.0), ("</s>", 0.0), ("<s>", 0.0), ("<unk>", 0.0), (MARK, -1.5), *zip(runs, scores)]


def tokenizers_of(spms, charsmap):
    """By name. The first is what transformers 4 makes of a sentencepiece model (SpmConverter)."""
    vocab = pieces(spms["umt5/spiece"], EXTRA_IDS)
    meta = pre_tokenizers.Metaspace
    pre = normalizers.Precompiled(charsmap)
    strip = normalizers.Strip(left=False, right=True)
    runs = Regex(" {2,}")
    both = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), meta(prepend_scheme="first")])
    n = normalizers
    return {
        "umt5/tokenizer": build(vocab, [pre, strip, n.Replace(runs, MARK)], meta(prepend_scheme="first")),
        "always": build(vocab, [pre, n.Replace(runs, " ")], meta(prepend_scheme="always")),
        "words": build(vocab, [pre], both),
        "bare": build(vocab, [pre, n.Prepend(MARK), n.Replace(" ", MARK)], None),
        "unsplit": build(vocab, None, meta(prepend_scheme="never", split=False)),
        "forms": odd_tokens(build(vocab, [n.NFKC(), n.Lowercase(), n.Strip(), n.Replace(Regex(r"\s+"), " ")], meta())),
        "nfd": odd_tokens(build(vocab, [n.NFD(), n.Replace("ca", "CAT"), n.Strip(left=True, right=False)], both)),
        "nfkd": build(vocab, [n.NFKD(), n.Replace("e", "")], meta(prepend_scheme="first")),
        "nfc": build(vocab, [n.NFC(), n.Replace("  ", "X")], meta(prepend_scheme="first")),
        "repeats": build(repeats(), None, meta(), extra_ids=0),
        "bytes": build(pieces(spms["bytes"], 0), [strip, n.Replace(runs, MARK)], meta(), byte_fallback=True, extra_ids=0),
    }


def saved(folder, model):
    """transformers 5: T5Tokenizer over a sentencepiece model, save_pretrained; and what it then loads again."""
    raw = os.path.join(folder, "raw")
    os.makedirs(raw)
    with open(os.path.join(raw, "spiece.model"), "wb") as f:
        f.write(model)
    first = T5Tokenizer.from_pretrained(raw, extra_ids=EXTRA_IDS)
    first.save_pretrained(os.path.join(folder, "saved"))
    again = T5Tokenizer.from_pretrained(os.path.join(folder, "saved"))
    auto = AutoTokenizer.from_pretrained(os.path.join(folder, "saved"))
    for text in corpus.SINGLES:
        assert first(text).input_ids == again(text).input_ids == auto(text).input_ids
    again.save_pretrained(os.path.join(folder, "again"))
    with open(os.path.join(folder, "again", "tokenizer_config.json"), encoding="utf-8") as f:
        config = f.read()
    return again, config


# ---- files ----


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def write_ids(folder, name, encode, texts):
    if "umt5" not in name:
        texts = [t for t in texts if len(t) < corpus.LONG]
    lines = [" ".join(str(i) for i in encode(text)) for text in texts]
    write(folder, name + ".ids", "\n".join(lines) + "\n")


def shorten(text, shared):
    """Leave out what umt5/tokenizer.json has: the test puts it back."""
    for name, part in shared.items():
        text = text.replace(part, f"@{name}@")
    return text


def shared_parts(text):
    parts = {
        "charsmap": re.search(r'"precompiled_charsmap":"([^"]*)"', text).group(1),
        "vocab": re.search(r'"vocab":(\[\[.*?\]\])', text, re.S).group(1),
    }
    return parts


def compact(t):
    return json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":"))


def last_bit_texts(t, most=8):
    """Texts that are cut otherwise once the scores were written out and read again."""
    again = Tokenizer.from_str(compact(t))
    candidates = (corpus.monotonous(seed) for seed in range(20000))
    differ = (text for text in candidates if t.encode(text).ids != again.encode(text).ids)
    return list(itertools.islice(differ, most))


def make_tokenizers(folder):
    blobs = models_of()
    spms = {name: sentencepiece.SentencePieceProcessor(model_proto=blob) for name, blob in blobs.items()}
    built = tokenizers_of(spms, charsmap_of(blobs["umt5/spiece"]))
    texts = corpus.texts(last_bit_texts(built["repeats"]))
    write(folder, "texts.json", json.dumps(texts, ensure_ascii=False, indent=0) + "\n")
    for name, blob in blobs.items():
        path = os.path.join(folder, name + ".model")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(blob)
        write_ids(folder, name + ".model", lambda text, s=spms[name]: s.encode(text) + [s.eos_id()], texts)
    shared = shared_parts(compact(built["umt5/tokenizer"]))
    for name, t in built.items():
        text = compact(t)
        check = Tokenizer.from_str(text)
        write(folder, name + ".json", text if name.startswith("umt5") else shorten(text, shared))
        write_ids(folder, name, lambda s: check.encode(s).ids, texts)
    with tempfile.TemporaryDirectory() as scratch:
        t5, config = saved(scratch, blobs["umt5/spiece"])
        text = compact(t5._tokenizer)
        check = Tokenizer.from_str(text)
        write(folder, "saved.json", shorten(text, shared))
        write(folder, "umt5/tokenizer_config.json", config)
        write_ids(folder, "saved", lambda s: check.encode(s).ids, texts)
        write_ids(folder, "saved_16", lambda s: t5(s, max_length=16, truncation=True).input_ids, texts)
        wrapped = PreTrainedTokenizerFast(tokenizer_object=built["umt5/tokenizer"])
        wrapped.save_pretrained(os.path.join(scratch, "wrapped"))
        with open(os.path.join(scratch, "wrapped", "tokenizer.json"), encoding="utf-8") as f:
            again = json.load(f)
        first = json.loads(built["umt5/tokenizer"].to_str())
        del again["model"]["vocab"], first["model"]["vocab"]  # scores move by a last bit when read again
        assert again == first


# ---- cleaning ----


def prompt_clean(text, **options):
    """diffusers pipelines/wan/pipeline_wan.py"""
    text = html.unescape(html.unescape(ftfy.fix_text(text, **options))).strip()
    return re.sub(r"\s+", " ", text).strip()


def entity_texts():
    names = sorted(html5)
    for i in range(0, len(names), 24):
        group = names[i : i + 24]
        yield "|".join("&" + n for n in group)
        yield "|".join("&" + n.upper() for n in group)
        yield "<" + "x".join("&" + n.rstrip(";") for n in group)


SNIPPETS = (
    "&amp; &amp;amp; &lt; <b> &#x27; &#39; &#59; &#0; &#128; &#x85; &#xD800; &#99999999999; &#x10FFFF; &#13; &#10; &#11; "
    "&#xfdd0; &SZLIG; &NTILDE; &FFILIG; &NAPOS; &LTRI; &FRAC12; &nTILDE; &notit; &notin; &not & &; &#; &#x; &abc "
    "&CounterClockwiseContourIntegral; &CounterClockwiseContourIntegral &nGt; &fjlig; &FJLIG; &nbsp; &NewLine; &Tab;"
).split(" ") + (
    "\x1b[31m,\x1b[31;1,\x1b［3１m,\x1b[٣m,\x1b\x01[1m,ﬁ,ŉ,“a”,‘b’,ʼ,\r\n,\r,\n,\u2028,\u2029,\x85,\x80,\x9f,\x81,\ufeff,\ufffc,"
    "\u206a,\x00,\x07,　,！,，,ｶﾞ,￦,ﾡ,e\u0301,\u212b,\u0958,\U0001d160,\u0344,a\u0323\u0307,a\u0307\u0323,  ,\t"
).split(",")


def clean_texts():
    yield from corpus.SINGLES + corpus.PROMPTS + corpus.ARTICLES + corpus.SCRIPTS
    yield from entity_texts()
    yield "".join(chr(c) for c in range(0xFF01, 0xFFF0))
    yield from ("".join(chr(c) + "x" for c in range(i, i + 64)) for i in range(0x100, 0x300, 64))
    yield "".join(chr(c) + "x" for c in range(0x2000, 0x2070))
    yield "&amp;" * 40
    yield "&" + "amp;" * 40
    draw = random.Random(5)
    for _ in range(250):
        words = SNIPPETS + ["a photo", "cat, ", " of ", "红色", "Hello"]
        yield "".join(draw.choice(words) for _ in range(draw.choice([1, 2, 3, 5, 10])))


def make_clean(folder):
    """Only texts on which the repair of mojibake, which snug leaves out, does nothing."""
    pairs = []
    for text in clean_texts():
        want = prompt_clean(text)
        if want == prompt_clean(text, fix_encoding=False):
            pairs.append([text, want])
    write(folder, "clean.json", json.dumps(pairs, ensure_ascii=False, indent=0) + "\n")


WAN = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，"
    "多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，"
    "背景人很多，倒着走"
)
NEGATIVES = {
    "wan": WAN,
    "wan21_i2v": "镜头晃动，" + WAN,
    "flf2v": "镜头切换，镜头晃动，" + WAN,
    "lingbot": "画面突变，" + WAN + "，镜头晃动，画面闪烁，模糊，噪点，水印，签名，文字，变形，扭曲，液化，不合逻辑的结构，卡顿，"
    "PPT幻灯片感，过暗，欠曝，低对比度，霓虹灯光感，过度锐化，3D渲染感，人物，行人，游客，身体，皮肤，肢体，面部特征，汽车，电线",
}
PUBLISHED = {
    "wan": "42811917cca5c2c7e47e55003083c67a4f9122f03b95a1cfe8a4001ea6a2e5d3",
    "lingbot": "c3af1e10b6094a3e0aa79c90b7b39028eab0c355d668837d9a39a7880aa5f22f",
}


def make_negatives(folder):
    out = {}
    for name, text in NEGATIVES.items():
        cleaned = prompt_clean(text)
        sha256 = hashlib.sha256(cleaned.encode()).hexdigest()
        assert PUBLISHED.get(name, sha256) == sha256
        out[name] = {"sha256": sha256, "text": cleaned}
    write(folder, "negative.json", json.dumps(out, ensure_ascii=False, indent=2) + "\n")


def make(folder):
    make_tokenizers(folder)
    make_clean(folder)
    make_negatives(folder)
