"""Small fonts, and what Pillow draws with them (layout by libraqm, as its wheels have it).

latin.ttf      letters of DejaVu Sans Bold with its hinting and kerning; hangul.ttf: of Nanum Gothic (OFL)
latin.otf      the same letters as cubic outlines (CFF); variable.ttf: with an axis of weight
texts.txt, .bin  font, size, box of textbbox, canvas, x, y, text; then the canvas, u8

Fonts of the Debian 12 packages fonts-dejavu-core and fonts-nanum; both licences let parts be given on under
another name.
"""

import os

from fontTools import subset
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.TupleVariation import TupleVariation
from PIL import Image, ImageDraw, ImageFont, features

LATIN = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"
HANGUL = "/usr/share/fonts/truetype/nanum/NanumGothic.ttf"
LETTERS = "AVTaeoglifSALE50%!,. é"
SYLLABLES = "한글광고세일 50%"

TEXTS = [
    ("latin.ttf", 40, (260, 60), (10, 5), "SALE 50%!"),
    ("latin.ttf", 23, (120, 40), (3, 2), "AVAVA Ta"),
    ("latin.ttf", 96, (150, 60), (-20, -30), "ofé"),
    ("latin.ttf", 17, (90, 70), (4, 1), "Ale\n\nfiSE"),
    ("latin.otf", 40, (260, 60), (10, 5), "SALE 50%!"),
    ("latin.otf", 19, (90, 40), (3, 2), "AVA, Ta"),
    ("variable.ttf", 40, (200, 60), (5, 5), "SALE!"),
    ("hangul.ttf", 40, (260, 60), (10, 5), "한글 광고"),
    ("hangul.ttf", 22, (160, 50), (10, 5), "세일 50%\n한글"),
    ("latin.ttf", 12, (20, 20), (2, 2), ""),
    ("latin.ttf", 12, (20, 20), (2, 2), "  "),
]


def rename(font, family):
    table = font["name"]
    table.names = []
    full = {1: family, 2: "Regular", 3: family, 4: family, 5: "Version 1", 6: family.replace(" ", "")}
    for key, text in full.items():
        table.setName(text, key, 3, 1, 0x409)


def cut(path, letters, family):
    options = subset.Options(hinting=True, layout_features=["kern", "liga"], name_IDs=[], notdef_outline=True)
    font = subset.load_font(path, options)
    chosen = subset.Subsetter(options)
    chosen.populate(text=letters)
    chosen.subset(font)
    rename(font, family)
    return font


def cubic(source, family):
    """The same outlines in a CFF font, without hints."""
    glyphs, widths = source.getGlyphSet(), {}
    builder = FontBuilder(source["head"].unitsPerEm, isTTF=False)
    builder.setupGlyphOrder(source.getGlyphOrder())
    builder.setupCharacterMap(source.getBestCmap())
    strings = {}
    for name in source.getGlyphOrder():
        widths[name] = (glyphs[name].width, 0)
        recorded = DecomposingRecordingPen(glyphs)
        glyphs[name].draw(recorded)
        pen = T2CharStringPen(glyphs[name].width, None)
        at = None
        for kind, points in recorded.value:
            if kind == "qCurveTo":
                *middle, end = points
                for i, control in enumerate(middle):
                    follow = middle[i + 1] if i + 1 < len(middle) else None
                    stop = ((control[0] + follow[0]) / 2, (control[1] + follow[1]) / 2) if follow else end
                    first = tuple(a + (c - a) * 2 / 3 for a, c in zip(at, control))
                    second = tuple(e + (c - e) * 2 / 3 for e, c in zip(stop, control))
                    pen.curveTo(first, second, stop)
                    at = stop
            else:
                getattr(pen, kind)(*points)
                at = points[-1] if points else at
        strings[name] = pen.getCharString()
    builder.setupHorizontalMetrics(widths)
    builder.setupHorizontalHeader(ascent=source["hhea"].ascent, descent=source["hhea"].descent)
    builder.setupCFF(family.replace(" ", ""), {}, strings, {})
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=source["hhea"].ascent, sTypoDescender=source["hhea"].descent)
    builder.setupPost()
    return builder.font


def variable(font, family):
    """An axis of weight that moves every point by as much as it likes; Pillow draws the default."""
    rename(font, family)
    for table in ("fpgm", "prep", "cvt "):
        del font[table]
    font["maxp"].maxSizeOfInstructions = 0  # else FreeType looks for hints that are gone
    builder = FontBuilder(font=font)
    builder.setupFvar([("wght", 100, 400, 900, "Weight")], [])
    moved = {}
    for name in font.getGlyphOrder():
        glyph = font["glyf"][name]
        glyph.removeHinting()
        count = len(glyph.getCoordinates(font["glyf"])[0]) + 4 if glyph.numberOfContours > 0 else 4
        moved[name] = [TupleVariation({"wght": (0.0, 1.0, 1.0)}, [(20, 0)] * count)]
    builder.setupGvar(moved)
    return builder.font


def make_fonts(folder):
    latin = cut(LATIN, LETTERS, "Snug Test Latin")
    latin.save(os.path.join(folder, "latin.ttf"))
    cubic(latin, "Snug Test Cubic").save(os.path.join(folder, "latin.otf"))
    plain = TTFont(os.path.join(folder, "latin.ttf"))
    variable(plain, "Snug Test Variable").save(os.path.join(folder, "variable.ttf"))
    cut(HANGUL, SYLLABLES, "Snug Test Hangul").save(os.path.join(folder, "hangul.ttf"))


def make(folder):
    if not features.check("raqm"):
        raise SystemExit("this Pillow has no libraqm")
    os.makedirs(folder)
    make_fonts(folder)
    lines, data = [], b""
    for name, size, canvas, (x, y), text in TEXTS:
        font = ImageFont.truetype(os.path.join(folder, name), size)
        image = Image.new("L", canvas)
        draw = ImageDraw.Draw(image)
        draw.text((x, y), text, font=font, fill=255)
        box = draw.textbbox((0, 0), text, font=font)
        numbers = " ".join(str(int(n)) for n in (*box, *canvas, x, y))
        lines.append(f"{name} {size} {numbers} {text}".replace("\n", "\\n"))
        data += image.tobytes()
    with open(os.path.join(folder, "texts.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    with open(os.path.join(folder, "texts.bin"), "wb") as f:
        f.write(data)
