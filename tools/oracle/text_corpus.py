"""Text in many scripts: what the small tokenizers are trained on, and what they are asked to cut.

The first article of the Universal Declaration of Human Rights, some everyday words, and
characters that normalisers treat in odd ways. Everything is seeded; nothing is read from outside.
"""

import random
import unicodedata

ARTICLES = [
    "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
    "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, devem agir uns para com os outros em espírito de fraternidade.",
    "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají spolu jednat v duchu bratrství.",
    "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    "Всі люди народжуються вільними і рівними у своїй гідності та правах.",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι προικισμένοι με λογική και συνείδηση.",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم أن يعامل بعضهم بعضًا بروح الإخاء.",
    "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "মর্যাদা এবং অধিকারের ক্ষেত্রে সকল মানুষ সমান।",
    "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்.",
    "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "人人生而自由，在尊嚴和權利上一律平等。",
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
    "ყველა ადამიანი იბადება თავისუფალი და თანასწორი.",
    "Բոլոր մարդիկ ծնվում են ազատ ու հավասար։",
]
PROMPTS = [
    "A cat sitting on a mat, cinematic lighting, 4k, highly detailed",
    "Two anthropomorphic cats in comfy boxing gear fight intensely on a spotlighted stage.",
    "a photo of a red bus in the rain; the camera pans slowly to the right",
    "一只白色的猫坐在冲浪板上，戴着太阳镜，夏日海滩",
    "色调艳丽，过曝，静态，细节模糊不清，字幕，最差质量，低质量，JPEG压缩残留",
    "雨の夜の東京、ネオンが水たまりに映る",
    "눈 덮인 산 위로 해가 떠오른다",
    "Кот сидит на подоконнике и смотрит на снег",
    "the the the a a of and to in is it that was for on with as at by",
]


def training_lines(scripts=None):
    """All scripts that are trained on, or the first few (Latin, accents, Cyrillic)."""
    lines = ARTICLES[:11] + PROMPTS[:3] if scripts else ARTICLES + PROMPTS
    for _ in range(6):
        yield from lines
        for line in lines:
            yield from line.split()
        yield from ("aaaa aaa aa", "..... ... ..", "nananana nanan", "eee ee ananan", "ооо оо", "的的的 的的")
    for script in SCRIPTS[: scripts or 12]:
        yield from (unicodedata.normalize("NFKC", c) for c in script if c.strip())


SCRIPTS = [
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;:!?'\"()-",
    "éèêëñüößœæøåÅÄčšžłąęİıŞğ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюяЁ ",
    "αβγδεζηθικλμνξοπρσςτυφχψωάέήίΐΰ ",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهويةءآأؤإئ ًٌٍَُِّْ؀؁",
    "אבגדהוזחטיכלמנסעפצקרשתםןףץ ְֱֲֳִֵֶַָֹּׁׂיִ",
    "अआइईउऊऋएऐओऔकखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसह्ािीुूृेैोौंःँक़ख़ ",
    "กขคฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮะาำิีึืุูเแโใไ่้๊๋์ ",
    "一二三色调艳丽过曝静态日本語漢字",
    "あいうえおかがきぎアイウエオガギグゲゴパピプポヴ",
    "가각간한국어세계안녕",
    "🙂😀❤☺",
    # from here on: nothing of it is trained on
    "，。！「」、　㍿㈱①②⑩ｱｲｳｶﾞｷﾞﾊﾟｰ",
    "ㄱㄴㅏ하한ᄀ각",
    "👩‍👩‍👧‍👦🇺🇸🇫🇷👍🏽❤️☺️1️⃣🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "\t\n\r\x0b\x0c\x00\x01\x02\x1b\x7f\x85\xa0\u2028\u2029\u200b\u200c\u200d\u200e\ufeff\u00ad\u3000\u2003  ",
    "ＡＢＣａｂｃ１２３！？（）％＄￥",
    "½⅓¼²³™®©…—–“”‘’«»ﬁﬂﬀﬃﬄﬅﬆĲĳŉǅ№℃Ⅷⅳ",
    "\u0300\u0301\u0302\u0303\u0308\u0316\u0323\u0327\u0328\u0345e\u0301a\u0300\u0301o\u0323\u0302",
    "▁ ▁▁  ▁a",
    "𝔘𝕟𝒾𝓬𝑜𝒹𝑒𐐀𐍈𝄞",
]
PIECES = (
    "a cat the photo of hello world </s> <pad> <unk> <s> <extra_id_0> <extra_id_7> <extra_id_ <0x41> &amp; "
    "Ã© 𠀀 é à́ naïve Привет Γειά مرحبا שלום नमस्ते สวัสดี 你好 こんにちは 안녕하세요 안녕 <Mark> <mark> MARK snug"
).split(" ")

LONG = 1000
SINGLES = [
    "",
    " ",
    "   ",
    "\n",
    "a",
    "A cat  sitting   on a mat",
    "  leading",
    "trailing  ",
    "line one\nline two",
    "tab\tbed",
    "a<extra_id_0>b",
    "a <extra_id_0> b",
    "<extra_id_0>",
    "</s>",
    "hello</s>world",
    "</s></s> </s>",
    "emoji 🙂 ok",
    "½ cup — “quote”…",
    "▁already ▁marked▁",
    "\x01\x02controls first",
    "\ufeffbyte order mark",
    "\xa0no-break first",
    "¨ diaeresis first",
    "e\u0301 \u00e9 à́ a\u0300\u0301",
    "각 각 ᄒ",
    "ｶﾞｷﾞ ガギ ガ",
    "x\r\ny\r\n\r\nz",
    "i\u0307 İstanbul IŞIK ΣΊΣΥΦΟΣ ǅ ẞ",
    "mark<Mark> mark <mark>MARK remarks mark",
    "unknown 𠀀𠀁𠀂 run 𠀃",
    "ﷺ ﷽",
    "zalgo h̸̡̪̯ͨ͊̽̅̾̎ë́̈ͩͣ",
    "family 👩‍👩‍👧‍👦 flag 🇺🇸🇫🇷 wave 👋🏽 keycap 1️⃣",
]


def mixed(seed):
    """A text of random words, characters of one script at a time, and runs of spaces."""
    draw = random.Random(seed)
    out = ""
    for _ in range(draw.choice([1, 2, 3, 5, 8, 13])):
        kind = draw.random()
        if kind < 0.35:
            out += draw.choice(PIECES) + draw.choice(["", " ", " ", "  "])
        elif kind < 0.85:
            script = draw.choice(SCRIPTS)
            out += "".join(draw.choice(script) for _ in range(draw.randint(1, 8)))
        else:
            out += " " * draw.randint(1, 3)
    return out


def long_texts():
    lines = " ".join(ARTICLES + PROMPTS)
    yield lines[:2000]
    yield "".join(mixed(9000 + i) for i in range(80))[:2000]
    yield "na " * 666
    yield "x" * 2000
    yield " " * 2000
    yield "каждый охотник желает знать " * 71


def repetitive():
    """Many cuts of equal likelihood: the last bit of a score decides."""
    for unit in ["a", "e", "o", ".", "!", "an", "er", "та", "ου", "的", "ab", "nan"]:
        yield from (unit * n for n in (7, 20, 61))


def monotonous(seed):
    draw = random.Random(seed)
    return "".join(draw.choice("aaaan") for _ in range(draw.randint(20, 150)))


def texts(more):
    """The long ones (LONG characters or more) come last."""
    out = SINGLES + ARTICLES + PROMPTS + list(repetitive()) + more
    for script in SCRIPTS:
        out += [script, unicodedata.normalize("NFD", script), " ".join(script)]
    out += [mixed(seed) for seed in range(180)]
    return out + list(long_texts())
